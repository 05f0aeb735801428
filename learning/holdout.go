package learning

import (
	"context"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/evaluate"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/wire"
	"rapport/policy"
)

// Comparison answers "better than when you began?": sessions as the agent is by
// now against the few that were held out at its owner's start, drawn by chance.
// Only sessions since the owner last set the start count, only those that could
// have fallen on either side, and only what the owner showed or said in them.
type Comparison struct {
	Word     string      `json:"word" enum:"yes,no,not enough data"`
	Better   *float64    `json:"better"`   // difference of mean satisfaction per session, in units of a rating; null before 8 sessions on each side
	Interval *[2]float64 `json:"interval"` // 90 %, and may be looked at as often as one likes
	N        int         `json:"n"`        // sessions as by now, with feedback of the owner
	Holdouts int         `json:"holdouts"` // sessions held out, with feedback of the owner
}

// What a Comparison says. Yes and no are each wrong with a probability of about .05
// at most, however often somebody looks.
const (
	BetterYes     = "yes"
	BetterNo      = "no"
	BetterUnknown = "not enough data"
)

// comparedAlpha is 1 − the level of the interval.
const comparedAlpha = .1

// compare looks at the entries of a list whose sessions fell on a side: true for
// those held out.
func compare(entries []*fold.Entry, sides map[string]bool) (Comparison, error) {
	var now, held evaluate.Arm
	for _, e := range entries {
		if a := e.Act; a != nil && (a.Kind == fold.Created || a.Kind == fold.Edited || a.Kind == fold.RolledBack || a.Kind == fold.Transferred) {
			now, held = evaluate.Arm{}, evaluate.Arm{} // another start
		}
		out, drawn := sides[e.ID]
		if !e.Episodic() || !drawn {
			continue
		}
		arm := &now
		if out {
			arm = &held
		}
		if err := arm.Add(owned(&e.About)); err != nil {
			return Comparison{}, err
		}
	}
	c := Comparison{Word: BetterUnknown, N: now.N, Holdouts: held.N}
	d, err := evaluate.Compare(now, held, comparedAlpha)
	if err != nil {
		return c, nil // too few
	}
	better := wire.Micro(d.Value)
	c.Better, c.Interval = &better, &[2]float64{wire.Micro(d.Lo), wire.Micro(d.Hi)}
	switch {
	case d.Lo > 0:
		c.Word = BetterYes
	case d.Hi < 0:
		c.Word = BetterNo
	}
	return c, nil
}

// owned is how satisfied the owner was in an episode, by what they said and
// showed, and what that is worth in ratings. The loadings are those of version 0
// whatever was adopted, so that all sessions are measured alike; wishes for more
// or less of a trait are no satisfaction.
func owned(e *fold.Episode) (y, w float64) {
	l := fusion.Defaults()
	var all fusion.Evidence
	var shown fusion.Shown
	for i := range e.Contributions {
		c := &e.Contributions[i]
		if !c.Owner || c.Toward != 0 || c.Source.Behavioural() && (e.Protected || !e.Consent || c.Protected) {
			continue
		}
		if said := l.OfNoisy(c.Source, c.Value, c.Share, c.Extra); c.Source.Behavioural() {
			shown.Add(said)
		} else {
			all.Add(said)
		}
	}
	all.Add(shown.Together())
	return l.Fused(all)
}

// Satisfaction is what came of one episode for the agent's owner.
type Satisfaction struct {
	Value  float64 // in units of a rating, [-2.5,2.5]
	Weight float64 // what is known, 1 for one rating
}

// Satisfaction gives what the owner of an agent thought of each episode that they
// said or showed something in. Nothing is known of an agent that is not.
func (s *Service) Satisfaction(ctx context.Context, agent event.AgentID) (map[event.EpisodeID]Satisfaction, error) {
	out := map[event.EpisodeID]Satisfaction{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		l, err := s.readList(tx, string(agent))
		for _, e := range l.entries {
			if y, w := owned(&e.About); w > 0 && e.Episodic() {
				out[event.EpisodeID(e.ID)] = Satisfaction{y, w}
			}
		}
		return err
	})
	return out, err
}

// side notes of an episode that could be held out whether it was.
func (w *work) side(p *event.ReplyGenerated) {
	if p.HoldoutShare <= 0 {
		return
	}
	if w.sides == nil {
		w.sides = map[string]bool{}
	}
	if _, known := w.sides[string(p.EpisodeID)]; !known {
		w.sides[string(p.EpisodeID)] = p.Holdout
	}
}

func (w *work) storeSides(tx *sqldb.Tx) error {
	for episode, held := range w.sides {
		if _, err := tx.Exec(`insert into rl_sides (agent_id, episode_id, held_out) values ($1, $2, $3) on conflict (agent_id, episode_id) do nothing`, w.agent, episode, held); err != nil {
			return err
		}
	}
	return nil
}

func readSides(tx *sqldb.Tx, agent string) (map[string]bool, error) {
	rows, err := tx.Query(`select episode_id, held_out from rl_sides where agent_id = $1`, agent)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var id string
		var held bool
		if err := rows.Scan(&id, &held); err != nil {
			return nil, err
		}
		out[id] = held
	}
	return out, rows.Err()
}

// Start gives the owner's start of an agent; agent_unknown when there is none.
func (s *Service) Start(ctx context.Context, agent event.AgentID) (start policy.Traits, err error) {
	of := map[string]*work{string(agent): {agent: string(agent)}}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error { return loadHeads(tx, []string{string(agent)}, of) })
	c := of[string(agent)].canon
	if err == nil && (c == nil || c.Retired) {
		err = unknownAgent(agent)
	}
	if err == nil {
		start = c.Act.Baseline
	}
	return start, err
}
