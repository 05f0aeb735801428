package sqldb_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rapport/internal/sqldb"
)

// TestScrub: what was deleted, replaced or was too long for a page is in no file
// afterwards; a long reader delays that, and is told of.
func TestScrub(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), sqldb.Options{Path: filepath.Join(dir, "x.db"), Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	write := func(query string, args ...any) {
		t.Helper()
		if err := db.Write(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
			t.Fatal(err)
		}
	}
	write(`create table words (id bigint primary key, text text not null)`)
	for i := range 300 { // so that pages are split and joined
		write(`insert into words (id, text) values ($1, $2)`, i, strings.Repeat("secret ", 1+i*i%400))
	}
	write(`insert into words (id, text) values (1000, $1)`, strings.Repeat("secret ", 5000))
	write(`update words set text = 'plain' where id % 3 = 0`)
	write(`delete from words where id % 3 <> 0`)
	in := func() (files []string) {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("secret")) {
				files = append(files, f.Name())
			}
		}
		return files
	}
	if len(in()) == 0 {
		t.Fatal("nothing is there before: this test would show nothing")
	}
	err = db.Read(context.Background(), func(tx *sqldb.Tx) error {
		var n int
		if _, err := tx.Get(`select count(*) from words`, nil, &n); err != nil {
			return err
		}
		write(`insert into words (id, text) values (2000, 'more')`)
		if done, err := db.Scrub(t.Context()); done || err != nil {
			t.Errorf("with a reader: %v %v", done, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if done, err := db.Scrub(t.Context()); !done || err != nil {
		t.Errorf("%v %v", done, err)
	}
	if files := in(); len(files) > 0 {
		t.Errorf("still in %v", files)
	}
}
