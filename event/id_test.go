package event_test

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/event"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-([78])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// TestNewID: UUIDv7, never twice, in the order they were made, from many
// goroutines at once and more than a millisecond's worth of them.
func TestNewID(t *testing.T) {
	t.Parallel()
	const makers, each = 8, 5000
	before := time.Now().UnixMilli()
	lists := make([][]string, makers)
	var wg sync.WaitGroup
	for i := range lists {
		wg.Go(func() {
			for range each {
				lists[i] = append(lists[i], event.NewID())
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, list := range lists {
		if !slices.IsSorted(list) {
			t.Error("the ids of one goroutine do not sort by the time they were made")
		}
		for _, id := range list {
			if m := uuid.FindStringSubmatch(id); m == nil || m[1] != "7" {
				t.Fatalf("%s is no UUIDv7", id)
			}
			seen[id] = true
		}
	}
	if len(seen) != makers*each {
		t.Errorf("%d of %d ids are different", len(seen), makers*each)
	}
	if ms := milli(t, lists[0][0]); ms < before {
		t.Errorf("time in the id %d is before %d", ms, before)
	}
}

func milli(t *testing.T, id string) (ms int64) {
	t.Helper()
	for _, c := range strings.ReplaceAll(id[:13], "-", "") {
		ms = ms<<4 | int64(strings.IndexRune("0123456789abcdef", c))
	}
	return ms
}

// TestDerivedIDsAreFrozen: an id derived in one release is derived again in
// every later one; otherwise a replay publishes everything a second time.
func TestDerivedIDsAreFrozen(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"e3b0c442-98fc-8c14-9afb-f4c8996fb924": event.HashID(),
		"595392f7-7b76-8518-8b2f-f1592b961938": event.HashID("chat", "message", "42"),
		"8f03de84-f9d1-8002-8b27-c59e2bd36353": event.DerivedID("learning", 1, "cause", "rl.agent.policy.updated", "agent", 0),
	} {
		if got != want {
			t.Errorf("id %s, frozen as %s", got, want)
		}
	}
}

// TestDerivedIDsDiffer: equal arguments give equal ids, and a change of any one
// part gives another, also when text moves from one part to the next.
func TestDerivedIDsDiffer(t *testing.T) {
	t.Parallel()
	type parts struct {
		emitter    string
		generation int
		cause      string
		typ        event.Type
		subject    string
		ordinal    int
	}
	id := func(p parts) string {
		return event.DerivedID(p.emitter, p.generation, p.cause, p.typ, p.subject, p.ordinal)
	}
	short := rapid.StringOfN(rapid.RuneFrom([]rune{'a', '1', '\x00', 'é'}), 0, 3, -1)
	gen := rapid.Custom(func(t *rapid.T) parts {
		return parts{short.Draw(t, "emitter"), rapid.IntRange(-1, 12).Draw(t, "generation"), short.Draw(t, "cause"),
			event.Type(short.Draw(t, "type")), short.Draw(t, "subject"), rapid.IntRange(-1, 12).Draw(t, "ordinal")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := gen.Draw(t, "a"), gen.Draw(t, "b")
		if (a == b) != (id(a) == id(b)) {
			t.Fatalf("%+v and %+v give %s and %s", a, b, id(a), id(b))
		}
		if m := uuid.FindStringSubmatch(id(a)); m == nil || m[1] != "8" {
			t.Fatalf("%s is no UUIDv8", id(a))
		}
	})
	if event.HashID("ab", "c") == event.HashID("a", "bc") || event.HashID("a") == event.HashID("a", "") {
		t.Error("parts run together")
	}
}

// TestDerivedIDsLieBesideTheirCause: derived ids share the moment of their cause,
// however long the chain, and still differ.
func TestDerivedIDsLieBesideTheirCause(t *testing.T) {
	t.Parallel()
	root := event.NewID()
	first := event.DerivedID("learning", 1, root, "rl.agent.policy.updated", "agent", 0)
	second := event.DerivedID("agent", 1, first, "agent.updated", "agent", 0)
	for _, id := range []string{first, second} {
		if len(id) != 36 || id[:13] != root[:13] || id == root || id[14] != '8' {
			t.Errorf("%s does not lie beside %s", id, root)
		}
	}
	if first == second {
		t.Error("two derived ids are equal")
	}
}
