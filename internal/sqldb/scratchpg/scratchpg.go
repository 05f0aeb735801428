// Package scratchpg starts a PostgreSQL server that ends with its process, on a
// socket in a folder of its own: for tests and measuring.
//
// Start reading at Start.
package scratchpg

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a running one. Its superuser is called postgres, and anybody on this
// machine who can reach the folder is let in, but for a role called locked, which
// needs its password.
type Server struct {
	Dir  string
	life io.Closer // the server ends when it is closed, as when the process dies
}

// supervise starts the server in folder $1 with the settings in the rest, and ends
// it with the standard input, which the process that started it holds open.
const supervise = `server=$0 dir=$1; shift
"$server" -D "$dir/data" -k "$dir" "$@" >"$dir/log" 2>&1 & pid=$!
cat >/dev/null; kill -QUIT $pid; wait $pid; rm -rf "$dir"`

// access is pg_hba.conf.
const access = `local all locked scram-sha-256
local all all trust
`

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

// Start makes an empty server in UTF-8 with texts in byte order. It is
// exec.ErrNotFound where PostgreSQL is not installed. A server that is not
// durable syncs nothing and lies in memory where it can.
func Start(durable bool) (*Server, error) {
	initdb, postgres, err := programs()
	if err != nil {
		return nil, err
	}
	memory := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() && !durable {
		memory = "/dev/shm"
	}
	dir, err := os.MkdirTemp(memory, "rapport-pg")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir}
	if err := s.start(initdb, postgres, durable); err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		s.Stop()
		os.RemoveAll(dir)
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return s, nil
}

// Stop ends the server; its folder is gone soon after.
func (s *Server) Stop() {
	if s.life != nil {
		s.life.Close()
	}
}

func (s *Server) start(initdb, postgres string, durable bool) error {
	who, err := unprivileged(s.Dir)
	if err != nil {
		return err
	}
	data := filepath.Join(s.Dir, "data")
	cmd := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "--encoding=UTF8")
	cmd.SysProcAttr, cmd.Dir = who, s.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(access), 0o600); err != nil {
		return err
	}
	settings := []string{"listen_addresses=", "max_connections=400", "max_wal_size=4GB", "checkpoint_timeout=1h"}
	if !durable {
		settings = append(settings, "fsync=off", "full_page_writes=off", "autovacuum=off")
	}
	args := []string{"-c", supervise, postgres, s.Dir}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd = exec.Command("/bin/sh", args...)
	cmd.SysProcAttr, cmd.Dir = who, s.Dir
	if s.life, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	until := time.Now().Add(30 * time.Second)
	for {
		err := s.Run("postgres", "create database test")
		if err == nil || time.Now().After(until) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// DSN of a database; test is there from the start.
func (s *Server) DSN(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: url.Values{"host": {s.Dir}}.Encode()}
	return u.String()
}

// Run runs statements as the superuser.
func (s *Server) Run(database string, statements ...string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, s.DSN(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, st := range statements {
		if _, err := conn.Exec(ctx, st); err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(st), err)
		}
	}
	return nil
}
