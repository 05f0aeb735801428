package feedback

import (
	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/sqldb"
)

// What people do tells by itself: every event holds all that its signals need, so
// none depends on what came before it. A signal's id follows from its event, so that
// the same event again is harmless; of one person, detector and message the newest counts.

// notice stores what detectors found. Nothing is stored that is protected, about a
// retired agent or a message of a person, or too late.
func (s *Service) notice(h *habits, e event.Event, d draft, found []signal.Found) error {
	for _, f := range found {
		detector, err := signal.Lookup(f.Detector)
		if err != nil {
			return err
		}
		if err := detector.Check(f.Score); err != nil {
			return err
		}
		d.ID, d.Signal, d.Score, d.Noise, d.Created = derived(e, f.Detector, d.Rater), f.Detector, &f.Score, f.Noise, e.Time
		if err := h.beforeJoin(d); err != nil {
			return err
		}
		r, _, err := s.join(h.tx, d, h.find)
		if _, refused := refusal(err); refused {
			continue
		}
		switch {
		case err != nil:
			return err
		case r == nil:
			h.waits = waiting
		default:
			if err := h.finds(r, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func derived(e event.Event, detector string, person event.PersonID) event.FeedbackID {
	return event.FeedbackID(event.DerivedID("feedback", 1, e.ID, event.FeedbackCreated{}.EventType(), detector+"|"+string(person), 0))
}

// noticeTurn derives what a person's message tells of the agent that it speaks to.
// Pauses are by the server's clock; an imported message has none that could be trusted.
func (s *Service) noticeTurn(tx *sqldb.Tx, h *habits, e event.Event, p event.MessageCreated) error {
	person, t := p.Author.PersonID, p.Turn
	if !tells(p) {
		return nil
	}
	b, err := h.get(person)
	if err != nil || b.erased {
		return err
	}
	d := draft{Rater: person, Channel: event.ChannelBehaviour, Agent: t.To, Message: t.About}
	if d.Message == "" {
		if d.Session = sessionOf(p.Sessions, t.To); d.Session == "" {
			return nil
		}
	}
	turn := turnOf(t, p.Features)
	if turn.About && turn.First && !p.Imported {
		m, err := h.message(t.About)
		if err != nil {
			return err
		}
		if m != nil && m.agent == t.To && m.at > 0 {
			turn.Milli = max(1, (e.Time-m.at)/1000)
		}
	}
	if err := s.notice(h, e, d, turn.Read(b.pauses, b.Baseline)); err != nil {
		return err
	}
	b.answered(turn.Milli)
	return nil
}

// tells says that a person's message may say something of an agent.
func tells(p event.MessageCreated) bool {
	return p.Turn != nil && p.Turn.To != "" && p.Consent && !p.Protected && p.Author.PersonID != ""
}

func sessionOf(in []event.MessageSession, agent event.AgentID) event.SessionID {
	for _, s := range in {
		if s.AgentID == agent {
			return s.SessionID
		}
	}
	return ""
}

func turnOf(t *event.Turn, f event.Features) signal.Turn {
	return signal.Turn{Sure: t.Chance, Named: t.Named, About: t.About != "", First: t.First, Next: t.Next, Question: f.Questions > 0,
		Mood: f.Sentiment, MoodVar: f.Variance, Shift: t.Shift, Trouble: t.Trouble}
}

// reworded derives anew what a message tells that has another text: what its words
// told before and do not tell now is taken back.
func (s *Service) reworded(tx *sqldb.Tx, h *habits, e event.Event, p event.MessageEdited) error {
	if p.PersonID == "" {
		return nil
	}
	t := p.Turn
	if t == nil || !p.Consent || p.Protected {
		t = &event.Turn{}
	}
	var found []signal.Found
	told := map[string]bool{}
	if t.About != "" {
		b, err := h.get(p.PersonID)
		if err != nil || b.erased {
			return err
		}
		found = turnOf(t, p.Features).Read(b.pauses, b.Baseline)
		for _, f := range found {
			told[f.Detector] = true
		}
		if err := s.notice(h, e, draft{Rater: p.PersonID, Channel: event.ChannelBehaviour, Agent: t.To, Message: t.About}, found); err != nil {
			return err
		}
	}
	if p.Was == "" || t.About != "" && !t.First {
		return nil
	}
	old := signal.Answers
	if p.Was == t.About {
		old = signal.Words
	}
	return takeBack(tx, e, p.Was, p.PersonID, old, func(detector string) bool { return p.Was == t.About && told[detector] })
}

// takeBack withdraws what a person's answer to a message told, but what is kept.
func takeBack(tx *sqldb.Tx, e event.Event, about event.MessageID, person event.PersonID, detectors []string, kept func(string) bool) error {
	t, awaits, err := find(tx, draft{Message: about})
	if _, refused := refusal(err); refused || awaits != "" {
		return nil // nothing of it is live
	}
	if err != nil {
		return err
	}
	for _, detector := range detectors {
		if kept(detector) {
			continue
		}
		var id event.FeedbackID
		live, err := tx.Get(`select feedback_id from feedback_events where slot = $1 and live`,
			[]any{slotOf(draft{Rater: person, Channel: event.ChannelBehaviour, Signal: detector}, t)}, &id)
		if err == nil && live {
			err = retract(tx, id, e.Time, &e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// noticeSession derives what a session's counts tell of each person who allowed it,
// and of the room.
func (s *Service) noticeSession(tx *sqldb.Tx, h *habits, e event.Event, p event.SessionEnded) error {
	if p.Protected || p.AgentMessages == 0 {
		return nil
	}
	spoke, with := 0, 0
	for _, person := range p.People {
		if !person.Consent {
			continue
		}
		b, err := h.get(person.PersonID)
		if err != nil {
			return err
		}
		if b.erased {
			continue
		}
		if person.Turns > 0 {
			spoke++
			with += min(1, person.With)
		}
		d := draft{Rater: person.PersonID, Channel: event.ChannelBehaviour, Agent: p.AgentID, Session: p.SessionID, Sentiment: &person.Sentiment}
		var session, answer []signal.Found
		if f, ok := signal.Engaged(person.Turns, person.MedianChars, person.LatencyMilli, b.Baseline); ok {
			session = append(session, f)
			b.talked(person.Turns, person.MedianChars, person.LatencyMilli)
		}
		for _, f := range partOf(person, p.Imported).Read(b.pauses) {
			if f.Detector == signal.Ignored || f.Detector == signal.Abandoned {
				answer = append(answer, f)
			} else {
				session = append(session, f)
			}
		}
		if err := s.notice(h, e, d, session); err != nil {
			return err
		}
		d.Session, d.Sentiment, d.Message = "", nil, person.Answer
		if err := s.notice(h, e, d, answer); err != nil {
			return err
		}
	}
	if f, ok := signal.RoomEngaged(spoke, with); ok { // nobody's alone, so without a rater
		return s.notice(h, e, draft{Channel: event.ChannelBehaviour, Agent: p.AgentID, Session: p.SessionID}, []signal.Found{f})
	}
	return nil
}

func partOf(p event.SessionPerson, imported bool) signal.Part {
	part := signal.Part{With: p.With, WithMilli: p.WithMilli, Gone: p.Gone, Left: p.LeftAfter, Answered: p.Answer != "", Heard: p.Heard, Others: p.Others, Stood: p.Stood, Spoken: p.Spoken}
	if imported { // by a foreign clock
		part.WithMilli, part.Stood = 0, 0
	}
	return part
}

// invited derives what bringing an agent back tells. It is about the newest talk of
// the two; without one there is nothing that it could be about.
func (s *Service) invited(tx *sqldb.Tx, h *habits, e event.Event, p event.AgentInvited) error {
	if !p.Again || !p.Consent || p.Protected {
		return nil
	}
	b, err := h.get(p.By)
	if err != nil || b.erased {
		return err
	}
	d := draft{Rater: p.By, Channel: event.ChannelBehaviour, Agent: p.AgentID}
	ok, err := tx.Get(`select s.session_id from participants p join sessions s on s.session_id = p.session_id
		where p.person_id = $1 and s.agent_id = $2 and not s.protected order by s.last_at desc, s.session_id limit 1`, []any{p.By, p.AgentID}, &d.Session)
	if err != nil || !ok {
		return err
	}
	return s.notice(h, e, d, []signal.Found{signal.Invited()})
}
