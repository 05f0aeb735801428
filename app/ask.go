package app

import (
	"context"
	"slices"
	"time"

	"rapport/agent"
	"rapport/chat"
	"rapport/chat/textsignal"
	"rapport/event"
	"rapport/feedback"
	"rapport/gateway"
	"rapport/gateway/compile"
	"rapport/gateway/guard"
	"rapport/internal/fault"
	"rapport/learning/evaluate"
)

// Questions between contexts: each type answers in the asker's words with
// another context's exported verb. Where words and verb agree, the context
// itself is the answer (see makeContexts).

// profiles answers gateway's ProfileOf from agent.
type profiles struct{ agents *agent.Service }

func (a profiles) ProfileOf(ctx context.Context, id event.AgentID) (compile.Persona, error) {
	t, _, err := a.agents.ProfileOf(ctx, id)
	p := compile.Persona{Name: t.Name, Description: t.Description, Style: t.Style, Backstory: t.Backstory, Scenario: t.Scenario}
	for _, o := range append([]string{t.Greeting}, t.Openings...) {
		if o != "" {
			p.Openings = append(p.Openings, o)
		}
	}
	for _, e := range t.Examples {
		p.Examples = append(p.Examples, compile.Example{User: e.Person, Agent: e.Agent})
	}
	return p, err
}

// suggests answers agent's question to gateway: fill in what is missing.
type suggests struct{ *parts }

func (a suggests) Suggest(ctx context.Context, q agent.Question) (agent.Answer, error) {
	var about []guard.Field
	for _, s := range q.About {
		about = append(about, guard.Field(s))
	}
	w, err := a.Gateway.Ask(ctx, gateway.Task{Owner: q.Owner, Agent: q.Agent, Do: q.Task, About: about, Schema: q.Schema})
	return agent.Answer(w), err
}

// tried answers learning's question to gateway and learning itself: what was drawn
// in an agent's sessions, with what its owner thought of them.
type tried struct{ *parts }

func (a tried) Sessions(ctx context.Context, agent event.AgentID) ([]evaluate.Session, error) {
	sessions, _, err := a.heard(ctx, agent)
	return sessions, err
}

// meter answers feedback's question to chat: the features of a text.
type meter struct{}

func (meter) Measure(text string) event.Features { return textsignal.Measure(text) }

// effects answers feedback's question to agent and learning: what each feedback on an
// agent of the caller did.
type effects struct{ *parts }

func (a effects) Effects(ctx context.Context, id event.AgentID) (map[event.FeedbackID]feedback.Effect, error) {
	versions, err := a.Agents.Versions(ctx, string(id), 0, shownVersions)
	if err != nil {
		return nil, err
	}
	x, err := a.Learning.Explain(ctx, id)
	if err != nil && !fault.Is(err, "agent_unknown") {
		return nil, err
	}
	out := map[event.FeedbackID]feedback.Effect{}
	if err == nil {
		for _, r := range x.Ratings {
			out[event.FeedbackID(r.FeedbackID)] = feedback.Effect{Says: r.Effect()}
		}
	}
	for _, v := range slices.Backward(versions) { // oldest first
		for _, cause := range v.Causes {
			e, use := out[event.FeedbackID(cause)], feedback.Use{Version: v.Version, Moved: v.Change.TraitsDelta}
			switch v.Kind {
			case event.ChangeLearned:
				e.UsedIn = append(e.UsedIn, use)
			case event.ChangeWithdrawn:
				e.TakenOutIn = append(e.TakenOutIn, use)
			}
			out[event.FeedbackID(cause)] = e
		}
	}
	return out, nil
}

// named answers learning's BySlug from agent.
type named struct{ p *parts }

func (n named) BySlug(ctx context.Context, ref string) (event.AgentID, error) {
	return n.p.Agents.BySlug(ctx, ref)
}

// directory answers gateway's AgentsOf and BySlug from agent.
type directory struct{ agents *agent.Service }

func (a directory) AgentsOf(ctx context.Context, person event.PersonID) ([]gateway.Card, error) {
	list, err := a.agents.AgentsOf(ctx, person)
	cards := make([]gateway.Card, len(list))
	for i, one := range list {
		cards[i] = gateway.Card{ID: one.ID, Slug: one.Slug, Created: one.CreatedAt}
	}
	if err != nil {
		return nil, err
	}
	natives, err := a.agents.ListNatives(ctx, "")
	for _, n := range natives {
		cards = append(cards, gateway.Card{ID: n.ID, Slug: n.Slug, Created: n.CreatedAt, Platform: true})
	}
	return cards, err
}

func (a directory) BySlug(ctx context.Context, ref string) (event.AgentID, error) {
	return a.agents.BySlug(ctx, ref)
}

// room answers gateway's questions to chat: what was said, and say this.
type room struct{ chat *chat.Service }

func (a room) Texts(ctx context.Context, id event.RoomID, of event.AgentID, limit int) ([]gateway.Line, error) {
	texts, err := a.chat.Texts(ctx, id, of, limit)
	lines := make([]gateway.Line, len(texts))
	for i, t := range texts {
		lines[i] = gateway.Line{MessageID: t.MessageID, Author: t.Author, Name: t.Name, Text: t.Text}
	}
	return lines, err
}

func (a room) PostReply(ctx context.Context, r gateway.Reply) (event.MessageID, error) {
	said := chat.Reply{DecisionID: r.DecisionID, AgentID: r.AgentID, RoomID: r.RoomID, SessionID: r.SessionID, ReplyTo: r.ReplyTo, Text: r.Text}
	if r.Begin != nil {
		b := chat.Begin(*r.Begin)
		said.Begin = &b
	}
	return a.chat.PostReply(ctx, said)
}

func (a room) Place(ctx context.Context, id event.RoomID, of event.AgentID) (gateway.Place, error) {
	p, err := a.chat.Place(ctx, id, of)
	return gateway.Place(p), err
}

func (a room) Typing(id event.RoomID, of event.AgentID) { a.chat.Typing(id, of) }

func (a room) Trouble(id event.RoomID, of event.AgentID, t gateway.Trouble) {
	a.chat.Trouble(id, chat.Trouble{AgentID: of, MessageID: t.MessageID, Code: t.Code, Says: t.Says, Wait: int((t.Wait + time.Second - 1) / time.Second), Again: t.Again})
}

func (a room) Delta(id event.RoomID, of event.AgentID, decision event.DecisionID, text string) {
	a.chat.Delta(id, of, decision, text)
}
