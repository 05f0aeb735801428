package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"rapport/app/client"
	"rapport/internal/fault"
	"rapport/policy"
)

type chatCmd struct {
	Agent     string `arg:"" help:"Name of an agent; made yours when there is none of that name."`
	Archetype int    `help:"Where it starts if it is made: id of one of \"rapport archetypes\"."`
}

func (chatCmd) Help() string {
	var tones []string
	for _, b := range policy.ToneButtons() {
		tones = append(tones, "/"+strings.ReplaceAll(b.Name, "_", "-"))
	}
	return `Write, and the agent answers. Lines that begin with / raise it:

  ` + strings.Join(tones, " ") + `
                 ask for it now, for the rest of this session, and as evidence for later
  /up /down      a thumb on the last answer
  /more /less    more or less like the last answer
  /because WORD  why it was good or bad: too_long, unkind, off_topic, helpful … (an unknown word lists them)
  /instead TEXT  what it should have said
  /rate LEVEL    loved, good, meh or not_great: how this session was
  /why           why the last answer was as it was, and what is believed by now
  /undo          go back to the policy before the newest one
  /end           end this session; the next message begins another
  /quit          leave`
}

func (c chatCmd) Run(ctx context.Context, g *globals) error {
	g.out = &together{w: g.out}
	return g.with(ctx, func(s *session) error {
		t := &talk{g: g, c: s.Client}
		if err := t.open(ctx, c.Agent, c.Archetype); err != nil {
			return err
		}
		follow, stop := context.WithCancel(ctx)
		var listening sync.WaitGroup
		defer listening.Wait()
		defer stop()
		listening.Go(func() { t.listen(follow) })
		return t.loop(ctx)
	})
}

// together lets an agent's words and those of the program come to one terminal.
type together struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *together) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

// talk is one person at a terminal with one agent.
type talk struct {
	g     *globals
	c     *client.Client
	agent client.Agent
	room  string
	seen  string // id of the newest change of the room that was seen

	replies chan said
	last    said
}

// said is a message of the agent, or why there is none.
type said struct {
	MessageID  string `json:"messageId"`
	DecisionID string `json:"decisionId"`
	SessionID  string `json:"sessionId,omitempty"`
	Text       string `json:"text"`
	shown      bool
	replyTo    string // the message it answers, '' for what it began
	trouble    string // why that one gets no answer
}

func (t *talk) open(ctx context.Context, name string, archetype int) error {
	a, err := t.c.Agent(ctx, name)
	if client.NotFound(err) {
		draft := map[string]any{"name": name}
		if archetype != 0 {
			draft["archetype"] = archetype
		}
		if err = t.c.Do(ctx, http.MethodPost, "/v1/agents", draft, &a); err == nil {
			t.note("%s is new: made for you, and yours.", a.Name)
		}
	}
	if err != nil {
		return err
	}
	t.agent, t.replies = a, make(chan said, 16)
	var room struct {
		ID     string `json:"id"`
		Cursor int64  `json:"cursor"`
	}
	err = retryMissing(ctx, func() error { return t.c.Do(ctx, http.MethodPost, "/v1/agents/"+a.ID+"/talk", nil, &room) })
	t.room, t.seen = room.ID, strconv.FormatInt(room.Cursor, 10)
	t.note("talking with %s; /help lists what raises an agent, /quit leaves", a.Name)
	return err
}

// retryMissing tries for a second while a new agent is not known everywhere yet.
func retryMissing(ctx context.Context, f func() error) error {
	for end := time.Now().Add(2 * time.Second); ; {
		err := f()
		if !client.NotFound(err) || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// note tells the person something that is not conversation.
func (t *talk) note(format string, args ...any) {
	if !t.g.JSON {
		fmt.Fprintf(t.g.out, "· "+format+"\n", args...)
	}
}

// listen shows the agent's words as they come and hands finished messages on. It
// begins after what was there when the talk was opened, and goes on after what it saw:
// an answer that is faster than the stream is not lost.
func (t *talk) listen(ctx context.Context) {
	shown := map[string]int{} // by decision, characters already on the screen
	told := map[string]bool{} // messages
	for ctx.Err() == nil {
		_ = t.c.Follow(ctx, "/v1/rooms/"+t.room+"/stream?after="+url.QueryEscape(t.seen), func(f client.Frame) bool {
			if f.ID != "" {
				t.seen = f.ID
			}
			switch f.Name {
			case "delta":
				var d struct{ DecisionID, Text string }
				if json.Unmarshal(f.Data, &d) == nil && !t.g.JSON {
					if shown[d.DecisionID] == 0 {
						fmt.Fprintf(t.g.out, "%s> ", strings.ToLower(t.agent.Name))
					}
					shown[d.DecisionID] += len(d.Text)
					fmt.Fprint(t.g.out, d.Text)
				}
			case "message":
				var m struct {
					ID, Text, DecisionID, ReplyTo string
					Author                        struct{ AgentID string }
				}
				if json.Unmarshal(f.Data, &m) == nil && m.Author.AgentID == t.agent.ID && !told[m.ID] {
					told[m.ID] = true
					select {
					case t.replies <- said{MessageID: m.ID, DecisionID: m.DecisionID, Text: m.Text, shown: shown[m.DecisionID] > 0, replyTo: m.ReplyTo}:
					case <-ctx.Done():
					}
				}
			case "trouble":
				var m struct {
					AgentID, MessageID, Says string
					Wait                     int
				}
				if json.Unmarshal(f.Data, &m) != nil || m.AgentID != t.agent.ID {
					break
				}
				if m.Wait > 0 {
					t.note("%s answers later: %s; it is tried again in %d s", t.agent.Name, m.Says, m.Wait)
					break
				}
				select {
				case t.replies <- said{replyTo: m.MessageID, trouble: m.Says}:
				case <-ctx.Done():
				}
			}
			return false
		})
		select { // the stream ended: it goes on where it was
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (t *talk) loop(ctx context.Context) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(t.g.in)
		in.Buffer(make([]byte, 1<<12), 1<<17)
		for in.Scan() {
			select {
			case lines <- in.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		t.prompt()
		select {
		case <-ctx.Done():
			return nil
		case m := <-t.replies:
			t.unasked(ctx, m)
		case line, ok := <-lines:
			line = strings.TrimSpace(line)
			if !ok || line == "/quit" {
				return nil
			}
			if line == "" {
				continue
			}
			if err := t.take(ctx, line); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				report(t.g.out, t.g.JSON, err) // a refusal ends no conversation
			}
		}
	}
}

func (t *talk) prompt() {
	if !t.g.JSON {
		fmt.Fprint(t.g.out, "you> ")
	}
}

func (t *talk) take(ctx context.Context, line string) error {
	if !strings.HasPrefix(line, "/") {
		return t.say(ctx, line)
	}
	word, rest, _ := strings.Cut(line[1:], " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "help":
		_, err := io.WriteString(t.g.out, chatCmd{}.Help()+"\n")
		return err
	case "up", "down":
		return t.give(ctx, "thumb", word, "messageId", t.last.MessageID)
	case "more", "less":
		return t.give(ctx, "more_less", word, "messageId", t.last.MessageID)
	case "because":
		return t.give(ctx, "reason", strings.ReplaceAll(rest, " ", "_"), "messageId", t.last.MessageID)
	case "instead":
		return t.give(ctx, "correction", rest, "messageId", t.last.MessageID)
	case "rate":
		return t.give(ctx, "session", strings.ReplaceAll(rest, " ", "_"), "sessionId", t.last.SessionID)
	case "why":
		return t.why(ctx)
	case "undo":
		return t.undo(ctx)
	case "end":
		if err := t.c.Do(ctx, http.MethodPost, "/v1/rooms/"+t.room+"/end", nil, nil); err != nil {
			return err
		}
		t.note("session ended")
		return nil
	}
	if _, ok := policy.ParseTone(strings.ReplaceAll(word, "-", "_")); ok {
		return t.give(ctx, "tone", strings.ReplaceAll(word, "-", "_"), "messageId", t.last.MessageID)
	}
	return fault.New(fault.Invalid, "unknown_command", "There is no /%s; /help lists what there is.", word)
}

// patience is how long a person waits for an answer before they are told.
const patience = 2 * time.Minute

func (t *talk) say(ctx context.Context, text string) error {
	var posted struct{ ID string }
	if err := t.c.Do(ctx, http.MethodPost, "/v1/rooms/"+t.room+"/messages", map[string]string{"text": text}, &posted); err != nil {
		return err
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wait.C:
			return fault.New(fault.Unavailable, "no_reply", "%s did not answer; `rapport dead-letters` and the server's log may say why.", t.agent.Name)
		case m := <-t.replies:
			switch {
			case m.replyTo != posted.ID:
				t.unasked(ctx, m)
			case m.trouble != "":
				return fault.New(fault.Unavailable, "no_reply", "%s could not answer: %s.", t.agent.Name, m.trouble)
			default:
				return t.show(ctx, m)
			}
		}
	}
}

// unasked shows what the agent began: first words, or something of its own.
func (t *talk) unasked(ctx context.Context, m said) {
	if m.trouble != "" { // of a message that nobody waits for any more
		return
	}
	if !t.g.JSON {
		fmt.Fprintln(t.g.out)
	}
	if err := t.show(ctx, m); err != nil && ctx.Err() == nil {
		report(t.g.out, t.g.JSON, err)
	}
}

// show ends what an agent says; it is what thumbs are about from now on.
func (t *talk) show(ctx context.Context, m said) error {
	var d struct {
		SessionID string `json:"sessionId"`
	}
	if err := retryMissing(ctx, func() error {
		return t.c.Do(ctx, http.MethodGet, "/v1/decisions/"+url.PathEscape(m.DecisionID), nil, &d)
	}); err != nil {
		return err
	}
	m.SessionID = d.SessionID
	t.last = m
	switch {
	case t.g.JSON:
		return t.g.print(m)
	case m.shown:
		fmt.Fprintln(t.g.out)
	default:
		fmt.Fprintf(t.g.out, "%s> %s\n", strings.ToLower(t.agent.Name), m.Text)
	}
	return nil
}

func (t *talk) give(ctx context.Context, kind, value, about, id string) error {
	if id == "" {
		return fault.New(fault.Invalid, "nothing_said", "Say something first: there is no answer yet that this could be about.")
	}
	var r struct {
		FeedbackID string `json:"feedbackId"`
		Status     string `json:"status"`
		Direction  *struct {
			Trait string `json:"trait"`
			Sign  int    `json:"sign"`
		} `json:"direction"`
	}
	words := "value"
	if kind == "correction" {
		words = kind
	}
	if err := t.c.Do(ctx, http.MethodPost, "/v1/feedback", map[string]string{"kind": kind, words: value, about: id}, &r); err != nil {
		return err
	}
	if t.g.JSON {
		return t.g.print(r)
	}
	switch {
	case kind == "correction":
		t.note("what %s should have said is kept, and compared with what was said", t.agent.Name)
	case kind == "reason" && r.Direction == nil:
		t.note("%s: kept with the answer", value)
	case kind == "reason":
		t.note("%s: evidence for later", value)
	case r.Direction != nil:
		t.note("%s: %s %+.2f for the rest of this session, and evidence for later", value, r.Direction.Trait, .15*float64(r.Direction.Sign))
	default:
		t.note("%s: counts towards what %s believes about you; /why shows how much", value, t.agent.Name)
	}
	return nil
}

func (t *talk) undo(ctx context.Context) error {
	var a struct {
		State struct {
			Version int64 `json:"version"`
		} `json:"state"`
	}
	if err := t.c.Do(ctx, http.MethodPost, "/v1/agents/"+t.agent.ID+"/undo", nil, &a); err != nil {
		return err
	}
	if t.g.JSON {
		return t.g.print(a)
	}
	t.note("undone: version %d has the levels of the one before", a.State.Version)
	return nil
}
