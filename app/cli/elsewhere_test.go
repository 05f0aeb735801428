package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"rapport/app"
)

// What is elsewhere can be said by flags; a mistake in one is told by the setting's
// name.
func TestElsewhereByFlags(t *testing.T) {
	dir := t.TempDir()
	r := must(t, "", "config", "--json", "--data", dir, "--kafka", "localhost:9092", "--postgres", "postgres://ada:secret@localhost/rapport")
	var list []app.Effective
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		switch e.Key {
		case "kafka.brokers":
			if e.Value != "localhost:9092" || e.Origin != "a flag" {
				t.Errorf("%+v", e)
			}
		case "postgres":
			if e.Value != "set" || e.Origin != "a flag" {
				t.Errorf("%+v", e)
			}
		}
	}
	if strings.Contains(r.out, "secret") {
		t.Error("a password is shown")
	}
	if r := command("", "config", "--data", dir, "--kafka", "localhost"); r.code != 1 || !strings.Contains(r.err, "kafka.brokers") {
		t.Errorf("without a port: %+v", r)
	}
	if r := command("", "--data", t.TempDir(), "--kafka", "127.0.0.1:1"); r.code != 1 || !strings.Contains(r.err, "kafka.brokers") {
		t.Errorf("where nobody is: %+v", r)
	}
}
