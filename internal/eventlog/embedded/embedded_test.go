package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/eventlog/eventlogtest"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

func TestContract(t *testing.T) {
	t.Parallel()
	place := func(t testing.TB) eventlogtest.Place {
		path := filepath.Join(t.TempDir(), "log.db")
		return func(ctx context.Context) (eventlog.Log, error) { return embedded.Open(ctx, path) }
	}
	eventlogtest.Run(t, place)
	eventlogtest.RunIDs(t, place)
}

// A topic with a backlog does not keep others waiting.
func TestTopicsTakeTurns(t *testing.T) {
	t.Parallel()
	l := open(t)
	records := batch(50, 0, "rising")
	records = append(records, eventlog.Record{Topic: "rooms", Key: "r", ID: "r"})
	if err := l.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	r, err := l.Read(t.Context(), "g", []string{"agents", "rooms"}, fromStart)
	if err != nil {
		t.Fatal(err)
	}
	met := false
	for range 2 {
		got, err := r.Next(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		met = met || got[0].Topic == "rooms"
	}
	if !met {
		t.Error("rooms waits behind the backlog of agents")
	}
}

// A partition belongs to one reader of a group: the other hears nothing until it
// takes over, from the position it is given then.
func TestTakingOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	synctest.Test(t, func(t *testing.T) {
		l, err := embedded.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.Append(t.Context(), batch(30, 0, "rising")); err != nil {
			t.Fatal(err)
		}
		first, err := l.Read(t.Context(), "g", []string{"agents"}, fromStart)
		if err != nil {
			t.Fatal(err)
		}
		var stored eventlog.Position
		second, err := l.Read(t.Context(), "g", []string{"agents"}, func(context.Context, eventlog.Partition) (eventlog.Position, error) {
			return stored, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var rest []eventlog.Record
		done := make(chan bool)
		go func() {
			defer close(done)
			rest, err = second.Next(t.Context(), 100)
		}()
		records, failure := first.Next(t.Context(), 20)
		if failure != nil {
			t.Fatal(failure)
		}
		synctest.Wait()
		if rest != nil {
			t.Fatalf("two readers of a group got the same partition")
		}
		stored = records[19].Position
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Fatal("the second reader sleeps on after the first has left")
		}
		if err != nil || len(rest) != 10 || rest[0].Position <= stored {
			t.Errorf("the second reader got %d records, %v", len(rest), err)
		}
	})
}

// What is not durable is not read: neither before its commit nor after it failed.
func TestReadersHearWhatIsCommitted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	synctest.Test(t, func(t *testing.T) {
		var heard []eventlog.Record
		dies := false
		l, err := embedded.OpenOptions(t.Context(), sqldb.Options{Path: path, Name: "log", Hook: func(op string) error {
			if op == "commit" {
				synctest.Wait() // all that could be read is
				if len(heard) > 0 {
					t.Errorf("%s was read before its commit", heard[0].ID)
				}
			}
			if dies && op == "commit" {
				return errors.New("boom")
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		r, err := l.Read(t.Context(), "g", []string{"agents"}, fromStart)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for i := range 2 {
			heard, dies = nil, i > 0
			done := make(chan bool)
			ctx, stop := context.WithCancel(t.Context())
			go func() { defer close(done); heard, _ = r.Next(ctx, 10) }()
			err := l.Append(t.Context(), batch(3, 10*i, "rising"))
			synctest.Wait()
			if want := 3 * (1 - i); len(heard) != want || (err != nil) != dies {
				t.Errorf("append %d: %v, then %d records are read", i, err, len(heard))
			}
			stop()
			<-done
		}
	})
}

// Groups at the end find something out about a record once; who reads the file does
// so alone.
func TestReadersShareWhatTheyFind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	found := 0
	for opened := range 2 { // the second time everything is in the file
		l, err := embedded.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if opened == 0 {
			err = l.Append(t.Context(), batch(5, 0, "rising"))
		}
		if err != nil {
			t.Fatal(err)
		}
		for group := range 3 {
			r, err := l.Read(t.Context(), fmt.Sprint(group), []string{"agents"}, fromStart)
			if err != nil {
				t.Fatal(err)
			}
			records, err := r.Next(t.Context(), 10)
			if err != nil || len(records) != 5 {
				t.Fatal(records, err)
			}
			for _, rec := range records {
				if got := rec.Memo.Of(func() any { found++; return rec.ID }); got != rec.ID {
					t.Errorf("of %s is found %v", rec.ID, got)
				}
			}
		}
		if want := 5 + 15*opened; found != want {
			t.Errorf("found out %d times, want %d", found, want)
		}
	}
}

// Who lags behind what memory holds meets the same records as who does not.
func TestLaggingBehindMemory(t *testing.T) {
	t.Parallel()
	l := open(t)
	const n = 12_000 // of more than 500 bytes: memory has the younger half
	all := batch(n, 0, "rising")
	read := func(r eventlog.Reader) (out []eventlog.Record) { // up to the end
		ends, err := l.Partitions(t.Context(), "agents")
		if err != nil {
			t.Fatal(err)
		}
		for len(out) == 0 || out[len(out)-1].Position < ends[eventlog.Partition{Topic: "agents"}] {
			records, err := r.Next(t.Context(), 700)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				rec.Memo = nil
				out = append(out, rec)
			}
		}
		return out
	}
	first, err := l.Read(t.Context(), "first", []string{"agents"}, fromStart)
	if err != nil {
		t.Fatal(err)
	}
	var live []eventlog.Record
	for i := 0; i < n; i += 1000 {
		if err := l.Append(t.Context(), all[i:i+1000]); err != nil {
			t.Fatal(err)
		}
		live = append(live, read(first)...)
	}
	second, err := l.Read(t.Context(), "second", []string{"agents"}, fromStart)
	if err != nil {
		t.Fatal(err)
	}
	late := read(second)
	if len(live) != n || !reflect.DeepEqual(live, late) {
		t.Error("a late reader met other records than a live one")
	}
	first.Seek(eventlog.Partition{Topic: "agents"}, live[n/3].Position)
	if !reflect.DeepEqual(live[n/3+1:], read(first)) {
		t.Error("the second time a reader met other records")
	}
}

func TestIncompleteRecord(t *testing.T) {
	t.Parallel()
	l := open(t)
	for _, bad := range []eventlog.Record{{Topic: "agents"}, {ID: "1"}} {
		err := l.Append(t.Context(), append(batch(1, 0, "rising"), bad))
		if !fault.Is(err, "record_incomplete") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	ends, err := l.Partitions(t.Context(), "agents")
	if err != nil || ends[eventlog.Partition{Topic: "agents"}] != 0 {
		t.Errorf("something was appended: %v, %v", ends, err)
	}
}

func TestBackupHoldsTheLog(t *testing.T) {
	t.Parallel()
	l := open(t)
	if err := l.Append(t.Context(), batch(20, 0, "rising")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := l.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	c, err := embedded.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want, _ := l.Partitions(t.Context(), "agents")
	got, err := c.Partitions(t.Context(), "agents")
	p := eventlog.Partition{Topic: "agents"}
	if err != nil || got[p] != want[p] || got[p] == 0 {
		t.Errorf("the copy ends at %v, the log at %v: %v", got, want, err)
	}
}
