package app

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rapport/internal/fault"
)

// Files of a data directory beside the databases.
const (
	TokenFile = "local-token" // lets this machine's user command the server
	runFile   = "run.json"    // where the running server listens
	lockFile  = "lock"
	keyFile   = "server-key" // seeds the draws of variations
)

// contexts are the databases of a data directory, in the order in which they
// are backed up; the log comes last.
var contexts = []string{"account", "agent", "chat", "feedback", "gateway", "learning"}

// lockDir makes the data directory and takes it for this process alone:
// data_dir_in_use when another one has it.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Invalid, "invalid_setting", "The data directory %s cannot be made.", dir).Because(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fault.New(fault.Invalid, "invalid_setting", "The data directory %s cannot be written.", dir).Because(err)
	}
	if err := tryLock(f); err != nil {
		f.Close()
		return nil, fault.New(fault.Conflict, "data_dir_in_use", "Another rapport runs on %s. Stop it, or choose another directory with --data.", dir)
	}
	return f, nil
}

// sameEngine refuses a directory whose log belongs to databases elsewhere: those
// here would begin empty.
func (a *App) sameEngine() error {
	has := func(name string) bool {
		_, err := os.Stat(a.path(name))
		return err == nil
	}
	files := has(contexts[0] + ".db")
	switch {
	case a.cfg.Postgres != "" && files:
		return fault.New(fault.Conflict, "other_engine", "The databases of %s are files, and the setting postgres is there: start without it, or with another directory.", a.cfg.Data)
	case a.cfg.Postgres == "" && !files && has("log.db"):
		return fault.New(fault.Conflict, "other_engine", "The log of %s belongs to databases on PostgreSQL: start with the setting postgres that it was made with.", a.cfg.Data)
	}
	return nil
}

// onPostgres refuses to copy databases that are not files.
func (c Config) onPostgres() error {
	if c.Postgres == "" {
		return nil
	}
	return fault.New(fault.Invalid, "backup_elsewhere",
		"The databases are on PostgreSQL: stop rapport, then keep what pg_dump says of the database of the setting postgres together with a copy of %s, and restore both.", c.Data)
}

type runInfo struct {
	URL string `json:"url"`
	PID int    `json:"pid"`
}

func writeRun(dir, url string) error {
	data, err := json.Marshal(runInfo{url, os.Getpid()})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, runFile), data, 0o600)
}

// Running gives the address of the server that runs on a data directory.
func Running(dir string) (url string, ok bool) {
	data, err := os.ReadFile(filepath.Join(dir, runFile))
	if err != nil {
		return "", false
	}
	var r runInfo
	if json.Unmarshal(data, &r) != nil {
		return "", false
	}
	probe := http.Client{Timeout: 2 * time.Second}
	resp, err := probe.Get(r.URL + "/healthz")
	if err != nil {
		return "", false
	}
	resp.Body.Close()
	return r.URL, resp.StatusCode == http.StatusOK
}
