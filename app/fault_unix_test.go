//go:build unix

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFullDisk lets a process of its own run out of room for its files. What it is
// given then is taken in whole or refused with 503; with room again everything
// goes on by itself, and the projections equal the log.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	onFiles(t)
	const inside = "RAPPORT_TEST_FULL_DISK"
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$")
		cmd.Env = append(os.Environ(), inside+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // writing beyond the limit is an error, not the end
	dir := t.TempDir()
	r := run(t, dir)
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	s := luna.say(question)
	r.settle()

	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	largest := int64(0)
	files, _ := filepath.Glob(filepath.Join(dir, "*.db-wal"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			largest = max(largest, info.Size())
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(largest + 64<<10), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	full := false
	words := bytes.Repeat([]byte("word "), 700)
	for n := 0; n < 400 && !full; n++ {
		r.clock.advance(2e9) // nobody is told that it is too much
		a := ada.send("POST", "/v1/feedback", map[string]string{"kind": "comment", "comment": fmt.Sprintf("%d %s", n, words), "messageId": string(s.ID)})
		switch {
		case a.status == 201:
			var got receipt
			_ = json.Unmarshal(a.body, &got)
			acknowledged[string(got.FeedbackID)] = true
		case a.status == 503:
			refusal(t, a, 503, "database_unavailable", "word")
			full = true
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if !full {
		t.Fatal("the disk never became full: this test cannot fail")
	}
	if a := ada.raw("GET", "/v1/feedback?mine=true", nil); a.status != 200 {
		t.Errorf("reading while the disk is full: %d %s", a.status, a.body)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(2e9)
	again := ada.give("thumb", "up", "messageId", string(s.ID))
	acknowledged[string(again.FeedbackID)] = true
	r.settle()
	stored := map[string]bool{}
	for line := range bytes.Lines(dump(t, r.App, "feedback", "feedback_events")) {
		if rest, ok := bytes.CutPrefix(line, []byte(`feedback_id="`)); ok {
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			stored[string(id)] = true
		}
	}
	for id := range acknowledged {
		if !stored[id] {
			t.Errorf("%s was acknowledged and is gone", id)
		}
	}
	if len(stored) != len(acknowledged) {
		t.Errorf("%d stored, %d acknowledged", len(stored), len(acknowledged))
	}
	sound(t, r)
	if luna.say(question).Text == "" {
		t.Error("no answer after there was room again")
	}
}
