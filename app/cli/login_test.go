package cli

import (
	"strings"
	"testing"
)

// TestLogin: a link leads to a running server only, and keeps its secret behind the #.
func TestLogin(t *testing.T) {
	t.Parallel()
	if r := command("", "login", "--data", t.TempDir()); r.code != 1 || !strings.Contains(r.err, "start it with: rapport") {
		t.Errorf("without a server: exit %d, %s%s", r.code, r.out, r.err)
	}
	if got, want := loginURL("http://127.0.0.1:8080", "rpl_x", "/growth/luna"), "http://127.0.0.1:8080/login?next=%2Fgrowth%2Fluna#rpl_x"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
