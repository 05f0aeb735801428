// Package sqldb opens a context's database, migrates it and runs transactions:
// one SQL text for SQLite and PostgreSQL.
//
// Owns: drivers and goose. SQL is written in the common subset: $n placeholders
// each used in order, "on conflict … do update … excluded", returning, CTEs,
// window functions; types text, bigint, double precision, boolean, bytea; times
// are bigint microseconds UTC; JSON is text.
//
// Start reading at DB.Write: on SQLite concurrent writers share one commit.
package sqldb

import (
	"context"
	"database/sql"
	"io/fs"
)

// DB is one context's database.
type DB struct{ impl }

type impl struct{}

// Options say where a database is.
type Options struct {
	Path string // SQLite file; created with mode 0600 when absent
	Name string // for messages: "chat"
}

// Open opens a database. The directory must exist.
func Open(ctx context.Context, o Options) (*DB, error) { panic("todo") }

// Migrate brings the schema to the newest version of the goose migrations in
// fsys (files NNNN_name.sql), tracked in a version table of its own per set, so
// that relay's tables and the context's live side by side. Refuses with fault
// newer_schema when the database was made by a newer program.
func (db *DB) Migrate(ctx context.Context, set string, fsys fs.FS) error { panic("todo") }

// Write runs fn in a transaction and returns after it is durable. On SQLite
// functions waiting at the same time run one after another in one transaction,
// each in a savepoint: an error undoes that function alone. fn may run on another
// goroutine, must be short and must not call Write. Errors of fn come back as
// they are; a failed commit is fault unavailable and nothing of it happened.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error { panic("todo") }

// Read runs fn in a read-only snapshot. Many run at once, beside a writer.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error { panic("todo") }

// Close waits for writers and closes.
func (db *DB) Close() error { panic("todo") }

// Tx is a transaction. Statements are prepared once and kept. Placeholders
// that name a type alias of string or int64 work as they are.
type Tx struct{ txImpl }

type txImpl struct{}

// Exec runs a statement and gives the number of rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) { panic("todo") }

// Query runs a query; the caller closes the rows before the next statement.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) { panic("todo") }

// Get reads the first row into dest; false when there is none.
func (tx *Tx) Get(query string, args []any, dest ...any) (bool, error) { panic("todo") }

// OnCommit calls f once the transaction is durable; not at all otherwise.
func (tx *Tx) OnCommit(f func()) { panic("todo") }

// Context is the transaction's context.
func (tx *Tx) Context() context.Context { panic("todo") }
