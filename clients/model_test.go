package clients

import (
	"bufio"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAModel raises an agent that speaks by a real language model, small and slow
// as it is: brevity is heard, a press on a tone button is heard in the next
// answer, and what its owner thinks of the answers reaches the learner.
func TestAModel(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a language model on one thread; cut for -short")
	}
	m := startModel(t, fetched(t, "RAPPORT_MODEL", "rapport-model", "model"))
	s := start(t, build(t), "RAPPORT_PROVIDER_BASE_URL="+m.url+"/v1", "RAPPORT_PROVIDER_MODEL="+m.name)
	ann := s.owner()

	ids := map[string]string{}
	for name, brevity := range map[string]float64{"brief": .95, "wordy": .25} {
		var made struct{ ID string }
		s.post(ann, "/v1/agents", map[string]any{"name": name}, &made)
		s.do(ann, http.MethodPut, "/v1/agents/"+name+"/traits", map[string]any{"traits": map[string]float64{"brevity": brevity}}, nil)
		ids[name] = made.ID
	}
	s.settled()
	// So small a model answers some questions with one word whatever it is told:
	// pairs of answers are added until the difference is clear.
	var more []float64
	for _, topic := range []string{"friends", "rain", "cooking", "sleep", "the sky", "autumn", "books", "trains", "bread", "the moon", "music", "dogs", "winter", "tea", "cities", "birds"} {
		brief, wordy := s.ask(ann, "brief", "", "Tell me about "+topic+"."), s.ask(ann, "wordy", "", "Tell me about "+topic+".")
		more = append(more, float64(len(strings.Fields(wordy.text))-len(strings.Fields(brief.text))))
		if sure(more) {
			break
		}
	}
	t.Logf("words that answers of a wordy agent have more than those of a brief one: %v", more)
	if !sure(more) {
		t.Error("the model does not hear how brief it is to be")
	}

	// The loop: an answer; shorter!; the next answer of the same talk; a thumb.
	first := s.ask(ann, "wordy", "one", "Tell me about the sea.")
	s.post(ann, "/v1/feedback", map[string]any{"kind": "tone", "value": "shorter", "decisionId": first.id}, nil)
	second := s.ask(ann, "wordy", "one", "Tell me about the moon.")
	s.post(ann, "/v1/feedback", map[string]any{"kind": "thumb", "value": "up", "decisionId": second.id}, nil)
	if before, after := s.asked(ann, first.id), s.asked(ann, second.id); before != "" || after != "brevity" {
		t.Errorf("the answers were asked for more or less of %q, then %q", before, after)
	}
	s.settled()
	var learned struct{ PositiveCount int }
	if s.do(ann, http.MethodGet, "/v1/agents/"+ids["wordy"]+"/learning", nil, &learned); learned.PositiveCount != 1 {
		t.Errorf("the learner has heard of %d thumbs up", learned.PositiveCount)
	}
}

// settled waits until everything that was said took effect.
func (s *server) settled() {
	s.t.Helper()
	for range 500 {
		var lag struct{ Behind int }
		if s.do(s.token, http.MethodGet, "/v1/admin/lag", nil, &lag); lag.Behind == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("what was said takes no effect")
}

// reply is an answer of an agent.
type reply struct{ id, text string }

// ask says something to an agent, in a talk if it is named.
func (s *server) ask(token, agent, talk, text string) reply {
	s.t.Helper()
	var out struct {
		ID      string
		Choices []struct{ Message struct{ Content string } }
	}
	s.post(token, "/v1/chat/completions", map[string]any{"model": "agent/" + agent, "messages": []map[string]string{{"role": "user", "content": text}},
		"metadata": map[string]string{"session_id": agent + talk + map[bool]string{true: text}[talk == ""]}}, &out)
	if len(out.Choices) != 1 || out.Choices[0].Message.Content == "" {
		s.t.Fatalf("%s to %q: %+v", agent, text, out)
	}
	return reply{out.ID, out.Choices[0].Message.Content}
}

// asked names the traits of a decision that tone buttons had moved.
func (s *server) asked(token, decision string) string {
	s.t.Helper()
	var out struct{ Asked []struct{ Trait string } }
	s.do(token, http.MethodGet, "/v1/decisions/"+decision, nil, &out)
	names := make([]string, len(out.Asked))
	for i, one := range out.Asked {
		names[i] = one.Trait
	}
	return strings.Join(names, " ")
}

// sure says whether values are above 0 by three standard errors of their mean.
func sure(values []float64) bool {
	n, sum, squares := float64(len(values)), 0., 0.
	for _, v := range values {
		sum += v
		squares += v * v
	}
	mean := sum / n
	return n >= 4 && mean > 3*math.Sqrt((squares/n-mean*mean)/(n-1))
}

// model is a language model behind an address of its own.
type model struct{ url, name string }

// startModel serves the model of a folder until the test ends.
func startModel(t *testing.T, dir string) *model {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("model", "server.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir() // beside the modules, as in a project of their own
	if err := os.WriteFile(filepath.Join(home, "server.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(home, "node_modules")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", filepath.Join(home, "server.mjs"), filepath.Join(dir, "model.gguf"))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // its end ends the server
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(out)
	line, _ := lines.ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("the model's first line is %q", line)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return &model{url: url, name: "smollm2-135m-instruct"}
}
