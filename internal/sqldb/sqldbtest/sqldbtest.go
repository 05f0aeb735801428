// Package sqldbtest runs a store's tests on every engine, and shows that what was
// answered is on the disk.
//
// Start reading at Each; then Kill and Trace.
package sqldbtest

import (
	"path/filepath"
	"testing"

	"rapport/internal/sqldb"
)

// Each runs test once per engine, as a parallel subtest named after it, with an
// empty database that is closed in the end.
func Each(t *testing.T, test func(t *testing.T, db *sqldb.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, Open(t))
	})
}

// Open gives an empty database on the default engine, closed when the test ends.
func Open(t testing.TB) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Options{Path: filepath.Join(t.TempDir(), "test.db"), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
