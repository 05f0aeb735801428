package calling

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// scripted answers by its script, one line a call, and well after the last.
type scripted struct {
	script []func(ctx context.Context, emit func(string) error) error
	asked  []provider.Request
	at     []time.Duration
	began  time.Time
}

func (s *scripted) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
	s.asked, s.at = append(s.asked, r), append(s.at, time.Since(s.began))
	if len(s.script) > 0 {
		do := s.script[0]
		s.script = s.script[1:]
		if err := do(ctx, emit); err != nil {
			return provider.Result{}, err
		}
	}
	return provider.Result{Finish: provider.FinishStop, PromptTokens: 10, ReplyTokens: 20}, emit("well")
}

type line = func(ctx context.Context, emit func(string) error) error

func fails(code string, retry bool, after time.Duration) line {
	return func(context.Context, func(string) error) error {
		return &provider.Error{Code: code, Provider: "main", Retry: retry, RetryAfter: after}
	}
}

func hangs(ctx context.Context, _ func(string) error) error {
	<-ctx.Done()
	return &provider.Error{Code: provider.CodeTimeout, Provider: "main", Err: ctx.Err()}
}

func breaksOff(_ context.Context, emit func(string) error) error {
	return errors.Join(emit("half a re"), &provider.Error{Code: provider.CodeBroken, Provider: "main", Started: true})
}

type world struct {
	main, spare *scripted
	c           *Caller
}

func newWorld(o Options, script ...line) *world {
	w := &world{main: &scripted{script: script, began: time.Now()}, spare: &scripted{began: time.Now()}}
	o.Providers = map[string]provider.Provider{"main": w.main, "spare": w.spare}
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0 }
	}
	w.c = New(o)
	return w
}

var request = provider.Request{Provider: "main", Model: "m", Owner: "ann", Agent: "mira", System: strings.Repeat("x", 40), Params: compile.Params{MaxTokens: 100}}

// withSpare falls back to the spare provider, whose parameters are its own.
func withSpare() provider.Request {
	r := request
	r.Fallback = func(i int) (provider.Request, bool) {
		next := request
		next.Provider, next.Model, next.Params.TokensField = "spare", fmt.Sprint("s", i), "mapped again"
		return next, i == 0
	}
	return r
}

func (w *world) ask(t *testing.T, r provider.Request) (string, provider.Result, string) {
	t.Helper()
	var b strings.Builder
	res, err := w.c.Stream(t.Context(), r, func(s string) error { b.WriteString(s); return nil })
	if err == nil {
		return b.String(), res, ""
	}
	return b.String(), res, provider.CodeOf(err)
}

func TestRetries(t *testing.T) {
	t.Parallel()
	sec := time.Second
	for _, c := range []struct {
		name   string
		script []line
		jitter float64
		text   string
		code   string
		at     []time.Duration
	}{
		{"at once", nil, 0, "well", "", []time.Duration{0}},
		{"two more tries", []line{fails(provider.CodeUpstream, true, 0), fails(provider.CodeUnreachable, true, 0)}, 0, "well", "", []time.Duration{0, sec / 2, 3 * sec / 2}},
		{"earlier with jitter", []line{fails(provider.CodeUpstream, true, 0)}, .8, "well", "", []time.Duration{0, 400 * time.Millisecond}},
		{"no more than two", []line{fails(provider.CodeUpstream, true, 0), fails(provider.CodeUpstream, true, 0), fails(provider.CodeUpstream, true, 0)}, 0, "", provider.CodeUpstream, []time.Duration{0, sec / 2, 3 * sec / 2}},
		{"as long as asked for", []line{fails(provider.CodeRateLimited, true, 3*sec)}, 0, "well", "", []time.Duration{0, 3 * sec}},
		{"never earlier than asked for", []line{fails(provider.CodeRateLimited, true, 3*sec)}, .8, "well", "", []time.Duration{0, 3100 * time.Millisecond}},
		{"not when asked for too much", []line{fails(provider.CodeRateLimited, true, time.Minute)}, 0, "", provider.CodeRateLimited, []time.Duration{0}},
		{"not what cannot pass", []line{fails(provider.CodeUnauthorized, false, 0)}, 0, "", provider.CodeUnauthorized, []time.Duration{0}},
		{"not once it began", []line{breaksOff}, 0, "half a re", provider.CodeBroken, []time.Duration{0}},
		{"within the total", []line{hangs}, 0, "", provider.CodeTimeout, []time.Duration{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(Options{Jitter: func() float64 { return c.jitter }, Total: 20 * sec}, c.script...)
				began := time.Now()
				text, _, code := w.ask(t, request)
				if text != c.text || code != c.code || time.Since(began) > 20*sec {
					t.Errorf("%q %s after %v", text, code, time.Since(began))
				}
				if d := cmp.Diff(c.at, w.main.at); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

func TestFallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{}, fails(provider.CodeUnauthorized, false, 0))
		text, res, code := w.ask(t, withSpare())
		if text != "well" || code != "" || res.Fallback != 1 || len(w.spare.asked) != 1 {
			t.Fatalf("%q %+v %s", text, res, code)
		}
		if r := w.spare.asked[0]; r.Model != "s0" || r.Params.TokensField != "mapped again" || r.Owner != "ann" {
			t.Errorf("asked %+v", r)
		}
		w.main.script = []line{fails(provider.CodeUnauthorized, false, 0)}
		w.spare.script = []line{fails(provider.CodeNoModel, false, 0)}
		if _, res, code := w.ask(t, withSpare()); code != provider.CodeNoModel || res.Fallback != 1 {
			t.Errorf("%+v %s: the last one's error", res, code)
		}
		w.main.script = []line{breaksOff}
		if text, res, code := w.ask(t, withSpare()); text != "half a re" || code != provider.CodeBroken || res.Fallback != 0 || res.ReplyTokens == 0 || res.PromptTokens != 10 {
			t.Errorf("%q %+v %s: a reply that began is not begun anew", text, res, code)
		}
		mine := errors.New("enough")
		if _, err := w.c.Stream(t.Context(), withSpare(), func(string) error { return mine }); err != mine || len(w.spare.asked) != 2 {
			t.Errorf("%v, spare asked %d times", err, len(w.spare.asked))
		}
		ctx, cancel := context.WithCancel(t.Context())
		w.main.script = []line{func(context.Context, func(string) error) error {
			cancel()
			return &provider.Error{Code: provider.CodeCancelled}
		}}
		if _, err := w.c.Stream(ctx, withSpare(), func(string) error { return nil }); provider.CodeOf(err) != provider.CodeCancelled || len(w.spare.asked) != 2 {
			t.Errorf("%v, spare asked %d times for nobody", err, len(w.spare.asked))
		}
		r := request
		r.Provider = "gone"
		if _, _, code := w.ask(t, r); code != provider.CodeUnreachable {
			t.Errorf("a provider that is not there: %s", code)
		}
	})
}

// The caller waits at most Total, however many models hang.
func TestTotal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{Total: time.Minute}, hangs)
		w.spare.script = []line{hangs}
		began := time.Now()
		if _, _, code := w.ask(t, withSpare()); code != provider.CodeTimeout || time.Since(began) != time.Minute || len(w.spare.asked) != 0 {
			t.Errorf("%s after %v, spare asked %d times", code, time.Since(began), len(w.spare.asked))
		}
		// One that ends by its own limit leaves time for the next.
		w.main.script = []line{func(context.Context, func(string) error) error {
			time.Sleep(40 * time.Second)
			return &provider.Error{Code: provider.CodeTimeout}
		}}
		if text, _, _ := w.ask(t, withSpare()); text != "" || len(w.spare.asked) != 1 {
			t.Errorf("%q: the spare one hangs to the end", text)
		}
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := fails(provider.CodeUpstream, false, 0)
		w := newWorld(Options{})
		step := func(script line, want string) {
			t.Helper()
			before := len(w.main.asked)
			w.main.script = nil
			if script != nil {
				w.main.script = []line{script}
			}
			_, _, code := w.ask(t, request)
			if code != want {
				t.Fatalf("%q, want %q", code, want)
			}
			if asked := len(w.main.asked) > before; asked == (want == provider.CodeResting) {
				t.Fatalf("asked: %v", asked)
			}
		}
		for range 4 {
			step(broken, provider.CodeUpstream)
		}
		step(nil, "") // in a row counts
		for range 5 {
			step(broken, provider.CodeUpstream)
		}
		step(nil, provider.CodeResting)
		time.Sleep(29 * time.Second)
		step(nil, provider.CodeResting)
		other := request
		other.Model = "another"
		if _, _, code := w.ask(t, other); code != "" {
			t.Errorf("another model of the provider is not to blame: %s", code)
		}
		time.Sleep(time.Second)
		step(broken, provider.CodeUpstream) // half open: one may try
		time.Sleep(59 * time.Second)
		step(nil, provider.CodeResting) // twice as long
		time.Sleep(time.Second)
		step(nil, "")
		step(broken, provider.CodeUpstream)
		step(nil, "") // closed again

		for range 20 { // what the model answers does not speak against it
			step(fails(provider.CodeRefused, false, 0), provider.CodeRefused)
			step(fails(provider.CodeUnauthorized, false, 0), provider.CodeUnauthorized)
			step(fails(provider.CodeRateLimited, false, time.Second), provider.CodeRateLimited)
		}
		step(fails(provider.CodeRateLimited, true, 2*time.Minute), provider.CodeRateLimited)
		time.Sleep(119 * time.Second)
		step(nil, provider.CodeResting) // it asked for it
		time.Sleep(time.Second)
		step(nil, "")
	})
}

// While one call tries a model that was left alone, the others do not; one that
// goes away without an answer leaves the try to the next.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(Options{}, fails(provider.CodeRateLimited, true, time.Minute))
		w.ask(t, request)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		w.main.script = []line{func(ctx context.Context, _ func(string) error) error {
			<-ctx.Done()
			return &provider.Error{Code: provider.CodeCancelled, Err: ctx.Err()}
		}}
		gone := make(chan struct{})
		go func() {
			_, _ = w.c.Stream(ctx, request, func(string) error { return nil })
			close(gone)
		}()
		synctest.Wait()
		if _, _, code := w.ask(t, request); code != provider.CodeResting {
			t.Errorf("two at once: %s", code)
		}
		cancel()
		<-gone
		if text, _, code := w.ask(t, request); text != "well" {
			t.Errorf("the next may try: %s", code)
		}
	})
}

// Half of all calls are turned away: with two more tries and a spare model all
// people are answered.
func TestHalfIsTurnedAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		w := newWorld(Options{Jitter: rng.Float64})
		spare, most := 0, time.Duration(0)
		for range 1000 {
			w.main.script = nil
			for rng.Float64() < .5 {
				w.main.script = append(w.main.script, fails(provider.CodeRateLimited, true, time.Second))
			}
			began := time.Now()
			text, res, code := w.ask(t, withSpare())
			if text != "well" {
				t.Fatalf("%q %s", text, code)
			}
			spare += res.Fallback
			most = max(most, time.Since(began))
		}
		if spare < 80 || spare > 180 || most > 3*time.Second {
			t.Errorf("%d of 1000 by the spare model, at most %v", spare, most)
		}
	})
}

func TestBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := NewDaily(Limits{Owner: Amount{Tokens: 300}, Agent: Amount{Cost: 4000}}, nil)
		w := newWorld(Options{Budget: d, Prices: Prices{"m": {In: 1, Out: 10}, "m-large": {In: 1000}}})
		r := withSpare()
		// A call may cost 10·1 + 100·10 = 1010 and costs 10·1 + 20·10 = 210, 30 tokens.
		_, res, _ := w.ask(t, r)
		if res.Cost != 210 || d.Spent(Account{Owner, "ann"}) != (Amount{30, 210}) || d.Spent(Account{Agent, "mira"}) != (Amount{30, 210}) {
			t.Errorf("cost %d, spent %+v", res.Cost, d.Spent(Account{Owner, "ann"}))
		}
		// What fails costs nothing, what breaks off costs what was said.
		w.main.script = []line{fails(provider.CodeUpstream, true, 0), fails(provider.CodeUpstream, true, 0), breaksOff}
		w.ask(t, r)
		if got := d.Spent(Account{Owner, "ann"}); got != (Amount{30 + 13, 210 + 40}) {
			t.Errorf("spent %+v", got)
		}
		// 43 are spent; a call sets 110 aside: six more fit in part, then none.
		n := 0
		for ; n < 20; n++ {
			if _, _, code := w.ask(t, r); code == provider.CodeBudget {
				break
			} else if code != "" {
				t.Fatal(code)
			}
		}
		if n != 5 || len(w.spare.asked) != 0 { // 43 + 5·30 = 193, and 110 do not fit below 300
			t.Errorf("%d calls, spare asked %d times: another model is no way around it", n, len(w.spare.asked))
		}
		bob := r
		bob.Owner, bob.Agent = "bob", "otto"
		if _, _, code := w.ask(t, bob); code != "" {
			t.Errorf("another's budget: %s", code)
		}
		bob.Agent = "mira" // adopted: its own budget goes on
		d.Load(Account{Agent, "mira"}, Amount{0, 3500})
		if _, err := w.c.Stream(t.Context(), bob, func(string) error { return nil }); provider.CodeOf(err) != provider.CodeBudget || !strings.Contains(err.Error(), "agent's budget") {
			t.Errorf("%v", err)
		}
		time.Sleep(25 * time.Hour)
		if _, _, code := w.ask(t, r); code != "" {
			t.Errorf("a new day: %s", code)
		}
		if got := d.Spent(Account{Owner, "ann"}); got != (Amount{30, 210}) {
			t.Errorf("a new day: %+v", got)
		}
	})
}

// What several calls may spend is set aside while they run.
func TestBudgetOfManyAtOnce(t *testing.T) {
	t.Parallel()
	d := NewDaily(Limits{Owner: Amount{Tokens: 250}}, nil)
	var settle []func(Amount)
	for range 5 {
		s, err := d.Reserve("ann", "mira", Amount{100, 0})
		if err == nil {
			settle = append(settle, s)
		}
	}
	if len(settle) != 2 {
		t.Errorf("%d calls at once", len(settle))
	}
	settle[0](Amount{10, 0})
	settle[1](Amount{10, 0})
	if _, err := d.Reserve("ann", "mira", Amount{231, 0}); err == nil {
		t.Error("231 beside 20 of 250")
	}
	if _, err := d.Reserve("ann", "mira", Amount{230, 0}); err != nil {
		t.Error("230 beside 20 of 250")
	}
	if _, err := d.Reserve("bob", "otto", Amount{300, 0}); err == nil || !strings.Contains(err.Error(), "raise it") || err.(*provider.Error).RetryAfter != 0 {
		t.Errorf("what never fits is said to fit tomorrow: %v", err)
	}
	if len(d.aside) != 2 {
		t.Errorf("set aside: %v", d.aside)
	}
}
