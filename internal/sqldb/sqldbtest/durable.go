package sqldbtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A kill −9 keeps the kernel's page cache, so surviving one does not prove that a
// promise reached the disk; a trace of the system calls does. Both run the test
// binary again as a helper, which its TestMain hands to HelperMain.

const helperMode, helperDir = "RAPPORT_HELPER", "RAPPORT_HELPER_DIR"

// HelperMain makes a TestMain: it runs the tests, or as a helper process the
// function of its mode with a directory and ack, which tells the parent that
// what was numbered n is durable. A helper that is ready calls ack(0) first, and
// writes one thing between two acks.
func HelperMain(m *testing.M, modes map[string]func(dir string, ack func(n int)) error) {
	mode := os.Getenv(helperMode)
	if mode == "" {
		os.Exit(m.Run())
	}
	err := modes[mode](os.Getenv(helperDir), func(n int) { fmt.Fprintf(os.Stdout, "ack %d\n", n) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func helper(mode, dir string, wrapper ...string) *exec.Cmd {
	args := append(wrapper, os.Args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), helperMode+"="+mode, helperDir+"="+dir)
	return cmd
}

// Kill runs a helper that goes on forever, kills it (signal 9) after a random
// number of acks and a little more, and gives the last number it acked.
func Kill(t *testing.T, rnd *rand.Rand, mode, dir string) (acked int) {
	t.Helper()
	cmd := helper(mode, dir)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	lines := bufio.NewScanner(out)
	left := 1 + rnd.IntN(60)
	for lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "ack %d", &acked); err != nil {
			t.Errorf("the helper said %q", lines.Text())
		}
		if left--; left == 0 {
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
			cmd.Process.Kill()
		}
	}
	if left > 0 {
		t.Fatalf("the helper ended by itself: %s", &complaint)
	}
	return acked
}

// Trace runs a helper that ends by itself and fails the test when an ack left
// before the sync of what was written for it; with rejects it fails when none
// did. It skips without strace, and fails where CI is set.
func Trace(t *testing.T, mode string, rejects bool) {
	t.Helper()
	dir := t.TempDir()
	record := filepath.Join(dir, "trace")
	strace := []string{"strace", "-f", "-y", "-s", "16", "-e", "trace=write,pwrite64,pwritev,fsync,fdatasync,sync_file_range,sendto", "-o", record}
	if err := exec.Command(strace[0], append(strace[1:], "true")...).Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("strace cannot run (%v), and CI must not skip it", err)
		}
		t.Skipf("strace cannot run (%v): the order of sync and answer is not checked", err)
	}
	if out, err := helper(mode, dir, strace...).CombinedOutput(); err != nil {
		t.Fatalf("helper: %v\n%s", err, out)
	}
	calls, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	acks, err := CheckTrace(string(calls))
	switch {
	case rejects && err == nil:
		t.Errorf("mode %q answers too early, and the trace of %d acks was accepted", mode, acks)
	case !rejects && err != nil:
		t.Error(err)
	case !rejects && acks < 10:
		t.Errorf("the trace holds %d acks, want 10 or more", acks)
	}
}

var (
	walWrite = regexp.MustCompile(`^\d+ +pwrite\w*\(\d+<[^>]*(?:-wal|/journal-\d)>`)
	walSync  = regexp.MustCompile(`^\d+ +f(?:data)?sync\(\d+<[^>]*(?:-wal|/journal-\d)>(.*)`)
	ackWrite = regexp.MustCompile(`^\d+ +write\(1<[^>]*>, "ack (\d+)`)
	resumed  = regexp.MustCompile(`^\d+ +<\.\.\. f(?:data)?sync resumed>(.*)`)
)

// CheckTrace reads what strace -f -y wrote of a helper and gives the number of
// acks. It is an error when an ack after the first starts without a write to the
// write-ahead log, or to a journal, since the ack before, or before a sync of that log which began
// after the write has ended well.
func CheckTrace(calls string) (acks int, err error) {
	wrote, dirty, syncing := false, false, false
	for line := range strings.Lines(calls) {
		line = strings.TrimSpace(line)
		done := ""
		switch {
		case walWrite.MatchString(line):
			wrote, dirty, syncing = true, true, false
			continue
		case walSync.MatchString(line):
			done = walSync.FindStringSubmatch(line)[1]
			if strings.Contains(done, "<unfinished") {
				syncing = true
				continue
			}
			syncing = true
		case resumed.MatchString(line):
			done = resumed.FindStringSubmatch(line)[1]
		case ackWrite.MatchString(line):
			n := ackWrite.FindStringSubmatch(line)[1]
			if dirty {
				err = errors.Join(err, fmt.Errorf("ack %s left before its write was synced", n))
			}
			if !wrote && acks > 0 {
				err = errors.Join(err, fmt.Errorf("ack %s left before anything was written for it", n))
			}
			acks++
			wrote = false
			continue
		}
		if syncing && strings.HasSuffix(done, "= 0") {
			dirty, syncing = false, false
		}
	}
	if acks == 0 {
		err = errors.Join(err, errors.New("no ack in the trace"))
	}
	return acks, err
}
