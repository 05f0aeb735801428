package learning

import (
	"fmt"
	"slices"

	"rapport/event"
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
	event.PersonForgotten{}.EventType():   as[event.PersonForgotten],
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
