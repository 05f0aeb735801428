package learning

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/population"
	"rapport/learning/step"
	"rapport/learning/wire"
	"rapport/policy"
)

// Parameters are what all agents' learners share: a prior, what each source of
// signals tells, and what each rater counts for. Each kind has numbered versions
// that never change; 0 is its default. An agent uses a version from the entry on
// at which it adopted it.

// Content is one version of one kind of parameters: a Prior, a Calibration or a
// Reputation.
type Content interface {
	kind() string
	body() ([]byte, error)
	// announce gives the events that tell of a version that follows another body
	// (nil for the first).
	announce(version int64, before []byte) ([]event.Payload, error)
}

// The kinds, as they are stored.
const (
	kindPrior       = "prior"
	kindCalibration = "calibration"
	kindReputation  = "reputation"
)

// Prior is what a population refit found.
type Prior struct{ population.Version }

// Calibration is what each source of signals tells.
type Calibration struct{ fusion.Loadings }

// Reputation is what is known of each rater who does not simply count fully, by
// person id.
type Reputation map[event.PersonID]Rater

// Rater is what is known of one: two measures, and what follows from them.
type Rater struct {
	Agreement float64 `json:"agreement"` // [0,1]
	Abuse     float64 `json:"abuse"`     // [0,1]
	Weight    float64 `json:"weight"`    // g², what a judgement counts, [0,1]
	Excluded  bool    `json:"excluded,omitempty"`
}

func (Prior) kind() string       { return kindPrior }
func (Calibration) kind() string { return kindCalibration }
func (Reputation) kind() string  { return kindReputation }

// priorForm is a prior as it is stored: the prior itself in its own encoding,
// which another formula version refuses.
type priorForm struct {
	Formula    int             `json:"formula"`
	Prior      []byte          `json:"prior"`
	Archetypes []archetypeForm `json:"archetypes"`
	NextID     int             `json:"nextId"`
}

type archetypeForm struct {
	ID          int             `json:"id"`
	Description string          `json:"description"`
	Centre      [step.D]float64 `json:"centre"`
	Importance  [step.D]float64 `json:"importance"`
	Share       float64         `json:"share"`
	Agents      int             `json:"agents"`
	Owners      int             `json:"owners"`
}

func (p Prior) body() ([]byte, error) {
	prior := p.Prior
	if prior == nil {
		prior = step.DefaultPrior()
	}
	f := priorForm{p.Formula, prior.Append(nil), []archetypeForm{}, p.NextID}
	for _, a := range p.Archetypes {
		f.Archetypes = append(f.Archetypes, archetypeForm{a.ID, a.Description, a.Centre, a.Importance, a.Share, a.Agents, a.Owners})
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	_, err = readPrior(b)
	return b, err
}

// readPrior reads a stored prior. The error is errParameters and names the formula
// when it is another one's.
func readPrior(b []byte) (p Prior, err error) {
	var f priorForm
	if err := json.Unmarshal(b, &f); err != nil {
		return p, fmt.Errorf("%w: %v", errParameters, err)
	}
	if f.Formula != population.Formula {
		return p, fmt.Errorf("%w: a prior of formula %d, this program learns by formula %d", errParameters, f.Formula, population.Formula)
	}
	p.Formula, p.NextID = f.Formula, f.NextID
	for _, a := range f.Archetypes {
		p.Archetypes = append(p.Archetypes, population.Archetype{ID: a.ID, Description: a.Description, Centre: a.Centre, Importance: a.Importance,
			Share: a.Share, Agents: a.Agents, Owners: a.Owners})
	}
	if p.Prior, err = step.ReadPrior(f.Prior); err != nil {
		return p, fmt.Errorf("%w: %w", errParameters, err)
	}
	return p, nil
}

func (p Prior) announce(version int64, _ []byte) ([]event.Payload, error) {
	e := event.PopulationUpdated{Version: version, K: len(p.Archetypes), Archetypes: []event.Archetype{}}
	for _, a := range p.Archetypes {
		told := event.Archetype{ID: int64(a.ID), Centre: map[string]float64{}, Share: wire.Micro(a.Share), Agents: a.Agents, Owners: a.Owners}
		for j, v := range a.Centre {
			told.Centre[policy.Trait(j).String()] = wire.Micro(v)
		}
		e.Agents += a.Agents
		e.Archetypes = append(e.Archetypes, told)
	}
	return []event.Payload{e}, nil
}

func (c Calibration) body() ([]byte, error) {
	b, err := json.Marshal(c.Loadings)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errParameters, err)
	}
	_, err = readCalibration(b)
	return b, err
}

func readCalibration(b []byte) (c Calibration, err error) {
	var list []fusion.Loading
	if err := json.Unmarshal(b, &list); err != nil {
		return c, fmt.Errorf("%w: %v", errParameters, err)
	}
	if len(list) != len(c.Loadings) {
		return c, fmt.Errorf("%w: loadings of %d sources, this program knows %d", errParameters, len(list), len(c.Loadings))
	}
	for i, l := range list {
		if !(l.V > 0) {
			return c, fmt.Errorf("%w: the noise of source %d is %v", errParameters, i, l.V)
		}
		c.Loadings[i] = l
	}
	return c, nil
}

func (Calibration) announce(version int64, _ []byte) ([]event.Payload, error) {
	return []event.Payload{event.CalibrationUpdated{Version: version}}, nil
}

func (r Reputation) body() ([]byte, error) {
	for id, v := range r {
		for _, share := range [...]float64{v.Agreement, v.Abuse, v.Weight} {
			if !(share >= 0 && share <= 1) {
				return nil, fmt.Errorf("%w: a measure of rater %s is %v", errParameters, id, share)
			}
		}
	}
	return json.Marshal(r) // sorted by id
}

func readReputation(b []byte) (r Reputation, err error) {
	r = Reputation{}
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%w: %v", errParameters, err)
	}
	return r, nil
}

// announce tells of those raters of whom something else is known now.
func (r Reputation) announce(version int64, before []byte) (out []event.Payload, err error) {
	old := Reputation{}
	if before != nil {
		if old, err = readReputation(before); err != nil {
			return nil, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r)) {
		if v := r[id]; v != old[id] {
			out = append(out, event.ReputationUpdated{RaterID: id, Version: version, Agreement: wire.Micro(v.Agreement), Abuse: wire.Micro(v.Abuse), Excluded: v.Excluded})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(old)) {
		if _, still := r[id]; !still {
			out = append(out, event.ReputationUpdated{RaterID: id, Version: version, Agreement: 1})
		}
	}
	return out, nil
}

// errParameters is the error of parameters that cannot be used; the text says why.
var errParameters = errors.New("parameters refused")

// Publish stores the next version of a kind of parameters and tells the others of
// it. No agent uses it before it adopts it. What equals the newest version is not
// published again: that version comes back. The fault is parameters_refused (Invalid)
// with the reason, for a prior of another formula too.
func (s *Service) Publish(ctx context.Context, at event.Micros, c Content, note string) (version int64, err error) {
	body, err := c.body()
	if err != nil {
		return 0, fault.New(fault.Invalid, "parameters_refused", "The %s was not published: %v.", c.kind(), err).Because(err)
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var newest []byte
		if _, err := tx.Get(`select version, body from rl_parameters where kind = $1 order by version desc limit 1`, []any{c.kind()}, &version, &newest); err != nil {
			return err
		}
		if version > 0 && bytes.Equal(newest, body) {
			return nil
		}
		version++
		if _, err := tx.Exec(`insert into rl_parameters (kind, version, at, body, note) values ($1, $2, $3, $4, $5)`, c.kind(), version, at, body, note); err != nil {
			return err
		}
		payloads, err := c.announce(version, newest)
		if err != nil {
			return err
		}
		out := make([]event.Event, len(payloads))
		for i, p := range payloads {
			id := event.DerivedID("learning", fold.Generation, fmt.Sprintf("%s %d", c.kind(), version), p.EventType(), p.Key(), 0)
			out[i] = event.New("learning", id, at, p)
		}
		return relay.Emit(tx, out...)
	})
	return version, err
}

// Published is the newest version of each kind; for version 0 the defaults.
type Published struct {
	Versions    fold.Versions
	Prior       Prior
	Calibration Calibration
	Reputation  Reputation
}

// Published reads the newest parameters: what the next refit begins from.
func (s *Service) Published(ctx context.Context) (p Published, err error) {
	p = Published{Prior: Prior{population.Version{Formula: population.Formula, Prior: step.DefaultPrior(), NextID: 1}},
		Calibration: Calibration{*fusion.Defaults()}, Reputation: Reputation{}}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		if p.Versions, err = newestVersions(tx); err != nil {
			return err
		}
		for kind, read := range map[string]func(b []byte) (err error){
			kindPrior:       func(b []byte) (err error) { p.Prior, err = readPrior(b); return err },
			kindCalibration: func(b []byte) (err error) { p.Calibration, err = readCalibration(b); return err },
			kindReputation:  func(b []byte) (err error) { p.Reputation, err = readReputation(b); return err },
		} {
			var body []byte
			found, err := tx.Get(`select body from rl_parameters where kind = $1 order by version desc limit 1`, []any{kind}, &body)
			if err == nil && found {
				err = read(body)
			}
			if err != nil {
				return fmt.Errorf("newest %s: %w", kind, err)
			}
		}
		return nil
	})
	return p, err
}

func newestVersions(tx *sqldb.Tx) (v fold.Versions, err error) {
	rows, err := tx.Query(`select kind, max(version) from rl_parameters group by kind`)
	if err != nil {
		return v, err
	}
	defer rows.Close()
	for rows.Next() {
		var kind string
		var n uint32
		if err := rows.Scan(&kind, &n); err != nil {
			return v, err
		}
		switch kind {
		case kindPrior:
			v.Prior = n
		case kindCalibration:
			v.Calibration = n
		case kindReputation:
			v.Reputation = n
		}
	}
	return v, rows.Err()
}

// Adopt lets agents use the newest versions from here on: all living ones when none
// is named. Those that do already are passed over. It gives how many adopt.
func (s *Service) Adopt(ctx context.Context, at event.Micros, agents ...event.AgentID) (n int, err error) {
	var to fold.Versions
	var candidates []string
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		if to, err = newestVersions(tx); err != nil {
			return err
		}
		if len(agents) > 0 {
			for _, id := range agents {
				candidates = append(candidates, string(id))
			}
			return nil
		}
		candidates, err = column(tx, `select agent_id from rl_agent_projection where not retired order by agent_id`)
		return err
	})
	if err != nil {
		return 0, err
	}
	for len(candidates) > 0 {
		part := candidates[:min(len(candidates), adoptAtOnce)]
		candidates = candidates[len(part):]
		err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
			of := map[string]*work{}
			for _, id := range part {
				of[id] = &work{agent: id}
			}
			if err := loadCanons(tx, part, of); err != nil {
				return err
			}
			var out []event.Event
			for _, id := range part {
				c := of[id].canon
				if c == nil || c.Retired || c.Adopted == to {
					continue
				}
				p := event.ParametersAdopted{AgentID: event.AgentID(id), Prior: int64(to.Prior), Calibration: int64(to.Calibration), Reputation: int64(to.Reputation)}
				cause := fmt.Sprintf("%v at %d", to, at)
				out = append(out, event.New("learning", event.DerivedID("learning", fold.Generation, cause, p.EventType(), id, 0), at, p))
			}
			n += len(out)
			return relay.Emit(tx, out...)
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// adoptAtOnce is how many agents are told in one transaction.
const adoptAtOnce = 500

// library is what was read of rl_parameters: the fold.Library of the context.
type library struct {
	mu          sync.RWMutex
	priors      map[uint32]*step.Prior
	loadings    map[uint32]*fusion.Loadings
	reputations map[uint32]fold.Reputation
}

func newLibrary() *library {
	d := fold.Defaults()
	return &library{priors: map[uint32]*step.Prior{0: d.Prior(0)}, loadings: map[uint32]*fusion.Loadings{0: d.Calibration(0)},
		reputations: map[uint32]fold.Reputation{0: d.Reputation(0)}}
}

// Prior gives a prior; nil when it was not read.
func (l *library) Prior(v uint32) *step.Prior {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.priors[v]
}

// Calibration gives loadings; nil when they were not read.
func (l *library) Calibration(v uint32) *fusion.Loadings {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.loadings[v]
}

// Reputation gives what raters count for; nil when it was not read.
func (l *library) Reputation(v uint32) fold.Reputation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.reputations[v]
}

// need reads versions that were not read yet. The error is errParameters when there
// is no such version, or none that can be used.
func (l *library) need(tx *sqldb.Tx, v fold.Versions) error {
	if l.Prior(v.Prior) == nil {
		err := l.read(tx, kindPrior, v.Prior, func(b []byte) error {
			p, err := readPrior(b)
			if err == nil {
				l.priors[v.Prior] = p.Prior
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if l.Calibration(v.Calibration) == nil {
		err := l.read(tx, kindCalibration, v.Calibration, func(b []byte) error {
			c, err := readCalibration(b)
			if err == nil {
				l.loadings[v.Calibration] = &c.Loadings
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	if l.Reputation(v.Reputation) == nil {
		return l.read(tx, kindReputation, v.Reputation, func(b []byte) error {
			r, err := readReputation(b)
			if err != nil {
				return err
			}
			regards := make(fold.Reputation, len(r))
			for id, v := range r {
				regards[string(id)] = fold.Regard{Weight: v.Weight, Excluded: v.Excluded}
			}
			l.reputations[v.Reputation] = regards
			return nil
		})
	}
	return nil
}

func (l *library) read(tx *sqldb.Tx, kind string, version uint32, keep func([]byte) error) error {
	var body []byte
	found, err := tx.Get(`select body from rl_parameters where kind = $1 and version = $2`, []any{kind, version}, &body)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: there is no %s of version %d here", errParameters, kind, version)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := keep(body); err != nil {
		return fmt.Errorf("%s %d: %w", kind, version, err)
	}
	return nil
}
