package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"rapport/internal/sqldb"
	"rapport/internal/sqldb/scratchpg"
	"rapport/learning"
)

const storePairs = 15

// store records what one batch of the learner (2,000 events of 500 agents) says to
// PostgreSQL, and runs these statements again in interleaved pairs: through sqldb,
// and by the driver alone on a connection of its own. The server is one of its own
// that syncs, or the one of $RAPPORT_POSTGRES, in a schema that is left there.
func store(ctx context.Context) (metrics, error) {
	dsn := os.Getenv("RAPPORT_POSTGRES")
	if dsn == "" {
		server, err := scratchpg.Start(true)
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("PostgreSQL is not here: apt-get install postgresql, or name a database in RAPPORT_POSTGRES")
		} else if err != nil {
			return nil, err
		}
		defer server.Stop()
		dsn = server.DSN("test")
	}
	schema := fmt.Sprint("bench_", time.Now().UnixNano())
	recording := false
	var batch []scratchpg.Statement
	db, err := sqldb.Open(ctx, sqldb.Options{DSN: dsn, Name: "learning", Schema: schema, Trace: func(query string, args []any) {
		if recording {
			kept := slices.Clone(args)
			for i, a := range kept {
				if b, ok := a.([]byte); ok {
					kept[i] = bytes.Clone(b)
				}
			}
			batch = append(batch, scratchpg.Statement{Text: query, Args: kept})
		}
	}})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	s, err := learning.New(ctx, db, learning.Options{})
	if err != nil {
		return nil, err
	}
	setup, rounds := learning.Workload(hotAgents, hotHistory, hotRounds, hotPerAgent, hotTalk)
	if err := s.Apply(ctx, setup, true); err != nil {
		return nil, err
	}
	n := 0
	begin := time.Now()
	for _, r := range rounds[1:] {
		n += hotAgents * hotPerAgent
		if err := s.Apply(ctx, r, true); err != nil {
			return nil, err
		}
	}
	perSecond := float64(n) / since(begin)
	recording = true
	if err := s.Apply(ctx, rounds[0], true); err != nil {
		return nil, err
	}
	recording = false

	plain, err := scratchpg.Connect(ctx, dsn, schema)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	again := func(tx *sqldb.Tx) error {
		for _, st := range batch {
			rows, err := tx.Query(st.Text, st.Args...)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	}
	// What was emitted is inserted once more by each.
	timed := func(run func() error) (float64, error) {
		if err := db.Write(ctx, func(tx *sqldb.Tx) error { _, err := tx.Exec(`delete from outbox`); return err }); err != nil {
			return 0, err
		}
		begin := time.Now()
		err := run()
		return since(begin), err
	}
	var ratios, seconds []float64
	for i := range storePairs + 1 {
		byHand, err := timed(func() error { return plain.Run(ctx, batch) })
		if err != nil {
			return nil, err
		}
		ours, err := timed(func() error { return db.Write(ctx, again) })
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first prepares
			ratios, seconds = append(ratios, byHand/ours), append(seconds, ours)
		}
	}
	return metrics{"ratio_to_plain": quantile(ratios, .5), "statements": float64(len(batch)), "commit_ms": 1000 * quantile(seconds, .5),
		"statements_per_second": float64(len(batch)) / quantile(seconds, .5), "learner_events_per_second": perSecond}, nil
}
