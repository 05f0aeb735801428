package feedback

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

func TestWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	thumb := w.give("ann", Opinion{Kind: "thumb", MessageID: "m6", Value: "up", Comment: "words stay"})
	guest := w.give("ben", Opinion{Kind: "thumb", MessageID: "m6", Value: "up"})
	rating := w.give("ann", Opinion{Kind: "session", SessionID: "s7", Value: "loved"})
	for _, r := range []Receipt{thumb, guest, rating} {
		if r.Status != Waiting || r.HTTPStatus() != 202 {
			t.Errorf("%+v", r)
		}
	}
	// The message comes before its decision: the thumb goes on waiting.
	w.happens(agentSays("m6", 6, "d6"))
	if got := w.drain(); len(got) != 0 {
		t.Errorf("emitted %+v", got)
	}
	w.happens(decision("d6", "e3", 300, policy.Neutral()))
	events := w.drain()
	got := created(t, events)
	if len(got) != 1 || got[0].FeedbackID != thumb.FeedbackID || got[0].Shares[0].EpisodeID != "e3" || got[0].MessageID != "m6" {
		t.Fatalf("%+v", got)
	}
	if events[0].Cause != w.events[len(w.events)-1].ID || bytes.Contains(events[0].Data, []byte("words")) {
		t.Errorf("%+v", events[0])
	}
	// What was refused on arrival is a dead letter with its reason.
	letters, err := w.s.DeadLetters(t.Context())
	if err != nil || len(letters) != 1 || letters[0].FeedbackID != guest.FeedbackID || letters[0].Reason != "owners_only" {
		t.Errorf("%+v %v", letters, err)
	}
	// An hour later the other one is too, and what arrives then is too late for it.
	w.later(time.Hour)
	letters, _ = w.s.DeadLetters(t.Context())
	if len(letters) != 2 || letters[1].FeedbackID != rating.FeedbackID || letters[1].Awaits != "s7" || letters[1].Reason != "" {
		t.Errorf("%+v", letters)
	}
	page, _ := w.s.List(t.Context(), by("ann"), "", "", false)
	if len(page.Waiting) != 1 || page.Waiting[0].Status != "lost" {
		t.Errorf("%+v", page.Waiting)
	}
	late := decision("d7", "e7", 400, policy.Neutral())
	late.SessionID = "s7"
	w.happens(event.SessionStarted{SessionID: "s7", AgentID: "luna", RoomID: "r1", StartedBy: "ann"}, late)
	if got := w.drain(); len(got) != 0 {
		t.Errorf("emitted %+v", got)
	}
	// An operator can try it again.
	if ok, err := w.s.Replay(t.Context(), rating.FeedbackID); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if got := created(t, w.drain()); len(got) != 1 || got[0].FeedbackID != rating.FeedbackID {
		t.Errorf("%+v", got)
	}
	if ok, err := w.s.Replay(t.Context(), guest.FeedbackID); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if _, err := w.s.Replay(t.Context(), "nothing"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
	if n := w.count(`select count(*) from waiting`); n != 1 {
		t.Errorf("%d wait", n)
	}
}

// A rating can be quicker than the news of the answer it is about: it waits for that,
// or for the end of a session without one.
func TestRatedBeforeTheAnswerIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	for _, id := range []event.SessionID{"s8", "s9"} {
		w.happens(event.SessionStarted{SessionID: id, AgentID: "luna", RoomID: "r1", StartedBy: "ann"})
		if r := w.give("ann", Opinion{Kind: "session", SessionID: id, Value: "good"}); r.Status != Waiting {
			t.Errorf("%+v", r)
		}
	}
	answered := decision("d8", "e8", 400, policy.Neutral())
	answered.SessionID = "s8"
	w.happens(answered)
	if got := created(t, w.drain()); len(got) != 1 || got[0].SessionID != "s8" || len(got[0].Shares) != 1 || got[0].Shares[0] != (event.Share{EpisodeID: "e8", Start: 400, Weight: 1}) {
		t.Errorf("when the answer is known: %+v", got)
	}
	w.happens(event.SessionEnded{SessionID: "s9", AgentID: "luna", RoomID: "r1", StartedBy: "ann"})
	if got := created(t, w.drain()); len(got) != 1 || got[0].SessionID != "s9" || len(got[0].Shares) != 0 {
		t.Errorf("after a session without an answer: %+v", got)
	}
	if r := w.give("ann", Opinion{Kind: "session", SessionID: "s9", Value: "loved"}); r.Status != Stored {
		t.Errorf("and later: %+v", r)
	}
	if n := w.count(`select count(*) from waiting`); n != 0 {
		t.Errorf("%d wait", n)
	}
}

func TestWaitingThumbsReplaceInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	up := w.give("ann", Opinion{Kind: "thumb", DecisionID: "d6", Value: "up"})
	w.later(time.Second)
	down := w.give("ann", Opinion{Kind: "thumb", DecisionID: "d6", Value: "down"})
	w.happens(decision("d6", "e3", 300, policy.Neutral()))
	got := created(t, w.drain())
	if len(got) != 2 || got[0].FeedbackID != up.FeedbackID || got[1].FeedbackID != down.FeedbackID || got[1].Supersedes != up.FeedbackID {
		t.Errorf("%+v", got)
	}
}

func TestImplicit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	ended := event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 3, Messages: 9, People: []event.SessionPerson{
		{PersonID: "ann", Turns: 4, MedianChars: 60, LatencyMilli: 78_000, Sentiment: .4, Consent: true},
		{PersonID: "ben", Turns: 4, MedianChars: 60, LeftAfter: true, With: 2, Consent: true},
		{PersonID: "dan", Turns: 9, MedianChars: 90, LeftAfter: true}, // no consent
		{PersonID: "eve", Consent: true},                              // never spoke
	}}
	w.happens(ended)
	shares := []event.Share{{EpisodeID: "e1", Start: 100, Weight: 1. / 3}, {EpisodeID: "e2", Start: 200, Weight: 2. / 3}}
	events := w.drain()
	var got []string
	for i, f := range created(t, events) {
		got = append(got, fmt.Sprintf("%s %s %s %s %v", f.RaterID, f.Role, f.Channel, f.Signal, f.Score))
		if f.Source != "implicit" || f.SessionID != "s1" || f.RoomID != "r1" || !cmp.Equal(f.Shares, shares) || f.Context != event.ContextDMWithOwner || f.Sentiment == nil {
			t.Errorf("%+v", f)
		}
		if events[i].Cause != w.events[len(w.events)-1].ID || events[i].Time != w.events[len(w.events)-1].Time {
			t.Errorf("%+v", events[i])
		}
	}
	want := []string{"ann owner behaviour engagement/1 0.666667", "ben participant behaviour engagement/1 0.5", "ben participant behaviour left_after/1 -0.4"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := w.count(`select count(*) from baselines where person_id in ('dan', 'eve')`); n != 0 {
		t.Error("a habit without consent")
	}
	protected := ended
	protected.SessionID, protected.Protected = "s2", true
	silent := ended
	silent.SessionID, silent.AgentMessages = "s3", 0
	habits := w.count(`select sum(sessions) from baselines`)
	w.happens(protected, silent)
	if got := w.drain(); len(got) != 0 || w.count(`select sum(sessions) from baselines`) != habits {
		t.Errorf("emitted %+v", got)
	}
}

// In a protected room nothing is derived; what somebody says themselves counts,
// with the stamp.
func TestProtected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	d, m := decision("d6", "e3", 300, policy.Neutral()), agentSays("m6", 6, "d6")
	d.Protected, m.Protected = true, true
	w.happens(d, m, event.ReactionAdded{RoomID: "r1", MessageID: "m6", PersonID: "ann", Emoji: "👍", Consent: true}, personSays("m7", "ann", 7, "m6"))
	if got := w.drain(); len(got) != 0 {
		t.Errorf("emitted %+v", got)
	}
	w.give("ann", Opinion{Kind: "thumb", MessageID: "m6", Value: "up"})
	if got := created(t, w.drain()); len(got) != 1 || !got[0].Protected {
		t.Errorf("%+v", got)
	}
}

func TestOwnHabit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	for i := range signal.Known + 1 {
		w.happens(event.SessionEnded{SessionID: event.SessionID(fmt.Sprint("h", i)), AgentID: "luna", RoomID: "r1", AgentMessages: 2,
			People: []event.SessionPerson{{PersonID: "ann", Turns: 1, MedianChars: 10, LatencyMilli: 600_000, Consent: true}}})
	}
	got := created(t, w.drain())
	first, last := got[0], got[len(got)-1]
	if math.Abs(last.Score-2./3) > 1e-6 || first.Score > .2 {
		t.Errorf("a laconic person at their usual: %v at first, %v at last", first.Score, last.Score)
	}
}

func TestReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.later(77 * time.Second)
	mute := personSays("m6", "ben", 6, "m5")
	mute.Consent = false
	guarded := personSays("m7", "ben", 7, "m5")
	guarded.Protected = true
	brought := personSays("m8", "ben", 8, "m5")
	brought.Imported, brought.OccurredAt = true, day0.Add(-24*time.Hour).UnixMicro()
	w.happens(mute, guarded, brought, personSays("m9", "ben", 9, "m1"), personSays("m10", "ben", 10, "")) // a person's message; nobody's
	if got := w.drain(); len(got) != 0 {
		t.Fatalf("emitted %+v", got)
	}
	second := personSays("m12", "ben", 12, "m5")
	second.Turn.First = false
	w.happens(personSays("m11", "ben", 11, "m5"), second, personSays("m13", "ann", 13, "m5"))
	got := created(t, w.drain())
	if len(got) != 2 || got[0].RaterID != "ben" || got[1].RaterID != "ann" {
		t.Fatalf("%+v", got)
	}
	for _, f := range got {
		if f.Signal != signal.Reply || f.MessageID != "m5" || f.DecisionID != "d3" || f.Score < .9 || f.Score > 1 || f.Shares[0].EpisodeID != "e2" {
			t.Errorf("%+v", f)
		}
	}
	// The decision may come later.
	say := agentSays("x1", 1, "dx")
	say.RoomID, say.Direct, say.Sessions[0].SessionID = "r2", true, "s2"
	answer := personSays("x2", "ann", 2, "x1")
	answer.RoomID, answer.Direct = "r2", true
	w.happens(say)
	w.later(time.Hour - time.Minute)
	w.happens(answer)
	if got := w.drain(); len(got) != 0 {
		t.Errorf("emitted %+v", got)
	}
	w.happens(decision("dx", "ex", 400, policy.Neutral()))
	got = created(t, w.drain())
	if len(got) != 1 || got[0].RaterID != "ann" || got[0].MessageID != "x1" || got[0].Shares[0].EpisodeID != "ex" || got[0].Score != .5 {
		t.Errorf("%+v", got)
	}
}

func TestReactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	on := func(person, emoji string, consent bool) event.ReactionAdded {
		return event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: event.PersonID(person), Emoji: emoji, Consent: consent}
	}
	w.happens(on("ben", "👍", true), on("ben", "😂", true), on("dan", "👎", false),
		event.ReactionAdded{RoomID: "r1", MessageID: "m3", PersonID: "ann", Emoji: "👍", Consent: true}) // a person's message
	got := created(t, w.drain())
	if len(got) != 1 || got[0].Channel != event.ChannelReaction || got[0].Score != 1 || got[0].Role != event.RoleParticipant || got[0].DecisionID != "d1" {
		t.Fatalf("%+v", got)
	}
	off := event.ReactionRemoved{RoomID: "r1", MessageID: "m2", PersonID: "ben", Emoji: "👍"}
	w.happens(off, off)
	if gone := retracted(t, w.drain()); len(gone) != 1 || gone[0].FeedbackID != got[0].FeedbackID {
		t.Errorf("%+v", gone)
	}
	w.happens(on("ben", "👍", true))
	if again := created(t, w.drain()); len(again) != 1 || again[0].FeedbackID == got[0].FeedbackID || again[0].Supersedes != "" {
		t.Errorf("%+v", again)
	}
	// Taken back while it waits.
	w.happens(event.ReactionAdded{RoomID: "r1", MessageID: "m9", PersonID: "ben", Emoji: "👍", Consent: true},
		event.ReactionRemoved{RoomID: "r1", MessageID: "m9", PersonID: "ben", Emoji: "👍"}, decision("d9", "e3", 300, policy.Neutral()), agentSays("m9", 9, "d9"))
	if got := w.drain(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.happens(event.AgentUpdated{AgentState: state("mark", "ann")})
	first := w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"})
	second := w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "down", Comment: "secret"})
	third := w.give("ann", Opinion{Kind: "check_in", AgentID: "mark", Value: "same"})
	back := w.give("ann", Opinion{Kind: "check_in", AgentID: "luna", Value: "same"})
	if _, err := w.s.Retract(t.Context(), by("ann"), back.FeedbackID); err != nil {
		t.Fatal(err)
	}
	w.give("ann", Opinion{Kind: "comment", MessageID: "m2", Comment: "secret"})
	w.give("ann", Opinion{Kind: "comment", MessageID: "m99", Comment: "secret"}) // waits
	if _, err := w.s.Give(t.Context(), by("ann"), "key", Opinion{Kind: "comment", AgentID: "luna", Comment: "secret"}); err != nil {
		t.Fatal(err)
	}
	ben := w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "good"})
	w.happens(personSays("m6", "ann", 6, "m5"))
	implicit := created(t, w.drain())
	w.happens(event.AccountErased{PersonID: "ann"})

	var ids []event.FeedbackID
	for _, r := range retracted(t, w.drain()) {
		if r.Reason != "erased" || r.RaterID != "ann" {
			t.Errorf("%+v", r)
		}
		ids = append(ids, r.FeedbackID)
	}
	slices.Sort(ids)
	want := []event.FeedbackID{first.FeedbackID, second.FeedbackID, third.FeedbackID, implicit[len(implicit)-1].FeedbackID}
	slices.Sort(want)
	if d := cmp.Diff(want, ids); d != "" {
		t.Error(d)
	}
	dump, err := w.db.Dump(t.Context(), "feedback_events", "waiting", "participants", "baselines", "idempotency")
	if err != nil || bytes.Contains(dump, []byte("ann\"")) && strings.Contains(string(dump), `rater_id="ann"`) || bytes.Contains(dump, []byte("secret")) {
		t.Errorf("left behind: %s %v", dump, err)
	}
	if !bytes.Contains(dump, []byte(ben.FeedbackID)) {
		t.Error("ben's is gone too")
	}
	if n := w.count(`select count(*) from erased_rows where person_id = 'ann' and (tbl = 'feedback_events' and n = 7 or tbl = 'waiting' and n = 1 or tbl = 'evidence' and n = 4)`); n != 3 {
		dump, _ := w.db.Dump(t.Context(), "erased_rows")
		t.Errorf("no proof: %s", dump)
	}
	// What other topics still tell of them leaves nothing.
	w.happens(personSays("m7", "ann", 7, "m5"), event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: "ann", Emoji: "👍", Consent: true},
		event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 3, People: []event.SessionPerson{{PersonID: "ann", Turns: 3, LeftAfter: true, Consent: true}}})
	if got := w.drain(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if n := w.count(`select (select count(*) from participants where person_id = 'ann') + (select count(*) from baselines where person_id = 'ann') + (select count(*) from feedback_events where rater_id = 'ann')`); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestGiveAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1})
	w.scene()
	foreign := agentSays("i1", 20, "")
	foreign.Imported, foreign.Features, foreign.OccurredAt = true, event.Features{Words: 200, Questions: 1, Sentiment: -.5}, day0.Add(-24*time.Hour).UnixMicro()
	w.happens(foreign, personSays("i2", "ben", 21, ""))
	start := w.events[len(w.events)-2].Time
	w.drain()
	yesterday := day0.Add(-24 * time.Hour).UnixMicro()
	marks := []Given{
		{FeedbackID: "g1", RaterID: "r1", MessageID: "i1", Mark: 1, OccurredAt: yesterday},
		{FeedbackID: "g2", RaterID: "r2", MessageID: "i1", Mark: 0},
		{FeedbackID: "g3", RaterID: "r3", MessageID: "i1", Mark: -1},
		{FeedbackID: "g4", RaterID: "r3", MessageID: "i1", Mark: 2},
		{FeedbackID: "g5", RaterID: "r3", MessageID: "i2", Mark: 1},   // a person's
		{FeedbackID: "g6", RaterID: "ann", MessageID: "i1", Mark: 1},  // the owner
		{FeedbackID: "g7", RaterID: "r3", MessageID: "i99", Mark: 1},  // not here yet
		{FeedbackID: "", RaterID: "r3", MessageID: "i1", Mark: 1},     // no id
		{FeedbackID: "g8", RaterID: "r\x00", MessageID: "i1"},         // NUL
		{FeedbackID: "g1", RaterID: "r1", MessageID: "i1", Mark: 1},   // again
		{FeedbackID: "g9", RaterID: "r1", MessageID: "i1", Mark: -1},  // a change of mind
		{FeedbackID: "g10", RaterID: "r1", MessageID: "m2", Mark: -1}, // with a decision
	}
	results, err := w.s.GiveAll(t.Context(), marks)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range results {
		code := ""
		if f, ok := r.Err.(*fault.Error); ok {
			code = " " + f.Code
		} else if r.Err != nil {
			code = " nul_in_text"
		}
		if r.FeedbackID != marks[i].FeedbackID {
			t.Errorf("result %d is of %s", i, r.FeedbackID)
		}
		got = append(got, r.Status+code)
	}
	want := []string{"stored", "stored", "stored", "refused unknown_value", "refused not_an_agent", "refused own_agent", "waiting", "refused bad_id", "refused nul_in_text", "duplicate", "stored", "stored"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	events := created(t, w.drain())
	if len(events) != 5 {
		t.Fatalf("%d events", len(events))
	}
	wantFirst := event.FeedbackCreated{FeedbackID: "g1", AgentID: "luna", OwnerID: "ann", RaterID: "r1", Role: "reviewer", Source: "reviewer", Channel: "review", Score: 1,
		Measured:  &event.Measured{Meter: 1, Levels: map[string]float64{"brevity": 0, "curiosity": .625}},
		MessageID: "i1", SessionID: "s1", RoomID: "r1", Shares: []event.Share{{EpisodeID: "i1", Start: start, Weight: 1}}, Sentiment: new(-.5), Context: event.ContextGroupSmall,
		Imported: true, OccurredAt: yesterday}
	if d := cmp.Diff(wantFirst, events[0]); d != "" {
		t.Error(d)
	}
	if events[3].Supersedes != "g1" || events[4].Measured != nil || events[4].Shares[0].EpisodeID != "e1" {
		t.Errorf("%+v %+v", events[3], events[4])
	}
	// The foreign clock a day behind changes no order and no window.
	if n := w.count(`select count(*) from feedback_events where feedback_id = 'g1' and created_at > $1 and occurred_at = $2`, start, yesterday); n != 1 {
		t.Error("the foreign time was taken for the time of receipt")
	}
	if _, err := w.s.GiveAll(t.Context(), make([]Given, MaxBatch+1)); fault.KindOf(err) != fault.TooLarge {
		t.Errorf("%v", err)
	}
	late := agentSays("i99", 22, "")
	late.Imported = true
	w.happens(late)
	if events := created(t, w.drain()); len(events) != 1 || events[0].FeedbackID != "g7" || events[0].Role != "reviewer" {
		t.Errorf("%+v", events)
	}
}

func TestMarkID(t *testing.T) {
	t.Parallel()
	ids := map[event.FeedbackID]bool{}
	for _, id := range []string{"1", "2", "mark/room/7/rater001", "mark/room/7/rater002", "mark/room/8/rater001"} {
		ids[MarkID("a", id)], ids[MarkID("b", id)] = true, true
	}
	if len(ids) != 10 || !ids[MarkID("a", "1")] {
		t.Errorf("%d ids of 10 marks", len(ids))
	}
	if one, two := MarkID("a", "mark/room/7/rater001"), MarkID("a", "mark/room/7/rater002"); len(one) != 36 || one[:13] != two[:13] {
		t.Errorf("%s and %s do not lie together", one, two)
	}
}

// Messages brought before their agent is known here wait for it.
func TestAgentComesLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	m := agentSays("i1", 1, "")
	m.Imported = true
	w.happens(m)
	if r, err := w.s.GiveAll(t.Context(), []Given{{FeedbackID: "g1", RaterID: "r1", MessageID: "i1", Mark: 1}}); err != nil || r[0].Status != Waiting {
		t.Fatalf("%+v %v", r, err)
	}
	w.happens(event.AgentCreated{AgentState: state("luna", "ann")})
	if got := created(t, w.drain()); len(got) != 1 || got[0].OwnerID != "ann" {
		t.Errorf("%+v", got)
	}
}

func TestImportedSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	a, b := agentSays("i1", 1, ""), agentSays("i2", 2, "")
	a.Imported, b.Imported = true, true
	a.Features, b.Features = event.Features{Words: 5}, event.Features{Words: 200, Questions: 1}
	w.happens(event.AgentCreated{AgentState: state("luna", "ann")}, a, b,
		event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 2, Imported: true, People: []event.SessionPerson{{PersonID: "ben", Turns: 2, Consent: true}}})
	if got := created(t, w.drain()); len(got) != 1 || got[0].Shares != nil || !got[0].Imported {
		t.Errorf("%+v", got)
	}
	w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "good"})
	got := created(t, w.drain())
	want := &event.Measured{Meter: 1, Levels: map[string]float64{"brevity": .5, "curiosity": (.25 + .625) / 2}}
	if len(got) != 1 || !cmp.Equal(got[0].Measured, want) || !cmp.Equal(got[0].Shares, []event.Share{{EpisodeID: "s1", Start: w.events[1].Time, Weight: 1}}) {
		t.Errorf("%+v", got)
	}
}

func TestProportions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.Int64Range(1, 1<<40), 1, 200).Draw(t, "counts")
		var sum float64
		for i, p := range proportions(counts) {
			if !(p > 0 && p <= 1) {
				t.Fatalf("share %d is %v", i, p)
			}
			sum += p
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Fatalf("the shares sum to %v", sum)
		}
	})
}

// Every join of a random talk gives shares that sum to 1, or none.
func TestSharesSumToOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1 << 20})
	w.happens(event.AgentCreated{AgentState: state("luna", "ann")})
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		session := event.SessionID(fmt.Sprint("p", n))
		talk := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 30).Draw(r, "talk")
		replies, in := 0, map[event.EpisodeID]int{}
		for i, episode := range talk {
			d := decision(fmt.Sprintf("p%d-%d", n, i), fmt.Sprint(n, "e", episode), int64(episode), policy.Neutral())
			d.SessionID = session
			if episode == 5 {
				d.Action = "silence"
			} else {
				replies++
				in[d.EpisodeID]++
			}
			w.happens(d)
		}
		if len(talk) == 0 {
			w.happens(event.SessionStarted{SessionID: session, AgentID: "luna", RoomID: "r1", StartedBy: "ann"})
		}
		w.drain()
		w.give("ann", Opinion{Kind: "session", SessionID: session, Value: "good"})
		if len(talk) > 0 {
			w.give("ann", Opinion{Kind: "thumb", DecisionID: event.DecisionID(fmt.Sprintf("p%d-0", n)), Value: "up"})
		}
		for _, f := range created(t, w.drain()) {
			var sum float64
			for i, s := range f.Shares {
				sum += s.Weight
				if f.Channel == event.ChannelSession && s.Weight != float64(in[s.EpisodeID])/float64(replies) {
					r.Fatalf("%+v of %v", s, in)
				}
				if i > 0 && s.Start <= f.Shares[i-1].Start {
					r.Fatalf("order of %+v", f.Shares)
				}
			}
			if len(f.Shares) == 0 && replies > 0 || len(f.Shares) > 0 && math.Abs(sum-1) > 1e-12 {
				r.Fatalf("%+v", f)
			}
		}
	})
}

// The same events in any order that keeps the order per key, delivered one by one,
// in batches or with refused ones between, give the same projections.
func TestRebuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"}) // records are no part of it
	brought := agentSays("i1", 1, "")
	brought.RoomID, brought.Imported = "r2", true
	moved := state("mark", "cid")
	moved.Version = 2
	w.happens(
		event.AccountCreated{PersonID: "ann"}, event.AccountCreated{PersonID: "cid"},
		event.MessageEdited{RoomID: "r1", MessageID: "m4", Features: event.Features{Detector: 1, Words: 3, Chars: 9}}, event.MessageDeleted{RoomID: "r1", MessageID: "m5"},
		personSays("m6", "ann", 6, "m5"), personSays("m7", "ben", 7, "m5"), brought,
		event.AgentUpdated{AgentState: moved}, event.AgentTransferred{AgentID: "mark", From: "cid", To: "ben"},
		event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: "ben", Emoji: "👍", Consent: true},
		event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 3, People: []event.SessionPerson{
			{PersonID: "ann", Turns: 4, MedianChars: 50, LatencyMilli: 5000, With: 4, WithMilli: 300_000, Consent: true},
			{PersonID: "ben", Turns: 2, MedianChars: 30, LatencyMilli: 90_000, LeftAfter: true, With: 1, Answer: "m4", Others: 2, Consent: true}}},
		event.AgentInvited{AgentID: "luna", RoomID: "r1", By: "ben", Again: true, Consent: true},
		event.SessionEnded{SessionID: "s2", AgentID: "mark", RoomID: "r2", AgentMessages: 1, Imported: true, People: []event.SessionPerson{{PersonID: "ben", Turns: 7, MedianChars: 11, Consent: true}}},
		event.RelationshipUpdated{AgentID: "luna", PersonID: "ann", Level: "close"}, event.RelationshipUpdated{AgentID: "mark", PersonID: "ben", Level: "familiar"},
		event.SessionEnded{SessionID: "s3", AgentID: "mark", RoomID: "r3", StartedBy: "ben", AgentMessages: 7, People: []event.SessionPerson{{PersonID: "ben", Turns: 7}}},
		event.ReputationUpdated{RaterID: "ann", Version: 1, Agreement: .6}, event.ReputationUpdated{RaterID: "ben", Version: 1, Agreement: .8},
		event.ProtectionChanged{PersonID: "ann", Protected: true}, event.ProtectionChanged{PersonID: "ben", Protected: true, Until: 5},
		event.AccountErased{PersonID: "ann"},
		event.AgentRetired{AgentID: "mark"},
	)
	want, err := w.db.Dump(t.Context(), w.s.Projections()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range w.s.Projections() {
		if !bytes.Contains(want, []byte("-- "+table+"\n")) || bytes.Contains(want, []byte("-- "+table+"\n--")) {
			t.Errorf("%s is empty: the test tells nothing of it", table)
		}
	}
	db := sqldbtest.Open(t)
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	tables := append([]string{"feedback_events", "waiting", "outbox", "erased_rows"}, w.s.Projections()...)
	rapid.Check(t, func(r *rapid.T) {
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for _, table := range tables {
				if _, err := tx.Exec(`delete from ` + table); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			r.Fatal(err)
		}
		lines := map[string][]event.Event{}
		var keys []string
		for _, e := range w.events {
			if lines[e.Subject] == nil {
				keys = append(keys, e.Subject)
			}
			lines[e.Subject] = append(lines[e.Subject], e)
		}
		var batch []event.Event
		for len(keys) > 0 {
			k := rapid.SampledFrom(keys).Draw(r, "key")
			batch = append(batch, lines[k][0])
			if lines[k] = lines[k][1:]; len(lines[k]) == 0 {
				keys = slices.DeleteFunc(keys, func(x string) bool { return x == k })
			}
			if len(keys) == 0 || rapid.Bool().Draw(r, "deliver") {
				if err := deliver(w.s, db, batch...); err != nil {
					r.Fatal(err)
				}
				batch = nil
			}
		}
		got, err := db.Dump(t.Context(), w.s.Projections()...)
		if err != nil {
			r.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			r.Fatal(d)
		}
	})
}

func TestMalformedPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	bad := state("luna", "ann")
	bad.Policy = []byte(`{"traits":{"humour":0.5}}`)
	err := deliver(w.s, w.db, event.New("agent", "x", 1, event.AgentCreated{AgentState: bad}))
	if err == nil || !strings.Contains(err.Error(), event.ErrMalformed.Error()) {
		t.Errorf("%v", err)
	}
}

func FuzzGive(f *testing.F) {
	w := newWorld(f, Options{Rate: 1 << 30})
	w.scene()
	h := w.api()
	for _, body := range []string{`{"kind":"thumb","messageId":"m2","value":"up"}`, `{"kind":"session","sessionId":"s1","value":"meh","comment":"\ud800"}`, `{"kind":"tone","decisionId":"d1","value":"softer","agentId":"luna"}`,
		`{"kind":"check_in","agentId":"luna","value":"not_sure"}`, `{"kind":"comment","messageId":"\u0000"}`, `{"kind":"thumb","messageId":"m9","value":"down"}`, `{"kind":1e999}`, `[[[[`, "\xff"} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		a := ask(h, "ann", "POST", "/v1/feedback", body)
		switch a.status {
		case 201, 202:
			if r := a.receipt(t); r.FeedbackID == "" || r.Status != Stored && r.Status != Waiting {
				t.Errorf("%q: %s", body, a.body)
			}
		case 403, 404, 413, 415, 422:
		default:
			t.Errorf("%q: %d %s", body, a.status, a.body)
		}
		for _, p := range created(t, w.drain()) {
			if !(p.Score >= -1 && p.Score <= 1) || p.RaterID != "ann" || p.Role != event.RoleOwner || p.AgentID != "luna" {
				t.Errorf("%q: %+v", body, p)
			}
		}
	})
}
