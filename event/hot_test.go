package event

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// hotPayloads are payloads as they are written, by what they are read as.
func hotPayloads(t testing.TB) (feedback, reply, message [][]byte) {
	t.Helper()
	for pattern, to := range map[string]*[][]byte{"feedback.created.v1*.json": &feedback, "ai.reply.generated.v1*.json": &reply, "message.created.v1*.json": &message} {
		names, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no sample %s: %v", pattern, err)
		}
		for _, name := range names {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var e Event
			if err := e.UnmarshalJSON(raw); err != nil {
				t.Fatal(err)
			}
			var p any = &FeedbackCreated{}
			switch to {
			case &reply:
				p = &ReplyGenerated{}
			case &message:
				p = &MessageCreated{}
			}
			if err := json.Unmarshal(e.Data, p); err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			*to = append(*to, b)
		}
	}
	return feedback, reply, message
}

func agreeHot[T any](t *testing.T, data []byte, read func(*T) bool) {
	var got, want T
	ok := read(&got)
	if err := json.Unmarshal(data, &want); ok && (err != nil || !reflect.DeepEqual(got, want)) {
		t.Errorf("reading %s\n got %+v\nwant %+v, %v", data, got, want, err)
	}
}

func FuzzHot(f *testing.F) {
	feedback, reply, message := hotPayloads(f)
	for _, b := range slices.Concat(feedback, reply, message) {
		f.Add(b)
	}
	for _, seed := range []string{
		`{}`, `{,"feedbackId":"f"}`, `{"feedbackId":"f",}`, `{"feedbackId":"f"}}`, `{"feedbackId":"f\n"}`, `{"feedbackId":null}`, `{"score":-0,"shares":[]}`,
		`{"score":1e999}`, `{"score":01}`, `{"shares":[{}]}`, `{"shares":[{},]}`, `{"shares":[{"episodeId":"e","start":1.5}]}`, `{"shares":[,{}]}`, `{"sentiment":null}`, `{"sentiment":.5}`,
		`{"measured":{"meter":1,"levels":{"a":1,"a":2}}}`, `{"measured":{}}`, `{"measured":{"levels":{}},"tags":[]}`, `{"protected":true,"imported":false}`, `{"protected":yes}`,
		`{"roomId":"r","author":{"kind":"person","personId":"p"},"sequence":3,"addressed":[],"sessions":[{"agentId":"a","sessionId":"s"}],"features":{"detector":2,"sentiment":-.5,"tags":["x"]},"turn":{},"direct":true}`,
		`{"roomId":"r","author":{},"features":{},"turn":{"detector":1,"to":"a","chance":0.75,"about":"m","first":true,"trouble":1e-3}}`, `{"author":null}`, `{"turn":null}`, `{"author":{"agentId":"a","kind":"agent"}}`, `{"turn":{"detector":1,}}`,
		`{"free":65535}`, `{"free":65536}`, `{"free":-1}`, `{"free":1e1}`, `{"x":[1,2.5,-3e-7],"rendered":[]}`, `{"x":null}`, `{"action":"a","tags":["b","c"]}`, `{"promptTokens":9223372036854775808}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		agreeHot(t, data, func(p *FeedbackCreated) bool { return p.readHot(data) })
		agreeHot(t, data, func(p *ReplyGenerated) bool { return p.readHot(data) })
		agreeHot(t, data, func(p *MessageCreated) bool { return p.readHot(data) })
	})
}

// What json.Marshal writes of the samples takes the fast way, but a direction.
func TestHotIsTheCommonForm(t *testing.T) {
	t.Parallel()
	feedback, reply, message := hotPayloads(t)
	for _, b := range feedback {
		var p FeedbackCreated
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatal(err)
		}
		if fast := new(FeedbackCreated).readHot(b); fast != (p.Direction == nil) {
			t.Errorf("fast: %v, %s", fast, b)
		}
	}
	for _, b := range reply {
		if !new(ReplyGenerated).readHot(b) {
			t.Errorf("not fast: %s", b)
		}
	}
	for _, b := range message {
		if !new(MessageCreated).readHot(b) {
			t.Errorf("not fast: %s", b)
		}
	}
}

func BenchmarkHot(b *testing.B) {
	feedback, reply, _ := hotPayloads(b)
	for name, data := range map[string][]byte{"feedback": feedback[0], "reply": reply[0]} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if name == "feedback" {
					new(FeedbackCreated).readHot(data)
				} else {
					new(ReplyGenerated).readHot(data)
				}
			}
		})
		b.Run(name+" by encoding/json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if name == "feedback" {
					json.Unmarshal(data, new(FeedbackCreated))
				} else {
					json.Unmarshal(data, new(ReplyGenerated))
				}
			}
		})
		b.Run(name+" compact", func(b *testing.B) {
			for b.Loop() {
				compact(data)
			}
		})
		b.Run(name+" json.Valid", func(b *testing.B) {
			for b.Loop() {
				json.Valid(data)
			}
		})
	}
}
