package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rapport/account"
)

// TestPrivacyCommands: one's data in a file that is never written over; a person is
// erased only when one is sure, and the proof is there to read.
func TestPrivacyCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "mine.json")
	r := command("", "my-data", file, "--data", dir)
	if r.code != 0 {
		t.Fatalf("exit %d, %s%s", r.code, r.out, r.err)
	}
	var mine struct {
		Manifest struct{ Format, Person string }
		End      struct{ Rows map[string]int }
	}
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &mine)
	}
	if err != nil || mine.Manifest.Format != "rapport-my-data/1" || mine.End.Rows["account.people"] != 1 {
		t.Errorf("%v %+v", err, mine)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if r := command("", "my-data", file, "--data", dir); r.code != 1 || !strings.Contains(r.err, "does not exist yet") {
		t.Errorf("over a file: exit %d, %s%s", r.code, r.out, r.err)
	}
	if r := command("", "erasures", "--data", dir); r.code != 0 || !strings.Contains(r.out, "nobody was erased") {
		t.Errorf("exit %d, %s%s", r.code, r.out, r.err)
	}
	// The operator erases themselves: nobody else is there.
	if r := command("", "erase", mine.Manifest.Person, "--data", dir); r.code != 1 || !strings.Contains(r.err, "--sure") {
		t.Errorf("unsure: exit %d, %s%s", r.code, r.out, r.err)
	}
	if r := command("", "erase", "nobody", "--sure", "--data", dir); r.code != 1 || !strings.Contains(r.err, "person") {
		t.Errorf("nobody: exit %d, %s%s", r.code, r.out, r.err)
	}
	r = command("", "erase", mine.Manifest.Person, "--sure", "--data", dir)
	receipt := regexp.MustCompile(`rpe_\S+`).FindString(r.out)
	if r.code != 0 || receipt == "" || !strings.Contains(r.out, "finished") {
		t.Fatalf("exit %d, %s%s", r.code, r.out, r.err)
	}
	r = command("", "erasures", receipt, "--json", "--data", dir)
	var proofs []account.Erasure
	if err := json.Unmarshal([]byte(r.out), &proofs); err != nil || len(proofs) != 1 || string(proofs[0].Person) != mine.Manifest.Person || proofs[0].Hash == "" {
		t.Errorf("%v: exit %d, %s%s", err, r.code, r.out, r.err)
	}
}
