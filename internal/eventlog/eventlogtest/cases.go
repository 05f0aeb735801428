package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport/internal/eventlog"
)

// Cases are the promises, in the order of the contract's text.
var Cases = []Case{
	{"records come back whole", whole},
	{"order per key", order},
	{"topics are apart", apart},
	{"durable when append returns", durable},
	{"appending again keeps the order", again},
	{"appenders at the same time", together},
	{"groups do not disturb each other", groups},
	{"whoever reads meets the same records", same},
	{"a group shares its partitions", shared},
	{"reading begins after the position given", from},
	{"the position is asked for every partition", asked},
	{"a position outside the log is refused", lost},
	{"seek delivers again", seek},
	{"tail begins at the end", tail},
	{"next waits and wakes", wakes},
	{"next ends with its context", cancelled},
	{"partitions tell the ends", partitions},
	{"closed", closed},
}

// IDCases are what a log gives beyond the contract that looks at ids.
var IDCases = []Case{
	{"a known id with the same value is skipped", skipped},
	{"a known id is known after reopening", skippedLater},
	{"a known id with another value is a conflict", conflict},
}

func rec(topic, key string, n int) eventlog.Record {
	return eventlog.Record{
		Topic: topic, Key: key, ID: fmt.Sprintf("%s-%s-%05d", topic, key, n),
		Type: "test.thing.happened", Value: fmt.Appendf(nil, "%s %d", key, n),
	}
}

// some gives n records of a topic over several keys.
func some(topic string, n int) (out []eventlog.Record) {
	for i := range n {
		out = append(out, rec(topic, fmt.Sprintf("key%d", i%7), i))
	}
	return out
}

func idsOf(records []eventlog.Record) (ids []string) {
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

// exactly expects the ids of want in got, once each, in any order.
func exactly(t T, got, want []eventlog.Record) {
	t.Helper()
	g, w := idsOf(got), idsOf(want)
	slices.Sort(g)
	slices.Sort(w)
	if !slices.Equal(g, w) {
		t.Fatalf("got %d records %s, want %d %s", len(g), shorten(g), len(w), shorten(w))
	}
}

func shorten(ids []string) string {
	if len(ids) > 12 {
		return strings.Join(ids[:6], " ") + " … " + strings.Join(ids[len(ids)-6:], " ")
	}
	return strings.Join(ids, " ")
}

// inOrder expects, per key, the order of want, each key in one partition, and
// positions that grow along each partition.
func inOrder(t T, got, want []eventlog.Record) {
	t.Helper()
	perKey := func(records []eventlog.Record) map[string][]string {
		m := map[string][]string{}
		for _, r := range records {
			m[r.Topic+" "+r.Key] = append(m[r.Topic+" "+r.Key], r.ID)
		}
		return m
	}
	g, w := perKey(got), perKey(want)
	for key, ids := range w {
		if !slices.Equal(g[key], ids) {
			t.Errorf("key %s: got %s, want %s", key, shorten(g[key]), shorten(ids))
		}
	}
	home := map[string]int{}
	last := map[eventlog.Partition]eventlog.Position{}
	for _, r := range got {
		key, p := r.Topic+" "+r.Key, eventlog.Partition{Topic: r.Topic, Index: r.Partition}
		if at, ok := home[key]; ok && at != r.Partition {
			t.Errorf("key %s is in partitions %d and %d", key, at, r.Partition)
		}
		home[key] = r.Partition
		if r.Position <= last[p] {
			t.Errorf("%s: position %d after %d", p, r.Position, last[p])
		}
		last[p] = r.Position
	}
}

func whole(t T, s *Stage) {
	long := bytes.Repeat([]byte("x"), 100_000)
	want := []eventlog.Record{
		{Topic: "agents", Key: "a", ID: "1", Type: "t.one", Value: []byte{0, 1, 255}},
		{Topic: "agents", Key: "a", ID: "2", Type: "", Value: nil},
		{Topic: "agents", Key: "a", ID: "3", Type: "t.three ü", Value: long},
	}
	s.append(want...)
	s.append()
	got := s.all("g", "agents")
	exactly(t, got, want)
	for i, g := range got {
		w := want[i]
		if g.Topic != w.Topic || g.Key != w.Key || g.ID != w.ID || g.Type != w.Type || !bytes.Equal(g.Value, w.Value) {
			t.Errorf("record %d came back as %s %s %s %s and %d bytes", i, g.Topic, g.Key, g.ID, g.Type, len(g.Value))
		}
	}
}

func order(t T, s *Stage) {
	want := some("agents", 300)
	s.append(want[:1]...)
	s.append(want[1:120]...)
	for _, r := range want[120:150] {
		s.append(r)
	}
	s.append(want[150:]...)
	got := s.all("g", "agents")
	exactly(t, got, want)
	inOrder(t, got, want)
}

func apart(t T, s *Stage) {
	agents, rooms := some("agents", 20), some("rooms", 30)
	s.append(append(slices.Clone(agents), rooms...)...)
	exactly(t, s.all("one", "rooms"), rooms)
	exactly(t, s.all("two", "agents"), agents)
	both := append(slices.Clone(agents), rooms...)
	got := s.all("three", "agents", "rooms")
	exactly(t, got, both)
	inOrder(t, got, both)
}

func durable(t T, s *Stage) {
	want := some("agents", 40)
	for i := 0; i < len(want); i += 10 {
		s.append(want[i : i+10]...)
		s.reopen()
	}
	got := s.all("g", "agents")
	exactly(t, got, want)
	inOrder(t, got, want)
	more := some("agents", 50)[40:]
	s.append(more...)
	got = s.all("h", "agents")
	exactly(t, got, append(want, more...))
	inOrder(t, got, append(want, more...))
}

// What is appended again may lie on the log again: each record then comes for the
// first time in its order, and none is lost.
func again(t T, s *Stage) {
	want := some("agents", 60)
	s.append(want[:40]...)
	s.append(want[:40]...)
	s.reopen()
	s.append(want[20:]...)
	s.append(want[:10]...)
	seen := map[string]bool{}
	var got []eventlog.Record
	for _, r := range s.all("g", "agents") {
		if !seen[r.ID] {
			got = append(got, r)
		}
		seen[r.ID] = true
	}
	exactly(t, got, want)
	inOrder(t, got, want)
}

func skipped(t T, s *Stage) {
	want := some("agents", 30)
	s.append(append(slices.Clone(want[:20]), want[:10]...)...) // twice in one call
	s.append(want[5:30]...)                                    // and in another
	got := s.all("g", "agents")
	exactly(t, got, want)
	inOrder(t, got, want)
}

func skippedLater(t T, s *Stage) {
	want := some("agents", 20)
	s.append(want...)
	s.reopen()
	s.append(want...)
	exactly(t, s.all("g", "agents"), want)
}

func conflict(t T, s *Stage) {
	want := some("agents", 30)
	s.append(want[:10]...)
	batch := slices.Clone(want[8:])
	batch[0].Value = []byte("other")
	batch[1].Value = []byte("other")
	again := batch[15]
	again.Value = []byte("other in the same call")
	err := s.log.Append(s.ctx, append(batch, again))
	c, ok := errors.AsType[*eventlog.IDConflict](err)
	if !ok {
		t.Fatalf("append of known ids with other values: %v, want an *IDConflict", err)
	}
	ids := []string{batch[0].ID, batch[1].ID, again.ID}
	if got := slices.Sorted(slices.Values(c.IDs)); !slices.Equal(got, ids) {
		t.Errorf("the conflict names %v, want %v", got, ids)
	}
	got := s.all("g", "agents")
	exactly(t, got, want)
	for _, r := range got {
		if strings.HasPrefix(string(r.Value), "other") {
			t.Errorf("%s was replaced", r.ID)
		}
	}
}

func together(t T, s *Stage) {
	const appenders, calls, size = 8, 10, 5
	var want []eventlog.Record
	var wg sync.WaitGroup
	errs := make([]error, appenders)
	for a := range appenders {
		var mine []eventlog.Record
		for i := range calls * size {
			mine = append(mine, rec("agents", fmt.Sprintf("appender%d", a), i))
		}
		want = append(want, mine...)
		wg.Go(func() {
			for i := 0; i < len(mine); i += size {
				errs[a] = errors.Join(errs[a], s.log.Append(s.ctx, mine[i:i+size]))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("append: %v", err)
	}
	got := s.all("g", "agents")
	exactly(t, got, want)
	inOrder(t, got, want)
}

// Who hears of records as they come, who reads them later and who does so in another
// process: all meet them at the same positions, also beside records that the log had.
func same(t T, s *Stage) {
	ends := func() (all map[eventlog.Partition]eventlog.Position) {
		all = map[eventlog.Partition]eventlog.Position{}
		for _, topic := range []string{"agents", "rooms"} {
			for p, end := range s.ends(topic) {
				if end > 0 {
					all[p] = end
				}
			}
		}
		return all
	}
	met := func(r eventlog.Reader, sofar []eventlog.Record) []eventlog.Record {
		for left := ends(); ; {
			for _, rec := range sofar {
				if p := (eventlog.Partition{Topic: rec.Topic, Index: rec.Partition}); left[p] <= rec.Position {
					delete(left, p)
				}
			}
			if len(left) == 0 {
				return sofar
			}
			sofar = append(sofar, s.next(r, 7)...)
		}
	}
	live := s.reader("live", start, "agents", "rooms")
	var heard []eventlog.Record
	for i := range 6 {
		batch := append(some("agents", 3+5*i), some("rooms", 2*i+1)...)
		s.append(batch[len(batch)/2:]...)
		heard = met(live, heard)
		s.append(batch...)
		heard = met(live, heard)
	}
	later := met(s.reader("later", start, "agents", "rooms"), nil)
	s.reopen()
	for name, others := range map[string][]eventlog.Record{"a later reader": later, "another process": met(s.reader("third", start, "agents", "rooms"), nil)} {
		for p := range ends() {
			at := func(records []eventlog.Record) (out []string) {
				for _, r := range records {
					if r.Topic == p.Topic && r.Partition == p.Index {
						out = append(out, fmt.Sprintf("%d:%s %s %s %s", r.Position, r.ID, r.Key, r.Type, r.Value))
					}
				}
				return out
			}
			if a, b := at(heard), at(others); !slices.Equal(a, b) {
				t.Fatalf("%s: a live reader met %s, %s %s", p, shorten(a), name, shorten(b))
			}
		}
	}
}

func groups(t T, s *Stage) {
	want := some("agents", 40)
	s.append(want...)
	one := s.reader("one", start, "agents")
	defer one.Close()
	first := s.take(one, 10)
	exactly(t, s.all("two", "agents"), want)
	rest := s.take(one, len(want)-len(first))
	got := append(first, rest...)
	exactly(t, got, want)
	inOrder(t, got, want)
}

// Both members together see every record; when one leaves, the other goes on
// from the positions it is given then.
func shared(t T, s *Stage) {
	var mu sync.Mutex
	done := map[eventlog.Partition]eventlog.Position{}
	stored := func(_ context.Context, p eventlog.Partition) (eventlog.Position, error) {
		mu.Lock()
		defer mu.Unlock()
		return done[p], nil
	}
	store := func(records []eventlog.Record) {
		mu.Lock()
		defer mu.Unlock()
		last := records[len(records)-1]
		done[eventlog.Partition{Topic: last.Topic, Index: last.Partition}] = last.Position
	}
	first, second := some("agents", 80)[:40], some("agents", 80)[40:]
	s.append(first...)
	a := s.reader("g", stored, "agents")
	b := s.reader("g", stored, "agents")
	defer b.Close()
	seen := map[string]bool{}
	left := func(want []eventlog.Record) bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.ContainsFunc(want, func(r eventlog.Record) bool { return !seen[r.ID] })
	}
	drain := func(ctx context.Context, r eventlog.Reader, want []eventlog.Record) error {
		for left(want) {
			records, err := r.Next(ctx, 7)
			if err != nil {
				return err
			}
			mu.Lock()
			for _, r := range records {
				seen[r.ID] = true
			}
			mu.Unlock()
			store(records)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(s.ctx)
	var wg sync.WaitGroup
	for _, r := range []eventlog.Reader{a, b} {
		wg.Go(func() {
			drain(ctx, r, first)
			if !left(first) {
				cancel() // the other has nothing more to wait for
			}
		})
	}
	wg.Wait()
	cancel()
	if left(first) {
		t.Fatalf("two readers of a group saw %d of %d records", len(seen), len(first))
	}
	if err := a.Close(); err != nil {
		t.Errorf("close of a reader: %v", err)
	}
	s.append(second...)
	if err := drain(s.ctx, b, second); err != nil {
		t.Fatalf("the reader that stayed saw %d of %d records: %v", len(seen), len(first)+len(second), err)
	}
}

func from(t T, s *Stage) {
	records := some("agents", 60)
	s.append(records...)
	all := s.all("one", "agents")
	after := map[int]eventlog.Position{}
	for _, r := range all[:len(all)/2] {
		after[r.Partition] = r.Position
	}
	var want []eventlog.Record
	for _, r := range all {
		if r.Position > after[r.Partition] {
			want = append(want, r)
		}
	}
	r := s.reader("two", func(_ context.Context, p eventlog.Partition) (eventlog.Position, error) {
		return after[p.Index], nil
	}, "agents")
	defer r.Close()
	got := s.take(r, len(want))
	exactly(t, got, want)
	inOrder(t, got, want)

	failure := errors.New("no position today")
	bad, err := s.log.Read(s.ctx, "three", []string{"agents"}, func(context.Context, eventlog.Partition) (eventlog.Position, error) { return 0, failure })
	if err == nil {
		_, err = bad.Next(s.ctx, 1)
		bad.Close()
	}
	if !errors.Is(err, failure) {
		t.Errorf("from failed and the reader says %v", err)
	}
}

func asked(t T, s *Stage) {
	agents, rooms := some("agents", 30), some("rooms", 30)
	s.append(append(slices.Clone(agents), rooms...)...)
	var mu sync.Mutex
	got := map[eventlog.Partition]int{}
	r := s.reader("g", func(_ context.Context, p eventlog.Partition) (eventlog.Position, error) {
		mu.Lock()
		defer mu.Unlock()
		got[p]++
		return 0, nil
	}, "agents", "rooms")
	defer r.Close()
	s.take(r, 60)
	mu.Lock()
	defer mu.Unlock()
	for _, topic := range []string{"agents", "rooms"} {
		for p := range s.ends(topic) {
			if got[p] == 0 {
				t.Errorf("%s was not asked about", p)
			}
		}
	}
}

func lost(t T, s *Stage) {
	s.append(some("agents", 10)...)
	ends := s.ends("agents")
	for what, off := range map[string]func(eventlog.Position) eventlog.Position{
		"beyond the end":       func(end eventlog.Position) eventlog.Position { return end + 1 },
		"before the beginning": func(eventlog.Position) eventlog.Position { return -1 },
	} {
		r, err := s.log.Read(s.ctx, what, []string{"agents"}, func(_ context.Context, p eventlog.Partition) (eventlog.Position, error) {
			return off(ends[p]), nil
		})
		if err == nil {
			_, err = r.Next(s.ctx, 1)
			r.Close()
		}
		if !errors.Is(err, eventlog.ErrPositionLost) {
			t.Errorf("a position %s: %v, want ErrPositionLost", what, err)
		}
	}
	r := s.reader("at the end", func(_ context.Context, p eventlog.Partition) (eventlog.Position, error) { return ends[p], nil }, "agents")
	defer r.Close()
	more := some("agents", 11)[10:]
	s.append(more...)
	exactly(t, s.take(r, 1), more)
}

func seek(t T, s *Stage) {
	want := some("agents", 50)
	s.append(want...)
	r := s.reader("g", start, "agents")
	defer r.Close()
	var got []eventlog.Record
	for len(got) < 20 {
		got = append(got, s.next(r, 5)...)
	}
	failed := s.next(r, 5)
	p := eventlog.Partition{Topic: "agents", Index: failed[0].Partition}
	before := eventlog.Position(0)
	for _, g := range got {
		if g.Partition == p.Index {
			before = g.Position
		}
	}
	r.Seek(p, before)
	seen := map[string]bool{}
	for len(got) < len(want) {
		for _, rec := range s.next(r, 5) {
			seen[rec.ID] = true
			got = append(got, rec)
		}
	}
	if !seen[failed[0].ID] {
		t.Errorf("the failed batch did not come again")
	}
	exactly(t, got, want)
	inOrder(t, got, want)
	for q := range s.ends("agents") {
		r.Seek(q, 0)
	}
	exactly(t, s.take(r, len(want)), want)
}

func tail(t T, s *Stage) {
	s.append(some("agents", 20)...)
	a, err := s.log.Tail(s.ctx, []string{"agents", "rooms"})
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	defer a.Close()
	b, err := s.log.Tail(s.ctx, []string{"agents", "rooms"})
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	defer b.Close()
	news := append(some("agents", 30)[20:], some("rooms", 5)...)
	s.append(news...)
	for _, r := range []eventlog.Reader{a, b} {
		got := s.take(r, len(news))
		exactly(t, got, news)
		inOrder(t, got, news)
	}
}

func wakes(t T, s *Stage) {
	r := s.reader("g", start, "agents", "rooms")
	defer r.Close()
	tail, err := s.log.Tail(s.ctx, []string{"agents"})
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	defer tail.Close()
	for i := range 20 {
		want := rec("agents", "a", i)
		got := make(chan error, 2)
		for _, r := range []eventlog.Reader{r, tail} {
			go func() {
				records, err := r.Next(s.ctx, 10)
				if err == nil && (len(records) != 1 || records[0].ID != want.ID) {
					err = fmt.Errorf("got %v, want %s", idsOf(records), want.ID)
				}
				got <- err
			}()
		}
		if i%2 == 0 {
			time.Sleep(2 * time.Millisecond) // so that they wait, mostly; right logs pass anyway
		}
		s.append(want)
		for range 2 {
			if err := <-got; err != nil {
				t.Fatalf("a reader that waited: %v", err)
			}
		}
	}
}

func cancelled(t T, s *Stage) {
	r := s.reader("g", start, "agents")
	defer r.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := r.Next(ctx, 10)
		ended <- err
	}()
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("next of an ended context: %v", err)
		}
	case <-s.ctx.Done():
		t.Fatalf("next did not end with its context")
	}
	want := some("agents", 3)
	s.append(want...)
	if err := s.log.Append(ctx, some("agents", 4)[3:]); !errors.Is(err, context.Canceled) {
		t.Errorf("append of an ended context: %v", err)
	}
	exactly(t, s.take(r, 3), want)
}

func partitions(t T, s *Stage) {
	for p, end := range s.ends("agents") {
		if end != 0 || p.Topic != "agents" {
			t.Errorf("an empty log has %s at %d", p, end)
		}
	}
	s.append(append(some("agents", 30), some("rooms", 5)...)...)
	last := map[eventlog.Partition]eventlog.Position{}
	r := s.reader("g", start, "agents")
	defer r.Close()
	for _, rec := range s.take(r, 30) {
		last[eventlog.Partition{Topic: "agents", Index: rec.Partition}] = rec.Position
	}
	before := s.ends("agents")
	for p, end := range before {
		if end != last[p] {
			t.Errorf("%s ends at %d, its last record is at %d", p, end, last[p])
		}
	}
	s.reopen()
	for p, end := range s.ends("agents") {
		if end != before[p] {
			t.Errorf("%s ended at %d, and at %d after reopening", p, before[p], end)
		}
	}
}

func closed(t T, s *Stage) {
	s.append(some("agents", 3)...)
	r := s.reader("g", start, "agents")
	s.take(r, 3)
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Errorf("close of a reader, twice: %v", err)
	}
	if _, err := r.Next(s.ctx, 1); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("next of a closed reader: %v", err)
	}
	waiting := s.reader("h", func(_ context.Context, p eventlog.Partition) (eventlog.Position, error) {
		return s.ends("agents")[p], nil
	}, "agents")
	ended := make(chan error, 1)
	go func() {
		_, err := waiting.Next(s.ctx, 1)
		ended <- err
	}()
	l := s.log
	s.close()
	if err := <-ended; !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("next that waited while the log closed: %v", err)
	}
	if err := l.Append(s.ctx, some("agents", 4)[3:]); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
	if _, err := l.Read(s.ctx, "i", []string{"agents"}, start); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("read of a closed log: %v", err)
	}
	if _, err := l.Tail(s.ctx, []string{"agents"}); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("tail of a closed log: %v", err)
	}
}
