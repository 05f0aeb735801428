package learning

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sequential"
	"rapport/internal/sqldb"
	"rapport/learning/evaluate"
	"rapport/learning/fold"
	"rapport/learning/wire"
	"rapport/policy"
)

// A release changes where agents start whose owners say nothing of it, or that are
// made for one archetype: each start has releases of its own, one at a time. It is
// proposed by the job of that name, or by an operator, and judged in the shadow on
// what agents with today's start tried anyway. When that says better, half of the
// owners who make such an agent get it, drawn by a key; the first sessions of theirs
// against those of the others decide. Agents that are there already are never
// touched.

// Release is a release as operators see it. Levels are of the traits that change.
type Release struct {
	ID         string             `json:"id"`
	Archetype  int                `json:"archetype,omitempty"` // whose start it changes; absent: of agents made for none
	Stage      string             `json:"stage" enum:"shadow,canary,adopted,reverted"`
	By         string             `json:"by" enum:"job,operator"`
	ProposedAt event.Micros       `json:"proposedAt"`
	ChangedAt  event.Micros       `json:"changedAt"` // when it reached the stage
	Reason     string             `json:"reason"`
	From       map[string]float64 `json:"from"`
	To         map[string]float64 `json:"to"`
	Gate       evaluate.Decision  `json:"gate"`    // of the newest look in the shadow
	With       int                `json:"with"`    // owners of fresh agents with it that have counted
	Without    int                `json:"without"` // and those without
	Better     *[2]float64        `json:"better"`  // 95 %: how much better its agents' first sessions were, in ratings; null before 5 on each side
}

// Who proposes a release.
const (
	byJob      = "job"
	byOperator = "operator"
)

const (
	canaryShare  = .5 // of owners: no start may change by more than .05, and half is decided soonest
	firstTalks   = 5  // an agent counts by the first so many sessions that its owner spoke of,
	firstDays    = 7  // of its first days
	youth        = 20 // sessions of an agent that the gate looks at
	enoughHeard  = .1 // what must be known of a session, in ratings: more than an engagement tells
	lookAgain    = 1.5
	fewestShown  = 5
	between      = 28 * day // from the end of a release to the job's next
	fewestAgents = 50       // behind the prior that the job proposes from,
	fewestOwners = 20       // and their owners
	leastGain    = .01      // of a trait's part, in ratings a session
	mostTraits   = 2        // that the job changes at once: more would be judged on too little
)

// patience is how long a release may stay undecided.
var patience = map[string]event.Micros{evaluate.InShadow: 90 * day, evaluate.InCanary: 180 * day}

// release is a row of rl_releases.
type release struct {
	evaluate.Rollout
	id, by, reason, draw string
	archetype            int // 0: of agents made for none
	proposed, changed    event.Micros
	looked               int
}

// open says whether it is under way.
func (r *release) open() bool { return r.Stage == evaluate.InShadow || r.Stage == evaluate.InCanary }

// changes are the traits that a release changes.
func (r *release) changes() (m policy.Mask) {
	for j := range r.From {
		if r.From[j] != r.To[j] {
			m |= 1 << j
		}
	}
	return m
}

// levels are those of the traits that change.
func (r *release) levels(x *policy.Traits) map[string]float64 {
	out := map[string]float64{}
	for _, t := range r.changes().Traits() {
		out[t.String()] = wire.Micro(x[t])
	}
	return out
}

func (r *release) shown() Release {
	out := Release{ID: r.id, Archetype: r.archetype, Stage: r.Stage, By: r.by, ProposedAt: r.proposed, ChangedAt: r.changed, Reason: r.reason, From: r.levels(&r.From), To: r.levels(&r.To),
		Gate: r.Decision, With: r.Canary.With.N, Without: r.Canary.Without.N}
	if out.Gate.LeftOut == nil {
		out.Gate.LeftOut = map[string]int{} // before the first look
	}
	if min(out.With, out.Without) >= fewestShown {
		lo, hi := r.Canary.Difference()
		out.Better = &[2]float64{wire.Micro(lo), wire.Micro(hi)}
	}
	return out
}

// got says whether an owner falls on the side with the release.
func (r *release) got(owner event.PersonID) bool {
	mac := hmac.New(sha256.New, []byte(r.draw))
	mac.Write([]byte(owner))
	return r.Gets([32]byte(mac.Sum(nil)))
}

// announce gives the event of the stage that the release is in.
func (r *release) announce() event.Event {
	p := event.ReleaseUpdated{ReleaseID: r.id, Archetype: int64(r.archetype), Stage: r.Stage, By: r.by, From: r.levels(&r.From), To: r.levels(&r.To), Reason: r.reason}
	return event.New("learning", event.DerivedID("learning", fold.Generation, r.id+" "+r.Stage, p.EventType(), p.Key(), 0), r.changed, p)
}

// Releases lists the releases, newest first, at most 100.
func (s *Service) Releases(ctx context.Context) (out []Release, err error) {
	out = []Release{}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := releases(tx)
		for _, r := range all[:min(len(all), 100)] {
			out = append(out, r.shown())
		}
		return err
	})
	return out, err
}

// ProposeRelease starts a release of other levels for fresh agents, in the shadow:
// for those of an archetype, or with 0 for those made for none. Faults:
// archetype_unknown, unknown_trait, release_refused for a level that is none or more
// than .05 from today's, release_open when one of this start is under way.
func (s *Service) ProposeRelease(ctx context.Context, archetype int, levels map[string]float64, at event.Micros) (out Release, err error) {
	if err := s.isArchetype(ctx, archetype); err != nil {
		return out, err
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		all, err := releases(tx)
		if err != nil {
			return err
		}
		to := today(all, archetype)
		for name, v := range levels {
			t, ok := policy.ParseTrait(name)
			if !ok {
				return fault.New(fault.Invalid, "unknown_trait", "There is no such trait; the traits are %s.", traitNames())
			}
			to[t] = v
		}
		r, err := begin(tx, all, archetype, to, byOperator, "proposed by an operator", at)
		if err == nil {
			out = r.shown()
		}
		return err
	})
	return out, err
}

// RevertRelease takes a release back: fresh agents start as before it. Those that
// began with it keep what they have. Faults: release_unknown, release_over when it
// was reverted already or another one was adopted after it.
func (s *Service) RevertRelease(ctx context.Context, id string, at event.Micros) (out Release, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		all, err := releases(tx)
		if err != nil {
			return err
		}
		for i, r := range all { // newest first
			switch {
			case r.id != id:
				continue
			case r.Stage == evaluate.IsReverted:
				return fault.New(fault.Conflict, "release_over", "This release is reverted already.")
			case r.Stage == evaluate.IsAdopted && slices.ContainsFunc(all[:i], func(later *release) bool { return later.archetype == r.archetype && later.Stage == evaluate.IsAdopted }):
				return fault.New(fault.Conflict, "release_over", "A later release was adopted on top of this one; revert that first.")
			}
			before := r.Stage
			r.Stage, r.Canary.Decided = evaluate.IsReverted, sequential.Revert
			err := r.turn(tx, before, "reverted by an operator", at)
			out = r.shown()
			return err
		}
		return fault.New(fault.NotFound, "release_unknown", "There is no such release; `rapport releases` lists them.")
	})
	return out, err
}

// DefaultStart is where a fresh agent of somebody starts in the traits that they
// did not choose, made for an archetype or with 0 for none. Asked while a release of
// that start is tried, it draws the owner's side and notes it; one who chose a level
// that the release changes takes no part. Equal questions get equal answers until the
// release is over. The fault is archetype_unknown.
func (s *Service) DefaultStart(ctx context.Context, owner event.PersonID, agent event.AgentID, archetype int, chosen policy.Mask, at event.Micros) (x policy.Traits, err error) {
	if err := s.isArchetype(ctx, archetype); err != nil {
		return x, err
	}
	var tried *release
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := releases(tx)
		x = today(all, archetype)
		if r := newestOf(all, archetype); r != nil && r.Stage == evaluate.InCanary && r.changes()&chosen == 0 {
			tried = r
		}
		return err
	})
	if err != nil || tried == nil {
		return x, err
	}
	got := tried.got(owner)
	if x = tried.From; got {
		x = tried.To
	}
	return x, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into rl_release_owners (release_id, owner_id, agent_id, at, got, counted) values ($1, $2, $3, $4, $5, $6)
			on conflict (release_id, owner_id) do nothing`, tried.id, owner, agent, at, got, false)
		return err
	})
}

// today is where fresh agents of an archetype start, or with 0 those made for none:
// where the newest adopted release of that start says. An archetype that has none
// yet starts where all others do.
func today(newestFirst []*release, archetype int) policy.Traits {
	for _, r := range newestFirst {
		if r.archetype == archetype && r.Stage == evaluate.IsAdopted {
			return r.To
		}
	}
	if archetype != 0 {
		return today(newestFirst, 0)
	}
	return policy.Neutral()
}

// newestOf is the newest release of one start; nil when there is none.
func newestOf(newestFirst []*release, archetype int) *release {
	for _, r := range newestFirst {
		if r.archetype == archetype {
			return r
		}
	}
	return nil
}

// isArchetype refuses ids of archetypes that the newest prior does not know.
func (s *Service) isArchetype(ctx context.Context, id int) error {
	if id == 0 {
		return nil
	}
	p, err := s.Published(ctx)
	if err == nil && p.Prior.place(id) < 0 {
		err = fault.New(fault.Invalid, "archetype_unknown", "There is no such archetype; `rapport archetypes` lists them.")
	}
	return err
}

// begin starts a release in the shadow.
func begin(tx *sqldb.Tx, all []*release, archetype int, to policy.Traits, by, reason string, at event.Micros) (*release, error) {
	from := today(all, archetype)
	if r := newestOf(all, archetype); r != nil && r.open() {
		return nil, fault.New(fault.Conflict, "release_open", "A release is under way; wait for it or revert it.")
	}
	bad := func(say string, args ...any) error { return fault.New(fault.Invalid, "release_refused", say, args...) }
	for j := range to {
		switch {
		case !(to[j] >= 0 && to[j] <= 1):
			return nil, bad("Send levels from 0 to 1.")
		case math.Abs(to[j]-from[j]) > evaluate.DefaultGate().MaxChange+1e-9:
			return nil, bad("%s starts at %.2f today; a release may change it by %.2f at most.", policy.Trait(j), from[j], evaluate.DefaultGate().MaxChange)
		}
	}
	if to == from {
		return nil, bad("This is where such agents start already; name a trait and another level.")
	}
	r := &release{Rollout: evaluate.NewRollout(from, to, sequential.NewCanary(canaryShare, -1, 1, .05)), id: event.NewID(), archetype: archetype, by: by, draw: event.NewID(), proposed: at}
	body, err := json.Marshal(r.Rollout)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(`insert into rl_releases (id, archetype, stage, by, proposed_at, changed_at, reason, draw, looked, body) values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)`,
		r.id, archetype, "", by, at, at, "", r.draw, string(body)); err != nil {
		return nil, err
	}
	return r, r.turn(tx, "", reason, at)
}

// turn writes down and tells the stage that a release reached.
func (r *release) turn(tx *sqldb.Tx, before, reason string, at event.Micros) error {
	r.changed, r.reason = at, reason
	if err := r.keep(tx, before); err != nil {
		return err
	}
	if r.Stage == evaluate.IsAdopted || r.Stage == evaluate.IsReverted {
		if _, err := tx.Exec(`delete from rl_release_owners where release_id = $1`, r.id); err != nil {
			return err
		}
	}
	return relay.Emit(tx, r.announce())
}

// keep writes a release down, if it still is in the stage in which it was read.
func (r *release) keep(tx *sqldb.Tx, before string) error {
	body, err := json.Marshal(r.Rollout)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`update rl_releases set stage = $1, changed_at = $2, reason = $3, looked = $4, body = $5 where id = $6 and stage = $7`,
		r.Stage, r.changed, r.reason, r.looked, string(body), r.id, before)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "release_turned", "The release reached another stage at the same moment; look again.")
	}
	return err
}

// releases reads them, newest first.
func releases(tx *sqldb.Tx) (out []*release, err error) {
	rows, err := tx.Query(`select id, archetype, stage, by, proposed_at, changed_at, reason, draw, looked, body from rl_releases order by proposed_at desc, id desc`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r release
		var stage, body string
		if err := rows.Scan(&r.id, &r.archetype, &stage, &r.by, &r.proposed, &r.changed, &r.reason, &r.draw, &r.looked, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &r.Rollout); err != nil {
			return nil, fmt.Errorf("release %s: %w", r.id, err)
		}
		r.Stage = stage
		out = append(out, &r)
	}
	return out, rows.Err()
}

func traitNames() string {
	var names []string
	for t := range policy.NTraits {
		names = append(names, policy.Trait(t).String())
	}
	return strings.Join(names, ", ")
}
