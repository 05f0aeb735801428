package app

import (
	"fmt"
	"slices"
	"strings"

	"rapport/event"
)

// flow says which contexts hear which event: the whole conversation between
// contexts at a glance. A test compares it with what each context asks the relay
// for and with the cases of its handle.go.
var flow = map[event.Type][]string{}

// Flow gives the contexts that hear a type, by name.
func Flow(t event.Type) []string { return slices.Clone(flow[t]) }

// flowPage is docs/flow.md.
func flowPage() string {
	var b strings.Builder
	b.WriteString("# Who hears what\n\nPrinted from `app/flow.go` by `go test ./app -update`. Order is promised per key, nothing else.\n\n| event | on | emitted by | heard by |\n|---|---|---|---|\n")
	for _, r := range event.Registered() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Type, r.Topic, r.Emitter, strings.Join(flow[r.Type], ", "))
	}
	return b.String()
}

// configPage is docs/config.md.
func configPage() string {
	var b strings.Builder
	b.WriteString("# Settings\n\nPrinted from `app/config.go` by `go test ./app -update`. A flag wins over the environment, that over `rapport.yaml` in the data directory, that over the default. `rapport config` shows what is in force.\n\n| setting | environment | default | |\n|---|---|---|---|\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "| `%s` | `%s%s` | `%v` | %s |\n", s.Key, envPrefix, strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_")), s.Default, s.Doc)
	}
	return b.String()
}
