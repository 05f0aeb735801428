package learning

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"rapport/event"
	"rapport/internal/sequential"
	"rapport/internal/sqldb"
	"rapport/learning/evaluate"
	"rapport/learning/step"
	"rapport/policy"
)

// release is the job: of the start of agents made for no archetype, and of each
// archetype's, it moves the release that is under way, or proposes one.
func (s *Service) release(ctx context.Context, due event.Micros) (d done, err error) {
	var all []*release
	err = s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		all, err = releases(tx)
		return err
	})
	if err != nil {
		return done{}, err
	}
	p, err := s.Published(ctx)
	if err != nil {
		return done{}, err
	}
	d.outcome = RunUnchanged
	var notes []string
	for _, archetype := range startsOf(&p.Prior, all) {
		one, failed := s.releaseOf(ctx, archetype, &p.Prior, all, due)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		if archetype != 0 {
			one.note = fmt.Sprintf("archetype %d: %s", archetype, one.note)
		}
		if one.outcome != RunUnchanged {
			d.outcome = one.outcome
		}
		notes = append(notes, one.note)
	}
	d.note = strings.Join(notes, "; ")
	return d, err
}

// startsOf are the starts that have releases: that of agents made for none, 0, those
// of the archetypes that there are to choose from, and those with a release under way.
func startsOf(p *Prior, all []*release) []int {
	ids := []int{0}
	if len(p.Archetypes) > 1 {
		for _, a := range p.Archetypes {
			ids = append(ids, a.ID)
		}
	}
	for _, r := range all {
		if r.open() && !slices.Contains(ids, r.archetype) {
			ids = append(ids, r.archetype)
		}
	}
	slices.Sort(ids)
	return ids
}

// releaseOf is the job for one start.
func (s *Service) releaseOf(ctx context.Context, archetype int, p *Prior, all []*release, due event.Micros) (done, error) {
	r := newestOf(all, archetype)
	switch {
	case r == nil || !r.open():
		return s.proposeStart(ctx, archetype, p, all, due)
	case archetype != 0 && p.place(archetype) < 0:
		return s.endOfKind(ctx, r, due)
	case r.Stage == evaluate.InShadow:
		return s.watch(ctx, r, p, due)
	}
	return s.hear(ctx, r, due)
}

// endOfKind reverts the release of an archetype that is no more.
func (s *Service) endOfKind(ctx context.Context, r *release, due event.Micros) (done, error) {
	const reason = "the last refit does not find this kind of owners any more"
	before := r.Stage
	r.Stage, r.Canary.Decided = evaluate.IsReverted, sequential.Revert
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error { return r.turn(tx, before, reason, due) })
	return done{RunChanged, r.Stage + ": " + reason}, err
}

// proposeStart proposes what the owners in the prior, or those of an archetype, would
// like better on average than where their fresh agents start today.
func (s *Service) proposeStart(ctx context.Context, archetype int, p *Prior, all []*release, due event.Micros) (done, error) {
	if last := newestOf(all, archetype); last != nil && due < last.changed+between {
		return done{RunUnchanged, "the last release ended less than four weeks ago"}, nil
	}
	agents, owners := 0, 0
	components := p.Prior.Components
	for k, a := range p.Archetypes {
		if archetype == 0 || archetype == a.ID {
			agents, owners = agents+a.Agents, owners+a.Owners
		}
		if archetype == a.ID {
			components = []step.Component{p.Prior.Components[k]}
			components[0].Weight = 1
		}
	}
	if agents < fewestAgents || owners < fewestOwners {
		return done{RunUnchanged, fmt.Sprintf("%d agents of %d owners say too little of where fresh agents should start; it takes %d of %d", agents, owners, fewestAgents, fewestOwners)}, nil
	}
	to, gain := betterStart(components, today(all, archetype))
	if gain == 0 {
		return done{RunUnchanged, "fresh agents start about where it is best on average"}, nil
	}
	var r *release
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		all, err := releases(tx)
		if err == nil {
			r, err = begin(tx, all, archetype, to, byJob, fmt.Sprintf("the prior expects %.3f ratings more a session", gain), due)
		}
		return err
	})
	if err != nil {
		return done{}, err
	}
	return done{RunChanged, fmt.Sprintf("proposed %v instead of %v", r.levels(&r.To), r.levels(&r.From))}, nil
}

// betterStart is the start within .05 a trait that is best on average for some kinds
// of owners who say nothing of it, in the two traits that gain most, and what is
// expected of it in ratings a session. With z⁰ = 2·from−1 and d = 2(x−from) the part
// of trait j is
//
//	Σ_k π_k [(β1_kj + G_kj z⁰_j) d_j + β2_kj d_j²],
//
// the start of today being the owner's start as far as the prior is concerned.
func betterStart(kinds []step.Component, from policy.Traits) (to policy.Traits, gain float64) {
	most := evaluate.DefaultGate().MaxChange
	to = from
	var better [policy.NTraits]float64
	for j := range from {
		z0, linear, quadratic := 2*from[j]-1, 0., 0.
		for k := range kinds {
			c := &kinds[k]
			linear += c.Weight * (c.Mean[1+j] + c.Slope[j]*z0)
			quadratic += c.Weight * c.Mean[1+policy.NTraits+j]
		}
		for x := max(0, from[j]-most); x <= min(1, from[j]+most)+1e-9; x += .01 {
			level := min(1, math.Round(100*x)/100)
			d := 2 * (level - from[j])
			if g := linear*d + quadratic*d*d; g > better[j] && math.Abs(level-from[j]) <= most+1e-9 {
				better[j], to[j] = g, level
			}
		}
	}
	kept := policy.Mask(0)
	for range mostTraits {
		best := -1
		for j := range better {
			if !kept.Has(policy.Trait(j)) && better[j] >= leastGain && (best < 0 || better[j] > better[best]) {
				best = j
			}
		}
		if best >= 0 {
			kept |= 1 << best
			gain += better[best]
		}
	}
	for j := range to {
		if !kept.Has(policy.Trait(j)) {
			to[j] = from[j]
		}
	}
	return to, gain
}

// watch lets the gate look at what agents with today's start tried, once half as
// many sessions again are there as at its last look: it is no test for every night.
func (s *Service) watch(ctx context.Context, r *release, p *Prior, due event.Micros) (done, error) {
	sessions, err := s.young(ctx, r, p)
	if err != nil {
		return done{}, err
	}
	before, reason := r.Stage, ""
	gate := evaluate.DefaultGate()
	switch {
	case due > r.changed+patience[before]:
		r.Stage, r.Canary.Decided = evaluate.IsReverted, sequential.Revert
		reason = "what agents tried did not say in 90 days that it is better"
	case len(sessions) < gate.MinSessions || float64(len(sessions)) < lookAgain*float64(r.looked):
		return done{RunUnchanged, fmt.Sprintf("in the shadow: %d sessions of young agents with today's start, the next look is at %.0f", len(sessions),
			max(float64(gate.MinSessions), math.Ceil(lookAgain*float64(r.looked))))}, nil
	default:
		r.looked = len(sessions)
		if r.Watch(gate, sessions); r.Stage == before {
			reason = r.reason
		} else {
			reason = fmt.Sprintf("better by %.3f ratings a session, from %d sessions of agents with today's start", r.Decision.Improvement.Value, r.Decision.Sessions)
		}
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if r.Stage == before {
			return r.keep(tx, before)
		}
		return r.turn(tx, before, reason, due)
	})
	switch {
	case err != nil:
		return done{}, err
	case r.Stage == before:
		return done{RunUnchanged, "in the shadow: " + r.Decision.Waits.Reason}, nil
	}
	return done{RunChanged, r.Stage + ": " + reason}, nil
}

// manySessions is how many sessions the gate looks at, at most.
const manySessions = 5000

// young are the first sessions of agents that started where fresh ones start today
// in what the release changes, as many of each owner; of an archetype's release those
// of agents whose owners are most probably of that kind.
func (s *Service) young(ctx context.Context, r *release, p *Prior) (out []evaluate.Session, err error) {
	if s.o.Sessions == nil {
		return nil, nil
	}
	type one struct {
		agent string
		owner string
	}
	var agents []one
	var b step.Belief
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		lib := s.library()
		return s.agents(tx, func(h head) error {
			if r.archetype != 0 {
				state, err := h.state(s, tx, lib)
				if err != nil || p.likeliest(&state, &b) != r.archetype {
					return err
				}
			}
			of := map[string]*work{h.agent: {}}
			if err := loadCanons(tx, []string{h.agent}, of); err != nil {
				return err
			}
			for _, t := range r.changes().Traits() {
				if math.Abs(of[h.agent].canon.Act.Baseline[t]-r.From[t]) > 1e-6 {
					return nil
				}
			}
			agents = append(agents, one{h.agent, h.owner})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	heard := map[string]int{}
	for _, a := range agents {
		sessions, err := s.o.Sessions.Sessions(ctx, event.AgentID(a.agent))
		if err != nil {
			return nil, err
		}
		n := min(len(sessions), max(0, youth-heard[a.owner]), manySessions-len(out))
		heard[a.owner] += n
		out = append(out, sessions[:n]...)
	}
	return out, nil
}

// verdict is what the first sessions of an owner's fresh agent were worth.
type verdict struct {
	owner string
	got   bool
	none  bool // nobody knows, and nobody will
	value float64
}

// hear takes in what owners thought of their fresh agents' first sessions, on both
// sides, and lets the confidence sequences decide.
func (s *Service) hear(ctx context.Context, r *release, due event.Micros) (done, error) {
	verdicts, err := s.verdictsOf(ctx, r, due)
	if err != nil {
		return done{}, err
	}
	before := r.Stage
	for _, v := range verdicts {
		if v.none {
			continue
		}
		if err := r.Heard(v.got, v.value); err != nil {
			return done{}, err
		}
	}
	reason := ""
	lo, hi := r.Canary.Difference()
	with, without := r.Canary.With.N, r.Canary.Without.N
	switch {
	case r.Stage == evaluate.IsReverted:
		reason = fmt.Sprintf("worse: first sessions were between %.3f and %.3f ratings worse, of %d owners against %d", -hi, -lo, with, without)
	case r.Stage == evaluate.IsAdopted:
		reason = fmt.Sprintf("not worse by %.2f: first sessions were between %+.3f and %+.3f ratings better, of %d owners against %d", r.Canary.Margin, lo, hi, with, without)
	case due > r.changed+patience[before]:
		r.Stage, r.Canary.Decided = evaluate.IsReverted, sequential.Revert
		reason = fmt.Sprintf("undecided after 180 days, from %d owners with it and %d without", with, without)
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		for _, v := range verdicts {
			q := `update rl_release_owners set counted = true where release_id = $1 and owner_id = $2`
			if v.none {
				q = `delete from rl_release_owners where release_id = $1 and owner_id = $2`
			}
			if _, err := tx.Exec(q, r.id, v.owner); err != nil {
				return err
			}
		}
		// what is left of agents that are no more is the count
		if _, err := tx.Exec(`delete from rl_release_owners where agent_id in (select agent_id from rl_agent_projection where retired)`); err != nil {
			return err
		}
		if r.Stage == before {
			return r.keep(tx, before)
		}
		return r.turn(tx, before, reason, due)
	})
	switch {
	case err != nil:
		return done{}, err
	case r.Stage == before:
		return done{RunUnchanged, fmt.Sprintf("tried: %d owners with it and %d without have counted", with, without)}, nil
	}
	return done{RunChanged, r.Stage + ": " + reason}, nil
}

// verdictsOf gives the verdicts that are complete and not counted yet, in the order
// of the agents' making: the mean satisfaction, cut to a rating's range, of the
// first five sessions of the first week that the owner spoke of. A session may be
// spoken of for a day after that week.
func (s *Service) verdictsOf(ctx context.Context, r *release, due event.Micros) (out []verdict, err error) {
	type pending struct {
		verdict
		agent string
		at    event.Micros
	}
	var all []pending
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select o.owner_id, o.agent_id, o.at, o.got, coalesce(p.owner_id, '') from rl_release_owners o
			left join rl_agent_projection p on p.agent_id = o.agent_id and not p.retired
			where o.release_id = $1 and not o.counted order by o.at, o.owner_id`, r.id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p pending
			var now string
			if err := rows.Scan(&p.owner, &p.agent, &p.at, &p.got, &now); err != nil {
				return err
			}
			p.none = now != p.owner // retired, given away, or not made
			all = append(all, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		over := due > p.at+(firstDays+1)*day
		if p.none {
			if over {
				out = append(out, p.verdict)
			}
			continue
		}
		var l list
		if err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			l, err = s.readList(tx, p.agent)
			return err
		}); err != nil {
			return nil, err
		}
		n := 0
		for _, e := range l.entries {
			if !e.Episodic() || n == firstTalks || e.At > p.at+firstDays*day {
				continue
			}
			if y, w := owned(&e.About); w >= enoughHeard {
				p.value += min(1, max(-1, y))
				n++
			}
		}
		switch {
		case n == firstTalks || over && n > 0:
			p.value /= float64(n)
			out = append(out, p.verdict)
		case over:
			p.none = true
			out = append(out, p.verdict)
		}
	}
	return out, nil
}
