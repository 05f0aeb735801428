package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// openSQLite opens one writing connection now, and reading ones when needed.
func openSQLite(o Options) (*DB, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	db := &DB{name: o.Name, file: path, hook: o.Hook, readers: make(chan *conn, max(4, runtime.GOMAXPROCS(0)))}
	if err := create(path); err != nil {
		return nil, db.unavailable(err)
	}
	sync := o.synchronous
	if sync == "" {
		sync = "FULL"
	}
	if db.write, err = openFile(path, url.Values{
		"_synchronous": {sync},
		// Fewer and larger checkpoints, and room for a large transaction's pages.
		"_pragma": {"wal_autocheckpoint(4000)", "cache_size(-16000)", "journal_size_limit(67108864)"},
	}); err != nil {
		return nil, err
	}
	if db.read, err = openFile(path, url.Values{"_query_only": {"1"}}); err != nil {
		return nil, err
	}
	if db.writer, err = connect(db.write); err != nil {
		return nil, db.fault(fmt.Errorf("open %s: %w", o.Path, err))
	}
	if o.maxPages > 0 {
		if err := db.writer.exec(fmt.Sprintf("pragma max_page_count = %d", o.maxPages)); err != nil {
			return nil, err
		}
	}
	for range cap(db.readers) {
		db.readers <- nil
	}
	return db, nil
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
func outage(err error) bool {
	if errors.Is(err, ErrCrashed) {
		return true
	}
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
func damaged(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_CORRUPT || e.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

// conn is a connection with its prepared statements.
type conn struct {
	*sql.Conn
	stmts map[string]*stmt
	args  []any
}

type stmt struct {
	*sql.Stmt
	writes bool
}

// deferForeignKeys makes a transaction check references at its commit.
const deferForeignKeys = `pragma defer_foreign_keys = on`

// stmtMax bounds the statements kept by a connection; a program has fewer.
const stmtMax = 1000

func connect(db *sql.DB) (*conn, error) {
	c, err := db.Conn(context.Background())
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, stmts: map[string]*stmt{}}, nil
}

var writing = regexp.MustCompile(`(?i)\b(insert|update|delete|replace|create|drop|alter)\b`)

func (c *conn) prepare(query string) (*stmt, error) {
	if st := c.stmts[query]; st != nil {
		return st, nil
	}
	s, err := c.PrepareContext(context.Background(), unnamed(query))
	if err != nil {
		return nil, fmt.Errorf("%w, in: %s", err, query)
	}
	st := &stmt{Stmt: s, writes: writing.MatchString(query)}
	c.stmts[query] = st
	return st, nil
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

// exec runs one of the package's own statements.
func (c *conn) exec(query string) error {
	st, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = st.ExecContext(context.Background())
	return err
}

// trim forgets the statements when there are too many; none may be running.
func (c *conn) trim() {
	if len(c.stmts) > stmtMax {
		for _, st := range c.stmts {
			st.Close()
		}
		clear(c.stmts)
	}
}

func (c *conn) close() {
	for _, st := range c.stmts {
		st.Close()
	}
	c.Conn.Close()
}

// columns gives a table's columns and those of its primary key, each in order.
func columns(tx *Tx, table string) (all, key []string, err error) {
	rows, err := tx.Query(`select name, pk from pragma_table_info($1) order by cid`, table)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	byPlace := map[int]string{}
	for rows.Next() {
		var name string
		var pk int
		if err := rows.Scan(&name, &pk); err != nil {
			return nil, nil, err
		}
		all = append(all, name)
		if pk > 0 {
			byPlace[pk] = name
		}
	}
	for i := range len(byPlace) {
		key = append(key, byPlace[i+1])
	}
	if len(all) == 0 {
		err = fmt.Errorf("no table %s", table)
	}
	return all, key, errors.Join(err, rows.Err())
}

// tables lists the tables that are not the engine's or goose's own.
func tables(tx *Tx) (names []string, err error) {
	rows, err := tx.Query(`select name from sqlite_master where type = 'table' order by name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(name, "sqlite_") && !strings.HasPrefix(name, versionTable("")) {
			names = append(names, name)
		}
	}
	return names, rows.Err()
}

// Backup writes a consistent copy of the database to the file path, which must
// not exist, while readers and writers go on. The copy is complete and durable
// when it returns; after an error there is no file of that name.
func (db *DB) Backup(ctx context.Context, path string) (err error) {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.calls.Done()
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("back up %s: %w", path, os.ErrExist)
	}
	part := path + ".part"
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		return db.unavailable(err)
	}
	defer func() {
		if err != nil {
			os.Remove(part)
		}
	}()
	from, err := openFile(db.file, nil)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := from.ExecContext(ctx, `vacuum into $1`, part); err != nil {
		return db.fault(err)
	}
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return db.unavailable(err)
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(part, path), syncDir(path)); err != nil {
		return db.unavailable(err)
	}
	return nil
}
