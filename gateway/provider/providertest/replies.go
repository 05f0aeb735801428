package providertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

type check struct {
	name string
	do   func(b *bench)
}

// checks are all that an adapter must pass.
var checks = slices.Concat(replies, faults)

// replies are about what goes well, and what heals.
var replies = []check{
	{"a good stream", func(b *bench) {
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if res.PromptTokens != 11 || res.ReplyTokens != 7 || res.Estimated || res.UpstreamID != "up-1" || res.Model != classic[b.vendor] || len(res.Dropped) > 0 {
			b.Errorf("%+v", res)
		}
		s := b.fake.Seen()[0]
		if s.Params["temperature"] != .7 || s.Params["top_p"] != .9 || s.Params["tokens"] == nil || !strings.Contains(s.System, secretPrompt) ||
			len(s.Texts) != 1 || !strings.Contains(s.Texts[0], secretWords) {
			b.Errorf("sent %+v", s)
		}
	}},
	{"pieces come as they are made", func(b *bench) {
		b.fake.Add(Step{HangMid: true, Reply: []string{"early", "late"}})
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		got := ""
		_, _ = b.p.Stream(ctx, b.request(), func(s string) error { got += s; return nil })
		if got != "early" {
			b.Errorf("had %q after a second", got)
		}
	}},
	{"other scripts", func(b *bench) {
		b.fake.Add(Step{Reply: []string{"Grüße, ", "日本語 ", "👩‍🚀\n"}})
		if text, _, err := b.ask(b.request()); err != nil || text != "Grüße, 日本語 👩‍🚀\n" {
			b.Errorf("%q %v", text, err)
		}
	}},
	{"a talk of several turns", func(b *bench) {
		r := b.request()
		r.Messages = []provider.Message{{Role: provider.RoleAssistant, Text: "Welcome."}, {Role: provider.RoleUser, Text: "Hi"}, {Role: provider.RoleAssistant, Text: "Yes?"}, {Role: provider.RoleUser, Text: "Bye"}}
		text, res, err := b.ask(r)
		b.good(text, res, err)
		if s := strings.Join(b.fake.Seen()[0].Texts, "|"); !strings.HasSuffix(s, "Welcome.|Hi|Yes?|Bye") {
			b.Errorf("sent %s", s)
		}
	}},
	{"one document instead of a stream", func(b *bench) {
		b.fake.Add(Step{Plain: true})
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if res.PromptTokens != 11 || res.ReplyTokens != 7 {
			b.Errorf("%+v", res)
		}
	}},
	{"without usage and without an end mark", func(b *bench) {
		b.fake.Add(Step{NoUsage: true, NoDone: true})
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if res.ReplyTokens == 0 || res.PromptTokens == 0 {
			b.Errorf("usage must be estimated: %+v", res)
		}
	}},
	{"finish reasons", func(b *bench) {
		for in, want := range reasons[family(b.vendor)] {
			b.fake.Add(Step{Finish: in})
			if _, res, err := b.ask(b.request()); err != nil || res.Finish != want {
				b.Errorf("%s: %s %v, want %s", in, res.Finish, err, want)
			}
			if want != provider.FinishFilter {
				continue
			}
			b.fake.Add(Step{Reply: []string{}, Finish: in})
			if _, res, err := b.ask(b.request()); err != nil || res.Finish != want {
				b.Errorf("%s without text is no error: %+v %v", in, res, err)
			}
		}
	}},
	{"a refused prompt", func(b *bench) {
		steps := []Step{{Status: 400, Says: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. WORDS-FROM-OUTSIDE"}}
		if b.vendor == compile.VendorGemini {
			steps = append(steps, Step{Raw: []string{`{"promptFeedback":{"blockReason":"SAFETY"}}`}, Reply: []string{}})
		}
		for _, s := range steps {
			b.fake.Add(s)
			if text, res, err := b.ask(b.request()); err != nil || res.Finish != provider.FinishFilter || text != "" {
				b.Errorf("%q %+v %v", text, res, err)
			}
		}
	}},
	{"refused parameters heal and are remembered", func(b *bench) {
		s, ok := strict[b.vendor]
		if !ok {
			return
		}
		r := Request(b.vendor, s.model)
		for range 2 {
			before := len(b.fake.Seen())
			text, res, err := b.ask(r)
			b.good(text, res, err)
			if fmt.Sprint(res.Dropped) != fmt.Sprint(s.refuses) {
				b.Errorf("dropped %v, want %v", res.Dropped, s.refuses)
			}
			seen := b.fake.Seen()[before:]
			if last := seen[len(seen)-1]; last.Params["tokens"] == nil {
				b.Errorf("no token cap is sent: %s", last.Body)
			}
			if before > 0 && len(seen) != 1 {
				b.Errorf("the second reply took %d requests, want 1", len(seen))
			}
		}
		time.Sleep(25 * time.Hour)
		before := len(b.fake.Seen())
		if _, _, err := b.ask(r); err != nil || len(b.fake.Seen())-before < 2 {
			b.Errorf("after a day the model must be asked anew: %d requests, %v", len(b.fake.Seen())-before, err)
		}
	}},
	{"a refusal that names nothing of ours is final", func(b *bench) {
		b.fake.Add(Step{Status: 400, Says: "Unsupported value: 'messages' " + secretWords + " WORDS-FROM-OUTSIDE"})
		_, _, err := b.ask(b.request())
		if e := b.code(err, provider.CodeRefused); e.Param != "messages" || e.Retry || len(b.fake.Seen()) != 1 {
			b.Errorf("%+v after %d requests", e, len(b.fake.Seen()))
		}
	}},
	{"a refusal that never ends", func(b *bench) {
		for range 40 {
			b.fake.Add(Step{Status: 400, Says: "Unsupported parameter: 'temperature' is not supported with this model."})
		}
		_, _, err := b.ask(b.request())
		if b.code(err, provider.CodeRefused); len(b.fake.Seen()) != 2 {
			b.Errorf("%d requests", len(b.fake.Seen()))
		}
	}},
	{"fewer tokens heal", func(b *bench) {
		b.fake.Add(Step{Status: 400, Says: "max_tokens is too large: 2000. This model supports at most 1200 completion tokens, whereas you provided 2000."})
		text, res, err := b.ask(b.request())
		b.good(text, res, err)
		if s := b.fake.Seen(); len(s) != 2 || s[1].Params["tokens"] != 1200. {
			b.Errorf("sent %+v", s)
		}
	}},
	{"a document", func(b *bench) {
		r := b.request()
		r.Schema = &provider.Schema{Name: "answer", JSON: []byte(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}`)}
		if b.vendor == compile.VendorAnthropic {
			r.Model = "claude-opus-4-5"
			r.Params.TopP = compile.Unset
		}
		b.fake.Add(Step{Reply: []string{`{"n"`, `: 7}`}}, Step{Status: 400, Says: refusesSchema[family(b.vendor)]}, Step{Reply: []string{"```json\n{\"n\": 8}\n```"}}, Step{Reply: []string{"seven"}})
		var v struct{ N int }
		if _, err := provider.Document(b.Context(), b.p, r, &v); err != nil || v.N != 7 || b.fake.Seen()[0].Params["schema"] == nil {
			b.Errorf("%+v %v %s", v, err, b.fake.Seen()[0].Body)
		}
		res, err := provider.Document(b.Context(), b.p, r, &v)
		last := b.fake.Seen()[len(b.fake.Seen())-1]
		if err != nil || v.N != 8 || last.Params["schema"] != nil || !strings.Contains(last.System, `"integer"`) || fmt.Sprint(res.Dropped) != "[schema]" {
			b.Errorf("without enforcement the form is asked for in words: %+v %v %s", res, err, last.Body)
		}
		_, err = provider.Document(b.Context(), b.p, r, &v)
		b.keeps(err)
		b.code(err, provider.CodeBroken)
	}},
}
