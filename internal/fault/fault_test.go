package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestKindOfAndIs(t *testing.T) {
	t.Parallel()
	cause := errors.New("disk on fire")
	f := New(Unavailable, "database_unavailable", "Try again in %d seconds.", 5)
	wrapped := fmt.Errorf("write: %w", f.Because(cause))

	if got := KindOf(wrapped); got != Unavailable {
		t.Errorf("KindOf(wrapped) = %v", got)
	}
	if got := KindOf(cause); got != Internal {
		t.Errorf("KindOf(no fault) = %v, want internal", got)
	}
	if !Is(wrapped, "database_unavailable") || Is(wrapped, "other") || Is(cause, "database_unavailable") || Is(nil, "") {
		t.Error("Is is wrong about a code")
	}
	if !errors.Is(wrapped, cause) {
		t.Error("the cause is lost")
	}
	if f.Err != nil {
		t.Error("Because changed its receiver")
	}
	if got, want := wrapped.Error(), "write: database_unavailable: Try again in 5 seconds.: disk on fire"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

// The outermost fault decides: who wraps knows better what the caller can do.
func TestOutermostFaultWins(t *testing.T) {
	t.Parallel()
	inner := New(NotFound, "no_row", "Nothing there.")
	outer := New(Invalid, "bad_reference", "Name an agent that exists.").Because(inner)
	if KindOf(outer) != Invalid || !Is(outer, "bad_reference") || Is(outer, "no_row") {
		t.Errorf("kind %v of %v", KindOf(outer), outer)
	}
}

func TestKindNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := Internal; k <= Unavailable; k++ {
		if n := k.String(); n == "" || seen[n] {
			t.Errorf("kind %d is named %q", k, n)
		} else {
			seen[n] = true
		}
	}
	if len(kindNames) != int(Unavailable)+1 {
		t.Errorf("%d names for %d kinds", len(kindNames), Unavailable+1)
	}
}
