package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	file := filepath.Join(t.TempDir(), "rules.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := say("print", "1")
	write(strings.Replace(first, "stay serious;", "be grave;", 1))
	if out := say("propose", file, "--note", "graver"); !strings.Contains(out, "2  proposed, made from 1 by operator") || !strings.Contains(out, "+ 0.00 to 0.20: Humor {level}/100: be grave;") {
		t.Errorf("proposed:\n%s", out)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if out := say("show", "2"); strings.Contains(out, "heard") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("never put to the test set:\n%s", out)
		}
	}
	no("approve or refuse it first", "propose", file)
	if out := say("approve", "2"); !strings.HasPrefix(out, "2  published, in force") {
		t.Errorf("approved:\n%s", out)
	}
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
	no("offline demo writes no rules", "refresh")
	write(strings.Replace(first, `"1 - brevity"`, `"1/brevity"`, 1))
	no("traitToParams.brevity.verbosity", "propose", file)
	write("# Rules")
	no("is not JSON", "propose", file)
	write(strings.Repeat(" ", 1<<20))
	no("at most", "propose", file)

	if out := say("audible"); !strings.Contains(out, "nothing was measured yet") {
		t.Errorf("before measuring:\n%s", out)
	}
	if out := say("audible", "--measure", "--trait", "brevity"); !strings.Contains(out, "brevity") || !strings.Contains(out, "  heard\n") || strings.Contains(out, "humor") {
		t.Errorf("measured:\n%s", out)
	}
	if out := say("audible"); !strings.Contains(out, "offline-demo") || !strings.Contains(out, "8 prompts") {
		t.Errorf("shown:\n%s", out)
	}
}
