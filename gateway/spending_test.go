package gateway

import (
	"strings"
	"testing"
	"time"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/calling"
	"rapport/gateway/provider/discover"
	"rapport/gateway/provider/providertest"
)

// A budget is kept over a restart, is the owner's whatever agent speaks, and
// begins anew the next day.
func TestBudgets(t *testing.T) {
	t.Parallel()
	limits := func(o *Options) {
		o.Budgets = calling.Limits{Owner: calling.Amount{Tokens: 3000}}
		o.Prices = calling.Prices{"llama": {In: 1, Out: 2}}
	}
	w := newWorld(t, limits)
	w.meet(mira)
	srv := w.serve()
	w.model.set(func(m *model) { m.say = []string{strings.Repeat("A sentence of five words. ", 20)} })
	n := 0
	for ; n < 1000; n++ {
		resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
		if resp.StatusCode == 429 {
			if !strings.Contains(raw, provider.CodeBudget) || !strings.Contains(raw, "midnight UTC") || resp.Header.Get("x-should-retry") != "false" || len(resp.Header.Get("Retry-After")) != 5 {
				t.Errorf("%s %v", raw, resp.Header)
			}
			break
		} else if resp.StatusCode != 200 {
			t.Fatalf("%s", raw)
		}
	}
	w.settle()
	if spent := w.count(`select tokens from spending where kind = 'owner'`); n == 0 || spent != int64(n)*8 {
		t.Errorf("%d replies of 8 tokens each, %d tokens stored", n, spent)
	}
	if cost := w.count(`select cost from spending where kind = 'agent'`); cost != int64(n)*11 {
		t.Errorf("cost %d", cost)
	}
	if failed := w.told()[n]; failed.Action != "failed" || failed.Error != provider.CodeBudget {
		t.Errorf("%+v", failed)
	}
	resp, raw := call(t, srv, "ann", "GET", "/v1/me/spending", "")
	mine := into[Spending](t, raw)
	if want := (Spent{Tokens: int64(n) * 8, TokenLimit: 3000, Cost: float64(n) * 11 / 1e6}); resp.StatusCode != 200 || !mine.Counted || mine.Spent != want || len(mine.Agents) == 0 || mine.Agents[0].Tokens != want.Tokens || mine.Agents[0].TokenLimit != 0 {
		t.Errorf("%d %s", resp.StatusCode, raw)
	}
	if resp, raw := call(t, srv, "bob", "GET", "/v1/me/spending", ""); resp.StatusCode != 200 || into[Spending](t, raw).Tokens != 0 {
		t.Errorf("somebody else's: %s", raw)
	}
	if resp, _ := call(t, srv, "", "GET", "/v1/me/spending", ""); resp.StatusCode != 401 {
		t.Errorf("nobody's: %d", resp.StatusCode)
	}
	w.s = w.service(limits) // another process
	srv = w.serve()
	if resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", hi); resp.StatusCode != 429 {
		t.Errorf("after a restart: %s", raw)
	}
	w.pass(24 * time.Hour)
	if resp, raw := call(t, srv, "ann", "POST", "/v1/chat/completions", hi); resp.StatusCode != 200 {
		t.Errorf("the next day: %s", raw)
	}
}

// Every vendor's server is spoken to in its language, and a wrong key is named.
func TestVendorsAreConnected(t *testing.T) {
	t.Parallel()
	for vendor, model := range map[string]string{compile.VendorOpenAI: "gpt-6-luna", compile.VendorAnthropic: "claude-haiku-5-5", compile.VendorGemini: "gemini-3.5-flash-lite",
		compile.VendorOllama: "llama3.2:1b", compile.VendorVLLM: "org/something-else", compile.VendorLlamaCPP: "something-else", compile.VendorCompatible: "openai/gpt-4o"} {
		fake := providertest.NewFakeOf(t, vendor)
		fake.Key = "right"
		for _, c := range []struct {
			key    string
			status int
			says   string
		}{{"right", 200, "Hello there."}, {"wrong", 502, "check THE_KEY"}, {"", 502, "set THE_KEY"}} {
			w := newWorld(t)
			o := w.s.o
			var err error
			if o.Models, err = discover.Find(t.Context(), discover.Options{Settings: []discover.Setting{{Name: "real", Vendor: vendor, BaseURL: fake.URL, Model: model, Key: c.key, KeyName: "THE_KEY"}}}); err != nil {
				t.Fatal(err)
			}
			o.Use = nil
			if w.s, err = New(t.Context(), w.db, o); err != nil {
				t.Fatal(err)
			}
			w.meet(mira)
			resp, raw := call(t, w.serve(), "ann", "POST", "/v1/chat/completions", hi)
			if resp.StatusCode != c.status || !strings.Contains(raw, c.says) || strings.Contains(raw, "wrong") {
				t.Errorf("%s, key %q: %d %s", vendor, c.key, resp.StatusCode, raw)
			}
		}
		if seen := fake.Seen(); len(seen) != 1 || seen[0].Model != model || !strings.Contains(seen[0].System, "MIRA") || len(fake.Odd()) > 0 {
			t.Errorf("%s: %+v", vendor, seen)
		}
	}
}
