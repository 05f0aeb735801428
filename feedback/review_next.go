package feedback

import (
	"context"
	"strconv"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Desk is what lies before a reviewer: an exchange, or why there is none.
type Desk struct {
	AssignmentID string            `json:"assignmentId,omitempty"`
	Exchange     []mentor.Shown    `json:"exchange,omitempty" doc:"Oldest first; the last line is the answer to review. Names and addresses are taken out; treat what is said as told in confidence."`
	Questions    []mentor.Question `json:"questions,omitempty"`
	Words        []string          `json:"words,omitempty" doc:"The answers to each question, from the most to the least."`
	ExpiresAt    event.Micros      `json:"expiresAt,omitempty"`
	Left         int               `json:"left" doc:"How many more you are given today, UTC, this one not counted."`
	Code         string            `json:"code,omitempty" enum:"day_full,nothing_now" doc:"Why there is none."`
	Why          string            `json:"why,omitempty"`
	Until        event.Micros      `json:"until,omitempty" doc:"When to look again."`
}

// assignment is a row of assignments with the agent's owner.
type assignment struct {
	mentor.Candidate
	id       string
	reviewer event.PersonID
	state    string
	shownAt  event.Micros
	expires  event.Micros
}

const (
	openState    = "open"
	doneState    = "done"
	skippedState = "skipped"
	goneState    = "gone"
)

// tries is how many exchanges are looked at before there is none.
const tries = 8

// NextReview gives the principal the exchange that is theirs, a new one when they have
// none. Which one is the server's choice, see mentor.Order: never of an agent of their
// own or of a partner's, never one that they took part in, only when the agent's owner
// and everybody who spoke have consented and nobody is protected. While it is open, the
// same comes again; one whose words may no longer be shown vanishes and does not count.
//
// Faults: forbidden not_invited, excluded.
func (s *Service) NextReview(ctx context.Context, p authz.Principal) (Desk, error) {
	if p.Person == "" {
		return Desk{}, p.Check(authz.Review, authz.Create)
	}
	left := 0
	for range tries {
		var a *assignment
		var desk Desk
		err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			a, desk, err = s.assign(tx, p)
			return err
		})
		if err != nil || a == nil {
			return desk, err
		}
		shown, err := s.exchange(ctx, *a)
		if err != nil {
			return Desk{}, err
		}
		readable := false
		err = s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
			readable, err = s.present(tx, *a, shown)
			return err
		})
		if err != nil {
			return Desk{}, err
		}
		if readable {
			desk.AssignmentID, desk.ExpiresAt = a.id, a.expires
			desk.Exchange, desk.Questions, desk.Words = shown.blind(a.Agent), mentor.Questions(), mentor.Words()
			return desk, nil
		}
		left = desk.Left + 1
	}
	return s.nothing(s.now(), left), nil
}

// nothing is the desk of who has no exchange: for today, or just now.
func (s *Service) nothing(now event.Micros, left int) Desk {
	if left == 0 {
		return Desk{Code: "day_full", Why: "That was all for today; thank you. There is more tomorrow.", Until: mentor.DayEnds(now)}
	}
	return Desk{Code: "nothing_now", Why: "There is nothing to review just now; look again later.", Until: now + s.reviews.Open/24, Left: left}
}

// assign gives the open exchange of a reviewer or chooses one; nil with the reason
// when there is none.
func (s *Service) assign(tx *sqldb.Tx, p authz.Principal) (*assignment, Desk, error) {
	now := s.now()
	if err := s.mayReview(tx, p, now); err != nil {
		return nil, Desk{}, err
	}
	a, err := assignmentWhere(tx, `x.person_id = $1 and x.state = 'open' and x.expires_at > $2 order by x.at desc limit 1`, p.Person, now)
	if err != nil {
		return nil, Desk{}, err
	}
	given, err := assignedToday(tx, p.Person, now)
	if err != nil {
		return nil, Desk{}, err
	}
	left := max(0, s.reviews.PerDay-given)
	if a != nil {
		return a, Desk{Left: left}, nil
	}
	if left == 0 {
		return nil, s.nothing(now, 0), nil
	}
	candidates, err := s.candidates(tx, p.Person, "", now)
	if err != nil {
		return nil, Desk{}, err
	}
	partners, err := s.partners(tx, p.Person)
	if err != nil {
		return nil, Desk{}, err
	}
	ordered := mentor.Order(string(s.key), p.Person, mentor.Day(now), candidates, partners)
	if len(ordered) == 0 {
		return nil, s.nothing(now, left), nil
	}
	a = &assignment{Candidate: ordered[0], reviewer: p.Person, state: openState, expires: now + s.reviews.Open}
	a.id = event.HashID("assignment", string(p.Person), string(a.Message))
	_, err = tx.Exec(`insert into assignments (assignment_id, person_id, message_id, agent_id, room_id, session_id, state, day, at, shown_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10)`,
		a.id, p.Person, a.Message, a.Agent, a.Room, a.Session, a.state, mentor.Day(now), now, a.expires)
	return a, Desk{Left: left - 1}, err
}

// assignedToday counts a day's exchanges; one that vanished is none.
func assignedToday(tx *sqldb.Tx, person event.PersonID, now event.Micros) (n int, err error) {
	_, err = tx.Get(`select count(*) from assignments where person_id = $1 and day = $2 and state <> 'gone'`, []any{person, mentor.Day(now)}, &n)
	return n, err
}

// How many talks are looked at for something to review, and answers in them, the newest.
const (
	candidateTalks = 200
	candidateLimit = 500
)

// candidates lists answers that a person may review as far as this context knows: of
// talks that ended within the window, here, unprotected, with the consent of the
// agent's owner and of everybody who took part, where the reviewer is none of them, knows
// neither the agent from a talk nor has been given anything of the talk. With a message,
// that one or nothing, and what was given before does not matter.
func (s *Service) candidates(tx *sqldb.Tx, reviewer event.PersonID, message event.MessageID, now event.Micros) ([]mentor.Candidate, error) {
	past := now - s.window + 2*s.reviews.Open // it still counts when it is given and looked at
	which, arg := `not exists (select 1 from assignments x where x.person_id = $7 and x.session_id = s.session_id)`, string(reviewer)
	if message != "" {
		which, arg = `s.session_id = (select session_id from messages where message_id = $7)`, string(message)
	}
	query := `with talks as (select s.session_id, s.agent_id, s.room_id, a.owner_id
		from sessions s join agents a on a.agent_id = s.agent_id
		where s.ended and not s.protected and not s.imported and s.last_at >= $1 and a.owner_id <> $2 and not a.retired
		and ` + agreed("a.owner_id", "a.agent_id") + `
		and not exists (select 1 from protections t where t.person_id = a.owner_id and t.protected and (t.until = 0 or t.until > $3))
		and exists (select 1 from participants p where p.session_id = s.session_id)
		and not exists (select 1 from participants p left join protections t on t.person_id = p.person_id where p.session_id = s.session_id
			and (p.person_id = $4 or t.protected and (t.until = 0 or t.until > $5) or not ` + agreed("p.person_id", "s.agent_id") + `))
		and s.agent_id not in (select k.agent_id from participants p join sessions k on k.session_id = p.session_id where p.person_id = $6)
		and ` + which + `
		order by s.last_at desc, s.session_id limit ` + strconv.Itoa(candidateTalks) + `)
		select m.message_id, m.agent_id, talks.owner_id, m.room_id, m.session_id,
			(select count(*) from assignments x where x.message_id = m.message_id and (x.state = 'done' or x.state = 'open' and x.expires_at > $8))
		from talks join messages m on m.session_id = talks.session_id and m.agent_id <> '' and not m.imported and m.agent_id = talks.agent_id
		where not m.protected and m.at >= $9`
	args := []any{past, reviewer, now, reviewer, now, reviewer, arg, now, past}
	if message != "" {
		query += ` and m.message_id = $10`
		args = append(args, message)
	}
	rows, err := tx.Query(query+` order by m.at desc, m.message_id limit `+strconv.Itoa(candidateLimit), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []mentor.Candidate
	for rows.Next() {
		var c mentor.Candidate
		if err := rows.Scan(&c.Message, &c.Agent, &c.Owner, &c.Room, &c.Session, &c.Given); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// partners are the people whom a person talks beside, and whose agents they talk
// with, in Partners rooms or talks and more.
func (s *Service) partners(tx *sqldb.Tx, person event.PersonID) (map[event.PersonID]bool, error) {
	out := map[event.PersonID]bool{}
	for _, query := range []string{
		`select o.person_id from participants p join participants o on o.session_id = p.session_id where p.person_id = $1 and o.person_id <> $2
			group by o.person_id having count(distinct o.session_id) >= $3`,
		`select a.owner_id from participants p join sessions s on s.session_id = p.session_id join agents a on a.agent_id = s.agent_id where p.person_id = $1 and a.owner_id <> $2
			group by a.owner_id having count(distinct s.session_id) >= $3`,
		`select o.person_id from participants o where o.session_id in (select s.session_id from sessions s where s.ended and s.agent_id in (select agent_id from agents where owner_id = $1))
			and o.person_id <> $2 group by o.person_id having count(*) >= $3`,
	} {
		rows, err := tx.Query(query, person, person, s.reviews.Partners)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var id event.PersonID
			if err := rows.Scan(&id); err != nil {
				return nil, err
			}
			out[id] = true
		}
		if err := rows.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func assignmentWhere(tx *sqldb.Tx, where string, args ...any) (*assignment, error) {
	a := &assignment{}
	found, err := tx.Get(`select x.assignment_id, x.person_id, x.message_id, x.agent_id, coalesce(a.owner_id, ''), x.room_id, x.session_id, x.state, x.shown_at, x.expires_at
		from assignments x left join agents a on a.agent_id = x.agent_id where `+where, args,
		&a.id, &a.reviewer, &a.Message, &a.Agent, &a.Owner, &a.Room, &a.Session, &a.state, &a.shownAt, &a.expires)
	if err != nil || !found {
		return nil, err
	}
	return a, nil
}

// exchange asks chat for the words of an assignment.
func (s *Service) exchange(ctx context.Context, a assignment) (Exchange, error) {
	if s.exchanges == nil {
		return Exchange{}, nil
	}
	return s.exchanges.Exchange(ctx, a.Room, a.Session, a.Message, s.reviews.Lines)
}

func (x Exchange) blind(agent event.AgentID) []mentor.Shown {
	return mentor.Blind(agent, x.Lines, x.Names)
}

// present sees that an exchange may be shown now, and notes when it first was; false
// when it may not, and then it vanishes from the reviewer's desk.
func (s *Service) present(tx *sqldb.Tx, a assignment, x Exchange) (bool, error) {
	now := s.now()
	may, err := s.showable(tx, a, x, now)
	if err != nil {
		return false, err
	}
	if !may {
		_, err := tx.Exec(`update assignments set state = 'gone' where assignment_id = $1 and state = 'open'`, a.id)
		return false, err
	}
	_, err = tx.Exec(`update assignments set shown_at = $1 where assignment_id = $2 and shown_at = 0`, max(1, now), a.id)
	return true, err
}

// showable asks everything again of an exchange as it is now: what candidates asks, and
// of each author of its words. The answer itself and one message before it must be
// there.
func (s *Service) showable(tx *sqldb.Tx, a assignment, x Exchange, now event.Micros) (bool, error) {
	still, err := s.candidates(tx, a.reviewer, a.Message, now)
	if err != nil || len(still) == 0 || len(x.Lines) < 2 {
		return false, err
	}
	last := x.Lines[len(x.Lines)-1]
	if last.Author.AgentID != a.Agent || last.Text == "" {
		return false, nil
	}
	asked := map[string]bool{}
	for _, l := range x.Lines {
		if asked[l.Author.ID()] {
			continue
		}
		asked[l.Author.ID()] = true
		who, about := l.Author.PersonID, a.Agent
		if l.Author.Kind == event.KindAgent {
			about = l.Author.AgentID
			if known, err := tx.Get(`select owner_id from agents where agent_id = $1`, []any{about}, &who); err != nil || !known {
				return false, err
			}
		}
		if who == a.reviewer {
			return false, nil
		}
		if yes, err := mayShow(tx, who, about, now); err != nil || !yes {
			return false, err
		}
	}
	return true, nil
}

// SkipReview puts an exchange away; another one can be had while the day has some.
// Again is harmless. Faults: not_found, conflict reviewed_already.
func (s *Service) SkipReview(ctx context.Context, p authz.Principal, id string) error {
	if p.Person == "" {
		return p.Check(authz.Review, authz.Create)
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		a, err := assignmentWhere(tx, `x.assignment_id = $1 and x.person_id = $2`, id, p.Person)
		if err != nil || a == nil {
			return orNoAssignment(err)
		}
		if a.state == doneState {
			return errReviewed
		}
		_, err = tx.Exec(`update assignments set state = $1 where assignment_id = $2 and state = 'open'`, skippedState, id)
		return err
	})
}

func orNoAssignment(err error) error {
	if err == nil {
		err = fault.New(fault.NotFound, "not_found", "This was not given to you to review; ask GET /v1/reviews/next.")
	}
	return err
}

var errReviewed = fault.New(fault.Conflict, "reviewed_already", "You have reviewed this exchange; ask for the next one.")
