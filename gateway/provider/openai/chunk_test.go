package openai

import (
	"encoding/json"
	"reflect"
	"testing"

	"rapport/gateway/provider"
)

// Chunks as servers send them, and as none should.
var chunks = []string{
	`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"a1"}`,
	`{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"\u00e9 \"so\"\n"},"finish_reason":null}]}`,
	`{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
	`{"id":"chatcmpl-1","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":0}}}`,
	`{"choices":[{"message":{"role":"assistant","content":"Grüße","annotations":[]},"finish_reason":"length"}]}`,
	`{"choices":[{"delta":{"content":null,"reasoning_content":"hm","tool_calls":[{"index":0,"function":{"arguments":"{\"a\":1}"}}]}}]}`,
}

var oddChunks = []string{
	`{"error":{"message":"x"}}`, `{"error":null,"choices":[]}`, `{"choices":null}`, `{"choices":[null]}`, `{"choices":[{"delta":null}]}`, `{"choices":[{"delta":{"content":["a"]}}]}`, `{"choices":[{"index":0},{"delta":{"content":"b"}}]}`,
	`{"id":1}`, `{"id":null,"id":"a","id":null}`, `{"ID":"a"}`, `{"usage":{"prompt_tokens":1.5}}`, `{"usage":{"prompt_tokens":null}}`, `{"usage":{"prompt_tokens":1},"usage":{"completion_tokens":2}}`, `{"usage":{},"usage":null}`, `{"choices":[{}],"choices":[]}`,
	`{"choices":[{"delta":{"content":"a"},"delta":{"refusal":"b"},"finish_reason":"stop","finish_reason":null}]}`, `{"choices":[{"delta":{"content":"\ud800"}}]}`, "{\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}", `{`, `[]`, `null`, `{"choices":[{"delta":{"content":"a"}}]} x`,
}

// The way without reflection gives what encoding/json gives, or refuses.
func FuzzChunk(f *testing.F) {
	for _, c := range append(chunks, oddChunks...) {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want chunk
		if !got.readPlain(data, provider.Result{UpstreamID: "chatcmpl-1", Model: "gpt-4o"}) {
			return
		}
		if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("reading %q\n got %+v\nwant %+v, %v", data, got, want, err)
		}
	})
}

// What servers send goes without reflection.
func TestChunksAreReadPlainly(t *testing.T) {
	t.Parallel()
	for _, c := range chunks {
		if !new(chunk).readPlain([]byte(c), provider.Result{}) {
			t.Errorf("by encoding/json: %s", c)
		}
	}
	for _, c := range oddChunks {
		var got, want chunk
		err, wrong := got.read([]byte(c), provider.Result{}), json.Unmarshal([]byte(c), &want)
		if (err == nil) != (wrong == nil) || err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v %v, want %+v %v", c, got, err, want, wrong)
		}
	}
}

func BenchmarkChunk(b *testing.B) {
	data := []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" said \"so\"\n"},"finish_reason":null}]}`)
	b.ReportAllocs()
	like := provider.Result{UpstreamID: "chatcmpl-1", Model: "gpt-4o"}
	for b.Loop() {
		var ch chunk
		if ch.read(data, like) != nil {
			b.Fatal()
		}
	}
}
