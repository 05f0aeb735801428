package authz

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fault"
)

var update = flag.Bool("update", false, "rewrite testdata")

var (
	kinds     = []Kind{Person, Token, Room, Message, Agent, Native, Policy, Feedback, Explanation, Compile, System, Consent, Mentor, Review, Verdict, Points, Goal}
	verbs     = []Verb{Read, List, Create, Change, Erase}
	relations = []Relation{Author, Owner, Participant, Reviewer, Operator, Editor, Ingester, Self, Anyone}
)

// The whole table, as it is decided: one line per kind and verb, one column per
// relation alone. Read it when it changes.
func TestMatrix(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "kind\tverb")
	for _, r := range relations {
		fmt.Fprintf(w, "\t%s", r)
	}
	fmt.Fprintln(w, "\tnobody")
	cell := func(yes bool) string {
		if yes {
			return "yes"
		}
		return "·"
	}
	for _, k := range kinds {
		for _, v := range verbs {
			fmt.Fprintf(w, "%s\t%s", k, v)
			for _, r := range relations {
				fmt.Fprintf(w, "\t%s", cell(Allowed(k, v, r)))
			}
			fmt.Fprintf(w, "\t%s\n", cell(Principal{}.Check(k, v) == nil))
		}
	}
	w.Flush()
	const golden = "testdata/matrix.txt"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the table changed (-golden +now); go test -update rewrites it:\n%s", d)
	}
}

func TestTableNamesOnlyWhatExists(t *testing.T) {
	t.Parallel()
	for k, of := range table {
		if !slices.Contains(kinds, k) {
			t.Errorf("kind %q is not in the matrix", k)
		}
		for v, rs := range of {
			if !slices.Contains(verbs, v) {
				t.Errorf("%s: verb %q is not in the matrix", k, v)
			}
			for _, r := range rs {
				if !slices.Contains(relations, r) {
					t.Errorf("%s %s: relation %q is not in the matrix", v, k, r)
				}
			}
		}
	}
}

// What must hold whatever else is decided.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		for _, v := range verbs {
			if err := (Principal{}).Check(k, v); fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("nobody, %s %s: %v, want unauthenticated", v, k, err)
			}
			// Knowing an id is not a relation: a logged-in stranger reads public faces and common goals and makes things, no more.
			stranger := Principal{Person: "p", Scopes: Scopes()[:3]}
			open := k == Agent && (v == Read || v == Create) || k == Room && v == Create || k == Goal && v == List || k == Native && (v == Read || v == List)
			if got := stranger.Check(k, v) == nil; got != open {
				t.Errorf("stranger, %s %s: allowed %v, want %v", v, k, got, open)
			}
		}
	}
	for _, k := range []Kind{Message, Feedback, Policy, Explanation, Compile, Consent, Review, Points} {
		if Allowed(k, Read, Operator, Anyone, Ingester) {
			t.Errorf("an operator or ingester reads %s: people's words and tastes are theirs", k)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	person := Principal{Person: "p", Scopes: []Scope{ScopeChat}}
	operator := Principal{Person: "o", Scopes: []Scope{ScopeAdmin}}
	ingester := Principal{Person: "o", Scopes: []Scope{ScopeIngest}}
	for name, c := range map[string]struct {
		err  error
		want fault.Kind // Internal for allowed
	}{
		"own message":                {person.Check(Message, Change, Author), fault.Internal},
		"another's message":          {person.Check(Message, Change, Participant), fault.Forbidden},
		"operator rebuilds":          {operator.Check(System, Change), fault.Internal},
		"person rebuilds":            {person.Check(System, Change), fault.Forbidden},
		"ingester brings a message":  {ingester.Check(Message, Create), fault.Internal},
		"ingester edits one":         {ingester.Check(Message, Change), fault.Forbidden},
		"one relation of several":    {person.Check(Feedback, Create, Owner, Author), fault.Internal},
		"relations that do not help": {person.Check(Explanation, Read, Author, Participant, Reviewer, Self), fault.Forbidden},
	} {
		if (c.err == nil) != (c.want == fault.Internal) || c.err != nil && fault.KindOf(c.err) != c.want {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
}

// Collecting relations must not write into the caller's slice.
func TestRelationsLeaveTheCallersAlone(t *testing.T) {
	t.Parallel()
	mine := make([]Relation, 1, 4)
	mine[0] = Author
	Principal{Person: "p", Scopes: Scopes()}.Relations(mine...)
	if got := mine[:4]; got[1] != "" {
		t.Errorf("the caller's slice was written: %v", got)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	if p := From(context.Background()); !p.Anonymous() {
		t.Errorf("an empty context carries %+v", p)
	}
	want := Principal{Person: "p", Token: "t", Source: "s", Scopes: []Scope{ScopeIngest}}
	if d := cmp.Diff(want, From(With(context.Background(), want))); d != "" {
		t.Error(d)
	}
}
