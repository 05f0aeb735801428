// Package sqldb opens a context's database, migrates it and runs transactions:
// one SQL text for SQLite and PostgreSQL.
//
// Owns: drivers and goose. SQL is written in the common subset: $n placeholders,
// "on conflict … do update … excluded", returning, CTEs, window functions; types
// text, bigint, double precision, boolean, bytea; times are bigint microseconds
// UTC; JSON is text. A placeholder whose type the statement does not tell is cast,
// as in cast($1 as bigint); "order by" a column that can be null says "nulls
// first" or "nulls last".
//
// Invariants: Write returns after its effects are durable; a failed Write left
// nothing behind; a database has one writer at a time, on PostgreSQL among all
// processes; what the two engines would store differently is refused (NaN, NUL
// and broken UTF-8 in text).
//
// Start reading at DB.Write: concurrent writers of a process share one commit
// (group.go). What an engine does its own way is behind the interface engine:
// sqlite.go and postgres.go.
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

// ErrClosed is why a call failed after Close.
var ErrClosed = errors.New("closed")

// DB is one context's database. Its methods may be called from many goroutines.
type DB struct {
	name   string
	engine engine
	hook   func(op string) error
	trace  func(query string, args []any)

	queue  queue      // of writers
	writer *conn      // of who leads them; nil is opened
	idle   chan *conn // of readers
	room   chan struct{}

	mu     sync.Mutex
	calls  sync.WaitGroup
	closed bool
	dead   bool // by the hook
}

// engine is what SQLite and PostgreSQL do each in their own way.
type engine interface {
	connect(ctx context.Context, writes bool) (*conn, error)
	begin(c *conn) error    // of a writer; it is alone from here to the end
	snapshot(c *conn) error // of a reader
	commit(c *conn) error   // nil once it is durable
	outage(err error) bool  // the database cannot be used now, and the transaction is lost
	damaged(err error) bool // and waiting heals nothing
	remedy() string         // of an outage: what a person sees to

	columns(tx *Tx, table string) (all, key []string, err error) // each in order
	tables(tx *Tx) ([]string, error)                             // without the engine's own
	migrations(ctx context.Context) (*migrations, error)
	backup(ctx context.Context, path string) error
	scrub(ctx context.Context) (done bool, err error)
	close() error
}

// Options say where a database is.
type Options struct {
	Path string // SQLite file; created with mode 0600 when absent
	DSN  string // postgres://…: a PostgreSQL database instead of a file
	Name string // for messages: "chat"

	// Schema is that of PostgreSQL, made when absent; Name when empty.
	Schema string

	// Hook is a seam for crash tests. It is called before every writing statement
	// ("exec"), before every commit ("commit") and after every durable commit,
	// before anybody hears of it ("committed"). When it fails the database is as
	// if the process had died there: what is not committed is gone, and this and
	// every later call fails with ErrCrashed. Open the database again to go on.
	Hook func(op string) error

	// Trace hears every statement of a writer before it runs, for measuring.
	Trace func(query string, args []any)

	maxPages    int    // of SQLite's file, for tests of a full disk
	synchronous string // FULL when empty; less is for a test that must fail
}

// Open opens a database. A file's directory and a DSN's database must exist. Of a
// DSN: postgres_refused when it is malformed or the server does not let it in,
// wrong_collation when the database does not compare texts byte by byte,
// old_postgres below version 15, database_unavailable when the server does not
// answer. No error holds the DSN's password.
func Open(ctx context.Context, o Options) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.DSN != "" {
		return openPostgres(ctx, o)
	}
	return openSQLite(ctx, o)
}

func newDB(o Options, e engine, readers int) *DB {
	db := &DB{name: o.Name, engine: e, hook: o.Hook, trace: o.Trace, idle: make(chan *conn, readers), room: make(chan struct{}, readers)}
	for range readers {
		db.room <- struct{}{}
	}
	return db
}

// Write runs fn in a transaction and returns after it is durable. A database has
// one writer at a time, so what fn read is true until its commit; fn runs once.
// Functions waiting at the same time in a process run one after another in one
// transaction, each in a savepoint: an error undoes that function alone. fn may
// run on another goroutine, must be short and must not call Write. Errors of fn
// come back as they are; a failed commit is fault unavailable and nothing of it
// happened. A statement that failed undoes fn, whatever fn answers. When
// the disk or the connection fails under one function, all functions of its
// transaction are undone and answer fault database_unavailable. A panic of fn
// undoes it and goes on in the caller. fn is not run when ctx ends before its
// turn; once it runs, ctx does not stop it.
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
	c, err := db.reader(ctx)
	if err != nil {
		return err
	}
	tx := &Tx{db: db, conn: c, ctx: ctx, readOnly: true}
	defer db.release(c)
	defer tx.end()
	return fn(tx)
}

// reader gives a connection with a snapshot begun.
func (db *DB) reader(ctx context.Context) (c *conn, err error) {
	select {
	case c = <-db.idle:
	default:
		select {
		case c = <-db.idle:
		case <-db.room:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c != nil {
		if err = db.engine.snapshot(c); err == nil {
			return c, nil
		}
		c.close() // it was cut while it lay idle
	}
	if c, err = db.engine.connect(ctx, false); err == nil {
		if err = db.engine.snapshot(c); err == nil {
			return c, nil
		}
		c.close()
	}
	db.room <- struct{}{}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, db.fault(err)
}

// release ends a snapshot and keeps the connection for the next.
func (db *DB) release(c *conn) {
	if c.exec("rollback") != nil || !c.usable() {
		c.close()
		db.room <- struct{}{}
		return
	}
	db.idle <- c
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
	for len(db.idle) > 0 {
		(<-db.idle).close()
	}
	if db.writer != nil {
		db.writer.close()
	}
	return db.engine.close()
}

func (db *DB) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	switch {
	case db.dead:
		return ErrCrashed
	case db.closed:
		return db.unavailable(ErrClosed)
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
	if db.engine.damaged(err) {
		return fault.New(fault.Unavailable, "database_damaged",
			"The %s database is damaged or no database: stop the program and restore its directory from a backup.", db.name).Because(err)
	}
	return fault.New(fault.Unavailable, "database_unavailable",
		"The %s database cannot be used now: see that %s, then try again.", db.name, db.engine.remedy()).Because(err)
}

// outage: the disk, a lock, memory or the connection failed.
func (db *DB) outage(err error) bool {
	return err != nil && (errors.Is(err, ErrCrashed) || db.engine.outage(err))
}

// fault makes an outage unavailable; other errors stay.
func (db *DB) fault(err error) error {
	if _, is := errors.AsType[*fault.Error](err); is || !db.outage(err) {
		return err
	}
	return db.unavailable(err)
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
	outage   error     // the disk or the connection failed: the whole transaction is lost
	failure  error     // of a statement: the function is undone
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
	ctx := context.Background()
	if tx.readOnly && tx.conn.cancels {
		ctx = tx.ctx
	}
	rows, err := st.QueryContext(ctx, vals...)
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
	case tx.failure != nil:
		return nil, nil, fmt.Errorf("statement after one that failed: %w", tx.failure)
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
	if tx.db.trace != nil && !tx.readOnly {
		tx.db.trace(query, vals)
	}
	if exec || !tx.readOnly && st.writes {
		if err := tx.db.at("exec"); err != nil {
			tx.outage = err
			return nil, nil, err
		}
	}
	return st.Stmt, vals, nil
}

// failed remembers an outage, since the engine may have undone the transaction
// already and what followed would be outside of it, and any other failure, since
// PostgreSQL takes no statement after one.
func (tx *Tx) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case tx.readOnly && tx.ctx.Err() != nil:
		tx.failure = tx.ctx.Err()
	case tx.db.outage(err):
		tx.outage = tx.db.fault(err)
		return tx.outage
	default:
		tx.failure = err
	}
	return tx.failure
}

// closeRows closes the last query's rows and notices an outage among them.
func (tx *Tx) closeRows() error {
	if tx.rows == nil {
		return nil
	}
	err := errors.Join(tx.rows.Err(), tx.rows.Close())
	tx.rows = nil
	return tx.failed(err)
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
	if err = fn(tx); err == nil {
		tx.closeRows()
		err = tx.failure
	}
	return "", err
}
