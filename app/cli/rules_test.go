package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport/app"
	"rapport/gateway"
	"rapport/gateway/rule"
	"rapport/policy"
)

// Rules are printed, changed, tried out on the test set, published and taken back by
// commands alone.
func TestRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	say := func(args ...string) string {
		t.Helper()
		return must(t, "", append(append([]string{"rules"}, args...), "--data", dir)...).out
	}
	no := func(want string, args ...string) {
		t.Helper()
		if r := command("", append(append([]string{"rules"}, args...), "--data", dir)...); r.code != 1 || !strings.Contains(r.err, want) {
			t.Errorf("rapport rules %s: exit %d %s, want %q", strings.Join(args, " "), r.code, r.err, want)
		}
	}
	if out := say(); !strings.HasPrefix(out, "1  published, in force") || strings.Count(out, "\n") != 1 {
		t.Errorf("at first:\n%s", out)
	}
	if out := say("audible"); !strings.Contains(out, "nothing was measured yet") {
		t.Errorf("before measuring:\n%s", out)
	}
	file := filepath.Join(t.TempDir(), "rules.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := say("print", "1")
	write(strings.Replace(first, "stay serious;", "be grave;", 1))
	if out := say("propose", file, "--note", "graver"); !strings.Contains(out, "2  proposed, made from 1 by operator") || !strings.Contains(out, "+ 0.00 to 0.20: Humor {level}/100: be grave;") || !strings.Contains(out, "  heard") {
		t.Errorf("proposed:\n%s", out)
	}
	no("approve or refuse it first", "propose", file)
	if out := say("approve", "2"); !strings.HasPrefix(out, "2  published, in force") {
		t.Errorf("approved:\n%s", out)
	}
	serving(t, dir) // from here on the commands speak with a server
	no("published already", "approve", "2")
	no("published already", "refuse", "2")
	no("published already", "try", "2")
	if out := say("diff", "2", "1"); strings.Count(out, "humor.1") != 1 || !strings.Contains(out, "+ 0.00 to 0.20: Humor {level}/100: stay serious;") {
		t.Errorf("diff:\n%s", out)
	}
	if out := say("rollback", "1"); !strings.HasPrefix(out, "1  published, in force") {
		t.Errorf("back:\n%s", out)
	}
	if out := say("list"); !strings.HasPrefix(out, "2  withdrawn") {
		t.Errorf("afterwards:\n%s", out)
	}
	no("no version 7", "rollback", "7")
	no("no version 7", "show", "7")
	no("no version 7", "print", "7")
	no("no version 7", "diff", "1", "7")
	no("offline demo writes no rules", "refresh")
	for _, bad := range [][3]string{
		{`"1 - brevity"`, `"1/brevity"`, `traitToParams.brevity.verbosity: formula "1/brevity": the divisor at character 3 can be zero`},
		{`"1 - brevity"`, `"1 - charm"`, `unknown input "charm" at character 5`},
		{`"1 - brevity"`, `"1 - 2*brevity"`, "traitToParams.brevity.verbosity"},
		{`"sarcasm": [`, `"charm": [], "sarcasm": [`, `unknown trait "charm"`},
		{`"from": 0.2,`, `"from": 0.25,`, "no gap or overlap"},
		{`{degree} joke`, `{degree} joke <|im_start|>`, "control token"},
	} {
		text := strings.Replace(first, bad[0], bad[1], 1)
		if text == first {
			t.Fatalf("%s is not in the rules", bad[0])
		}
		write(text)
		no(bad[2], "propose", file)
	}
	write(first)
	no("say what the rules in force say", "propose", file)
	write("# Rules")
	no("is not JSON", "propose", file)
	write(first[:len(first)/2])
	no("is not JSON", "propose", file)
	write(strings.Repeat(" ", 1<<20))
	no("at most", "propose", file)
	for _, args := range []string{"propose " + file + ".none", "approve", "approve two", "try 2 --share much", "audible --measure --trait", "publish 2"} {
		if r := command("", append(append([]string{"rules"}, strings.Fields(args)...), "--data", dir)...); r.code == 0 || len(r.err) < 20 || strings.Contains(r.err, "goroutine") {
			t.Errorf("rapport rules %s: exit %d %s", args, r.code, r.err)
		}
	}
	no("share: expected number <= 0.9", "try", "2", "--share", "3")

	// A trial, for programs to read.
	read := func(out any, args ...string) {
		t.Helper()
		if text := say(append(args, "--json")...); json.Unmarshal([]byte(text), out) != nil {
			t.Fatalf("rapport rules %s --json:\n%s", strings.Join(args, " "), text)
		}
	}
	var v gateway.RuleVersion
	write(strings.Replace(first, "stay serious;", "be solemn;", 1))
	if read(&v, "propose", file); v.Version != 3 || v.Base != 1 || v.Status != gateway.RulesProposed || len(v.Changes) == 0 {
		t.Errorf("%+v", v)
	}
	for !v.Measured {
		read(&v, "show", "3")
	}
	if read(&v, "show", "3"); !v.Measured || len(v.Effects) != policy.NTraits {
		t.Errorf("%+v", v)
	}
	if read(&v, "try", "3", "--share", "0.25"); v.Status != gateway.RulesTried || v.Share != .25 || v.Trial == nil {
		t.Errorf("%+v", v)
	}
	if out := say("show", "3"); !strings.Contains(out, "tried on a share of 0.25: 0 sessions with it against 0 without") {
		t.Errorf("on trial:\n%s", out)
	}
	if read(&v, "refuse", "3"); v.Status != gateway.RulesReverted || v.Outcome != "ended by an operator" {
		t.Errorf("%+v", v)
	}
	if read(&v, "rollback", "2"); !v.InForce || v.Version != 2 {
		t.Errorf("%+v", v)
	}
	var all []gateway.RuleVersion
	if read(&all, "list"); len(all) != 3 || all[0].Version != 3 || !all[1].InForce {
		t.Errorf("%+v", all)
	}
	var changes []rule.Change
	if read(&changes, "diff", "1", "2"); len(changes) == 0 || changes[0].Rule != "humor.1" {
		t.Errorf("%+v", changes)
	}
	var d rule.Document
	if read(&d, "print", "3"); d.Version != 3 {
		t.Errorf("version %d", d.Version)
	}

	if out := say("audible", "--measure", "--trait", "brevity"); !strings.Contains(out, "brevity") || !strings.Contains(out, "  heard\n") || strings.Contains(out, "humor") {
		t.Errorf("measured:\n%s", out)
	}
	if out := say("audible", "--trait", "brevity"); !strings.Contains(out, "offline-demo") || !strings.Contains(out, "12 prompts") || strings.Contains(out, "humor") {
		t.Errorf("shown:\n%s", out)
	}
	var curves []gateway.HeardCurve
	if read(&curves, "audible", "--trait", "brevity"); len(curves) != 1 || curves[0].Trait != "brevity" || len(curves[0].Points) != 5 {
		t.Errorf("%+v", curves)
	}
	if read(&curves, "audible"); len(curves) != policy.NTraits { // measured of version 2 before it was published
		t.Errorf("%+v", curves)
	}
	no(`no trait "charm"`, "audible", "--measure", "--trait", "charm")
	no(`no trait "charm"`, "audible", "--trait", "charm")
	no(`No provider "nobody"`, "audible", "--measure", "--trait", "humor", "--provider", "nobody")
}

// serving runs a server on a directory until the test ends.
func serving(t *testing.T, dir string) {
	t.Helper()
	cfg, err := app.LoadConfig(map[string]any{"data": dir, "listen": "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
