package gateway

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/guard"
	"rapport/gateway/provider"
)

// How much of a talk a model is given.
const (
	talkLines = 30
	talkRunes = 24000
)

// talk gathers the messages up to the one to answer; nil when that one is gone.
func (s *Service) talk(ctx context.Context, q question, answer event.MessageID, p *plan) ([]provider.Message, error) {
	lines, err := s.o.Talks.Texts(ctx, q.room, q.agent, talkLines)
	if err != nil {
		return nil, err
	}
	end := slices.IndexFunc(lines, func(l Line) bool { return l.MessageID == answer })
	if end < 0 {
		return nil, nil
	}
	lines = lines[:end+1]
	first, left := len(lines), talkRunes
	for first > 0 && (left > 0 || first == len(lines)) {
		first--
		left -= utf8.RuneCountInString(lines[first].Text)
	}
	out := fewShot(p.profile.FewShot)
	for _, l := range lines[first:] {
		text := guard.Clean(l.Text, guard.MaxMessage)
		if l.Author.Kind == event.KindAgent && l.Author.AgentID == q.agent {
			out = say(out, provider.RoleAssistant, text)
			continue
		}
		if name := guard.Clean(l.Name, guard.MaxName); !q.direct && name != "" {
			text = strings.ReplaceAll(name, "\n", " ") + ": " + text
		}
		out = say(out, provider.RoleUser, text)
	}
	return out, nil
}

func fewShot(examples []compile.Example) []provider.Message {
	var out []provider.Message
	for _, e := range examples {
		out = append(out, provider.Message{Role: provider.RoleUser, Text: e.User}, provider.Message{Role: provider.RoleAssistant, Text: e.Agent})
	}
	return out
}

// say appends a message; two of one role become one, since some templates accept
// nothing else. Empty ones are left out.
func say(list []provider.Message, role, text string) []provider.Message {
	if text == "" {
		return list
	}
	if n := len(list); n > 0 && list[n-1].Role == role {
		list[n-1].Text += "\n" + text
		return list
	}
	return append(list, provider.Message{Role: role, Text: text})
}
