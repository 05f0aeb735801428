package gateway

import (
	"encoding/json"
	"math"
	"strconv"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// episode is the part of a session under one variation.
type episode struct {
	id        event.EpisodeID
	ordinal   int64
	start     event.Micros
	version   int64
	revision  int64
	ownerActs int64
	protected bool
	commanded bool
	person    event.PersonID   // who commanded it
	feedback  event.FeedbackID // by which press
	x         policy.Traits
	free      policy.Mask
	density   *float64
	mixture   string // what x was drawn from, as it was published; '' when it was not drawn

	holdoutShare float64 // how likely the session was to be held out
	holdout      bool    // it is: x is the owner's start

	rulesTried int64 // version of the mapping rules that was on trial when the session began
	rulesGot   bool  // the session was drawn to get it

	stored bool // it is in the table; the desk's
}

// latest gives the newest episode of a session; nil for none.
func latest(tx *sqldb.Tx, of talk) (*episode, error) {
	e := episode{stored: true}
	var x string
	ok, err := tx.Get(`select episode_id, ordinal, start, version, revision, owner_acts, protected, commanded, x, free, log_density, mixture, holdout_share, holdout, rules_tried, rules_got from episodes
		where agent_id = $1 and session_id = $2 order by ordinal desc limit 1`, []any{of.agent, of.session},
		&e.id, &e.ordinal, &e.start, &e.version, &e.revision, &e.ownerActs, &e.protected, &e.commanded, &x, &e.free, &e.density, &e.mixture, &e.holdoutShare, &e.holdout, &e.rulesTried, &e.rulesGot)
	if err != nil || !ok {
		return nil, err
	}
	return &e, json.Unmarshal([]byte(x), (*[policy.NTraits]float64)(&e.x))
}

// episode gives the session's episode, a new one when there is none yet, when the
// owner acted since, or when protection began or ended. A learned version does
// not open one. The caller has the desk.
func (s *Service) episode(q question, v *view, old *episode, now event.Micros) *episode {
	if old != nil && old.ownerActs == v.ownerActs && old.protected == q.protected {
		return old
	}
	e := &episode{start: now, protected: q.protected}
	if old != nil {
		e.ordinal, e.start = old.ordinal+1, max(now, old.start+1)
		e.rulesTried, e.rulesGot = old.rulesTried, old.rulesGot
	} else {
		s.side(e, q.agent, q.session, v.set)
	}
	s.draw(e, q.agent, q.session, v)
	s.desk.open(talk{q.agent, q.session}, e)
	return e
}

// open makes an episode the newest of its session. The caller has the desk.
func (d *desk) open(of talk, e *episode) {
	e.id = event.EpisodeID(event.HashID("gateway", "episode", string(of.agent), string(of.session), strconv.FormatInt(e.ordinal, 10)))
	e.stored = false
	d.episodes.put(of, e)
}

// draw fills in the variation. With no mixture around the version in force, and
// where somebody is protected, it is the policy itself, nothing free. A session
// that is held out sits at the owner's start, nothing free, with the log of how
// likely that was for its density; all others have the density of the mixture
// alone, because who is held out is drawn apart from what is varied.
func (s *Service) draw(e *episode, agent event.AgentID, session event.SessionID, v *view) {
	e.version, e.revision, e.ownerActs = v.doc.Version, v.revision, v.ownerActs
	e.x, e.free, e.density = v.doc.Traits, 0, new(float64)
	if v.mixture == nil || e.protected {
		return
	}
	if e.holdoutShare = v.mixture.Holdout; v.mixture.HeldOut(s.mac("holdout", string(agent), string(session))) {
		e.holdout, e.x, *e.density = true, v.mixture.Start, math.Log(v.mixture.Holdout)
		return
	}
	key := s.mac("variation", string(agent), string(session), strconv.FormatInt(v.doc.Version, 10), strconv.FormatInt(v.revision, 10))
	x, free := v.mixture.Draw(key)
	if density := v.mixture.LogDensity(x, free); x.Valid() && !math.IsInf(density, 0) && !math.IsNaN(density) {
		e.x, e.free, *e.density, e.mixture = x, free, density, v.published
	} // else the mixture is no distribution: don't explore with it
}

// episodeRow is an episode as it is stored.
type episodeRow struct {
	ID           event.EpisodeID  `json:"id"`
	Ordinal      int64            `json:"ordinal"`
	Start        event.Micros     `json:"start"`
	Version      int64            `json:"version"`
	Revision     int64            `json:"revision"`
	OwnerActs    int64            `json:"owner_acts"`
	Protected    bool             `json:"protected,omitempty"`
	Commanded    bool             `json:"commanded,omitempty"`
	Person       event.PersonID   `json:"person,omitempty"`
	Feedback     event.FeedbackID `json:"feedback,omitempty"`
	X            json.RawMessage  `json:"x"`
	Free         policy.Mask      `json:"free"`
	LogDensity   *float64         `json:"log_density"`
	Mixture      string           `json:"mixture,omitempty"`
	HoldoutShare float64          `json:"holdout_share,omitempty"`
	Holdout      bool             `json:"holdout,omitempty"`
	RulesTried   int64            `json:"rules_tried,omitempty"`
	RulesGot     bool             `json:"rules_got,omitempty"`
}

func (e *episode) row() *episodeRow {
	x, err := json.Marshal([policy.NTraits]float64(e.x))
	if err != nil {
		panic(err) // levels are numbers between 0 and 1
	}
	return &episodeRow{e.id, e.ordinal, e.start, e.version, e.revision, e.ownerActs, e.protected, e.commanded, e.person, e.feedback, x, e.free, e.density,
		e.mixture, e.holdoutShare, e.holdout, e.rulesTried, e.rulesGot}
}

const (
	insertEpisodes = `insert into episodes (episode_id, agent_id, session_id, ordinal, start, version, revision, owner_acts, protected, commanded, person_id, feedback_id, x, free, log_density,
		mixture, holdout_share, holdout, rules_tried, rules_got) values `
	episodeColumns = 20
)

// columns adds the row's values to args.
func (r *episodeRow) columns(args []any, of talk) []any {
	return append(args, string(r.ID), string(of.agent), string(of.session), r.Ordinal, r.Start, r.Version, r.Revision, r.OwnerActs, r.Protected, r.Commanded, string(r.Person), string(r.Feedback),
		string(r.X), int64(r.Free), r.LogDensity, r.Mixture, r.HoldoutShare, r.Holdout, r.RulesTried, r.RulesGot)
}
