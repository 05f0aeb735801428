// Package embedded is the event log in one SQLite file, for one process.
//
// Owns: the file log.db, table records. Every topic has one partition, 0, so
// records are in order per topic, which is more than the contract asks.
// Positions grow over all topics together.
//
// Invariants: Append returns after the write-ahead log is synced; a record's
// position is larger than those of all records committed before it; an id is in
// the log once; memory holds nothing of an append before its commit.
//
// Start reading at Log.Append, then reader.go; newest.go is what readers at the end
// share instead of the file.
package embedded

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"slices"
	"sync"

	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Log is an eventlog.Log. It hears only of its own process's records.
type Log struct {
	db   *sqldb.DB
	done chan struct{} // closed by Close

	mu      sync.Mutex
	closed  bool
	ends    map[string]eventlog.Position // of the topics asked about or appended to
	newest  map[string]*newest           // of the topics appended to
	readers map[*reader]bool
	owners  map[owned]*reader
}

// owned is a partition as one group sees it.
type owned struct{ group, topic string }

var _ eventlog.Log = (*Log)(nil)

// Open opens the log in the file path, made when absent.
func Open(ctx context.Context, path string) (*Log, error) {
	return OpenOptions(ctx, sqldb.Options{Path: path, Name: "log"})
}

// OpenOptions opens with the database's options, for crash tests.
func OpenOptions(ctx context.Context, o sqldb.Options) (*Log, error) {
	db, err := sqldb.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "log", migrations); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Log{
		db: db, done: make(chan struct{}),
		ends: map[string]eventlog.Position{}, newest: map[string]*newest{}, readers: map[*reader]bool{}, owners: map[owned]*reader{},
	}, nil
}

// Append is eventlog.Log's; calls that wait at the same time share one sync, and
// of one call all records become durable or none. A record without id or topic is
// fault record_incomplete, and nothing of the call is durable.
func (l *Log) Append(ctx context.Context, records []eventlog.Record) error {
	if len(records) == 0 {
		return nil
	}
	for i := range records {
		if records[i].ID == "" || records[i].Topic == "" {
			return fault.New(fault.Invalid, "record_incomplete", "A record of the log lacks its id or its topic; set both.")
		}
	}
	var conflicts []string
	err := l.db.Write(ctx, func(tx *sqldb.Tx) error {
		before, err := last(tx)
		if err != nil {
			return err
		}
		added, err := insert(tx, records)
		if err != nil {
			return err
		}
		after, err := last(tx)
		if err != nil {
			return err
		}
		if n := len(records); added == n && after-before == eventlog.Position(n) {
			tx.OnCommit(func() { l.grew(before, records) })
			return nil
		}
		if conflicts, err = differing(tx, records); err != nil {
			return err
		}
		ends := map[string]eventlog.Position{}
		for i := range records {
			if topic := records[i].Topic; ends[topic] == 0 {
				if ends[topic], err = end(tx, topic); err != nil {
					return err
				}
			}
		}
		tx.OnCommit(func() { l.moved(ends) })
		return nil
	})
	if err != nil {
		return l.orClosed(err)
	}
	if len(conflicts) > 0 {
		return &eventlog.IDConflict{IDs: conflicts}
	}
	return nil
}

// insert adds the records whose ids are new, and says how many were.
func insert(tx *sqldb.Tx, records []eventlog.Record) (int, error) {
	args := make([]any, 0, 5*len(records))
	for i := range records {
		r := &records[i]
		args = append(args, r.Topic, r.Key, r.ID, r.Type, r.Value)
	}
	added, err := tx.ExecMany(`insert into records (topic, key, id, type, value) values `, 5, ` on conflict (id) do nothing`, args)
	return int(added), err
}

// differing gives the ids that are in the log with another value (or topic, key or
// type).
func differing(tx *sqldb.Tx, records []eventlog.Record) (ids []string, err error) {
	for i := range records {
		var r eventlog.Record
		want := &records[i]
		_, err := tx.Get(`select topic, key, type, value from records where id = $1`, []any{want.ID}, &r.Topic, &r.Key, &r.Type, &r.Value)
		if err != nil {
			return nil, err
		}
		if r.Topic != want.Topic || r.Key != want.Key || r.Type != want.Type || !bytes.Equal(r.Value, want.Value) {
			ids = append(ids, want.ID)
		}
	}
	return ids, nil
}

// last is the position of the last record of all topics, 0 without one.
func last(tx *sqldb.Tx) (p eventlog.Position, err error) {
	_, err = tx.Get(`select coalesce(max(position), 0) from records`, nil, &p)
	return p, err
}

// end is the position of a topic's last record, 0 without one.
func end(tx *sqldb.Tx, topic string) (p eventlog.Position, err error) {
	_, err = tx.Get(`select coalesce(max(position), 0) from records where topic = $1`, []any{topic}, &p)
	return p, err
}

// grew keeps records that were committed right behind a position, and wakes their
// readers.
func (l *Log) grew(before eventlog.Position, records []eventlog.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, r := range records {
		r.Partition, r.Position, r.Memo = 0, before+eventlog.Position(i)+1, new(eventlog.Memo)
		n := l.newest[r.Topic]
		if n == nil {
			n = newestAfter(before)
			l.newest[r.Topic] = n
		}
		n.add(r)
		l.ends[r.Topic] = r.Position
	}
	l.rouse(func(topic string) bool { return l.ends[topic] > before })
}

// moved notes the new ends of topics whose new records are in the file alone, and
// wakes their readers.
func (l *Log) moved(ends map[string]eventlog.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for topic, p := range ends {
		l.ends[topic] = max(l.ends[topic], p)
		l.newest[topic] = newestAfter(l.ends[topic])
	}
	l.rouse(func(topic string) bool { return ends[topic] > 0 })
}

// rouse wakes the readers of topics.
func (l *Log) rouse(of func(topic string) bool) {
	for r := range l.readers {
		if slices.ContainsFunc(r.topics, of) {
			r.rouse()
		}
	}
}

// end is the position of a topic's last record, 0 without one. The file is asked
// once; then the log knows by its own appends.
func (l *Log) end(ctx context.Context, topic string) (eventlog.Position, error) {
	if p, ok := l.known(topic); ok {
		return p, nil
	}
	var p eventlog.Position
	err := l.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		p, err = end(tx, topic)
		return err
	})
	if err != nil {
		return 0, l.orClosed(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends[topic] = max(l.ends[topic], p)
	return l.ends[topic], nil
}

func (l *Log) known(topic string) (eventlog.Position, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.ends[topic]
	return p, ok
}

// Partitions is eventlog.Log's: one partition, of index 0, for any topic.
func (l *Log) Partitions(ctx context.Context, topic string) (map[eventlog.Partition]eventlog.Position, error) {
	p, err := l.end(ctx, topic)
	if err != nil {
		return nil, err
	}
	return map[eventlog.Partition]eventlog.Position{{Topic: topic}: p}, nil
}

// Backup writes a consistent copy of the log to path, which must not exist. Back
// up the databases of the log's readers first: a position beyond the end of the
// log is refused at Read.
func (l *Log) Backup(ctx context.Context, path string) error { return l.db.Backup(ctx, path) }

// Close ends all readers with eventlog.ErrClosed and closes the file. Closing
// twice is harmless.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.done)
	}
	l.mu.Unlock()
	return l.db.Close()
}

// orClosed says ErrClosed where an error comes from closing.
func (l *Log) orClosed(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed && fault.Is(err, "database_unavailable") {
		return eventlog.ErrClosed
	}
	return err
}
