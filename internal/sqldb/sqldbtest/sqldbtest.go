// Package sqldbtest runs a store's tests on every engine, and shows that what was
// answered is on the disk.
//
// A suite that is about the engines runs on both with Each. All other tests take
// their databases from Open and Options: on SQLite, or on PostgreSQL where the
// environment has RAPPORT_TEST_ENGINE=postgres, so that
//
//	RAPPORT_TEST_ENGINE=postgres go test ./...
//
// runs every context's tests on the second engine. The server is started by the
// first test that needs one and ends with its process.
//
// Start reading at Each; then Kill and Trace.
package sqldbtest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rapport/internal/sqldb"
	"rapport/internal/sqldb/scratchpg"
)

const (
	testEngine = "RAPPORT_TEST_ENGINE"
	testServer = "RAPPORT_TEST_SERVER" // the server's folder, for processes that a test starts
)

var (
	made  atomic.Int64 // databases
	start = sync.OnceValues(func() (*scratchpg.Server, error) {
		if dir := os.Getenv(testServer); dir != "" {
			return &scratchpg.Server{Dir: dir}, nil
		}
		s, err := scratchpg.Start(false)
		if err == nil {
			err = os.Setenv(testServer, s.Dir)
		}
		return s, err
	})
)

func server(t TB) *scratchpg.Server {
	t.Helper()
	s, err := start()
	switch {
	case err == nil:
		return s
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "":
		t.Skip("PostgreSQL is not here, so nothing is tested on it: apt-get install postgresql")
	}
	t.Fatalf("PostgreSQL does not run, and CI must not skip it (apt-get install postgresql): %v", err)
	return nil
}

// OnPostgres says that Open and Options give databases on PostgreSQL.
func OnPostgres() bool {
	switch engine := os.Getenv(testEngine); engine {
	case "", "sqlite":
		return false
	case "postgres":
		return true
	default:
		panic(testEngine + " is " + engine + "; use sqlite or postgres")
	}
}

// Each runs test once per engine, as a parallel subtest named after it, with an
// empty database that is closed in the end. open gives more of the same engine.
func Each(t *testing.T, test func(t *testing.T, db *sqldb.DB, open func() *sqldb.DB)) {
	t.Helper()
	for name, open := range map[string]func(testing.TB) *sqldb.DB{
		"sqlite":   func(t testing.TB) *sqldb.DB { return open(t, options(t, false, scratch(t), "test")) },
		"postgres": func(t testing.TB) *sqldb.DB { return open(t, options(t, true, scratch(t), "test")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t), func() *sqldb.DB { return open(t) })
		})
	}
}

// Open gives an empty database, closed when the test ends.
func Open(t testing.TB) *sqldb.DB {
	t.Helper()
	return open(t, options(t, OnPostgres(), scratch(t), "test"))
}

// TB is what this package needs of a test; *rapid.T has it too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skip(args ...any)
}

func scratch(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") }

// Options say where the database of a file is, for tests that close and open it
// again: the same path and name give the same one. path's directory must be the
// test's own.
func Options(t TB, path, name string) sqldb.Options {
	t.Helper()
	return options(t, OnPostgres(), path, name)
}

func options(t TB, onPostgres bool, path, name string) sqldb.Options {
	t.Helper()
	if !onPostgres {
		return sqldb.Options{Path: path, Name: name}
	}
	h := fnv.New64a()
	fmt.Fprint(h, path)
	return sqldb.Options{DSN: server(t).DSN("test"), Name: name, Schema: fmt.Sprintf("%s_%x", name, h.Sum64())}
}

func open(t testing.TB, o sqldb.Options) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), o)
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

// DSN gives that of a new, empty database on PostgreSQL, whatever the engine of
// the other tests; more follows "create database NAME". It skips, or fails where
// CI is set, without a server.
func DSN(t testing.TB, more ...string) string {
	t.Helper()
	name := fmt.Sprintf("own_%d_%d", os.Getpid(), made.Add(1))
	Admin(t, "create database "+name+" "+strings.Join(more, " "))
	return server(t).DSN(name)
}

// DSNOf gives the DSN of the database that belongs to a directory of the test.
func DSNOf(t testing.TB, dir string) string {
	t.Helper()
	h := fnv.New64a()
	fmt.Fprint(h, dir)
	name := fmt.Sprintf("of_%x", h.Sum64())
	if err := server(t).Run("test", "create database "+name); err != nil && !strings.Contains(err.Error(), "already exists") {
		t.Fatal(err)
	}
	return server(t).DSN(name)
}

// Admin runs statements on the server as its superuser.
func Admin(t testing.TB, statements ...string) {
	t.Helper()
	if err := server(t).Run("test", statements...); err != nil {
		t.Fatal(err)
	}
}
