package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "rapport"

var contexts = []string{"account", "chat", "feedback", "learning", "agent", "gateway", "memory", "selfplay", "content", "training", "web"}

// pure packages are functions of their arguments.
var pure = []string{
	"policy",
	"learning/reward", "learning/fusion", "learning/step", "learning/safety", "learning/fold", "learning/wire", "learning/rater", "learning/population", "learning/evaluate",
	"gateway/rule", "gateway/compile", "gateway/guard", "gateway/audible",
	"agent/card", "agent/persona", "internal/authz", "internal/sequential", "internal/meter", "chat/textsignal", "feedback/signal", "feedback/asking", "feedback/mentor",
}

// pkg is one package of the module.
type pkg struct {
	Path  string // within the module: "chat/textsignal", "" for the root
	Name  string // of its package clause
	Files []file
}

// file is what a rule may look at.
type file struct {
	Name    string
	Test    bool
	Imports []string // import paths; those of the module without its name: "event"
	Ours    []bool   // whether Imports[i] is of the module
	Uses    []string // qualified names used: "time.Now", by import path
}

// rule is one arrow that must never exist.
type rule struct {
	Name   string
	Reason string
	// Breaks says what of a file breaks the rule, empty when nothing does.
	Breaks func(p pkg, f file) string
}

var rules = []rule{
	{
		Name:   "contexts are strangers",
		Reason: "contexts speak through events; a question that needs an answer now is a one-method interface of the asker, joined in app",
		Breaks: func(p pkg, f file) string {
			self := contextOf(p.Path)
			return ours(f, func(to string) bool { c := contextOf(to); return self != "" && c != "" && c != self })
		},
	},
	{
		Name:   "only cmd imports app",
		Reason: "app joins everything; whoever imports it depends on everything",
		Breaks: func(p pkg, f file) string {
			if under(p.Path, "app") || under(p.Path, "cmd/rapport") || under(p.Path, "cmd/rapport-bench") {
				return ""
			}
			return ours(f, func(to string) bool { return under(to, "app") })
		},
	},
	{
		Name:   "event and policy stand alone",
		Reason: "everybody speaks this vocabulary, so it may depend on nobody; an implementation behind it would come along everywhere",
		Breaks: func(p pkg, f file) string {
			if p.Path != "event" && p.Path != "policy" {
				return ""
			}
			if bad := ours(f, func(to string) bool { return to != p.Path }); bad != "" {
				return bad
			}
			return foreign(p, f, func(string) bool { return true })
		},
	},
	{
		Name:   "internal knows no context",
		Reason: "plumbing that knows its users cannot be reused by the next one, and closes a circle",
		Breaks: func(p pkg, f file) string {
			if !under(p.Path, "internal") {
				return ""
			}
			return ours(f, func(to string) bool { return contextOf(to) != "" })
		},
	},
	{
		Name:   "log and database do not know events",
		Reason: "the log moves bytes and the database rows; what they mean is the contexts' and relay's matter",
		Breaks: func(p pkg, f file) string {
			if !under(p.Path, "internal/eventlog") && !under(p.Path, "internal/sqldb") {
				return ""
			}
			return ours(f, func(to string) bool { return under(to, "event") })
		},
	},
	{
		Name:   "pure packages have no side effects",
		Reason: "the mathematics is a function of its arguments: time and randomness come in, so that a replay gives the same bytes",
		Breaks: func(p pkg, f file) string {
			if f.Test || !slices.Contains(pure, p.Path) {
				return ""
			}
			for i, imp := range f.Imports {
				if !f.Ours[i] && (slices.Contains(impure, imp) || under(imp, "database/sql") || under(imp, "net") || under(imp, "log") || under(imp, "os")) {
					return "imports " + imp
				}
			}
			for _, use := range f.Uses {
				if slices.Contains(impureUses, use) {
					return "uses " + use
				}
			}
			return ours(f, func(to string) bool {
				return to != "event" && to != "internal/fault" && !slices.Contains(pure, to)
			})
		},
	},
	{
		Name:   "pure packages use the standard library",
		Reason: "other libraries sum in another order per processor and change under us; gonum is allowed where nothing is folded, the lexicon where a text is measured once and the rounded number is stored",
		Breaks: func(p pkg, f file) string {
			if f.Test || !slices.Contains(pure, p.Path) {
				return ""
			}
			return foreign(p, f, func(imp string) bool {
				return !(under(imp, "gonum.org/v1/gonum") && gonumMay(p.Path) || imp == lexicon && p.Path == "chat/textsignal")
			})
		},
	},
	{
		Name:   "gonum only in population and evaluate",
		Reason: "its kernels sum differently per processor, and a fold must give the same bytes everywhere; in tests it may be the oracle",
		Breaks: func(p pkg, f file) string {
			if f.Test || gonumMay(p.Path) {
				return ""
			}
			return foreign(p, f, func(imp string) bool { return under(imp, "gonum.org/v1/gonum") })
		},
	},
	{
		Name:   "drivers and migrations only in sqldb",
		Reason: "one SQL text runs on both engines because nobody else knows which engine it is",
		Breaks: func(p pkg, f file) string {
			if under(p.Path, "internal/sqldb") {
				return ""
			}
			return foreign(p, f, func(imp string) bool {
				return anyUnder(imp, "modernc.org/sqlite", "github.com/jackc/pgx", "github.com/jackc/pgconn", "github.com/lib/pq",
					"github.com/mattn/go-sqlite3", "github.com/pressly/goose")
			})
		},
	},
	{
		Name:   "franz-go only in eventlog/kafka",
		Reason: "what one log cannot promise is not in the contract; a second user would lean on more",
		Breaks: func(p pkg, f file) string {
			if under(p.Path, "internal/eventlog/kafka") {
				return ""
			}
			return foreign(p, f, func(imp string) bool { return under(imp, "github.com/twmb/franz-go") })
		},
	},
	{
		Name:   "OpenTelemetry only in telemetry and watch",
		Reason: "what is told of people's talks to others is decided in one place; its conventions are in development and will change",
		Breaks: func(p pkg, f file) string {
			if f.Test || under(p.Path, "internal/telemetry") || under(p.Path, "gateway/watch") {
				return ""
			}
			return foreign(p, f, func(imp string) bool { return under(imp, "go.opentelemetry.io") })
		},
	},
	{
		Name:   "huma only in httpapi",
		Reason: "contexts decode, call a verb and encode; the framework can be replaced in one package (in tests its JSON Schema may be the oracle)",
		Breaks: func(p pkg, f file) string {
			if f.Test || under(p.Path, "internal/httpapi") {
				return ""
			}
			return foreign(p, f, func(imp string) bool { return under(imp, "github.com/danielgtaylor/huma") })
		},
	},
	{
		Name:   "vendors behind the gateway",
		Reason: "a vendor is one folder that can be added or removed; nobody depends on one by name",
		Breaks: func(p pkg, f file) string {
			return ours(f, func(to string) bool {
				vendor, in := strings.CutPrefix(to, "gateway/provider/")
				if !in || strings.HasSuffix(vendor, "test") {
					return false
				}
				vendor, _, _ = strings.Cut(vendor, "/")
				return p.Path != "gateway" && p.Path != benches && !under(p.Path, "app") && !under(p.Path, "gateway/provider/"+vendor)
			})
		},
	},
	{
		Name:   "test packages only from tests",
		Reason: "fakes and suites must not reach a running program",
		Breaks: func(p pkg, f file) string {
			if f.Test || testPackage(p.Path) || p.Path == benches {
				return ""
			}
			return ours(f, testPackage)
		},
	},
	{
		Name:   "packages say what they hold",
		Reason: "a name like this collects whatever has no place; name the package after the thing it owns",
		Breaks: func(p pkg, f file) string {
			for _, name := range []string{path.Base(p.Path), strings.TrimSuffix(p.Name, "_test")} {
				if slices.Contains(noNames, name) {
					return "the package is called " + name
				}
			}
			return ""
		},
	},
}

var (
	impure = []string{"math/rand", "math/rand/v2", "crypto/rand", "syscall", "testing"}
	// impureUses: time by the clock, and ids that hold the clock and randomness.
	impureUses = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.Tick", "time.NewTimer", "time.NewTicker",
		"time.AfterFunc", "time.Local", "event.NewID"}
	noNames = []string{"util", "utils", "common", "base", "helper", "helpers", "models", "types", "shared", "core", "manager"}
)

// lexicon is the library that knows how pleased words sound.
const lexicon = "github.com/jonreiter/govader"

func gonumMay(p string) bool { return p == "learning/population" || p == "learning/evaluate" }

// benches is the program that measures: it may set up what tests set up.
const benches = "cmd/rapport-bench"

func testPackage(p string) bool { return strings.HasSuffix(path.Base(p), "test") }

func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

func anyUnder(p string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return under(p, d) })
}

// contextOf is the context that a package is part of, empty for others.
func contextOf(p string) string {
	first, _, _ := strings.Cut(p, "/")
	if slices.Contains(contexts, first) {
		return first
	}
	return ""
}

// ours gives the first import of the module that is bad.
func ours(f file, bad func(to string) bool) string {
	for i, imp := range f.Imports {
		if f.Ours[i] && bad(imp) {
			return "imports " + module + "/" + imp
		}
	}
	return ""
}

// foreign gives the first import of another module that is bad. Tests of the
// standing-alone packages may use libraries.
func foreign(p pkg, f file, bad func(imp string) bool) string {
	if f.Test && (p.Path == "event" || p.Path == "policy") {
		return ""
	}
	for i, imp := range f.Imports {
		if first, _, _ := strings.Cut(imp, "/"); !f.Ours[i] && strings.Contains(first, ".") && bad(imp) {
			return "imports " + imp
		}
	}
	return ""
}

// check gives one sentence for each broken rule of each file.
func check(pkgs []pkg) []string {
	var out []string
	for _, p := range pkgs {
		for _, f := range p.Files {
			for _, r := range rules {
				if bad := r.Breaks(p, f); bad != "" {
					out = append(out, fmt.Sprintf("%s %s. Rule: %s, because %s.", path.Join(p.Path, f.Name), bad, r.Name, r.Reason))
				}
			}
		}
	}
	return out
}
