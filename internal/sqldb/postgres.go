package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"rapport/internal/fault"
)

// postgresSchema is one schema of a PostgreSQL database.
//
// A writer holds an advisory lock from its first statement to its end, so that
// a schema has one writer among all processes, as a SQLite file has. The contexts
// read, decide and write in one transaction; beside other writers that would be
// sound under "serializable" alone, which breaks off and runs functions again,
// and whatever counts max(n) on breaks off most. The lock is taken by a statement
// of its own under "read committed": what follows sees all that was committed
// before, where a snapshot taken while waiting would be old.
type postgresSchema struct {
	name, schema string
	config       *pgx.ConnConfig
	conns        *sql.DB
	began        string // the statements that begin a writer
	xid          string // of the writer that runs
}

const (
	pgReaders  = 4 // connections of a context that read, at most
	pgOldest   = 15
	pgConnect  = 10 * time.Second
	pgLockWait = "30s" // for another process's writer
	pgIdle     = "60s" // a writer that stands still so long is broken off by the server
)

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	config, err := pgx.ParseConfig(o.DSN)
	if err != nil || !strings.HasPrefix(o.DSN, "postgres://") && !strings.HasPrefix(o.DSN, "postgresql://") {
		// Not with err: it repeats the text, which may hold a password.
		return nil, fault.New(fault.Invalid, "postgres_refused", "The setting postgres cannot be read; write postgres://USER:PASSWORD@HOST:PORT/DATABASE.")
	}
	p := &postgresSchema{name: o.Name, schema: o.Schema, config: config}
	if p.schema == "" {
		p.schema = o.Name
	}
	p.began = fmt.Sprintf(`begin isolation level read committed read write; select pg_advisory_xact_lock(%d), pg_current_xact_id()::text`, p.key("write"))
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = pgConnect
	}
	for k, v := range map[string]string{
		"search_path":                         quote(p.schema),
		"client_encoding":                     "UTF8",
		"lock_timeout":                        pgLockWait,
		"idle_in_transaction_session_timeout": pgIdle,
		"application_name":                    "rapport " + p.schema,
	} {
		config.RuntimeParams[k] = v
	}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	p.conns = stdlib.OpenDB(*config)
	p.conns.SetMaxIdleConns(-1) // conn holds one as long as it is wanted
	return newDB(o, p, pgReaders), nil
}

// prepare looks at the database and makes the schema.
func (p *postgresSchema) prepare(ctx context.Context) error {
	c, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return p.refused(ctx, err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	var version int
	var encoding, collation, provider, durable, usable string
	if err := c.QueryRow(ctx, `select current_setting('server_version_num')::int / 10000, current_setting('server_encoding'), datcollate,
		coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), current_setting('synchronous_commit'),
		coalesce((select has_schema_privilege(oid, 'usage')::text from pg_namespace where nspname = $1), 'absent')
		from pg_database d where datname = current_database()`, p.schema).Scan(&version, &encoding, &collation, &provider, &durable, &usable); err != nil {
		return p.refused(ctx, err)
	}
	if version < pgOldest {
		return fault.New(fault.Invalid, "old_postgres", "The server of the setting postgres has version %d; use PostgreSQL %d or newer.", version, pgOldest)
	}
	byteOrder := slices.Contains([]string{"C", "POSIX", "C.UTF-8", "C.utf8"}, collation)
	if encoding != "UTF8" || !byteOrder || provider == "i" {
		return fault.New(fault.Invalid, "wrong_collation",
			"The database of the setting postgres has the encoding %s and the collation %s, and texts must be UTF-8 compared byte by byte: make another with createdb --template=template0 --encoding=UTF8 --locale=C NAME.",
			encoding, collation)
	}
	if durable == "off" {
		p.config.RuntimeParams["synchronous_commit"] = "on" // what is answered is on the disk
	}
	if usable == "true" {
		return nil
	}
	if usable == "false" {
		return p.refusal("", nil)
	}
	// Two programs that start at once would both make it.
	_, err = c.Exec(ctx, fmt.Sprintf(`begin; select pg_advisory_xact_lock(%d); create schema if not exists %s; commit`, p.key("schema"), quote(p.schema)))
	return p.refused(ctx, err)
}

// key is the advisory lock of this schema for a purpose.
func (p *postgresSchema) key(purpose string) int64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "rapport %s of %s", purpose, p.schema)
	return int64(h.Sum64())
}

// refused is an error of opening or migrating: of the setting when the server
// does not let it in, of the server otherwise.
func (p *postgresSchema) refused(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(e.Code, "28"):
			return p.refusal(fmt.Sprintf("the server does not let the user %q in", p.config.User), err)
		case e.Code == "3D000":
			return p.refusal(fmt.Sprintf("the server has no database %q; make it with createdb --template=template0 --encoding=UTF8 --locale=C", p.config.Database), err)
		case e.Code == "42501":
			return p.refusal("", err)
		}
	}
	if p.outage(err) {
		return fault.New(fault.Unavailable, "database_unavailable", "The %s database cannot be used now: see that %s, then try again.", p.name, p.remedy()).Because(err)
	}
	return err
}

// refusal of the setting for a reason, which is missing rights when empty.
func (p *postgresSchema) refusal(why string, err error) error {
	if why == "" {
		why = fmt.Sprintf("the user %q may not make or use the schema %q; let them own it", p.config.User, p.schema)
	}
	return fault.New(fault.Invalid, "postgres_refused", "The setting postgres is refused: %s.", why).Because(err)
}

func (p *postgresSchema) connect(ctx context.Context, _ bool) (*conn, error) {
	c, err := p.conns.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, stmts: map[string]*stmt{}, cancels: true, idle: func() (idle bool) {
		c.Raw(func(dc any) error {
			pc := dc.(*stdlib.Conn).Conn().PgConn()
			idle = !pc.IsClosed() && pc.TxStatus() == 'I'
			return nil
		})
		return idle
	}}, nil
}

// simple sends statements in one message and gives the last one's result.
func simple(c *conn, statements string) (last *pgconn.Result, err error) {
	err = c.Raw(func(dc any) error {
		results, err := dc.(*stdlib.Conn).Conn().PgConn().Exec(context.Background(), statements).ReadAll()
		if err == nil {
			last = results[len(results)-1]
		}
		return err
	})
	return last, err
}

func (p *postgresSchema) begin(c *conn) error {
	r, err := simple(c, p.began)
	if err == nil {
		p.xid = string(r.Rows[0][1])
	}
	return err
}

func (p *postgresSchema) snapshot(c *conn) error {
	_, err := simple(c, `begin isolation level repeatable read read only`)
	return err
}

// commit asks the server what became of a transaction whose answer was lost.
func (p *postgresSchema) commit(c *conn) error {
	r, err := simple(c, `commit`)
	if err == nil && r.CommandTag.String() != "COMMIT" {
		return driver.ErrBadConn // the server had broken it off
	}
	if err == nil || !p.outage(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pgConnect)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		if status, asked := p.fate(ctx); asked == nil && status == "committed" {
			return nil
		} else if asked == nil && status != "in progress" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody can say whether transaction %s was committed: %w", p.xid, err)
		case <-time.After(wait):
		}
	}
}

// fate of the last writer's transaction: committed, aborted or in progress.
func (p *postgresSchema) fate(ctx context.Context) (status string, err error) {
	c, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return "", err
	}
	defer c.Close(context.WithoutCancel(ctx))
	err = c.QueryRow(ctx, `select coalesce(pg_xact_status($1::text::xid8), 'aborted')`, p.xid).Scan(&status)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "22023" {
		return "aborted", nil // a number that the restarted server has not given out
	}
	return status, err
}

func (p *postgresSchema) remedy() string {
	return "the server of the setting postgres runs, can be reached and has room"
}

func (p *postgresSchema) outage(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code[:2] {
		case "08", "28", "3D", "40", "53", "55", "57", "58", "F0", "XX":
			return true
		}
		switch e.Code {
		case "25006", "25P03", "26000", "42501": // a standby, stood still, statements forgotten, rights taken away
			return true
		case "0A000": // tables changed under a statement that was prepared
			return strings.Contains(e.Message, "cached plan")
		}
		return false
	}
	for _, lost := range []error{driver.ErrBadConn, sql.ErrConnDone, pgconn.ErrConnClosed, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, lost) {
			return true
		}
	}
	_, network := errors.AsType[net.Error](err)
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return network || connecting || pgconn.Timeout(err)
}

func (p *postgresSchema) damaged(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "XX001" || e.Code == "XX002")
}

func (p *postgresSchema) columns(tx *Tx, table string) (all, key []string, err error) {
	rows, err := tx.Query(`select a.attname::text, coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::bigint
		from pg_attribute a join pg_class c on c.oid = a.attrelid left join pg_index i on i.indrelid = c.oid and i.indisprimary
		where c.relnamespace = current_schema()::regnamespace and c.relname = $1 and a.attnum > 0 and not a.attisdropped order by a.attnum`, table)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	return keyed(rows, table)
}

func (p *postgresSchema) tables(tx *Tx) (names []string, err error) {
	rows, err := tx.Query(`select tablename::text from pg_tables where schemaname = current_schema() order by tablename`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return own(rows)
}

func (p *postgresSchema) migrations(ctx context.Context) (*migrations, error) {
	config := p.config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	delete(config.RuntimeParams, "idle_in_transaction_session_timeout")
	delete(config.RuntimeParams, "lock_timeout")
	conns := stdlib.OpenDB(*config)
	alone, err := conns.Conn(ctx)
	if err == nil {
		_, err = alone.ExecContext(ctx, `select pg_advisory_lock($1)`, p.key("migrate"))
	}
	if err != nil {
		conns.Close()
		return nil, p.refused(ctx, err)
	}
	return &migrations{goose.DialectPostgres, conns, ".sqlite.sql",
		func(err error) error { return p.refused(ctx, err) },
		func() { alone.Close(); conns.Close() }}, nil
}

func (p *postgresSchema) scrub(context.Context) (bool, error) { return true, nil }

func (p *postgresSchema) backup(context.Context, string) error {
	return fault.New(fault.Invalid, "backup_elsewhere",
		"The %s database is on PostgreSQL, which has a tool of its own: run pg_dump --format=custom on the database of the setting postgres.", p.name)
}

func (p *postgresSchema) close() error { return p.conns.Close() }
