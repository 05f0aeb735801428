package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

func TestMain(m *testing.M) {
	// A helper appends batches of three and acks each.
	appends := func(early, forever bool) func(string, func(int)) error {
		return func(dir string, ack func(int)) error {
			ctx := context.Background()
			l, err := embedded.Open(ctx, filepath.Join(dir, "log.db"))
			if err != nil {
				return err
			}
			ends, err := l.Partitions(ctx, "agents")
			if err != nil {
				return err
			}
			n := int(ends[eventlog.Partition{Topic: "agents"}]) / 3
			ack(0)
			for i := n + 1; forever || i <= n+20; i++ {
				if early {
					ack(i)
				}
				if err := l.Append(ctx, three(i)); err != nil {
					return err
				}
				if !early {
					ack(i)
				}
			}
			return l.Close()
		}
	}
	sqldbtest.HelperMain(m, map[string]func(string, func(int)) error{
		"twenty":        appends(false, false),
		"twenty, early": appends(true, false),
		"forever":       appends(false, true),
	})
}

func three(n int) (out []eventlog.Record) {
	for i := range 3 {
		out = append(out, eventlog.Record{Topic: "agents", Key: "a", ID: fmt.Sprintf("%06d", 3*n+i-3), Type: "t", Value: []byte("v")})
	}
	return out
}

func TestAnswersAfterTheSync(t *testing.T) {
	t.Parallel()
	t.Run("as it is", func(t *testing.T) { t.Parallel(); sqldbtest.Trace(t, "twenty", false) })
	t.Run("early", func(t *testing.T) { t.Parallel(); sqldbtest.Trace(t, "twenty, early", true) })
}

// contents gives the ids in the log and refuses positions that do not grow.
func contents(t *testing.T, l *embedded.Log) (ids []string) {
	t.Helper()
	ends, err := l.Partitions(t.Context(), "agents")
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Read(t.Context(), "check", []string{"agents"}, fromStart)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	last := eventlog.Position(0)
	for end := ends[eventlog.Partition{Topic: "agents"}]; last < end; {
		records, err := r.Next(t.Context(), 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			if rec.Position <= last {
				t.Fatalf("position %d after %d", rec.Position, last)
			}
			last = rec.Position
			ids = append(ids, rec.ID)
		}
	}
	return ids
}

// What was acked before a kill is in the log afterwards, once, in order, and a
// batch is there whole or not at all.
func TestKill(t *testing.T) {
	t.Parallel()
	const seed = 11
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for round := range 10 {
		acked := sqldbtest.Kill(t, rnd, "forever", dir)
		l, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"))
		if err != nil {
			t.Fatal(err)
		}
		ids := contents(t, l)
		for i, id := range ids {
			if id != fmt.Sprintf("%06d", i) {
				t.Fatalf("seed %d, round %d: record %d is %s", seed, round, i, id)
			}
		}
		if n := len(ids) / 3; len(ids)%3 != 0 || n < acked || acked > 0 && n > acked+1 {
			t.Fatalf("seed %d, round %d: %d records, %d batches acked", seed, round, len(ids), acked)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An append that crashes anywhere leaves all of its records or none, and may be
// repeated in the next process: no record twice.
func TestCrashEverywhere(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for at := 1; ; at++ {
		path := filepath.Join(t.TempDir(), "log.db")
		n := 0
		l, err := embedded.OpenOptions(t.Context(), sqldb.Options{Path: path, Name: "log", Hook: func(string) error {
			if n++; n == at {
				return boom
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		crashed := false
		for i := range 3 {
			if err := l.Append(t.Context(), three(i+1)); err != nil {
				if !errors.Is(err, sqldb.ErrCrashed) {
					t.Fatalf("crash at %d: %v", at, err)
				}
				crashed = true
			}
		}
		again, err := embedded.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if ids := contents(t, again); len(ids)%3 != 0 {
			t.Errorf("crash at %d: part of a batch: %v", at, ids)
		}
		for i := range 3 {
			if err := again.Append(t.Context(), three(i+1)); err != nil {
				t.Errorf("crash at %d: %v", at, err)
			}
		}
		if ids := contents(t, again); len(ids) != 9 {
			t.Errorf("crash at %d: then %v", at, ids)
		}
		again.Close()
		l.Close()
		if !crashed {
			if at < 10 {
				t.Errorf("only %d crash points", at-1)
			}
			return
		}
	}
}
