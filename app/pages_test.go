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
	b.WriteString(elsewherePage)
	return b.String()
}

const elsewherePage = `
## Databases on PostgreSQL, the log on Kafka

Each of the two may be elsewhere, or both:

` + "```" + `
createdb --template template0 --locale C --encoding UTF8 rapport
export RAPPORT_POSTGRES=postgres://rapport:secret@db.example/rapport
export RAPPORT_KAFKA_BROKERS=kafka1.example:9092,kafka2.example:9092
export RAPPORT_KAFKA_REPLICATION=3                    # losing a machine loses nothing
export RAPPORT_KAFKA_TLS=true RAPPORT_KAFKA_USER=rapport RAPPORT_KAFKA_PASSWORD=secret
rapport --data /var/lib/rapport
` + "```" + `

The data directory then holds a key and notes of what belongs together; keep it with the rest. On PostgreSQL the role needs the right to make
schemas in its database (the owner has it). On Kafka the user needs Read, Write and Create on topics, and Read on groups, whose names begin
with ` + "`kafka.prefix`" + `. Topics are made to keep everything; topics that an operator makes beforehand should have ` + "`retention.ms=-1`" + ` and
` + "`retention.bytes=-1`" + `, or who was away for longer stops and cannot go on.

One process at a time serves a database; a second one says who does and ends. When the log or the databases are away for a while, what is
acknowledged is kept, ` + "`/healthz`" + ` says ` + "`waiting`" + ` and why, and all goes on by itself. [deploy/compose.yaml](../deploy/compose.yaml) has both on one
machine.
`
