package app

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"rapport/internal/fault"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

// The product on PostgreSQL: talk, press, the next reply differs; it is still so
// after a start; replaying the log into files gives the same tables, and into the
// server's as well.
func TestOnPostgres(t *testing.T) {
	t.Parallel()
	dir, dsn := t.TempDir(), sqldbtest.DSN(t)
	onServer := func(c *Config) { c.Postgres = dsn }
	r := run(t, dir, onServer)
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	first := luna.say(question)
	ada.give("tone", "shorter", "messageId", string(first.ID))
	second := luna.say(question)
	if got := second.x(policy.Brevity); first.x(policy.Brevity) != .5 || second.Cause != "tone_button" || math.Abs(got-.65) > 1e-9 {
		t.Errorf("the next answer: cause %q, brevity %v, want tone_button and .65", second.Cause, got)
	}
	ada.give("thumb", "up", "messageId", string(second.ID))
	equal := func(r *rig, check bool) {
		t.Helper()
		r.settle()
		done, err := r.Rebuild(t.Context(), check)
		if err != nil || len(done) == 0 {
			t.Fatal(done, err)
		}
		for _, table := range done {
			if !table.Equal {
				t.Errorf("%s.%s differs from the log", table.Context, table.Table)
			}
		}
	}
	equal(r, true)
	if _, err := r.Backup(t.Context(), filepath.Join(dir, "backup")); !fault.Is(err, "backup_elsewhere") {
		t.Errorf("backup: %v", err)
	}
	if err := Restore(t.Context(), dir, r.cfg); !fault.Is(err, "backup_elsewhere") {
		t.Errorf("restore: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "account.db")); err == nil {
		t.Error("a database is a file")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	r = run(t, dir, onServer)
	if _, err := r.dbs["feedback"].Dump(t.Context()); err != nil {
		t.Error(err)
	}
	equal(r, true)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t, dir)
	cfg.Postgres = ""
	if _, err := Open(context.Background(), cfg); !fault.Is(err, "other_engine") {
		t.Errorf("without the setting: %v", err)
	}

	cfg.Data = t.TempDir()
	a, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	onServer(&cfg)
	if _, err := Open(context.Background(), cfg); !fault.Is(err, "other_engine") {
		t.Errorf("files with the setting: %v", err)
	}
	cfg.Data = t.TempDir() // the server's positions are not of an empty log
	if a, err = Open(context.Background(), cfg); err == nil {
		a.Start(context.Background())
		err = a.Wait(t.Context())
		a.Close()
	}
	if !fault.Is(err, "position_lost") {
		t.Errorf("another log: %v", err)
	}
}
