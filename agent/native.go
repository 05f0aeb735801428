package agent

import (
	"context"
	"slices"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Platform is the owner of the agents that are nobody's: no person has this id.
const Platform event.PersonID = "platform"

// The kinds of the platform's own agents.
const (
	NativeFeatured  = "featured"
	NativeStory     = "story_character"
	NativeMentor    = "mentor"
	NativeModerator = "group_moderator"
	NativeEvent     = "event_personality"
	NativePremium   = "premium"
)

// Natives lists the kinds.
func Natives() []string {
	return []string{NativeFeatured, NativeStory, NativeMentor, NativeModerator, NativeEvent, NativePremium}
}

// Native is an agent of the platform: everybody may talk with it, nobody's
// feedback changes it, and whoever wants one that grows with them adopts a copy.
type Native struct {
	Agent
	Kind     string `json:"kind" enum:"featured,story_character,mentor,group_moderator,event_personality,premium"`
	Position int64  `json:"position" doc:"Where an editor put it, from 1. It says nothing about how good or popular it is."`
}

func (a *record) native() bool { return a.owner == Platform }

// nativeRests is said to whoever would let a platform's agent learn from those who
// happen to talk with it: it is shared by all, and what all share changes by
// releases.
func nativeRests() error {
	return fault.New(fault.Conflict, "native_rests", "An agent of the platform does not learn or try things by itself; change its levels as a release, or adopt a copy that grows.")
}

// CreateNative makes an agent of the platform, last in the order. It does not
// learn and tries nothing. Faults: not_allowed, invalid_native and those of
// Create.
func (s *Service) CreateNative(ctx context.Context, kind string, d Draft) (Native, error) {
	p := authz.From(ctx)
	if err := p.Check(authz.Native, authz.Create); err != nil {
		return Native{}, err
	}
	if !slices.Contains(Natives(), kind) {
		return Native{}, fault.New(fault.Invalid, "invalid_native", "A platform's agent is featured, story_character, mentor, group_moderator, event_personality or premium.")
	}
	texts, err := d.Texts.tidy()
	if err != nil {
		return Native{}, err
	}
	d.ID = event.AgentID(event.NewID())
	d.birth = birth{
		actor: string(p.Person),
		shape: func(a *record) {
			a.learning, a.asking.Intensity = false, AskOff
			a.doc.Exploration.Strategy, a.doc.Exploration.Epsilon, a.doc.LastUpdatedBy = policy.StrategyOff, 0, policy.ByPlatform
		},
		also: func(tx *sqldb.Tx, a *record) error {
			_, err := tx.Exec(`insert into natives (agent_id, kind, position) select $1, $2, coalesce(max(position), 0) + 1 from natives`, a.id, kind)
			return err
		},
	}
	var id event.AgentID
	var out Native
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		asked := struct {
			Kind   string
			Texts  Texts
			Traits map[string]float64
		}{kind, texts, d.Traits}
		id, err = httpapi.Idempotent(tx, p, d.Key, "native.create", asked, s.micros(), func() (event.AgentID, error) {
			return d.ID, s.create(tx, Platform, d, texts, policy.Neutral())
		})
		if err != nil {
			return err
		}
		out, err = s.nativeOf(tx, p, id)
		return err
	})
	return out, err
}

// ListNatives gives the platform's agents, all or of one kind, in the order that
// an editor gave them.
func (s *Service) ListNatives(ctx context.Context, kind string) ([]Native, error) {
	p := authz.From(ctx)
	if err := p.Check(authz.Native, authz.List); err != nil {
		return nil, err
	}
	out := []Native{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		ids, err := collectIDs(tx.Query(`select agent_id from natives where kind = $1 or $2 = '' order by position, agent_id`, kind, kind))
		if err != nil {
			return err
		}
		for _, id := range ids {
			n, err := s.nativeOf(tx, p, id)
			if err != nil {
				return err
			}
			out = append(out, n)
		}
		return nil
	})
	return out, err
}

// OrderNatives puts the platform's agents in this order, which names each of them
// once. Fault invalid_order.
func (s *Service) OrderNatives(ctx context.Context, order []event.AgentID) ([]Native, error) {
	if err := authz.From(ctx).Check(authz.Native, authz.Change); err != nil {
		return nil, err
	}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		ids, err := collectIDs(tx.Query(`select agent_id from natives order by agent_id`))
		if err != nil {
			return err
		}
		if !slices.Equal(ids, slices.Sorted(slices.Values(order))) {
			return fault.New(fault.Invalid, "invalid_order", "Name each agent of the platform once; look at /v1/natives.")
		}
		for i, id := range order {
			if _, err := tx.Exec(`update natives set position = $1 where agent_id = $2`, i+1, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.ListNatives(ctx, "")
}

// Adopt gives the principal an agent of their own that begins as a platform's
// agent is now: its texts, levels and manners. From then on it is theirs and
// learns from them; the platform's stays as it is. Faults: native_unknown,
// native_stopped and those of Create.
func (s *Service) Adopt(ctx context.Context, ref, key string) (Agent, error) {
	p := authz.From(ctx)
	var from *record
	var texts Texts
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		if err := p.Check(authz.Native, authz.Read); err != nil {
			return err
		}
		from, err = find(tx, ref)
		if fault.Is(err, "agent_unknown") || err == nil && !from.native() {
			return fault.New(fault.NotFound, "native_unknown", "The platform has no such agent; look at /v1/natives.")
		}
		if err != nil {
			return err
		}
		if from.stops != 0 {
			return fault.New(fault.Conflict, "native_stopped", "This agent is stopped for now; adopt it when it speaks again.")
		}
		texts, err = textsOf(tx, from.id, from.texts)
		return err
	})
	if err != nil {
		return Agent{}, err
	}
	return s.Create(ctx, Draft{Texts: texts, Traits: levelsByName(from.doc.Traits), Key: key, birth: birth{
		kind: "adopted", asked: from.id,
		shape: func(a *record) {
			a.doc.ActionPolicy, a.doc.Runtime = from.doc.ActionPolicy, from.doc.Runtime
			a.moodValence, a.moodArousal, a.moodOff = from.moodValence, from.moodArousal, from.moodOff
		},
		also: func(tx *sqldb.Tx, a *record) error {
			return putOrigin(tx, a.id, Origin{FromNative, string(from.id), from.version, a.created})
		},
	}})
}

func (s *Service) nativeOf(tx *sqldb.Tx, p authz.Principal, id event.AgentID) (n Native, err error) {
	a, err := find(tx, string(id))
	if err != nil {
		return n, err
	}
	if n.Agent, err = s.view(tx, a, len(a.relation(p)) > 0); err != nil {
		return n, err
	}
	_, err = tx.Get(`select kind, position from natives where agent_id = $1`, []any{id}, &n.Kind, &n.Position)
	return n, err
}
