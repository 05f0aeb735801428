package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestTheModuleKeepsTheRules(t *testing.T) {
	t.Parallel()
	pkgs := load(t)
	if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.Path == "internal/arch" && len(p.Files) > 1 }) {
		t.Fatal("the listing does not even have this package")
	}
	for _, sentence := range check(pkgs) {
		t.Error(sentence)
	}
}

// load reads what the rules look at of every package of the module.
func load(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list:", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			ImportPath, Name, Dir                              string
			GoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := dec.Decode(&listed); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		p := pkg{Path: strings.TrimPrefix(strings.TrimPrefix(listed.ImportPath, module), "/"), Name: listed.Name}
		for _, name := range slices.Concat(listed.GoFiles, listed.IgnoredGoFiles, listed.TestGoFiles, listed.XTestGoFiles) {
			src, err := os.ReadFile(filepath.Join(listed.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := parse(name, string(src))
			if err != nil {
				t.Fatal(err)
			}
			p.Files = append(p.Files, f)
		}
		pkgs = append(pkgs, p)
	}
}

// parse reads a file's imports and the names of other packages that it uses.
func parse(name, src string) (file, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	f := file{Name: name, Test: strings.HasSuffix(name, "_test.go")}
	called := map[string]string{} // what a package is called in the file → its path
	for _, imp := range syntax.Imports {
		to, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return file{}, err
		}
		to, ours := strings.CutPrefix(to, module+"/")
		f.Imports, f.Ours = append(f.Imports, to), append(f.Ours, ours)
		as := path.Base(to)
		if imp.Name != nil {
			as = imp.Name.Name
		}
		called[as] = to
	}
	ast.Inspect(syntax, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && called[x.Name] != "" {
				f.Uses = append(f.Uses, called[x.Name]+"."+sel.Sel.Name)
			}
		}
		if id, ok := n.(*ast.Ident); ok && called["."] != "" {
			f.Uses = append(f.Uses, called["."]+"."+id.Name)
		}
		return true
	})
	return f, nil
}

// Every rule rejects an example that breaks it, and accepts the same thing where
// it belongs.
func TestEveryRuleRejects(t *testing.T) {
	t.Parallel()
	src := func(body string, imports ...string) string {
		s := "package x\n"
		for _, imp := range imports {
			s += "import " + imp + "\n"
		}
		return s + body
	}
	cases := []struct {
		rule     string
		dir      string
		file     string
		src      string
		breaks   bool
		mentions string
	}{
		{"contexts are strangers", "chat", "chat.go", src("", `"rapport/agent"`), true, "rapport/agent"},
		{"contexts are strangers", "chat/textsignal", "x.go", src("", `"rapport/learning/step"`), true, "rapport/learning/step"},
		{"contexts are strangers", "feedback", "x_test.go", src("", `"rapport/account"`), true, "rapport/account"},
		{"contexts are strangers", "chat", "chat.go", src("", `"rapport/chat/textsignal"`, `"rapport/event"`), false, ""},
		{"contexts are strangers", "web", "growth.go", src("", `"rapport/learning"`), true, "rapport/learning"},
		{"contexts are strangers", "simulate", "x.go", src("", `"rapport/agents"`), false, ""},

		{"only cmd imports app", "web", "x.go", src("", `"rapport/app"`), true, "rapport/app"},
		{"only cmd imports app", "simulate", "x_test.go", src("", `"rapport/app/flow"`), true, "rapport/app/flow"},
		{"only cmd imports app", "cmd/other", "x.go", src("", `"rapport/app"`), true, ""},
		{"only cmd imports app", "cmd/rapport", "main.go", src("", `"rapport/app"`), false, ""},
		{"only cmd imports app", "cmd/rapport-bench", "main.go", src("", `"rapport/app"`), false, ""},
		{"only cmd imports app", "app", "x_test.go", src("", `"rapport/app"`), false, ""},

		{"event and policy stand alone", "event", "x.go", src("", `"rapport/internal/fault"`), true, "fault"},
		{"event and policy stand alone", "event", "x.go", src("", `"github.com/google/uuid"`), true, "uuid"},
		{"event and policy stand alone", "policy", "x.go", src("", `"rapport/event"`), true, "rapport/event"},
		{"event and policy stand alone", "policy", "x_test.go", src("", `"rapport/policy"`, `"pgregory.net/rapid"`), false, ""},
		{"event and policy stand alone", "event", "x.go", src("", `"encoding/json"`), false, ""},

		{"internal knows no context", "internal/relay", "x.go", src("", `"rapport/chat"`), true, "rapport/chat"},
		{"internal knows no context", "internal/relay", "x_test.go", src("", `"rapport/learning/step"`), true, "learning/step"},
		{"internal knows no context", "internal/relay", "x.go", src("", `"rapport/event"`), false, ""},

		{"log and database do not know events", "internal/eventlog/embedded", "x.go", src("", `"rapport/event"`), true, "rapport/event"},
		{"log and database do not know events", "internal/sqldb", "x.go", src("", `"rapport/event"`), true, "rapport/event"},
		{"log and database do not know events", "internal/sqldb", "x.go", src("", `"rapport/internal/eventlog"`), false, ""},

		{"pure packages have no side effects", "policy", "x.go", src("var x = time.Now", `"time"`), true, "time.Now"},
		{"pure packages have no side effects", "learning/step", "x.go", src("func f() { c.Since(t) }", `c "time"`), true, "time.Since"},
		{"pure packages have no side effects", "learning/step", "x.go", src("var x = Now()", `. "time"`), true, "time.Now"},
		{"pure packages have no side effects", "learning/fusion", "x.go", src("", `"math/rand/v2"`), true, "math/rand/v2"},
		{"pure packages have no side effects", "learning/reward", "x.go", src("", `"log/slog"`), true, "log/slog"},
		{"pure packages have no side effects", "gateway/guard", "x.go", src("", `"net/http"`), true, "net/http"},
		{"pure packages have no side effects", "gateway/rule", "x.go", src("", `"os"`), true, "imports os"},
		{"pure packages have no side effects", "chat/textsignal", "x.go", src("", `"database/sql"`), true, "database/sql"},
		{"pure packages have no side effects", "internal/authz", "x.go", src("", `"rapport/internal/sqldb"`), true, "sqldb"},
		{"pure packages have no side effects", "feedback/signal", "x.go", src("var x = event.NewID()", `"rapport/event"`), true, "event.NewID"},
		{"pure packages have no side effects", "learning/step", "x.go", src("var x = time.Second; var y = event.HashID()", `"time"`, `"rapport/policy"`, `"rapport/event"`, `"math"`), false, ""},
		{"pure packages have no side effects", "learning/step", "x_test.go", src("var x = time.Now", `"time"`, `"os"`), false, ""},
		{"pure packages have no side effects", "learning", "x.go", src("var x = time.Now", `"time"`), false, ""},

		{"pure packages use the standard library", "learning/step", "x.go", src("", `"gonum.org/v1/gonum/mat"`), true, "gonum"},
		{"pure packages use the standard library", "gateway/compile", "x.go", src("", `"golang.org/x/text"`), true, "x/text"},
		{"pure packages use the standard library", "feedback/signal", "x.go", src("", `"github.com/jonreiter/govader"`), true, "govader"},
		{"pure packages use the standard library", "chat/textsignal", "x.go", src("", `"github.com/jonreiter/govader"`), false, ""},
		{"pure packages use the standard library", "learning/population", "x.go", src("", `"gonum.org/v1/gonum/mat"`), false, ""},

		{"gonum only in population and evaluate", "learning", "x.go", src("", `"gonum.org/v1/gonum/stat"`), true, "gonum"},
		{"gonum only in population and evaluate", "simulate", "x_test.go", src("", `"gonum.org/v1/gonum/stat"`), false, ""},

		{"drivers and migrations only in sqldb", "chat", "store.go", src("", `_ "modernc.org/sqlite"`), true, "modernc.org/sqlite"},
		{"drivers and migrations only in sqldb", "internal/relay", "x_test.go", src("", `"github.com/pressly/goose/v3"`), true, "goose"},
		{"drivers and migrations only in sqldb", "app", "x.go", src("", `"github.com/jackc/pgx/v5"`), true, "pgx"},
		{"drivers and migrations only in sqldb", "internal/sqldb", "x.go", src("", `"modernc.org/sqlite"`, `"github.com/pressly/goose/v3"`), false, ""},

		{"franz-go only in eventlog/kafka", "internal/relay", "x.go", src("", `"github.com/twmb/franz-go/pkg/kgo"`), true, "franz-go"},
		{"franz-go only in eventlog/kafka", "internal/eventlog/kafka", "x.go", src("", `"github.com/twmb/franz-go/pkg/kgo"`), false, ""},

		{"OpenTelemetry only in telemetry and watch", "gateway", "x.go", src("", `"go.opentelemetry.io/otel/trace"`), true, "go.opentelemetry.io"},
		{"OpenTelemetry only in telemetry and watch", "gateway/watch", "x.go", src("", `"go.opentelemetry.io/otel/trace"`), false, ""},
		{"OpenTelemetry only in telemetry and watch", "app", "x_test.go", src("", `"go.opentelemetry.io/proto/otlp"`), false, ""},

		{"huma only in httpapi", "chat", "http.go", src("", `"github.com/danielgtaylor/huma/v2"`), true, "huma"},
		{"huma only in httpapi", "gateway/rule", "x_test.go", src("", `"github.com/danielgtaylor/huma/v2"`), false, ""},
		{"huma only in httpapi", "internal/httpapi", "x.go", src("", `"github.com/danielgtaylor/huma/v2"`), false, ""},

		{"vendors behind the gateway", "chat", "x.go", src("", `"rapport/gateway/provider/ollama"`), true, "ollama"},
		{"vendors behind the gateway", "gateway/provider/openai", "x.go", src("", `"rapport/gateway/provider/ollama"`), true, "ollama"},
		{"vendors behind the gateway", "gateway", "x.go", src("", `"rapport/gateway/provider/ollama"`), false, ""},
		{"vendors behind the gateway", "app", "x.go", src("", `"rapport/gateway/provider/ollama"`), false, ""},
		{"vendors behind the gateway", "gateway/provider/openai", "x_test.go", src("", `"rapport/gateway/provider/openai"`, `"rapport/gateway/provider/providertest"`), false, ""},

		{"test packages only from tests", "internal/relay", "x.go", src("", `"rapport/internal/sqldb/sqldbtest"`), true, "sqldbtest"},
		{"test packages only from tests", "cmd/rapport", "x.go", src("", `"rapport/internal/sqldb/sqldbtest"`), true, "sqldbtest"},
		{"test packages only from tests", "cmd/rapport-bench", "x.go", src("", `"rapport/internal/sqldb/sqldbtest"`), false, ""},
		{"test packages only from tests", "internal/relay", "x_test.go", src("", `"rapport/internal/sqldb/sqldbtest"`), false, ""},
		{"test packages only from tests", "internal/eventlog/eventlogtest", "x.go", src("", `"rapport/internal/sqldb/sqldbtest"`), false, ""},

		{"packages say what they hold", "chat/util", "x.go", src(""), true, "util"},
		{"packages say what they hold", "internal/shared", "x.go", src(""), true, "shared"},
		{"packages say what they hold", "internal/arch", "x.go", "package helper", true, "helper"},
		{"packages say what they hold", "event", "x.go", src(""), false, ""},
	}
	rejected := map[string]bool{}
	for _, c := range cases {
		f, err := parse(c.file, c.src)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(c.src, "package "), "\n")
		p := pkg{Path: c.dir, Name: name, Files: []file{f}}
		var got []string
		for _, sentence := range check([]pkg{p}) {
			if strings.Contains(sentence, "Rule: "+c.rule+",") {
				got = append(got, sentence)
			}
		}
		if c.breaks != (len(got) == 1) {
			t.Errorf("%s: %s/%s: %q gave %q", c.rule, c.dir, c.file, c.src, got)
			continue
		}
		if c.breaks {
			rejected[c.rule] = true
			for _, part := range []string{path.Join(c.dir, c.file), c.mentions} {
				if !strings.Contains(got[0], part) {
					t.Errorf("%s: %q does not name %s", c.rule, got[0], part)
				}
			}
		}
	}
	for _, r := range rules {
		if r.Reason == "" || !rejected[r.Name] {
			t.Errorf("rule %q has no reason, or no example that it rejects", r.Name)
		}
	}
}
