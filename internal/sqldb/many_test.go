package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// Numbers of rows around those that one statement takes.
var crowds = []int{0, 1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 150}

func TestExecManyPutsEveryRowOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, _ func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key, n bigint not null, x double precision, yes boolean not null, raw bytea not null);`)
		for _, rows := range crowds {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				if _, err := tx.Exec(`delete from item`); err != nil {
					return err
				}
				var args []any
				for i := range rows {
					var x *float64
					if i%2 == 0 {
						x = new(float64)
						*x = float64(i) / 2
					}
					args = append(args, name(fmt.Sprintf("%04d", i)), count(i), x, i%3 == 0, []byte{byte(i)})
				}
				for again, want := range []int64{int64(rows), 0} { // the second time all are there
					n, err := tx.ExecMany(`insert into item (id, n, x, yes, raw) values `, 5, ` on conflict do nothing`, args)
					if err != nil || n != want {
						return fmt.Errorf("%d rows, time %d: changed %d, want %d: %w", rows, again, n, want, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var n, sum, xs, yes int
			var most float64
			if err := db.Read(t.Context(), func(tx *sqldb.Tx) error {
				_, err := tx.Get(`select count(*), coalesce(sum(n), 0), count(x), coalesce(max(x), -1), coalesce(sum(case when yes then 1 else 0 end), 0) from item`, nil, &n, &sum, &xs, &most, &yes)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			wantMost := -1.
			if rows > 0 {
				wantMost = float64((rows-1)/2*2) / 2
			}
			if got, want := []any{n, sum, xs, most, yes}, []any{rows, rows * (rows - 1) / 2, (rows + 1) / 2, wantMost, (rows + 2) / 3}; !cmp.Equal(got, want) {
				t.Errorf("%d rows: %v, want %v", rows, got, want)
			}
		}
	})
}

func TestQueryManyFindsEveryKey(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, _ func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key, n bigint not null);`)
		if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			var args []any
			for i := range 200 {
				args = append(args, fmt.Sprintf("%04d", i), i)
			}
			_, err := tx.ExecMany(`insert into item (id, n) values `, 2, ``, args)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		look := func(tx *sqldb.Tx) error {
			for _, n := range crowds {
				var keys []any
				want := map[string]int{}
				for i := range n {
					id := fmt.Sprintf("%04d", 3*i) // those from 200 on are not there
					if keys = append(keys, name(id)); 3*i < 200 {
						want[id] = 3 * i
					}
				}
				got := map[string]int{}
				err := tx.QueryMany(`select id, n from item where id in (`, 0, `)`, keys, func(rows *sql.Rows) error {
					var id string
					var n int
					err := rows.Scan(&id, &n)
					if _, twice := got[id]; twice {
						return fmt.Errorf("%s twice", id)
					}
					got[id] = n
					return err
				})
				if err != nil {
					return err
				}
				if d := cmp.Diff(want, got); d != "" {
					return fmt.Errorf("%d keys: %s", n, d)
				}
			}
			return nil
		}
		if err := db.Read(t.Context(), look); err != nil {
			t.Error("reading:", err)
		}
		if err := db.Write(t.Context(), look); err != nil {
			t.Error("writing:", err)
		}
	})
}

// What goes wrong in a row undoes all of them, and what each answers comes back.
func TestManyIsOneFunctionsPart(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB, _ func() *sqldb.DB) {
		create(t, db, `create table item (id text primary key);`)
		args := []any{}
		for i := range 100 {
			args = append(args, fmt.Sprint(i%99)) // the last is the first again
		}
		err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.ExecMany(`insert into item (id) values `, 1, ``, args)
			return err
		})
		if err == nil || len(ids(t, db)) != 0 {
			t.Errorf("%v, %d rows stayed", err, len(ids(t, db)))
		}
		if err := put(db, "a"); err != nil {
			t.Fatal(err)
		}
		mine := errors.New("mine")
		err = db.Read(context.Background(), func(tx *sqldb.Tx) error {
			err := tx.QueryMany(`select id from item where id in (`, 0, `)`, []any{"a"}, func(*sql.Rows) error { return mine })
			if _, after := tx.Get(`select 1`, nil, new(int)); after != nil {
				t.Error("rows stayed open:", after)
			}
			return err
		})
		if !errors.Is(err, mine) {
			t.Error(err)
		}
	})
}
