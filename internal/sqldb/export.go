package sqldb

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"rapport/internal/fault"
)

// Export is a table that may leave, and the columns that may not.
type Export struct {
	Table   string
	Without []string
}

// Share is what of a table belongs to one person: the rows for which Where holds of
// them, who is $1. Says tells people what it is.
type Share struct {
	Export
	Where, Says string
}

// Backup writes a consistent copy of the database to the file path, which must
// not exist, while readers and writers go on. The copy is complete and durable
// when it returns; after an error there is no file of that name. PostgreSQL has a
// tool of its own for this: fault backup_elsewhere.
func (db *DB) Backup(ctx context.Context, path string) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.calls.Done()
	err := db.engine.backup(ctx, path)
	if err == nil || errors.Is(err, os.ErrExist) || fault.KindOf(err) == fault.Invalid {
		return err
	}
	return db.unavailable(err)
}

// Scrub takes what was deleted or replaced out of the database's files: SQLite
// overwrites it when it goes, and this empties the write-ahead log, which still has
// it. false: a long reader is in the way; try again later. On PostgreSQL it is the
// server's matter (VACUUM, archives, replicas) and this does nothing.
func (db *DB) Scrub(ctx context.Context) (done bool, err error) {
	if err := db.enter(); err != nil {
		return false, err
	}
	defer db.calls.Done()
	done, err = db.engine.scrub(ctx)
	return done, db.fault(err)
}

// Tables names all tables except the engine's and the versions of migrations.
func (db *DB) Tables(ctx context.Context) (names []string, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		names, err = tx.db.engine.tables(tx)
		return err
	})
	return names, db.fault(err)
}

// Columns names what leaves of a table, in the order of its columns.
func (db *DB) Columns(ctx context.Context, x Export) (names []string, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		all, _, err := tx.db.engine.columns(tx, x.Table)
		names = slices.DeleteFunc(all, func(c string) bool { return slices.Contains(x.Without, c) })
		return err
	})
	return names, db.fault(err)
}

// WriteJSON writes a table as JSON lines, one object a row with the columns in
// their order, rows by primary key. Bytes come out as base64.
func (db *DB) WriteJSON(ctx context.Context, x Export, w io.Writer) error {
	out := bufio.NewWriter(w)
	if err := db.eachObject(ctx, Share{Export: x}, func(object []byte) error {
		out.Write(object)
		return out.WriteByte('\n')
	}); err != nil {
		return err
	}
	return out.Flush()
}

// EachOf gives a person's rows of a table as WriteJSON would write them, without the
// line's end. The bytes are used again after f.
func (db *DB) EachOf(ctx context.Context, x Share, person string, f func(object []byte) error) error {
	return db.eachObject(ctx, x, f, person)
}

func (db *DB) eachObject(ctx context.Context, x Share, f func(object []byte) error, args ...any) error {
	err := db.Read(ctx, func(tx *Tx) error {
		cols, key, err := tx.db.engine.columns(tx, x.Table)
		if err != nil {
			return err
		}
		if len(key) == 0 {
			key = slices.Clone(cols)
		}
		cols = slices.DeleteFunc(cols, func(c string) bool { return slices.Contains(x.Without, c) })
		query := `select ` + list(cols) + ` from ` + quote(x.Table)
		if x.Where != "" {
			query += ` where ` + x.Where
		}
		var out []byte
		return eachRow(tx, query+` order by `+list(key), len(cols), func(row []any) error {
			out = append(out[:0], '{')
			for i, v := range row {
				if i > 0 {
					out = append(out, ',')
				}
				value, err := json.Marshal(v)
				if err != nil {
					return fmt.Errorf("%s.%s: %w", x.Table, cols[i], err)
				}
				name, _ := json.Marshal(cols[i])
				out = append(append(append(out, name...), ':'), value...)
			}
			return f(append(out, '}'))
		}, args...)
	})
	return db.fault(err)
}
