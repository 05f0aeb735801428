package providertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// faults are about what goes wrong.
var faults = []check{
	{"wrong key", func(b *bench) {
		b.fake.Key = "another"
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeUnauthorized); !strings.Contains(err.Error(), "check TEST_API_KEY") {
			b.Errorf("%v does not say which variable", err)
		}
	}},
	{"no key", func(b *bench) {
		b.cfg.Key = ""
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeUnauthorized); !strings.Contains(err.Error(), "set TEST_API_KEY") {
			b.Errorf("%v does not say which variable", err)
		}
	}},
	{"no such model", func(b *bench) {
		_, _, err := b.ask(Request(b.vendor, "missing"))
		b.code(err, provider.CodeNoModel)
		_, _, err = b.ask(Request(b.vendor, "../../elsewhere?x=#"))
		b.keeps(err)
		for _, s := range b.fake.Seen() {
			if strings.Contains(s.Model, "elsewhere") && b.vendor == compile.VendorGemini {
				b.Errorf("a name became a path: %s", s.Model)
			}
		}
	}},
	{"errors by their status", func(b *bench) {
		for _, c := range []struct {
			status int
			says   string
			header map[string]string
			code   string
			retry  bool
			after  time.Duration
		}{
			{429, "slow down", map[string]string{"retry-after": "2"}, provider.CodeRateLimited, true, 2 * time.Second},
			{503, "busy", map[string]string{"retry-after-ms": "50"}, provider.CodeUpstream, true, 50 * time.Millisecond},
			{500, secretKey, nil, provider.CodeUpstream, true, 0},
			{529, "Overloaded", nil, provider.CodeUpstream, true, 0},
			{500, "no", map[string]string{"x-should-retry": "false"}, provider.CodeUpstream, false, 0},
			{408, "slow", nil, provider.CodeTimeout, true, 0},
			{409, "again", nil, provider.CodeUpstream, true, 0},
			{402, "pay", nil, provider.CodeQuota, false, 0},
			{400, "Your credit balance is too low to access the API.", nil, provider.CodeQuota, false, 0},
			{403, "no", nil, provider.CodeUnauthorized, false, 0},
			{413, "too much", nil, provider.CodeTooLong, false, 0},
			{400, "prompt is too long: 300000 tokens > 200000 maximum WORDS-FROM-OUTSIDE", nil, provider.CodeTooLong, false, 0},
			{418, "tea", nil, provider.CodeRefused, false, 0},
		} {
			b.fake.Add(Step{Status: c.status, Says: c.says, Header: c.header})
			_, _, err := b.ask(b.request())
			if e := b.code(err, c.code); e.Status != c.status || e.Retry != c.retry || e.RetryAfter != c.after || e.Started {
				b.Errorf("%d %s: %+v", c.status, c.says, e)
			}
		}
		if n := len(b.fake.Seen()); n != 13 {
			b.Errorf("%d requests: an adapter does not try again by itself", n)
		}
	}},
	{"an error that is no document", func(b *bench) {
		b.fake.Add(Step{Status: 502, Body: "<html>WORDS-FROM-OUTSIDE</html>"}, Step{Status: 400, Body: strings.Repeat("x", 1<<20)})
		_, _, err := b.ask(b.request())
		b.code(err, provider.CodeUpstream)
		_, _, err = b.ask(b.request())
		b.code(err, provider.CodeRefused)
	}},
	{"an address that answers with another", func(b *bench) {
		b.fake.Add(Step{Status: 307, Header: map[string]string{"Location": "http://fake.test/elsewhere"}})
		stolen := ""
		inner := b.cfg.Transport
		b.cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/elsewhere" {
				stolen = fmt.Sprint(r.Header)
			}
			return inner.RoundTrip(r)
		})
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeMoved); stolen != "" {
			b.Errorf("the request was sent on")
		}
	}},
	{"the stream dies in the middle", func(b *bench) {
		b.fake.Add(Step{DieAfter: 1})
		text, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeBroken); !e.Started || e.Retry || text != "Hello " || len(b.fake.Seen()) != 1 {
			b.Errorf("%+v %q after %d requests: a started reply is not tried again", e, text, len(b.fake.Seen()))
		}
	}},
	{"an error within the stream", func(b *bench) {
		b.fake.Add(Step{Reply: []string{"Hi"}, Fails: "WORDS-FROM-OUTSIDE"}, Step{Reply: []string{}, Fails: "WORDS-FROM-OUTSIDE"})
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeUpstream); !e.Started || e.Retry {
			b.Errorf("%+v", e)
		}
		_, _, err = b.ask(b.request())
		if e := b.code(err, provider.CodeUpstream); e.Started || !e.Retry {
			b.Errorf("%+v", e)
		}
	}},
	{"garbage in the stream", func(b *bench) {
		b.fake.Add(Step{Raw: []string{piece(b.vendor, "Hi"), `{"choices":[{"del`}})
		text, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeBroken); !e.Started || text != "Hi" {
			b.Errorf("%q %+v", text, e)
		}
	}},
	{"streams with a byte or two wrong", func(b *bench) {
		rng := rand.New(rand.NewPCG(7, 7))
		good := strings.Join(append(append(b.fake.wire.begin("m"), b.fake.wire.piece("Hello ")), b.fake.wire.end("m", Step{})...), "")
		b.cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			bad := []byte(good)
			for range 1 + rng.IntN(3) {
				bad[rng.IntN(len(bad))] = byte(rng.IntN(256))
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(bytes.NewReader(bad[:rng.IntN(len(bad)+1)]))}, nil
		})
		b.p = b.make(b, b.cfg)
		for range 500 {
			text, res, err := b.ask(b.request())
			if err == nil && text == "" && res.Finish != provider.FinishFilter || err != nil && provider.CodeOf(err) == "" {
				b.Errorf("%q %+v %v", text, res, err)
			}
		}
	}},
	{"a web page", func(b *bench) {
		b.cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: http.NoBody}, nil
		})
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeRefused); e.Hint == "" {
			b.Errorf("%+v", e)
		}
	}},
	{"broken UTF-8", func(b *bench) {
		b.fake.Add(Step{Raw: []string{piece(b.vendor, "a\xff\xc3b")}})
		text, _, err := b.ask(b.request())
		if err != nil || !strings.HasPrefix(text, "a") || !strings.HasSuffix(text, "b") {
			b.Errorf("%q %v", text, err)
		}
	}},
	{"an empty answer", func(b *bench) {
		b.fake.Add(Step{Reply: []string{}})
		_, _, err := b.ask(b.request())
		b.code(err, provider.CodeEmpty)
	}},
	{"ten megabytes", func(b *bench) {
		b.fake.Add(Step{Bytes: 10 << 20})
		text, res, err := b.ask(b.request())
		if err != nil || len(text) != 1<<20 || res.Finish != provider.FinishLength {
			b.Errorf("%d bytes, %+v %v", len(text), res.Finish, err)
		}
	}},
	{"a line without an end", func(b *bench) {
		b.fake.Add(Step{Raw: []string{strings.Repeat("x", 5<<20)}})
		_, _, err := b.ask(b.request())
		b.code(err, provider.CodeTooLarge)
	}},
	{"no first byte", func(b *bench) {
		b.fake.Add(Step{Hang: true})
		began := time.Now()
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeTimeout); e.Started || e.Retry || time.Since(began) != time.Minute {
			b.Errorf("%+v after %v", e, time.Since(began))
		}
	}},
	{"silence in the middle", func(b *bench) {
		b.fake.Add(Step{HangMid: true})
		began := time.Now()
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeTimeout); !e.Started || time.Since(began) != 30*time.Second {
			b.Errorf("%+v after %v", e, time.Since(began))
		}
	}},
	{"a trickle", func(b *bench) {
		b.fake.Add(Step{Drip: true})
		began := time.Now()
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeTimeout); e.Started || time.Since(began) != 3*time.Minute {
			b.Errorf("%+v after %v", e, time.Since(began))
		}
	}},
	{"the caller goes away", func(b *bench) {
		for _, s := range []Step{{HangMid: true}, {Hang: true}} {
			b.fake.Add(s)
			ctx, cancel := context.WithCancel(b.Context())
			time.AfterFunc(time.Second, cancel)
			began := time.Now()
			_, err := b.p.Stream(ctx, b.request(), func(string) error { return nil })
			if b.code(err, provider.CodeCancelled); time.Since(began) != time.Second {
				b.Errorf("it took %v", time.Since(began))
			}
		}
	}},
	{"an error of emit ends the reply", func(b *bench) {
		mine := errors.New("enough")
		n := 0
		_, err := b.p.Stream(b.Context(), b.request(), func(string) error { n++; return mine })
		if err != mine || n != 1 || len(b.fake.Seen()) != 1 {
			b.Errorf("%v after %d pieces and %d requests", err, n, len(b.fake.Seen()))
		}
	}},
	{"nobody there", func(b *bench) {
		b.cfg.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("dial: WORDS-FROM-OUTSIDE") })
		b.p = b.make(b, b.cfg)
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeUnreachable); !e.Retry {
			b.Errorf("%+v", e)
		}
	}},
}
