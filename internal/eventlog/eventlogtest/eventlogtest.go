// Package eventlogtest is the suite that proves an implementation of
// eventlog.Log: one case per promise of the contract, no more than the contract
// promises.
//
// Owns: Cases, IDCases. The suite speaks to the narrow T, so that its own test can watch
// it fail: mutants_test.go shows each case a log with one fault and expects a
// rejection.
//
// Start reading at Run, then cases.go from the top.
package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"rapport/internal/eventlog"
)

// Place is where one log lives: every call opens the same log, empty at first,
// as a fresh process would. The suite closes what it opened before it opens
// again.
type Place func(ctx context.Context) (eventlog.Log, error)

// T is what a case needs of a *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Case is one promise.
type Case struct {
	Name  string
	Check func(T, *Stage)
}

// Run proves a log: each case is a parallel subtest with a place of its own.
func Run(t *testing.T, place func(testing.TB) Place) { run(t, Cases, place) }

// RunIDs proves that a log looks at ids, which the contract does not ask for.
func RunIDs(t *testing.T, place func(testing.TB) Place) { run(t, IDCases, place) }

func run(t *testing.T, cases []Case, place func(testing.TB) Place) {
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.on(t, place(t), 20*time.Second)
		})
	}
}

// Rejected runs every case of both lists and gives the first complaint of each that failed.
// Patience is how long a case waits for a record that may never come.
func Rejected(t testing.TB, place func(testing.TB) Place, patience time.Duration) map[string]string {
	failed := map[string]string{}
	for _, c := range slices.Concat(Cases, IDCases) {
		r := &recorder{}
		done := make(chan bool)
		go func() {
			defer close(done)
			c.on(r, place(t), patience)
		}()
		<-done
		if r.complaint != "" {
			failed[c.Name] = r.complaint
		}
	}
	return failed
}

func (c Case) on(t T, place Place, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := &Stage{t: t, place: place, ctx: ctx}
	defer s.close()
	s.open()
	c.Check(t, s)
}

type recorder struct{ complaint string }

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	if r.complaint == "" {
		r.complaint = fmt.Sprintf(format, args...)
	}
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// Stage is one case's log with the words the cases are written in. A failure of
// the log where the case expects none ends the case.
type Stage struct {
	t     T
	place Place
	ctx   context.Context // ends when patience does
	log   eventlog.Log
}

func (s *Stage) open() {
	s.t.Helper()
	l, err := s.place(s.ctx)
	if err != nil {
		s.t.Fatalf("open: %v", err)
	}
	s.log = l
}

func (s *Stage) close() {
	if s.log == nil {
		return
	}
	if err := s.log.Close(); err != nil {
		s.t.Errorf("close: %v", err)
	}
	s.log = nil
}

// reopen closes the log and opens it again.
func (s *Stage) reopen() {
	s.close()
	s.open()
}

func (s *Stage) append(records ...eventlog.Record) {
	s.t.Helper()
	if err := s.log.Append(s.ctx, records); err != nil {
		s.t.Fatalf("append: %v", err)
	}
}

// start reads every partition from its beginning.
func start(context.Context, eventlog.Partition) (eventlog.Position, error) { return 0, nil }

// reader joins a group.
func (s *Stage) reader(group string, from func(context.Context, eventlog.Partition) (eventlog.Position, error), topics ...string) eventlog.Reader {
	s.t.Helper()
	r, err := s.log.Read(s.ctx, group, topics, from)
	if err != nil {
		s.t.Fatalf("read: %v", err)
	}
	return r
}

// next gives one batch.
func (s *Stage) next(r eventlog.Reader, max int) []eventlog.Record {
	s.t.Helper()
	records, err := r.Next(s.ctx, max)
	if errors.Is(err, context.DeadlineExceeded) {
		s.t.Fatalf("next: nothing came in the time given")
	}
	if err != nil {
		s.t.Fatalf("next: %v", err)
	}
	if len(records) == 0 || len(records) > max {
		s.t.Fatalf("next gave %d records, want 1 to %d", len(records), max)
	}
	for _, rec := range records {
		if rec.Topic != records[0].Topic || rec.Partition != records[0].Partition {
			s.t.Fatalf("next mixed partitions: %s/%d and %s/%d", rec.Topic, rec.Partition, records[0].Topic, records[0].Partition)
		}
	}
	return records
}

// take reads until it has n records or more.
func (s *Stage) take(r eventlog.Reader, n int) (out []eventlog.Record) {
	s.t.Helper()
	for len(out) < n {
		out = append(out, s.next(r, 10)...)
	}
	return out
}

// all gives every record of the topics, as a new reader of group meets them: up
// to a mark appended behind them, in every partition that holds a record.
func (s *Stage) all(group string, topics ...string) (out []eventlog.Record) {
	s.t.Helper()
	r := s.reader(group, start, topics...)
	defer r.Close()
	left := map[eventlog.Partition]eventlog.Position{}
	for _, topic := range topics {
		for p, end := range s.ends(topic) {
			if end > 0 {
				left[p] = end
			}
		}
	}
	for len(left) > 0 {
		for _, rec := range s.next(r, 10) {
			out = append(out, rec)
			p := eventlog.Partition{Topic: rec.Topic, Index: rec.Partition}
			if left[p] <= rec.Position {
				delete(left, p)
			}
		}
	}
	return out
}

// ends gives the position of the last record of each partition of a topic.
func (s *Stage) ends(topic string) map[eventlog.Partition]eventlog.Position {
	s.t.Helper()
	ends, err := s.log.Partitions(s.ctx, topic)
	if err != nil {
		s.t.Fatalf("partitions: %v", err)
	}
	if len(ends) == 0 {
		s.t.Fatalf("topic %s has no partition", topic)
	}
	return ends
}
