package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// Requests without reflection are as encoding/json reads them, or left to it.
func FuzzRequest(f *testing.F) {
	files, err := filepath.Glob("testdata/requests/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var ask struct{ Body json.RawMessage }
		if err := json.Unmarshal(raw, &ask); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(ask.Body))
	}
	for _, seed := range []string{
		hi, `{"model":null,"messages":[{"role":"user","content":null,"name":null}],"stream":null,"n":null,"temperature":0,"top_p":null,"tools":[],"logprobs":false,"seed":7}`,
		`{"messages":[{}],"messages":[]}`, `{"messages":null}`, `{"messages":[null]}`, `{"messages":{}}`, `{"max_tokens":1.5}`, `{"max_tokens":3,"max_tokens":null}`, `{"stream_options":{"include_usage":true,"x":1}}`,
		`{"stream_options":null}`, `{"stop":["a"],"tool_choice":"auto","user":"u","safety_identifier":"s"}`, `{"metadata":{"session_id":"s"}}`, `{"Model":"a"}`, `{"logit_bias":{ },"functions":[1]}`, `{"response_format":{"type":"text"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want completion
		if !got.readPlain(data) {
			return
		}
		if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("reading %q\n got %+v\nwant %+v, %v", data, got, want, err)
		}
	})
}

// What is usual goes without reflection.
func TestRequestsAreReadPlainly(t *testing.T) {
	t.Parallel()
	for _, body := range []string{hi, `{"model":"agent/a","messages":[{"role":"system","content":"Ü\n"},{"role":"user","content":[{"type":"text","text":"a"}]}],"temperature":0.7,"max_tokens":50,"stream":true,"stream_options":{"include_usage":true},"x":{"Y":1}}`} {
		if !new(completion).readPlain([]byte(body)) {
			t.Errorf("by encoding/json: %s", body)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, read := range map[string]func(*completion, []byte) bool{
		"plain": (*completion).readPlain, "reflection": func(c *completion, data []byte) bool { return json.Unmarshal(data, c) == nil },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !read(new(completion), []byte(hi)) {
					b.Fatal()
				}
			}
		})
	}
}
