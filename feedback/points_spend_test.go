package feedback

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// TestDays: exchanges and points are by the day, UTC.
func TestDays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("rio")
	for range 14 {
		d.talk("luna", "ben")
	}
	d.later(day0.Truncate(24 * time.Hour).Add(23*time.Hour + 20*time.Minute).Sub(d.now()))
	var ids []event.FeedbackID
	for range 10 {
		ids = append(ids, d.review("rio").ReviewID)
	}
	if got := d.next("rio"); got.Code != "day_full" || got.Until != day0.Truncate(24*time.Hour).Add(24*time.Hour).UnixMicro() || d.points("rio") != 10 {
		t.Errorf("%+v, %d points", got, d.points("rio"))
	}
	helpful := func(id event.FeedbackID) {
		if _, err := d.s.MarkHelpful(t.Context(), by("ann"), id, true); err != nil {
			t.Fatal(err)
		}
	}
	helpful(ids[0]) // the cap is reached: it stands in the ledger and brings nothing
	if p := d.points("rio"); p != 10 {
		t.Errorf("%d points", p)
	}
	d.later(time.Hour) // another day
	helpful(ids[0])
	if p := d.points("rio"); p != 10 {
		t.Errorf("a second time brings %d points", p)
	}
	for _, id := range ids[1:4] {
		helpful(id)
	}
	if p := d.points("rio"); p != 19 {
		t.Errorf("three helpful notes of yesterday: %d points", p)
	}
	d.review("rio")
	d.review("rio") // one more than the cap
	out, err := d.s.PointsOf(t.Context(), by("rio"), "")
	if err != nil || out.Points != 20 || out.Today != 10 || out.Cap != 10 || len(out.Entries) != 16 || out.Entries[0].Amount != 0 || out.Entries[1].Amount != 1 {
		t.Errorf("%+v %v", out, err)
	}
	if page, err := d.s.PointsOf(t.Context(), by("ann"), ""); err != nil || page.Points != 0 || len(page.Entries) != 0 {
		t.Errorf("%+v %v", page, err)
	}
}

func pay(d *desk, p event.PersonID, amount int64) {
	d.t.Helper()
	err := d.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		return enter(tx, PointEntry{EntryID: event.NewID(), Kind: earnedReview, Amount: amount, At: 1}, p, "")
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

func TestSpend(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.drain()
	spend := func(p event.PersonID, key string, w Purchase) (Bought, error) {
		return d.s.Spend(t.Context(), by(p), key, w)
	}
	_, err := spend("ann", "", Purchase{Item: "slot"})
	wantFault(t, "without points", err, "not_enough_points")
	if f, ok := err.(*fault.Error); !ok || !strings.Contains(f.Message, "100 are missing") {
		t.Error(err)
	}
	pay(d, "ann", 150)
	for w, code := range map[Purchase]string{
		{Item: "crown"}: "unknown_value", {Item: "look", AgentID: "luna"}: "unknown_value", {Item: "look", Look: "ember"}: "aim_missing", {Item: "look", AgentID: "luna", Look: "gold"}: "unknown_value",
		{Item: "look", AgentID: "mark", Look: "ember"}: "not_found", {Item: "look", AgentID: "nobody", Look: "ember"}: "not_found", {Item: "slot", AgentID: "luna"}: "value_not_allowed", {}: "unknown_value",
	} {
		_, err := spend("ann", "", w)
		wantFault(t, fmt.Sprintf("%+v", w), err, code)
	}
	first, err := spend("ann", "k", Purchase{Item: "slot"})
	if err != nil || first.Costs != 100 || first.Points != 50 {
		t.Fatal(first, err)
	}
	if again, err := spend("ann", "k", Purchase{Item: "slot"}); err != nil || again != first {
		t.Error(again, err)
	}
	_, err = spend("ann", "k", Purchase{Item: "replies"})
	wantFault(t, "the key for something else", err, "idempotency_conflict")
	if b, err := spend("ann", "", Purchase{Item: "look", AgentID: "luna", Look: "ember"}); err != nil || b.Points != 30 {
		t.Error(b, err)
	}
	if b, err := spend("ann", "", Purchase{Item: "evening"}); err != nil || b.Points != 15 {
		t.Error(b, err)
	}
	_, err = spend("ann", "", Purchase{Item: "slot"})
	wantFault(t, "too little", err, "not_enough_points")
	var told []event.PointsSpent
	for _, e := range d.drain() {
		p, err := event.As[event.PointsSpent](e)
		if err != nil || e.ID != p.SpendID || strings.Contains(string(e.Data), "100") {
			t.Error(err, string(e.Data))
		}
		told = append(told, p)
	}
	if len(told) != 3 || told[0] != (event.PointsSpent{SpendID: first.SpendID, PersonID: "ann", Item: "slot"}) || told[1].Look != "ember" || told[1].AgentID != "luna" {
		t.Errorf("%+v", told)
	}
	out, _ := d.s.PointsOf(t.Context(), by("ann"), "")
	if len(out.Items) != 4 || len(out.Looks) != len(event.Looks()) || out.Looks[0].Costs != 20 || out.Points != 15 {
		t.Errorf("%+v", out)
	}
}

// TestSpendingRace: many purchases at once never take more than there is.
func TestSpendingRace(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	pay(d, "ann", 35)
	var mu sync.Mutex
	bought, refused := 0, 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			b, err := d.s.Spend(context.Background(), by("ann"), "", Purchase{Item: "replies"})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && b.Points >= 0:
				bought++
			case fault.Is(err, "not_enough_points"):
				refused++
			default:
				t.Error(b, err)
			}
		})
	}
	wg.Wait()
	if bought != 3 || refused != 13 || d.points("ann") != 5 {
		t.Errorf("%d bought, %d refused, %d left", bought, refused, d.points("ann"))
	}
}

// TestWithdrawnAndSpent: what is spent is not taken back, and nobody owes points.
func TestWithdrawnAndSpent(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.talk("luna", "ben")
	d.reviewer("rio")
	r := d.review("rio")
	pay(d, "rio", 9)
	if _, err := d.s.Spend(t.Context(), by("rio"), "", Purchase{Item: "replies"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.s.WithdrawReview(t.Context(), by("rio"), r.ReviewID); err != nil || d.points("rio") != 0 {
		t.Errorf("%v, %d points", err, d.points("rio"))
	}
}
