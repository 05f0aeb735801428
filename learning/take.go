package learning

import (
	"errors"
	"fmt"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/learning/wire"
	"rapport/policy"
)

func versionsOf(p *event.ParametersAdopted) fold.Versions {
	return fold.Versions{Prior: uint32(p.Prior), Calibration: uint32(p.Calibration), Reputation: uint32(p.Reputation)}
}

// adopt takes in that the agent uses other parameters from here on. That moves
// nothing; but what abusive raters said counts nothing any more, whenever it was.
func (w *work) adopt(in *incoming, v fold.Versions) error {
	before := w.lib.Reputation(w.book.adopted().Reputation)
	if err := w.book.enact(&fold.Entry{At: in.Time, ID: in.ID, Adopt: &v}); err != nil {
		return err
	}
	for _, rater := range excludedDifferently(before, w.lib.Reputation(w.book.adopted().Reputation)) {
		if err := w.book.refold(rater); err != nil {
			return err
		}
	}
	if c := w.canon; c != nil && fold.Compare(in.Time, in.ID, c.AdoptedAt, c.Adoption) > 0 {
		c.Adopted, c.AdoptedAt, c.Adoption, c.Untold = v, in.Time, in.ID, true
		w.known = true
	}
	return nil
}

// see takes over the canonical state, if it is the newest.
func (w *work) see(in *incoming, s *event.AgentState, fresh bool) {
	if w.canon == nil {
		w.canon = &canon{}
	} else if s.Version < w.canon.Version || s.Version == w.canon.Version && in.Time < w.canon.At {
		return
	}
	c, act, explore := w.canon, in.act, in.doc.Exploration
	act.Kind, act.Touched, act.Set, explore.Revision = fold.Settings, 0, 0, 0
	if s.Version != c.Version || c.Act != act || c.Explore != explore {
		w.surround, w.last = true, in
	}
	c.Version, c.At, c.Owner, c.Act, c.Explore = s.Version, in.Time, s.OwnerID, act, explore
	c.walked(in.Time, in.act.Levels, in.act.Actions, fresh)
	w.known, w.doc, w.state, w.policy = true, &in.doc, s, s.Policy
}

func (w *work) enact(in *incoming, a fold.Act) error {
	w.surround, w.last = true, in
	return w.book.enact(&fold.Entry{At: in.Time, ID: in.ID, Act: &a})
}

// decided tells an episode which levels were rendered in it: those of its first
// reply.
func (w *work) decided(in *incoming, p *event.ReplyGenerated) error {
	action, weighed := chanceOf(p)
	if p.Opening != nil { // words that somebody wrote show nothing of the levels
		return nil
	}
	if !weighed && p.Action != actionReply {
		return nil
	}
	waiting := false
	changed, err := w.book.edit(p.EpisodeStart, string(p.EpisodeID), func(e *fold.Episode) (changed bool) {
		waiting = len(e.Contributions) > 0
		if weighed && (e.Did == 0 || e.Did == byte(action)+1 && wire.Micro(*p.Chance) > e.Weight) {
			e.Did, e.Weight, changed = byte(action)+1, wire.Micro(*p.Chance), true
		}
		if p.Action != actionReply || e.Decided && fold.Compare(e.DecidedAt, e.Decision, in.Time, string(p.DecisionID)) <= 0 {
			return changed
		}
		e.Decided, e.DecidedAt, e.Decision = true, in.Time, string(p.DecisionID)
		e.Protected, e.Consent, e.Inaudible = p.Protected, p.Consent, policy.Mask(p.Inaudible)&policy.AllTraits
		for j := range e.Rendered {
			e.Rendered[j] = wire.Micro(min(1, max(0, p.Rendered[j])))
		}
		return true
	})
	if changed && waiting {
		w.news(in, string(p.EpisodeID), "")
	}
	if errors.Is(err, errMerged) {
		return nil
	}
	return err
}

// chanceOf says which action weight decided whether to speak; false when none did, or
// when it was to another agent, which tells nothing of what people want.
// With an agent that holds the floor the chance is another than the weight.
func chanceOf(p *event.ReplyGenerated) (fold.Action, bool) {
	if p.Chance == nil || len(p.Reasons) != 1 || !(*p.Chance >= 0 && *p.Chance <= 1) {
		return 0, false
	}
	switch p.Begins {
	case "":
		if p.PersonID == "" {
			return 0, false
		}
		return fold.Answering(p.Context)
	case event.BeginsPost:
		return fold.Post, true
	case event.BeginsInvite:
		return fold.Invite, true
	case event.BeginsThread:
		return fold.StartThread, true
	}
	return 0, false
}

// feedback takes in a signal, unless it was withdrawn before it came.
func (w *work) feedback(in *incoming, p *event.FeedbackCreated) error {
	id := string(p.FeedbackID)
	if p.Supersedes != "" {
		if err := w.takeBack(in, string(p.Supersedes), ""); err != nil {
			return err
		}
	}
	if _, gone := w.withdrawn[id]; gone {
		return nil
	}
	known := len(p.Shares) > 0
	for _, share := range p.Shares {
		c := contributionOf(p, in.Time, share.Weight)
		if c.Share == 0 {
			known = false
			continue
		}
		changed, err := w.book.edit(share.Start, string(share.EpisodeID), func(e *fold.Episode) bool { return e.Put(c) })
		if errors.Is(err, errMerged) { // too late for the learner; it is counted
			known = false
			continue
		}
		if err != nil {
			return err
		}
		if changed {
			known = false
			w.news(in, string(share.EpisodeID), id)
		}
	}
	if known || w.signals[id] != nil {
		return nil // the same again
	}
	if w.signals == nil {
		w.signals = map[string]*signalRow{}
	}
	w.signals[id] = &signalRow{w.agent, id, in.Time, in.signal, in.signal.append(make([]byte, 0, 160))}
	w.order = append(w.order, id)
	w.tally.count(in.signal, 1)
	w.counted = true
	return nil
}

// cut forgets what was said, or withdrawn, before the first entry kept began: it is
// merged, and its rows go with the entries.
func (w *work) cut(since event.Micros) {
	for id, row := range w.signals {
		if row.at < since {
			delete(w.signals, id)
		}
	}
	for id, s := range w.prior {
		if s.Timestamp < since {
			delete(w.prior, id)
		}
	}
	for id, at := range w.withdrawn {
		if at > 0 && at < since {
			delete(w.withdrawn, id)
		}
	}
}

// takeBack makes a feedback as if it had never been given, and keeps in mind
// that it was withdrawn, in case it comes later. What is merged with others cannot
// be taken out: then that is said, and an erasure takes all of it away. What nobody
// knows any more is taken for merged.
func (w *work) takeBack(in *incoming, id, reason string) error {
	if _, gone := w.withdrawn[id]; gone {
		return nil
	}
	w.tombstone(id, in.Time)
	w.tombstones = append(w.tombstones, id)
	s := w.prior[id]
	if row := w.signals[id]; row != nil { // of this batch
		s = row.signal
		delete(w.signals, id)
	}
	if s == nil {
		switch {
		case w.book.sealed == 0 || reason == "":
		case reason == reasonErased:
			w.book.drop()
			w.news(in, "", id)
			w.correction = true
		default:
			w.beyond(in, id)
		}
		return nil
	}
	delete(w.prior, id)
	w.removed = append(w.removed, id)
	w.tally.count(s, -1)
	w.counted, w.recount = true, true
	for _, p := range s.Places {
		changed, err := w.book.edit(p.At, p.ID, func(e *fold.Episode) bool { return e.Take(id) })
		switch {
		case errors.Is(err, errMerged) && reason == reasonErased:
			w.book.drop()
			changed = true
		case errors.Is(err, errMerged):
			if reason != "" {
				w.beyond(in, id)
			}
			continue
		case err != nil:
			return err
		}
		if changed {
			w.news(in, p.ID, id)
			w.correction = true
		}
	}
	return nil
}

// reasonErased is why a feedback is retracted that must leave no trace.
const reasonErased = "erased"

// beyond says that a feedback cannot be withdrawn any more.
func (w *work) beyond(in *incoming, feedback string) {
	if w.muted {
		return
	}
	p := event.UpdateRefused{AgentID: event.AgentID(w.agent), Gate: "horizon",
		Reason: fmt.Sprintf("feedback %s lies beyond the %d days or %d sessions that can be taken apart: it is part of what was learned then and can no longer be withdrawn singly",
			feedback, w.horizon.age/day, w.horizon.entries)}
	w.out = append(w.out, event.New("learning", event.DerivedID("learning", fold.Generation, in.ID, p.EventType(), w.agent, 1), in.Time, p).CausedBy(*in.Event))
}

// news notes that evidence about an episode changed.
func (w *work) news(in *incoming, episode, feedback string) {
	w.evidence, w.counted, w.last = true, true, in
	w.tally.Revision++
	if w.fed == nil {
		w.fed = map[string]bool{}
	}
	w.fed[episode] = true
	if feedback != "" && (len(w.causes) == 0 || w.causes[len(w.causes)-1] != feedback) {
		w.causes = append(w.causes, feedback)
	}
}
