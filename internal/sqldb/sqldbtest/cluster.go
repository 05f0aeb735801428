package sqldbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// cluster is a PostgreSQL server of this process alone, on a socket in a folder
// of its own. It makes no promise to keep anything: nothing is synced.
type cluster struct {
	dir  string
	made atomic.Int64
	life io.Closer // the server ends when it is closed, as when the process dies
}

// supervise starts the server in folder $1 and ends it with the standard input,
// which the test's process holds open.
const supervise = `"$0" -D "$1/data" -k "$1" >"$1/log" 2>&1 & pid=$!
cat >/dev/null; kill -QUIT $pid; wait $pid; rm -rf "$1"`

// testServer is the folder of the server, for processes that a test starts.
const testServer = "RAPPORT_TEST_SERVER"

var start = sync.OnceValues(startCluster)

func server(t TB) *cluster {
	t.Helper()
	c, err := start()
	switch {
	case err == nil:
		return c
	case errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "":
		t.Skip("PostgreSQL is not here, so nothing is tested on it: apt-get install postgresql")
	}
	t.Fatalf("PostgreSQL does not run, and CI must not skip it (apt-get install postgresql): %v", err)
	return nil
}

// programs finds initdb and postgres, which Debian keeps out of PATH.
func programs() (initdb, postgres string, err error) {
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for i := len(installed) - 1; i >= 0; i-- {
		initdb, postgres = filepath.Join(installed[i], "initdb"), filepath.Join(installed[i], "postgres")
		if _, err = os.Stat(initdb); err == nil {
			return initdb, postgres, nil
		}
	}
	if initdb, err = exec.LookPath("initdb"); err == nil {
		postgres, err = exec.LookPath("postgres")
	}
	return initdb, postgres, err
}

func startCluster() (*cluster, error) {
	initdb, postgres, err := programs()
	if err != nil {
		return nil, err
	}
	if dir := os.Getenv(testServer); dir != "" {
		return &cluster{dir: dir}, nil
	}
	memory := "" // where there is one, a file system in memory
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		memory = "/dev/shm"
	}
	dir, err := os.MkdirTemp(memory, "rapport-pg")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	if err := c.start(initdb, postgres); err != nil {
		if c.life != nil {
			c.life.Close()
		}
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		os.RemoveAll(dir)
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return c, os.Setenv(testServer, dir)
}

const settings = `listen_addresses = ''
fsync = off
synchronous_commit = on
full_page_writes = off
autovacuum = off
max_connections = 400
shared_buffers = 64MB
max_wal_size = 4GB
checkpoint_timeout = 1h
logging_collector = off
`

// access lets a role called locked in by its password only.
const access = `local all locked scram-sha-256
local all all trust
`

func (c *cluster) start(initdb, postgres string) error {
	who, err := unprivileged(c.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(c.dir, "data")
	cmd := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "--encoding=UTF8")
	cmd.SysProcAttr, cmd.Dir = who, c.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	for name, text := range map[string]string{"postgresql.conf": settings, "pg_hba.conf": access} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	cmd = exec.Command("/bin/sh", "-c", supervise, postgres, c.dir)
	cmd.SysProcAttr, cmd.Dir = who, c.dir
	if c.life, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	until := time.Now().Add(30 * time.Second)
	for {
		err := c.run("postgres", "create database test")
		if err == nil || time.Now().After(until) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (c *cluster) dsn(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: url.Values{"host": {c.dir}}.Encode()}
	return u.String()
}

func (c *cluster) run(database string, statements ...string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.dsn(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(s), err)
		}
	}
	return nil
}
