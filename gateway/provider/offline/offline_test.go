package offline

import (
	"context"
	"strings"
	"testing"

	"rapport/gateway/provider"
	"rapport/policy"
)

// measure counts over many messages what a person would see.
func measure(x policy.Traits) (words, questions, jokes, warm, dry int, all string) {
	topics := []string{"my garden", "an exam tomorrow", "the holidays", "a broken bicycle", "my sister", "programming", "a new kitchen", "music lessons"}
	for seed := range uint64(25) {
		for _, m := range topics {
			r := Reply(x, "Tell me about "+m, seed)
			all += r + "\n"
			words += len(strings.Fields(r))
			questions += strings.Count(r, "?")
			for _, l := range jokeLines {
				jokes += hits(r, l)
			}
			for _, l := range warmLines {
				warm += hits(r, l)
			}
			for _, l := range dryLines {
				dry += hits(r, l)
			}
		}
	}
	return
}

func hits(r, line string) int {
	part := strings.Split(line, "{topic}")
	if strings.Contains(r, part[len(part)-1]) {
		return 1
	}
	return 0
}

func at(t policy.Trait, v float64) policy.Traits {
	x := policy.Neutral()
	x[policy.Brevity] = .3
	x[t] = v
	return x
}

// Every level moves what can be seen, in order: .1, .5 and .9 differ.
func TestTraitsShow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trait policy.Trait
		see   func(x policy.Traits) int
		sign  int
	}{
		{policy.Brevity, func(x policy.Traits) int { w, _, _, _, _, _ := measure(x); return w }, -1},
		{policy.Curiosity, func(x policy.Traits) int { _, q, _, _, _, _ := measure(x); return q }, 1},
		{policy.Humor, func(x policy.Traits) int { _, _, j, _, _, _ := measure(x); return j }, 1},
		{policy.Empathy, func(x policy.Traits) int { _, _, _, w, _, _ := measure(x); return w }, 1},
		{policy.Sarcasm, func(x policy.Traits) int { _, _, _, _, d, _ := measure(x); return d }, 1},
	} {
		lo, mid, hi := c.see(at(c.trait, .1))*c.sign, c.see(at(c.trait, .5))*c.sign, c.see(at(c.trait, .9))*c.sign
		if !(lo < mid && mid < hi) {
			t.Errorf("%s at .1, .5, .9 shows %d, %d, %d", c.trait, lo, mid, hi)
		}
	}
	for _, trait := range []policy.Trait{policy.Formality, policy.Directness, policy.Assertiveness} {
		_, _, _, _, _, lo := measure(at(trait, .05))
		_, _, _, _, _, hi := measure(at(trait, .95))
		if lo == hi {
			t.Errorf("%s does not show", trait)
		}
	}
	if _, _, _, _, _, text := measure(at(policy.Formality, .05)); !strings.Contains(text, "Hey!") {
		t.Error("casual talk does not greet casually")
	}
}

func TestRepeatable(t *testing.T) {
	t.Parallel()
	x := at(policy.Humor, .8)
	if first, again := Reply(x, "hello garden", 7), Reply(x, "hello garden", 7); first != again {
		t.Error("equal requests give different replies")
	}
	if Reply(x, "hello garden", 7) == Reply(x, "hello garden", 8) && Reply(x, "hello garden", 9) == Reply(x, "hello garden", 10) {
		t.Error("the seed changes nothing")
	}
	if !strings.Contains(Reply(x, "Are you an AI?", 1), "not an AI model") {
		t.Error("it must say what it is")
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	n := 0
	req := provider.Request{Messages: []provider.Message{{Role: provider.RoleUser, Text: "my garden"}}, Behaviour: provider.Behaviour{Levels: policy.Neutral()}, Seed: 3}
	res, err := Provider{}.Stream(t.Context(), req, func(s string) error { n++; got.WriteString(s); return nil })
	if err != nil || res.Model != Model || res.Finish != provider.FinishStop || res.ReplyTokens == 0 || n < 3 {
		t.Errorf("%+v, %v, %d pieces", res, err, n)
	}
	if got.String() != Reply(policy.Neutral(), "my garden", 3) {
		t.Errorf("emitted %q", got.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Provider{}).Stream(ctx, req, func(string) error { return nil }); provider.CodeOf(err) != provider.CodeCancelled {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := (Provider{}).Stream(t.Context(), provider.Request{}, nil); err == nil {
		t.Error("a request without messages is answered")
	}
}

func TestTopicOf(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"How do tides work?": "tides", "@fernleaf what of rainbows?": "rainbows", "Jonathan: and the tides?": "tides", "Annabel (AI): @sol about music": "music",
		"tea: yes": "that", "": "that", "well-being, or sleep": "well-being",
	} {
		if got := topicOf(message); got != want {
			t.Errorf("%q: %q, not %q", message, got, want)
		}
	}
}
