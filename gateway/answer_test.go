package gateway

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"rapport/event"
)

// Answers are written as encoding/json writes them.
func TestAnswersAreWrittenAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "<b>&</b>", "a\"b\\c\n", "\u2028", "a\xff"}))
		maybe := rapid.Ptr(text, true)
		message := rapid.Ptr(rapid.Custom(func(t *rapid.T) answerMessage {
			return answerMessage{Role: text.Draw(t, "role"), Content: maybe.Draw(t, "content")}
		}), true)
		a := completionAnswer{ID: event.DecisionID(text.Draw(t, "id")), Object: text.Draw(t, "object"), Created: rapid.Int64().Draw(t, "created"), Model: text.Draw(t, "model"),
			Fingerprint: text.Draw(t, "fingerprint"), Episode: event.EpisodeID(text.Draw(t, "episode")),
			Choices: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) choice {
				return choice{Index: rapid.Int().Draw(t, "index"), Message: message.Draw(t, "message"), Delta: message.Draw(t, "delta"), Finish: maybe.Draw(t, "finish")}
			}), 0, 3).Draw(t, "choices"),
			Usage: rapid.Ptr(rapid.Custom(func(t *rapid.T) usage {
				return usage{rapid.Int().Draw(t, "prompt"), rapid.Int().Draw(t, "completion"), rapid.Int().Draw(t, "total")}
			}), true).Draw(t, "usage"),
		}
		for _, html := range []bool{true, false} {
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(html)
			if err := enc.Encode(a); err != nil {
				t.Fatal(err)
			}
			if got := append(a.append(nil, html), '\n'); !bytes.Equal(got, want.Bytes()) {
				t.Fatalf("%s, want %s", got, want.Bytes())
			}
		}
	})
}
