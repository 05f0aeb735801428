package learning

import (
	"database/sql"
	"encoding/json"
	"math"
	"slices"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
)

// store writes the agent's learner and projections.
func (w *work) store(tx *sqldb.Tx) error {
	if w.retired {
		return w.forget(tx)
	}
	if w.book.changed() {
		if err := storePage(tx, w.agent, &w.book, &w.page); err != nil {
			return err
		}
	}
	for _, id := range w.tombstones {
		at, kept := w.withdrawn[id]
		if !kept {
			continue
		}
		if _, err := tx.Exec(`insert into rl_withdrawn (agent_id, feedback_id, at) values ($1, $2, $3) on conflict (agent_id, feedback_id) do nothing`, w.agent, id, at); err != nil {
			return err
		}
	}
	if err := w.storeSides(tx); err != nil {
		return err
	}
	for _, id := range w.removed {
		if _, err := tx.Exec(`delete from rl_signals where agent_id = $1 and feedback_id = $2`, w.agent, id); err != nil {
			return err
		}
	}
	if w.counted && !w.recount {
		if err := storeTally(tx, w.agent, &w.tally); err != nil {
			return err
		}
	}
	if w.actions != nil && w.actions.changed {
		if err := w.actions.store(tx, w.agent); err != nil {
			return err
		}
	}
	if w.known {
		return w.storeCanon(tx)
	}
	return nil
}

// recountLast finds the newest feedback again after one was taken back.
func (w *work) recountLast(tx *sqldb.Tx) error {
	if !w.recount || w.retired {
		return nil
	}
	if _, err := tx.Get(`select coalesce(max(at), 0) from rl_signals where agent_id = $1`, []any{w.agent}, &w.tally.LastAt); err != nil {
		return err
	}
	return storeTally(tx, w.agent, &w.tally)
}

func (w *work) storeCanon(tx *sqldb.Tx) error {
	c := w.canon
	if w.state == nil { // a transfer or proposal: the row as it is otherwise
		_, err := tx.Exec(`update rl_agent_projection set owner_id = $1, canon = $2 where agent_id = $3`, c.Owner, c.append(nil), w.agent)
		return err
	}
	traits, err := json.Marshal(w.doc.Traits)
	if err != nil {
		return err
	}
	tones, err := json.Marshal(w.doc.ToneWeights)
	if err != nil {
		return err
	}
	mood, err := json.Marshal(w.state.Mood)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into rl_agent_projection (agent_id, version, retired, canon, owner_id, autonomy_level, updated_at, personality_traits, tone_weights, current_mood, policy)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		on conflict (agent_id) do update set version = excluded.version, retired = excluded.retired, canon = excluded.canon, owner_id = excluded.owner_id,
		autonomy_level = excluded.autonomy_level, updated_at = excluded.updated_at, personality_traits = excluded.personality_traits,
		tone_weights = excluded.tone_weights, current_mood = excluded.current_mood, policy = excluded.policy`,
		w.agent, c.Version, false, c.append(nil), c.Owner, w.doc.AutonomyLevel, c.At, string(traits), string(tones), string(mood), string(w.policy))
	return err
}

// forget drops all that is kept of an agent but the word that it is no more.
func (w *work) forget(tx *sqldb.Tx) error {
	for _, table := range [...]string{"rl_learners", "rl_entries", "rl_checkpoints", "rl_withdrawn", "rl_signals",
		"rl_feedback_projection", "rl_relationships", "rl_behaviour_projection", "rl_sessions", "rl_proposals", "rl_sides"} {
		if _, err := tx.Exec(`delete from `+table+` where agent_id = $1`, w.agent); err != nil {
			return err
		}
	}
	w.signals, w.order = nil, nil
	_, err := tx.Exec(`insert into rl_agent_projection (agent_id, version, retired, canon, owner_id, autonomy_level, updated_at, personality_traits, tone_weights, current_mood, policy)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		on conflict (agent_id) do update set version = excluded.version, retired = excluded.retired, canon = excluded.canon, owner_id = excluded.owner_id,
		autonomy_level = excluded.autonomy_level, updated_at = excluded.updated_at, personality_traits = excluded.personality_traits,
		tone_weights = excluded.tone_weights, current_mood = excluded.current_mood, policy = excluded.policy`,
		w.agent, 0, true, []byte{}, "", 0, 0, "{}", "{}", "{}", "{}")
	return err
}

// actions is the row of rl_behaviour_projection.
type actions struct {
	Last         []action
	Distribution map[string]int64 // by action
	changed      bool
	last, counts []byte // as stored
}

// unpack decodes what was read.
func (a *actions) unpack() error {
	if a.last == nil {
		return nil
	}
	if err := json.Unmarshal(a.last, &a.Last); err != nil {
		return err
	}
	return json.Unmarshal(a.counts, &a.Distribution)
}

// action is one thing an agent did.
type action struct {
	At         event.Micros     `json:"at"`
	DecisionID event.DecisionID `json:"decisionId"`
	Action     string           `json:"action"`
	Context    string           `json:"context"`
	Aside      bool             `json:"aside,omitempty"` // a silence after what another agent said
}

// lastActions is how many are kept, lastAsides how many of them are asides: in a group
// there is one for whatever another agent says, and they would leave no room for more.
const (
	lastActions = 10
	lastAsides  = 2
)

// note adds a decision, in the order of time.
func (a *actions) note(at event.Micros, p *event.ReplyGenerated) {
	n := action{at, p.DecisionID, p.Action, p.Context, p.Action == "silence" && p.PersonID == "" && p.Begins == ""}
	i := len(a.Last)
	for i > 0 && fold.Compare(n.At, string(n.DecisionID), a.Last[i-1].At, string(a.Last[i-1].DecisionID)) < 0 {
		i--
	}
	a.Last = slices.Insert(a.Last, i, n)
	asides := 0
	for i, x := range slices.Backward(a.Last) {
		if x.Aside {
			asides++
		}
		if asides > lastAsides {
			a.Last = slices.Delete(a.Last, i, i+1)
			break
		}
	}
	if len(a.Last) > lastActions {
		a.Last = slices.Delete(a.Last, 0, len(a.Last)-lastActions)
	}
	a.Distribution[p.Action]++
	a.changed = true
}

func loadActions(tx *sqldb.Tx, ids []string, of map[string]*work) error {
	for _, id := range ids {
		of[id].actions = &actions{Distribution: map[string]int64{}}
	}
	return in(tx, `select agent_id, last_n_actions, distribution from rl_behaviour_projection where agent_id`, ids, ``, func(rows *sql.Rows) error {
		var id string
		var last, counts []byte
		if err := rows.Scan(&id, &last, &counts); err != nil {
			return err
		}
		of[id].actions.last, of[id].actions.counts = last, counts
		return nil
	})
}

func (a *actions) store(tx *sqldb.Tx, agent string) error {
	last, err := json.Marshal(a.Last)
	if err != nil {
		return err
	}
	distribution, err := json.Marshal(a.Distribution)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into rl_behaviour_projection (agent_id, last_n_actions, distribution) values ($1, $2, $3)
		on conflict (agent_id) do update set last_n_actions = excluded.last_n_actions, distribution = excluded.distribution`, agent, string(last), string(distribution))
	return err
}

// bond is how close a person and an agent are.
type bond struct {
	Interactions int64
	Warmth       int64 // millionths, as it was At
	At           event.Micros
	LastSeen     event.Micros
	Level        string
}

const (
	halving = 30 * day
	week    = 7 * day
)

// warmthAt is the sum behind the strength, halved every 30 days.
func (b *bond) warmthAt(at event.Micros) float64 {
	return float64(b.Warmth) / 1e6 * math.Exp2(-float64(max(0, at-b.At))/float64(halving))
}

// strengthAt is s = 1 − exp(−I/8) in [0,1).
func (b *bond) strengthAt(at event.Micros) float64 { return 1 - math.Exp(-b.warmthAt(at)/8) }

// add adds to the sum at a time; what happened before the last change has faded
// by then.
func (b *bond) add(at event.Micros, amount float64) {
	if at < b.At {
		faded := bond{Warmth: int64(math.Round(amount * 1e6)), At: at}
		b.Warmth += int64(math.Round(faded.warmthAt(b.At) * 1e6))
		return
	}
	b.Warmth, b.At = int64(math.Round((b.warmthAt(at)+amount)*1e6)), at
}

// levelOf is the word for a strength.
func levelOf(strength float64) string {
	switch {
	case strength < .2:
		return "new"
	case strength < .5:
		return "familiar"
	case strength < .8:
		return "close"
	}
	return "dear"
}

// meet takes sessions and invitations into the relationships: 1 per session and
// min(minutes/10, 1), 1 per invitation, ½ for coming back within a week.
func (w *work) meet(tx *sqldb.Tx) error {
	if w.retired {
		return nil
	}
	if err := w.tellHeld(tx); err != nil {
		return err
	}
	touch := func(in *incoming, person event.PersonID, change func(*bond)) error {
		b := bond{Level: levelOf(0)}
		_, err := tx.Get(`select interactions, warmth, at, last_seen_at, level from rl_relationships where agent_id = $1 and person_id = $2`,
			[]any{w.agent, person}, &b.Interactions, &b.Warmth, &b.At, &b.LastSeen, &b.Level)
		if err != nil {
			return err
		}
		before := b.Level
		change(&b)
		b.Level = levelOf(b.strengthAt(b.At))
		if b.Level != before {
			p := event.RelationshipUpdated{AgentID: event.AgentID(w.agent), PersonID: person, Level: b.Level}
			id := event.DerivedID("learning", fold.Generation, in.ID, p.EventType(), string(person), 0)
			w.out = append(w.out, event.New("learning", id, in.Time, p).CausedBy(*in.Event))
		}
		_, err = tx.Exec(`insert into rl_relationships (agent_id, person_id, interactions, warmth, at, last_seen_at, level) values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (agent_id, person_id) do update set interactions = excluded.interactions, warmth = excluded.warmth, at = excluded.at,
			last_seen_at = excluded.last_seen_at, level = excluded.level`, w.agent, person, b.Interactions, b.Warmth, b.At, b.LastSeen, b.Level)
		return err
	}
	for _, in := range w.events {
		switch p := in.body.(type) {
		case *event.PersonForgotten:
			if _, err := tx.Exec(`delete from rl_relationships where agent_id = $1 and person_id = $2`, w.agent, p.PersonID); err != nil {
				return err
			}
		case *event.AgentInvited:
			if p.Consent {
				if err := touch(in, p.By, func(b *bond) { b.add(in.Time, 1) }); err != nil {
					return err
				}
			}
		case *event.SessionEnded:
			abandoned := false
			for _, person := range p.People {
				abandoned = abandoned || person.Abandoned
				if !person.Consent {
					continue
				}
				err := touch(in, person.PersonID, func(b *bond) {
					minutes := float64(max(0, p.EndedAt-p.StartedAt)) / 60e6
					amount := 1 + min(minutes/10, 1)
					if b.LastSeen != 0 && p.StartedAt >= b.LastSeen && p.StartedAt-b.LastSeen <= week {
						amount += .5
					}
					b.add(in.Time, amount)
					b.Interactions++
					b.LastSeen = max(b.LastSeen, p.EndedAt)
				})
				if err != nil {
					return err
				}
			}
			if _, err := tx.Exec(`insert into rl_sessions (agent_id, session_id, ended_at, abandoned) values ($1, $2, $3, $4)
				on conflict (agent_id, session_id) do update set ended_at = excluded.ended_at, abandoned = excluded.abandoned`,
				w.agent, p.SessionID, p.EndedAt, abandoned); err != nil {
				return err
			}
		}
	}
	return nil
}
