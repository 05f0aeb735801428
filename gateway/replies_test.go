package gateway

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/internal/authz"
)

func (w *world) repliesOf(p event.PersonID) Replies {
	w.t.Helper()
	r, err := w.s.RepliesOf(authz.With(context.Background(), authz.Principal{Person: p, Scopes: []authz.Scope{authz.ScopeChat}}))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// TestRepliesOfADay: in rooms and by the OpenAI dialect alike, from all agents together,
// until midnight UTC; twice as many for 24 hours after it was bought.
func TestRepliesOfADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Replies = 2 })
	w.meet(mira, otto)
	srv := w.serve()
	ask := func() *http.Response {
		resp, _ := call(t, srv, "ann", "POST", "/v1/chat/completions", hi)
		return resp
	}
	w.said(person(ann), "Hello?")
	w.work(w.s)
	if resp := ask(); resp.StatusCode != 200 || w.repliesOf(ann).Today != 2 || w.repliesOf(ann).Limit != 2 {
		t.Errorf("%d %+v", resp.StatusCode, w.repliesOf(ann))
	}
	resp := ask()
	wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != 429 || wait < 11*3600 || wait > 12*3600 {
		t.Errorf("%d, again after %d s", resp.StatusCode, wait)
	}
	w.settle() // outcomes of callers are told a moment later
	said := len(w.replies())
	w.said(person(ann), "Are you there?")
	w.work(w.s)
	told := w.told()
	if last := told[len(told)-1]; len(w.replies()) != said || last.Action != "silence" || last.Reasons[0] != compile.ReasonLimit {
		t.Errorf("%+v", last)
	}
	if r := w.repliesOf(bob); r.Today != 0 {
		t.Errorf("somebody else has had %d", r.Today)
	}

	w.hear(event.PointsSpent{SpendID: "s0", PersonID: ann, Item: event.ItemSlot}, event.PointsSpent{SpendID: "s1", PersonID: ann, Item: event.ItemReplies})
	if r := w.repliesOf(ann); r.Limit != 4 || r.Doubled <= r.EndsAt {
		t.Errorf("%+v", r)
	}
	if a, b, c := ask().StatusCode, ask().StatusCode, ask().StatusCode; a != 200 || b != 200 || c != 429 {
		t.Errorf("twice as many: %d %d %d", a, b, c)
	}
	w.pass(13 * time.Hour) // after midnight, still doubled
	if r := w.repliesOf(ann); r.Today != 0 || r.Limit != 4 {
		t.Errorf("%+v", r)
	}
	w.pass(12 * time.Hour)
	if r := w.repliesOf(ann); r.Limit != 2 || r.Doubled != 0 {
		t.Errorf("%+v", r)
	}
	if ask().StatusCode != 200 || w.count(`select count(*) from replies`) != 1 {
		t.Error("days before are kept")
	}
	w.hear(event.AccountErased{PersonID: ann})
	if n := w.count(`select (select count(*) from replies) + (select count(*) from boosts)`); n != 0 {
		t.Errorf("%d rows are left of somebody erased", n)
	}
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hello?")
	w.work(w.s)
	if r := w.repliesOf(ann); r.Limit != 0 || w.count(`select count(*) from replies`) != 0 || len(w.replies()) != 1 {
		t.Errorf("%+v", r)
	}
}
