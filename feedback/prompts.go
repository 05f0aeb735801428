package feedback

import (
	"context"
	"time"

	"rapport/event"
	"rapport/feedback/asking"
	"rapport/feedback/signal"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// Prompt is what a person is asked now, or why they are not.
type Prompt struct {
	asking.Decision
	PromptID  event.PromptID  `json:"promptId,omitempty"`
	AgentID   event.AgentID   `json:"agentId,omitempty"`
	SessionID event.SessionID `json:"sessionId,omitempty" doc:"The talk to rate, of after_session."`
	MessageID event.MessageID `json:"messageId,omitempty" doc:"The answer under which the thumbs are emphasised, of inline."`
	State     string          `json:"state,omitempty" enum:"asked,shown,skipped,answered,expired"`
	ExpiresAt event.Micros    `json:"expiresAt,omitempty" doc:"Until when it can be shown."`
}

// Screen is where the person is: an answer is in front of them, or a talk just ended,
// or neither. Without an agent all of theirs are looked at.
type Screen struct {
	Agent   event.AgentID
	Message event.MessageID
	Session event.SessionID
}

// lookedAt is how many agents a visit without a name looks at, those talked with last.
const lookedAt = 20

// Prompt says what to ask the principal now, by asking.Decide, and records that it is
// asked; the same screen again gives the same prompt while it is open. What happened a
// moment ago is waited for, a quarter of a second.
//
// Faults: not_found (the agent, message or session is not known; yet, perhaps),
// invalid screen_ambiguous, unauthenticated.
func (s *Service) Prompt(ctx context.Context, p authz.Principal, at Screen) (Prompt, error) {
	if p.Person == "" {
		return Prompt{}, p.Check(authz.Feedback, authz.List)
	}
	switch {
	case at.Message != "" && at.Session != "":
		return Prompt{}, fault.New(fault.Invalid, "screen_ambiguous", "Name message or session, not both.")
	case at.Agent == "" && (at.Message != "" || at.Session != ""):
		return Prompt{}, fault.New(fault.Invalid, "agent_missing", "Name the agent beside the message or session.")
	}
	for end := time.Now().Add(glance); ; time.Sleep(2 * time.Millisecond) {
		var out Prompt
		err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			out, err = s.look(tx, p.Person, at)
			return err
		})
		if fault.KindOf(err) == fault.NotFound && time.Now().Before(end) {
			continue
		}
		if err != nil || out.Ask == asking.None || out.PromptID != "" {
			return out, err
		}
		err = s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			if out, err = s.look(tx, p.Person, at); err != nil || out.Ask == asking.None || out.PromptID != "" {
				return err
			}
			return s.ask(tx, p.Person, &out)
		})
		return out, err
	}
}

// look decides for a screen; PromptID is set when it was asked before.
func (s *Service) look(tx *sqldb.Tx, person event.PersonID, at Screen) (Prompt, error) {
	if at.Agent != "" {
		return s.lookAt(tx, person, at)
	}
	rows, err := tx.Query(`select s.agent_id from standing s join agents a on a.agent_id = s.agent_id where person_id = $1 and owner_id = $2 and not retired and ended_at >= $3
		order by ended_at desc, s.agent_id limit $4`, person, person, s.now()-s.rules.Lately, lookedAt)
	if err != nil {
		return Prompt{}, err
	}
	defer rows.Close()
	var agents []event.AgentID
	for rows.Next() {
		var id event.AgentID
		if err := rows.Scan(&id); err != nil {
			return Prompt{}, err
		}
		agents = append(agents, id)
	}
	if err := rows.Close(); err != nil {
		return Prompt{}, err
	}
	out := Prompt{Decision: asking.Decision{Ask: asking.None, Code: "no_session", Why: "There was no talk lately."}}
	for _, id := range agents {
		one, err := s.lookAt(tx, person, Screen{Agent: id})
		if err != nil || one.Ask != asking.None {
			return one, err
		}
		if until := one.Until; len(agents) == 1 || until != 0 && (out.Until == 0 || until < out.Until) {
			out = one
		}
	}
	return out, nil
}

func (s *Service) lookAt(tx *sqldb.Tx, person event.PersonID, at Screen) (Prompt, error) {
	now := s.now()
	k, err := s.known(tx, person, at.Agent, now)
	if err != nil {
		return Prompt{}, err
	}
	out := Prompt{AgentID: at.Agent}
	if d, never := s.rules.Never(k); never { // who asks about another's agent learns nothing of ids
		out.Decision = d
		return out, nil
	}
	if open, err := s.open(tx, person, at, now); err != nil || open != nil {
		if open != nil {
			out = *open
		}
		return out, err
	}
	switch {
	case at.Message != "":
		if k.Message, out.SessionID, err = s.message(tx, person, at); err != nil {
			return out, err
		}
		out.Decision = asking.Decide(s.rules, asking.AtMessage, k, now)
		out.MessageID = at.Message
		return out.orNothing(), nil
	case at.Session != "" && (k.Session == nil || k.Session.ID != at.Session):
		ended, err := tx.Get(`select 1 from sessions where session_id = $1 and agent_id = $2 and last_at < $3`, []any{at.Session, at.Agent, lastEnd(k)}, new(int))
		if err != nil || !ended {
			if err == nil {
				err = errNotFound
			}
			return out, err
		}
		out.Decision = asking.Decision{Ask: asking.None, Code: "session_past", Why: "Another talk ended since."}
		return out, nil
	}
	moment := asking.AtVisit
	if at.Session != "" {
		moment = asking.AtEnd
	}
	out.Decision = asking.Decide(s.rules, moment, k, now)
	if out.Ask == asking.AfterSession {
		out.SessionID = k.Session.ID
	}
	return out.orNothing(), nil
}

func lastEnd(k asking.Known) event.Micros {
	if k.Session == nil {
		return 0
	}
	return k.Session.EndedAt
}

func (p Prompt) orNothing() Prompt {
	if p.Ask == asking.None {
		p.MessageID, p.SessionID = "", ""
	}
	return p
}

// known collects what is known of a person and an agent. Fault not_found.
func (s *Service) known(tx *sqldb.Tx, person event.PersonID, agent event.AgentID, now event.Micros) (k asking.Known, err error) {
	var owner event.PersonID
	var intensity string
	var retired bool
	there, err := tx.Get(`select owner_id, retired, asking, ask_every, listening from agents where agent_id = $1`, []any{agent}, &owner, &retired, &intensity, &k.Every, &k.Listening)
	if err != nil || !there || retired {
		if err == nil {
			err = errNotFound
		}
		return k, err
	}
	k.Agent, k.Owns = agent, owner == person
	k.Intensity, _ = asking.Parse(intensity)
	if k.Budget, err = s.budgetOf(tx, person); err != nil {
		return k, err
	}
	if k.Protected, err = tx.Get(`select 1 from protections where person_id = $1 and protected and (until = 0 or until > $2)`, []any{person, now}, new(int)); err != nil {
		return k, err
	}
	var level string
	var last asking.Session
	stands, err := tx.Get(`select level, first_at, talks, session_id, ended_at, duration, spoke, began, protected from standing where agent_id = $1 and person_id = $2`, []any{agent, person},
		&level, &k.Since, &last.Number, &last.ID, &last.EndedAt, &last.Duration, &last.Spoke, &last.Began, &last.Protected)
	if err != nil {
		return k, err
	}
	if k.Close = strength(level); stands && last.ID != "" {
		var engaged *float64
		if _, err := tx.Get(`select score from feedback_events where slot = $1 and live`, []any{slot(string(last.ID), person, event.ChannelBehaviour, signal.Engagement)}, &engaged); err != nil {
			return k, err
		}
		if engaged != nil {
			last.Engaged = *engaged
		}
		k.Session = &last
	}
	if _, err := tx.Get(`select created_at from feedback_events where agent_id = $1 and rater_id = $2 and source <> 'implicit' order by created_at desc limit 1`, []any{agent, person}, &k.Given); err != nil {
		return k, err
	}
	past, err := promptsWhere(tx, `person_id = $1 and asked_at > $2 and kind <> 'inline'`, person, now-s.rules.Memory())
	for _, p := range past {
		k.History = append(k.History, p.Prompt)
	}
	return k, err
}

// message is what is known of an answer for emphasising its thumbs, with the talk it
// was said in. Fault not_found.
func (s *Service) message(tx *sqldb.Tx, person event.PersonID, at Screen) (*asking.Message, event.SessionID, error) {
	var m said
	there, err := m.get(tx, at.Message)
	if err != nil || !there || m.agent != at.Agent {
		if err == nil {
			err = errNotFound
		}
		return nil, "", err
	}
	out := asking.Message{Protected: m.protected}
	if _, err := tx.Get(`select new_tone from decisions where decision_id = $1`, []any{m.decision}, &out.NewTone); err != nil {
		return nil, "", err
	}
	// Since when: the newest answer before it in the room that was emphasised or pressed.
	var before int64
	for _, last := range []string{
		`select coalesce(max(m.sequence), 0) from prompts p join messages m on m.message_id = p.message_id where p.person_id = $1 and p.agent_id = $2 and p.kind = 'inline' and m.room_id = $3 and m.sequence < $4`,
		`select coalesce(max(m.sequence), 0) from feedback_events f join messages m on m.message_id = f.message_id where f.rater_id = $1 and f.agent_id = $2 and f.source <> 'implicit' and m.room_id = $3 and m.sequence < $4`,
	} {
		var sequence int64
		if _, err := tx.Get(last, []any{person, at.Agent, m.room, m.sequence}, &sequence); err != nil {
			return nil, "", err
		}
		before = max(before, sequence)
	}
	if _, err := tx.Get(`select count(*) from (select 1 from messages where room_id = $1 and sequence > $2 and sequence <= $3 and agent_id <> '' and agent_id = $4 limit 1000) as answers`,
		[]any{m.room, before, m.sequence, at.Agent}, &out.Since); err != nil {
		return nil, "", err
	}
	if _, err := tx.Get(`select sentiment from feedback_events where rater_id = $1 and agent_id = $2 and signal = $3 and live order by created_at desc, feedback_id limit 1`,
		[]any{person, at.Agent, signal.Engagement}, &out.Sentiment); err != nil {
		return nil, "", err
	}
	_, err = tx.Get(`select count(*) from prompts where person_id = $1 and agent_id = $2 and kind = 'inline' and state <> 'answered' and state <> 'asked'
		and asked_at > (select coalesce(max(asked_at), 0) from prompts where person_id = $3 and agent_id = $4 and kind = 'inline' and state = 'answered')`,
		[]any{person, at.Agent, person, at.Agent}, &out.Passed)
	return &out, m.session, err
}

// open gives the prompt of a screen that was asked before: while it is open as it
// is, later as none.
func (s *Service) open(tx *sqldb.Tx, person event.PersonID, at Screen, now event.Micros) (*Prompt, error) {
	var found []row
	var err error
	switch {
	case at.Message != "":
		found, err = promptsWhere(tx, `person_id = $1 and agent_id = $2 and kind = 'inline' and message_id = $3`, person, at.Agent, at.Message)
	case at.Session != "":
		found, err = promptsWhere(tx, `person_id = $1 and agent_id = $2 and kind = 'after_session' and session_id = $3`, person, at.Agent, at.Session)
	default:
		found, err = promptsWhere(tx, `person_id = $1 and agent_id = $2 and kind <> 'inline' and state in ('asked', 'shown') and expires_at >= $3`, person, at.Agent, now)
	}
	if err != nil || len(found) == 0 {
		return nil, err
	}
	p := found[len(found)-1].view(now)
	if p.State != asking.Asked && p.State != asking.Shown {
		p = Prompt{AgentID: at.Agent, PromptID: p.PromptID, State: p.State, Decision: asking.Decision{Ask: asking.None, Code: "asked_already", Why: "You were asked about this already; the prompt is " + p.State + "."}}
	}
	return &p, nil
}

// ask records a decision to ask and tells the others.
func (s *Service) ask(tx *sqldb.Tx, person event.PersonID, p *Prompt) error {
	now := s.now()
	about := string(p.SessionID)
	switch p.Ask {
	case asking.Inline:
		about = string(p.MessageID)
	case asking.CheckIn:
		about = time.UnixMicro(now).UTC().Format(time.RFC3339Nano)
	}
	p.PromptID = event.PromptID(event.HashID("prompt", string(p.Ask), string(person), string(p.AgentID), about))
	p.State, p.ExpiresAt = asking.Asked, now+s.rules.Open(p.Ask)
	_, err := tx.Exec(`insert into prompts (prompt_id, person_id, agent_id, kind, session_id, message_id, reason, state, asked_at, shown_at, skipped_at, answered_at, feedback_id, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, '', $10)`,
		p.PromptID, person, p.AgentID, string(p.Ask), p.SessionID, p.MessageID, p.Code, p.State, now, p.ExpiresAt)
	if err != nil {
		return err
	}
	return s.tell(tx, row{id: p.PromptID, person: person, message: p.MessageID, Prompt: asking.Prompt{Kind: p.Ask, Agent: p.AgentID, Session: p.SessionID, State: p.State}}, now)
}

func (s *Service) tell(tx *sqldb.Tx, p row, now event.Micros) error {
	return relay.Emit(tx, p.event(now))
}

// Saw says that the prompt is on a screen. Again, or after it was answered or put away,
// it changes nothing. Faults: not_found, conflict prompt_expired.
func (s *Service) Saw(ctx context.Context, p authz.Principal, id event.PromptID) (Prompt, error) {
	return s.step(ctx, p, id, asking.Shown)
}

// Skip says that the person put the prompt away; that is no opinion of the agent. Again
// changes nothing. Faults: not_found, conflict prompt_answered, prompt_expired.
func (s *Service) Skip(ctx context.Context, p authz.Principal, id event.PromptID) (Prompt, error) {
	return s.step(ctx, p, id, asking.Skipped)
}

func (s *Service) step(ctx context.Context, p authz.Principal, id event.PromptID, to string) (out Prompt, err error) {
	if p.Person == "" {
		return out, p.Check(authz.Feedback, authz.Change)
	}
	now := s.now()
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		found, err := promptsWhere(tx, `prompt_id = $1 and person_id = $2`, id, p.Person)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fault.New(fault.NotFound, "not_found", "You were not asked this; ask GET /v1/prompts what there is.")
		}
		one := found[0]
		if err := p.Check(authz.Feedback, authz.Change, authz.Author); err != nil {
			return err
		}
		switch was := one.StateAt(now); {
		case was == asking.Expired:
			return fault.New(fault.Conflict, "prompt_expired", "This prompt is over; what you think still counts, give it as feedback.")
		case was == asking.Answered && to == asking.Skipped:
			return fault.New(fault.Conflict, "prompt_answered", "You answered this prompt; take the feedback back instead.")
		case was == to, was == asking.Answered, was == asking.Skipped:
		default:
			one.State = to
			column := map[string]string{asking.Shown: "shown_at", asking.Skipped: "skipped_at"}[to]
			if _, err := tx.Exec(`update prompts set state = $1, `+column+` = $2 where prompt_id = $3`, to, now, id); err != nil {
				return err
			}
			if err := s.tell(tx, one, now); err != nil {
				return err
			}
		}
		out = one.view(now)
		return nil
	})
	return out, err
}

// answered joins an owner's feedback to the prompt that asked for it: a rating of the
// session to the one after it, also when it was put away or had expired; any opinion of
// the message to the one under it; a check-in to the open one. A second opinion
// changes nothing.
func answered(tx *sqldb.Tx, r record) error {
	var found []row
	var err error
	switch {
	case r.Channel == event.ChannelSession:
		found, err = promptsWhere(tx, `person_id = $1 and agent_id = $2 and kind = 'after_session' and session_id = $3 and state <> 'answered'`, r.Rater, r.agent, r.session)
	case r.Channel == event.ChannelCheckIn:
		found, err = promptsWhere(tx, `person_id = $1 and agent_id = $2 and kind = 'check_in' and state <> 'answered' and expires_at >= $3`, r.Rater, r.agent, r.Created)
	case r.message != "":
		found, err = promptsWhere(tx, `person_id = $1 and agent_id = $2 and kind = 'inline' and message_id = $3 and state <> 'answered'`, r.Rater, r.agent, r.message)
	}
	if err != nil || len(found) == 0 {
		return err
	}
	one := found[len(found)-1]
	one.State, one.feedback = asking.Answered, r.ID
	if _, err := tx.Exec(`update prompts set state = $1, answered_at = $2, feedback_id = $3 where prompt_id = $4`, one.State, r.Created, r.ID, one.id); err != nil {
		return err
	}
	return relay.Emit(tx, one.event(r.Created))
}

// row is one of prompts.
type row struct {
	asking.Prompt
	id       event.PromptID
	person   event.PersonID
	message  event.MessageID
	reason   string
	feedback event.FeedbackID
	shownAt  event.Micros
}

// promptsWhere gives prompts, oldest first.
func promptsWhere(tx *sqldb.Tx, where string, args ...any) ([]row, error) {
	rows, err := tx.Query(`select prompt_id, person_id, agent_id, kind, session_id, message_id, reason, state, asked_at, shown_at, feedback_id, expires_at
		from prompts where `+where+` order by asked_at, prompt_id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.person, &r.Agent, &r.Kind, &r.Session, &r.message, &r.reason, &r.State, &r.At, &r.shownAt, &r.feedback, &r.ExpiresAt); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// view is a prompt as the person sees it.
func (r row) view(now event.Micros) Prompt {
	return Prompt{Decision: asking.Decision{Ask: r.Kind, Code: r.reason, Why: asking.Because(r.reason)}, PromptID: r.id, AgentID: r.Agent, SessionID: r.Session, MessageID: r.message,
		State: r.StateAt(now), ExpiresAt: r.ExpiresAt}
}

// event tells of the state a prompt has now. One id for each state: a step is told once.
func (r row) event(now event.Micros) event.Event {
	p := event.FeedbackAsked{PromptID: r.id, PersonID: r.person, AgentID: r.Agent, Kind: string(r.Kind), State: r.State, SessionID: r.Session, MessageID: r.message, FeedbackID: r.feedback}
	return event.New("feedback", event.DerivedID("feedback", 1, string(r.id), p.EventType(), string(r.person)+"|"+r.State, 0), now, p)
}
