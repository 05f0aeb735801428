package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteFile is a SQLite database. Its transactions are durable when they commit:
// write-ahead log, synchronous=FULL.
type sqliteFile struct {
	path        string
	write, read *sql.DB
}

// openSQLite opens one writing connection now, and reading ones when needed.
func openSQLite(ctx context.Context, o Options) (*DB, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	s := &sqliteFile{path: path}
	db := newDB(o, s, max(4, runtime.GOMAXPROCS(0)))
	if err := create(path); err != nil {
		return nil, db.unavailable(err)
	}
	sync := o.synchronous
	if sync == "" {
		sync = "FULL"
	}
	if s.write, err = openFile(path, url.Values{
		"_synchronous": {sync},
		// Fewer and larger checkpoints, and room for a large transaction's pages.
		// What is deleted or replaced is overwritten with zeros: see Scrub.
		// What undoes a statement of many rows lies in memory.
		"_pragma": {"wal_autocheckpoint(4000)", "cache_size(-16000)", "journal_size_limit(67108864)", "secure_delete(1)", "temp_store(memory)"},
	}); err != nil {
		return nil, err
	}
	if s.read, err = openFile(path, url.Values{"_query_only": {"1"}}); err != nil {
		return nil, err
	}
	if db.writer, err = s.connect(ctx, true); err != nil {
		return nil, db.fault(fmt.Errorf("open %s: %w", o.Path, err))
	}
	if o.maxPages > 0 {
		if err := db.writer.exec(fmt.Sprintf("pragma max_page_count = %d", o.maxPages)); err != nil {
			return nil, err
		}
	}
	return db, nil
}

func (s *sqliteFile) connect(ctx context.Context, writes bool) (*conn, error) {
	from := s.read
	if writes {
		from = s.write
	}
	c, err := from.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, stmts: map[string]*stmt{}, text: unnamed}, nil
}

func (s *sqliteFile) begin(c *conn) error    { return c.exec("begin immediate") }
func (s *sqliteFile) snapshot(c *conn) error { return c.exec("begin") }
func (s *sqliteFile) commit(c *conn) error   { return c.exec("commit") }
func (s *sqliteFile) remedy() string         { return "its disk has space and is writable" }
func (s *sqliteFile) close() error           { return errors.Join(s.read.Close(), s.write.Close()) }

func (s *sqliteFile) migrations(context.Context) (*migrations, error) {
	conns, err := openFile(s.path, url.Values{})
	if err != nil {
		return nil, err
	}
	return &migrations{goose.DialectSQLite3, conns, ".postgres.sql", func(err error) error { return err }, func() { conns.Close() }}, nil
}

// create makes the file with its mode, which SQLite gives to the files beside it.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncDir(path))
}

// syncDir makes a new name in path's directory durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func openFile(path string, more url.Values) (*sql.DB, error) {
	q := url.Values{
		"_busy_timeout": {"10000"},
		"_journal_mode": {"WAL"},
		"_foreign_keys": {"1"},
		"_synchronous":  {"FULL"},
		"_dqs":          {"0"}, // "x" is a name, as in PostgreSQL, never a text
		"_error_rc":     {"1"},
	}
	for k, v := range more {
		q[k] = v
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	c, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// outage: the disk, a lock or memory refused. SQLite may have undone the whole
// transaction.
func (s *sqliteFile) outage(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PROTOCOL,
		sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_ABORT, sqlite3.SQLITE_READONLY:
		return true
	}
	return false
}

// damaged: the file does not hold what SQLite wrote, and waiting heals nothing.
func (s *sqliteFile) damaged(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

// unnamed writes $1, $2, … as plain question marks where each is used once and in
// order, which is almost everywhere: the driver looks named places up by name for
// every row, at a cost that grows with the square of their number. Text in quotes
// stays as it is.
func unnamed(query string) string {
	var out strings.Builder
	next, quote := 1, byte(0)
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '$':
			n := 0
			for ; i+1 < len(query) && query[i+1] >= '0' && query[i+1] <= '9'; i++ {
				n = 10*n + int(query[i+1]-'0')
			}
			if n != next {
				return query
			}
			next++
			c = '?'
		}
		out.WriteByte(c)
	}
	return out.String()
}

func (s *sqliteFile) columns(tx *Tx, table string) (all, key []string, err error) {
	rows, err := tx.Query(`select name, pk from pragma_table_info($1) order by cid`, table)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	return keyed(rows, table)
}

func (s *sqliteFile) tables(tx *Tx) (names []string, err error) {
	rows, err := tx.Query(`select name from sqlite_master where type = 'table' order by name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return own(rows)
}

// scrub moves all pages from the write-ahead log into the file and empties the log.
func (s *sqliteFile) scrub(ctx context.Context) (done bool, err error) {
	c, err := openFile(s.path, url.Values{"_busy_timeout": {"500"}})
	if err != nil {
		return false, err
	}
	defer c.Close()
	var busy, pages, moved int
	err = c.QueryRowContext(ctx, `pragma wal_checkpoint(truncate)`).Scan(&busy, &pages, &moved)
	return busy == 0, err
}

func (s *sqliteFile) backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("back up %s: %w", path, os.ErrExist)
	}
	part := path + ".part"
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	from, err := openFile(s.path, nil)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := from.ExecContext(ctx, `vacuum into $1`, part); err != nil {
		return err
	}
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(part, path), syncDir(path)); err != nil {
		return err
	}
	return nil
}
