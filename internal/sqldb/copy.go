package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Dump gives the contents of tables as text, a row a line, ordered by primary key
// (by all columns without one): two databases with the same rows give the same
// bytes, whatever happened to them before. Without names it is all tables except
// the engine's and the versions of migrations.
func (db *DB) Dump(ctx context.Context, names ...string) ([]byte, error) {
	var out bytes.Buffer
	err := db.Read(ctx, func(tx *Tx) (err error) {
		if len(names) == 0 {
			if names, err = tx.db.engine.tables(tx); err != nil {
				return err
			}
		}
		for _, table := range names {
			if err := dumpTable(tx, &out, table); err != nil {
				return fmt.Errorf("dump %s: %w", table, err)
			}
		}
		return nil
	})
	return out.Bytes(), db.fault(err)
}

func dumpTable(tx *Tx, out *bytes.Buffer, table string) error {
	cols, key, err := tx.db.engine.columns(tx, table)
	if err != nil {
		return err
	}
	if len(key) == 0 {
		key = cols
	}
	fmt.Fprintf(out, "-- %s\n", table)
	return eachRow(tx, `select `+list(cols)+` from `+quote(table)+` order by `+list(key), len(cols), func(row []any) error {
		for i, v := range row {
			if i > 0 {
				out.WriteByte(' ')
			}
			out.WriteString(cols[i])
			out.WriteByte('=')
			switch v := v.(type) {
			case nil:
				out.WriteString("null")
			case int64:
				out.Write(strconv.AppendInt(out.AvailableBuffer(), v, 10))
			case float64:
				out.Write(strconv.AppendFloat(out.AvailableBuffer(), v, 'g', -1, 64))
			case string:
				out.Write(strconv.AppendQuote(out.AvailableBuffer(), v))
			case []byte:
				fmt.Fprintf(out, "x%x", v)
			default:
				fmt.Fprint(out, v)
			}
		}
		out.WriteByte('\n')
		return nil
	})
}

// CopyTables makes the contents of tables those that from has, in one
// transaction: readers see all of the old rows or all of the new ones. Both
// databases must have the same columns in these tables; a table that others refer
// to is named before them.
func (db *DB) CopyTables(ctx context.Context, from *DB, names []string) error {
	return from.Read(ctx, func(src *Tx) error {
		return db.Write(ctx, func(dst *Tx) error {
			for _, table := range slices.Backward(names) {
				if _, err := dst.Exec(`delete from ` + quote(table)); err != nil {
					return err
				}
			}
			for _, table := range names {
				if err := copyTable(dst, src, table); err != nil {
					return fmt.Errorf("copy %s: %w", table, err)
				}
			}
			return nil
		})
	})
}

func copyTable(dst, src *Tx, table string) error {
	cols, _, err := src.db.engine.columns(src, table)
	if err != nil {
		return err
	}
	have, _, err := dst.db.engine.columns(dst, table)
	if err != nil {
		return err
	}
	if !slices.Equal(cols, have) {
		return fmt.Errorf("columns differ: %v and %v", cols, have)
	}
	places := make([]string, len(cols))
	for i := range cols {
		places[i] = "$" + strconv.Itoa(i+1)
	}
	insert := `insert into ` + quote(table) + ` (` + list(cols) + `) values (` + strings.Join(places, ", ") + `)`
	return eachRow(src, `select `+list(cols)+` from `+quote(table), len(cols), func(row []any) error {
		_, err := dst.Exec(insert, row...)
		return err
	})
}

// eachRow gives every row of a query in a slice that is used again.
func eachRow(tx *Tx, query string, n int, f func(row []any) error, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	row, dest := make([]any, n), make([]any, n)
	for i := range row {
		dest[i] = &row[i]
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, v := range row {
			switch v := v.(type) {
			case []byte:
				if v == nil {
					row[i] = []byte{} // the driver's empty bytes; NULL is nil
				}
			case int64:
				if strings.EqualFold(types[i].DatabaseTypeName(), "boolean") {
					row[i] = v != 0 // SQLite's
				}
			}
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// keyed reads names of columns, in order, with their place in the primary key
// from 1, and 0 outside of it.
func keyed(rows *sql.Rows, table string) (all, key []string, err error) {
	byPlace := map[int]string{}
	for rows.Next() {
		var name string
		var place int
		if err := rows.Scan(&name, &place); err != nil {
			return nil, nil, err
		}
		all = append(all, name)
		if place > 0 {
			byPlace[place] = name
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

// own reads names of tables and leaves out SQLite's and goose's.
func own(rows *sql.Rows) (names []string, err error) {
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

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}
