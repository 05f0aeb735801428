package learning

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/policy"
)

// work is one agent's part of a batch.
type work struct {
	agent  string
	events []*incoming
	last   *incoming // the last one with an effect

	lib       *library
	horizon   horizon
	book      book
	canon     *canon
	asked     ask
	muted     bool   // nothing is to be emitted
	policy    []byte // the canonical document, JSON; of those that propose
	tally     tally
	actions   *actions
	withdrawn map[string]event.Micros // when, 0 when nobody noted it
	prior     map[string]*Signal      // counted earlier and to be taken back now

	// what the events changed
	evidence   bool            // something the fold listens to
	fed        map[string]bool // episodes with new evidence
	causes     []string        // feedback ids
	correction bool            // evidence was taken back
	surround   bool            // the mixture must surround other levels
	again      bool            // a proposal was refused as stale
	recount    bool            // the newest feedback may be another one
	counted    bool
	known      bool // canon changed
	doc        *policy.Document
	state      *event.AgentState
	tombstones []string
	removed    []string
	sides      map[string]bool      // episodes that could be held out, and whether they were
	held       *event.UpdateRefused // to tell, unless it was told
	signals    map[string]*signalRow
	order      []string // of signals
	page       page
	wish       *wish // to propose
	retired    bool

	out []event.Event
	err error
}

func (w *work) tombstone(feedback string, at event.Micros) {
	if w.withdrawn == nil {
		w.withdrawn = map[string]event.Micros{}
	}
	w.withdrawn[feedback] = at
}

// handle folds a batch: agents are folded side by side in memory, then everything
// is written in the one transaction. What is stored does not depend on how events
// fall into batches.
func (s *Service) handle(_ context.Context, tx *sqldb.Tx, events []event.Event) error {
	all := make([]incoming, len(events))
	parallel(len(all), func(i int) {
		all[i].Event = &events[i]
		all[i].decode()
	})
	var works []*work
	of, muted, lib := map[string]*work{}, relay.Muted(tx), s.library()
	for i := range all {
		if all[i].err != nil {
			return all[i].err
		}
		if all[i].body == nil {
			continue
		}
		if p, ok := all[i].body.(*event.ParametersAdopted); ok {
			if err := lib.need(tx, versionsOf(p)); errors.Is(err, errParameters) {
				return fmt.Errorf("%w: agent %s cannot adopt this: %w", event.ErrMalformed, p.AgentID, err)
			} else if err != nil {
				return err
			}
		}
		w := of[all[i].Subject]
		if w == nil {
			w = &work{agent: all[i].Subject, book: newBook(0, 0, nil, nil), muted: muted, lib: lib, horizon: s.horizon}
			of[w.agent] = w
			works = append(works, w)
		}
		w.events = append(w.events, &all[i])
	}
	if err := load(tx, works, of); err != nil {
		return err
	}
	if !muted {
		if err := welcome(tx, works); err != nil {
			return err
		}
		s.asks.read(works)
		tx.OnCommit(func() { s.asks.keep(works) })
	}
	// While some agents are folded, those before them are written.
	groups := slices.Collect(slices.Chunk(works, group))
	folded := make(chan error, len(groups))
	var folding sync.WaitGroup
	defer folding.Wait()
	folding.Go(func() {
		for _, g := range groups {
			folded <- each(g, (*work).run)
		}
	})
	var rows []signalRow
	var out []event.Event
	for _, g := range groups {
		if err := <-folded; err != nil {
			return err
		}
		if err := loadPolicies(tx, g, of); err != nil {
			return err
		}
		if err := each(g, (*work).propose); err != nil {
			return err
		}
		for _, w := range g {
			if err := w.store(tx); err != nil {
				return err
			}
			for _, id := range w.order {
				if r := w.signals[id]; r != nil {
					rows = append(rows, *r)
				}
			}
		}
	}
	if err := storeSignals(tx, rows); err != nil {
		return err
	}
	for _, w := range works {
		if err := w.meet(tx); err != nil {
			return err
		}
		if err := w.remember(tx); err != nil {
			return err
		}
		if err := w.recountLast(tx); err != nil {
			return err
		}
		out = append(out, w.out...)
	}
	return relay.Emit(tx, out...)
}

// group is how many agents are folded before the first of them are written.
const group = 32

// each runs f for every agent, side by side.
func each(works []*work, f func(*work) error) error {
	parallel(len(works), func(i int) { works[i].err = f(works[i]) })
	for _, w := range works {
		if w.err != nil {
			return fmt.Errorf("agent %s: %w", w.agent, w.err)
		}
	}
	return nil
}

// parallel runs f for 0 … n−1 on every processor.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+7)/8)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				from := int(next.Add(8)) - 8
				if from >= n {
					return
				}
				for i := from; i < min(from+8, n); i++ {
					f(i)
				}
			}
		})
	}
	wg.Wait()
}

// run applies the agent's events in memory, folds, and prepares what to emit.
func (w *work) run() error {
	if w.canon != nil && w.canon.Retired {
		w.events = nil
		return nil
	}
	for _, in := range w.events {
		before := w.book.count()
		if err := w.apply(in); err != nil {
			return err
		}
		if w.retired {
			return nil
		}
		if err := w.book.seal(w.horizon, before); err != nil {
			return err
		}
		w.cut(w.book.since())
	}
	if !w.book.changed() && !w.surround && !w.again {
		return nil
	}
	f := fold.Folder{Library: w.lib}
	state, page, err := w.book.fold(&f)
	if err != nil {
		return err
	}
	w.page = page
	return w.conclude(&state, &f)
}
