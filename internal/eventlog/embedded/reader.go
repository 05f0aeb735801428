package embedded

import (
	"context"
	"fmt"
	"slices"

	"rapport/internal/eventlog"
	"rapport/internal/sqldb"
)

// reader is an eventlog.Reader. A partition belongs to one reader of a group; who
// comes later takes it over when that one closes.
type reader struct {
	log    *Log
	group  string // empty: a tail, which owns nothing
	topics []string
	from   func(context.Context, eventlog.Partition) (eventlog.Position, error)
	after  map[string]eventlog.Position // of the partitions it holds
	turn   int                          // the topic to look at next
	wake   chan struct{}                // holds one signal: something may be new
	done   chan struct{}                // closed by Close
}

// Read is eventlog.Log's.
func (l *Log) Read(ctx context.Context, group string, topics []string, from func(context.Context, eventlog.Partition) (eventlog.Position, error)) (eventlog.Reader, error) {
	if group == "" {
		return nil, fmt.Errorf("read %v: a group needs a name", topics)
	}
	r, err := l.join(group, topics)
	if err != nil {
		return nil, err
	}
	r.from = from
	if err := r.claim(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Tail is eventlog.Log's.
func (l *Log) Tail(ctx context.Context, topics []string) (eventlog.Reader, error) {
	r, err := l.join("", topics)
	if err != nil {
		return nil, err
	}
	for _, topic := range r.topics {
		end, err := l.end(ctx, topic)
		if err != nil {
			r.Close()
			return nil, err
		}
		r.after[topic] = end
	}
	return r, nil
}

func (l *Log) join(group string, topics []string) (*reader, error) {
	topics = slices.Clone(topics)
	slices.Sort(topics)
	r := &reader{
		log: l, group: group, topics: slices.Compact(topics),
		after: map[string]eventlog.Position{}, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, eventlog.ErrClosed
	}
	l.readers[r] = true
	return r, nil
}

// claim takes the partitions that nobody of the group holds, and asks where to
// begin.
func (r *reader) claim(ctx context.Context) error {
	for _, topic := range r.topics {
		if _, mine := r.after[topic]; mine || !r.log.own(r, topic) {
			continue
		}
		p := eventlog.Partition{Topic: topic}
		after, err := r.from(ctx, p)
		if err == nil {
			err = r.log.holds(ctx, p, after)
		}
		if err != nil {
			r.log.disown(r, topic)
			return err
		}
		r.after[topic] = after
	}
	return nil
}

// own makes r the owner of a partition in its group, unless another is.
func (l *Log) own(r *reader, topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := owned{r.group, topic}
	if l.owners[o] == nil && l.readers[r] {
		l.owners[o] = r
	}
	return l.owners[o] == r
}

// disown frees a partition and tells the group.
func (l *Log) disown(r *reader, topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := (owned{r.group, topic}); l.owners[o] == r {
		delete(l.owners, o)
		for other := range l.readers {
			if other != r && other.group == r.group {
				other.rouse()
			}
		}
	}
}

// holds refuses a position that the log never gave.
func (l *Log) holds(ctx context.Context, p eventlog.Partition, after eventlog.Position) error {
	end, err := l.end(ctx, p.Topic)
	if err != nil {
		return err
	}
	if after < 0 || after > end {
		return fmt.Errorf("%s after %d, the last record is %d: %w", p, after, end, eventlog.ErrPositionLost)
	}
	return nil
}

// Next is eventlog.Reader's. Topics take turns.
func (r *reader) Next(ctx context.Context, most int) ([]eventlog.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case <-r.done:
			return nil, eventlog.ErrClosed
		case <-r.log.done:
			return nil, eventlog.ErrClosed
		default:
		}
		if len(r.after) < len(r.topics) {
			if err := r.claim(ctx); err != nil {
				return nil, err
			}
		}
		for range r.topics {
			topic := r.topics[r.turn%len(r.topics)]
			r.turn++
			records, err := r.read(ctx, topic, max(most, 1))
			if err != nil || len(records) > 0 {
				return records, err
			}
		}
		select {
		case <-r.wake:
		case <-r.done:
		case <-r.log.done:
		case <-ctx.Done():
		}
	}
}

// read gives the next records of a topic, without asking the file when there are
// none or memory has them.
func (r *reader) read(ctx context.Context, topic string, most int) ([]eventlog.Record, error) {
	after, mine := r.after[topic]
	if !mine {
		return nil, nil
	}
	out, here := r.recent(topic, after, most)
	if !here {
		var err error
		if out, err = r.log.stored(ctx, topic, after, most); err != nil {
			return nil, err
		}
	}
	if len(out) > 0 {
		r.after[topic] = out[len(out)-1].Position
	}
	return out, nil
}

// recent gives up to most records of a topic beyond a position; false when the file
// has to be asked.
func (r *reader) recent(topic string, after eventlog.Position, most int) (out []eventlog.Record, here bool) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if n := r.log.newest[topic]; n != nil && r.log.readers[r] {
		out, here = n.next(r, after, most)
	}
	end, known := r.log.ends[topic]
	return out, here || known && end <= after
}

// stored reads up to most records of a topic beyond a position from the file.
func (l *Log) stored(ctx context.Context, topic string, after eventlog.Position, most int) (out []eventlog.Record, err error) {
	err = l.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select position, key, id, type, value from records where topic = $1 and position > $2 order by position limit $3`,
			topic, after, most)
		if err != nil {
			return err
		}
		defer rows.Close()
		out = nil
		for rows.Next() {
			rec := eventlog.Record{Topic: topic}
			if err := rows.Scan(&rec.Position, &rec.Key, &rec.ID, &rec.Type, &rec.Value); err != nil {
				return err
			}
			out = append(out, rec)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, l.orClosed(err)
	}
	return out, nil
}

// Seek is eventlog.Reader's. A partition that the reader does not hold is passed
// over.
func (r *reader) Seek(p eventlog.Partition, after eventlog.Position) {
	if _, mine := r.after[p.Topic]; mine && p.Index == 0 {
		r.after[p.Topic] = after
		r.rouse()
	}
}

// Close is eventlog.Reader's. It may be called beside Next, and twice.
func (r *reader) Close() error {
	r.log.mu.Lock()
	open := r.log.readers[r]
	delete(r.log.readers, r)
	for _, n := range r.log.newest {
		delete(n.asked, r)
	}
	r.log.mu.Unlock()
	if open {
		close(r.done)
		for _, topic := range r.topics {
			r.log.disown(r, topic)
		}
	}
	return nil
}

// rouse makes a waiting Next look again.
func (r *reader) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
