package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning"
)

// The mix: 500 agents with twelve episodes of history; to each agent per batch of
// 2,000 come two thumbs, one engagement and one session level on its newest
// episode; every fourth round another reply opens a new one first.
const (
	hotAgents   = 500
	hotHistory  = 12
	hotRounds   = 20
	hotPerAgent = 4
	hotTalk     = 4 // every fourth round another reply opens a new episode
	hotPairs    = 5
)

// hotPath measures the learner embedded, from the log to the durable commit of
// effect, position and outbox, and the same handler with and without a commit in
// interleaved pairs.
func hotPath(ctx context.Context) (metrics, error) {
	perSecond, err := fromLog(ctx)
	if err != nil {
		return nil, err
	}
	var ratios []float64
	for range hotPairs {
		with, err := applied(ctx, true)
		if err != nil {
			return nil, err
		}
		without, err := applied(ctx, false)
		if err != nil {
			return nil, err
		}
		ratios = append(ratios, with/without)
	}
	invariant, err := batchInvariant(ctx)
	if err != nil {
		return nil, err
	}
	return metrics{"events_per_second": perSecond, "ratio_to_no_commit": quantile(ratios, .5), "batch_invariant": invariant,
		"mix": "2 thumbs, 1 engagement, 1 session level per agent and round, a new episode every 4th; 500 agents"}, nil
}

func learner(ctx context.Context, dir string) (*learning.Service, *sqldb.DB, error) {
	db, err := sqldb.Open(ctx, sqldb.Options{Path: filepath.Join(dir, "learning.db"), Name: "learning"})
	if err != nil {
		return nil, nil, err
	}
	s, err := learning.New(ctx, db, learning.Options{})
	return s, db, err
}

// fromLog fills a log, then times the consumer from its first event to its last.
func fromLog(ctx context.Context) (float64, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return 0, err
	}
	defer clean()
	s, db, err := learner(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	log, err := embedded.Open(ctx, filepath.Join(dir, "log.db"))
	if err != nil {
		return 0, err
	}
	defer log.Close()
	setup, rounds := learning.Workload(hotAgents, hotHistory, hotRounds, hotPerAgent, hotTalk)
	if err := s.Apply(ctx, setup, true); err != nil {
		return 0, err
	}
	n := 0
	for _, r := range rounds {
		if err := fill(ctx, log, r); err != nil {
			return 0, err
		}
		n += hotAgents * hotPerAgent
	}
	r := relay.New(log)
	r.AddConsumer(s.Consumer())
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	start := time.Now()
	go func() { ended <- r.Run(run) }()
	if err := r.Idle(ctx); err != nil {
		return 0, err
	}
	seconds := since(start)
	stop()
	<-ended
	return float64(n) / seconds, nil
}

func fill(ctx context.Context, log eventlog.Log, events []event.Event) error {
	records := make([]eventlog.Record, len(events))
	for i, e := range events {
		value, err := json.Marshal(e)
		if err != nil {
			return err
		}
		records[i] = eventlog.Record{Topic: e.Topic(), Key: e.Subject, ID: e.ID, Type: string(e.Type), Value: value}
	}
	return log.Append(ctx, records)
}

// applied gives the events per second of the handler alone.
func applied(ctx context.Context, commit bool) (float64, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return 0, err
	}
	defer clean()
	s, db, err := learner(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	setup, rounds := learning.Workload(hotAgents, hotHistory, hotRounds, hotPerAgent, hotTalk)
	if err := s.Apply(ctx, setup, true); err != nil {
		return 0, err
	}
	n := 0
	var all []event.Event
	for _, r := range rounds {
		n += hotAgents * hotPerAgent
		all = append(all, r...)
	}
	start := time.Now()
	if err := s.Apply(ctx, all, commit); err != nil {
		return 0, err
	}
	return float64(n) / since(start), nil
}

// batchInvariant compares the learner's tables after batches of 2,000 and of 1.
func batchInvariant(ctx context.Context) (bool, error) {
	var first []byte
	for i, one := range []bool{false, true} {
		dir, clean, err := scratchDir()
		if err != nil {
			return false, err
		}
		defer clean()
		s, db, err := learner(ctx, dir)
		if err != nil {
			return false, err
		}
		defer db.Close()
		setup, rounds := learning.Workload(20, hotHistory, 3, hotPerAgent, 1)
		for _, r := range rounds {
			setup = append(setup, r...)
		}
		if one {
			for k := range setup {
				if err := s.Apply(ctx, setup[k:k+1], true); err != nil {
					return false, err
				}
			}
		} else if err := s.Apply(ctx, setup, true); err != nil {
			return false, err
		}
		state, err := db.Dump(ctx, "rl_learners", "rl_entries", "rl_checkpoints")
		if err != nil {
			return false, err
		}
		if i == 0 {
			first = state
		} else if !bytes.Equal(first, state) {
			return false, fmt.Errorf("the learner's bytes depend on the batch size")
		}
	}
	return true, nil
}
