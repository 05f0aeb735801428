package gateway

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/journal"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// recover stores what an earlier process left in the journal, and goes on after it.
func (s *Service) recover(ctx context.Context, j Journal, rows []journal.Row) error {
	var last int64
	if err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Get(`select n from journaled where id = 1`, nil, &last); err != nil {
			return err
		}
		var all []kept
		for _, r := range rows {
			if r.N <= last {
				continue
			}
			some, err := parse(r)
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
		last = max(last, newest(all))
		s.backlog = newBacklog(j, last, s.Settle)
		return s.fileUpTo(tx, last, all, nil)
	}); err != nil {
		return err
	}
	s.backlog.trim()
	return nil
}

// Unsettled is the number of decisions and outcomes that are on their way to the tables.
func (s *Service) Unsettled() int { return s.backlog.len() }

// Scrub stores what is on its way to the tables and takes it out of the journal, so that
// nothing of it is left there; false when more came meanwhile: try again later.
func (s *Service) Scrub(ctx context.Context) (done bool, err error) {
	if err := s.Settle(ctx); err != nil {
		return false, err
	}
	s.backlog.trim()
	return s.backlog.journal.Scrub()
}

// Settle stores what is on its way to the tables. One thing that cannot be stored does not keep the others
// from it.
func (s *Service) Settle(ctx context.Context) error {
	if s.backlog.len() == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	err := s.db.Write(ctx, s.catchUp)
	if err != nil && !lost(err) {
		err = s.settleEach(ctx)
	}
	return err
}

// lost: the database, not what was to be stored, is why it was not.
func lost(err error) bool {
	return fault.KindOf(err) == fault.Unavailable || errors.Is(err, sqldb.ErrCrashed)
}

// settleEach stores what waits one by one; what fails is given up.
func (s *Service) settleEach(ctx context.Context) error {
	decisions, ends := s.backlog.all()
	try := func(id event.DecisionID, decisions []kept, ends []ending) error {
		err := s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.file(tx, decisions, ends) })
		if err != nil && !lost(err) {
			slog.ErrorContext(ctx, "a decision was not stored", "decision", id, "err", err)
			s.backlog.drop(decisions, ends)
			return nil
		}
		return err
	}
	for _, k := range decisions {
		if err := try(k.Decision, []kept{k}, nil); err != nil {
			return err
		}
	}
	for _, e := range ends {
		if err := try(e.body.DecisionID, nil, []ending{e}); err != nil {
			return err
		}
	}
	return nil
}

// catchUp stores what waits, in a transaction that needs the tables whole.
func (s *Service) catchUp(tx *sqldb.Tx) error {
	decisions, ends := s.backlog.all()
	if len(decisions)+len(ends) == 0 {
		return nil
	}
	return s.fileUpTo(tx, newest(decisions), decisions, ends)
}

// fileUpTo is file for everything that waits up to a row.
func (s *Service) fileUpTo(tx *sqldb.Tx, row int64, decisions []kept, ends []ending) error {
	if row > 0 {
		if _, err := tx.Exec(`update journaled set n = $1 where id = 1 and n < $1`, row); err != nil {
			return err
		}
		tx.OnCommit(func() { s.backlog.reached(row) })
	}
	return s.file(tx, decisions, ends)
}

// file stores decisions, and outcomes of decisions that are stored. What is stored
// already changes nothing. It may be called again before the commit. What ended before
// something else was decided is told before it.
func (s *Service) file(tx *sqldb.Tx, decisions []kept, ends []ending) error {
	told, err := s.fileEnds(tx, nil, ends)
	if err != nil {
		return err
	}
	fresh, err := insertDecisions(tx, decisions)
	if err != nil {
		return err
	}
	if err := s.insertBeside(tx, fresh); err != nil {
		return err
	}
	for _, k := range fresh {
		switch {
		case k.end != nil:
			if told, err = s.tellEnd(tx, told, *k.end); err != nil {
				return err
			}
		case k.Silence:
			if told, err = s.tellSilence(tx, told, k); err != nil {
				return err
			}
		}
	}
	if told, err = s.fileEnds(tx, told, endsOf(decisions, fresh)); err != nil {
		return err
	}
	tx.OnCommit(func() {
		s.desk.stored(decisions)
		s.backlog.drop(decisions, ends)
	})
	return relay.Emit(tx, told...)
}

// fileEnds stores outcomes of decisions that are stored, and adds their events to told.
func (s *Service) fileEnds(tx *sqldb.Tx, told []event.Event, all []ending) ([]event.Event, error) {
	ended, err := updateEnded(tx, all)
	for _, e := range all {
		if err == nil && ended[e.body.DecisionID] {
			told, err = s.tellEnd(tx, told, e)
		}
	}
	return told, err
}

// endsOf gives the outcomes of decisions that were stored before.
func endsOf(decisions, fresh []kept) (ends []ending) {
	is := map[event.DecisionID]bool{}
	for _, k := range fresh {
		is[k.Decision] = true
	}
	for _, k := range decisions {
		if k.end != nil && !is[k.Decision] {
			ends = append(ends, *k.end)
		}
	}
	return ends
}

// insertDecisions stores decisions and gives those that were not there.
func insertDecisions(tx *sqldb.Tx, all []kept) (fresh []kept, err error) {
	by := make(map[event.DecisionID]kept, len(all))
	args := make([]any, 0, 8*len(all))
	for _, k := range all {
		by[k.Decision] = k
		state, action, body := "open", "", k.body
		switch {
		case k.end != nil:
			state, action, body = "done", k.end.body.Action, k.end.raw
		case k.Silence:
			state, action = "done", "silence"
		}
		args = append(args, string(k.Decision), string(k.Agent), k.Turn, k.At, state, action, k.Unasked, body)
	}
	err = tx.QueryMany(`insert into decisions (decision_id, agent_id, turn_id, at, state, action, unasked, body) values `, 8,
		` on conflict (decision_id) do nothing returning decision_id`, args, func(rows *sql.Rows) error {
			var id event.DecisionID
			err := rows.Scan(&id)
			fresh = append(fresh, by[id])
			return err
		})
	return fresh, err
}

// insertBeside stores what came with decisions.
func (s *Service) insertBeside(tx *sqldb.Tx, fresh []kept) error {
	var episodes []any
	seen := map[event.EpisodeID]bool{}
	callers := map[string]kept{}
	counts := map[event.PersonID]map[event.Micros]int64{}
	for _, k := range fresh {
		if e := k.Episode; e != nil && !seen[e.ID] {
			seen[e.ID] = true
			episodes = e.columns(episodes, talk{k.Agent, k.Session})
		}
		if c, ok := callers[k.Caller]; k.Caller != "" && (!ok || c.At <= k.At) {
			callers[k.Caller] = k
		}
		if k.Counts != "" {
			if counts[k.Counts] == nil {
				counts[k.Counts] = map[event.Micros]int64{}
			}
			counts[k.Counts][k.At/day]++
		}
		if k.Tried {
			if err := onTrial(tx, k.entry); err != nil {
				return err
			}
		}
	}
	if _, err := tx.ExecMany(insertEpisodes, episodeColumns, ` on conflict do nothing`, episodes); err != nil {
		return err
	}
	for _, c := range slices.Sorted(maps.Keys(callers)) {
		if _, err := tx.Exec(`insert into callers (caller, session_id, last_at) values ($1, $2, $3)
			on conflict (caller) do update set session_id = excluded.session_id, last_at = excluded.last_at`, c, callers[c].Session, callers[c].At); err != nil {
			return err
		}
	}
	for _, p := range slices.Sorted(maps.Keys(counts)) {
		for _, d := range slices.Sorted(maps.Keys(counts[p])) {
			if err := countReplies(tx, p, d, counts[p][d]); err != nil {
				return err
			}
		}
	}
	return nil
}

// updateEnded stores outcomes of decisions that are stored and open, and says which.
func updateEnded(tx *sqldb.Tx, all []ending) (map[event.DecisionID]bool, error) {
	ended := make(map[event.DecisionID]bool, len(all))
	args := make([]any, 0, 3*len(all))
	for _, e := range all {
		args = append(args, string(e.body.DecisionID), e.body.Action, e.raw)
	}
	return ended, tx.QueryMany(`update decisions set state = 'done', action = e.column2, body = e.column3 from (values `, 3,
		`) e where decision_id = e.column1 and state = 'open' returning decision_id`, args, func(rows *sql.Rows) error {
			var id event.DecisionID
			err := rows.Scan(&id)
			ended[id] = true
			return err
		})
}

// tellEnd adds the event of an outcome and stores what it cost.
func (s *Service) tellEnd(tx *sqldb.Tx, told []event.Event, e ending) ([]event.Event, error) {
	return append(told, replied(e.q.cause, e.body, e.raw, s.now())), s.spent(tx, e.body.OwnerID, e.body.AgentID, e.res)
}

// tellSilence adds the event of a decision to stay silent and ends its turn, if its
// worker still has it.
func (s *Service) tellSilence(tx *sqldb.Tx, told []event.Event, k kept) ([]event.Event, error) {
	var body event.ReplyGenerated
	if err := json.Unmarshal([]byte(k.body), &body); err != nil {
		return told, err
	}
	if err := s.closeTurn(tx, question{turn: k.Turn, lease: k.Lease}); err != nil && err != errLeaseLost {
		return told, err
	}
	var from *event.Event
	if c := k.Cause; c != nil {
		from = &event.Event{ID: c.ID, Root: c.Root, TraceParent: c.TraceParent}
	}
	return append(told, replied(from, body, k.body, k.At)), nil
}
