package scratchpg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Statement is one with its arguments.
type Statement struct {
	Text string
	Args []any
}

// Plain is a connection of the driver alone, to measure against.
type Plain struct{ conn *pgx.Conn }

// Connect opens one, in a schema.
func Connect(ctx context.Context, dsn, schema string) (*Plain, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize()
	conn, err := pgx.ConnectConfig(ctx, config)
	return &Plain{conn}, err
}

// Run runs statements in one transaction, one after another, and reads what they
// give.
func (p *Plain) Run(ctx context.Context, statements []Statement) error {
	tx, err := p.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	for _, s := range statements {
		rows, err := tx.Query(ctx, s.Text, s.Args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			if _, err := rows.Values(); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

// Close ends it.
func (p *Plain) Close() error { return p.conn.Close(context.Background()) }
