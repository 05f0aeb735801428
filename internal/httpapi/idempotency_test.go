package httpapi

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

func openDB(t *testing.T) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldbtest.Options(t, filepath.Join(t.TempDir(), "x.db"), "x"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := MigrateIdempotency(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestIdempotent(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	type made struct{ N int }
	n := 0
	make := func(p authz.Principal, key, op, body string, at int64, fail error) (out made, err error) {
		err = db.Write(context.Background(), func(tx *sqldb.Tx) (err error) {
			out, err = Idempotent(tx, p, key, op, body, at, func() (made, error) { n++; return made{n}, fail })
			return err
		})
		return out, err
	}
	p, other, token := authz.Principal{Person: "p", Token: "a"}, authz.Principal{Person: "q", Token: "a"}, authz.Principal{Person: "p", Token: "b"}
	broken := errors.New("broken")
	const day = idempotencyKept / 2
	steps := []struct {
		says          string
		p             authz.Principal
		key, op, body string
		at            int64
		fail          error
		want          int // 0 for an error
		code          string
	}{
		{says: "first", p: p, key: "k", op: "room", body: "b", want: 1},
		{says: "again", p: p, key: "k", op: "room", body: "b", want: 1},
		{says: "another body", p: p, key: "k", op: "room", body: "c", code: "idempotency_conflict"},
		{says: "another operation", p: p, key: "k", op: "agent", body: "b", code: "idempotency_conflict"},
		{says: "another person", p: other, key: "k", op: "room", body: "b", want: 2},
		{says: "another token", p: token, key: "k", op: "room", body: "b", want: 3},
		{says: "another key", p: p, key: "l", op: "room", body: "b", want: 4},
		{says: "no key", p: p, op: "room", body: "b", want: 5},
		{says: "no key again", p: p, op: "room", body: "b", want: 6},
		{says: "a failure", p: p, key: "m", op: "room", body: "b", fail: broken},
		{says: "is not kept", p: p, key: "m", op: "room", body: "b", want: 8},
		{says: "a day later", p: p, key: "k", op: "room", body: "b", at: day, want: 1},
		{says: "three days later", p: p, key: "k", op: "room", body: "c", at: 3 * day, want: 9},
	}
	for _, s := range steps {
		got, err := make(s.p, s.key, s.op, s.body, s.at, s.fail)
		switch {
		case s.code != "":
			if !fault.Is(err, s.code) || fault.KindOf(err) != fault.Conflict {
				t.Errorf("%s: %v, want %s", s.says, err, s.code)
			}
		case s.fail != nil:
			if !errors.Is(err, s.fail) {
				t.Errorf("%s: %v, want %v", s.says, err, s.fail)
			}
		case err != nil || got.N != s.want:
			t.Errorf("%s: %d %v, want %d", s.says, got.N, err, s.want)
		}
	}
}

func TestIdempotentRunsOnceUnderConcurrency(t *testing.T) {
	t.Parallel()
	db := openDB(t)
	var ran atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			err := db.Write(context.Background(), func(tx *sqldb.Tx) error {
				got, err := Idempotent(tx, authz.Principal{Person: "p"}, "k", "op", 1, 1, func() (int64, error) { return ran.Add(1), nil })
				if got != 1 {
					t.Errorf("answer %d, want 1", got)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ran.Load() != 1 {
		t.Errorf("ran %d times", ran.Load())
	}
}
