package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"rapport/internal/eventlog"
)

// The suite accepts a right log, with two partitions a topic, and each mutant is
// rejected by the case that is about its fault.
func TestSuiteRejectsBrokenLogs(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		fault string
		by    string // the case that must reject it
	}{
		{"", ""},
		{"loses the last record on reopening", "durable when append returns"},
		{"keeps nothing on reopening", "durable when append returns"},
		{"swaps records of a key", "order per key"},
		{"spreads a key over partitions", "order per key"},
		{"forgets types", "records come back whole"},
		{"cuts long values", "records come back whole"},
		{"mixes topics", "topics are apart"},
		{"takes known ids", "a known id with the same value is skipped"},
		{"forgets ids on reopening", "a known id is known after reopening"},
		{"replaces known ids", "a known id with another value is a conflict"},
		{"skips other values silently", "a known id with another value is a conflict"},
		{"drops the batch of a conflict", "a known id with another value is a conflict"},
		{"moves what is appended again", "appending again keeps the order"},
		{"loses appends at the same time", "appenders at the same time"},
		{"groups share one position", "groups do not disturb each other"},
		{"counts known ids for who was there", "whoever reads meets the same records"},
		{"gives who was there the last record alone", "whoever reads meets the same records"},
		{"never hands a partition over", "a group shares its partitions"},
		{"ignores from", "reading begins after the position given"},
		{"swallows from's error", "reading begins after the position given"},
		{"reads at the position, not after it", "reading begins after the position given"},
		{"starts a lost position at the end", "a position outside the log is refused"},
		{"ignores seek", "seek delivers again"},
		{"tails from the beginning", "tail begins at the end"},
		{"tails share one position", "tail begins at the end"},
		{"does not wake", "next waits and wakes"},
		{"ignores the context", "next ends with its context"},
		{"appends after the context", "next ends with its context"},
		{"counts a record too few", "partitions tell the ends"},
		{"ignores max", "order per key"},
		{"goes on after close", "closed"},
	} {
		t.Run(m.fault, func(t *testing.T) {
			t.Parallel()
			patience := 150 * time.Millisecond
			if m.fault == "" {
				patience = 20 * time.Second
			}
			failed := Rejected(t, func(testing.TB) Place { return memory(m.fault) }, patience)
			if m.fault == "" && len(failed) > 0 {
				t.Errorf("a right log was rejected: %v", failed)
			}
			if m.by != "" && failed[m.by] == "" {
				t.Errorf("case %q let it through; rejected by %v", m.by, slices.Sorted(maps.Keys(failed)))
			}
			if m.fault == "takes known ids" { // as Kafka does, and the contract allows
				for _, c := range Cases {
					if why := failed[c.Name]; why != "" {
						t.Errorf("case %q rejects a log that does not look at ids: %s", c.Name, why)
					}
				}
			}
		})
	}
}

// disk outlives the logs opened on it.
type disk struct {
	fault string

	mu      sync.Mutex
	parts   map[eventlog.Partition][]eventlog.Record
	byID    map[string]eventlog.Record
	last    eventlog.Position
	known   eventlog.Position // records that were skipped
	changed chan bool         // closed and made anew at every change
	shared  map[string]eventlog.Position
	owner   map[string]*memReader
}

// memory is a place for a right log in memory, but for its fault.
func memory(fault string) Place {
	d := &disk{
		fault: fault, parts: map[eventlog.Partition][]eventlog.Record{}, byID: map[string]eventlog.Record{},
		changed: make(chan bool), shared: map[string]eventlog.Position{}, owner: map[string]*memReader{},
	}
	opened := false
	return func(context.Context) (eventlog.Log, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if opened {
			switch fault {
			case "loses the last record on reopening":
				for p, records := range d.parts {
					for i, r := range records {
						if r.Position == d.last {
							d.parts[p] = slices.Delete(records, i, i+1)
						}
					}
				}
			case "keeps nothing on reopening":
				clear(d.parts)
			case "forgets ids on reopening":
				clear(d.byID)
			}
		}
		opened = true
		return &memLog{disk: d, done: make(chan bool)}, nil
	}
}

func (d *disk) is(fault string) bool { return d.fault == fault }

func (d *disk) change() {
	close(d.changed)
	d.changed = make(chan bool)
}

type memLog struct {
	*disk
	done chan bool
}

func (l *memLog) closed() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *memLog) Append(ctx context.Context, records []eventlog.Record) error {
	if l.closed() && !l.is("goes on after close") {
		return eventlog.ErrClosed
	}
	if err := ctx.Err(); err != nil && !l.is("appends after the context") {
		return err
	}
	if l.is("loses appends at the same time") {
		if !l.mu.TryLock() {
			return nil
		}
		time.Sleep(time.Millisecond)
	} else {
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	var conflicts []string
	for _, r := range records {
		if l.is("moves what is appended again") {
			home := l.home(r)
			l.parts[home] = slices.DeleteFunc(l.parts[home], func(o eventlog.Record) bool { return o.ID == r.ID })
		} else if old, ok := l.byID[r.ID]; ok && !l.is("takes known ids") {
			if !bytes.Equal(old.Value, r.Value) {
				conflicts = append(conflicts, r.ID)
			}
			l.known++
			continue
		}
		l.byID[r.ID] = r
		if l.is("drops the batch of a conflict") {
			continue
		}
		l.add(r)
	}
	if l.is("drops the batch of a conflict") && len(conflicts) == 0 {
		for _, r := range records {
			if !slices.ContainsFunc(l.parts[l.home(r)], func(o eventlog.Record) bool { return o.ID == r.ID }) {
				l.add(r)
			}
		}
	}
	if l.is("replaces known ids") {
		for _, r := range records {
			for i := range l.parts[l.home(r)] {
				if o := &l.parts[l.home(r)][i]; o.ID == r.ID {
					o.Value = r.Value
				}
			}
		}
	}
	if !l.is("does not wake") {
		l.change()
	}
	if len(conflicts) > 0 && !l.is("skips other values silently") {
		return &eventlog.IDConflict{IDs: conflicts}
	}
	return nil
}

func (l *memLog) home(r eventlog.Record) eventlog.Partition {
	h := fnv.New32()
	h.Write([]byte(r.Key))
	p := eventlog.Partition{Topic: r.Topic, Index: int(h.Sum32() % 2)}
	if l.is("spreads a key over partitions") {
		p.Index = int(l.last % 2)
	}
	if l.is("mixes topics") {
		p.Topic = "agents"
	}
	return p
}

func (l *memLog) add(r eventlog.Record) {
	p := l.home(r)
	l.last++
	r.Partition, r.Position, r.Value = p.Index, l.last, slices.Clone(r.Value)
	if l.is("forgets types") {
		r.Type = ""
	}
	if l.is("cuts long values") && len(r.Value) > 64<<10 {
		r.Value = r.Value[:64<<10]
	}
	l.parts[p] = append(l.parts[p], r)
	if records := l.parts[p]; l.is("swaps records of a key") && len(records)%20 == 0 {
		a, b := &records[len(records)-1], &records[len(records)-8]
		*a, *b = *b, *a
		a.Position, b.Position = b.Position, a.Position
	}
}

func (l *memLog) Partitions(_ context.Context, topic string) (map[eventlog.Partition]eventlog.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[eventlog.Partition]eventlog.Position{}
	for i := range 2 {
		p := eventlog.Partition{Topic: topic, Index: i}
		out[p] = 0
		if n := len(l.parts[p]); n > 0 {
			out[p] = l.parts[p][n-1].Position
			if l.is("counts a record too few") {
				out[p]--
			}
		}
	}
	return out, nil
}

func (l *memLog) Read(ctx context.Context, group string, topics []string, from func(context.Context, eventlog.Partition) (eventlog.Position, error)) (eventlog.Reader, error) {
	r := &memReader{log: l, group: group, topics: topics, from: from, after: map[eventlog.Partition]eventlog.Position{}, done: make(chan bool)}
	l.mu.Lock()
	r.joined = l.last
	l.mu.Unlock()
	if l.closed() && !l.is("goes on after close") {
		return nil, eventlog.ErrClosed
	}
	if err := r.claim(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (l *memLog) Tail(ctx context.Context, topics []string) (eventlog.Reader, error) {
	from := func(ctx context.Context, p eventlog.Partition) (eventlog.Position, error) {
		ends, err := l.Partitions(ctx, p.Topic)
		return ends[p], err
	}
	if l.is("tails from the beginning") {
		from = start
	}
	group := "tail"
	if !l.is("tails share one position") {
		group = fmt.Sprintf("tail %p", new(int64)) // of its own
	}
	return l.Read(ctx, group, topics, from)
}

func (l *memLog) Close() error {
	if !l.closed() {
		close(l.done)
	}
	return nil
}

type memReader struct {
	log    *memLog
	group  string
	topics []string
	from   func(context.Context, eventlog.Partition) (eventlog.Position, error)
	after  map[eventlog.Partition]eventlog.Position
	done   chan bool
	turn   int
	joined eventlog.Position // the log's last then
}

func (r *memReader) claim(ctx context.Context) error {
	for _, topic := range r.topics {
		for i := range 2 {
			p := eventlog.Partition{Topic: topic, Index: i}
			key := r.group + " " + p.String()
			r.log.mu.Lock()
			if r.log.owner[key] == nil {
				r.log.owner[key] = r
			}
			mine := r.log.owner[key] == r
			r.log.mu.Unlock()
			if _, held := r.after[p]; held || !mine {
				continue
			}
			after, err := r.from(ctx, p)
			if err != nil && !r.log.is("swallows from's error") {
				return err
			}
			ends, _ := r.log.Partitions(ctx, topic)
			if after < 0 || after > ends[p] {
				if !r.log.is("starts a lost position at the end") && !r.log.is("counts a record too few") {
					return eventlog.ErrPositionLost
				}
				after = ends[p]
			}
			switch r.log.fault {
			case "ignores from":
				after = 0
			case "reads at the position, not after it":
				after--
			case "groups share one position":
				r.log.mu.Lock()
				after = max(after, r.log.shared[p.String()])
				r.log.mu.Unlock()
			}
			r.after[p] = after
		}
	}
	return nil
}

func (r *memReader) Next(ctx context.Context, most int) ([]eventlog.Record, error) {
	for {
		if err := ctx.Err(); err != nil && !r.log.is("ignores the context") {
			return nil, err
		}
		select {
		case <-r.done:
			return nil, eventlog.ErrClosed
		case <-r.log.done:
			return nil, eventlog.ErrClosed
		default:
		}
		if err := r.claim(ctx); err != nil {
			return nil, err
		}
		r.log.mu.Lock()
		changed := r.log.changed
		for range 2 * len(r.topics) {
			p := eventlog.Partition{Topic: r.topics[r.turn/2%len(r.topics)], Index: r.turn % 2}
			r.turn++
			after, mine := r.after[p]
			if !mine {
				continue
			}
			var out []eventlog.Record
			for _, rec := range r.log.parts[p] {
				if rec.Position > after && (len(out) < most || r.log.is("ignores max")) {
					out = append(out, rec)
				}
			}
			if n := len(out); n > 0 && out[0].Position > r.joined {
				switch r.log.fault {
				case "counts known ids for who was there":
					for i := range out {
						out[i].Position += r.log.known
					}
				case "gives who was there the last record alone":
					out = out[n-1:]
				}
			}
			if len(out) > 0 {
				r.after[p] = out[len(out)-1].Position
				r.log.shared[p.String()] = r.after[p]
				r.log.mu.Unlock()
				return out, nil
			}
		}
		r.log.mu.Unlock()
		ended := ctx.Done()
		if r.log.is("ignores the context") {
			later, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			ended = later.Done()
		}
		select {
		case <-changed:
		case <-r.done:
		case <-r.log.done:
		case <-ended:
			if r.log.is("ignores the context") {
				return nil, errors.New("gave up")
			}
		}
	}
}

func (r *memReader) Seek(p eventlog.Partition, after eventlog.Position) {
	if !r.log.is("ignores seek") {
		r.after[p] = after
	}
}

func (r *memReader) Close() error {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	select {
	case <-r.done:
		return nil
	default:
	}
	close(r.done)
	if !r.log.is("never hands a partition over") {
		maps.DeleteFunc(r.log.owner, func(_ string, o *memReader) bool { return o == r })
	}
	r.log.change()
	return nil
}
