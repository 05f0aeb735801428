package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// pair opens one schema twice, as two processes do.
func pair(t *testing.T, dsn string) (a, b *sqldb.DB) {
	t.Helper()
	open := func() *sqldb.DB {
		db, err := sqldb.Open(t.Context(), sqldb.Options{DSN: dsn, Name: "chat"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	return open(), open()
}

// What a function read is still true when it commits, whoever else writes.
func TestOneWriterAmongProcesses(t *testing.T) {
	t.Parallel()
	a, b := pair(t, sqldbtest.DSN(t))
	create(t, a, `create table counter (id text primary key, n bigint not null); insert into counter values ('c', 0);`)
	const each = 200
	var wg sync.WaitGroup
	for _, db := range []*sqldb.DB{a, b} {
		for range 4 {
			wg.Go(func() {
				for range each {
					if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
						var n int64
						if _, err := tx.Get(`select n from counter where id = 'c'`, nil, &n); err != nil {
							return err
						}
						_, err := tx.Exec(`update counter set n = $1 where id = 'c'`, n+1)
						return err
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	var n int64
	if err := b.Read(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select n from counter`, nil, &n)
		return err
	}); err != nil || n != 8*each {
		t.Errorf("%d, want %d, %v", n, 8*each, err)
	}
}

// Two schemas of one database have a writer each.
func TestSchemasDoNotWait(t *testing.T) {
	t.Parallel()
	dsn := sqldbtest.DSN(t)
	chat, _ := pair(t, dsn)
	agent, err := sqldb.Open(t.Context(), sqldb.Options{DSN: dsn, Name: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	create(t, chat, `create table item (id text primary key);`)
	create(t, agent, `create table item (id text primary key);`)
	if err := chat.Write(t.Context(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`insert into item (id) values ('c')`); err != nil {
			return err
		}
		return put(agent, "a")
	}); err != nil {
		t.Fatal(err)
	}
	if c, a := ids(t, chat), ids(t, agent); !slices.Equal(c, []string{"c"}) || !slices.Equal(a, []string{"a"}) {
		t.Error(c, a)
	}
}

// Texts are compared and kept byte by byte on either engine.
func TestOrderOfTexts(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		want := []string{"", " ", "-", "A", "B", "Z", "_", "a", "a-b", "ab", "b", "e\u0301", "z", "ß", "é", "😀"}
		for _, i := range []int{7, 15, 4, 0, 2, 13, 3, 10, 6, 1, 12, 14, 5, 9, 8, 11} {
			if err := put(db, want[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got := ids(t, db); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if err := put(db, "a"); err == nil {
			t.Error("the same text twice")
		}
	})
}

func TestState(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table state (id text primary key, body bytea not null);`)
		want := make([]byte, 100_000)
		for i := range want {
			want[i] = byte(i * i >> 3)
		}
		for range 2 {
			if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`insert into state (id, body) values ('a', $1) on conflict (id) do update set body = excluded.body`, want)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		var got []byte
		if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Get(`select body from state where id = 'a'`, nil, &got)
			return err
		}); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back changed, %v", len(got), err)
		}
	})
}

// A statement that fails undoes its function, also one that says nothing of it.
func TestFailureKeptSilent(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			tx.Exec(`insert into item (id) values ('a')`)
			tx.Exec(`insert into item (id) values ('a')`)
			tx.Exec(`insert into item (id) values ('b')`)
			return nil
		})
		if err == nil || len(ids(t, db)) != 0 {
			t.Errorf("%v, %v", err, ids(t, db))
		}
		if err := put(db, "c"); err != nil {
			t.Error(err)
		}
	})
}

// cut ends the connections of a database from the server's side.
func cut(t *testing.T, dsn, which string) {
	t.Helper()
	u, _ := url.Parse(dsn)
	sqldbtest.Admin(t, `select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '`+strings.TrimPrefix(u.Path, "/")+`' and `+which)
}

func TestCutInTheMiddle(t *testing.T) {
	t.Parallel()
	dsn := sqldbtest.DSN(t)
	db, _ := pair(t, dsn)
	create(t, db, `create table item (id text primary key);`)
	for what, when := range map[string]struct{ second, read bool }{"before a statement": {second: true}, "before the commit": {}, "in a snapshot": {read: true}} {
		run := db.Write
		if when.read {
			run = db.Read
		}
		err := run(t.Context(), func(tx *sqldb.Tx) error {
			tx.OnCommit(func() { t.Errorf("%s: OnCommit was called", what) })
			var n int64
			if _, err := tx.Get(`select count(*) from item`, nil, &n); err != nil {
				return err
			}
			if !when.read {
				if _, err := tx.Exec(`insert into item (id) values ('half')`); err != nil {
					return err
				}
			}
			cut(t, dsn, "state like 'idle in transaction%'")
			if when.second || when.read {
				tx.Get(`select count(*) from item where id <> 'x'`, nil, &n)
				if _, err := tx.Get(`select count(*) from item where id <> 'y'`, nil, &n); !fault.Is(err, "database_unavailable") {
					t.Errorf("%s: then %v", what, err)
				}
			}
			if when.read {
				_, err := tx.Get(`select count(*) from item`, nil, &n)
				return err
			}
			return nil
		})
		if !fault.Is(err, "database_unavailable") || fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "postgres") {
			t.Errorf("%s: %v", what, err)
		}
		if got := ids(t, db); len(got) != 0 {
			t.Errorf("%s: half is written: %v", what, got)
		}
	}
	// Between transactions nobody notices.
	if err := put(db, "a"); err != nil {
		t.Fatal(err)
	}
	cut(t, dsn, "true")
	if got := ids(t, db); !slices.Equal(got, []string{"a"}) {
		t.Error(got)
	}
	cut(t, dsn, "true")
	if err := put(db, "b"); err != nil {
		t.Error(err)
	}
}

// wire passes bytes between a program and the server until it is cut.
type wire struct {
	net.Listener
	server string
	deaf   atomic.Bool // answers are lost, and then the connection
}

func newWire(t *testing.T, dsn string) (w *wire, through string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w = &wire{server: filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")}
	if w.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	go func() {
		for {
			c, err := w.Accept()
			if err != nil {
				return
			}
			go w.pass(c)
		}
	}()
	u.RawQuery, u.Host = "sslmode=disable", w.Addr().String()
	return w, u.String()
}

func (w *wire) pass(c net.Conn) {
	s, err := net.Dial("unix", w.server)
	if err != nil {
		c.Close()
		return
	}
	go func() { io.Copy(s, c); s.Close() }()
	buf := make([]byte, 1<<16)
	for {
		n, err := s.Read(buf)
		if err != nil || w.deaf.CompareAndSwap(true, false) {
			c.Close()
			return
		}
		c.Write(buf[:n])
	}
}

// The server has committed, and its answer is lost on the way: that is no failure.
func TestAnswerOfTheCommitLost(t *testing.T) {
	t.Parallel()
	w, dsn := newWire(t, sqldbtest.DSN(t))
	db, err := sqldb.Open(t.Context(), sqldb.Options{DSN: dsn, Name: "chat", Hook: func(op string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	create(t, db, `create table item (id text primary key);`)
	told := false
	for _, id := range []string{"a", "b"} {
		if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into item (id) values ($1)`, id)
			tx.OnCommit(func() { told = true })
			w.deaf.Store(id == "b")
			return err
		}); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if got := ids(t, db); !told || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v, %v", told, got)
	}
}

func TestServerGone(t *testing.T) {
	t.Parallel()
	w, dsn := newWire(t, sqldbtest.DSN(t))
	db, _ := pair(t, dsn)
	create(t, db, `create table item (id text primary key);`)
	w.Close()
	w.server = "/nowhere"
	u, _ := url.Parse(dsn)
	cut(t, dsn, "true")
	for what, err := range map[string]error{
		"write": put(db, "a"),
		"read":  db.Read(t.Context(), func(*sqldb.Tx) error { return nil }),
		"open": func() error {
			_, err := sqldb.Open(t.Context(), sqldb.Options{DSN: dsn, Name: "chat"})
			return err
		}(),
		"migrate": db.Migrate(t.Context(), "more", items),
	} {
		if !fault.Is(err, "database_unavailable") || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	l, err := net.Listen("tcp", u.Host)
	if err != nil {
		t.Skip("the port was taken meanwhile")
	}
	defer l.Close()
	back, _ := newWire(t, sqldbtest.DSN(t)) // only for the server's address
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go back.pass(c)
		}
	}()
	if err := put(db, "b"); err != nil {
		t.Errorf("the server is back: %v", err)
	}
}

func TestCancelledQuery(t *testing.T) {
	t.Parallel()
	db, _ := pair(t, sqldbtest.DSN(t))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select 1 from pg_sleep(60)`, nil, new(int))
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	create(t, db, `create table item (id text primary key);`)
	if err := put(db, "a"); err != nil || len(ids(t, db)) != 1 {
		t.Error(err)
	}
}

// Programs that start at the same time on an empty database make it once.
func TestStartsAtOnce(t *testing.T) {
	t.Parallel()
	dsn := sqldbtest.DSN(t)
	set := fstest.MapFS{}
	for i := range 5 {
		n := strconv.Itoa(i + 1)
		set["000"+n+"_x.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\ncreate table t" + n + " (id text primary key);\ninsert into t" + n + " values ('once');")}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			db, err := sqldb.Open(t.Context(), sqldb.Options{DSN: dsn, Name: "chat"})
			if err != nil {
				t.Error(err)
				return
			}
			defer db.Close()
			if err := errors.Join(db.Migrate(t.Context(), "one", set), db.Migrate(t.Context(), "two", items)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	dsn := sqldbtest.DSN(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	weakling := "weak_" + strings.TrimPrefix(u.Path, "/")
	sqldbtest.Admin(t, `drop role if exists locked`, `create role locked login password 'right'`, `create role `+weakling+` login`)
	change := func(f func(u *url.URL)) string {
		c := *u
		f(&c)
		return c.String()
	}
	for what, c := range map[string]struct {
		dsn, code string
		says      []string
	}{
		"not a DSN":        {"host=/tmp password=hunter2", "postgres_refused", []string{"postgres://"}},
		"half a DSN":       {"postgres://me:hunter2@host:port/x", "postgres_refused", []string{"postgres://"}},
		"a wrong password": {change(func(u *url.URL) { u.User = url.UserPassword("locked", "hunter2") }), "postgres_refused", []string{"locked"}},
		"nobody":           {change(func(u *url.URL) { u.User = url.UserPassword("stranger", "hunter2") }), "postgres_refused", []string{"stranger"}},
		"no database":      {change(func(u *url.URL) { u.Path = "/nothing" }), "postgres_refused", []string{"nothing", "createdb"}},
		"no rights":        {change(func(u *url.URL) { u.User = url.UserPassword(weakling, "hunter2") }), "postgres_refused", []string{"weak", "chat"}},
		"another order":    {sqldbtest.DSN(t, `template template0 locale_provider icu icu_locale 'en-US'`), "wrong_collation", []string{"createdb"}},
		"another encoding": {sqldbtest.DSN(t, `template template0 encoding 'SQL_ASCII'`), "wrong_collation", []string{"SQL_ASCII", "createdb"}},
	} {
		db, err := sqldb.Open(t.Context(), sqldb.Options{DSN: c.dsn, Name: "chat"})
		if err == nil {
			db.Close()
		}
		if !fault.Is(err, c.code) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, part := range append(c.says, "setting postgres") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: the message does not say %q: %v", what, part, err)
			}
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the message holds the password: %v", what, err)
		}
	}
	// Who owns nothing can use a schema that was made for them, but not migrate it.
	owner, _ := pair(t, dsn)
	create(t, owner, `create table item (id text primary key);`)
	weakly := sqldb.Options{DSN: change(func(u *url.URL) { u.User = url.User(weakling) }), Name: "chat"}
	if _, err := sqldb.Open(t.Context(), weakly); !fault.Is(err, "postgres_refused") || !strings.Contains(err.Error(), "weak") {
		t.Errorf("opening without rights: %v", err)
	}
	if err := owner.Write(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(`grant usage on schema chat to ` + weakling); return err }); err != nil {
		t.Fatal(err)
	}
	weak, err := sqldb.Open(t.Context(), weakly)
	if err != nil {
		t.Fatal(err)
	}
	defer weak.Close()
	if err := weak.Migrate(t.Context(), "more", items); !fault.Is(err, "postgres_refused") || !strings.Contains(err.Error(), "weak") {
		t.Errorf("migrating without rights: %v", err)
	}
	if err := put(weak, "a"); !fault.Is(err, "database_unavailable") {
		t.Errorf("writing without rights: %v", err)
	}
}

// A SQLite file moves to PostgreSQL and back with the same bytes.
func TestCopyBetweenEngines(t *testing.T) {
	t.Parallel()
	file, err := sqldb.Open(t.Context(), sqldb.Options{Path: filepath.Join(t.TempDir(), "x.db"), Name: "chat"})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	server, _ := pair(t, sqldbtest.DSN(t))
	ddl := `create table t (id text primary key, n bigint, x double precision, yes boolean not null, raw bytea);`
	create(t, file, ddl)
	create(t, server, ddl)
	if err := file.Write(t.Context(), func(tx *sqldb.Tx) error {
		for i, id := range []string{"b", "a", "Z", "ä"} {
			if _, err := tx.Exec(`insert into t values ($1, $2, $3, $4, $5)`, id, -i, float64(i)/3, i%2 == 0, []byte(id)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`insert into t values ('null', null, null, false, null)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want, err := file.Dump(t.Context(), "t")
	if err != nil || !bytes.Contains(want, []byte("yes=true")) {
		t.Fatalf("%v\n%s", err, want)
	}
	if err := server.CopyTables(t.Context(), file, []string{"t"}); err != nil {
		t.Fatal(err)
	}
	if got, err := server.Dump(t.Context(), "t"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if err := file.CopyTables(t.Context(), server, []string{"t"}); err != nil {
		t.Fatal(err)
	}
	if got, err := file.Dump(t.Context(), "t"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}
