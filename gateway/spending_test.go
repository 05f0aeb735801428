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
			if !strings.Contains(raw, provider.CodeBudget) || !strings.Contains(raw, "midnight UTC") {
				t.Errorf("%s", raw)
			}
			break
		} else if resp.StatusCode != 200 {
			t.Fatalf("%s", raw)
		}
	}
	w.s.settle()
	if spent := w.count(`select tokens from spending where kind = 'owner'`); n == 0 || spent != int64(n)*8 {
		t.Errorf("%d replies of 8 tokens each, %d tokens stored", n, spent)
	}
	if cost := w.count(`select cost from spending where kind = 'agent'`); cost != int64(n)*11 {
		t.Errorf("cost %d", cost)
	}
	if failed := w.told()[n]; failed.Action != "failed" || failed.Error != provider.CodeBudget {
		t.Errorf("%+v", failed)
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
	fake := providertest.NewFake(t)
	fake.Key = "right"
	for _, c := range []struct {
		key    string
		status int
		says   string
	}{{"right", 200, "Hello there."}, {"wrong", 502, "check OPENAI_API_KEY"}, {"", 502, "set OPENAI_API_KEY"}} {
		w := newWorld(t)
		o := w.s.o
		var err error
		if o.Models, err = discover.Find(t.Context(), discover.Options{Settings: []discover.Setting{{Name: "real", BaseURL: fake.URL, Model: "gpt-4o", Key: c.key, KeyName: "OPENAI_API_KEY"}}}); err != nil {
			t.Fatal(err)
		}
		o.Use = nil
		if w.s, err = New(t.Context(), w.db, o); err != nil {
			t.Fatal(err)
		}
		w.meet(mira)
		resp, raw := call(t, w.serve(), "ann", "POST", "/v1/chat/completions", hi)
		if resp.StatusCode != c.status || !strings.Contains(raw, c.says) || strings.Contains(raw, "wrong") {
			t.Errorf("key %q: %d %s", c.key, resp.StatusCode, raw)
		}
	}
	for _, vendor := range compile.Vendors {
		if _, err := adapter(vendor)(provider.Config{Name: "x", BaseURL: "https://api.example.com/v1"}); err != nil {
			t.Errorf("%s: %v", vendor, err)
		}
	}
}
