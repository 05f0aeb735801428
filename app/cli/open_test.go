package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// No program is started where nobody looks at a screen: the output is collected,
// or goes to a file.
func TestNothingOpensUnseen(t *testing.T) {
	t.Parallel()
	screen := func(string) string { return ":0" }
	if got := opener(new(bytes.Buffer), screen); got != nil {
		t.Errorf("into a buffer: %v", got)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := opener(f, screen); got != nil {
		t.Errorf("into a file: %v", got)
	}
}
