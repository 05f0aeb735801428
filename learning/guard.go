package learning

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math"
	"slices"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/step"
)

// The guard looks for agents that hold people while they do them no good: among
// the owners of one kind of agents engagement rises while check-ins fall. Their
// updates are frozen until that is over: what the evidence asks for is held back,
// and nothing is tried. It is never asked of single agents: a check-in a week is no
// statistic.

const (
	guardWindow   = 28 * day // the later half is compared with the earlier
	guardSessions = 200      // of a kind of agents in the window, at least
	guardOwners   = 20       // who can be compared, of engagement and of check-ins

	// One-sided levels of each of the two sign tests. A freeze takes both at .05 a
	// year, corrected (Bonferroni) for a look every night at as many kinds as there
	// can be; it ends when either would not be called a trend at one look any more.
	freezeLevel = .05 / (366 * step.MaxK)
	thawLevel   = .05
)

// halves are what one owner showed, or said, in the two halves of the window.
type halves struct{ sum, n [2]float64 }

func (h *halves) add(late bool, v float64) {
	k := 0
	if late {
		k = 1
	}
	h.sum[k] += v
	h.n[k]++
}

// rose is the later mean minus the earlier one; false when a half is empty.
func (h *halves) rose() (float64, bool) {
	if h.n[0] == 0 || h.n[1] == 0 {
		return 0, false
	}
	return h.sum[1]/h.n[1] - h.sum[0]/h.n[0], true
}

// kindOf is what the guard knows of the owners of one kind of agents.
type kindOf struct {
	agents             []guarded
	sessions           int
	engaged, checkedIn map[string]*halves // by owner
}

// guarded is an agent, and why it is frozen now; empty when it is not.
type guarded struct{ agent, frozen string }

// trend is a sign test: of those owners for whom something changed, for how many it
// went the asked way. One owner is one vote however much it changed.
type trend struct{ with, of int }

func trendOf(owners map[string]*halves, sign float64) (t trend, compared int) {
	for _, h := range owners {
		d, ok := h.rose()
		if ok {
			compared++
		}
		if d *= sign; d != 0 {
			t.of++
		}
		if d > 0 {
			t.with++
		}
	}
	return t, compared
}

// p is the probability of so many or more when up and down are equally likely:
// Σ_{k≥with} C(of,k) / 2^of.
func (t trend) p() float64 {
	whole, _ := math.Lgamma(float64(t.of + 1))
	sum := 0.
	for k := t.with; k <= t.of; k++ {
		a, _ := math.Lgamma(float64(k + 1))
		b, _ := math.Lgamma(float64(t.of - k + 1))
		sum += math.Exp(whole - a - b - float64(t.of)*math.Ln2)
	}
	return min(1, sum)
}

// judge says why a kind of agents is frozen; empty when it is not.
func (k *kindOf) judge() (frozen string) {
	up, engaged := trendOf(k.engaged, 1)
	down, checked := trendOf(k.checkedIn, -1)
	if k.sessions < guardSessions || engaged < guardOwners || checked < guardOwners {
		return ""
	}
	level, already := freezeLevel, 0
	for _, a := range k.agents {
		if a.frozen != "" {
			already++
		}
	}
	if 2*already > len(k.agents) {
		level = thawLevel
	}
	if up.p() > level || down.p() > level {
		return ""
	}
	return fmt.Sprintf("over four weeks engagement rose for %d of %d owners of agents like this one, while check-ins fell for %d of %d", up.with, up.of, down.with, down.of)
}

// guard is the job: it freezes updates where the guard says so, and lifts that where
// it does no longer.
func (s *Service) guard(ctx context.Context, due event.Micros) (done, error) {
	kinds, err := s.kinds(ctx, due)
	if err != nil {
		return done{}, err
	}
	frozen, changed := 0, 0
	for _, id := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[id]
		why := k.judge()
		if why != "" {
			frozen += len(k.agents)
		}
		n, err := s.tellGuard(ctx, k.agents, why, due)
		if err != nil {
			return done{}, err
		}
		changed += n
	}
	note := fmt.Sprintf("%d kinds of agents were looked at; %d agents are frozen", len(kinds), frozen)
	if changed == 0 {
		return done{RunUnchanged, note}, nil
	}
	return done{RunChanged, fmt.Sprintf("%s, for %d that is new or over", note, changed)}, nil
}

// tellGuard tells agents whether they are frozen, unless that is so already.
func (s *Service) tellGuard(ctx context.Context, agents []guarded, why string, due event.Micros) (changed int, err error) {
	reason := why
	if why == "" {
		reason = "it can no longer be said that engagement rises while check-ins fall"
	}
	for part := range slices.Chunk(agents, adoptAtOnce) {
		var out []event.Event
		for _, a := range part {
			if (a.frozen != "") == (why != "") {
				continue
			}
			p := event.GuardChanged{AgentID: event.AgentID(a.agent), Frozen: why != "", Reason: reason}
			out = append(out, event.New("learning", event.DerivedID("learning", fold.Generation, fmt.Sprintf("guard at %d", due), p.EventType(), a.agent, 0), due, p))
		}
		changed += len(out)
		if err := s.db.Write(ctx, func(tx *sqldb.Tx) error { return relay.Emit(tx, out...) }); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// kinds gathers the agents by the kind of owner that each most probably has under
// the newest prior; all in one when it knows none.
func (s *Service) kinds(ctx context.Context, due event.Micros) (map[int]*kindOf, error) {
	now, err := s.Published(ctx)
	if err != nil {
		return nil, err
	}
	out := map[int]*kindOf{}
	var b step.Belief
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		lib := s.library()
		return s.agents(tx, func(h head) error {
			state, err := h.state(s, tx, lib)
			if err != nil {
				return err
			}
			kind := now.Prior.likeliest(&state, &b)
			k := out[kind]
			if k == nil {
				k = &kindOf{engaged: map[string]*halves{}, checkedIn: map[string]*halves{}}
				out[kind] = k
			}
			of := map[string]*work{h.agent: {}}
			if err := loadCanons(tx, []string{h.agent}, of); err != nil {
				return err
			}
			k.agents = append(k.agents, guarded{h.agent, of[h.agent].canon.Frozen})
			if state.Guarded {
				return nil // protected: what is shown counts nothing
			}
			return k.look(tx, h, due)
		})
	})
	return out, err
}

// look takes in what an agent's owner showed and said within the window. Check-ins are
// about the agent as a whole, so that no episode has them.
func (k *kindOf) look(tx *sqldb.Tx, h head, due event.Micros) error {
	rows, err := tx.Query(`select at, body from rl_signals where agent_id = $1 and at > $2 and at <= $3`, h.agent, due-guardWindow, due)
	if err != nil {
		return err
	}
	defer rows.Close()
	sessions := map[string]bool{}
	for rows.Next() {
		var at event.Micros
		var body sql.RawBytes
		if err := rows.Scan(&at, &body); err != nil {
			return err
		}
		said, err := readSignal(h.agent, at, body)
		if err != nil {
			return err
		}
		var to map[string]*halves
		var value *float64
		switch {
		case said.PersonID != h.owner:
		case said.EngagementScore != nil:
			to, value = k.engaged, said.EngagementScore
			sessions[said.Session] = true
		case said.Channel == event.ChannelCheckIn:
			to, value = k.checkedIn, said.FeedbackScore
		}
		if value == nil {
			continue
		}
		if to[h.owner] == nil {
			to[h.owner] = &halves{}
		}
		to[h.owner].add(at > due-guardWindow/2, *value)
	}
	k.sessions += len(sessions)
	return rows.Err()
}

// guarded takes in whether the agent's updates are frozen. That is no entry: the
// learner listens as before.
func (w *work) guarded(in *incoming, p *event.GuardChanged) {
	c := w.canon
	if c == nil || in.Time < c.FrozenAt {
		return
	}
	c.Frozen, c.FrozenAt = "", in.Time
	if p.Frozen {
		c.Frozen = p.Reason
	}
	w.known, w.surround, w.last = true, true, in
}

// frozenBecause is what an owner is told.
func (c *canon) frozenBecause() string {
	if c.Frozen == "" {
		return ""
	}
	return "updates are frozen because " + c.Frozen
}
