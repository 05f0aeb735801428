package relay

import (
	"context"
	"log/slog"
	"time"

	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Claim is a process' hold on a database that one process at a time may serve,
// since it remembers things of it. The claim is a row that is changed at every
// beat; a holder whose row stands still is dead. Nobody's clock is compared with
// another's.
type Claim struct {
	db     *sqldb.DB
	holder string
	beat   time.Duration
}

const (
	claim      = "process"       // its name in the table leases
	claimBeat  = 2 * time.Second //
	claimStill = 5               // beats, after which the holder is dead
)

// Take claims a migrated database. What has the same holder is the same one's
// earlier life. It waits up to 10 s to see whether another holder lives: fault
// database_in_use when it does.
func Take(ctx context.Context, db *sqldb.DB, holder string) (*Claim, error) {
	return take(ctx, db, holder, claimBeat)
}

func take(ctx context.Context, db *sqldb.DB, holder string, beat time.Duration) (*Claim, error) {
	c := &Claim{db, holder, beat}
	var first string // who had it at the first look, and since when
	var still int64
	for looks := 0; ; looks++ {
		other, at, err := c.try(ctx, first, still, looks >= claimStill)
		switch {
		case err != nil:
			return nil, err
		case other == "":
			return c, nil
		case looks > 0 && (other != first || at != still):
			return nil, fault.New(fault.Conflict, "database_in_use",
				"Another rapport (%s) serves the database of the setting postgres, and one at a time can. Stop it, or give this one a database of its own.", other)
		case looks == 0:
			slog.WarnContext(ctx, "another process has the database; waiting to see whether it lives", "process", other)
		}
		first, still = other, at
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(beat + beat/10):
		}
	}
}

// try takes the claim if it is free, ours, or as dead as it was: with the row of
// first and still. Otherwise it gives who has it and the row's time.
func (c *Claim) try(ctx context.Context, first string, still int64, dead bool) (other string, at int64, err error) {
	err = c.db.Write(ctx, func(tx *sqldb.Tx) error {
		has, err := tx.Get(`select holder, until from leases where name = $1`, []any{claim}, &other, &at)
		if err != nil {
			return err
		}
		if has && other != c.holder && !(dead && other == first && at == still) {
			return nil
		}
		other = ""
		_, err = tx.Exec(`insert into leases (name, holder, until) values ($1, $2, $3)
			on conflict (name) do update set holder = excluded.holder, until = excluded.until`, claim, c.holder, time.Now().UnixMicro())
		return err
	})
	return other, at, err
}

// Keep holds the claim until ctx ends. Fault database_in_use when another process
// has taken it, as after this one stood still for 10 s.
func (c *Claim) Keep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(c.beat):
		}
		n := int64(0)
		err := c.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			n, err = tx.Exec(`update leases set until = $1 where name = $2 and holder = $3`, time.Now().UnixMicro(), claim, c.holder)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case dead(err):
			return err
		case err != nil:
			slog.WarnContext(ctx, "the claim on the database cannot be renewed, trying again", "error", err)
		case n == 0:
			return fault.New(fault.Conflict, "database_in_use", "Another rapport serves the database of the setting postgres by now, since nothing was heard of this one; it ends.")
		}
	}
}

// Release gives the claim up, so that the next one need not wait.
func (c *Claim) Release(ctx context.Context) error {
	return c.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`delete from leases where name = $1 and holder = $2`, claim, c.holder)
		return err
	})
}

// Identity is the name that a migrated database has for life, also in a copy.
func Identity(ctx context.Context, db *sqldb.DB) (id string, err error) {
	err = db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select id from identity`, nil, &id)
		return err
	})
	return id, err
}
