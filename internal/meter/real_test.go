package meter

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dataDir finds the real data beside the repository.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(filepath.Join(dir, "oasst_sample")); err != nil {
		t.Skip("no real data: set RAPPORT_DATA")
	}
	return dir
}

// lines gives a file's lines.
func lines(t *testing.T, path string) (out []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 8<<20)
	for sc.Scan() {
		out = append(out, sc.Text())
	}
	return out
}

// Texts whose kind is known are told apart: what assistants answer is more formal and
// longer than tweets, people who prompt ask more than they are asked. No data we have
// says what is funny, warm, ironic, direct or assured.
func TestRealTexts(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	var prompts, answers, tweets, rooms []string
	type message struct {
		Text, Role string
		Replies    []message
	}
	var walk func(m message)
	walk = func(m message) {
		if m.Role == "prompter" {
			prompts = append(prompts, m.Text)
		} else {
			answers = append(answers, m.Text)
		}
		for _, r := range m.Replies {
			walk(r)
		}
	}
	for _, l := range lines(t, filepath.Join(dir, "oasst_sample", "en_100_tree.jsonl")) {
		var tree struct{ Prompt message }
		if err := json.Unmarshal([]byte(l), &tree); err != nil {
			t.Fatal(err)
		}
		walk(tree.Prompt)
	}
	for i, l := range lines(t, filepath.Join(dir, "vader", "tweets_GroundTruth.txt")) {
		if f := strings.SplitN(l, "\t", 3); len(f) == 3 && i%4 == 0 {
			tweets = append(tweets, f[2])
		}
	}
	for i, l := range lines(t, filepath.Join(dir, "irc", "dev", "2004-11-15_03.raw.txt")) {
		if _, said, ok := strings.Cut(l, "> "); ok && i%2 == 0 {
			rooms = append(rooms, said)
		}
	}
	for _, c := range []struct {
		what         string
		m            Meter
		much, little []string
		want         float64
	}{
		{"formality: assistants' answers and tweets", Formality, answers, tweets, .75},
		{"formality: assistants' answers and a chat room", Formality, answers, rooms, .7},
		{"questions: prompts and answers", Questions, prompts, answers, .7},
		{"length: answers and prompts", Length, answers, prompts, .75},
	} {
		got := auc(c.m, c.much, c.little)
		t.Logf("%-50s %.3f (%d and %d texts)", c.what, got, len(c.much), len(c.little))
		if got < c.want {
			t.Errorf("%s: %.3f of the pairs are told apart, want %.2f", c.what, got, c.want)
		}
	}
}
