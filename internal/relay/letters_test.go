package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

func (w *world) letters(t testing.TB, group string) []DeadLetter {
	t.Helper()
	out, err := w.relay.DeadLetters(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// short is a list of letters as <event id>[:parked].
func short(letters []DeadLetter) string {
	var out []string
	for _, l := range letters {
		s := l.Event.ID
		if l.Parked {
			s += ":parked"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func (w *world) mustGive(t testing.TB, pairs ...pair) {
	t.Helper()
	if err := w.give(t.Context(), pairs...); err != nil {
		t.Fatal(err)
	}
}

func TestFates(t *testing.T) {
	t.Parallel()
	var tries [10]atomic.Int32
	w := newWorld(t, func(w *world) {
		w.trouble = func(group string, e event.Event) error {
			if group != "learning" {
				return nil
			}
			n := int(numberOf(e)[0] - '0')
			first := tries[n].Add(1) < 4
			switch {
			case n == 1 && first:
				return fmt.Errorf("wrapped: %w", fault.New(fault.Unavailable, "soon", "Soon."))
			case n == 2 && first:
				return fault.New(fault.Conflict, "other", "Other.")
			case n == 3:
				return fault.New(fault.Invalid, "never", "Never.")
			case n == 4:
				return fmt.Errorf("%w: a field", event.ErrMalformed)
			case n == 5:
				return fault.New(fault.NotFound, "nobody", "Nobody.")
			case n == 6:
				panic("somebody's words")
			}
			return nil
		}
	})
	start(t, w.relay)
	all := []pair{{"a", 1}, {"a", 2}, {"a", 3}, {"a", 4}, {"b", 5}, {"b", 6}, {"b", 7}, {"a", 8}}
	w.mustGive(t, all...)
	idle(t, w.relay)
	if err := w.expect(t.Context(), all, 3, 4, 5, 6, 7); err != nil {
		t.Error(err)
	}
	letters := w.letters(t, "learning")
	if got, want := short(letters), "said-3 said-4 said-5 said-6:parked said-7:parked"; got != want {
		t.Errorf("letters %s, want %s", got, want)
	}
	for i, part := range []string{"never: Never.", "a field", "nobody", "handler_panicked", "behind"} {
		if !strings.Contains(letters[i].Reason, part) || letters[i].Group != "learning" || letters[i].At == 0 || letters[i].Event.Subject == "" {
			t.Errorf("%+v", letters[i])
		}
		if strings.Contains(letters[i].Reason, "words") {
			t.Error("a panic's words are kept")
		}
	}
	if n := w.relay.Counts()[1]; n.Group != "learning" || n.Handled != 3 || n.SetAside != 3 || n.Parked != 2 || n.Retried == 0 {
		t.Errorf("%+v", n)
	}
	if _, err := w.relay.DeadLetters(t.Context(), "nobody"); !fault.Is(err, "unknown_group") {
		t.Error(err)
	}
}

func TestReplayKeepsTheOrderOfTheKey(t *testing.T) {
	t.Parallel()
	var broken atomic.Int32 // events of this number and more meet a mistake
	w := newWorld(t, func(w *world) {
		w.trouble = func(group string, e event.Event) error {
			if b := broken.Load(); b > 0 && group == "learning" && e.Subject == "a" && int32(numberOf(e)[0]-'0') >= b {
				return errors.New("a mistake")
			}
			return nil
		}
	})
	stop := start(t, w.relay)
	broken.Store(2)
	all := []pair{{"a", 1}, {"a", 2}, {"b", 3}, {"a", 4}}
	w.mustGive(t, all...)
	idle(t, w.relay)
	if err := w.expect(t.Context(), all, 2, 4); err != nil {
		t.Error("the other key did not go on:", err)
	}

	// The mistake is gone for 2 and not for 4: the replay stops there, and a new
	// event waits behind it.
	broken.Store(4)
	replay := func() {
		t.Helper()
		letters := w.letters(t, "learning")
		if err := w.relay.Replay(t.Context(), "learning", letters[len(letters)-1].ID); err != nil {
			t.Fatal(err)
		}
	}
	replay()
	all = append(all, pair{"a", 5}, pair{"b", 6})
	w.mustGive(t, all[4:]...)
	idle(t, w.relay)
	if got, want := short(w.letters(t, "learning")), "said-4:parked said-5:parked"; got != want {
		t.Errorf("letters %s, want %s", got, want)
	}
	if l := w.letters(t, "learning")[0]; l.Replayed != 0 && l.Reason != "a mistake" {
		t.Errorf("%+v", l)
	}
	if err := w.expect(t.Context(), all, 4, 5); err != nil {
		t.Error(err)
	}

	// Events that lie on the log before the replay's record, handed out in the same
	// batch as it, and after it, keep their order too.
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.close()
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	put := func(n int) {
		t.Helper()
		p := pair{"a", n}
		all = append(all, p)
		w.mustGive(t, p)
		rows, err := newPublisher(w.relay, "feedback", w.feedback).front(t.Context())
		if err == nil {
			err = w.log.Append(t.Context(), recordsOf(rows))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put(7)
	broken.Store(0)
	replay()
	put(8)
	start(t, w.relay)
	idle(t, w.relay)
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
	if got := w.letters(t, "learning"); len(got) != 0 {
		t.Errorf("letters are left: %s", short(got))
	}
	all = append(all, pair{"a", 9})
	w.mustGive(t, all[len(all)-1])
	idle(t, w.relay)
	if err := w.expect(t.Context(), all); err != nil {
		t.Error("the key is still parked:", err)
	}
}

func TestReplayOfOneSetAside(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	refuse.Store(true)
	w := newWorld(t, func(w *world) {
		w.trouble = func(group string, e event.Event) error {
			if group == "learning" && numberOf(e) == "1" && refuse.Load() {
				return fault.New(fault.Invalid, "never", "Never.")
			}
			return nil
		}
	})
	other := freshLearning(t) // of a group that has no trouble, and no part in the replay
	w.relay.AddConsumer(w.listener("other", other))
	start(t, w.relay)
	w.mustGive(t, pair{"a", 1}, pair{"a", 2})
	idle(t, w.relay)
	letter := w.letters(t, "learning")[0]
	for range 2 { // in vain, and then with success
		if err := w.relay.Replay(t.Context(), "learning", letter.ID); err != nil {
			t.Fatal(err)
		}
		idle(t, w.relay)
		if letters := w.letters(t, "learning"); refuse.Load() && (len(letters) != 1 || letters[0].Replayed == 0) {
			t.Errorf("%+v", letters)
		}
		refuse.Store(false)
	}
	if err := w.expect(t.Context(), []pair{{"a", 2}, {"a", 1}}); err != nil {
		t.Error(err)
	}
	if got, err := linesOf(t.Context(), other); err != nil || got["a"] != "1 2" {
		t.Errorf("the other group has %v, %v", got, err)
	}
	if got := w.letters(t, "learning"); len(got) != 0 {
		t.Errorf("letters are left: %s", short(got))
	}
	if err := w.relay.Replay(t.Context(), "learning", letter.ID); !fault.Is(err, "unknown_letter") {
		t.Errorf("a second replay: %v", err)
	}
	if err := w.relay.Replay(t.Context(), "feedback", letter.ID); !fault.Is(err, "unknown_letter") {
		t.Errorf("another group's: %v", err)
	}
}

func TestGroupStopsWhenTooManyKeysAreParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.trouble = func(group string, e event.Event) error {
			if group == "learning" && strings.HasPrefix(e.Subject, "bad") {
				return errors.New("a mistake")
			}
			return nil
		}
	})
	stop := start(t, w.relay)
	// 9 bad keys of 10 go on: it may be chance.
	var all []pair
	for i := range 9 {
		all = append(all, pair{fmt.Sprint("bad-", i), i})
	}
	all = append(all, pair{"good", 9})
	w.mustGive(t, all...)
	idle(t, w.relay)
	// So do 10 of some 1,300.
	var good []pair
	for i := range 1300 {
		good = append(good, pair{fmt.Sprint("good-", i), 100 + i})
	}
	w.mustGive(t, good...)
	w.mustGive(t, pair{"bad-9", 10}, pair{"good", 11})
	idle(t, w.relay)
	if err := w.relay.Err(); err != nil {
		t.Fatal(err)
	}
	// 20 do not.
	for i := range 10 {
		w.mustGive(t, pair{fmt.Sprint("bad-more-", i), 2000 + i})
	}
	w.mustGive(t, pair{"good", 3000})
	if err := w.relay.Idle(t.Context()); !fault.Is(err, "group_stopped") || !strings.Contains(err.Error(), "learning") {
		t.Fatal(err)
	}
	parked := len(w.letters(t, "learning"))
	if parked < 10 || parked > 20 {
		t.Errorf("%d letters", parked)
	}
	if err := stop(); !fault.Is(err, "group_stopped") {
		t.Error(err)
	}

	// Started again with the mistake it parks nothing more; without it it goes on.
	w.close()
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop = start(t, w.relay)
	if err := w.relay.Idle(t.Context()); !fault.Is(err, "group_stopped") {
		t.Fatal(err)
	}
	if got := len(w.letters(t, "learning")); got != parked {
		t.Errorf("%d letters, there were %d", got, parked)
	}
	stop()
	w.close()
	w.trouble = nil
	if err := w.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, w.relay)
	idle(t, w.relay)
	for _, l := range w.letters(t, "learning") {
		if err := w.relay.Replay(t.Context(), "learning", l.ID); err != nil {
			t.Fatal(err)
		}
	}
	idle(t, w.relay)
	given, err := givenOf(t.Context(), w.feedback)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.expect(t.Context(), given); err != nil {
		t.Error(err)
	}
}

// put appends records to the log by hand.
func put(t testing.TB, log eventlog.Log, records ...eventlog.Record) {
	t.Helper()
	if err := log.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

func recordOf(t testing.TB, e event.Event) eventlog.Record {
	t.Helper()
	value, err := e.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return eventlog.Record{Topic: e.Topic(), Key: e.Subject, ID: e.ID, Type: string(e.Type), Value: value}
}

func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	future := said("future", "a", 1)
	future.Version = 99
	broken := recordOf(t, said("broken", "a", 2))
	broken.Value = broken.Value[:len(broken.Value)/2]
	other := recordOf(t, said("other", "a", 3))
	other.Key = "b"
	foreign := eventlog.Record{Topic: event.TopicAgents, Key: "a", ID: "foreign", Type: "some.other.type", Value: []byte("not even JSON")}
	put(t, w.log, recordOf(t, future), broken, other, foreign, recordOf(t, said("good", "a", 4)))
	start(t, w.relay)
	idle(t, w.relay)
	letters := w.letters(t, "learning")
	if got, want := short(letters), "future broken other"; got != want {
		t.Errorf("letters %s, want %s", got, want)
	}
	for i, part := range []string{"version 99", "malformed", "differ"} {
		if !strings.Contains(letters[i].Reason, part) || letters[i].Event.Type != "feedback.retracted" {
			t.Errorf("%+v", letters[i])
		}
	}
	if err := w.expect(t.Context(), []pair{{"a", 4}}); err != nil {
		t.Error(err)
	}
}

func TestIDsThatComeWithAnotherBody(t *testing.T) {
	t.Parallel()
	t.Run("at the log", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		put(t, w.log, recordOf(t, said("taken", "a", 1)))
		emit(t, w.feedback, said("first", "a", 2), said("taken", "a", 3), said("first", "a", 2), said("last", "a", 4))
		start(t, w.relay)
		idle(t, w.relay)
		if err := w.expect(t.Context(), []pair{{"a", 1}, {"a", 2}, {"a", 4}}); err != nil {
			t.Error(err)
		}
		letters := w.letters(t, "feedback")
		if short(letters) != "taken" || letters[0].Reason != "id_conflict" {
			t.Fatalf("%+v", letters)
		}
		if err := w.relay.Replay(t.Context(), "feedback", letters[0].ID); !fault.Is(err, "not_replayable") {
			t.Error(err)
		}
	})
	t.Run("at the group", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, func(w *world) {
			w.wrap = func(log eventlog.Log) eventlog.Log { return &echoing{Log: log} }
		})
		again := recordOf(t, said("one", "a", 1))
		for _, r := range []eventlog.Record{again, again, recordOf(t, said("one", "a", 2)), again, recordOf(t, said("two", "a", 3))} {
			r.ID += echoMark + event.NewID()
			put(t, w.log, r)
		}
		start(t, w.relay)
		idle(t, w.relay)
		if err := w.expect(t.Context(), []pair{{"a", 1}, {"a", 3}}); err != nil {
			t.Error(err)
		}
		letters := w.letters(t, "learning")
		if short(letters) != "one" || letters[0].Reason != "id_reused" || numberOf(letters[0].Event) != "2" {
			t.Fatalf("%+v", letters)
		}
		if err := w.relay.Replay(t.Context(), "learning", letters[0].ID); !fault.Is(err, "not_replayable") {
			t.Error(err)
		}
		if n := w.relay.Counts()[1]; n.Duplicates != 2 {
			t.Errorf("%+v", n)
		}
	})
}

// A rebuild gives what the live database has, with letters that wait, letters
// that were replayed, and echoes.
func TestRebuildIsTheLiveState(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	broken.Store(true)
	var echo *echoing
	w := newWorld(t, func(w *world) {
		w.wrap = func(log eventlog.Log) eventlog.Log {
			echo = &echoing{Log: log}
			return echo
		}
		w.trouble = func(group string, e event.Event) error {
			n := numberOf(e)
			switch {
			case group == "learning" && strings.HasSuffix(n, "3"):
				return fault.New(fault.Invalid, "never", "Never.")
			case group == "learning" && e.Subject == "agent-1" && broken.Load():
				return errors.New("a mistake")
			case group == "learning" && strings.HasSuffix(n, "5") && broken.Load():
				return fault.New(fault.Invalid, "not_yet", "Not yet.")
			}
			return nil
		}
	})
	start(t, w.relay)
	n := 0
	speak := func() {
		for range 60 {
			n++
			w.mustGive(t, pair{fmt.Sprint("agent-", n%4), n})
		}
		idle(t, w.relay)
		// The same records once more, at other positions.
		var again []eventlog.Record
		for i := n - 59; i <= n; i += 2 {
			again = append(again, recordOf(t, said(fmt.Sprint("said-", i), fmt.Sprint("agent-", i%4), i)))
		}
		put(t, echo, again...)
		idle(t, w.relay)
	}
	compare := func(when string) *sqldb.DB {
		t.Helper()
		dst := freshLearning(t)
		var done, total int64
		c := w.listener("learning", dst)
		trouble := w.trouble
		w.trouble = func(group string, e event.Event) error { return nil } // the mistakes are gone
		err := Rebuild(t.Context(), echo, c, w.learning, dst, func(d, of int64) { done, total = d, of })
		w.trouble = trouble
		if err != nil {
			t.Fatal(err)
		}
		if done != total || total == 0 {
			t.Errorf("%s: progress ended at %d of %d", when, done, total)
		}
		for _, tables := range [][]string{{"line"}, {"dead_letters", "parked"}} {
			want, err1 := w.learning.Dump(t.Context(), tables...)
			got, err2 := dst.Dump(t.Context(), tables...)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if string(want) != string(got) || len(got) < 100 {
				t.Errorf("%s: %v differ:\n%s\nrebuilt:\n%s", when, tables, want, got)
			}
		}
		if empty, err := newPublisher(w.relay, "x", dst).empty(t.Context()); err != nil || !empty {
			t.Errorf("%s: the rebuild emitted (%v)", when, err)
		}
		return dst
	}
	speak()
	if got := len(w.letters(t, "learning")); got < 20 {
		t.Fatalf("%d letters", got)
	}
	compare("while letters wait")
	broken.Store(false)
	for _, l := range w.letters(t, "learning") {
		if !strings.HasPrefix(l.Reason, "never") {
			// The first letter of a parked key takes the others along.
			if err := w.relay.Replay(t.Context(), "learning", l.ID); err != nil && !fault.Is(err, "unknown_letter") {
				t.Fatal(err)
			}
		}
	}
	speak()
	dst := compare("after replays")

	// The rebuilt database takes the live one's place.
	w.mustGive(t, pair{"agent-0", 1000})
	idle(t, w.relay)
	r := New(groupless{echo, "-2"})
	r.AddConsumer(Consumer{Group: "learning", DB: dst, Topics: []string{event.TopicAgents}, Types: []event.Type{"feedback.retracted"},
		Handle: w.listener("learning", dst).Handle})
	start(t, r)
	idle(t, r)
	want, err1 := linesOf(t.Context(), w.learning)
	got, err2 := linesOf(t.Context(), dst)
	if errors.Join(err1, err2) != nil || !strings.HasSuffix(got["agent-0"], " 1000") || got["agent-0"] != want["agent-0"] {
		t.Errorf("after the swap: %v, want %v", got["agent-0"], want["agent-0"])
	}
}

// groupless gives a group another name, so that two consumers of one group both
// get its partitions.
type groupless struct {
	eventlog.Log
	suffix string
}

func (l groupless) Read(ctx context.Context, group string, topics []string, from func(context.Context, eventlog.Partition) (eventlog.Position, error)) (eventlog.Reader, error) {
	return l.Log.Read(ctx, group+l.suffix, topics, from)
}

func freshLearning(t testing.TB) *sqldb.DB {
	t.Helper()
	db := openDB(t, newDir(t), "fresh")
	if err := db.Migrate(t.Context(), "context", lines); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestRebuildRefusesWhatFailsNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	start(t, w.relay)
	w.mustGive(t, pair{"a", 1}, pair{"a", 2})
	idle(t, w.relay)
	w2 := &world{trouble: func(_ string, e event.Event) error {
		if numberOf(e) == "2" {
			return fault.New(fault.Invalid, "never", "Never.")
		}
		return nil
	}}
	dst := freshLearning(t)
	err := Rebuild(t.Context(), w.log, w2.listener("learning", dst), w.learning, dst, nil)
	if !fault.Is(err, "never") || !strings.Contains(err.Error(), "said-2") {
		t.Error(err)
	}
	// Without a live database it goes to the end of the log.
	dst = freshLearning(t)
	if err := Rebuild(t.Context(), w.log, w.listener("learning", dst), nil, dst, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := linesOf(t.Context(), dst); err != nil || got["a"] != "1 2" {
		t.Error(got, err)
	}
	if !slices.Equal(w.relay.consumers[0].Topics, []string{event.TopicAgents}) {
		t.Error("a rebuild changed the consumer")
	}
}
