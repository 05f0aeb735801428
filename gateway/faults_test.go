package gateway

import (
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/openai"
	"rapport/gateway/provider/providertest"
)

// ailment is what can be wrong with a model's server, and what a person sees of it.
type ailment struct {
	name   string
	step   providertest.Step
	config func(c *provider.Config, f *providertest.Fake)

	status int    // of an answer that does not stream
	code   string // of its error, '' for a reply
	says   string // in it: of the error or the reply
	begins bool   // something was said before: a stream ends with an error chunk
	room   string // why there is no reply in a room, '' for a reply
}

var wrongKey = func(c *provider.Config, f *providertest.Fake) { f.Key = "right" }

var faultsSeen = []ailment{
	{name: "hangs", step: providertest.Step{Hang: true}, status: 504, code: "timeout", room: provider.CodeTimeout},
	{name: "trickles", step: providertest.Step{Drip: true}, status: 504, code: "timeout", room: provider.CodeTimeout},
	{name: "hangs in the middle", step: providertest.Step{HangMid: true}, status: 504, code: "timeout", begins: true, room: provider.CodeTimeout},
	{name: "dies in the middle", step: providertest.Step{DieAfter: 1}, status: 502, code: "model_stream_broken", begins: true, room: provider.CodeBroken},
	{name: "fails in the middle", step: providertest.Step{Reply: []string{"Hello "}, Fails: "WORDS-FROM-OUTSIDE"}, status: 502, code: "model_upstream_error", begins: true, room: provider.CodeUpstream},
	{name: "broken UTF-8", step: providertest.Step{Raw: []string{"{\"choices\":[{\"delta\":{\"content\":\"He\xffllo\xc3.\"}}]}"}}, status: 200, says: "He"},
	{name: "ten megabytes", step: providertest.Step{Bytes: 10 << 20}, status: 200, says: "xxxx"},
	{name: "ten megabytes of words", step: providertest.Step{Reply: slices.Repeat([]string{strings.Repeat("word. ", 1<<10)}, 10<<10/6)}, status: 200, says: "word."},
	{name: "nothing", step: providertest.Step{Reply: []string{}}, status: 502, code: "model_empty_answer", room: provider.CodeEmpty},
	{name: "nothing to see", step: providertest.Step{Reply: []string{"\u200b", " \n"}}, status: 502, code: "model_empty_answer", room: provider.CodeEmpty},
	{name: "a refusal", step: providertest.Step{Reply: []string{}, Finish: "content_filter"}, status: 400, code: "content_filter", room: provider.FinishFilter},
	{name: "a refusal of the prompt", step: providertest.Step{Status: 400, Body: `{"error":{"message":"WORDS-FROM-OUTSIDE","type":"invalid_request_error","code":"content_policy_violation"}}`}, status: 400, code: "content_filter", room: provider.FinishFilter},
	{name: "a wrong key", config: wrongKey, status: 502, code: "model_unauthorized", says: "check TEST_API_KEY", room: provider.CodeUnauthorized},
	{name: "no key", config: func(c *provider.Config, f *providertest.Fake) { f.Key, c.Key = "right", "" }, status: 502, code: "model_unauthorized", says: "set TEST_API_KEY", room: provider.CodeUnauthorized},
	{name: "no credit", step: providertest.Step{Status: 402, Says: "WORDS-FROM-OUTSIDE"}, status: 502, code: "model_quota_exhausted", says: "TEST_API_KEY", room: provider.CodeQuota},
	{name: "an error", step: providertest.Step{Status: 500, Says: "WORDS-FROM-OUTSIDE", Header: map[string]string{"x-should-retry": "false"}}, status: 502, code: "model_upstream_error", room: provider.CodeUpstream},
	{name: "another address", step: providertest.Step{Status: 307, Header: map[string]string{"Location": "http://127.0.0.1:1/"}}, status: 502, code: "model_redirected", room: provider.CodeMoved},
}

// behind makes a world whose model is a real adapter before a fake server.
func behind(t testing.TB, f ailment) *world {
	fake := providertest.NewFake(t, slices.Repeat([]providertest.Step{f.step}, 3)...)
	c := provider.Config{Name: "test", BaseURL: fake.URL, Key: "SECRET-KEY", KeyName: "TEST_API_KEY", FirstByte: time.Minute, Idle: time.Minute, Total: time.Minute}
	if f.code == "timeout" {
		c.FirstByte, c.Idle, c.Total = 150*time.Millisecond, 150*time.Millisecond, 300*time.Millisecond
	}
	if f.config != nil {
		f.config(&c, fake)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c.Transport = transport
	real, err := openai.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) {
		m := compile.Model{Provider: "test", ID: "llama-test", Vendor: compile.VendorCompatible}
		o.Models.Registry.Default, o.Models.Registry.Providers = []compile.Model{m}, map[string]compile.Model{"test": m}
		o.Use = map[string]provider.Provider{"test": real}
	})
	w.meet(mira)
	return w
}

// plain, stream and inRoom are what a person gets.
func (f *ailment) plain(t *testing.T, w *world) {
	resp, raw := call(t, w.serve(), "ann", "POST", "/v1/chat/completions", hi)
	f.keeps(t, raw)
	if resp.StatusCode != f.status || !strings.Contains(raw, f.says) {
		t.Fatalf("%d %.300s", resp.StatusCode, raw)
	}
	if f.code == "" {
		if a := into[completionAnswer](t, raw); *a.Choices[0].Finish == "" || len(*a.Choices[0].Message.Content) > 4*maxRunes {
			t.Errorf("%.300s", raw)
		}
	} else if p := into[openAIProblem](t, raw); p.Error.Code != f.code || p.Error.Message == "" {
		t.Errorf("%s", raw)
	}
	f.told(t, w)
}

func (f *ailment) stream(t *testing.T, w *world) {
	resp, raw := call(t, w.serve(), "ann", "POST", "/v1/chat/completions", `{"stream":true,`+hi[1:])
	f.keeps(t, raw)
	if f.code != "" && !f.begins {
		if p := into[openAIProblem](t, raw); resp.StatusCode != f.status || p.Error.Code != f.code {
			t.Errorf("%d %s", resp.StatusCode, raw)
		}
		f.told(t, w)
		return
	}
	list, failed, done := chunks(t, raw)
	if resp.StatusCode != 200 || len(list) < 2 || (failed != nil) != f.begins || done == f.begins || f.begins && failed.Error.Code != f.code {
		t.Errorf("%d %.500s", resp.StatusCode, raw)
	}
	size := 0
	for _, c := range list {
		if len(c.Choices) > 0 && c.Choices[0].Delta.Content != nil {
			size += utf8.RuneCountInString(*c.Choices[0].Delta.Content)
		}
	}
	if size > maxRunes {
		t.Errorf("%d letters were sent", size)
	}
	f.told(t, w)
}

func (f *ailment) inRoom(t *testing.T, w *world) {
	w.said(person(ann), "Hi")
	w.work(w.s)
	replies := w.replies()
	if f.room == "" {
		if len(replies) != 1 || !strings.Contains(replies[0].Text, f.says) || utf8.RuneCountInString(replies[0].Text) > maxRunes || !utf8.ValidString(replies[0].Text) || len(w.troubles) != 0 {
			t.Errorf("%d replies, %+v", len(replies), w.troubles)
		}
	} else if len(replies) != 0 || len(w.troubles) != 1 || w.troubles[0].Code != f.room || w.troubles[0].Says == saysUnknown {
		t.Errorf("%+v, %+v", replies, w.troubles)
	}
	f.told(t, w)
}

// told checks the record: the newest decision, with what became of it.
func (f *ailment) told(t *testing.T, w *world) {
	t.Helper()
	told := w.told()
	if newest := told[len(told)-1]; (newest.Action == "reply") != (f.room == "") || newest.Error != f.room {
		t.Errorf("%+v", newest)
	}
}

// keeps checks that nobody's secrets and none of the server's words come out.
func (f *ailment) keeps(t *testing.T, raw string) {
	t.Helper()
	if strings.Contains(raw, "SECRET") || strings.Contains(raw, "WORDS-FROM-OUTSIDE") || !utf8.ValidString(raw) {
		t.Errorf("%.300s", raw)
	}
}

func TestFaultsOfAProvider(t *testing.T) {
	t.Parallel()
	for _, f := range faultsSeen {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := behind(t, f)
			f.plain(t, w)
			f.stream(t, w)
			f.inRoom(t, w)
			if n := len(w.told()); n != 3 {
				t.Errorf("%d decisions were told", n)
			}
		})
	}
}

// A server that turns half of all calls away at random: with two more tries most people
// notice nothing, the others are told when to come again, and in rooms, where somebody
// can wait, everybody gets a reply.
func TestHalfOfAllCallsAreTurnedAway(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	var mu sync.Mutex
	asked := 0
	w := newWorld(t)
	w.meet(mira)
	srv := w.serve()
	w.model.set(func(m *model) {
		m.refuse = func(provider.Request) error {
			mu.Lock()
			defer mu.Unlock()
			if asked++; rng.IntN(2) == 0 {
				return &provider.Error{Code: provider.CodeRateLimited, Provider: "test", Status: 429, Retry: true, RetryAfter: time.Millisecond}
			}
			return nil
		}
	})
	answered, later := 0, 0
	var done sync.WaitGroup
	for range 24 {
		done.Go(func() {
			resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case resp.StatusCode == 200:
				answered++
			case resp.StatusCode == 429 && resp.Header.Get("Retry-After") != "" && strings.Contains(raw, "model_rate_limited"):
				later++
			default:
				t.Errorf("%d %s", resp.StatusCode, raw)
			}
		})
	}
	done.Wait()
	if answered+later != 24 || answered < 12 || asked > 24*3 {
		t.Errorf("%d answered, %d told to come again, the model was asked %d times", answered, later, asked)
	}
	for range 4 {
		w.said(person(ann), "Hi")
		for range maxLeases {
			w.work(w.s)
			w.pass(3 * time.Second)
		}
	}
	if n := len(w.replies()); n != 4 {
		t.Errorf("%d of 4 messages of a room were answered", n)
	}
}

// After every fault, nothing is left running, and no memory is held. It is not parallel.
func TestFaultsLeaveNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("counts what is left after every fault; cut for -short")
	}
	before := runtime.NumGoroutine()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	t.Run("faults", func(t *testing.T) {
		for _, f := range faultsSeen {
			t.Run(f.name, func(t *testing.T) {
				w := behind(t, f)
				srv := w.serve()
				held := heap()
				for range 2 {
					call(t, srv, "ann", "POST", "/v1/chat/completions", `{"stream":true,`+hi[1:])
				}
				w.settle()
				if after := heap(); after > held+8<<20 {
					t.Errorf("%d bytes are held after three calls, %d before", after, held)
				}
			})
		}
	})
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
