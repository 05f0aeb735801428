package app

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
)

// TestFlow holds three lists of who hears what to each other: the table, what
// each context asks the relay for, and what its handle.go has a case for.
func TestFlow(t *testing.T) {
	t.Parallel()
	a := openApp(t, t.TempDir())
	table := map[string][]event.Type{}
	for typ, contexts := range flow {
		if _, known := event.Lookup(typ); !known {
			t.Errorf("the table names %s, which is no event", typ)
		}
		if !slices.IsSorted(contexts) {
			t.Errorf("the contexts of %s are not in order: %v", typ, contexts)
		}
		for _, c := range contexts {
			table[c] = append(table[c], typ)
		}
	}
	for _, c := range a.consumers {
		asked := slices.Sorted(slices.Values(c.Types))
		said := slices.Sorted(slices.Values(table[c.Group]))
		if diff := cmp.Diff(said, asked); diff != "" {
			t.Errorf("%s: the table and Consumer().Types differ (-table +consumer):\n%s", c.Group, diff)
		}
		if diff := cmp.Diff(asked, cases(t, c.Group)); diff != "" {
			t.Errorf("%s: Consumer().Types and the cases of handle.go differ (-consumer +cases):\n%s", c.Group, diff)
		}
		for _, typ := range c.Types {
			if r, _ := event.Lookup(typ); !slices.Contains(c.Topics, r.Topic) {
				t.Errorf("%s wants %s, but does not read topic %s", c.Group, typ, r.Topic)
			}
		}
		delete(table, c.Group)
	}
	for c := range table {
		t.Errorf("the table says that %s hears events, but it is no consumer", c)
	}
}

// cases gives the event types that a context's handle.go decides by: in the case
// clauses of a switch over the type or the payload, or as the keys of a table.
func cases(t *testing.T, context string) []event.Type {
	t.Helper()
	byName := map[string]event.Type{}
	for _, r := range event.Registered() {
		byName[r.Payload.Name()] = r.Type
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", context, "handle.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[event.Type]bool{}
	take := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING { // "agent.created"
			s, _ := strconv.Unquote(lit.Value)
			if _, known := event.Lookup(event.Type(s)); known {
				found[event.Type(s)] = true
			}
		}
		if of, ok := e.(*ast.SelectorExpr); ok && byName[of.Sel.Name] != "" { // event.AgentCreated, of a type switch
			found[byName[of.Sel.Name]] = true
		}
		call, ok := e.(*ast.CallExpr) // event.AgentCreated{}.EventType()
		if !ok {
			return
		}
		fun, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || fun.Sel.Name != "EventType" {
			return
		}
		lit, ok := fun.X.(*ast.CompositeLit)
		if !ok {
			return
		}
		if name, ok := lit.Type.(*ast.SelectorExpr); ok && byName[name.Sel.Name] != "" {
			found[byName[name.Sel.Name]] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CaseClause:
			for _, e := range n.List {
				take(e)
			}
		case *ast.KeyValueExpr:
			take(n.Key)
		}
		return true
	})
	return slices.Sorted(maps.Keys(found))
}

// flowPage is docs/flow.md.
func flowPage() string {
	var b strings.Builder
	b.WriteString("# Who hears what\n\nPrinted from `app/flow.go` by `go test ./app -update`. What is in an event: [events.md](events.md).\nOrder is promised per key (an agent, a room, a person), nothing else. An event that nobody hears is there for the record and for `rapport trace`.\n\n| event | on | emitted by | heard by |\n|---|---|---|---|\n")
	for _, r := range event.Registered() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Type, r.Topic, r.Emitter, strings.Join(flow[r.Type], ", "))
	}
	return b.String()
}
