package sqldb

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// WriteJSON writes a table as JSON lines, one object a row with the columns in
// their order, rows by primary key. Bytes come out as base64.
func (db *DB) WriteJSON(ctx context.Context, table string, w io.Writer) error {
	out := bufio.NewWriter(w)
	err := db.Read(ctx, func(tx *Tx) error {
		cols, key, err := columns(tx, table)
		if err != nil {
			return err
		}
		if len(key) == 0 {
			key = cols
		}
		return eachRow(tx, `select `+list(cols)+` from `+quote(table)+` order by `+list(key), len(cols), func(row []any) error {
			out.WriteByte('{')
			for i, v := range row {
				if i > 0 {
					out.WriteByte(',')
				}
				value, err := json.Marshal(v)
				if err != nil {
					return fmt.Errorf("%s.%s: %w", table, cols[i], err)
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
