package feedback

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// talks is an answer of a person to luna's m5 with everything in it.
func talks(id, person string, seq int64) event.MessageCreated {
	m := personSays(id, person, seq, "m5")
	m.Features = event.Features{Detector: 2, Questions: 1, Sentiment: .5, Variance: .07}
	m.Turn = &event.Turn{Detector: 1, To: "luna", Chance: .95, Named: true, About: "m5", First: true, Shift: .1, Trouble: .4}
	return m
}

func heardOf(t testing.TB, events []event.Event) (out []string) {
	t.Helper()
	for _, f := range created(t, events) {
		if f.Source != sourceImplicit || f.Noise <= 0 || f.Noise > 1 {
			t.Errorf("%+v", f)
		}
		out = append(out, fmt.Sprintf("%s %s %v", f.RaterID, f.Signal, f.Score))
	}
	return out
}

// live lists the signals that count, each with the message or session it is about.
func (w *world) live() (out []string) {
	w.t.Helper()
	err := w.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select rater_id, signal, message_id, value from feedback_events where live and source = 'implicit' order by rater_id, signal, message_id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r [4]string
			if err := rows.Scan(&r[0], &r[1], &r[2], &r[3]); err != nil {
				return err
			}
			out = append(out, fmt.Sprint(r[0], " ", r[1], " ", r[2], r[3]))
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestEveryDetectorIsHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.happens(talks("m6", "ben", 6))
	want := []string{"ben tag/1 1", "ben sentiment/2 0.5", "ben follow_up/1 1", "ben trouble/1 0.2", "ben reply/1 1"}
	got := heardOf(t, w.drain())
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// Somebody with a habit, who lets an answer stand for far too long.
	for i := range signal.PausesNeeded {
		w.happens(agentSays(fmt.Sprint("q", i), int64(100+2*i), "d3"))
		a := talks(fmt.Sprint("r", i), "ann", int64(101+2*i))
		a.Turn.About, a.Features.Variance, a.Turn.Trouble, a.Turn.Named, a.Features.Questions = event.MessageID(fmt.Sprint("q", i)), 1, 0, false, 0
		w.happens(a)
	}
	w.happens(agentSays("q", 300, "d3"))
	w.drain()
	w.later(time.Hour)
	late := talks("r", "ann", 301)
	late.Turn.About, late.Turn.Shift = "q", .9
	w.happens(late)
	if d := cmp.Diff([]string{"ann tag/1 1", "ann sentiment/2 0.5", "ann topic_change/1 -1", "ann trouble/1 0.2", "ann reply/1 0.5", "ann slow/1 -1"}, heardOf(t, w.drain())); d != "" {
		t.Error(d)
	}
	// The end of the talk; two who did not allow it say nothing, and so does the room of two.
	w.happens(event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 9, People: []event.SessionPerson{
		{PersonID: "ann", Turns: 3, MedianChars: 9, Consent: true, With: 2, Answer: "q", Stood: 3_600_000, Spoken: 1},
		{PersonID: "ben", Turns: 9, MedianChars: 9, Consent: true, With: 3, WithMilli: 200_000, Heard: true, Answer: "m5", Others: 1},
		{PersonID: "cid", Turns: 4, MedianChars: 9, Consent: true, With: 1, Answer: "m4", Others: 3},
		{PersonID: "dan", Turns: 4, MedianChars: 9, Consent: true},
		{PersonID: "eve", Turns: 9, MedianChars: 9, With: 3, WithMilli: 200_000},
	}})
	want = []string{"ann engagement/1", "ann abandoned/1", "ben engagement/1", "ben stayed/1", "cid engagement/1", "cid ignored/1", "dan engagement/1", " engaged_room/1 0.75"}
	got = heardOf(t, w.drain())
	for i := range got {
		if i >= len(want) || !bytes.HasPrefix([]byte(got[i]), []byte(want[i])) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	again := event.AgentInvited{AgentID: "luna", RoomID: "r9", By: "ben", Again: true, Consent: true}
	first, guarded, stranger := again, again, again
	first.Again, guarded.Protected, stranger.By = false, true, "zoe"
	silent := again
	silent.Consent = false
	w.happens(first, guarded, stranger, silent, again)
	if d := cmp.Diff([]string{"ben invited_again/1 1"}, heardOf(t, w.drain())); d != "" {
		t.Error(d)
	}
	for _, d := range signal.Detectors() { // all but these two were seen here
		if n := w.count(`select count(*) from feedback_events where signal = $1`, d.ID); n == 0 && d.ID != signal.Reaction && d.ID != signal.LeftAfter {
			t.Errorf("%s was never heard", d.ID)
		}
	}
}

// Below .9 a signal goes to nobody, and so it does when it is about an agent that did
// not write the message.
func TestUnclearSignalsGoToNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	unsure, other, nobody, old := talks("m6", "ben", 6), talks("m7", "ben", 7), talks("m8", "ben", 8), talks("m9", "ben", 9)
	unsure.Turn.Chance = .899
	other.Turn.To = "mark"
	nobody.Turn = nil
	old.Turn.First, old.Turn.Named = false, false
	w.happens(unsure, other, nobody, old)
	if got := w.drain(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// The same events again, in another order of rooms and agents, and doubled, leave the
// same signals.
func TestReplaysReordersAndDoubles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.happens(talks("m6", "ben", 6), talks("m7", "ann", 7), event.ReactionAdded{RoomID: "r1", MessageID: "m5", PersonID: "ben", Emoji: "👍", Consent: true})
	want := w.live()
	if len(want) != 11 {
		t.Fatal(want)
	}
	for _, e := range w.events {
		if err := deliver(w.s, w.db, e, e); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, w.live()); d != "" {
		t.Error("again:", d)
	}
	z := newWorld(t, Options{})
	var rooms, agents []event.Event
	for _, e := range w.events {
		if e.Topic() == event.TopicRooms {
			rooms = append(rooms, e)
		} else {
			agents = append(agents, e)
		}
	}
	for _, e := range append(rooms, agents...) { // every room before any agent
		if err := deliver(z.s, z.db, e); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(want, z.live()); d != "" {
		t.Error("rooms first:", d)
	}
}

func TestEditedAndDeletedAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	said := talks("m6", "ben", 6)
	w.happens(said)
	w.drain()
	now := *said.Turn
	now.Shift, now.Trouble, now.Named = .8, .6, false
	edit := event.MessageEdited{RoomID: "r1", MessageID: "m6", PersonID: "ben", Consent: true, Was: "m5", Turn: &now, Features: event.Features{Detector: 2, Sentiment: -.4, Variance: .07}}
	w.happens(edit)
	want := []string{"ben reply/1 m5", "ben sentiment/2 m5", "ben topic_change/1 m5", "ben trouble/1 m5"}
	if d := cmp.Diff(want, w.live()); d != "" {
		t.Error("the words changed:", d)
	}
	events := w.drain()
	if got := heardOf(t, events); !slices.Contains(got, "ben sentiment/2 -0.4") || len(got) != 3 || len(retracted(t, events)) != 2 {
		t.Errorf("%v", got)
	}
	moved := edit // it speaks to a message of before now
	turn := now
	turn.About = "m4"
	moved.Turn = &turn
	w.happens(moved)
	if d := cmp.Diff([]string{"ben sentiment/2 m4", "ben topic_change/1 m4", "ben trouble/1 m4"}, w.live()); d != "" {
		t.Error("about another:", d)
	}
	w.happens(event.MessageDeleted{RoomID: "r1", MessageID: "m6", PersonID: "ben", About: "m4"}, event.MessageDeleted{RoomID: "r1", MessageID: "m6", PersonID: "ben", About: "m4"})
	if got := w.live(); len(got) != 0 {
		t.Error("deleted:", got)
	}
	// Without consent nothing new is derived, and what is not said any more is gone.
	w.happens(talks("m7", "ann", 7))
	w.happens(event.MessageEdited{RoomID: "r1", MessageID: "m7", PersonID: "ann", Was: "m5", Features: edit.Features})
	if got := w.live(); len(got) != 0 {
		t.Error("edited without consent:", got)
	}
}

// Whoever leaves and comes back tells of both talks, one signal of a kind each.
func TestLeftAndCameBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	left := event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 3, People: []event.SessionPerson{
		{PersonID: "ben", Turns: 2, MedianChars: 9, Consent: true, With: 1, Gone: true, LeftAfter: true, Answer: "m5", Stood: 9_000_000}}}
	w.happens(left, left)
	if d := cmp.Diff([]string{"ben engagement/1 ", "ben left_after/1 "}, w.live()); d != "" {
		t.Error(d)
	}
	back := left
	back.SessionID = "s2"
	back.People = []event.SessionPerson{{PersonID: "ben", Turns: 2, MedianChars: 9, Consent: true, With: 2, WithMilli: 181_000, Heard: true}}
	w.happens(event.SessionStarted{SessionID: "s2", AgentID: "luna", RoomID: "r1", StartedBy: "ben"}, back)
	if d := cmp.Diff([]string{"ben engagement/1 ", "ben engagement/1 ", "ben left_after/1 ", "ben stayed/1 "}, w.live()); d != "" {
		t.Error(d)
	}
}

// Foreign clocks measure nothing: of imported messages and sessions no pause, no
// stay and no abandoning is derived, whatever they say.
func TestForeignClocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	for i := range signal.PausesNeeded { // a habit, from here
		w.happens(agentSays(fmt.Sprint("q", i), int64(100+2*i), "d3"))
		a := talks(fmt.Sprint("r", i), "ben", int64(101+2*i))
		a.Turn.About = event.MessageID(fmt.Sprint("q", i))
		w.happens(a)
	}
	w.drain()
	before := w.count(`select replies from baselines where person_id = 'ben'`)
	brought := talks("m6", "ben", 6)
	brought.Imported, brought.OccurredAt = true, w.now().Add(300*time.Hour).UnixMicro()
	w.happens(brought, event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 2, Imported: true, DurationMilli: 1 << 40, People: []event.SessionPerson{
		{PersonID: "ben", Turns: 2, MedianChars: 9, Consent: true, With: 1, WithMilli: 1 << 40, Answer: "m5", Stood: 1 << 40, Spoken: 1}}})
	for _, f := range created(t, w.drain()) {
		if slices.Contains([]string{signal.Reply, signal.Slow, signal.Stayed, signal.Abandoned}, f.Signal) {
			t.Errorf("%+v", f)
		}
	}
	if w.count(`select replies from baselines where person_id = 'ben'`) != before {
		t.Error("a foreign pause became a habit")
	}
}

// 200 reactions on a message: of one person the newest counts, of 200 people each
// once; the learner bounds what all guests say together.
func TestManyReactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	for i := range 200 {
		w.happens(event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: "ben", Emoji: []string{"👍", "👎", "❤", "🙄"}[i%4], Consent: true})
	}
	if d := cmp.Diff([]string{"ben reaction/1 m2🙄"}, w.live()); d != "" {
		t.Error(d)
	}
	off := func(emoji string) event.ReactionRemoved {
		return event.ReactionRemoved{RoomID: "r1", MessageID: "m2", PersonID: "ben", Emoji: emoji}
	}
	w.drain()
	w.happens(off("👎"), off("🙄")) // one that was replaced, then the newest: the one before it counts again
	events := w.drain()
	if d := cmp.Diff([]string{"ben reaction/1 m2❤"}, w.live()); d != "" || len(retracted(t, events)) != 1 || len(created(t, events)) != 1 {
		t.Error(d, events)
	}
	w.happens(off("❤"), off("👍"))
	if got := w.live(); len(got) != 0 {
		t.Error(got)
	}
	for i := range 200 {
		w.happens(event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: event.PersonID(fmt.Sprint("p", i)), Emoji: "👍", Consent: true})
	}
	if got := w.live(); len(got) != 200 {
		t.Errorf("%d signals of 200 people", len(got))
	}
}

// An emoji means what the owner says, then what the platform does; the unknown and
// the ambiguous say nothing.
func TestMeanings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	set := func(emoji string, m *float64) (EmojiMeanings, error) {
		return w.s.SetMeaning(t.Context(), by("ann"), EmojiMeaning{emoji, m})
	}
	all, err := set("💀", new(.8))
	if err != nil {
		t.Fatal(err)
	}
	if all, err = set("👍🏽", new(0.)); err != nil || len(all.Meanings) != 2 {
		t.Fatal(all, err)
	}
	if _, err := set("🧀", new(1.)); err != nil {
		t.Fatal(err)
	}
	if all, err = set("🧀", nil); err != nil || len(all.Meanings) != 2 || all.Meanings[0].Emoji != "👍" {
		t.Fatal(all, err)
	}
	if mine, err := w.s.Meanings(t.Context(), by("ben")); err != nil || len(mine.Meanings) != 0 {
		t.Error("ben's are ann's", mine, err)
	}
	for i, emoji := range []string{"💀", "👍🏻", "🙌", "🧀", "🦑", "😂", "👎"} {
		w.happens(event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: event.PersonID(fmt.Sprint("p", i)), Emoji: emoji, Consent: true, Platform: "slack-acme"})
	}
	guarded := event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: "q", Emoji: "👎", Consent: true, Protected: true}
	w.happens(guarded)
	if d := cmp.Diff([]string{"p0 reaction/1 0.8", "p2 reaction/1 1", "p6 reaction/1 -1"}, heardOf(t, w.drain())); d != "" {
		t.Error(d)
	}
	for _, bad := range []EmojiMeaning{{"", new(1.)}, {"love", new(1.)}, {"my name ❤", new(1.)}, {"❤❤❤❤❤❤❤❤❤❤❤", new(1.)}, {"❤", new(1.1)}} {
		if _, err := w.s.SetMeaning(t.Context(), by("ann"), bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := w.s.SetMeaning(t.Context(), authz.Principal{}, EmojiMeaning{"❤", new(1.)}); err == nil {
		t.Error("nobody set a meaning")
	}
	w.happens(event.AccountErased{PersonID: "ann"})
	if w.count(`select count(*) from emoji_meanings`) != 0 {
		t.Error("meanings of somebody who was erased")
	}
}

// What is known of pauses is the same in whatever batches it comes.
func TestHabitsDoNotDependOnBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	for i := range 20 {
		w.happens(agentSays(fmt.Sprint("q", i), int64(100+2*i), "d3"))
		w.later(time.Duration(i*i) * time.Second)
		a := talks(fmt.Sprint("r", i), []string{"ann", "ben"}[i%2], int64(101+2*i))
		a.Turn.About = event.MessageID(fmt.Sprint("q", i))
		w.happens(a)
	}
	w.happens(event.AccountErased{PersonID: "ann"}, talks("z", "ann", 900))
	want, err := w.db.Dump(t.Context(), w.s.Projections()...)
	if err != nil {
		t.Fatal(err)
	}
	z := newWorld(t, Options{})
	if err := deliver(z.s, z.db, w.events...); err != nil {
		t.Fatal(err)
	}
	got, err := z.db.Dump(t.Context(), z.s.Projections()...)
	if err != nil || !bytes.Equal(want, got) {
		t.Error(cmp.Diff(string(want), string(got)))
	}
	if w.count(`select count(*) from baselines where person_id = 'ben' and replies = 10 and pause_sizes <> ''`) != 1 || w.count(`select count(*) from baselines where person_id = 'ann'`) != 0 {
		t.Errorf("%s", got)
	}
}

// What a signal of an answer costs.
func BenchmarkTurns(b *testing.B) {
	w := newWorld(b, Options{})
	w.scene()
	n := 0
	for b.Loop() {
		var events []event.Event
		for range 250 {
			n++
			id := event.MessageID(event.HashID("q", fmt.Sprint(n)))
			d := decision(fmt.Sprint("dd", n), "e1", 100, policy.Neutral())
			q, a := agentSays(string(id), int64(100+2*n), string(d.DecisionID)), talks(event.HashID("a", fmt.Sprint(n)), fmt.Sprint("p", n%50), int64(101+2*n))
			a.Turn.About = id
			for _, p := range []event.Payload{d, q, a} {
				events = append(events, event.New("bench", event.NewID(), w.now().UnixMicro(), p))
			}
			w.later(time.Second)
		}
		if err := deliver(w.s, w.db, events...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(3*n)/b.Elapsed().Seconds(), "events/s")
}
