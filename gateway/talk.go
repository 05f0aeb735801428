package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/guard"
	"rapport/gateway/provider"
)

// How much of a talk a model is given. A model that finds it too long is asked
// once more with less.
const (
	talkLines   = 60
	talkTokens  = 6000
	shortTokens = 1200
)

// talk gathers the messages up to the one to answer, as many of the newest as
// budget tokens hold; nil when that one is gone.
func (s *Service) talk(ctx context.Context, q question, answer event.MessageID, p *plan, budget int) ([]provider.Message, error) {
	lines, err := s.o.Talks.Texts(ctx, q.room, q.agent, talkLines)
	if err != nil {
		return nil, err
	}
	end := slices.IndexFunc(lines, func(l Line) bool { return l.MessageID == answer })
	if end < 0 {
		return nil, nil
	}
	lines = lines[:end+1]
	newest := false
	if p.barred, newest = s.siftLines(ctx, lines, q.agent); newest && p.barred == "" {
		p.barred = provider.FinishFilter
	}
	said, others := transcript(lines, q.agent, p.made.Name(), q.direct, budget)
	p.others = others
	return append(fewShot(p.profile.FewShot), said...), nil
}

// transcript puts what was said, oldest first, in the words of one agent's model.
// Its own messages are the assistant's, all others the user's. Where more than one
// other speaks, each of their messages begins with a label, and the lines that go
// on with it are indented: a line that begins with a name at its very beginning is
// the platform's word on who spoke, and nobody can write one.
//
// The oldest messages are left out, whole, until the rest holds at most budget
// tokens; the last one always stays, cut at a sentence where it alone is longer.
//
// With them come the labels, none where there is nobody to confuse.
func transcript(lines []Line, agent event.AgentID, name string, direct bool, budget int) (out []provider.Message, names []string) {
	first, left := len(lines), budget
	for first > 0 {
		if left -= tokens(lines[first-1].Text) + 4; left < 0 && first < len(lines) {
			break
		}
		first--
	}
	lines = slices.Clone(lines[first:])
	if n := len(lines); n > 0 {
		lines[n-1].Text = shorten(lines[n-1].Text, budget)
	}
	var labels map[string]string
	if !direct || others(lines, agent) > 1 {
		labels = labelled(lines, agent, name)
	}
	for i, l := range lines {
		text := guard.Clean(l.Text, guard.MaxMessage)
		if text == "" && i == len(lines)-1 {
			text = "…" // the message to answer holds nothing to see
		}
		switch {
		case l.Author.Kind == event.KindAgent && l.Author.AgentID == agent:
			if len(out) == 0 && text != "" {
				out = say(out, provider.RoleUser, talkGoesOn) // some templates want the user first, and an example must not run into the talk
			}
			out = say(out, provider.RoleAssistant, text)
		case labels == nil || text == "":
			out = say(out, provider.RoleUser, text)
		default:
			out = say(out, provider.RoleUser, labels[l.Author.ID()]+": "+indent(text))
		}
	}
	return out, slices.Sorted(maps.Values(labels))
}

// talkGoesOn stands before a talk whose first line is the agent's own.
const talkGoesOn = "(The talk so far:)"

func others(lines []Line, agent event.AgentID) int {
	who := map[string]bool{}
	for _, l := range lines {
		who[l.Author.ID()] = true
	}
	delete(who, string(agent))
	return len(who)
}

// reserved are names that a template could take for a role.
var reserved = []string{"system", "assistant", "user", "developer", "tool", "human", "ai", "model"}

// labelled gives every speaker a label that is nobody else's: the name without what
// labels are made of, an agent with (AI) after it. Who has the name of another, the
// agent's own or one that sounds like a role gets a mark that follows from the id, so
// that it is the same in every prompt.
func labelled(lines []Line, agent event.AgentID, own string) map[string]string {
	names, taken := map[string]string{}, map[string]int{fold(label(own)): 2}
	for _, r := range reserved {
		taken[r] = 2
	}
	out := map[string]string{}
	for _, l := range lines {
		id := l.Author.ID()
		if _, known := names[id]; known || id == string(agent) {
			continue
		}
		name := label(l.Name)
		if name == "" {
			name = "Somebody"
			taken[fold(name)] = 2
		}
		names[id] = name
		taken[fold(name)]++
	}
	for _, l := range lines {
		id := l.Author.ID()
		name, ok := names[id]
		if !ok {
			continue
		}
		if taken[fold(name)] > 1 {
			name += " #" + event.HashID("label", id)[:4]
		}
		if l.Author.Kind == event.KindAgent {
			name += " (AI)"
		}
		out[id] = name
	}
	return out
}

// label is a name in one line, without the characters that labels are made of.
func label(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(":#()[]<>{}|：", r) || unicode.IsControl(r) {
			return ' '
		}
		return r
	}, guard.Clean(name, guard.MaxName))
	return strings.Join(strings.Fields(name), " ")
}

func fold(name string) string { return strings.ToLower(name) }

// indent moves every line but the first to the right. Clean has left no other ends
// of lines than the newline.
func indent(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "\n    ")
}

// tokens estimates how many tokens a text is, rather too many: four letters of
// ASCII, or one of anything else.
func tokens(text string) int {
	ascii, rest := 0, 0
	for _, r := range text {
		if r < 0x80 {
			ascii++
		} else {
			rest++
		}
	}
	return (ascii+3)/4 + rest
}

// shorten keeps the beginning of a text up to the last sentence that ends within
// the budget, or else up to the last word.
func shorten(text string, budget int) string {
	if tokens(text) <= budget {
		return text
	}
	ascii, rest, sentence, word, prev := 0, 0, 0, 0, ' '
	for i, r := range text {
		if unicode.IsSpace(r) {
			if word = i; strings.ContainsRune(".!?…", prev) {
				sentence = i
			}
		} else if strings.ContainsRune("。！？", prev) {
			sentence, word = i, i
		}
		if r < 0x80 {
			ascii++
		} else {
			rest++
		}
		if (ascii+3)/4+rest > budget-2 {
			switch {
			case sentence > 0:
				return text[:sentence] + " …"
			case word > 0:
				return text[:word] + " …"
			}
			return text[:i] + "…"
		}
		prev = r
	}
	return text
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
