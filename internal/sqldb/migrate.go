package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pressly/goose/v3"

	"rapport/internal/fault"
)

var setName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// migrations is how an engine runs them: on connections of its own, since the
// writer's is never lent, and alone until close.
type migrations struct {
	dialect goose.Dialect
	conns   *sql.DB
	others  string            // how files end that are another engine's
	refused func(error) error // names what a person can do about an error
	close   func()
}

func versionTable(set string) string { return "goose_" + set }

// Migrate brings the schema to the newest version of the goose migrations in
// fsys (files NNNN_name.sql), tracked in a version table of its own per set, so
// that relay's tables and the context's live side by side. Refuses with fault
// newer_schema when the database was made by a newer program.
//
// The files lie at the root of fsys or in its folder "migrations". Where the
// engines cannot share a text, 0007_x.sqlite.sql stands beside
// 0007_x.postgres.sql, and each engine reads its own.
func (db *DB) Migrate(ctx context.Context, set string, fsys fs.FS) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.calls.Done()
	if err := db.migrate(ctx, set, fsys); err != nil {
		return fmt.Errorf("migrate %s of %s: %w", set, db.name, db.fault(err))
	}
	return nil
}

func (db *DB) migrate(ctx context.Context, set string, fsys fs.FS) error {
	if !setName.MatchString(set) {
		return fmt.Errorf("the set's name %q is not lower case letters, digits and _", set)
	}
	if names, err := fs.Glob(fsys, "*.sql"); err != nil {
		return err
	} else if len(names) == 0 {
		if fsys, err = fs.Sub(fsys, "migrations"); err != nil {
			return err
		}
	}
	m, err := db.engine.migrations(ctx)
	if err != nil {
		return err
	}
	defer m.close()
	others, err := fs.Glob(fsys, "*"+m.others)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(m.dialect, m.conns, fsys,
		goose.WithTableName(versionTable(set)), goose.WithExcludeNames(others), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	found, known, err := p.GetVersions(ctx)
	if err != nil {
		return m.refused(err)
	}
	if found > known {
		return fault.New(fault.Conflict, "newer_schema",
			"The %s database has version %d of %s, and this program knows %d: start the newer program, or restore a backup made before it.",
			db.name, found, set, known)
	}
	_, err = p.Up(ctx)
	return m.refused(err)
}
