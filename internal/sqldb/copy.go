package sqldb

import (
	"bytes"
	"context"
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
			if names, err = tables(tx); err != nil {
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
	cols, key, err := columns(tx, table)
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
// databases must have the same columns in these tables.
func (db *DB) CopyTables(ctx context.Context, from *DB, names []string) error {
	return from.Read(ctx, func(src *Tx) error {
		return db.Write(ctx, func(dst *Tx) error {
			if _, err := dst.Exec(deferForeignKeys); err != nil {
				return err
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
	cols, _, err := columns(src, table)
	if err != nil {
		return err
	}
	have, _, err := columns(dst, table)
	if err != nil {
		return err
	}
	if !slices.Equal(cols, have) {
		return fmt.Errorf("columns differ: %v and %v", cols, have)
	}
	if _, err := dst.Exec(`delete from ` + quote(table)); err != nil {
		return err
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
func eachRow(tx *Tx, query string, n int, f func(row []any) error) error {
	rows, err := tx.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	row, dest := make([]any, n), make([]any, n)
	for i := range row {
		dest[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil {
				row[i] = []byte{} // the driver's empty bytes; NULL is nil
			}
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}
