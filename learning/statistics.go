package learning

import (
	"context"
	"database/sql"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/population"
)

// What jobs that serve all agents read. Each verb gives its rows by agent id, from
// one state of the database, and stops at the first error of yield, which it gives
// back. An agent that is retired, paused or killed is left out, and one whose newest
// session was protected.

// Statistics gives what a population refit takes: for each agent the sums that its
// learner is made of, and nothing from which an episode could be told.
func (s *Service) Statistics(ctx context.Context, yield func(population.Statistics) error) error {
	return s.db.Read(ctx, func(tx *sqldb.Tx) error {
		lib := s.library()
		return s.agents(tx, func(h head) error {
			state, err := h.state(s, tx, lib)
			if err != nil || state.Guarded || state.N == 0 {
				return err
			}
			return yield(population.Statistics{Agent: h.agent, Owner: h.owner, Start: state.Start, S: state.S, H: state.H, YY: state.YY, N: state.State.N})
		})
	})
}

// Pressers gives what is known of the tone buttons that each owner pressed, at all of
// their agents. Owners who never did are left out.
func (s *Service) Pressers(ctx context.Context) (all []fold.Presser, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		lib, place := s.library(), map[string]int{}
		return s.agents(tx, func(h head) error {
			state, err := h.state(s, tx, lib)
			if err != nil || state.Guarded || state.Presser.Seen == 0 {
				return err
			}
			i, known := place[h.owner]
			if !known {
				i = len(all)
				all, place[h.owner] = append(all, fold.Presser{}), i
			}
			all[i].Seen += state.Presser.Seen
			all[i].Agreed += state.Presser.Agreed
			return nil
		})
	})
	return all, err
}

// Observation is what the sources said of one episode: what a calibration takes.
type Observation struct {
	Agent  event.AgentID
	At     event.Micros
	Said   [fusion.NSources]bool
	Values [fusion.NSources]float64 // the mean by share, of those that said something
}

// Observations gives the episodes in which at least two sources said something, by
// agent and time. Tone buttons and check-ins are in other units and left out, and so
// is behaviour that nobody consented to or that was protected. It reads every list
// once: about a microsecond an entry.
func (s *Service) Observations(ctx context.Context, yield func(*Observation) error) error {
	return s.db.Read(ctx, func(tx *sqldb.Tx) error {
		return s.lists(tx, func(h head, l *list) error {
			for _, e := range l.entries {
				o := Observation{Agent: event.AgentID(h.agent), At: e.At}
				if o.of(&e.About) < 2 {
					continue
				}
				if err := yield(&o); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// of reads an episode and gives how many sources said something.
func (o *Observation) of(e *fold.Episode) (sources int) {
	var weights [fusion.NSources]float64
	for i := range e.Contributions {
		if c := &e.Contributions[i]; !c.CheckIn && e.Hears(c) && c.Share > 0 {
			weights[c.Source] += c.Share
			o.Values[c.Source] += c.Share * c.Value
		}
	}
	for m, w := range weights {
		if w > 0 {
			o.Values[m] /= w
			o.Said[m] = true
			sources++
		}
	}
	return sources
}

// Verdict is one judgement by somebody who is not the agent's owner, with what the
// learner would have said: what a reputation takes.
type Verdict struct {
	Agent     event.AgentID
	Rater     event.PersonID
	Feedback  event.FeedbackID
	At        event.Micros
	Source    fusion.Source // Guest or Review
	Value     float64       // in [-1,1]
	Share     float64       // of it that concerns the episode
	Predicted float64       // ŷ, from what was known before the episode, in units of an owner rating
}

// Verdicts gives the judgements of guests and reviewers since a time, by agent and
// time. Those of raters who are excluded are among them.
func (s *Service) Verdicts(ctx context.Context, since event.Micros, yield func(*Verdict) error) error {
	return s.db.Read(ctx, func(tx *sqldb.Tx) error {
		return s.lists(tx, func(h head, l *list) error {
			state, f := l.begin, fold.Folder{Library: l.lib, Newest: fold.Newest(l.entries, l.begin.Adopted)}
			for _, e := range l.entries {
				if err := verdicts(h, e, since, &state, &f, yield); err != nil {
					return err
				}
				if err := f.Apply(&state, e); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func verdicts(h head, e *fold.Entry, since event.Micros, state *fold.State, f *fold.Folder, yield func(*Verdict) error) error {
	predicted, known := 0., false
	for i := range e.About.Contributions {
		c := &e.About.Contributions[i]
		if c.Owner || c.Source.Behavioural() || c.Toward != 0 || c.At <= since {
			continue
		}
		if !known {
			x, active := e.About.Levels()
			if active == 0 {
				return nil
			}
			b, err := f.Believe(state)
			if err != nil {
				return err
			}
			phi := state.Features(&x, active)
			for i, v := range phi {
				predicted += v * b.M[i]
			}
			known = true
		}
		err := yield(&Verdict{Agent: event.AgentID(h.agent), Rater: event.PersonID(c.Rater), Feedback: event.FeedbackID(c.Feedback), At: c.At,
			Source: c.Source, Value: c.Value, Share: c.Share, Predicted: predicted})
		if err != nil {
			return err
		}
	}
	return nil
}

// head is the hot end of one agent's learner.
type head struct {
	agent, owner   string
	entries        int
	newest, before []byte
}

// agentsAtOnce is how many heads are held in memory.
const agentsAtOnce = 500

// agents gives the heads of those agents that learn, by id.
func (s *Service) agents(tx *sqldb.Tx, yield func(head) error) error {
	for after := ""; ; {
		page, last, err := headsAfter(tx, after)
		if err != nil || last == "" {
			return err
		}
		for _, h := range page {
			if err := yield(h); err != nil {
				return err
			}
		}
		after = last
	}
}

// headsAfter reads a page of heads, and the last id it looked at; empty at the end.
func headsAfter(tx *sqldb.Tx, after string) (page []head, last string, err error) {
	rows, err := tx.Query(`select p.agent_id, p.owner_id, p.canon, l.entries, l.newest, c.state from rl_agent_projection p
		join rl_learners l on l.agent_id = p.agent_id
		left join rl_checkpoints c on c.agent_id = p.agent_id and c.place = -1
		where p.agent_id > $1 and not p.retired order by p.agent_id limit $2`, after, agentsAtOnce)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	for rows.Next() {
		var h head
		var b sql.RawBytes
		var c canon
		if err := rows.Scan(&h.agent, &h.owner, &b, &h.entries, &h.newest, &h.before); err != nil {
			return nil, "", err
		}
		if err := c.read(b); err != nil {
			return nil, "", err
		}
		last = h.agent
		if c.Act.Learning && c.Act.Alive {
			page = append(page, h)
		}
	}
	return page, last, rows.Err()
}

// state is the agent's state now.
func (h *head) state(s *Service, tx *sqldb.Tx, lib *library) (fold.State, error) {
	state := fold.New()
	if h.entries > 1 && !state.Read(h.before) { // of another generation
		l, err := s.readList(tx, h.agent)
		if err != nil {
			return state, err
		}
		return fold.After(l.begin, l.entries, l.lib)
	}
	e, err := fold.ReadEntry(h.newest)
	if err != nil {
		return state, unreadable(err)
	}
	f := fold.Folder{Library: lib, Newest: fold.Newest([]*fold.Entry{e}, state.Adopted)}
	for _, v := range [...]fold.Versions{state.Adopted, f.Newest} {
		if err := lib.need(tx, v); err != nil {
			return state, err
		}
	}
	return state, f.Apply(&state, e)
}

// lists gives the whole lists of those agents that learn, by id.
func (s *Service) lists(tx *sqldb.Tx, yield func(head, *list) error) error {
	lib := s.library()
	return s.agents(tx, func(h head) error {
		state, err := h.state(s, tx, lib)
		if err != nil || state.Guarded {
			return err
		}
		l, err := s.readList(tx, h.agent)
		if err != nil {
			return err
		}
		return yield(h, &l)
	})
}
