// Package sqldb opens a context's database, migrates it and runs transactions:
// one SQL text for SQLite and PostgreSQL.
//
// Owns: drivers and goose. SQL is written in the common subset: $n placeholders
// each used in order, "on conflict … do update … excluded", returning, CTEs,
// window functions; types text, bigint, double precision, boolean, bytea; times
// are bigint microseconds UTC; JSON is text.
//
// Invariants: Write returns after its effects are durable (write-ahead log,
// synchronous=FULL); a failed Write left nothing behind; what the two engines
// would store differently is refused (NaN, NUL and broken UTF-8 in text).
//
// Start reading at DB.Write: on SQLite concurrent writers share one commit
// (group.go). Everything that is SQLite's alone is in sqlite.go.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"rapport/internal/fault"
)

// ErrCrashed is the answer to every call after Options.Hook failed.
var ErrCrashed = errors.New("database crashed by its test hook")

// DB is one context's database. Its methods may be called from many goroutines.
type DB struct {
	name string
	file string
	hook func(op string) error

	write   *sql.DB
	writer  *conn
	queue   queue // of writers
	read    *sql.DB
	readers chan *conn // a nil one is opened by who takes it

	mu     sync.Mutex
	calls  sync.WaitGroup
	closed bool
	dead   bool // by the hook
}

// Options say where a database is.
type Options struct {
	Path string // SQLite file; created with mode 0600 when absent
	Name string // for messages: "chat"

	// Hook is a seam for crash tests. It is called before every writing statement
	// ("exec"), before every commit ("commit") and after every durable commit,
	// before anybody hears of it ("committed"). When it fails the database is as
	// if the process had died there: what is not committed is gone, and this and
	// every later call fails with ErrCrashed. Open the file again to go on.
	Hook func(op string) error

	maxPages    int    // of SQLite's file, for tests of a full disk
	synchronous string // FULL when empty; less is for a test that must fail
}

// Open opens a database. The directory must exist.
func Open(ctx context.Context, o Options) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return openSQLite(o)
}

// Write runs fn in a transaction and returns after it is durable. On SQLite
// functions waiting at the same time run one after another in one transaction,
// each in a savepoint: an error undoes that function alone. fn may run on another
// goroutine, must be short and must not call Write. Errors of fn come back as
// they are; a failed commit is fault unavailable and nothing of it happened. When
// the disk fails under one function, all functions of its transaction are undone
// and answer fault database_unavailable. A panic of fn undoes it and goes on in
// the caller. fn is not run when ctx ends before its turn; once it runs, ctx does
// not stop it.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.enter(); err != nil {
		return err
	}
	defer db.calls.Done()
	return db.join(ctx, fn)
}

// Read runs fn in a read-only snapshot, taken at its first statement. Many run at
// once, beside a writer.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.calls.Done()
	var c *conn
	select {
	case c = <-db.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { db.readers <- c }()
	if c == nil {
		var err error
		if c, err = connect(db.read); err != nil {
			return db.fault(err)
		}
	}
	if err := c.exec("begin"); err != nil {
		return db.fault(err)
	}
	tx := &Tx{db: db, conn: c, ctx: ctx, readOnly: true}
	defer c.exec("rollback")
	defer tx.end()
	return fn(tx)
}

// Close waits for running calls and closes. Later calls fail with fault
// database_unavailable. Closing twice is harmless.
func (db *DB) Close() error {
	db.mu.Lock()
	again := db.closed
	db.closed = true
	db.mu.Unlock()
	db.calls.Wait()
	if again {
		return nil
	}
	for range cap(db.readers) {
		if c := <-db.readers; c != nil {
			c.close()
		}
	}
	db.writer.close()
	return errors.Join(db.read.Close(), db.write.Close())
}

func (db *DB) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	switch {
	case db.dead:
		return ErrCrashed
	case db.closed:
		return db.unavailable(errors.New("closed"))
	}
	db.calls.Add(1)
	return nil
}

// at calls the hook, and is the database's death when it fails.
func (db *DB) at(op string) error {
	if db.hook == nil {
		return nil
	}
	if err := db.hook(op); err != nil {
		db.mu.Lock()
		db.dead = true
		db.mu.Unlock()
		return ErrCrashed
	}
	return nil
}

func (db *DB) unavailable(err error) error {
	if damaged(err) {
		return fault.New(fault.Unavailable, "database_damaged",
			"The %s database is damaged or no database: stop the program and restore its directory from a backup.", db.name).Because(err)
	}
	return fault.New(fault.Unavailable, "database_unavailable",
		"The %s database cannot be used now: see that its disk has space and is writable, then try again.", db.name).Because(err)
}

// fault makes what the disk or a lock refused unavailable; other errors stay.
func (db *DB) fault(err error) error {
	if err != nil && outage(err) && fault.KindOf(err) != fault.Unavailable {
		return db.unavailable(err)
	}
	return err
}

// Tx is a transaction, used by one goroutine while its function runs. Statements
// are prepared once and kept. Placeholders that name a type alias of string or
// int64 work as they are.
//
// Arguments are strings, integers, floats, booleans, []byte, types made of these,
// pointers to them (nil is NULL) and nil. A nil []byte is an empty one. Refused
// with a fault of kind invalid: NaN (not_a_number), NUL in text (nul_in_text) and
// text that is not UTF-8 (not_utf8), which the engines would treat differently.
type Tx struct {
	db       *DB
	conn     *conn
	ctx      context.Context
	readOnly bool
	rows     *sql.Rows // of the last Query
	outage   error     // the disk failed: the whole transaction is lost
	ended    bool
	onCommit []func()
}

// Exec runs a statement and gives the number of rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if tx.readOnly {
		return 0, errors.New("Exec inside Read: use Write")
	}
	st, vals, err := tx.prepare(query, args, true)
	if err != nil {
		return 0, err
	}
	// Not tx.ctx: SQLite would answer an interrupt by undoing the whole group.
	res, err := st.ExecContext(context.Background(), vals...)
	if err != nil {
		return 0, tx.failed(err)
	}
	return res.RowsAffected()
}

// Query runs a query; the caller closes the rows before the next statement.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	st, vals, err := tx.prepare(query, args, false)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(context.Background(), vals...)
	if err != nil {
		return nil, tx.failed(err)
	}
	tx.rows = rows
	return rows, nil
}

// Get reads the first row into dest; false when there is none.
func (tx *Tx) Get(query string, args []any, dest ...any) (bool, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return false, tx.failed(rows.Err())
	}
	if err := rows.Scan(dest...); err != nil {
		return false, err
	}
	return true, tx.failed(rows.Close())
}

// OnCommit calls f once the transaction is durable, before Write returns; not at
// all otherwise. The functions run in the order of the transactions, so f must be
// short and must not call Write.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

// Context is the transaction's context.
func (tx *Tx) Context() context.Context { return tx.ctx }

// prepare refuses what cannot run now and gives the kept statement.
func (tx *Tx) prepare(query string, args []any, exec bool) (*sql.Stmt, []any, error) {
	switch {
	case tx.ended:
		return nil, nil, errors.New("statement after the transaction's end")
	case tx.outage != nil:
		return nil, nil, tx.outage
	}
	if tx.readOnly {
		if err := tx.ctx.Err(); err != nil {
			return nil, nil, err
		}
	}
	if tx.rows != nil {
		if _, err := tx.rows.Columns(); err == nil {
			return nil, nil, errors.New("statement while rows are open: close them first")
		}
		if err := tx.closeRows(); err != nil {
			return nil, nil, err
		}
	}
	vals, err := tx.conn.values(args)
	if err != nil {
		return nil, nil, err
	}
	st, err := tx.conn.prepare(query)
	if err != nil {
		return nil, nil, tx.failed(err)
	}
	if exec || !tx.readOnly && st.writes {
		if err := tx.db.at("exec"); err != nil {
			tx.outage = err
			return nil, nil, err
		}
	}
	return st.Stmt, vals, nil
}

// failed remembers an outage: the engine may have undone the transaction already,
// and what followed would be outside of it.
func (tx *Tx) failed(err error) error {
	if err == nil {
		return nil
	}
	if outage(err) {
		tx.outage = tx.db.fault(err)
		return tx.outage
	}
	return err
}

// closeRows closes the last query's rows and notices an outage among them.
func (tx *Tx) closeRows() error {
	if tx.rows == nil {
		return nil
	}
	err := errors.Join(tx.rows.Err(), tx.rows.Close())
	tx.rows = nil
	if outage(err) {
		return tx.failed(err)
	}
	return nil
}

// end closes what the function left open.
func (tx *Tx) end() {
	tx.closeRows()
	tx.ended = true
}

// run calls fn; a panic comes back as text with its stack.
func (tx *Tx) run(fn func(*Tx) error) (panicked string, err error) {
	defer func() {
		tx.end()
		if r := recover(); r != nil {
			panicked = fmt.Sprintf("%v, in a transaction of %s\n\n%s", r, tx.db.name, debug.Stack())
		}
	}()
	return "", fn(tx)
}
