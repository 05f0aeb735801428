package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"rapport/event"
	"rapport/gateway/provider"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// turn is one consideration of one message by one agent, leased by a worker.
type turn struct {
	id      string
	lease   int64
	tries   int64 // how often its author asked for another, after one that failed
	agent   event.AgentID
	session event.SessionID
	kind    string
	event   event.Event
	message event.MessageCreated // of a reply
	joined  event.RoomJoined     // of an opening
	ended   event.SessionEnded   // of what is begun after it
}

// maxLeases is how many workers may die over a turn before it is given up.
const maxLeases = 5

// crowded is how long a message waits for a model that takes no more requests.
const crowded = 2 * time.Minute

// errLeaseLost: another worker has the turn by now.
var errLeaseLost = errors.New("the lease was lost")

// Run makes replies until ctx ends. Several processes may run it.
func (s *Service) Run(ctx context.Context) error {
	var busy sync.WaitGroup
	defer func() {
		busy.Wait()
		if err := s.Settle(ctx); err != nil {
			slog.ErrorContext(ctx, "decisions are left to the next start", "n", s.Unsettled(), "err", err)
		}
	}()
	busy.Go(func() { s.runRules(ctx) })
	busy.Go(func() { s.sweep(ctx) })
	slots := make(chan struct{}, s.o.Workers)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		t, err := s.lease(ctx)
		if err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "no turn could be leased", "err", err)
		}
		if t == nil {
			<-slots
			select {
			case <-s.wake:
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		busy.Go(func() {
			defer func() { <-slots; s.nudge() }() // the session's next turn may go on
			if err := s.process(ctx, t); err != nil && ctx.Err() == nil && err != errLeaseLost {
				slog.ErrorContext(ctx, "a turn was not finished", "turn", t.id, "err", err)
			}
		})
	}
}

// Idle waits until no turn is open, but those that come in their own time, and every outcome is stored: for tests and simulations.
func (s *Service) Idle(ctx context.Context) error {
	if err := s.Settle(ctx); err != nil {
		return err
	}
	for {
		var open int64
		if err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
			_, err := tx.Get(`select count(*) from turns where state <> 'done' and kind <> 'begin'`, nil, &open)
			return err
		}); err != nil || open == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// lease takes the oldest turn that is due: a waiting one, or one whose worker has
// not been heard of. A session has one turn at a time. nil when there is none.
func (s *Service) lease(ctx context.Context) (*turn, error) {
	now := s.now()
	const next = `select turn_id, agent_id, session_id, event, lease, tries, kind from turns t
		where (state = 'waiting' and due <= $1 or state = 'leased' and lease_until < $2)
		and not exists (select 1 from turns o where o.agent_id = t.agent_id and o.session_id = t.session_id and o.state = 'leased' and o.lease_until >= $3)
		order by due, seq, turn_id limit 1`
	find := func(tx *sqldb.Tx, t *turn, raw *string) (bool, error) {
		return tx.Get(next, []any{now, now, now}, &t.id, &t.agent, &t.session, raw, &t.lease, &t.tries, &t.kind)
	}
	var t turn
	var raw string
	some := false
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) { some, err = find(tx, &t, &raw); return err })
	if err != nil || !some {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		if some, err = find(tx, &t, &raw); err != nil || !some {
			return err
		}
		t.lease++
		_, err = tx.Exec(`update turns set state = 'leased', lease = $1, lease_until = $2 where turn_id = $3`, t.lease, now+s.o.Lease.Microseconds(), t.id)
		return err
	})
	if err != nil || !some {
		return nil, err
	}
	switch t.kind {
	case kindOpening:
		t.event, t.joined, err = heardIn[event.RoomJoined](raw)
	case kindBegin:
		t.event, t.ended, err = heardIn[event.SessionEnded](raw)
	default:
		t.event, t.message, err = heardIn[event.MessageCreated](raw)
	}
	return &t, err
}

// heardIn reads the event that a turn is about.
func heardIn[P event.Payload](raw string) (e event.Event, p P, err error) {
	if err = json.Unmarshal([]byte(raw), &e); err == nil {
		p, err = event.As[P](e)
	}
	return e, p, err
}

// decisionOf is the decision of a turn's try, counted from 0.
func decisionOf(turn string, tries int64) event.DecisionID {
	parts := []string{"gateway", "decision", turn}
	if tries > 0 {
		parts = append(parts, strconv.FormatInt(tries, 10))
	}
	return event.DecisionID(event.HashID(parts...))
}

// holds says whether a worker still has a turn.
func holds(tx *sqldb.Tx, id string, lease int64) (bool, error) {
	var n int64
	return tx.Get(`select 1 from turns where turn_id = $1 and lease = $2 and state = 'leased'`, []any{id, lease}, &n)
}

// closeTurn ends the question's turn; errLeaseLost when another worker has it.
func (s *Service) closeTurn(tx *sqldb.Tx, q question) error {
	if q.turn == "" {
		return nil
	}
	n, err := tx.Exec(`update turns set state = 'done' where turn_id = $1 and lease = $2 and state = 'leased'`, q.turn, q.lease)
	if err == nil && n == 0 {
		err = errLeaseLost
	}
	return err
}

// putBack lets another worker have the turn after a while.
func (s *Service) putBack(ctx context.Context, t *turn, after time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update turns set state = 'waiting', due = $1 where turn_id = $2 and lease = $3 and state = 'leased'`,
			s.now()+after.Microseconds(), t.id, t.lease)
		return err
	})
}

// keep renews the lease until ctx ends, and ends ctx when it was lost.
func (s *Service) keep(ctx context.Context, t *turn, lost context.CancelCauseFunc) {
	tick := time.NewTicker(s.o.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var n int64
		err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			n, err = tx.Exec(`update turns set lease_until = $1 where turn_id = $2 and lease = $3 and state = 'leased'`,
				s.now()+s.o.Lease.Microseconds(), t.id, t.lease)
			return err
		})
		if err == nil && n == 0 {
			lost(errLeaseLost)
			return
		}
	}
}

// question is what the turn asks.
func (t *turn) question() question {
	m := t.message
	q := question{
		decision: decisionOf(t.id, t.tries), turn: t.id, lease: t.lease,
		agent: t.agent, session: t.session, room: m.RoomID, seq: m.Sequence, direct: m.Direct,
		addressed: slices.Contains(m.Addressed, t.agent), fromAgent: m.Author.Kind == event.KindAgent,
		consent: m.Consent, protected: m.Protected, tags: m.Features.Tags, cause: &t.event,
	}
	if !q.fromAgent {
		q.person = m.Author.PersonID
	}
	switch {
	case m.Direct || m.People <= 1 && m.Members <= 2:
	case m.Members <= 6:
		q.place = event.ContextGroupSmall
	default:
		q.place = event.ContextGroupLarge
	}
	return q
}

// patience is how long a turn waits for its agent's first event.
const patience = time.Minute

// process brings a turn to its end: silence, a reply, or a failure that is said
// honestly. Order: decide (durable) ‖ call the model → post → commit the outcome.
// A worker that dies in between leaves the turn to another one, which finds the
// same decision; posting it again changes nothing.
func (s *Service) process(ctx context.Context, t *turn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.keep(ctx, t, cancel)
	if t.kind != kindReply {
		return s.begin(ctx, t)
	}

	q := t.question()
	ctx, watched := s.o.Watch.Reply(ctx, nil)
	defer watched.End()
	p, committed, err := s.decide(ctx, q)
	if err == nil {
		p.watched = watched.Decided(p.body)
	}
	switch {
	case fault.Is(err, errUnknownAgent.Code):
		if s.now()-t.event.Time < patience.Microseconds() {
			return s.putBack(ctx, t, 100*time.Millisecond) // its topic may be behind
		}
		return s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.closeTurn(tx, q) })
	case err == errLeaseLost:
		return err
	case err != nil && t.lease > 10*maxLeases: // it will never work; the log has the reasons
		return errors.Join(err, s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.closeTurn(tx, q) }))
	case err != nil:
		return errors.Join(err, s.putBack(ctx, t, time.Second))
	case p.body.Action != "": // silence
		if err := committed(); err != nil || !q.direct || q.fromAgent {
			return err
		}
		s.tell(q, t.message.MessageID, p.body.Reasons[0], 0, false)
		return nil
	}
	if t.lease > maxLeases*(t.tries+1) {
		if err := committed(); err != nil {
			return err
		}
		return s.failed(ctx, t, q, p, outcome{code: "gave_up"})
	}
	if s.o.Live != nil {
		s.o.Live.Typing(q.room, q.agent)
	}
	talk, err := s.talk(ctx, q, t.message.MessageID, p, talkTokens)
	if err == nil && talk == nil {
		if err := committed(); err != nil {
			return err
		}
		return s.failed(ctx, t, q, p, outcome{code: "message_gone"})
	}
	if err != nil {
		return errors.Join(err, committed(), s.refusedOr(ctx, t, q, p, err))
	}
	show := func(text string) error {
		if s.o.Live != nil {
			s.o.Live.Delta(q.room, q.agent, q.decision, text)
		}
		return nil
	}
	out := s.speak(ctx, p, talk, committed, show)
	if out.code == provider.CodeTooLong && !out.began {
		if talk, err = s.talk(ctx, q, t.message.MessageID, p, shortTokens); err == nil && talk != nil {
			out = s.speak(ctx, p, talk, committed, show)
		}
	}
	if ctx.Err() != nil {
		if context.Cause(ctx) == errLeaseLost {
			return errLeaseLost
		}
		return errors.Join(ctx.Err(), s.putBack(ctx, t, 0)) // shutting down: soon again
	}
	if err := committed(); err != nil {
		return errors.Join(err, s.putBack(ctx, t, time.Second))
	}
	if wait := out.wait(); wait > 0 && t.lease < maxLeases && s.now()-t.event.Time+wait.Microseconds() < crowded.Microseconds() {
		s.tell(q, t.message.MessageID, out.code, wait, false)
		return s.putBack(ctx, t, wait)
	}
	if out.code != "" {
		return s.failed(ctx, t, q, p, out)
	}
	id, err := s.o.Poster.PostReply(ctx, Reply{DecisionID: q.decision, AgentID: q.agent, RoomID: q.room, SessionID: q.session, ReplyTo: t.message.MessageID, Text: out.text})
	if err != nil {
		return errors.Join(err, s.refusedOr(ctx, t, q, p, err))
	}
	return s.finish(ctx, q, p, out, id)
}

// refusedOr ends a turn that chat refused (the agent left the room, was killed),
// and puts back one that may work later.
func (s *Service) refusedOr(ctx context.Context, t *turn, q question, p *plan, err error) error {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Forbidden, fault.NotFound, fault.Conflict:
		f, _ := errors.AsType[*fault.Error](err)
		return s.failed(ctx, t, q, p, outcome{code: f.Code})
	}
	return s.putBack(ctx, t, time.Second)
}

// failed ends a turn without a reply and says so in the room.
func (s *Service) failed(ctx context.Context, t *turn, q question, p *plan, out outcome) error {
	if err := s.finish(ctx, q, p, out, ""); err != nil {
		return err
	}
	s.tellFailed(q, t.message.MessageID, out.code)
	return nil
}
