// Package eventlog is the contract of the event log: one small interface with an
// embedded and a Kafka implementation, and one suite (eventlogtest) that proves
// each.
//
// Owns: Log, Reader, Record, Memo, Position. What one implementation cannot promise is
// not in the contract. Promised: order per key; at least once; durable when
// Append returns; groups do not disturb each other. Not promised: order between
// keys, an id once (internal/relay remembers ids and makes effects happen once).
//
// Start reading here, then embedded/embedded.go, then kafka/kafka.go, then
// eventlogtest.
package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Position is a place in one partition. It grows along the partition, with
// gaps; 0 is before the first record.
type Position int64

// Record is one entry. ID and Type let a reader decide without decoding Value;
// on Kafka they are headers.
type Record struct {
	Topic string
	Key   string
	ID    string // equal ids are the same event; it may lie on the log twice
	Type  string
	Value []byte

	// Set by the log on reading.
	Partition int
	Position  Position
	Memo      *Memo // shared by all who were given the same record; nil otherwise
}

// Memo keeps what the readers of a record would each find out by themselves. A nil
// one keeps nothing.
type Memo struct {
	once  sync.Once
	found any
}

// Of gives what find found for the first who asked.
func (m *Memo) Of(find func() any) any {
	if m == nil {
		return find()
	}
	m.once.Do(func() { m.found = find() })
	return m.found
}

// Partition names one ordered part of a topic.
type Partition struct {
	Topic string
	Index int
}

func (p Partition) String() string { return fmt.Sprintf("%s/%d", p.Topic, p.Index) }

// Log is an append-only, partitioned log.
type Log interface {
	// Append makes the records durable, in order per key. What is appended again
	// is skipped, or lies on the log again behind what was there before. A log
	// that looks at ids refuses an id that it has with another value: the error is
	// an *IDConflict naming it, and all other records are durable. Any other error
	// means that none or some are durable: append again, all of them in their
	// order. The log may give the values to readers as they are: they are not
	// changed afterwards.
	Append(ctx context.Context, records []Record) error

	// Read joins a group that shares the partitions of the topics. from is asked,
	// by Read or by Next, for the position to read after whenever a partition is
	// assigned; its error ends that call, and the next one asks again. They fail
	// with ErrPositionLost when a position lies outside what the log holds.
	Read(ctx context.Context, group string, topics []string, from func(context.Context, Partition) (Position, error)) (Reader, error)

	// Tail reads all partitions of the topics without a group, from the end as
	// it is now: a way to hear news, not to keep state.
	Tail(ctx context.Context, topics []string) (Reader, error)

	// Partitions lists the partitions of a topic with the position of the last
	// record of each.
	Partitions(ctx context.Context, topic string) (map[Partition]Position, error)

	Close() error
}

// Reader gives the records of a group's partitions. It is used by one goroutine.
type Reader interface {
	// Next gives up to max records of one partition in order, as soon as there
	// is one. It ends with ctx's error, or ErrClosed; an error of kind unavailable
	// passes, and nothing is lost by it. A partition may go to another reader of
	// the group at any time, also between Next and what is done with its records:
	// who keeps a position moves it only from the one it read. Readers may share
	// the records, which are not to be changed.
	Next(ctx context.Context, max int) ([]Record, error)

	// Seek makes the partition's next record the one after position: used after
	// a failed batch.
	Seek(p Partition, after Position)

	Close() error
}

var (
	// ErrClosed: the log or reader was closed.
	ErrClosed = errors.New("event log closed")
	// ErrPositionLost: a position is beyond the end of the log, or before what it
	// still holds. Never answered by starting somewhere else.
	ErrPositionLost = errors.New("position outside the log")
)

// IDConflict: ids that are in the log with another value.
type IDConflict struct{ IDs []string }

func (e *IDConflict) Error() string {
	return fmt.Sprintf("%d ids are in the log with another value, first %s", len(e.IDs), e.IDs[0])
}
