package provider

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// However a reply is cut into pieces, the same of it is passed on.
func TestThinkingIsNotPassedOn(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Hello.": "Hello.", "  Hello.": "  Hello.", "<think>hm</think>\n\nHello.": "Hello.", " \n<think>a < b </thin </think>Hello <think>": "Hello <think>",
		"<think>never ends": "", "<thi": "<thi", "<b>bold</b>": "<b>bold</b>", "<think></think>日本": "日本", "  ": "", "": "", "<think>日本</think> x </think>": "x </think>",
	} {
		rapid.Check(t, func(t *rapid.T) {
			got := ""
			a := &Answer{c: &Client{cfg: Config{MaxText: 1000}}, emit: func(s string) error { got += s; return nil }}
			for rest := in; rest != ""; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "n")
				if err := a.SayAloud(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := errors.Join(a.flush(), a.pass()); err != nil || got != want {
				t.Fatalf("%q became %q, want %q (%v)", in, got, want, err)
			}
		})
	}
}
