package learning

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/population"
	"rapport/learning/rater"
	"rapport/learning/step"
	"rapport/learning/wire"
	"rapport/policy"
)

// Parameters are what all agents' learners share: a prior, what each source of
// signals tells, and what each rater counts for. Each kind has numbered versions
// that never change; 0 is its default. An agent uses a version from the entry on
// at which it adopted it.

// Content is what one version of one kind of parameters says: a Prior, a
// Calibration or a Reputation.
type Content interface {
	kind() string
	// body encodes it as a version; equal contents of one version give equal bytes.
	body(version uint32) ([]byte, error)
	// announce gives the events that tell of a version that follows another body
	// (nil for the first).
	announce(version uint32, before []byte) ([]event.Payload, error)
}

// The kinds, as they are stored.
const (
	kindPrior       = "prior"
	kindCalibration = "calibration"
	kindReputation  = "reputation"
)

// Prior is what a population refit found.
type Prior struct{ population.Version }

// Calibration is what each source of signals tells, and by how much presses of tone
// buttons are more often right than wrong, [0,1].
type Calibration struct {
	fusion.Loadings
	Asking float64
}

// Reputation is what is known of raters. In an agent's learner a judgement counts
// by the square of its giver's agreement, and nothing when they are excluded; one
// who is not named counts like rater.Unknown.
type Reputation []rater.Weight

func (Prior) kind() string       { return kindPrior }
func (Calibration) kind() string { return kindCalibration }
func (Reputation) kind() string  { return kindReputation }

// place is where the archetype with an id is in the list; -1 when there is none.
func (p *Prior) place(id int) int {
	return slices.IndexFunc(p.Archetypes, func(a population.Archetype) bool { return a.ID == id })
}

// likeliest is the id of the archetype that an agent's owner most probably has; 0
// when there are none. b is scratch.
func (p *Prior) likeliest(s *fold.State, b *step.Belief) int {
	if len(p.Archetypes) == 0 {
		return 0
	}
	s.Believe(p.Prior, b)
	best := 0
	for k := range p.Archetypes {
		if b.R[k] > b.R[best] {
			best = k
		}
	}
	return p.Archetypes[best].ID
}

func (p Prior) body(uint32) ([]byte, error) {
	v := p.Version
	if v.Prior == nil {
		v.Prior = step.DefaultPrior()
	}
	b := v.Append(nil)
	_, err := readPrior(b)
	return b, err
}

// readPrior reads a stored prior. The error is errParameters and names the formula
// when it is another one's.
func readPrior(b []byte) (Prior, error) {
	v, err := population.ReadVersion(b)
	if err != nil {
		return Prior{}, fmt.Errorf("%w: %w", errParameters, err)
	}
	return Prior{*v}, nil
}

// older says that a stored prior has an earlier formula than this program: nobody can
// use it any more. Agents that adopted it believe the default prior in its place until
// they adopt a newer one.
func older(body []byte) bool { return len(body) > 0 && int(body[0]) < population.Formula }

func (p Prior) announce(version uint32, _ []byte) ([]event.Payload, error) {
	e := event.PopulationUpdated{Version: int64(version), K: len(p.Archetypes), Archetypes: []event.Archetype{}}
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

func (c Calibration) body(uint32) ([]byte, error) {
	b, err := json.Marshal(calibrationBody{c.Loadings[:], c.Asking})
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errParameters, err)
	}
	_, err = readCalibration(b)
	return b, err
}

// calibrationBody is how a calibration is stored.
type calibrationBody struct {
	Sources []fusion.Loading `json:"sources"`
	Asking  float64          `json:"asking"`
}

func readCalibration(b []byte) (c Calibration, err error) {
	stored := calibrationBody{Asking: fold.AskingDefault}
	if bytes.HasPrefix(b, []byte("[")) { // from before presses were learned from all owners
		err = json.Unmarshal(b, &stored.Sources)
	} else {
		err = json.Unmarshal(b, &stored)
	}
	if err != nil {
		return c, fmt.Errorf("%w: %v", errParameters, err)
	}
	if c.Asking = stored.Asking; !(c.Asking >= 0 && c.Asking <= 1) {
		return c, fmt.Errorf("%w: presses of a reliability of %v", errParameters, c.Asking)
	}
	list := stored.Sources
	if n := len(list); n == int(fusion.Behaviour)+1 { // from before each detector had a loading
		list = append(list, fusion.Defaults()[n:]...)
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

func (Calibration) announce(version uint32, _ []byte) ([]event.Payload, error) {
	return []event.Payload{event.CalibrationUpdated{Version: int64(version)}}, nil
}

func (r Reputation) body(version uint32) ([]byte, error) {
	p, err := rater.Publish(version, r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errParameters, err)
	}
	return p.Append(nil), nil
}

func readReputation(b []byte) (*rater.Published, error) {
	p, err := rater.ReadPublished(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errParameters, err)
	}
	return p, nil
}

// announce tells of those raters of whom something else is known now.
func (r Reputation) announce(version uint32, before []byte) (out []event.Payload, err error) {
	now, err := rater.Publish(version, r)
	if err != nil {
		return nil, err
	}
	old, err := rater.Publish(0, nil)
	if before != nil {
		old, err = readReputation(before)
	}
	if err != nil {
		return nil, err
	}
	tell := func(w rater.Weight) {
		out = append(out, event.ReputationUpdated{RaterID: event.PersonID(w.Rater), Version: int64(version), Agreement: wire.Micro(w.Agreement), Abuse: wire.Micro(w.Abuse), Excluded: w.Excluded})
	}
	for _, w := range now.Weights() {
		if w != old.Of(w.Rater) {
			tell(w)
		}
	}
	for _, w := range old.Weights() {
		if n := now.Of(w.Rater); n == rater.Unknown(w.Rater) && n != w {
			tell(n)
		}
	}
	return out, nil
}

// regards are what the raters of a version count for.
func regards(p *rater.Published) fold.Reputation {
	out := fold.Reputation{fold.Others: regard(rater.Unknown(fold.Others))}
	for _, w := range p.Weights() {
		out[w.Rater] = regard(w)
	}
	return out
}

func regard(w rater.Weight) fold.Regard {
	return fold.Regard{Weight: float64(w.Agreement * w.Agreement), Excluded: w.Excluded}
}

// errParameters is the error of parameters that cannot be used; the text says why.
var errParameters = errors.New("parameters refused")

// Publish stores the next version of a kind of parameters and tells the others of
// it. No agent uses it before it adopts it. What equals the newest version is not
// published again: that version comes back. The fault is parameters_refused (Invalid)
// with the reason, for a prior of another formula too.
func (s *Service) Publish(ctx context.Context, at event.Micros, c Content, note string) (version uint32, err error) {
	if _, err := c.body(1); err != nil {
		return 0, fault.New(fault.Invalid, "parameters_refused", "The %s was not published: %v.", c.kind(), err).Because(err)
	}
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var newest []byte
		if _, err := tx.Get(`select version, body from rl_parameters where kind = $1 order by version desc limit 1`, []any{c.kind()}, &version, &newest); err != nil {
			return err
		}
		body, err := c.body(version)
		if err != nil || version > 0 && bytes.Equal(newest, body) {
			return err
		}
		version++
		if body, err = c.body(version); err != nil {
			return err
		}
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

// Published reads the newest parameters that this program can use: what the next
// refit begins from.
func (s *Service) Published(ctx context.Context) (p Published, err error) {
	p = Published{Prior: Prior{population.Version{Formula: population.Formula, Prior: step.DefaultPrior(), NextID: 1}},
		Calibration: Calibration{*fusion.Defaults(), fold.AskingDefault}, Reputation: Reputation{}}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		if p.Versions, err = newestVersions(tx); err != nil {
			return err
		}
		// releases go by the ids of archetypes, also of those that an older formula found
		if _, err := tx.Get(`select coalesce(max(archetype), 0) + 1 from rl_releases`, nil, &p.Prior.NextID); err != nil {
			return err
		}
		for kind, read := range map[string]func(b []byte) (err error){
			kindPrior:       func(b []byte) (err error) { p.Prior, err = readPrior(b); return err },
			kindCalibration: func(b []byte) (err error) { p.Calibration, err = readCalibration(b); return err },
			kindReputation: func(b []byte) error {
				r, err := readReputation(b)
				if err == nil {
					p.Reputation = r.Weights()
				}
				return err
			},
		} {
			var body []byte
			found, err := tx.Get(`select body from rl_parameters where kind = $1 and version = $2`, []any{kind, versionIn(p.Versions, kind)}, &body)
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

// newestVersions are those that agents are to adopt: of each kind the newest, of the
// priors the newest that has not an older formula.
func newestVersions(tx *sqldb.Tx) (v fold.Versions, err error) {
	for kind, to := range map[string]*uint32{kindCalibration: &v.Calibration, kindReputation: &v.Reputation} {
		if _, err := tx.Get(`select coalesce(max(version), 0) from rl_parameters where kind = $1`, []any{kind}, to); err != nil {
			return v, err
		}
	}
	for below := int64(math.MaxInt64); ; below = int64(v.Prior) {
		var body []byte
		if found, err := tx.Get(`select version, body from rl_parameters where kind = $1 and version < $2 order by version desc limit 1`,
			[]any{kindPrior, below}, &v.Prior, &body); err != nil || found && !older(body) {
			return v, err
		} else if !found {
			v.Prior = 0
			return v, nil
		}
	}
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
				p := adoption(event.AgentID(id), to)
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

// welcome lets agents that were made just now use the newest versions from their
// beginning: they have nothing of their own to go by.
func welcome(tx *sqldb.Tx, works []*work) error {
	var newest *fold.Versions
	for _, w := range works {
		for _, in := range w.events {
			made, ok := in.body.(*event.AgentCreated)
			if !ok {
				continue
			}
			if newest == nil {
				v, err := newestVersions(tx)
				if err != nil {
					return err
				}
				newest = &v
			}
			if *newest == (fold.Versions{}) {
				return nil
			}
			p := adoption(made.AgentID, *newest)
			w.out = append(w.out, event.New("learning", event.DerivedID("learning", fold.Generation, in.ID, p.EventType(), w.agent, 0), in.Time, p).CausedBy(*in.Event))
		}
	}
	return nil
}

func adoption(agent event.AgentID, v fold.Versions) event.ParametersAdopted {
	return event.ParametersAdopted{AgentID: agent, Prior: int64(v.Prior), Calibration: int64(v.Calibration), Reputation: int64(v.Reputation)}
}

// adoptAtOnce is how many agents are told in one transaction.
const adoptAtOnce = 500
