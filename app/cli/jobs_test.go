package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"rapport/app"
	"rapport/learning"
)

// Jobs and releases are the same beside a server and without one.
func TestJobsAndReleases(t *testing.T) {
	t.Parallel()
	for _, beside := range []bool{false, true} {
		name := map[bool]string{false: "alone", true: "beside a server"}[beside]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if beside {
				cfg, err := app.LoadConfig(map[string]any{"data": dir})
				if err != nil {
					t.Fatal(err)
				}
				cfg.Learning.Jobs = 0 // as in a command alone
				a, err := app.Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				if err := a.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			say := func(args ...string) string {
				t.Helper()
				return must(t, "", append(args, "--data", dir)...).out
			}
			order := []string{"calibrate", "reputation", "refit", "adopt", "guard", "release"}
			lines := strings.Split(strings.TrimSpace(say("jobs")), "\n")
			if len(lines) != len(order) {
				t.Fatalf("jobs:\n%s", strings.Join(lines, "\n"))
			}
			for i, name := range order {
				if !strings.HasPrefix(lines[i], name+" ") || !strings.Contains(lines[i], "never ran") {
					t.Errorf("line %d: %s", i, lines[i])
				}
			}
			if out := say("jobs", "run", "refit"); !strings.HasPrefix(out, "refit ") || !strings.Contains(out, "unchanged: ") || strings.Count(out, "\n") != 1 {
				t.Errorf("one job:\n%s", out)
			}
			if out := say("jobs", "run"); strings.Count(out, "unchanged: ") != len(order) {
				t.Errorf("all jobs:\n%s", out)
			}
			var runs []learning.Run
			if err := json.Unmarshal([]byte(say("jobs", "list", "--json")), &runs); err != nil || len(runs) != len(order) || runs[5].Outcome != learning.RunUnchanged || runs[5].Due == 0 {
				t.Errorf("%+v, %v", runs, err)
			}
			if r := command("", "jobs", "run", "dream", "--data", dir); r.code != 1 || !strings.Contains(r.err, "no job") || !strings.Contains(r.err, "rapport jobs") {
				t.Errorf("an unknown job: exit %d %s", r.code, r.err)
			}
			if out := say("archetypes"); !strings.HasPrefix(out, "none yet") {
				t.Errorf("archetypes:\n%s", out)
			}

			if out := say("releases"); !strings.HasPrefix(out, "none yet") {
				t.Errorf("releases:\n%s", out)
			}
			if r := command("", "releases", "propose", "humor=0.9", "--data", dir); r.code != 1 || !strings.Contains(r.err, "0.05") {
				t.Errorf("too far: exit %d %s", r.code, r.err)
			}
			var release learning.Release
			if err := json.Unmarshal([]byte(say("releases", "propose", "humor=0.55", "brevity=0.48", "--json")), &release); err != nil || release.Stage != "shadow" || len(release.To) != 2 {
				t.Errorf("%+v, %v", release, err)
			}
			if out := say("releases"); !strings.Contains(out, "shadow") || !strings.Contains(out, "brevity 0.50 → 0.48, humor 0.50 → 0.55") {
				t.Errorf("releases:\n%s", out)
			}
			if out := say("releases", "revert", release.ID); !strings.Contains(out, "reverted") {
				t.Errorf("reverted:\n%s", out)
			}
			if r := command("", "releases", "revert", release.ID, "--data", dir); r.code != 1 || !strings.Contains(r.err, "already") {
				t.Errorf("reverted twice: exit %d %s", r.code, r.err)
			}
		})
	}
}
