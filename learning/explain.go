package learning

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/learning/wire"
	"rapport/policy"
)

// Explanation says why an agent is as it is: what is believed of each trait, what
// each of the newest signals did, and what was proposed. What a signal did is the
// fold with it minus the fold without it: the same function as learning itself.
type Explanation struct {
	AgentID event.AgentID `json:"agentId"`
	Version int64         `json:"version"`
	Frozen  string        `json:"frozen"`  // "updates are frozen because …", empty when they are not
	Traits  []Trait       `json:"traits"`  // in the order of the vocabulary
	Ratings []Rating      `json:"ratings"` // newest first, at most 20
	Changes []Change      `json:"changes"` // newest first, at most 20
	Guests  *Guests       `json:"guests,omitempty"`
}

// Trait is what is believed of one trait.
type Trait struct {
	Trait    string     `json:"trait"`
	Level    float64    `json:"level"`    // published
	Target   float64    `json:"target"`   // what the evidence asks for
	Start    float64    `json:"start"`    // the owner's
	P        float64    `json:"p"`        // P(target is better than the start), .5 when they are equal
	Interval [2]float64 `json:"interval"` // 80 %: by how much, in units of a rating
	Gate     float64    `json:"gate"`     // P(improvement) that a move needs
	N        int        `json:"n"`        // episodes with evidence since the start
	Ratings  float64    `json:"ratings"`  // the information in them, in ratings of the owner
	Word     string     `json:"word"`     // start, trying, learned: "learned" only from P ≥ .95
	Waits    string     `json:"waits"`    // paused, pinned, held, frozen, inaudible (the model of the newest talk is not heard to act on it) or evidence; empty when it may move
	Needs    int        `json:"needs"`    // about so many more ratings like those so far before it moves; 0 now, -1 unknown, 99 many
}

// Rating is what one signal did.
type Rating struct {
	FeedbackID string             `json:"feedbackId"`
	At         event.Micros       `json:"at"`
	By         string             `json:"by"` // you, a guest
	Channel    string             `json:"channel"`
	Did        string             `json:"did,omitempty"` // what a behaviour of yours was, in words
	Used       bool               `json:"used"`
	NotUsed    string             `json:"notUsed"` // paused, excluded, waiting, protected, no_episode, horizon (too old to be taken apart), share_used_up; empty when used
	Moved      map[string]float64 `json:"moved"`   // target with it minus target without it, by trait
	Leaned     map[string]float64 `json:"leaned"`  // P(more of the trait is better) with it minus without it
	Note       string             `json:"note"`
}

// Change is one proposal and what became of it.
type Change struct {
	ProposalID string          `json:"proposalId"`
	At         event.Micros    `json:"at"`
	Parent     int64           `json:"parent"`
	Outcome    string          `json:"outcome"` // waiting, applied, refused, held
	Gate       string          `json:"gate"`
	Proposed   json.RawMessage `json:"proposed"` // what moved, causes and verdicts
}

// shown is how many ratings and changes an explanation lists.
const shown = 20

// Explain explains an agent to its owner; not_found when there is no such agent.
// It changes nothing and costs about one fold of what came after each rating.
func (s *Service) Explain(ctx context.Context, agent event.AgentID) (*Explanation, error) {
	x := &Explanation{AgentID: agent, Traits: []Trait{}, Ratings: []Rating{}, Changes: []Change{}}
	var l list
	var signals map[string]*Signal
	work := map[string]*work{string(agent): {agent: string(agent)}}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		if err = loadHeads(tx, []string{string(agent)}, work); err != nil {
			return err
		}
		if l, err = s.readList(tx, string(agent)); err != nil {
			return err
		}
		if signals, err = readSignals(tx, string(agent)); err != nil {
			return err
		}
		return x.readChanges(tx)
	})
	if err != nil {
		return nil, err
	}
	c := work[string(agent)].canon
	if c == nil || c.Retired {
		return nil, unknownAgent(agent)
	}
	x.Version, x.Frozen = c.Version, c.frozenBecause()
	entries := l.entries
	f := fold.Folder{Library: l.lib, Newest: fold.Newest(entries, l.begin.Adopted)}
	with, err := fold.After(l.begin, entries, l.lib)
	if err != nil {
		return nil, err
	}
	b, err := f.Believe(&with)
	if err != nil {
		return nil, err
	}
	deaf := inaudible(entries)
	for j := range policy.NTraits {
		x.Traits = append(x.Traits, traitOf(&with, b, policy.Trait(j), c.Act.Levels[j]))
		switch t := &x.Traits[j]; {
		case t.Waits != "" && t.Waits != "evidence":
		case c.Frozen != "":
			t.Waits, t.Needs = "frozen", -1
		case deaf.Has(policy.Trait(j)):
			t.Waits, t.Needs = "inaudible", -1
		}
	}
	x.Guests = guestsOf(signals, string(c.Owner), c.Since)
	ids := newest(signals, len(signals))
	from := len(entries)
	for n := 0; n < len(ids) && len(x.Ratings) < shown; n++ {
		id := ids[n]
		sig := signals[id]
		if sig.Timestamp < c.Since {
			break // what an earlier owner said is theirs, and so is all before
		}
		if sig.Channel == event.ChannelBehaviour && (sig.PersonID != string(c.Owner) || !mayShow(x.Ratings)) {
			continue // what others did without saying is theirs
		}
		x.Ratings = append(x.Ratings, Rating{FeedbackID: id, At: sig.Timestamp, By: "a guest", Channel: sig.Channel})
		if sig.PersonID == string(c.Owner) {
			r := &x.Ratings[len(x.Ratings)-1]
			if r.By = "you"; sig.Channel == event.ChannelBehaviour {
				r.Did = did[fusion.SourceOf(sig.Detector)]
			}
		}
		for i, e := range entries {
			if _, ok := e.About.Find(id); ok && i < from {
				from = i
			}
		}
	}
	before, other := l.begin, fold.Folder{Library: l.lib, Newest: f.Newest}
	for _, e := range entries[:from] {
		if err := other.Apply(&before, e); err != nil {
			return nil, err
		}
	}
	for i := range x.Ratings {
		if err := x.Ratings[i].weigh(&other, &before, entries[from:], &with, b); err != nil {
			return nil, err
		}
		if r := &x.Ratings[i]; r.NotUsed == "no_episode" && slices.ContainsFunc(signals[r.FeedbackID].Places, func(p place) bool { return p.At < l.horizon() }) {
			r.NotUsed, r.Note = "horizon", "not used: horizon"
		}
	}
	return x, nil
}

func (x *Explanation) readChanges(tx *sqldb.Tx) error {
	rows, err := tx.Query(`select proposal_id, at, parent, outcome, gate, body from rl_proposals where agent_id = $1 order by at desc, proposal_id limit $2`, x.AgentID, shown)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c Change
		var body string
		if err := rows.Scan(&c.ProposalID, &c.At, &c.Parent, &c.Outcome, &c.Gate, &body); err != nil {
			return err
		}
		c.Proposed = json.RawMessage(body)
		x.Changes = append(x.Changes, c)
	}
	return rows.Err()
}

// inaudible gives the traits that the model of the newest talk is not heard to act on.
func inaudible(entries []*fold.Entry) policy.Mask {
	for i := len(entries) - 1; i >= 0; i-- {
		if e := entries[i]; e.Episodic() && e.About.Decided {
			return e.About.Inaudible
		}
	}
	return 0
}

// traitOf puts one trait into words and numbers.
func traitOf(s *fold.State, b *step.Belief, t policy.Trait, published float64) Trait {
	mean, variance := b.Difference(t, s.Start[t], s.Theta[t])
	half := 1.2815515655446004 * math.Sqrt(max(0, variance))
	out := Trait{
		Trait: t.String(), Level: published, Target: wire.Micro(s.Theta[t]), Start: s.Start[t], P: wire.Micro(b.Better(t, s.Start[t], s.Theta[t])),
		Interval: [2]float64{wire.Micro(mean - half), wire.Micro(mean + half)}, Gate: s.Gate(t).P, N: int(s.Episodes[t]), Ratings: wire.Micro(s.Info[t]), Waits: s.Waits(t),
	}
	switch {
	case math.Abs(s.Theta[t]-s.Start[t]) < safety.Noticeable:
		out.Word = "start"
	case out.P >= safety.Learned:
		out.Word = "learned"
	default:
		out.Word = "trying"
	}
	ideal, _ := b.Ideal(t)
	next := s.Theta[t] + min(max(ideal-s.Theta[t], -step.StepBound), step.StepBound)
	out.Needs = -1
	if out.Waits == "" || out.Waits == "evidence" {
		out.Needs = needs(s, b, t, next)
	}
	return out
}

// weigh folds the entries without the rating and says what it did.
func (r *Rating) weigh(f *fold.Folder, before *fold.State, entries []*fold.Entry, with *fold.State, b *step.Belief) error {
	r.Moved, r.Leaned = map[string]float64{}, map[string]float64{}
	without := *before
	place := false
	for _, e := range entries {
		if i, ok := e.About.Find(r.FeedbackID); ok {
			place = true
			switch {
			case without.Paused:
				r.NotUsed = "paused"
			case !e.About.Contributions[i].Owner && f.Excludes(e.About.Contributions[i].Rater):
				r.NotUsed = "excluded"
			case !e.About.Decided && e.About.Contributions[i].Measured == 0:
				r.NotUsed = "waiting"
			case e.About.Contributions[i].Toward == 0 && !e.About.Hears(&e.About.Contributions[i]):
				r.NotUsed = "protected"
			}
			bare := *e
			bare.About.Contributions = append([]fold.Contribution(nil), e.About.Contributions...)
			bare.About.Take(r.FeedbackID)
			e = &bare
		}
		if err := f.Apply(&without, e); err != nil {
			return err
		}
	}
	if !place {
		r.NotUsed = "no_episode"
	}
	if r.NotUsed == "" && without.S == with.S && without.H == with.H {
		r.NotUsed = "share_used_up"
	}
	r.Used = r.NotUsed == ""
	if !r.Used {
		r.Note = "not used: " + r.NotUsed
		return nil
	}
	old, err := f.Believe(&without)
	if err != nil {
		return err
	}
	needs := -1
	for j := range policy.NTraits {
		t := policy.Trait(j)
		if d := wire.Micro(with.Theta[j] - without.Theta[j]); d != 0 {
			r.Moved[t.String()] = d
		}
		at := with.Theta[j]
		up := min(1, at+step.StepBound)
		if d := wire.Micro(b.Better(t, at, up) - old.Better(t, at, up)); d != 0 {
			r.Leaned[t.String()] = d
		}
		if n := traitOf(with, b, t, at).Needs; n > 0 && (needs < 0 || n < needs) {
			needs = n
		}
	}
	switch {
	case len(r.Moved) > 0:
		r.Note = "counts, and moved what is tried"
	case needs >= manyRatings:
		r.Note = "counts; needs many more"
	case needs > 0:
		r.Note = fmt.Sprintf("counts; needs about %d more", needs)
	default:
		r.Note = "counts"
	}
	return nil
}
