package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// staged is a consumer's loop taken apart: the test decides when it takes what.
type staged struct {
	*consumer
	reader eventlog.Reader
}

func stage(t testing.TB, w *world, suffix string, flaw flaw) staged {
	t.Helper()
	r := New(groupless{w.log, suffix})
	r.flaw = flaw
	c := newConsumer(r, w.listener("learning", w.learning))
	reader, err := r.log.Read(t.Context(), c.Group, c.Topics, c.from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	return staged{c, reader}
}

func (s staged) next(t testing.TB) (*part, []eventlog.Record) {
	t.Helper()
	records, err := s.reader.Next(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	return s.part(eventlog.Partition{Topic: records[0].Topic}), records
}

// Two consumers of one group on one database, both sure that the partition is
// theirs: who comes second with an old position writes nothing.
func TestStaleConsumerWritesNothing(t *testing.T) {
	t.Parallel()
	fenced := func(t *testing.T, flaw flaw) (string, error) {
		w := newWorld(t, nil)
		for n := 1; n <= 6; n++ {
			put(t, w.log, recordOf(t, said(fmt.Sprint("said-", n), "a", n)))
		}
		old, young := stage(t, w, "-old", flaw), stage(t, w, "-young", flaw)
		st, held := old.next(t)
		for range 2 {
			p, records := young.next(t)
			if err := young.take(t.Context(), p, records); err != nil {
				t.Fatal(err)
			}
		}
		before, err := w.learning.Dump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = old.take(t.Context(), st, held)
		after, dumpErr := w.learning.Dump(t.Context())
		if dumpErr != nil {
			t.Fatal(dumpErr)
		}
		if string(before) == string(after) {
			return "", err
		}
		return "it wrote", err
	}
	if wrote, err := fenced(t, flawNone); wrote != "" || !errors.Is(err, errFenced) {
		t.Errorf("%s, %v", wrote, err)
	}
	if wrote, _ := fenced(t, flawFence); wrote == "" {
		t.Error("a relay without the condition was not noticed")
	}
}

// Run reads the position again when it was fenced, and goes on from there: two
// processes that fight for a partition still give every effect once.
func TestTwoConsumersFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	start(t, w.relay)
	r := New(groupless{w.log, "-other"})
	r.AddConsumer(w.listener("learning", w.learning))
	r.AddOutbox("learning", w.learning)
	start(t, r)
	var all []pair
	for n := range 300 {
		all = append(all, pair{fmt.Sprint("agent-", n%3), n})
		w.mustGive(t, all[n])
	}
	idle(t, w.relay)
	idle(t, r)
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
}

// pages is a log of two partitions with two records each, that gives a partition
// at a time.
type pages struct {
	eventlog.Log
	records [2][]eventlog.Record
	given   [2]int
	first   func() // called before the first page is given
	calls   int
}

func (l *pages) Read(ctx context.Context, _ string, _ []string, from func(context.Context, eventlog.Partition) (eventlog.Position, error)) (eventlog.Reader, error) {
	for i := range l.records {
		if _, err := from(ctx, eventlog.Partition{Topic: event.TopicAgents, Index: i}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *pages) Next(ctx context.Context, _ int) ([]eventlog.Record, error) {
	if l.calls++; l.calls == 1 {
		l.first()
	}
	for i, records := range l.records {
		if rest := records[l.given[i]:]; len(rest) > 0 {
			l.given[i] = len(records)
			return rest, nil
		}
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (l *pages) Seek(p eventlog.Partition, after eventlog.Position) { l.given[p.Index] = int(after) }
func (l *pages) Close() error                                       { return nil }

// A partition is fenced while a batch of another was read ahead: that batch comes
// again.
func TestFenceKeepsWhatWasReadAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	log := &pages{}
	for n := range 4 {
		r := recordOf(t, said(fmt.Sprint("said-", n), fmt.Sprint("agent-", n/2), n))
		r.Partition, r.Position = n/2, eventlog.Position(n%2+1)
		log.records[n/2] = append(log.records[n/2], r)
	}
	log.first = func() {
		if err := w.learning.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into positions (grp, topic, part, position, keys) values ($1, $2, $3, $4, $5)`, "learning", event.TopicAgents, 0, 2, []byte{})
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	c := w.listener("learning", w.learning)
	c.Max = 2
	r := New(log)
	r.AddConsumer(c)
	start(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		lines, err := linesOf(ctx, w.learning)
		if err != nil {
			t.Fatal("agent-1 never came:", err)
		}
		if lines["agent-1"] == "2 3" && lines["agent-0"] == "" {
			break
		}
		time.Sleep(time.Millisecond)
	}
}

func TestLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var clock atomic.Int64
	clock.Store(1e15)
	held := &slow{Log: w.log}
	r := New(held)
	r.now = func() time.Time { return time.UnixMicro(clock.Load()) }
	a, b := newPublisher(r, "feedback", w.feedback), newPublisher(r, "feedback", w.feedback)
	publish := func(p *publisher) bool {
		t.Helper()
		moved, err := p.publish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return moved > 0
	}
	onLog := func() (n int) {
		t.Helper()
		end, err := w.log.Partitions(t.Context(), event.TopicAgents)
		if err != nil {
			t.Fatal(err)
		}
		return int(end[eventlog.Partition{Topic: event.TopicAgents}])
	}
	w.mustGive(t, pair{"a", 1})
	if !publish(a) || onLog() != 1 {
		t.Fatal("the first does not publish")
	}
	w.mustGive(t, pair{"a", 2})
	if publish(b) || onLog() != 1 {
		t.Error("the second published beside the first")
	}
	clock.Add(leaseFor.Microseconds() * 2 / 3)
	if !publish(a) || onLog() != 2 {
		t.Error("the first does not renew its lease")
	}
	clock.Add(leaseFor.Microseconds() * 2 / 3)
	w.mustGive(t, pair{"a", 3})
	if publish(b) {
		t.Error("the second took a lease that was renewed")
	}
	clock.Add(leaseFor.Microseconds())
	if !publish(b) || onLog() != 3 {
		t.Error("the second does not take a lease that lapsed")
	}
	if publish(a); onLog() != 3 {
		t.Error("the first publishes on")
	}

	// b stalls while it appends, a takes over, publishes and sees the next event:
	// b may not delete what is not its to delete.
	w.mustGive(t, pair{"a", 4})
	held.during = func() {
		held.during = nil
		clock.Add(leaseFor.Microseconds() * 2)
		if !publish(a) {
			t.Error("the first does not take over")
		}
		w.mustGive(t, pair{"a", 5})
	}
	if publish(b) {
		t.Error("the second goes on without its lease")
	}
	if rows, err := a.front(t.Context()); err != nil || len(rows) != 1 || rows[0].ID != "said-5" {
		t.Errorf("the outbox holds %v, %v", rows, err)
	}
	if publish(b) || onLog() != 4 {
		t.Error("the second published on")
	}
	a.release(t.Context())
	publish(b)
	if empty, err := b.empty(t.Context()); err != nil || !empty {
		t.Error("a lease that was given back is not taken", err)
	}
}

// slow does something before it appends.
type slow struct {
	eventlog.Log
	during func()
}

func (l *slow) Append(ctx context.Context, records []eventlog.Record) error {
	if l.during != nil {
		l.during()
	}
	return l.Log.Append(ctx, records)
}

func TestPositionBeyondTheLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	start(t, w.relay)
	w.mustGive(t, pair{"a", 1}, pair{"a", 2})
	idle(t, w.relay)
	empty := openLog(t, t.TempDir())
	r := New(empty)
	r.AddConsumer(w.listener("learning", w.learning))
	err := r.Run(t.Context())
	if !fault.Is(err, "position_lost") || !errors.Is(err, eventlog.ErrPositionLost) || !strings.Contains(err.Error(), "learning") {
		t.Error(err)
	}
	if err := r.Idle(t.Context()); !fault.Is(err, "position_lost") {
		t.Error("idle:", err)
	}
	dst := freshLearning(t)
	if err := Rebuild(t.Context(), empty, w.listener("learning", dst), w.learning, dst, nil); !errors.Is(err, eventlog.ErrPositionLost) {
		t.Error("rebuild:", err)
	}
}

func TestOldOutboxIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.mustGive(t, pair{"a", 1})
	age := func(d time.Duration) {
		if err := w.feedback.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`update outbox set at = $1`, w.relay.now().Add(-d).UnixMicro())
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	age(remember + time.Hour)
	err := w.relay.Run(t.Context())
	if !fault.Is(err, "outbox_too_old") || !strings.Contains(err.Error(), "feedback") {
		t.Fatal(err)
	}
	age(remember - time.Hour)
	w.relay.ended = nil
	start(t, w.relay)
	idle(t, w.relay)
	if err := w.expect(t.Context(), []pair{{"a", 1}}); err != nil {
		t.Error(err)
	}
}

func TestIdsAreForgottenAfterAFortnight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.wrap = func(log eventlog.Log) eventlog.Log { return &echoing{Log: log} }
	})
	stop := start(t, w.relay)
	w.mustGive(t, pair{"a", 1})
	idle(t, w.relay)
	now := w.relay.now()
	marks := func() (n int) {
		t.Helper()
		var s seen
		if err := w.learning.Read(t.Context(), func(tx *sqldb.Tx) error {
			return s.load(tx, "learning", eventlog.Partition{Topic: event.TopicAgents}, now)
		}); err != nil {
			t.Fatal(err)
		}
		return len(s.young)
	}
	if err := Purge(t.Context(), w.learning, now.Add(remember-time.Hour)); err != nil || marks() != 1 {
		t.Errorf("%d marks after less than 14 days, %v", marks(), err)
	}
	if err := Purge(t.Context(), w.learning, now.Add(remember+time.Hour)); err != nil || marks() != 0 {
		t.Errorf("%d marks after 14 days, %v", marks(), err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}

	// In memory: known for at least 14 days, gone after 28.
	s := seen{young: map[uint64]uint64{}, since: now.UnixMicro()}
	m := mark{1, 2}
	if s.take(m) != isFresh || s.take(m) != isKnown || s.take(mark{1, 3}) != isReused {
		t.Error("a fresh memory")
	}
	s.forget()
	if s.take(m) != isFresh {
		t.Error("what was forgotten is not fresh")
	}
	s.keep(now)
	s.forget()
	s.keep(now.Add(remember + time.Hour))
	if s.take(m) != isKnown {
		t.Error("forgotten too early")
	}
	s.keep(now.Add(2*remember + 2*time.Hour))
	if s.take(m) != isFresh {
		t.Error("never forgotten")
	}
}

func TestSeenRowsHoldManyMarks(t *testing.T) {
	t.Parallel()
	db := openDB(t, newDir(t), "db")
	p := eventlog.Partition{Topic: "t", Index: 3}
	s := seen{young: map[uint64]uint64{}}
	const n = 1000
	for i := range n {
		s.take(mark{uint64(i), uint64(i * i)})
		if i%3 == 0 { // a transaction now and then
			if err := db.Write(t.Context(), func(tx *sqldb.Tx) error { return s.save(tx, "g", p, time.UnixMicro(1)) }); err != nil {
				t.Fatal(err)
			}
			s.keep(time.UnixMicro(1))
		}
	}
	var back seen
	var rows int
	if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Get(`select count(*) from seen`, nil, &rows); err != nil {
			return err
		}
		return back.load(tx, "g", p, time.UnixMicro(1))
	}); err != nil {
		t.Fatal(err)
	}
	if len(back.young) != n || rows != 4 || back.young[30] != 900 || back.n != s.n || string(back.row) != string(s.row) {
		t.Errorf("%d marks in %d rows", len(back.young), rows)
	}
}

func TestSketch(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 10, 100, 640, 1000, 10_000, 300_000} {
		var s sketch
		for i := range n {
			s.add(fmt.Sprint("key-", i))
			s.add(fmt.Sprint("key-", i/2))
		}
		if e := s.estimate(); e < .8*float64(n) || e > 1.2*float64(n) {
			t.Errorf("%d keys are estimated as %.0f", n, e)
		}
	}
}

func TestLag(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for n := range 5 {
		put(t, w.log, recordOf(t, said(fmt.Sprint("said-", n), "a", n)))
	}
	w.mustGive(t, pair{"a", 10}, pair{"a", 11})
	check := func(still bool, want map[string]int64) {
		t.Helper()
		lag, err := w.relay.Lag(t.Context())
		if err != nil || !maps.Equal(lag, want) {
			t.Error(lag, err)
		}
		if got, err := w.relay.Still(t.Context()); err != nil || got != still {
			t.Error("still:", got, err)
		}
	}
	check(false, map[string]int64{"outbox feedback": 2, "learning agents/0": 5, "feedback agents/0": 5})
	start(t, w.relay)
	idle(t, w.relay)
	check(true, map[string]int64{"learning agents/0": 0, "feedback agents/0": 0})
}

// Records of other types are passed over without a write for each, and are not
// read again after a restart.
func TestOtherTypesArePassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	records := make([]eventlog.Record, 1000)
	for i := range records {
		records[i] = eventlog.Record{Topic: event.TopicAgents, Key: "a", ID: fmt.Sprint("other-", i), Type: "other", Value: []byte("{}")}
	}
	for i := 0; i < skipMax+2000; i += len(records) {
		for j := range records {
			records[j].ID = fmt.Sprint("other-", i+j)
		}
		put(t, w.log, records...)
	}
	start(t, w.relay)
	idle(t, w.relay)
	for _, c := range w.relay.consumers {
		st := c.parts[eventlog.Partition{Topic: event.TopicAgents}]
		if st.read != skipMax+2000 || st.saved < skipMax || st.saved == st.read {
			t.Errorf("%s read %d, saved %d", c.Group, st.read, st.saved)
		}
	}
}

func TestEmitRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for code, e := range map[string]event.Event{"unknown_event_type": {ID: "x", Type: "nothing.known"}, "event_without_id": {Type: "feedback.retracted"}} {
		err := w.feedback.Write(t.Context(), func(tx *sqldb.Tx) error { return Emit(tx, e) })
		if !fault.Is(err, code) {
			t.Error(code, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("two groups on one database")
		}
	}()
	w.relay.AddConsumer(w.listener("other", w.learning))
}
