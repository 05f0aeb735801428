package learning

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Workload makes events for measuring how fast feedback is learned from: setup
// gives every agent its start and its history of episodes, rounds then bring
// perAgent signals (thumbs, levels, engagement) on each agent's newest episode.
// Every talk-th round begins with another reply that opens a new episode; 0 for
// none.
func Workload(agents, history, rounds, perAgent, talk int) (setup []event.Event, feedback [][]event.Event) {
	const start = event.Micros(1_700_000_000_000_000)
	at := start
	n := 0
	add := func(to *[]event.Event, p event.Payload) {
		at += 1e6
		n++
		*to = append(*to, event.New("bench", event.HashID("bench", fmt.Sprint(n)), at, p))
	}
	id := func(parts ...any) string { return event.HashID("bench", fmt.Sprint(parts...)) }
	episode := func(agent, k int) (event.EpisodeID, event.Micros) {
		return event.EpisodeID(id("episode", agent, k)), start + int64(k)*3600e6
	}
	reply := func(to *[]event.Event, agent, k int) {
		r := policy.NewStream([32]byte{0: byte(agent), 1: byte(agent >> 8), 8: byte(k), 9: byte(k >> 8), 16: 7})
		x := make([]float64, policy.NTraits)
		for range 8 {
			r.Uint64()
		}
		for j := range x {
			x[j] = r.Float64()
		}
		e, from := episode(agent, k)
		density := 3.2
		add(to, event.ReplyGenerated{DecisionID: event.DecisionID(id("decision", agent, k)), AgentID: event.AgentID(id("agent", agent)), OwnerID: event.PersonID(id("owner", agent)),
			PersonID: event.PersonID(id("owner", agent)), RoomID: event.RoomID(id("room", agent)), SessionID: event.SessionID(e), EpisodeID: e, EpisodeStart: from,
			Action: actionReply, Context: event.ContextDMWithOwner, Tags: []string{"humor"}, X: x, Rendered: x, Free: uint16(policy.AllTraits), LogDensity: &density,
			Consent: true, PolicyVersion: 1, CompileHash: id("hash", agent)})
	}
	for a := range agents {
		d := policy.Default(id("agent", a))
		doc, err := json.Marshal(d)
		if err != nil {
			panic(err)
		}
		add(&setup, event.AgentCreated{AgentState: event.AgentState{AgentID: event.AgentID(d.AgentID), OwnerID: event.PersonID(id("owner", a)), Version: 1,
			Policy: doc, Baseline: d.Traits[:], Learning: true, Alive: true, Pace: "normal"}})
	}
	give := func(to *[]event.Event, a, k, m int) {
		e, from := episode(a, k)
		f := event.FeedbackCreated{FeedbackID: event.FeedbackID(id("feedback", n)), AgentID: event.AgentID(id("agent", a)), OwnerID: event.PersonID(id("owner", a)),
			RaterID: event.PersonID(id("owner", a)), Role: event.RoleOwner, Source: "owner", Channel: event.ChannelThumb, Score: float64(1 - 2*((a+k+m)%3/2)),
			MessageID: event.MessageID(id("message", n)), DecisionID: event.DecisionID(id("decision", a, k)), SessionID: event.SessionID(e), RoomID: event.RoomID(id("room", a)),
			Shares: []event.Share{{EpisodeID: e, Start: from, Weight: 1}}, Context: event.ContextDMWithOwner, Tags: []string{"humor"}}
		switch m % 4 {
		case 1:
			f.Channel, f.Source, f.Signal, f.Score = event.ChannelBehaviour, "implicit", "engagement/1", .4+.1*float64((a+k)%5)
		case 3:
			f.Channel, f.Level, f.Score = event.ChannelSession, []string{"loved", "good", "meh"}[(a+k)%3], 0
		}
		add(to, f)
	}
	for k := range history {
		for a := range agents {
			reply(&setup, a, k)
			give(&setup, a, k, 3)
		}
	}
	k := history - 1
	for r := range rounds {
		opens := talk > 0 && r%talk == 0
		if opens {
			k++
		}
		var round []event.Event
		for a := range agents {
			if opens {
				reply(&round, a, k)
			}
			for m := range perAgent {
				give(&round, a, k, m)
			}
		}
		feedback = append(feedback, round)
	}
	return setup, feedback
}

// Apply hands events to the context in batches, past relay: for measuring. With
// commit each batch is durable when it returns; without, all of them are undone at
// the end.
func (s *Service) Apply(ctx context.Context, events []event.Event, commit bool) error {
	batches := func(tx *sqldb.Tx, size int) error {
		for len(events) > 0 {
			n := min(size, len(events))
			if err := s.handle(ctx, tx, events[:n]); err != nil {
				return err
			}
			events = events[n:]
		}
		return nil
	}
	if !commit {
		var failed error
		err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
			failed = batches(tx, Batch)
			return errUndo
		})
		if errors.Is(err, errUndo) {
			return failed
		}
		return err
	}
	for len(events) > 0 {
		rest := events[min(Batch, len(events)):]
		events = events[:min(Batch, len(events))]
		if err := s.db.Write(ctx, func(tx *sqldb.Tx) error { return batches(tx, Batch) }); err != nil {
			return err
		}
		events = rest
	}
	return nil
}

var errUndo = errors.New("undone after measuring")
