package openai

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Bodies are written as encoding/json writes them, or left to it.
func TestBodiesAreWrittenAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "<|x|> & \"y\"\n", "a\xff"}))
		number := rapid.Ptr(rapid.OneOf(rapid.Float64(), rapid.Float64Range(-2, 2), rapid.SampledFrom([]float64{0, 1, .7, 1e-7, math.Copysign(0, -1), math.NaN(), math.Inf(1)})), true)
		b := body{
			Model: text.Draw(t, "model"), Stream: rapid.Bool().Draw(t, "stream"),
			Messages:      rapid.SliceOfN(rapid.Custom(func(t *rapid.T) message { return message{text.Draw(t, "role"), text.Draw(t, "content")} }), 0, 3).Draw(t, "messages"),
			StreamOptions: rapid.Ptr(rapid.Custom(func(t *rapid.T) streamOptions { return streamOptions{rapid.Bool().Draw(t, "usage")} }), true).Draw(t, "options"),
			MaxTokens:     rapid.Int().Draw(t, "tokens"), MaxCompletionTokens: rapid.IntRange(0, 1).Draw(t, "completion"),
			Temperature: number.Draw(t, "temperature"), TopP: number.Draw(t, "top"), PresencePenalty: number.Draw(t, "presence"), FrequencyPenalty: number.Draw(t, "frequency"),
			ReasoningEffort: text.Draw(t, "effort"), Verbosity: text.Draw(t, "verbosity"),
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		err := enc.Encode(b)
		if got, ok := b.AppendJSON(nil); ok && (err != nil || !bytes.Equal(append(got, '\n'), want.Bytes())) {
			t.Fatalf("%s, want %s, %v", got, want.Bytes(), err)
		}
		half := .5
		b.Temperature, b.TopP, b.PresencePenalty, b.FrequencyPenalty = &half, nil, nil, nil
		if _, ok := b.AppendJSON(nil); !ok {
			t.Fatalf("left to encoding/json: %+v", b)
		}
	})
}
