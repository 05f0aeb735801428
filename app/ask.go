package app

import (
	"context"

	"rapport/agent"
	"rapport/chat"
	"rapport/event"
	"rapport/gateway"
	"rapport/gateway/compile"
	"rapport/learning/evaluate"
)

// Questions between contexts: each type answers in the asker's words with
// another context's exported verb. Where words and verb agree, the context
// itself is the answer (see makeContexts).

// profiles answers gateway's ProfileOf from agent.
type profiles struct{ agents *agent.Service }

func (a profiles) ProfileOf(ctx context.Context, id event.AgentID) (compile.Persona, error) {
	t, _, err := a.agents.ProfileOf(ctx, id)
	p := compile.Persona{Name: t.Name, Description: t.Description, Style: t.Style, Backstory: t.Backstory}
	for _, e := range t.Examples {
		p.Examples = append(p.Examples, compile.Example{User: e.Person, Agent: e.Agent})
	}
	return p, err
}

// tried answers learning's question to gateway and learning itself: what was drawn
// in an agent's sessions, with what its owner thought of them.
type tried struct{ *parts }

func (a tried) Sessions(ctx context.Context, agent event.AgentID) ([]evaluate.Session, error) {
	sessions, _, err := a.heard(ctx, agent)
	return sessions, err
}

// directory answers gateway's AgentsOf and BySlug from agent.
type directory struct{ agents *agent.Service }

func (a directory) AgentsOf(ctx context.Context, person event.PersonID) ([]gateway.Card, error) {
	list, err := a.agents.AgentsOf(ctx, person)
	cards := make([]gateway.Card, len(list))
	for i, one := range list {
		cards[i] = gateway.Card{ID: one.ID, Slug: one.Slug, Created: one.CreatedAt}
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
	return a.chat.PostReply(ctx, chat.Reply(r))
}

func (a room) Typing(id event.RoomID, of event.AgentID) { a.chat.Typing(id, of) }

func (a room) Delta(id event.RoomID, of event.AgentID, decision event.DecisionID, text string) {
	a.chat.Delta(id, of, decision, text)
}
