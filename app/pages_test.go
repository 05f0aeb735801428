package app

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the generated pages")

// TestPages holds the generated pages to what the program is.
func TestPages(t *testing.T) {
	t.Parallel()
	a := openApp(t, t.TempDir())
	api, err := a.API.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"flow.md":      flowPage(),
		"config.md":    configPage(),
		"export.md":    exportPage(t, a),
		"openapi.json": string(api) + "\n",
	} {
		samePage(t, name, want)
	}
}

// samePage compares a page of docs with what it should be, or writes it.
func samePage(t testing.TB, name, want string) {
	t.Helper()
	path := filepath.Join("..", "docs", filepath.FromSlash(name))
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("docs/%s: %v; write it with go test ./app -update", name, err)
		return
	}
	if !bytes.Equal(have, []byte(want)) {
		diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(want, "\n"))
		t.Errorf("docs/%s is stale; go test ./app -update (-page +program):\n%s", name, diff[:min(len(diff), 4000)])
	}
}

// configPage is docs/config.md.
func configPage() string {
	var b strings.Builder
	b.WriteString("# Settings\n\nPrinted from `app/config.go` by `go test ./app -update`. A flag wins over the environment, that over `rapport.yaml` in the data directory, that over the default. `rapport config` shows what is in force and where it comes from. Names that start with `RAPPORT_` and are not here are no settings; `rapport config` names them.\n\n| setting | environment | default | |\n|---|---|---|---|\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "| `%s` | `%s%s` | `%v` | %s |\n", s.Key, envPrefix, strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_")), s.Default, s.Doc)
	}
	b.WriteString("\nIn `rapport.yaml` the dots are levels:\n\n```yaml\nlisten: 127.0.0.1:8080\nprovider:\n  base_url: http://127.0.0.1:11434/v1\n  model: llama3.2\n```\n")
	return b.String()
}
