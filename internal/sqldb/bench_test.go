package sqldb_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// Each Write is one durable insert; with 32 writers they share commits.
func BenchmarkWrite(b *testing.B) {
	for _, writers := range []int{1, 32} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := sqldbtest.Open(b)
			create(b, db, `create table item (id text primary key);`)
			var n atomic.Int64
			write := func() {
				if err := put(db, fmt.Sprintf("%09d", n.Add(1))); err != nil {
					b.Error(err)
				}
			}
			if writers == 1 {
				for b.Loop() {
					write()
				}
				return
			}
			b.SetParallelism(writers / 2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					write()
				}
			})
		})
	}
}

// One statement inside a long transaction: what the layer itself costs.
func BenchmarkStatement(b *testing.B) {
	db := sqldbtest.Open(b)
	create(b, db, `create table item (id text primary key, n bigint);`)
	b.Run("upsert", func(b *testing.B) {
		db.Write(b.Context(), func(tx *sqldb.Tx) error {
			for b.Loop() {
				if _, err := tx.Exec(`insert into item (id, n) values ($1, $2) on conflict (id) do update set n = excluded.n`, name("a"), 7); err != nil {
					return err
				}
			}
			return nil
		})
	})
	b.Run("get", func(b *testing.B) {
		db.Read(b.Context(), func(tx *sqldb.Tx) error {
			for b.Loop() {
				var n int64
				if _, err := tx.Get(`select n from item where id = $1`, []any{"a"}, &n); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func BenchmarkRead(b *testing.B) {
	db := sqldbtest.Open(b)
	create(b, db, `create table item (id text primary key);`)
	put(db, "a")
	for b.Loop() {
		db.Read(b.Context(), func(tx *sqldb.Tx) error {
			var n int
			_, err := tx.Get(`select count(*) from item`, nil, &n)
			return err
		})
	}
}

// A fresh process: seven databases with two sets of migrations each.
func BenchmarkOpenSeven(b *testing.B) {
	set := fstest.MapFS{
		"0001_a.sql": {Data: []byte("-- +goose Up\ncreate table a (id text primary key, x bigint); create index a_x on a (x); create table b (id text primary key);")},
		"0002_b.sql": {Data: []byte("-- +goose Up\ncreate table c (id text primary key);")},
	}
	other := fstest.MapFS{"0001_o.sql": {Data: []byte("-- +goose Up\ncreate table o (id text primary key, x bigint); create table p (id text primary key);")}}
	for _, state := range []string{"fresh", "again"} {
		b.Run(state, func(b *testing.B) {
			dir := b.TempDir()
			for i := 0; b.Loop(); i++ {
				if state == "fresh" {
					b.StopTimer()
					dir = b.TempDir()
					b.StartTimer()
				}
				for j := range 7 {
					db, err := sqldb.Open(context.Background(), sqldb.Options{Path: filepath.Join(dir, fmt.Sprint(j)), Name: "n"})
					if err != nil {
						b.Fatal(err)
					}
					if err := db.Migrate(b.Context(), "o", other); err != nil {
						b.Fatal(err)
					}
					if err := db.Migrate(b.Context(), "set", set); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					db.Close()
					b.StartTimer()
				}
			}
		})
	}
}

// A row of fifteen columns inside a long transaction, one by one and many at once.
func BenchmarkMany(b *testing.B) {
	for _, rows := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			db := sqldbtest.Open(b)
			create(b, db, `create table item (id text primary key, a text, b text, c text, d text, e text, f text, g text, h bigint, i bigint, j bigint, k bigint, l boolean, m boolean, n double precision);`)
			n := 0
			db.Write(b.Context(), func(tx *sqldb.Tx) error {
				args := make([]any, 0, 15*rows)
				for b.Loop() {
					args = args[:0]
					for range rows {
						n++
						id := fmt.Sprintf("%09d", n)
						args = append(args, id, id, id, id, id, id, id, id, n, n, n, n, true, false, .5)
					}
					if _, err := tx.ExecMany(`insert into item (id, a, b, c, d, e, f, g, h, i, j, k, l, m, n) values `, 15, ` on conflict do nothing`, args); err != nil {
						return err
					}
				}
				return nil
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
		})
	}
}
