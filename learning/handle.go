package learning

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/wire"
	"rapport/policy"
)

// decoders are the events that the context listens to.
var decoders = map[event.Type]func(event.Event) (any, error){
	event.AgentCreated{}.EventType():      as[event.AgentCreated],
	event.AgentUpdated{}.EventType():      as[event.AgentUpdated],
	event.AgentTransferred{}.EventType():  as[event.AgentTransferred],
	event.AgentRetired{}.EventType():      as[event.AgentRetired],
	event.AgentInvited{}.EventType():      as[event.AgentInvited],
	event.PolicyRefused{}.EventType():     as[event.PolicyRefused],
	event.ReplyGenerated{}.EventType():    as[event.ReplyGenerated],
	event.SessionEnded{}.EventType():      as[event.SessionEnded],
	event.FeedbackCreated{}.EventType():   as[event.FeedbackCreated],
	event.FeedbackRetracted{}.EventType(): as[event.FeedbackRetracted],
	event.PolicyProposed{}.EventType():    as[event.PolicyProposed],
	event.UpdateRefused{}.EventType():     as[event.UpdateRefused],
	event.ParametersAdopted{}.EventType(): as[event.ParametersAdopted],
	event.GuardChanged{}.EventType():      as[event.GuardChanged],
}

func as[T event.Payload](e event.Event) (any, error) {
	p, err := event.As[T](e)
	return &p, err
}

// incoming is one event with its payload, and for a change of an agent what its
// policy says.
type incoming struct {
	*event.Event
	body   any
	act    fold.Act
	doc    policy.Document
	signal *Signal // of a feedback, as the projections count it
	err    error

	version int64 // of a refusal: the agent's when it came
}

func (in *incoming) decode() {
	decode, ok := decoders[in.Type]
	if !ok {
		return
	}
	if in.body, in.err = decode(*in.Event); in.err != nil {
		return
	}
	switch p := in.body.(type) {
	case *event.AgentCreated:
		in.act, in.doc, in.err = actOf(fold.Created, event.Change{}, &p.AgentState)
	case *event.AgentUpdated:
		kind, _ := actKind(p.Change.Kind)
		in.act, in.doc, in.err = actOf(kind, p.Change, &p.AgentState)
	case *event.FeedbackCreated:
		in.signal = signalOf(p, in.Time)
	case *event.ReplyGenerated:
		if p.Action == actionReply && len(p.Rendered) != policy.NTraits {
			in.err = fmt.Errorf("%w: decision %s has %d rendered levels, want %d", event.ErrMalformed, p.DecisionID, len(p.Rendered), policy.NTraits)
		}
	}
}

const actionReply = "reply"

// actKind says which act of the owner a change is; false for a change that makes
// no entry.
func actKind(change string) (byte, bool) {
	switch change {
	case event.ChangeEdited:
		return fold.Edited, true
	case event.ChangeRollback:
		return fold.RolledBack, true
	case event.ChangePinned:
		return fold.Pinned, true
	case event.ChangeBounds, event.ChangePaused, event.ChangeResumed, event.ChangeKilled, event.ChangeRevived, event.ChangeSettings:
		return fold.Settings, true
	}
	return fold.Settings, false
}

// work is one agent's part of a batch.
type work struct {
	agent  string
	events []*incoming
	last   *incoming // the last one with an effect

	lib       *library
	horizon   horizon
	book      book
	canon     *canon
	asked     ask
	muted     bool   // nothing is to be emitted
	policy    []byte // the canonical document, JSON; of those that propose
	tally     tally
	actions   *actions
	withdrawn map[string]bool
	prior     map[string]*Signal // counted earlier and to be taken back now

	// what the events changed
	evidence   bool            // something the fold listens to
	fed        map[string]bool // episodes with new evidence
	causes     []string        // feedback ids
	correction bool            // evidence was taken back
	surround   bool            // the mixture must surround other levels
	again      bool            // a proposal was refused as stale
	recount    bool            // the newest feedback may be another one
	counted    bool
	known      bool // canon changed
	doc        *policy.Document
	state      *event.AgentState
	tombstones []string
	removed    []string
	sides      map[string]bool      // episodes that could be held out, and whether they were
	held       *event.UpdateRefused // to tell, unless it was told
	signals    map[string]*signalRow
	order      []string // of signals
	page       page
	wish       *wish // to propose
	retired    bool

	out []event.Event
	err error
}

func (w *work) tombstone(feedback string) {
	if w.withdrawn == nil {
		w.withdrawn = map[string]bool{}
	}
	w.withdrawn[feedback] = true
}

// handle folds a batch: agents are folded side by side in memory, then everything
// is written in the one transaction. What is stored does not depend on how events
// fall into batches.
func (s *Service) handle(_ context.Context, tx *sqldb.Tx, events []event.Event) error {
	all := make([]incoming, len(events))
	parallel(len(all), func(i int) {
		all[i].Event = &events[i]
		all[i].decode()
	})
	var works []*work
	of, muted := map[string]*work{}, relay.Muted(tx)
	for i := range all {
		if all[i].err != nil {
			return all[i].err
		}
		if all[i].body == nil {
			continue
		}
		if p, ok := all[i].body.(*event.ParametersAdopted); ok {
			if err := s.lib.need(tx, versionsOf(p)); errors.Is(err, errParameters) {
				return fmt.Errorf("%w: agent %s cannot adopt this: %w", event.ErrMalformed, p.AgentID, err)
			} else if err != nil {
				return err
			}
		}
		w := of[all[i].Subject]
		if w == nil {
			w = &work{agent: all[i].Subject, book: newBook(0, 0, nil, nil), muted: muted, lib: s.lib, horizon: s.horizon}
			of[w.agent] = w
			works = append(works, w)
		}
		w.events = append(w.events, &all[i])
	}
	if err := load(tx, works, of); err != nil {
		return err
	}
	if !muted {
		if err := welcome(tx, works); err != nil {
			return err
		}
		s.asks.read(works)
		tx.OnCommit(func() { s.asks.keep(works) })
	}
	// While some agents are folded, those before them are written.
	groups := slices.Collect(slices.Chunk(works, group))
	folded := make(chan error, len(groups))
	var folding sync.WaitGroup
	defer folding.Wait()
	folding.Go(func() {
		for _, g := range groups {
			folded <- each(g, (*work).run)
		}
	})
	var rows []signalRow
	var out []event.Event
	for _, g := range groups {
		if err := <-folded; err != nil {
			return err
		}
		if err := loadPolicies(tx, g, of); err != nil {
			return err
		}
		if err := each(g, (*work).propose); err != nil {
			return err
		}
		for _, w := range g {
			if err := w.store(tx); err != nil {
				return err
			}
			for _, id := range w.order {
				if r := w.signals[id]; r != nil {
					rows = append(rows, *r)
				}
			}
		}
	}
	if err := storeSignals(tx, rows); err != nil {
		return err
	}
	for _, w := range works {
		if err := w.meet(tx); err != nil {
			return err
		}
		if err := w.remember(tx); err != nil {
			return err
		}
		if err := w.recountLast(tx); err != nil {
			return err
		}
		out = append(out, w.out...)
	}
	return relay.Emit(tx, out...)
}

// group is how many agents are folded before the first of them are written.
const group = 32

// each runs f for every agent, side by side.
func each(works []*work, f func(*work) error) error {
	parallel(len(works), func(i int) { works[i].err = f(works[i]) })
	for _, w := range works {
		if w.err != nil {
			return fmt.Errorf("agent %s: %w", w.agent, w.err)
		}
	}
	return nil
}

// parallel runs f for 0 … n−1 on every processor.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+7)/8)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				from := int(next.Add(8)) - 8
				if from >= n {
					return
				}
				for i := from; i < min(from+8, n); i++ {
					f(i)
				}
			}
		})
	}
	wg.Wait()
}

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

// run applies the agent's events in memory, folds, and prepares what to emit.
func (w *work) run() error {
	if w.canon != nil && w.canon.Retired {
		w.events = nil
		return nil
	}
	for _, in := range w.events {
		before := w.book.count()
		if err := w.apply(in); err != nil {
			return err
		}
		if w.retired {
			return nil
		}
		if err := w.book.seal(w.horizon, before); err != nil {
			return err
		}
	}
	if !w.book.changed() && !w.surround && !w.again {
		return nil
	}
	f := fold.Folder{Library: w.lib}
	state, page, err := w.book.fold(&f)
	if err != nil {
		return err
	}
	w.page = page
	return w.conclude(&state, &f)
}

// apply is the one switch over events.
func (w *work) apply(in *incoming) error {
	switch p := in.body.(type) {
	case *event.AgentCreated:
		w.see(in, &p.AgentState, true)
		return w.enact(in, in.act)
	case *event.AgentUpdated:
		w.see(in, &p.AgentState, p.Change.By == policy.ByOwner && p.Change.Kind != event.ChangeMood)
		if _, ok := actKind(p.Change.Kind); ok {
			return w.enact(in, in.act)
		}
	case *event.AgentTransferred:
		w.tally.Revision++
		w.counted = true
		if w.canon != nil {
			w.canon.Owner, w.canon.Since = p.To, max(w.canon.Since, in.Time)
			w.known = true
		}
		return w.enact(in, fold.Act{Kind: fold.Transferred})
	case *event.AgentRetired:
		w.retired = true
	case *event.ParametersAdopted:
		return w.adopt(in, versionsOf(p))
	case *event.GuardChanged:
		w.guarded(in, p)
	case *event.PolicyProposed:
		w.asked = ask{}
		if c := w.canon; c != nil && c.Untold && slices.Contains(p.Causes, c.Adoption) {
			c.Untold, w.known = false, true
		}
		if c := w.canon; c != nil && p.Parent == c.Version {
			c.Asked, c.AskedFor, c.AskedActions = p.Parent, c.Act.Levels, c.Act.Actions
			for _, m := range p.Moved {
				if t, ok := policy.ParseTrait(m.Trait); ok {
					c.AskedFor[t] = wire.Micro(min(1, max(0, m.After)))
				} else if k, ok := fold.ParseAction(m.Trait); ok {
					c.AskedActions[k] = wire.Micro(min(1, max(0, m.After)))
				}
			}
			w.known = true
		}
	case *event.UpdateRefused:
		if w.canon != nil {
			in.version = w.canon.Version
		}
	case *event.PolicyRefused:
		if p.Gate == "stale" {
			w.again, w.last = true, in
		}
	case *event.ReplyGenerated:
		w.actions.note(in.Time, p)
		if p.Action == actionReply {
			w.side(p)
		}
		return w.decided(in, p)
	case *event.FeedbackCreated:
		return w.feedback(in, p)
	case *event.FeedbackRetracted:
		return w.takeBack(in, string(p.FeedbackID), p.Reason)
	}
	return nil
}

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
		e.Protected, e.Consent = p.Protected, p.Consent
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

// chanceOf says which action weight decided whether to speak; false when none did.
// With an agent that holds the floor the chance is another than the weight.
func chanceOf(p *event.ReplyGenerated) (fold.Action, bool) {
	if p.Chance == nil || len(p.Reasons) != 1 || !(*p.Chance >= 0 && *p.Chance <= 1) {
		return 0, false
	}
	return fold.Answering(p.Context)
}

// feedback takes in a signal, unless it was withdrawn before it came.
func (w *work) feedback(in *incoming, p *event.FeedbackCreated) error {
	id := string(p.FeedbackID)
	if p.Supersedes != "" {
		if err := w.takeBack(in, string(p.Supersedes), ""); err != nil {
			return err
		}
	}
	if w.withdrawn[id] {
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

// takeBack makes a feedback as if it had never been given, and keeps in mind
// that it was withdrawn, in case it comes later. What is merged with others cannot
// be taken out: then that is said, and an erasure takes all of it away.
func (w *work) takeBack(in *incoming, id, reason string) error {
	if w.withdrawn[id] {
		return nil
	}
	w.tombstone(id)
	w.tombstones = append(w.tombstones, id)
	s := w.prior[id]
	if row := w.signals[id]; row != nil { // of this batch
		s = row.signal
		delete(w.signals, id)
	}
	if s == nil {
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
