package watch

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

var (
	asked   = provider.Request{Provider: "p", Model: "m"}
	decided = event.ReplyGenerated{DecisionID: "d", AgentID: "a", Reasons: []string{"direct"}}
	result  = provider.Result{Finish: provider.FinishStop, PromptTokens: 5, ReplyTokens: 3}
)

// reply is all that a watch is told of one reply.
func reply(ctx context.Context, w *Watch, err error) {
	ctx, r := w.Reply(ctx, nil)
	r.Decided(decided)
	c := w.Call(ctx, asked)
	c.Said()
	c.Ended(result, err)
	r.Ended("", "stop")
	r.End()
}

// Nobody watching, and somebody who only counts, cost next to nothing.
func TestCost(t *testing.T) {
	var nobody *Watch
	counts := New(Options{Metrics: prometheus.NewRegistry(), Known: []compile.Model{{Provider: "p", ID: "m", Vendor: compile.VendorOpenAI}}})
	for w, most := range map[*Watch]float64{nobody: 0, counts: 1} {
		if n := testing.AllocsPerRun(100, func() { reply(t.Context(), w, nil) }); n > most {
			t.Errorf("%v allocations a reply", n)
		}
	}
	nobody.Rated(event.FeedbackCreated{DecisionID: "d"}, 1)
	nobody.Fallback(asked)
	nobody.Unasked(asked, nil)
	nobody.Judged("before", "passed")
	nobody.Resting(nil)
	var none *Reply
	none.Ended("", "")
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		res provider.Result
		err error
	}{
		"ok":             {result, nil},
		"content_filter": {provider.Result{Finish: provider.FinishFilter}, nil},
		"stopped":        {result, errors.New("enough")},
		"timeout":        {provider.Result{}, &provider.Error{Code: provider.CodeTimeout}},
	} {
		if got := outcomeOf(c.res, c.err); got != want {
			t.Errorf("%+v is %s, want %s", c, got, want)
		}
	}
}

// Names that others write are told in part, and are UTF-8.
func TestNamesAreClipped(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("é", 100), "a\xff", strings.Repeat("x", 1000), ""} {
		if got := clip(name); len(got) > 120 || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
	}
}

func BenchmarkReply(b *testing.B) {
	w := New(Options{Metrics: prometheus.NewRegistry(), Known: []compile.Model{{Provider: "p", ID: "m", Vendor: compile.VendorOpenAI}}})
	b.ReportAllocs()
	for b.Loop() {
		reply(b.Context(), w, nil)
	}
}
