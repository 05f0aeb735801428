package learning

import (
	"math"
	"slices"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
)

// load reads all that the events need: for most agents one row of each table.
func load(tx *sqldb.Tx, works []*work, of map[string]*work) error {
	ids := make([]string, len(works))
	var acting []string
	for i, w := range works {
		ids[i] = w.agent
		if slices.ContainsFunc(w.events, func(in *incoming) bool { _, ok := in.body.(*event.ReplyGenerated); return ok }) {
			acting = append(acting, w.agent)
		}
	}
	if err := loadHeads(tx, ids, of); err != nil {
		return err
	}
	if err := loadActions(tx, acting, of); err != nil {
		return err
	}
	if err := each(works, (*work).unpack); err != nil {
		return err
	}
	for _, w := range works {
		if err := w.reach(tx); err != nil {
			return err
		}
		if err := w.need(tx); err != nil {
			return err
		}
	}
	return nil
}

// need reads the parameters that the loaded part of the list was folded under.
func (w *work) need(tx *sqldb.Tx) error {
	for _, state := range w.book.known {
		if v, ok := fold.AdoptedIn(state); ok {
			if err := w.lib.need(tx, v); err != nil {
				return err
			}
		}
	}
	for i := range w.book.slots {
		if v, ok := fold.AdoptionIn(w.book.slots[i].raw); ok {
			if err := w.lib.need(tx, v); err != nil {
				return err
			}
		}
	}
	if s := w.book.begin; s != nil {
		return w.lib.need(tx, s.Adopted)
	}
	return nil
}

// unpack decodes what was read.
func (w *work) unpack() error {
	if w.book.stored > 0 {
		if _, err := w.book.slots[0].entry(); err != nil {
			return err
		}
	}
	if w.actions != nil {
		return w.actions.unpack()
	}
	return nil
}

// reach loads as much of the agent's list as the events touch.
func (w *work) reach(tx *sqldb.Tx) error {
	lowest, back := place{At: math.MaxInt64}, 0
	more, erased := 0, false // entries at most; whether something must leave no trace
	var regards []fold.Reputation
	touch := func(at event.Micros, id string) {
		if fold.Compare(at, id, lowest.At, lowest.ID) < 0 {
			lowest = place{at, id}
		}
	}
	var newest *fold.Entry
	if w.book.stored > 0 {
		var err error
		if newest, err = w.book.slots[0].entry(); err != nil {
			return err
		}
	}
	beyond := false // something comes after the newest
	see := func(at event.Micros, id string) {
		touch(at, id)
		beyond = beyond || newest != nil && fold.Compare(at, id, newest.At, newest.ID) > 0
	}
	takeBack := func(feedback string) error {
		back++
		if w.prior == nil {
			w.prior = map[string]*Signal{}
		}
		s, err := loadSignal(tx, w.agent, feedback)
		if err != nil || s == nil {
			return err
		}
		w.prior[feedback] = s
		for _, p := range s.Places {
			touch(p.At, p.ID)
		}
		return nil
	}
	for _, in := range w.events {
		switch p := in.body.(type) {
		case *event.AgentCreated, *event.AgentTransferred:
			see(in.Time, in.ID)
			more++
		case *event.ParametersAdopted:
			see(in.Time, in.ID)
			more++
			regards = append(regards, w.lib.Reputation(uint32(p.Reputation)))
		case *event.AgentUpdated:
			if _, ok := actKind(p.Change.Kind); ok {
				see(in.Time, in.ID)
				more++
			}
		case *event.ReplyGenerated:
			if _, weighed := chanceOf(p); weighed || p.Action == actionReply {
				see(p.EpisodeStart, string(p.EpisodeID))
				more++
			}
		case *event.FeedbackCreated:
			more += len(p.Shares)
			for _, share := range p.Shares {
				see(share.Start, string(share.EpisodeID))
			}
			if p.Supersedes != "" {
				if err := takeBack(string(p.Supersedes)); err != nil {
					return err
				}
			}
		case *event.FeedbackRetracted:
			if err := takeBack(string(p.FeedbackID)); err != nil {
				return err
			}
			erased = erased || p.Reason == reasonErased
		}
	}
	if b := &w.book; b.stored > 0 {
		if (b.stored-1)/chunkSize < (b.stored-1+more)/chunkSize {
			if err := loadFirsts(tx, w.agent, b); err != nil {
				return err
			}
		}
		_, readable := fold.AdoptedIn(b.known[b.stored-1])
		others, err := w.excludesOthers(tx, regards)
		if err != nil {
			return err
		}
		switch {
		case b.stored > 1 && !readable: // another generation or profile: all of it again
			if err := loadFrom(tx, w.agent, b, 0, false); err != nil {
				return err
			}
			b.from = b.base
			if b.merged > 0 {
				b.begin = w.beginning()
			}
			return nil
		case erased && (b.merged > 0 || b.firsts != nil), others:
			return loadFrom(tx, w.agent, b, 0, true)
		case fold.Compare(lowest.At, lowest.ID, newest.At, newest.ID) < 0 && w.book.stored > 1:
			return loadChunks(tx, w.agent, &w.book, lowest.At, back/chunkSize+min(back, 1))
		case beyond || back > 0:
			return loadFrom(tx, w.agent, &w.book, max(0, (w.book.stored-1)/chunkSize-back/chunkSize-min(back, 1)), back > 0)
		}
	}
	return nil
}

// excludesOthers says whether one of the reputations excludes others than those
// that the newest adoption does.
func (w *work) excludesOthers(tx *sqldb.Tx, adopted []fold.Reputation) (bool, error) {
	if len(adopted) == 0 {
		return false, nil
	}
	v := w.book.adopted()
	if err := w.lib.need(tx, v); err != nil {
		return false, err
	}
	now := w.lib.Reputation(v.Reputation)
	return slices.ContainsFunc(adopted, func(r fold.Reputation) bool { return len(excludedDifferently(now, r)) > 0 }), nil
}

// excludedDifferently lists who is excluded by one of two reputations only.
func excludedDifferently(a, b fold.Reputation) (raters []string) {
	for id, v := range a {
		if v.Excluded && !b.Of(id).Excluded {
			raters = append(raters, id)
		}
	}
	for id, v := range b {
		if v.Excluded && !a.Of(id).Excluded {
			raters = append(raters, id)
		}
	}
	return raters
}

// beginning is the state before the first entry kept, when what was there cannot be
// read: what the owner said last.
func (w *work) beginning() *fold.State {
	s := fold.New()
	if c := w.canon; c != nil && !c.Retired {
		act := c.Act
		act.Kind, act.Levels = fold.Created, c.Act.Baseline
		var f fold.Folder
		_ = f.Apply(&s, &fold.Entry{Act: &act}) // an act asks no library
		s.Adopted = c.Adopted
	}
	s.Entries = uint32(w.book.merged)
	return &s
}
