package sqldb

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"

	"github.com/pressly/goose/v3"

	"rapport/internal/fault"
)

var setName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

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
	others, err := fs.Glob(fsys, "*.postgres.sql")
	if err != nil {
		return err
	}
	// A connection of its own: the writer's is never lent.
	conns, err := openFile(db.file, url.Values{})
	if err != nil {
		return err
	}
	defer conns.Close()
	p, err := goose.NewProvider(goose.DialectSQLite3, conns, fsys,
		goose.WithTableName(versionTable(set)), goose.WithExcludeNames(others), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	found, known, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if found > known {
		return fault.New(fault.Conflict, "newer_schema",
			"The %s database has version %d of %s, and this program knows %d: start the newer program, or restore a backup made before it.",
			db.name, found, set, known)
	}
	_, err = p.Up(ctx)
	return err
}
