package sqldb

import (
	"database/sql"
	"strconv"
	"strings"
	"sync"
)

// manyRows are the numbers of rows that one statement takes, so that few
// different ones are prepared; manyPlaces bounds what they hold together.
var manyRows = [...]int{64, 16, 4, 1}

const manyPlaces = 512

// ExecMany runs a statement for many rows: before, the places of as many rows of
// so many columns as fit, after; again until args are used up. It gives the number
// of rows changed. Rows of one statement must not touch the same row twice when
// after says "do update".
//
//	tx.ExecMany(`insert into t (a, b) values `, 2, ` on conflict do nothing`, args)
func (tx *Tx) ExecMany(before string, columns int, after string, args []any) (changed int64, err error) {
	err = many(before, columns, after, args, func(query string, args []any) error {
		n, err := tx.Exec(query, args...)
		changed += n
		return err
	})
	return changed, err
}

// QueryMany is ExecMany of a query whose rows each is called for, in the order of
// the statements. Without columns the places are a plain list:
//
//	tx.QueryMany(`select a, b from t where a in (`, 0, `)`, keys, func(rows *sql.Rows) error { return rows.Scan(&a, &b) })
//
// each must not run a statement.
func (tx *Tx) QueryMany(before string, columns int, after string, args []any, each func(*sql.Rows) error) error {
	return many(before, columns, after, args, func(query string, args []any) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := each(rows); err != nil {
				rows.Close()
				return err
			}
		}
		return tx.closeRows()
	})
}

func many(before string, columns int, after string, args []any, run func(query string, args []any) error) error {
	wide := max(1, columns)
	for _, n := range manyRows {
		if n > 1 && n*wide > manyPlaces {
			continue
		}
		for len(args) >= n*wide {
			if err := run(before+places(n, columns)+after, args[:n*wide]); err != nil {
				return err
			}
			args = args[n*wide:]
		}
	}
	return nil
}

var placed sync.Map // places by rows and columns

// places are ($1, $2), ($3, $4), …; without columns $1, $2, ….
func places(rows, columns int) string {
	key := [2]int{rows, columns}
	if s, ok := placed.Load(key); ok {
		return s.(string)
	}
	var b strings.Builder
	n := 0
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		for j := range max(1, columns) {
			switch {
			case j > 0:
				b.WriteString(", ")
			case columns > 0:
				b.WriteByte('(')
			}
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
		}
		if columns > 0 {
			b.WriteByte(')')
		}
	}
	placed.Store(key, b.String())
	return b.String()
}
