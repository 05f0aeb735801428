package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

var items = fstest.MapFS{"0001_item.sql": {Data: []byte("-- +goose Up\ncreate table item (id text primary key, filling bytea);")}}

func TestMain(m *testing.M) {
	write := func(synchronous string, forever bool) func(string, func(int)) error {
		return func(dir string, ack func(int)) error {
			ctx := context.Background()
			db, err := sqldb.OpenSynced(sqldb.Options{Path: filepath.Join(dir, "test.db"), Name: "test"}, synchronous)
			if err != nil {
				return err
			}
			if err := db.Migrate(ctx, "test", items); err != nil {
				return err
			}
			n := 0
			if err := db.Read(ctx, func(tx *sqldb.Tx) error {
				_, err := tx.Get(`select count(*) from item`, nil, &n)
				return err
			}); err != nil {
				return err
			}
			ack(0)
			for i := n + 1; forever || i <= n+20; i++ {
				if err := put(db, fmt.Sprintf("%06d", i)); err != nil {
					return err
				}
				ack(i)
			}
			return db.Close()
		}
	}
	sqldbtest.HelperMain(m, map[string]func(string, func(int)) error{
		"twenty":                     write("FULL", false),
		"twenty, synchronous=NORMAL": write("NORMAL", false),
		"twenty, synchronous=OFF":    write("OFF", false),
		"forever":                    write("FULL", true),
	})
}

func TestAnswersAfterTheSync(t *testing.T) {
	t.Parallel()
	t.Run("as it is", func(t *testing.T) { t.Parallel(); sqldbtest.Trace(t, "twenty", false) })
	t.Run("synchronous=NORMAL", func(t *testing.T) { t.Parallel(); sqldbtest.Trace(t, "twenty, synchronous=NORMAL", true) })
	t.Run("synchronous=OFF", func(t *testing.T) { t.Parallel(); sqldbtest.Trace(t, "twenty, synchronous=OFF", true) })
}

func TestCheckTrace(t *testing.T) {
	t.Parallel()
	const (
		wal    = "1 pwrite64(5</d/a.db-wal>, \"x\", 4096, 0) = 4096\n"
		other  = "1 pwrite64(4</d/a.db>, \"x\", 4096, 0) = 4096\n"
		sync   = "1 fsync(5</d/a.db-wal>) = 0\n"
		ack    = "2 write(1<pipe:[7]>, \"ack 1\\n\", 6) = 6\n"
		begun  = "1 fdatasync(5</d/a.db-wal> <unfinished ...>\n"
		ended  = "1 <... fdatasync resumed>) = 0\n"
		failed = "1 fsync(5</d/a.db-wal>) = -1 EIO (Input/output error)\n"
		wrong  = "1 fsync(4</d/a.db>) = 0\n"
	)
	for _, c := range []struct {
		calls string
		good  bool
	}{
		{ack + wal + sync + ack, true},
		{ack + wal + wal + sync + other + ack + wal + sync + ack, true},
		{ack + wal + begun + ended + ack, true},
		{"", false},
		{ack + wal + ack, false},
		{ack + ack, false},
		{ack + other + ack, false},
		{ack + wal + begun + ack + ended, false},
		{ack + wal + failed + ack, false},
		{ack + wal + wrong + ack, false},
		{ack + wal + sync + wal + ack, false},
		{ack + begun + wal + ended + ack, false},
	} {
		if _, err := sqldbtest.CheckTrace(c.calls); (err == nil) != c.good {
			t.Errorf("%v for\n%s", err, c.calls)
		}
	}
}

// What was acked before a kill is there afterwards, once, without a hole.
func TestKill(t *testing.T) {
	t.Parallel()
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for round := range 10 {
		acked := sqldbtest.Kill(t, rnd, "forever", dir)
		db, err := sqldb.Open(t.Context(), sqldb.Options{Path: filepath.Join(dir, "test.db"), Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		got := ids(t, db)
		for i, id := range got {
			if id != fmt.Sprintf("%06d", i+1) {
				t.Fatalf("seed %d, round %d: item %d is %s", seed, round, i+1, id)
			}
		}
		if len(got) < acked || acked > 0 && len(got) > acked+1 {
			t.Fatalf("seed %d, round %d: %d items, %d acked", seed, round, len(got), acked)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sqldb.OpenSmall(sqldb.Options{Path: path, Name: "chat"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), "test", items); err != nil {
		t.Fatal(err)
	}
	if err := put(db, "before"); err != nil {
		t.Fatal(err)
	}
	fill := func(tx *sqldb.Tx) error {
		for i := range 1000 {
			if _, err := tx.Exec(`insert into item (id, filling) values ($1, $2)`, fmt.Sprint(i), make([]byte, 4000)); err != nil {
				return err
			}
		}
		return nil
	}
	for what, fn := range map[string]func(tx *sqldb.Tx) error{
		"tells": fill,
		"keeps silent and goes on": func(tx *sqldb.Tx) error {
			fill(tx)
			tx.Exec(`insert into item (id) values ('after')`)
			return nil
		},
	} {
		// Two others share the transaction with the one that fills the disk.
		holds, others := make(chan bool), make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			db.Write(context.Background(), func(tx *sqldb.Tx) error { close(holds); <-others; return nil })
		})
		<-holds
		errs := make([]error, 3)
		for i, fn := range []func(*sqldb.Tx) error{
			func(tx *sqldb.Tx) error { _, err := tx.Exec(`insert into item (id) values ('neighbour')`); return err },
			fn,
			func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`insert into item (id) values ('other neighbour')`)
				return err
			},
		} {
			sqldb.WaitForWriters(db, i)
			wg.Go(func() {
				errs[i] = db.Write(context.Background(), func(tx *sqldb.Tx) error {
					tx.OnCommit(func() { t.Errorf("%s: OnCommit was called", what) })
					return fn(tx)
				})
			})
			sqldb.WaitForWriters(db, i+1)
		}
		close(others)
		wg.Wait()
		for i, err := range errs {
			if !fault.Is(err, "database_unavailable") || fault.KindOf(err) != fault.Unavailable {
				t.Errorf("%s: function %d: %v", what, i, err)
			}
			if err != nil && !strings.Contains(err.Error(), "chat") {
				t.Errorf("the message does not name the database: %v", err)
			}
		}
		if got := ids(t, db); !slices.Equal(got, []string{"before"}) {
			t.Fatalf("%s: %d items are left behind", what, len(got))
		}
	}
	if err := sqldb.SetRoom(db, 10_000); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), fill); err != nil {
		t.Fatalf("with space again: %v", err)
	}
	if got := ids(t, db); len(got) != 1001 {
		t.Errorf("%d items", len(got))
	}
}

// A scenario is crashed at each of its points; after reopening there is what was
// committed, and what was answered is part of it.
func TestHookCrashesEverywhere(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	points := 0
	for at := 0; at <= points; at++ {
		path := filepath.Join(t.TempDir(), "test.db")
		var ops []string
		o := sqldbtest.Options(t, path, "test")
		o.Hook = func(op string) error {
			if ops = append(ops, op); len(ops) == at {
				return boom
			}
			return nil
		}
		db, err := sqldb.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Migrate(t.Context(), "test", items); err != nil {
			t.Fatal(err)
		}
		var answered []string
		for _, id := range []string{"a", "b"} {
			told := false
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				tx.OnCommit(func() { told = true })
				if _, err := tx.Exec(`insert into item (id) values ($1)`, id+"1"); err != nil {
					return err
				}
				var got string
				if _, err := tx.Get(`select id from item where id = $1`, []any{id + "1"}, &got); err != nil {
					return err
				}
				_, err := tx.Get(`insert into item (id) values ($1) returning id`, []any{id + "2"}, &got)
				return err
			})
			if err == nil {
				answered = append(answered, id+"1", id+"2")
			} else if !errors.Is(err, sqldb.ErrCrashed) {
				t.Errorf("crash at %d: %v", at, err)
			}
			if told != (err == nil) {
				t.Errorf("crash at %d: OnCommit %v, error %v", at, told, err)
			}
		}
		crashed := at > 0
		if err := db.Read(t.Context(), func(*sqldb.Tx) error { return nil }); errors.Is(err, sqldb.ErrCrashed) != crashed {
			t.Errorf("crash at %d: then %v", at, err)
		}
		if at == 0 {
			points = len(ops)
			if want := "exec exec commit committed exec exec commit committed"; strings.Join(ops, " ") != want {
				t.Errorf("points: %v, want %s", ops, want)
			}
			ops = nil
		}
		// The file is opened beside the dead one, as a new process would.
		again, err := sqldb.Open(t.Context(), sqldbtest.Options(t, path, "test"))
		if err != nil {
			t.Fatal(err)
		}
		got := ids(t, again)
		if len(got)%2 != 0 {
			t.Errorf("crash at %d: half a transaction: %v", at, got)
		}
		want := answered
		if crashed && ops[at-1] == "committed" {
			want = append(want, []string{"a1", "a2", "b1", "b2"}[len(want):len(want)+2]...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("crash at %d (%v): got %v, want %v", at, ops, got, want)
		}
		if err := put(again, "after"); err != nil {
			t.Errorf("crash at %d: %v", at, err)
		}
		again.Close()
		db.Close()
	}
}
