package intake

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/app/door"
	"rapport/event"
)

const dialogue = `{"split":"dev","set":"CIC_115","id":"C1","turns":[{"s":"S","u":"Hello.","a":[]},{"s":"U","u":"Hi","a":[]},{"s":"S","u":"","a":[["r1","O"],["r2","X"]]}]}
not json
{"set":"CIC_115","id":"C2","turns":[{"s":"Q","u":"?","a":[]}]}
{"set":"IRIS_100","id":"I1","turns":[{"s":"S","u":"Yes?","a":[["r1","T"]]},{"s":"S","u":"x","a":[["r1","Z"]]}]}
`

const channel = `[12:18] <|trey|> usual, quite stable though  :)
=== tuxx [~t@x] has joined #ubuntu
[12:20] <opteron>
[12:21]  * somebody waves
[12:22] <brad[] > Hi <all>
`

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func agents(name string) (event.AgentID, error) { return event.AgentID("agent-" + name), nil }

func TestDialoguePlainAndGzip(t *testing.T) {
	t.Parallel()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte(dialogue))
	w.Close()
	plain, err := Read(write(t, "d.jsonl", []byte(dialogue)), agents)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := Read(write(t, "d.jsonl.gz", z.Bytes()), agents)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plain.Talk, packed.Talk); diff != "" {
		t.Errorf("gzip reads differently:\n%s", diff)
	}
	want := Counts{Conversations: 1, Messages: 3, Labels: 2, Bad: 3}
	if diff := cmp.Diff(want, plain.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	for i, line := range []int{2, 3, 4} {
		if plain.Bad[i].Line != line {
			t.Errorf("bad line %d reported as %d", line, plain.Bad[i].Line)
		}
	}
	if got := []string{plain.Talk[0].Type, plain.Talk[1].Type, plain.Talk[4].Type}; !cmp.Equal(got, []string{door.RoomCreated, door.MessageIngest, door.SessionEnded}) {
		t.Errorf("item types %v", got)
	}
	if plain.Marks[0].ID == plain.Marks[1].ID {
		t.Error("two raters share an id")
	}
}

func TestChannel(t *testing.T) {
	t.Parallel()
	r, err := Read(write(t, "2004-11-15_03.raw.txt", []byte(channel)), agents)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Counts{Conversations: 1, Messages: 2, Other: 2, Bad: 1}, r.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if r.Bad[0].Line != 3 {
		t.Errorf("the empty message is line 3, reported as %d", r.Bad[0].Line)
	}
	if r.Talk[1].Time != "2004-11-15T12:18:00Z" {
		t.Errorf("time %q", r.Talk[1].Time)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"empty": "", "prose": "Dear diary,\n", "binary": "\x00\x01\x02", "broken gzip": "\x1f\x8bgarbage"} {
		if _, err := Read(write(t, "x", []byte(data)), agents); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(dialogue))
	f.Add([]byte(channel))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Skip()
		}
		r, err := Read(path, agents)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, it := range r.Talk {
			if it.Type == door.MessageIngest && it.ID == "" {
				t.Error("item without id")
			}
			seen[it.ID] = true
		}
		if r.Format == "irc" && r.Counts.Messages != len(r.Talk)-1 {
			t.Errorf("%d messages counted, %d items", r.Counts.Messages, len(r.Talk))
		}
	})
}
