package app

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// refused holds an error to what a person at a terminal needs: its code, what it
// is about, and what to do.
func refused(t *testing.T, err error, code string, says ...string) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != code {
		t.Errorf("%v, want a fault %s", err, code)
		return
	}
	for _, s := range says {
		if !strings.Contains(f.Message, s) {
			t.Errorf("%s does not speak of %q: %s", code, s, f.Message)
		}
	}
}

func openErr(t *testing.T, dir string) error {
	t.Helper()
	a, err := Open(context.Background(), testConfig(t, dir))
	if err == nil {
		a.Close()
	}
	return err
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	t.Parallel()
	onFiles(t)
	used := func(t *testing.T) string { // a directory that the program has used
		dir := t.TempDir()
		a := openApp(t, dir)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	write := func(t *testing.T, path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("in use", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		openApp(t, dir)
		refused(t, openErr(t, dir), "data_dir_in_use", dir, "--data")
	})
	t.Run("of a newer program", func(t *testing.T) {
		t.Parallel()
		dir := used(t)
		db, err := sqldb.Open(t.Context(), sqldb.Options{Path: filepath.Join(dir, "chat.db"), Name: "chat"})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`insert into goose_chat (version_id, is_applied) values ($1, $2)`, 99, true)
			return err
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		refused(t, openErr(t, dir), "newer_schema", "chat", "99", "newer program")
	})
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, "x")
		_, err := LoadConfig(map[string]any{"data": path})
		refused(t, err, "invalid_setting", path, "--data")
		cfg := testConfig(t, t.TempDir())
		cfg.Data = path
		_, err = Open(t.Context(), cfg)
		refused(t, err, "invalid_setting", path)
	})
	t.Run("a key of another length", func(t *testing.T) {
		t.Parallel()
		dir := used(t)
		write(t, filepath.Join(dir, keyFile), "short")
		refused(t, openErr(t, dir), "server_key", keyFile, "backup")
	})
	t.Run("a database that is none", func(t *testing.T) {
		t.Parallel()
		dir := used(t)
		for _, name := range []string{"feedback.db", "feedback.db-wal", "feedback.db-shm"} {
			os.Remove(filepath.Join(dir, name))
		}
		write(t, filepath.Join(dir, "feedback.db"), strings.Repeat("this is no database ", 1000))
		refused(t, openErr(t, dir), "database_damaged", "feedback", "backup")
	})
	t.Run("a token file that is a directory", func(t *testing.T) {
		t.Parallel()
		dir := used(t)
		if err := errors.Join(os.Remove(filepath.Join(dir, TokenFile)), os.Mkdir(filepath.Join(dir, TokenFile), 0o700)); err != nil {
			t.Fatal(err)
		}
		refused(t, openErr(t, dir), "token_file", TokenFile)
	})
	t.Run("settings that are no YAML", func(t *testing.T) {
		t.Parallel()
		dir := used(t)
		write(t, filepath.Join(dir, "rapport.yaml"), "a: [")
		_, err := LoadConfig(map[string]any{"data": dir})
		refused(t, err, "invalid_setting", "rapport.yaml")
	})
	t.Run("a setting that is none", func(t *testing.T) {
		t.Parallel()
		dir := used(t)
		write(t, filepath.Join(dir, "rapport.yaml"), "colour: red\n")
		_, err := LoadConfig(map[string]any{"data": dir})
		refused(t, err, "unknown_setting", "colour", "rapport.yaml")
	})
}

// TestOddTokenFile: a token file that holds nothing valid is written anew.
func TestOddTokenFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := openApp(t, dir)
	first := a.LocalToken()
	a.Close()
	for _, odd := range []string{"", "nonsense", "\x00\xff\n\n", strings.Repeat("x", 1<<16)} {
		if err := os.WriteFile(filepath.Join(dir, TokenFile), []byte(odd), 0o600); err != nil {
			t.Fatal(err)
		}
		a := openApp(t, dir)
		if a.LocalToken() == first || !a.Accounts.Valid(t.Context(), a.LocalToken()) {
			t.Errorf("after a file %.10q the token is %q", odd, a.LocalToken())
		}
		if a.Accounts.Valid(t.Context(), first) {
			t.Error("the lost token still opens the door")
		}
		info, err := os.Stat(filepath.Join(dir, TokenFile))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		a.Close()
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := testConfig(t, t.TempDir())
	cfg.Listen = l.Addr().String()
	a, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	refused(t, a.Start(t.Context()), "cannot_listen", cfg.Listen, "--listen")
}

// TestALogThatLostItsEnd: contexts that know more than the log (a log from an old
// copy, or another one's) stop the program instead of numbering anew what they
// have read.
func TestALogThatLostItsEnd(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	r := run(t, dir)
	r.person("Ada").make("Luna", nil).say(question)
	r.settle()
	r.Close()
	openApp(t, other).Close()
	for _, name := range []string{"log.db", "log.db-wal", "log.db-shm"} {
		os.Remove(filepath.Join(dir, name))
		if data, err := os.ReadFile(filepath.Join(other, name)); err == nil {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	a := openApp(t, dir)
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	refused(t, a.Wait(ctx), "position_lost", "log", "backup")
}
