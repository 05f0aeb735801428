package learning

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/policy"
)

// short is a horizon that stories reach.
var short = horizon{age: 100 * day, entries: 64}

// TestMergingDoesNotDependOnBatches: neither on them nor on small delays.
func TestMergingDoesNotDependOnBatches(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := life(rt, rapid.IntRange(40, 90).Draw(rt, "sessions"))
		b.t = rt
		b.s.horizon = horizon{age: day, entries: rapid.SampledFrom([]int{33, 40, 1000}).Draw(rt, "kept")}
		b.clear()
		b.feed(Batch, s.events...)
		want, learner := b.dump(b.s.Projections()...), b.dump(learnerTables...)
		b.clear()
		b.feed(rapid.SampledFrom([]int{4, 9, 50}).Draw(rt, "batch"), s.events...)
		if got := b.dump(b.s.Projections()...); got != want {
			rt.Fatalf("in small batches (-), at once (+):\n%s", differing(got, want))
		}
		for _, e := range s.events {
			if e.Type == "feedback.retracted" || strings.Contains(string(e.Data), `"supersedes"`) || lateIn(e) {
				return // where something takes entries away, or comes later than the horizon, merging may come at another moment
			}
		}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		events := append([]event.Event(nil), s.events...)
		for i := range events {
			j := i + rnd.IntN(min(4, len(events)-i))
			events[i], events[j] = events[j], events[i]
		}
		b.clear()
		b.feed(20, events...)
		if got := b.dump(learnerTables...); got != learner {
			rt.Fatalf("delayed (-), in order (+):\n%s", differing(got, learner))
		}
	})
}

// differing are the first lines in which two dumps differ, cut.
func differing(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out []string
	for i := 0; i < max(len(as), len(bs)) && len(out) < 12; i++ {
		x, y := "", ""
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		if x != y {
			out = append(out, fmt.Sprintf("%d - %.160s\n%d + %.160s", i, x, i, y))
		}
	}
	return strings.Join(out, "\n")
}

// lateIn says whether an event is about an episode that began more than a few hours
// before.
func lateIn(e event.Event) bool {
	f, err := event.As[event.FeedbackCreated](e)
	if err != nil {
		return false
	}
	for _, share := range f.Shares {
		if e.Time-share.Start > 3*3600e6 {
			return true
		}
	}
	return false
}

// old is an agent with a life of so many sessions, and the feedback on the first.
func (b *bench) old(s *story, sessions int) (first event.FeedbackID) {
	b.feed(10, s.events...)
	r := policy.NewStream([32]byte{8})
	for range sessions {
		news := s.rated(&r, .8)
		b.feed(10, news...)
		if first == "" {
			f, _ := event.As[event.FeedbackCreated](news[1])
			first = f.FeedbackID
		}
	}
	b.emitted()
	return first
}

func TestWhatIsMergedStaysTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.s.horizon = short
	s := newStory("a")
	first := b.old(s, 140)
	if got := len(b.entries("a")); got < short.entries || got > short.entries+chunkSize {
		t.Errorf("%d entries kept, want %d and less than a chunk more", got, short.entries)
	}
	whole := newBench(t)
	whole.feed(Batch, s.events...)
	if b.state("a") != whole.state("a") {
		t.Error("merging changed what was learned")
	}
	before := b.state("a")
	e := s.retract(first)
	b.feed(1, e)
	out := b.emitted()
	if len(out) != 1 {
		t.Fatalf("%d events after a withdrawal that comes too late", len(out))
	}
	p, err := event.As[event.UpdateRefused](out[0])
	if err != nil || p.Gate != "horizon" || !strings.Contains(p.Reason, string(first)) {
		t.Errorf("the withdrawal is answered with %+v, %v", p, err)
	}
	if b.state("a") != before {
		t.Error("what is merged was taken apart")
	}
	if b.s.horizon.entries = 5000; strings.Contains(b.dump("rl_signals"), string(first)) {
		t.Error("the withdrawn is still counted")
	}
}

// TestWhatIsSaidOfMergedEntriesIsCut: what was counted, or withdrawn, before the first
// entry kept goes with the entries, so that no table grows for ever. Sums stay.
func TestWhatIsSaidOfMergedEntriesIsCut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.s.horizon = short
	s := newStory("a")
	first := b.old(s, 20)
	b.feed(1, s.retract(first))
	if !strings.Contains(b.dump("rl_withdrawn"), string(first)) {
		t.Fatal("a withdrawal is not noted")
	}
	b.old(s, 160)
	rows := func(table string) (n int, oldest event.Micros) {
		if err := b.s.db.Read(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Get(`select count(*), coalesce(min(at), 0) from `+table, nil, &n, &oldest)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return n, oldest
	}
	kept := b.entries("a")
	n, oldest := rows("rl_signals")
	if since := kept[0].At; oldest < since || n == 0 || n > 3*len(kept) {
		t.Errorf("%d signals are kept of %d entries, the oldest %v before the first of these", n, len(kept), since-oldest)
	}
	if n, _ := rows("rl_withdrawn"); n != 0 {
		t.Errorf("%d withdrawals are kept", n)
	}
	p, err := b.s.Learning(t.Context(), "a", s.now)
	if err != nil {
		t.Fatal(err)
	}
	whole := newBench(t)
	whole.feed(Batch, s.events...)
	all, err := whole.s.Learning(t.Context(), "a", s.now)
	if err != nil || p.PositiveCount != all.PositiveCount || p.NegativeCount != all.NegativeCount || p.Avg != all.Avg || p.LastFeedbackAt != all.LastFeedbackAt {
		t.Errorf("counted %+v, of all %+v, %v", p, all, err)
	}
}

// TestAnErasureDropsWhatIsMerged: then the learner is one that began with the first
// entry kept.
func TestAnErasureDropsWhatIsMerged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.s.horizon = short
	s := newStory("a")
	first := b.old(s, 140)
	kept := b.entries("a")
	b.feed(1, s.add(event.FeedbackRetracted{FeedbackID: first, AgentID: "a", RaterID: event.PersonID(s.owner), Reason: reasonErased}))
	got := b.state("a")
	fresh := fold.New()
	want, err := fold.After(fresh, append([]*fold.Entry{{ID: "", Act: &fold.Act{Kind: fold.Created, Levels: s.doc.Traits, Baseline: policy.Neutral(),
		Hi: ones(), Pace: fold.PaceOf("normal"), Learning: true, Alive: true}}}, kept...), b.library())
	if err != nil {
		t.Fatal(err)
	}
	if got.S != want.S || got.H != want.H || got.Owner != want.Owner || got.Episodes != want.Episodes || got.Info != want.Info {
		t.Error("what was merged left a trace")
	}
	// and the stored state is that of the list
	one := s.session(policy.Neutral())
	b.feed(1, one, s.add(s.feedback(event.ChannelThumb, 1)))
	before := b.state("a")
	b.feed(1, s.add(s.feedback(event.ChannelThumb, -1)))
	if b.state("a") == before {
		t.Error("nothing is learned after an erasure")
	}
}

func ones() (x policy.Traits) {
	for j := range x {
		x[j] = 1
	}
	return x
}

// TestAnotherFormulaFoldsAgain: states of another generation are not believed; the
// next event folds the list again and leaves what a fresh fold leaves.
func TestAnotherFormulaFoldsAgain(t *testing.T) {
	t.Parallel()
	for _, h := range []horizon{usual, short} {
		b := newBench(t)
		b.s.horizon = h
		s := newStory("a")
		b.old(s, 140)
		next := []event.Event{s.session(policy.Neutral()), s.add(s.feedback(event.ChannelThumb, 1))}
		if err := b.s.db.Write(context.Background(), func(tx *sqldb.Tx) error {
			rows, err := tx.Query(`select place, state from rl_checkpoints`)
			if err != nil {
				return err
			}
			defer rows.Close()
			old := map[int][]byte{}
			for rows.Next() {
				var at int
				var state []byte
				if err := rows.Scan(&at, &state); err != nil {
					return err
				}
				state[0] = fold.Generation - 1
				state[300]++
				old[at] = state[:len(state)-40]
			}
			if err := rows.Close(); err != nil {
				return err
			}
			for at, state := range old {
				if _, err := tx.Exec(`update rl_checkpoints set state = $1 where place = $2`, state, at); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		b.s = open(b.s.db)
		b.s.horizon = h
		b.feed(1, next...)
		got := b.dump(learnerTables...)
		if h == usual {
			b.clear()
			b.s.horizon = h
			b.feed(Batch, s.events...)
			if want := b.dump(learnerTables...); got != want {
				t.Error("folded again, the tables differ from a fresh fold")
			}
			continue
		}
		// what was merged is lost with its generation; the owner's word stays
		state := b.state("a")
		if state.Start != policy.Neutral() || int(state.Entries) != 1+142-1 && state.Entries == 0 || state.S[0] == 0 {
			t.Errorf("after the loss: start %v, %d entries", state.Start, state.Entries)
		}
		if again := b.dump(learnerTables...); again != got {
			t.Error("reading changed something")
		}
	}
}
