package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

type name string
type count int64

func create(t testing.TB, db *sqldb.DB, ddl string) {
	t.Helper()
	migrations := fstest.MapFS{"0001_test.sql": {Data: []byte("-- +goose Up\n" + ddl)}}
	if err := db.Migrate(t.Context(), "test", migrations); err != nil {
		t.Fatal(err)
	}
}

func put(db *sqldb.DB, id string) error {
	return db.Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into item (id) values ($1)`, id)
		return err
	})
}

func ids(t testing.TB, db *sqldb.DB) (out []string) {
	t.Helper()
	err := db.Read(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select id from item order by id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			out = append(out, id)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryTypeComesBack(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table t (id text primary key, n bigint, x double precision, yes boolean, raw bytea, missing text);`)
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			n, err := tx.Exec(`insert into t (id, n, x, yes, raw, missing) values ($1, $2, $3, $4, $5, $6)`,
				name("a"), count(math.MinInt64), math.Inf(-1), true, []byte{0, 255}, nil)
			if n != 1 {
				t.Errorf("rows changed = %d", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var (
			id      name
			n       count
			x       float64
			yes     bool
			raw     []byte
			missing *string
			empty   bool
		)
		err = db.Read(t.Context(), func(tx *sqldb.Tx) error {
			if ok, err := tx.Get(`select id, n, x, yes, raw, missing from t where id = $1 and yes`, []any{name("a")}, &id, &n, &x, &yes, &raw, &missing); !ok || err != nil {
				return fmt.Errorf("no row: %w", err)
			}
			// Placeholders are known by their number.
			if _, err := tx.Get(`select cast($2 as bigint) < cast($1 as bigint) and cast($1 as bigint) = $1`, []any{2, 1}, &yes); err != nil || !yes {
				t.Errorf("$2 < $1 is %v, %v", yes, err)
			}
			if ok, err := tx.Get(`select id from t where id = $1`, []any{"b"}, &id); ok || err != nil {
				t.Errorf("a row that is not there: %v, %v", ok, err)
			}
			// A nil []byte is an empty one.
			_, err := tx.Get(`select $1 || raw is not null from t`, []any{[]byte(nil)}, &empty)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if id != "a" || n != math.MinInt64 || !math.IsInf(x, -1) || string(raw) != "\x00\xff" || missing != nil || !empty {
			t.Errorf("got %q %d %v %x %v %v", id, n, x, raw, missing, empty)
		}
	})
}

func TestRefusesWhatTheEnginesStoreDifferently(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key, x double precision);`)
		for code, arg := range map[string]any{
			"not_a_number":     math.NaN(),
			"nul_in_text":      name("a\x00b"),
			"not_utf8":         "\xff",
			"number_too_large": uint64(math.MaxUint64),
		} {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`insert into item (id, x) values ('a', $1)`, arg)
				return err
			})
			if !fault.Is(err, code) || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", code, err)
			}
		}
		err := put(db, "a")
		if err != nil || !slices.Equal(ids(t, db), []string{"a"}) {
			t.Errorf("a refused argument left something: %v, %v", ids(t, db), err)
		}
	})
}

func TestFailedFunctionUndoesItselfAlone(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		// One holds the lead until all others wait, so that they share a commit.
		const n = 60
		started, others := make(chan bool), make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			db.Write(t.Context(), func(tx *sqldb.Tx) error { close(started); <-others; return nil })
		})
		<-started
		var mu sync.Mutex
		var want, told []string
		boom := errors.New("boom")
		for i := range n {
			id := fmt.Sprintf("%03d", i)
			if i%3 == 0 {
				want = append(want, id)
			}
			wg.Go(func() {
				defer func() {
					if r := recover(); (r != nil) != (i%3 == 2) {
						t.Errorf("%d panics with %v", i, r)
					}
				}()
				err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
					if _, err := tx.Exec(`insert into item (id) values ($1)`, id); err != nil {
						return err
					}
					tx.OnCommit(func() { mu.Lock(); told = append(told, id); mu.Unlock() })
					switch i % 3 {
					case 1:
						return boom
					case 2:
						panic("bang")
					}
					return nil
				})
				if (i%3 == 1) != errors.Is(err, boom) || i%3 == 0 && err != nil {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		sqldb.WaitForWriters(db, n)
		close(others)
		wg.Wait()
		slices.Sort(told)
		if diff := cmp.Diff(want, ids(t, db)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("OnCommit: %s", diff)
		}
	})
}

func TestReadIsASnapshot(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			var before, after int
			if _, err := tx.Get(`select count(*) from item`, nil, &before); err != nil {
				return err
			}
			if err := put(db, "a"); err != nil {
				return err
			}
			_, err := tx.Get(`select count(*) from item`, nil, &after)
			if before != 0 || after != 0 {
				t.Errorf("a reader saw %d, then %d", before, after)
			}
			if _, err := tx.Exec(`insert into item (id) values ('b')`); err == nil {
				t.Error("Exec inside Read went through")
			}
			if _, err := tx.Query(`insert into item (id) values ('b') returning id`); err == nil {
				t.Error("a writing Query inside Read went through")
			}
			return err
		})
		if err != nil || !slices.Equal(ids(t, db), []string{"a"}) {
			t.Errorf("%v, %v", ids(t, db), err)
		}
	})
}

func TestContextEndedBeforeItsTurn(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		started, others := make(chan bool), make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			db.Write(t.Context(), func(tx *sqldb.Tx) error { close(started); <-others; return nil })
		})
		<-started
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			sqldb.WaitForWriters(db, 1)
			cancel()
		})
		err := db.Write(ctx, func(tx *sqldb.Tx) error { t.Error("it ran"); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := db.Write(ctx, func(tx *sqldb.Tx) error { t.Error("it ran"); return nil }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		// The context ends when the call is in a group already: by its neighbour.
		ctx, cancel = context.WithCancel(t.Context())
		wg.Go(func() {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error { cancel(); return nil })
			if err != nil {
				t.Error(err)
			}
		})
		sqldb.WaitForWriters(db, 1)
		wg.Go(func() {
			err := db.Write(ctx, func(tx *sqldb.Tx) error { t.Error("it ran"); return nil })
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		sqldb.WaitForWriters(db, 2)
		close(others)
		wg.Wait()
		if err := put(db, "a"); err != nil {
			t.Error(err)
		}
	})
}

func TestRowsLeftOpen(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		for _, id := range []string{"a", "b"} {
			if err := put(db, id); err != nil {
				t.Fatal(err)
			}
		}
		var kept *sqldb.Tx
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			kept = tx
			rows, err := tx.Query(`select id from item`)
			if err != nil {
				return err
			}
			rows.Next()
			if _, err := tx.Exec(`delete from item`); err == nil {
				t.Error("a statement ran while rows were open")
			}
			return nil
		})
		if err != nil || len(ids(t, db)) != 2 {
			t.Errorf("%v, %v", ids(t, db), err)
		}
		if _, err := kept.Exec(`delete from item`); err == nil {
			t.Error("a statement ran after the transaction")
		}
		if err := put(db, "c"); err != nil {
			t.Error(err)
		}
		// As often as there are connections to read with, and again.
		for range 40 {
			var kept *sqldb.Tx
			err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
				kept = tx
				rows, err := tx.Query(`select id from item where id < $1`, "c")
				if err != nil || !rows.Next() {
					return fmt.Errorf("no row: %w", err)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := kept.Query(`select id from item`); err == nil {
				t.Fatal("a query ran after the snapshot")
			}
		}
	})
}

func TestFunctionThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		done := make(chan bool)
		go func() {
			defer close(done)
			db.Write(context.Background(), func(tx *sqldb.Tx) error {
				tx.Exec(`insert into item (id) values ('lost')`)
				runtime.Goexit()
				return nil
			})
		}()
		<-done
		if err := put(db, "a"); err != nil || !slices.Equal(ids(t, db), []string{"a"}) {
			t.Errorf("%v, %v", ids(t, db), err)
		}
	})
}

// Nobody else on the machine can read what people wrote.
func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), sqldb.Options{Path: filepath.Join(dir, "test.db"), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	create(t, db, `create table item (id text primary key);`)
	if err := put(db, "a"); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		if err := errors.Join(db.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
		err := put(db, "a")
		if !fault.Is(err, "database_unavailable") || fault.KindOf(err) != fault.Unavailable {
			t.Error(err)
		}
	})
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		one := fstest.MapFS{
			"migrations/0001_a.sql":          {Data: []byte("-- +goose Up\ncreate table item (id text primary key);")},
			"migrations/0002_b.sqlite.sql":   {Data: []byte("-- +goose Up\ncreate table alone (engine text) strict; insert into alone values ('sqlite');")},
			"migrations/0002_b.postgres.sql": {Data: []byte("-- +goose Up\ncreate table alone (engine text default current_user); insert into alone values ('postgres');")},
		}
		other := fstest.MapFS{"0001_a.sql": {Data: []byte("-- +goose Up\ncreate table other (id text primary key);")}}
		for range 2 {
			if err := errors.Join(db.Migrate(t.Context(), "one", one), db.Migrate(t.Context(), "other", other)); err != nil {
				t.Fatal(err)
			}
		}
		delete(one, "migrations/0002_b.sqlite.sql")
		delete(one, "migrations/0002_b.postgres.sql")
		err := db.Migrate(t.Context(), "one", one)
		if !fault.Is(err, "newer_schema") || fault.KindOf(err) != fault.Conflict {
			t.Errorf("an older program opened it: %v", err)
		}
		for _, part := range []string{"one", "2", "1"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the message does not say %s: %v", part, err)
			}
		}
		got, err := db.Dump(t.Context())
		if want := fmt.Sprintf("-- alone\nengine=%q\n-- item\n-- other\n", path.Base(t.Name())); err != nil || string(got) != want {
			t.Errorf("%v, dump:\n%s", err, got)
		}
	})
}

func TestDumpIsAFunctionOfTheRows(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, a *sqldb.DB, open func() *sqldb.DB) {
		b := open()
		ddl := `create table pair (room text, n bigint, x double precision, raw bytea, note text, primary key (room, n));`
		create(t, a, ddl)
		create(t, b, ddl)
		write := func(db *sqldb.DB, ns ...int) {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				for _, n := range ns {
					if _, err := tx.Exec(`insert into pair (room, n, x, raw, note) values ($1, $2, $3, $4, $5)
						on conflict (room, n) do update set x = excluded.x`, "r", n, float64(n)/3, []byte{byte(n)}, nil); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		write(a, 3, 1, 2)
		write(b, 2, 2, 3, 1)
		da, err1 := a.Dump(t.Context(), "pair")
		db, err2 := b.Dump(t.Context(), "pair")
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(da), string(db)); diff != "" {
			t.Error(diff)
		}
		want := "-- pair\nroom=\"r\" n=1 x=0.3333333333333333 raw=x01 note=null\n"
		if !strings.HasPrefix(string(da), want) {
			t.Errorf("dump:\n%s", da)
		}
		write(b, 4)
		if db, _ = b.Dump(t.Context(), "pair"); string(da) == string(db) {
			t.Error("another row, the same dump")
		}
		if _, err := a.Dump(t.Context(), "nothing"); err == nil {
			t.Error("dumped a table that is not there")
		}
	})
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table t (id text primary key, n bigint, x double precision, raw bytea, none text);`)
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			for _, id := range []string{"b \"", "a"} {
				if _, err := tx.Exec(`insert into t (id, n, x, raw) values ($1, 7, 0.5, $2)`, id, []byte(id[1:])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := db.WriteJSON(t.Context(), sqldb.Export{Table: "t"}, &out); err != nil {
			t.Fatal(err)
		}
		want := `{"id":"a","n":7,"x":0.5,"raw":"","none":null}` + "\n" + `{"id":"b \"","n":7,"x":0.5,"raw":"ICI=","none":null}` + "\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCopyTables(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, live *sqldb.DB, open func() *sqldb.DB) {
		ddl := `create table parent (id text primary key, raw bytea, x double precision);
			create table child (id text primary key, parent text references parent (id));
			create table record (id text primary key);`
		fresh := open()
		create(t, live, ddl)
		create(t, fresh, ddl)
		fill := func(db *sqldb.DB, id string) {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err1 := tx.Exec(`insert into parent (id, raw, x) values ($1, $2, 1e300)`, id, []byte(nil))
				_, err2 := tx.Exec(`insert into child (id, parent) values ($1, $2)`, "c"+id, id)
				_, err3 := tx.Exec(`insert into record (id) values ($1)`, id)
				return errors.Join(err1, err2, err3)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		fill(live, "old")
		fill(fresh, "new")
		if err := live.CopyTables(t.Context(), fresh, []string{"parent", "child"}); err != nil {
			t.Fatal(err)
		}
		want, _ := fresh.Dump(t.Context(), "parent", "child")
		got, err := live.Dump(t.Context(), "parent", "child")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Error(diff)
		}
		if got, _ := live.Dump(t.Context(), "record"); !strings.Contains(string(got), "old") {
			t.Error("a table that was not named was copied")
		}
		// A child without its parent is refused, and nothing is changed.
		if err := fresh.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into parent (id) values ('later')`)
			_, err2 := tx.Exec(`insert into child (id, parent) values ('clater', 'later')`)
			return errors.Join(err, err2)
		}); err != nil {
			t.Fatal(err)
		}
		if err := live.CopyTables(t.Context(), fresh, []string{"child"}); err == nil {
			t.Error("children without a parent were copied")
		}
		if after, _ := live.Dump(t.Context(), "parent", "child"); string(after) != string(got) {
			t.Errorf("a refused copy changed something:\n%s", after)
		}
	})
}

func TestBackup(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		if err := put(db, "a"); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "back up?.db")
		if strings.HasSuffix(t.Name(), "/postgres") {
			err := db.Backup(t.Context(), path)
			if _, none := os.Stat(path); !fault.Is(err, "backup_elsewhere") || !strings.Contains(err.Error(), "pg_dump") || none == nil {
				t.Errorf("%v, %v", err, none)
			}
			return
		}
		if err := db.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		if err := db.Backup(t.Context(), path); !errors.Is(err, os.ErrExist) {
			t.Errorf("over an existing file: %v", err)
		}
		if err := put(db, "b"); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		copied, err := sqldb.Open(t.Context(), sqldb.Options{Path: path, Name: "copy"})
		if err != nil {
			t.Fatal(err)
		}
		defer copied.Close()
		if got := ids(t, copied); !slices.Equal(got, []string{"a"}) {
			t.Errorf("the backup holds %v", got)
		}
	})
}

func TestUnnamed(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`select 1`:                                       `select 1`,
		`insert into t values ($1, $2, $3)`:              `insert into t values (?, ?, ?)`,
		`select $1 where a = $1`:                         `select $1 where a = $1`,
		`select $2, $1`:                                  `select $2, $1`,
		`select '$1 costs $9', "a$1b" where x = $1`:      `select '$1 costs $9', "a$1b" where x = ?`,
		`select 'it''s $5' where x = $1 and y = $2`:      `select 'it''s $5' where x = ? and y = ?`,
		`select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10`: `select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?`,
	} {
		if got := sqldb.Unnamed(query); got != want {
			t.Errorf("%s became %s", query, got)
		}
	}
}
