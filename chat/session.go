package chat

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// session is a live session of an opened room.
type session struct {
	id        event.SessionID
	agent     event.AgentID
	startedBy event.PersonID
	startedAt event.Micros
	firstSeq  int64
	lastSeq   int64
	lastAt    event.Micros // server's clock
	heardAt   event.Micros // clock of the messages
	protected bool
	imported  bool

	moved   bool
	endedAt event.Micros
}

const selectSessions = `select room_id, session_id, agent_id, started_by, started_at, first_seq, last_seq, last_at, heard_at, protected, imported
	from sessions where room_id in (`

func (s *session) columns() []any {
	return []any{&s.id, &s.agent, &s.startedBy, &s.startedAt, &s.firstSeq, &s.lastSeq, &s.lastAt, &s.heardAt, &s.protected, &s.imported}
}

func sessionsOf(tx *sqldb.Tx, id event.RoomID) ([]*session, error) {
	rows, err := tx.Query(selectSessions+`$1) and ended_at = 0 order by agent_id`, id)
	list, err := collect(rows, err, func(s *session) []any { return append([]any{new(string)}, s.columns()...) })
	out := make([]*session, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out, err
}

// living is the live session of an agent, nil without one.
func (r *room) living(agent event.AgentID) *session {
	for _, s := range r.sessions {
		if s.agent == agent && s.endedAt == 0 {
			return s
		}
	}
	return nil
}

// begin opens a session from the room's next message on.
func (a *act) begin(r *room, id event.SessionID, agent event.AgentID, by event.PersonID, heard event.Micros, imported bool) (*session, error) {
	s := &session{id: id, agent: agent, startedBy: by, startedAt: a.at, firstSeq: r.seq + 1, lastSeq: r.seq,
		lastAt: a.at, heardAt: heard, protected: r.protected(), imported: imported}
	if _, err := a.tx.Exec(`insert into sessions (session_id, room_id, agent_id, started_by, started_at, first_seq, last_seq, last_at, heard_at,
		ended_at, protected, imported) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11)`,
		s.id, r.id, agent, by, s.startedAt, s.firstSeq, s.lastSeq, s.lastAt, s.heardAt, s.protected, imported); err != nil {
		return nil, err
	}
	r.sessions = append(r.sessions, s)
	a.emit(event.SessionStarted{SessionID: s.id, AgentID: agent, RoomID: r.id, StartedBy: by, Protected: s.protected})
	return s, nil
}

func (a *act) saveSession(r *room, s *session) error {
	if !s.moved || s.endedAt != 0 {
		return nil
	}
	s.moved = false
	_, err := a.tx.Exec(`update sessions set last_seq = $1, last_at = $2, heard_at = $3, protected = $4 where session_id = $5`,
		s.lastSeq, s.lastAt, s.heardAt, s.protected, s.id)
	return err
}

// sessionsFor gives the sessions that the room's next message belongs to: for a
// person's, one of every agent in the room that may speak; for an agent's, its
// own. One that fell silent ends here, and one begins where none lives.
func (a *act) sessionsFor(r *room, author event.Member, id event.MessageID, heard event.Micros, imported bool) ([]*session, error) {
	var out []*session
	for _, m := range r.members {
		if m.Kind != event.KindAgent || !m.alive || author.Kind == event.KindAgent && author.AgentID != m.AgentID {
			continue
		}
		s := r.living(m.AgentID)
		if s != nil && heard-s.heardAt >= silence {
			if err := a.end(r, s, true); err != nil {
				return nil, err
			}
			s = nil
		}
		if s == nil {
			var err error
			sid := event.SessionID(event.HashID("chat", "session", string(m.AgentID), string(id)))
			if s, err = a.begin(r, sid, m.AgentID, author.PersonID, heard, imported); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// depart notes that a person left while a session lived.
func (a *act) depart(r *room, s *session, m *member) error {
	if s.endedAt != 0 {
		return nil
	}
	if err := a.settle(); err != nil {
		return err
	}
	var author string // of the last message, asides left out
	if _, err := a.tx.Get(`select author_id from messages m where room_id = $1 and seq >= $2 and not `+isAside+` order by seq desc limit 1`,
		[]any{r.id, s.firstSeq}, &author); err != nil {
		return err
	}
	after := author == string(s.agent)
	_, err := a.tx.Exec(`insert into departures (session_id, person_id, left_after) values ($1, $2, $3)
		on conflict (session_id, person_id) do update set left_after = excluded.left_after`, s.id, m.PersonID, after)
	return err
}

// end closes a session and tells its counts. silent: nobody ended it, it fell
// silent, and then it ended with its last message.
func (a *act) end(r *room, s *session, silent bool) error {
	if s.endedAt != 0 {
		return nil
	}
	s.endedAt = a.at
	if silent {
		s.endedAt = s.lastAt
	}
	if _, err := a.tx.Exec(`update sessions set last_seq = $1, last_at = $2, heard_at = $3, protected = $4, ended_at = $5 where session_id = $6`,
		s.lastSeq, s.lastAt, s.heardAt, s.protected, max(1, s.endedAt), s.id); err != nil {
		return err
	}
	lines, err := a.lines(r, s)
	if err != nil {
		return err
	}
	left, err := a.departed(s)
	if err != nil {
		return err
	}
	waited := silence
	if !silent {
		waited = a.at - s.lastAt
	}
	e := event.SessionEnded{SessionID: s.id, AgentID: s.agent, RoomID: r.id, StartedBy: s.startedBy, StartedAt: s.startedAt,
		EndedAt: s.endedAt, Messages: len(lines), Direct: r.alone(), Protected: s.protected || r.protected(), Imported: s.imported}
	if s.imported && len(lines) > 0 {
		e.DurationMilli = max(0, (lines[len(lines)-1].heard-lines[0].heard)/1000)
	}
	var present []event.PersonID
	if r.alone() {
		for _, m := range r.members {
			if m.Kind == event.KindPerson {
				present = append(present, m.PersonID)
			}
		}
	}
	e.AgentMessages, e.People = tally(lines, s.agent, present, left, waited)
	together(lines, s.agent, e.People, left, waited)
	for i := range e.People {
		p := &e.People[i]
		p.Consent = p.Consent && r.consents(p.PersonID)
	}
	a.emit(e)
	r.sessions = slices.DeleteFunc(slices.Clone(r.sessions), func(x *session) bool { return x == s })
	return nil
}

// line is what a session's counts need of one message.
type line struct {
	id, replyTo  event.MessageID
	to           event.AgentID // whom a person surely speaks to
	kind, author string
	chars        int
	sentiment    float64
	consent      bool
	heard        event.Micros
	aside        bool
}

func (a *act) lines(r *room, s *session) ([]line, error) {
	if err := a.settle(); err != nil {
		return nil, err
	}
	rows, err := a.tx.Query(`select message_id, reply_to, to_agent, kind, author_id, chars, sentiment, consent, case when occurred_at > 0 then occurred_at else at end, `+isAside+`
		from messages m where room_id = $1 and seq >= $2 and seq <= $3 order by seq`, r.id, s.firstSeq, s.lastSeq)
	return collect(rows, err, func(l *line) []any {
		return []any{&l.id, &l.replyTo, &l.to, &l.kind, &l.author, &l.chars, &l.sentiment, &l.consent, &l.heard, &l.aside}
	})
}

func (a *act) departed(s *session) (map[event.PersonID]bool, error) {
	type departure struct {
		person event.PersonID
		after  bool
	}
	rows, err := a.tx.Query(`select person_id, left_after from departures where session_id = $1`, s.id)
	list, err := collect(rows, err, func(d *departure) []any { return []any{&d.person, &d.after} })
	out := make(map[event.PersonID]bool, len(list))
	for _, d := range list {
		out[d.person] = d.after
	}
	return out, err
}

// tally counts a session: how often the agent spoke, asides left out, and each person's
// part, people by id. In it is who spoke, who left, and who is present alone with the
// agent.
//
//   - MedianChars, LatencyMilli: medians, the lower of the two middle values. A
//     pause is the time from an agent's message to the person's next one.
//   - Sentiment: mean over their messages, rounded to 0.001.
//   - Abandoned: the agent spoke once or twice only, the person said nothing after
//     its last message, and that stood for at least Silence. (Page "terms" asks for the
//     person's 95th percentile of pauses; within a session no pause reaches
//     Silence, so that is the bound.)
//   - Consent: true when all their messages had it.
func tally(lines []line, agent event.AgentID, present []event.PersonID, left map[event.PersonID]bool, waited event.Micros) (int, []event.SessionPerson) {
	type part struct {
		chars     []int
		pauses    []int64
		sentiment float64
		consent   bool
		answered  int // index of the last agent message they said something after
	}
	parts := map[event.PersonID]*part{}
	of := func(p event.PersonID) *part {
		if parts[p] == nil {
			parts[p] = &part{consent: true, answered: -1}
		}
		return parts[p]
	}
	for _, p := range present {
		of(p)
	}
	for p := range left {
		of(p)
	}
	spoke, lastAgent := 0, -1
	for i, l := range lines {
		if l.kind == event.KindAgent {
			if l.author == string(agent) && !l.aside {
				spoke++
				lastAgent = i
			}
			continue
		}
		p := of(event.PersonID(l.author))
		p.chars = append(p.chars, l.chars)
		p.sentiment += l.sentiment
		p.consent = p.consent && l.consent
		if lastAgent > p.answered {
			p.answered = lastAgent
			p.pauses = append(p.pauses, max(0, (l.heard-lines[lastAgent].heard)/1000))
		}
	}
	out := []event.SessionPerson{}
	for id, p := range parts {
		after, gone := left[id]
		sp := event.SessionPerson{PersonID: id, Turns: len(p.chars), LeftAfter: gone && after, Consent: p.consent,
			Abandoned: !gone && spoke > 0 && spoke <= 2 && p.answered < lastAgent && waited >= silence}
		sp.MedianChars = median(p.chars)
		sp.LatencyMilli = median(p.pauses)
		if n := len(p.chars); n > 0 {
			sp.Sentiment = round(p.sentiment / float64(n))
		}
		out = append(out, sp)
	}
	slices.SortFunc(out, func(a, b event.SessionPerson) int {
		if a.PersonID < b.PersonID {
			return -1
		}
		return 1
	})
	return spoke, out
}

// End ends the live sessions of a room that the caller is in and gives their ids.
//
// Fault: room_unknown.
func (s *Service) End(ctx context.Context, id event.RoomID) ([]event.SessionID, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	ended := []event.SessionID{}
	err = s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil {
			return err
		}
		for _, live := range r.sessions {
			if err := a.end(r, live, false); err != nil {
				return err
			}
			ended = append(ended, live.id)
		}
		return nil
	})
	return ended, err
}

// EndIdle ends the sessions in which nothing was said for Silence before now and
// says how many. Running it twice, or in two processes, ends each once.
func (s *Service) EndIdle(ctx context.Context, now event.Micros) (int, error) {
	ended := 0
	for {
		var rooms []event.RoomID
		err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
			rows, err := tx.Query(`select distinct room_id from sessions where ended_at = 0 and last_at <= $1 order by room_id limit 100`, now-silence)
			rooms, err = column[event.RoomID](rows, err)
			return err
		})
		if err != nil || len(rooms) == 0 {
			return ended, err
		}
		n := 0
		err = s.write(ctx, func(a *act) error {
			a.at, n = now, 0
			for _, id := range rooms {
				r, err := a.open(id)
				if err != nil {
					return err
				}
				for _, live := range r.sessions {
					if live.lastAt > now-silence {
						continue
					}
					if err := a.end(r, live, true); err != nil {
						return err
					}
					n++
				}
			}
			return nil
		})
		if err != nil {
			return ended, err
		}
		ended += n
	}
}

// Run ends idle sessions until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		if _, err := s.EndIdle(ctx, s.now()); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "ending idle sessions failed; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
