package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rapport/event"
	"rapport/gateway"
	"rapport/gateway/compile"
	"rapport/gateway/provider/discover"
	"rapport/internal/journal"
	"rapport/internal/sqldb"
	"rapport/policy"
)

const (
	replyRate   = 2000 // decisions a second
	replyWarm   = 2 * time.Second
	replyTimed  = 10 * time.Second
	replyRooms  = 64 // each with a person, three agents and a talk of some length
	replyAgents = 3 * replyRooms
)

// quietTalk stands for the contexts around the gateway: agents without a story, and
// nobody who posts.
type quietTalk struct{}

func (quietTalk) ProfileOf(context.Context, event.AgentID) (compile.Persona, error) {
	return compile.Persona{Name: "Mira", Description: "A lighthouse keeper who collects stories."}, nil
}
func (quietTalk) Texts(context.Context, event.RoomID, event.AgentID, int) ([]gateway.Line, error) {
	return nil, nil
}
func (quietTalk) PostReply(context.Context, gateway.Reply) (event.MessageID, error) {
	return "", errors.New("nobody is to speak")
}
func (quietTalk) AgentsOf(context.Context, event.PersonID) ([]gateway.Card, error) { return nil, nil }
func (quietTalk) BySlug(_ context.Context, ref string) (event.AgentID, error) {
	return event.AgentID(ref), nil
}

// shouldReply has agents in rooms of several decide whether to answer, about
// messages that come by chance (a Poisson process) at a rate that does not wait for
// anybody. A decision's time is from when its message came, whether or not its turn
// had come by then, until the decision with its reasons is durable. No model is
// asked.
func shouldReply(ctx context.Context) (metrics, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	db, err := sqldb.Open(ctx, sqldb.Options{Path: filepath.Join(dir, "gateway.db"), Name: "gateway"})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	kept, _, err := journal.Open(dir)
	if err != nil {
		return nil, err
	}
	defer kept.Close()
	all := quietTalk{}
	s, err := gateway.New(ctx, db, gateway.Options{Journal: kept, Key: make([]byte, 32), Profiles: all, Talks: all, Poster: all, Directory: all, Finder: all,
		Models: discover.Found{Registry: compile.Registry{Default: []compile.Model{{Provider: "none", ID: "none", Vendor: compile.VendorOllama}}}}})
	if err != nil {
		return nil, err
	}
	if err := furnish(ctx, db, s); err != nil {
		return nil, err
	}
	seed := rand.Uint64()
	fmt.Fprintf(os.Stderr, "seed %d\n", seed)
	draw := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	var took []float64
	var replies int
	var failed error
	var group sync.WaitGroup
	begun := time.Now()
	for due := time.Duration(0); due < replyWarm+replyTimed; due += time.Duration(draw.ExpFloat64() / replyRate * 1e9) {
		time.Sleep(time.Until(begun.Add(due)))
		room := draw.IntN(replyRooms)
		e := messageIn(room, 100+len(took), draw)
		agent := agentIn(room, draw.IntN(3))
		group.Go(func() {
			d, err := s.ShouldReply(ctx, e, agent)
			ms := float64((time.Since(begun) - due).Microseconds()) / 1e3
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed = err
			case due >= replyWarm:
				took = append(took, ms)
				if d.Action == "" {
					replies++
				}
			}
		})
	}
	group.Wait()
	return metrics{"p50_ms": quantile(took, .5), "p99_ms": quantile(took, .99), "per_second": float64(len(took)) / replyTimed.Seconds(),
		"replies_share": float64(replies) / float64(len(took)), "seed": seed}, failed
}

func agentIn(room, i int) event.AgentID { return event.AgentID(fmt.Sprintf("agent-%d-%d", room, i)) }

// furnish makes the agents, each with a mixture that its variations are drawn from,
// and a talk in every room.
func furnish(ctx context.Context, db *sqldb.DB, s *gateway.Service) error {
	var events []event.Event
	hear := func(p event.Payload) {
		events = append(events, event.New("bench", fmt.Sprint("e", len(events)), time.Now().UnixMicro(), p))
	}
	mixture, err := json.Marshal(policy.NewMixture(policy.Neutral(), []policy.Traits{policy.Neutral()}, policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, policy.Bounds{}, 0))
	if err != nil {
		return err
	}
	for room := range replyRooms {
		for i := range 3 {
			id := agentIn(room, i)
			doc := policy.Default(string(id))
			doc.Version, doc.AutonomyLevel = 1, 1
			raw, err := json.Marshal(doc)
			if err != nil {
				return err
			}
			hear(event.AgentCreated{AgentState: event.AgentState{AgentID: id, OwnerID: "ann", Version: 1, Policy: raw, Learning: true, Alive: true, Pace: "normal"}})
			hear(event.ExplorationUpdated{AgentID: id, Version: 1, Revision: 1, Mixture: mixture})
		}
		draw := rand.New(rand.NewPCG(1, uint64(room)))
		for n := range 12 {
			hear(inRoom(room, n+1, draw))
		}
	}
	return db.Write(ctx, func(tx *sqldb.Tx) error { return s.Consumer().Handle(ctx, tx, events) })
}

func messageIn(room, n int, draw *rand.Rand) event.Event {
	m := inRoom(room, n, draw)
	return event.New("bench", event.NewID(), time.Now().UnixMicro(), m)
}

// inRoom is a message of a person or, in a third of all cases, of an agent; a fifth
// speak to somebody.
func inRoom(room, n int, draw *rand.Rand) event.MessageCreated {
	m := event.MessageCreated{
		RoomID: event.RoomID(fmt.Sprint("room-", room)), MessageID: event.MessageID(fmt.Sprintf("m-%d-%d", room, n)), Sequence: int64(n),
		People: 2, Members: 5, Consent: true, Features: event.Features{Chars: 40, Tags: []string{"smalltalk"}},
		Author: event.Member{Kind: event.KindPerson, PersonID: "ann"},
	}
	if draw.IntN(3) == 0 {
		m.Author = event.Member{Kind: event.KindAgent, AgentID: agentIn(room, draw.IntN(3))}
	}
	if draw.IntN(5) == 0 {
		m.Addressed = []event.AgentID{agentIn(room, draw.IntN(3))}
	}
	for i := range 3 {
		m.Sessions = append(m.Sessions, event.MessageSession{AgentID: agentIn(room, i), SessionID: event.SessionID(fmt.Sprintf("s-%d-%d", room, i))})
	}
	return m
}
