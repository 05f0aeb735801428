package learning

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/population"
	"rapport/learning/step"
	"rapport/policy"
)

// tb is what testing.TB and rapid.T have in common.
type tb interface {
	Helper()
	Fatal(...any)
	Skip(...any)
	Fatalf(string, ...any)
}

// bench is a learning context on a database of its own, fed by hand.
type bench struct {
	t tb
	s *Service
}

func newBench(t *testing.T) *bench { return benchIn(t, t.TempDir()) }

func benchIn(t tb, dir string) *bench {
	t.Helper()
	db, err := sqldb.Open(context.Background(), sqldbtest.Options(t, filepath.Join(dir, "learning.db"), "learning"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(context.Background(), db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t, s}
	b.publish()
	return b
}

// publish makes versions that stories adopt: one prior and calibration, and two
// reputations with other raters excluded.
func (b *bench) publish() {
	b.t.Helper()
	components := []step.Component{step.DefaultPrior().Components[0], step.DefaultPrior().Components[0]}
	components[0].Weight, components[1].Weight = .4, .6
	components[1].Mean[1] = .5
	prior, err := step.NewPrior(.15, components)
	if err != nil {
		b.t.Fatal(err)
	}
	loadings := *fusion.Defaults()
	loadings[fusion.Guest].V = .4
	for _, c := range []Content{
		Prior{population.Version{Formula: population.Formula, Prior: prior, NextID: 3, Archetypes: []population.Archetype{
			{ID: 1, Description: "warm", Centre: policy.Neutral(), Share: .4, Agents: 40, Owners: 30}, {ID: 2, Centre: policy.Neutral(), Importance: policy.Traits{1.7}, Share: .6, Agents: 60, Owners: 50}}}},
		Calibration{loadings, .6},
		Reputation{{Rater: "guest-1", Abuse: .99, Excluded: true}, {Rater: "guest-2", Agreement: .5}},
		Reputation{{Rater: "guest-2", Abuse: .9, Excluded: true}, {Rater: "guest-3", Agreement: .7}},
	} {
		if _, err := b.s.Publish(context.Background(), 1, c, "for tests"); err != nil {
			b.t.Fatal(err)
		}
	}
	b.emitted()
}

// clear empties every table and memory.
func (b *bench) clear() {
	b.t.Helper()
	horizon := b.s.horizon
	b.s = open(b.s.db)
	b.s.horizon = horizon
	err := b.s.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		for _, table := range append(b.s.Projections(), "outbox") {
			if _, err := tx.Exec("delete from " + table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// feed hands over events in batches of a size.
func (b *bench) feed(size int, events ...event.Event) {
	b.t.Helper()
	for len(events) > 0 {
		n := min(size, len(events))
		if err := b.s.db.Write(context.Background(), func(tx *sqldb.Tx) error {
			return b.s.handle(tx.Context(), tx, events[:n])
		}); err != nil {
			b.t.Fatal(err)
		}
		events = events[n:]
	}
}

// emitted takes what lies in the outbox, oldest first.
func (b *bench) emitted() []event.Event {
	b.t.Helper()
	var out []event.Event
	err := b.s.db.Write(context.Background(), func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select body from outbox order by n`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				return err
			}
			var e event.Event
			if err := json.Unmarshal(body, &e); err != nil {
				return err
			}
			out = append(out, e)
		}
		if err := rows.Close(); err != nil {
			return err
		}
		_, err = tx.Exec(`delete from outbox`)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// learnerTables are the cache of the fold.
var learnerTables = []string{"rl_learners", "rl_entries", "rl_checkpoints"}

// dump writes tables out, row by row in the order of their keys.
func (b *bench) dump(tables ...string) string {
	b.t.Helper()
	var out strings.Builder
	err := b.s.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		for _, table := range tables {
			rows, err := tx.Query(`select * from ` + table + ` order by 1, 2`)
			if err != nil {
				return err
			}
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s %v\n", table, columns)
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			for rows.Next() {
				if err := rows.Scan(values...); err != nil {
					return err
				}
				for _, v := range values {
					switch v := (*v.(*any)).(type) {
					case []byte:
						fmt.Fprintf(&out, " %x", v)
					default:
						fmt.Fprintf(&out, " %v", v)
					}
				}
				out.WriteByte('\n')
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.String()
}

// foldOf is the state after a list.
func foldOf(list []*fold.Entry) fold.State {
	s, err := fold.Of(list, nil)
	if err != nil {
		panic(err)
	}
	return s
}

// state is the folded state of an agent.
func (b *bench) state(agent string) (state fold.State) {
	b.t.Helper()
	err := b.s.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		l, err := b.s.readList(tx, agent)
		if err == nil {
			state, err = fold.After(l.begin, l.entries, l.lib)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return state
}

// library is one that has read all there is.
func (b *bench) library() *library {
	b.t.Helper()
	lib := b.s.library()
	if err := b.s.db.Read(context.Background(), func(tx *sqldb.Tx) error {
		top, err := newestVersions(tx)
		for v := range max(top.Prior, top.Calibration, top.Reputation) + 1 {
			if err == nil {
				err = lib.need(tx, fold.Versions{Prior: min(v, top.Prior), Calibration: min(v, top.Calibration), Reputation: min(v, top.Reputation)})
			}
		}
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return lib
}

// entries is the stored list of an agent.
func (b *bench) entries(agent string) (list []*fold.Entry) {
	b.t.Helper()
	if err := b.s.db.Read(context.Background(), func(tx *sqldb.Tx) (err error) {
		l, err := b.s.readList(tx, agent)
		list = l.entries
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return list
}

// story makes the events of one agent's life.
type story struct {
	agent, owner string
	now          event.Micros
	n            int
	doc          policy.Document
	baseline     []float64
	pace         string
	learning     bool
	alive        bool
	sessions     int
	starts       []event.Micros // of the sessions
	events       []event.Event
}

func newStory(agent string) *story {
	s := &story{agent: agent, owner: "owner-" + agent, now: 1_700_000_000_000_000, doc: policy.Default(agent), learning: true, alive: true, pace: "normal"}
	s.baseline = make([]float64, policy.NTraits)
	copy(s.baseline, s.doc.Traits[:])
	s.add(event.AgentCreated{AgentState: s.state()})
	return s
}

func (s *story) state() event.AgentState {
	d := s.doc
	d.ToneWeights = policy.ToneWeightsOf(d.Traits)
	b, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return event.AgentState{AgentID: event.AgentID(s.agent), OwnerID: event.PersonID(s.owner), Version: d.Version, Policy: b,
		Baseline: append([]float64(nil), s.baseline...), Learning: s.learning, Alive: s.alive, Pace: s.pace}
}

func (s *story) add(p event.Payload) event.Event {
	s.n++
	s.now += 60e6
	e := event.New("test", fmt.Sprintf("%s-e%05d", s.agent, s.n), s.now, p)
	s.events = append(s.events, e)
	return e
}

// change makes the next version.
func (s *story) change(kind string, traits ...string) event.Event {
	s.doc.Version++
	s.doc.Parent = s.doc.Version - 1
	s.doc.LastUpdatedBy = policy.ByOwner
	by := policy.ByOwner
	if kind == event.ChangeLearned || kind == event.ChangeWithdrawn {
		by = policy.ByLearning
	}
	return s.add(event.AgentUpdated{AgentState: s.state(), Change: event.Change{Kind: kind, By: by, Traits: traits}})
}

// accept makes what the learner proposed the next version, as the agent service
// would.
func (s *story) accept(p event.PolicyProposed) event.Event {
	var d policy.Document
	if err := json.Unmarshal(p.Policy, &d); err != nil {
		panic(err)
	}
	s.doc.Traits, s.doc.ActionPolicy = d.Traits, d.ActionPolicy
	s.doc.Version++
	s.doc.Parent = s.doc.Version - 1
	return s.add(event.AgentUpdated{AgentState: s.state(), Change: event.Change{Kind: p.Kind, By: policy.ByLearning, Cause: p.ProposalID}})
}

func (s *story) session(x policy.Traits) event.Event {
	s.sessions++
	s.now += 3600e6
	s.starts = append(s.starts, s.now)
	id := event.EpisodeID(fmt.Sprintf("%s-s%04d", s.agent, s.sessions))
	return s.add(event.ReplyGenerated{DecisionID: event.DecisionID(fmt.Sprintf("%s-d%05d", s.agent, s.n+1)), AgentID: event.AgentID(s.agent), OwnerID: event.PersonID(s.owner),
		SessionID: event.SessionID(id), EpisodeID: id, EpisodeStart: s.start(s.sessions), Action: "reply", Context: event.ContextDMWithOwner,
		X: x[:], Rendered: x[:], Free: uint16(policy.AllTraits), Consent: true})
}

func (s *story) start(session int) event.Micros { return s.starts[session-1] }

func (s *story) share(session int) []event.Share {
	return []event.Share{{EpisodeID: event.EpisodeID(fmt.Sprintf("%s-s%04d", s.agent, session)), Start: s.start(session), Weight: 1}}
}

// feedback is a signal of the owner about the latest session.
func (s *story) feedback(channel string, score float64) event.FeedbackCreated {
	return event.FeedbackCreated{FeedbackID: event.FeedbackID(fmt.Sprintf("%s-f%05d", s.agent, s.n+1)), AgentID: event.AgentID(s.agent), OwnerID: event.PersonID(s.owner),
		RaterID: event.PersonID(s.owner), Role: event.RoleOwner, Source: "owner", Channel: channel, Score: score, Shares: s.share(s.sessions),
		SessionID: event.SessionID(fmt.Sprintf("%s-s%04d", s.agent, s.sessions)), Tags: []string{"humor"}}
}

func (s *story) engagement(e float64) event.FeedbackCreated {
	f := s.feedback(event.ChannelBehaviour, e)
	f.Source, f.Signal = "implicit", "engagement/1"
	return f
}

func (s *story) retract(id event.FeedbackID) event.Event {
	return s.add(event.FeedbackRetracted{FeedbackID: id, AgentID: event.AgentID(s.agent), RaterID: event.PersonID(s.owner), Reason: "withdrawn"})
}

type tx = sqldb.Tx

// tallyWithoutRevision is the aggregated feedback without the count of changes.
func (b *bench) tallyWithoutRevision() string {
	var out []string
	for _, l := range strings.Split(b.dump("rl_feedback_projection"), "\n")[1:] {
		if f := strings.Fields(l); len(f) > 2 && strings.Join(f[2:], " ") != "0 0 0 0 0 0 0 0 0 {}" {
			out = append(out, strings.Join(append(f[:1], f[2:]...), " "))
		}
	}
	return strings.Join(out, "\n")
}
