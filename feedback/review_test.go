package feedback

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
)

func TestReviewing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	answer := d.talk("luna", "ben")
	d.drain()
	_, err := d.s.NextReview(t.Context(), by("rio"))
	wantFault(t, "without an invitation", err, "not_invited")
	d.reviewer("rio")
	got := d.next("rio")
	if d := cmp.Diff([]mentor.Shown{{Who: "person A", Text: "[…], I am nervous about tomorrow."}, {Who: "the agent", Text: "What would make it feel a little smaller?"}}, got.Exchange); d != "" || len(got.Questions) != 3 || got.Left != 9 {
		t.Errorf("%s %+v", d, got)
	}
	d.later(20 * time.Second)
	if again := d.next("rio"); again.AssignmentID != got.AssignmentID || again.ExpiresAt != got.ExpiresAt || again.Left != 9 {
		t.Errorf("%+v, then %+v", got, again)
	}
	words := d.words()
	r, err := d.s.GiveReview(t.Context(), by("rio"), got.AssignmentID, words)
	if err != nil || r.State != "counted" || r.Explained != "" {
		t.Fatal(r, err)
	}
	events := d.drain()
	told := created(t, events)
	if len(told) != 1 || len(events) != 1 || told[0].Role != event.RoleReviewer || told[0].Channel != event.ChannelReview || told[0].Score != words.Marks.Score() || told[0].AgentID != "luna" || told[0].OwnerID != "ann" ||
		told[0].MessageID != answer || len(told[0].Shares) != 1 || told[0].FeedbackID != r.ReviewID || strings.Contains(string(events[0].Data), "helps here") {
		t.Fatalf("%+v", told)
	}

	// Twice is once; other words are none.
	if twice, err := d.s.GiveReview(t.Context(), by("rio"), got.AssignmentID, words); err != nil || twice.ReviewID != r.ReviewID {
		t.Error(twice, err)
	}
	_, err = d.s.GiveReview(t.Context(), by("rio"), got.AssignmentID, d.words())
	wantFault(t, "other words", err, "reviewed_already")
	_, err = d.s.GiveReview(t.Context(), by("roy"), got.AssignmentID, words)
	wantFault(t, "somebody else's", err, "not_found")
	if p := d.points("rio"); p != 1 || len(d.drain()) != 0 {
		t.Errorf("%d points", p)
	}

	// The owner reads the note, not whose; the author reads it, not about whom.
	list := func(p event.PersonID, agent event.AgentID) []Review {
		page, err := d.s.Reviews(t.Context(), by(p), agent, "")
		if err != nil {
			t.Fatal(err)
		}
		return page.Items
	}
	if all := list("ann", "luna"); len(all) != 1 || all[0].Note != words.Note || all[0].By != "a reviewer" || all[0].Helpful || all[0].MessageID != answer {
		t.Errorf("%+v", all)
	}
	if all := list("rio", ""); len(all) != 1 || all[0].Note != words.Note || all[0].By != "you" || all[0].AgentID != "" || all[0].MessageID != "" {
		t.Errorf("%+v", all)
	}
	for _, p := range []event.PersonID{"cid", "rio", "ben"} {
		if all := list(p, "luna"); len(all) != 0 {
			t.Errorf("%s reads %+v", p, all)
		}
	}
	for _, agent := range []event.AgentID{"", "luna"} {
		page, err := d.s.List(t.Context(), by("rio"), agent, "", false)
		if err != nil || len(page.Items) > 0 && (agent != "" || page.Items[0].AgentID != "" || page.Items[0].MessageID != "" || page.Items[0].SessionID != "" || page.Items[0].DecisionID != "") {
			t.Errorf("the reviewer learns whom: %+v %v", page.Items, err)
		}
	}

	// The owner's private mark brings points and tells no one of whom.
	for _, p := range []event.PersonID{"cid", "rio"} {
		_, err = d.s.MarkHelpful(t.Context(), by(p), r.ReviewID, true)
		wantFault(t, string(p), err, "not_found")
	}
	for _, helpful := range []bool{true, true, false, true} {
		if v, err := d.s.MarkHelpful(t.Context(), by("ann"), r.ReviewID, helpful); err != nil || v.Helpful != helpful {
			t.Fatal(v, err)
		}
	}
	if p := d.points("rio"); p != 4 {
		t.Errorf("%d points", p)
	}
	if all := list("rio", ""); all[0].Helpful {
		t.Error("the author sees the owner's mark")
	}

	// A transfer ends who may read what was written before.
	d.happens(event.AgentTransferred{AgentID: "luna", From: "ann", To: "cid"})
	if a, c := list("ann", "luna"), list("cid", "luna"); len(a)+len(c) != 0 {
		t.Errorf("%+v %+v", a, c)
	}

	// Taken back, by either door: what it taught goes, and its points.
	if v, err := d.s.WithdrawReview(t.Context(), by("rio"), r.ReviewID); err != nil || v.State != "withdrawn" || v.Note != "" {
		t.Error(v, err)
	}
	if gone := retracted(t, d.drain()); len(gone) != 1 || gone[0].FeedbackID != r.ReviewID || gone[0].Reason != "withdrawn" {
		t.Errorf("%+v", gone)
	}
	if _, err := d.s.Retract(t.Context(), by("rio"), r.ReviewID); err != nil || d.points("rio") != 0 || len(d.drain()) != 0 {
		t.Errorf("%v, %d points", err, d.points("rio"))
	}
}

// TestTwoGiveAtOnce: one of two equal reviews sent at the same time is stored.
func TestTwoGiveAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.talk("luna", "ben")
	d.reviewer("rio")
	a, words := d.next("rio"), d.words()
	d.later(time.Minute)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if r, err := d.s.GiveReview(context.Background(), by("rio"), a.AssignmentID, words); err != nil || r.State != "counted" {
				t.Error(r, err)
			}
		})
	}
	wg.Wait()
	if n := d.count(`select count(*) from reviews`); n != 1 || d.points("rio") != 1 {
		t.Errorf("%d reviews, %d points", n, d.points("rio"))
	}
}

func TestReviewWordsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.talk("luna", "ben")
	d.reviewer("rio")
	a := d.next("rio")
	for code, w := range map[string]ReviewWords{"unknown_value": {mentor.Marks{InCharacter: "5"}, "long enough a note, with words"}, "note_too_short": {fine, "good"}, "note_too_long": {fine, strings.Repeat("many words ", 300)}, "bad_text": {fine, "a long note\x00 with a hole in it"}} {
		_, err := d.s.GiveReview(t.Context(), by("rio"), a.AssignmentID, w)
		wantFault(t, code, err, code)
	}
	d.later(25 * time.Hour)
	_, err := d.s.GiveReview(t.Context(), by("rio"), a.AssignmentID, d.words())
	wantFault(t, "too late", err, "assignment_expired")
	_, err = d.s.GiveReview(t.Context(), authz.Principal{}, a.AssignmentID, d.words())
	wantFault(t, "nobody", err, "login_required")
	d.happens(event.ProtectionChanged{PersonID: "rio", Protected: true})
	_, err = d.s.NextReview(t.Context(), by("rio"))
	wantFault(t, "a protected reviewer", err, "not_invited")
	_, err = d.s.AnswerInvitation(t.Context(), by("eve"), true)
	wantFault(t, "no invitation", err, "not_found")
	if r, err := d.s.AnswerInvitation(t.Context(), by("rio"), false); err != nil || r.State != "left" {
		t.Error(r, err)
	}
	_, err = d.s.InviteReviewer(t.Context(), by("ann"), "eve")
	wantFault(t, "a person invites", err, "not_allowed")
	if all, err := d.s.Reviewers(t.Context(), operator(), "", 50); err != nil || len(all) != 1 || all[0].PersonID != "rio" || all[0].Regard != "" || all[0].Today != nil {
		t.Errorf("%+v %v", all, err)
	}
}

// TestErasedReviewerAndOwner: nothing of them is left, and what others wrote names no
// one.
func TestErasedReviewerAndOwner(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.reviewer("rio", "roy")
	for range 3 {
		d.talk("luna", "ben")
	}
	counted := d.review("rio")
	kept := d.review("roy")
	d.review("rio", func(w *ReviewWords) { w.Note = "Only an idiot would say it like that to him." })
	d.next("rio")
	d.consent("rio", "", true)
	d.happens(event.ReputationUpdated{RaterID: "rio", Agreement: .7})
	if _, err := d.s.Spend(t.Context(), by("rio"), "k", Purchase{Item: "replies"}); !fault.Is(err, "not_enough_points") {
		t.Fatal(err)
	}
	d.drain()
	d.happens(event.AccountErased{PersonID: "rio"})
	if gone := retracted(t, d.drain()); len(gone) != 1 || gone[0].FeedbackID != counted.ReviewID || gone[0].Reason != "erased" {
		t.Errorf("%+v", gone)
	}
	d.happens(event.ReputationUpdated{RaterID: "rio", Version: 2, Agreement: .9}) // late news
	dump, err := d.db.Dump(t.Context(), "reviews", "assignments", "reviewers", "review_consents", "points", "reputations", "feedback_events")
	if err != nil || strings.Contains(string(dump), "rio") || strings.Contains(string(dump), "idiot") {
		t.Errorf("left behind: %s %v", dump, err)
	}
	d.happens(event.AccountErased{PersonID: "ann"}, event.AgentRetired{AgentID: "luna"})
	dump, _ = d.db.Dump(t.Context(), "reviews")
	if strings.Contains(string(dump), `"ann"`) {
		t.Errorf("the owner is left behind: %s", dump)
	}
	if page, err := d.s.Reviews(t.Context(), by("roy"), "", ""); err != nil || len(page.Items) != 1 || page.Items[0].ReviewID != kept.ReviewID || page.Items[0].Note == "" {
		t.Errorf("%+v %v", page.Items, err)
	}
	if got := d.next("roy"); got.AssignmentID != "" {
		t.Errorf("%+v", got)
	}
}
