package cli

import (
	"strings"
	"testing"
)

// What a policy becomes is shown whole: the prompt, examples, every number, the
// route, where each comes from, and what the model would refuse.
func TestCompile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, "Hello\n/quit\n", "chat", "luna", "--data", dir)
	out := must(t, "", "compile", "luna", "--x", "humor=0.9,brevity=0.3", "--data", dir).out
	for _, want := range []string{
		"You play one character", "- Humor 90/100: be a comedian", "- Length: about 147 words.", "→ A moment of silence for the plant.",
		"(rules version 1, hash ", "preamble", "quoted-data", "not-negotiable",
		"humor          humor.5                Humor 90/100", "brevity        brevity.2              Brevity 30/100",
		"humor          example.humor          example: A moment of silence",
		"brevity        brevity.reply_words    reply_words = 147", "brevity        brevity.reply_words    max_tokens = 520",
		"── route: offline-demo by offline-demo (default)", "── sent beside the prompt: max_tokens\n",
		"── dropped, this model would refuse them: [verbosity effort temperature top_p presence_penalty frequency_penalty]",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for _, bad := range []string{"humor", "humor=2", "charm=0.5", "humor=NaN"} {
		if r := command("", "compile", "luna", "--x", bad, "--data", dir); r.code != 1 || !strings.Contains(r.err, "humor=0.8,brevity=0.3") {
			t.Errorf("%s: exit %d %s", bad, r.code, r.err)
		}
	}
}
