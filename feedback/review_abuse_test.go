package feedback

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/fault"
)

// TestAbuse: always the same, in 300 ms, with slurs. It is set aside and teaches and
// earns nothing; only a person excludes.
func TestAbuse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, func(o *Options) { r := DefaultReviewRules(); r.PerDay = 100; o.Reviews = &r })
	for range 25 {
		d.talk("luna", "ben")
	}
	d.drain()
	d.reviewer("bad")
	best := mentor.Marks{InCharacter: "clearly", Helpful: "clearly", Kind: "clearly"}
	var ids []event.FeedbackID
	for i := range 12 {
		a := d.next("bad")
		d.later(300 * time.Millisecond)
		r, err := d.s.GiveReview(t.Context(), by("bad"), a.AssignmentID, ReviewWords{best, "What a 1diot wrote this, all of you are m0rons."})
		if err != nil || r.State != "aside" || r.Explained == "" || len(r.Findings) < 2 {
			t.Fatal(r, err)
		}
		if constant := slices.Contains(r.Findings, mentor.Because(mentor.Constant)); constant != (i >= 9) {
			t.Errorf("%d: %v", i, r.Findings)
		}
		ids = append(ids, r.ReviewID)
	}
	if n := d.count(`select count(*) from feedback_events where rater_id = 'bad'`); n != 0 || d.points("bad") != 0 || len(d.drain()) != 0 {
		t.Errorf("%d signals, %d points", n, d.points("bad"))
	}
	if all, _ := d.s.Reviews(t.Context(), by("ann"), "luna", ""); len(all.Items) != 0 {
		t.Errorf("the owner reads %+v", all.Items)
	}
	if me, _ := d.s.Mentoring(t.Context(), by("bad")); me.State != "active" {
		t.Errorf("excluded by no one: %+v", me)
	}

	// Operators only, and noted.
	_, err := d.s.ReviewsAside(t.Context(), by("ann"))
	wantFault(t, "a person lists", err, "not_allowed")
	_, err = d.s.DecideReview(t.Context(), by("ann"), ids[0], Verdict{Verdict: "count"})
	wantFault(t, "a person decides", err, "not_allowed")
	all, err := d.s.ReviewsAside(t.Context(), operator())
	if err != nil || len(all) != 12 || all[0].ReviewerID != "bad" || all[0].Seconds != .3 || !slices.Contains(all[0].Findings, "hostile") || !slices.Contains(d.notes, "read reviews set aside ") {
		t.Fatalf("%d %+v %v %v", len(all), all[:1], d.notes, err)
	}
	decide := func(id event.FeedbackID, v Verdict) Decided {
		t.Helper()
		out, err := d.s.DecideReview(t.Context(), operator(), id, v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, v := range []Verdict{{"refuse", " "}, {"exclude", ""}, {"ban", "x"}, {"refuse", strings.Repeat("x", 501)}} {
		if _, err := d.s.DecideReview(t.Context(), operator(), ids[0], v); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", v, err)
		}
	}

	// One counts after all, as if nothing had been; again changes nothing.
	for range 2 {
		if out := decide(ids[0], Verdict{Verdict: "count"}); out.State != "counted" || out.Excluded {
			t.Errorf("%+v", out)
		}
	}
	if told := created(t, d.drain()); len(told) != 1 || told[0].FeedbackID != ids[0] || d.points("bad") != 1 {
		t.Errorf("%+v, %d points", told, d.points("bad"))
	}
	// One is refused, appealed once, and looked at again.
	decide(ids[1], Verdict{"refuse", "It hurts."})
	_, err = d.s.DecideReview(t.Context(), operator(), ids[1], Verdict{Verdict: "count"})
	wantFault(t, "decided already", err, "decided_already")
	page, _ := d.s.Reviews(t.Context(), by("bad"), "", "")
	refused := page.Items[slices.IndexFunc(page.Items, func(r Review) bool { return r.ReviewID == ids[1] })]
	if refused.State != "refused" || refused.Reason != "It hurts." || refused.Explained == "" || len(refused.Findings) == 0 {
		t.Errorf("%+v", refused)
	}
	_, err = d.s.Appeal(t.Context(), by("ann"), ids[1], "Please.")
	wantFault(t, "somebody else appeals", err, "not_found")
	for range 2 {
		if v, err := d.s.Appeal(t.Context(), by("bad"), ids[1], "It was a joke between us."); err != nil || !v.Appealed {
			t.Error(v, err)
		}
	}
	_, err = d.s.Appeal(t.Context(), by("bad"), ids[1], "And again!")
	wantFault(t, "a second appeal", err, "appealed_already")
	_, err = d.s.Appeal(t.Context(), by("bad"), ids[0], "This one too.")
	wantFault(t, "an appeal of one that counts", err, "not_refused")
	all, _ = d.s.ReviewsAside(t.Context(), operator())
	if len(all) != 11 || !slices.ContainsFunc(all, func(s SetAside) bool {
		return s.ReviewID == ids[1] && s.Appeal == "It was a joke between us." && s.State == "refused"
	}) {
		t.Errorf("%+v", all)
	}

	// The verdict ends their part, and what counted counts no longer.
	if out := decide(ids[2], Verdict{"exclude", "These are slurs."}); !out.Excluded || out.State != "refused" {
		t.Errorf("%+v", out)
	}
	if gone := retracted(t, d.drain()); len(gone) != 1 || gone[0].FeedbackID != ids[0] || gone[0].Reason != "excluded" {
		t.Errorf("%+v", gone)
	}
	_, err = d.s.NextReview(t.Context(), by("bad"))
	wantFault(t, "the excluded", err, "excluded")
	_, err = d.s.Spend(t.Context(), by("bad"), "", Purchase{Item: "replies"})
	wantFault(t, "the excluded spends", err, "excluded")
	_, err = d.s.AnswerInvitation(t.Context(), by("bad"), true)
	wantFault(t, "the excluded accepts", err, "excluded")
	if me, _ := d.s.Mentoring(t.Context(), by("bad")); me.State != "excluded" || me.Reason != "These are slurs." {
		t.Errorf("%+v", me)
	}
	d.reviewer("bad") // an operator may ask again
	d.next("bad")
}

// TestTasteIsNoAbuse: whoever agrees with nobody goes on as before.
func TestTasteIsNoAbuse(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("rio")
	for range 9 {
		d.talk("luna", "ben")
	}
	for agreement, want := range map[float64]string{.1: "little", .6: "partly", .9: "fully"} {
		d.happens(event.ReputationUpdated{RaterID: "rio", Version: 1, Agreement: agreement, Abuse: 1 - agreement, Excluded: agreement < .5})
		if me, err := d.s.Mentoring(t.Context(), by("rio")); err != nil || me.Regard != want || me.State != "active" {
			t.Errorf("%v: %+v %v", agreement, me, err)
		}
		if r := d.review("rio", func(w *ReviewWords) {
			w.Marks = mentor.Marks{InCharacter: "not_at_all", Helpful: "hardly", Kind: "not_at_all"}
		}); r.State != "counted" {
			t.Errorf("%+v", r)
		}
	}
	if all, _ := d.s.ReviewsAside(t.Context(), operator()); len(all) != 0 || d.points("rio") != 3 {
		t.Errorf("%+v, %d points", all, d.points("rio"))
	}
}

// TestMutualPraise: two who always give each other the best are looked at.
func TestMutualPraise(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("ann", "cid")
	best := func(w *ReviewWords) {
		w.Marks = mentor.Marks{InCharacter: "clearly", Helpful: "clearly", Kind: "clearly"}
	}
	var states []string
	for i := range 3 {
		d.talk("luna", "ben")
		d.talk("mark", "ben")
		states = append(states, d.review("ann", best).State, d.review("cid", best).State)
		if i == 0 {
			d.later(time.Second)
		}
	}
	if d := cmp.Diff([]string{"counted", "counted", "counted", "counted", "counted", "aside"}, states); d != "" {
		t.Error(d)
	}
	all, err := d.s.ReviewsAside(t.Context(), operator())
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Findings, []string{"collusion"}) {
		t.Errorf("%+v %v", all, err)
	}
}
