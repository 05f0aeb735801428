package sqldb

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Export is a table that may leave, and the columns that may not.
type Export struct {
	Table   string
	Without []string
}

// Columns names what leaves of a table, in the order of its columns.
func (db *DB) Columns(ctx context.Context, x Export) (names []string, err error) {
	err = db.Read(ctx, func(tx *Tx) error {
		all, _, err := columns(tx, x.Table)
		names = slices.DeleteFunc(all, func(c string) bool { return slices.Contains(x.Without, c) })
		return err
	})
	return names, db.fault(err)
}

// WriteJSON writes a table as JSON lines, one object a row with the columns in
// their order, rows by primary key. Bytes come out as base64.
func (db *DB) WriteJSON(ctx context.Context, x Export, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := db.Read(ctx, func(tx *Tx) error {
		cols, key, err := columns(tx, x.Table)
		if err != nil {
			return err
		}
		if len(key) == 0 {
			key = slices.Clone(cols)
		}
		cols = slices.DeleteFunc(cols, func(c string) bool { return slices.Contains(x.Without, c) })
		return eachRow(tx, `select `+list(cols)+` from `+quote(x.Table)+` order by `+list(key), len(cols), func(row []any) error {
			out.WriteByte('{')
			for i, v := range row {
				if i > 0 {
					out.WriteByte(',')
				}
				value, err := json.Marshal(v)
				if err != nil {
					return fmt.Errorf("%s.%s: %w", x.Table, cols[i], err)
				}
				name, _ := json.Marshal(cols[i])
				out.Write(name)
				out.WriteByte(':')
				out.Write(value)
			}
			_, err := out.WriteString("}\n")
			return err
		})
	})
	if err != nil {
		return db.fault(err)
	}
	return out.Flush()
}
