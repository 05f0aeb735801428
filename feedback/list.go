package feedback

import (
	"context"
	"database/sql"
	"math"
	"strconv"
	"strings"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Item is feedback as its author or the agent's owner reads it. Of somebody else's
// it says neither who nor where.
type Item struct {
	FeedbackID event.FeedbackID `json:"feedbackId"`
	AgentID    event.AgentID    `json:"agentId,omitempty"`
	By         string           `json:"by" doc:"you, a guest, or a reviewer"`
	Source     string           `json:"source,omitempty"`
	Kind       string           `json:"kind"`
	Signal     string           `json:"signal,omitempty"`
	Value      string           `json:"value,omitempty"`
	Score      *float64         `json:"score,omitempty"`
	Direction  *event.Direction `json:"direction,omitempty"`
	MessageID  event.MessageID  `json:"messageId,omitempty"`
	DecisionID event.DecisionID `json:"decisionId,omitempty"`
	SessionID  event.SessionID  `json:"sessionId,omitempty"`
	Comment    string           `json:"comment,omitempty"`
	Correction string           `json:"correction,omitempty"`
	Status     string           `json:"status" doc:"stored, superseded, retracted, waiting, or lost: what it is about did not arrive within an hour, or refused it"`
	Supersedes event.FeedbackID `json:"supersedes,omitempty"`
	CreatedAt  event.Micros     `json:"createdAt"`
	OccurredAt event.Micros     `json:"occurredAt,omitempty"`
	PartOf     event.FeedbackID `json:"partOf,omitempty" doc:"The correction that this was measured on."`
	Edited     bool             `json:"edited,omitempty" doc:"The message has another text since."`
	Effect     *Effect          `json:"effect,omitempty" doc:"What it did; to the agent's owner, who asks for one agent or one piece of feedback."`
}

// Guests is what at least MinGuests people together tell by their behaviour.
type Guests struct {
	Signal string  `json:"signal"`
	Mean   float64 `json:"mean" doc:"rounded to 0.1"`
}

// MinGuests is how many people an aggregate needs.
const MinGuests = 5

// Page is a part of a list, newest first.
type Page struct {
	Items   []Item   `json:"items"`
	Waiting []Item   `json:"waiting,omitempty" doc:"Yours that wait for what they are about; on the first page."`
	Guests  []Guests `json:"guests,omitempty" doc:"Behaviour of at least five others together; on the first page of an agent's owner."`
	Next    string   `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
}

const pageSize = 100

// List gives the principal's own feedback, or, with an agent of theirs, all on it
// that its owner may read: what others said without who and where, what they did as
// aggregates only, and nothing from the time of an owner before. Of an agent of
// somebody else, and with mine, they get their own.
func (s *Service) List(ctx context.Context, p authz.Principal, agent event.AgentID, cursor string, mine bool) (Page, error) {
	page := Page{Items: []Item{}}
	at, id, err := parseCursor(cursor)
	if err != nil {
		return page, err
	}
	if p.Person == "" {
		return page, p.Check(authz.Feedback, authz.List)
	}
	owner := false
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		if agent != "" && !mine {
			if owner, err = tx.Get(`select 1 from agents where agent_id = $1 and owner_id = $2`, []any{agent, p.Person}, new(int)); err != nil {
				return err
			}
		}
		var rows *sql.Rows
		switch {
		case owner:
			rows, err = tx.Query(columns+`where agent_id = $1 and owner_id = $2 and (rater_id = $3 or (source <> 'implicit' and live)) and (created_at, feedback_id) < ($4, $5)
				order by created_at desc, feedback_id desc limit $6`, agent, p.Person, p.Person, at, id, pageSize+1)
		case agent != "":
			rows, err = tx.Query(columns+`where agent_id = $1 and rater_id = $2 and role <> 'reviewer' and (created_at, feedback_id) < ($3, $4)
				order by created_at desc, feedback_id desc limit $5`, agent, p.Person, at, id, pageSize+1)
		default:
			rows, err = tx.Query(columns+`where rater_id = $1 and (created_at, feedback_id) < ($2, $3)
				order by created_at desc, feedback_id desc limit $4`, p.Person, at, id, pageSize+1)
		}
		if err != nil {
			return err
		}
		if page.Items, err = items(rows, p.Person); err != nil {
			return err
		}
		if len(page.Items) > pageSize {
			page.Items = page.Items[:pageSize]
			last := page.Items[pageSize-1]
			page.Next = strconv.FormatInt(last.CreatedAt, 10) + "." + string(last.FeedbackID)
		}
		if cursor != "" {
			return nil
		}
		if owner {
			if page.Guests, err = guests(tx, agent, p.Person); err != nil {
				return err
			}
		}
		page.Waiting, err = s.waitingOf(tx, p.Person, agent)
		return err
	})
	if owner && err == nil {
		s.explain(ctx, agent, page.Items)
	}
	return page, err
}

// Get gives one piece of feedback to its author or, where they may read it, the
// agent's owner. Fault not_found to anybody else.
func (s *Service) Get(ctx context.Context, p authz.Principal, id event.FeedbackID) (Item, error) {
	var out Item
	if p.Person == "" {
		return out, p.Check(authz.Feedback, authz.Read)
	}
	owner := false
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(columns+`where feedback_id = $1 and (rater_id = $2 or (owner_id = $3 and source <> 'implicit' and live
			and exists (select 1 from agents where agents.agent_id = feedback_events.agent_id and agents.owner_id = feedback_events.owner_id)))`, id, p.Person, p.Person)
		if err != nil {
			return err
		}
		found, err := items(rows, p.Person)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			if found, err = s.waitingWhere(tx, `feedback_id = $1 and rater_id = $2`, id, p.Person); err != nil {
				return err
			}
		}
		if len(found) == 0 {
			return errNotFound
		}
		out = found[0]
		owner, err = tx.Get(`select 1 from agents where agent_id = $1 and owner_id = $2`, []any{out.AgentID, p.Person}, new(int))
		return err
	})
	if owner && err == nil {
		one := []Item{out}
		s.explain(ctx, out.AgentID, one)
		out = one[0]
	}
	return out, err
}

const columns = `select feedback_id, agent_id, rater_id, role, source, channel, signal, value, score, trait, sign, message_id, decision_id, session_id,
	comment, correction, supersedes, live, retracted_at, created_at, occurred_at, part_of,
	exists (select 1 from messages m where m.message_id = feedback_events.message_id and m.edited_at > feedback_events.created_at) from feedback_events `

func items(rows *sql.Rows, reader event.PersonID) ([]Item, error) {
	defer rows.Close()
	out := []Item{}
	for rows.Next() {
		var i Item
		var rater event.PersonID
		var role string
		var d event.Direction
		var live bool
		var retracted event.Micros
		if err := rows.Scan(&i.FeedbackID, &i.AgentID, &rater, &role, &i.Source, &i.Kind, &i.Signal, &i.Value, &i.Score, &d.Trait, &d.Sign, &i.MessageID, &i.DecisionID,
			&i.SessionID, &i.Comment, &i.Correction, &i.Supersedes, &live, &retracted, &i.CreatedAt, &i.OccurredAt, &i.PartOf, &i.Edited); err != nil {
			return nil, err
		}
		if d.Trait != "" {
			i.Direction = &d
		}
		switch {
		case retracted != 0:
			i.Status = Retracted
		case !live:
			i.Status = "superseded"
		default:
			i.Status = Stored
		}
		i.By = "you"
		if rater != reader {
			i.By, i.MessageID, i.DecisionID, i.SessionID, i.Supersedes = "a guest", "", "", "", ""
			if role == event.RoleReviewer {
				i.By = "a reviewer"
			}
		}
		if role == event.RoleReviewer && rater == reader { // who reviews does not know whom
			i.AgentID, i.MessageID, i.DecisionID, i.SessionID = "", "", "", ""
		}
		out = append(out, i)
	}
	return out, rows.Err()
}

// guests gives what others' behaviour tells together, by signal; nothing of fewer
// than MinGuests people.
func guests(tx *sqldb.Tx, agent event.AgentID, owner event.PersonID) ([]Guests, error) {
	rows, err := tx.Query(`select signal, avg(score) from feedback_events where agent_id = $1 and source = 'implicit' and owner_id = $2 and rater_id <> $3 and live
		group by signal having count(distinct rater_id) >= $4 order by signal`, agent, owner, owner, MinGuests)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Guests
	for rows.Next() {
		var g Guests
		if err := rows.Scan(&g.Signal, &g.Mean); err != nil {
			return nil, err
		}
		g.Mean = math.Round(g.Mean*10) / 10
		out = append(out, g)
	}
	return out, rows.Err()
}

func (s *Service) waitingOf(tx *sqldb.Tx, rater event.PersonID, agent event.AgentID) ([]Item, error) {
	all, err := s.waitingWhere(tx, `rater_id = $1`, rater)
	if agent == "" || err != nil {
		return all, err
	}
	var out []Item
	for _, i := range all {
		if i.AgentID == agent {
			out = append(out, i)
		}
	}
	return out, nil
}

func (s *Service) waitingWhere(tx *sqldb.Tx, where string, args ...any) ([]Item, error) {
	rows, err := waitingRows(tx, where, args...)
	if err != nil {
		return nil, err
	}
	var out []Item
	for _, w := range rows {
		d := w.draft
		i := Item{FeedbackID: d.ID, AgentID: d.Agent, By: "you", Kind: d.Channel, Signal: d.Signal, Value: d.Value, Score: d.Score, MessageID: d.Message, DecisionID: d.Decision,
			SessionID: d.Session, Comment: d.Comment, Correction: d.Correction, Status: Waiting, CreatedAt: d.Created, OccurredAt: d.Occurred}
		if w.reason != "" || d.Created < s.now()-patience {
			i.Status = "lost"
		}
		out = append(out, i)
	}
	return out, nil
}

// parseCursor reads a page's Next; the empty one is before the newest.
func parseCursor(c string) (at event.Micros, id string, err error) {
	if c == "" {
		return math.MaxInt64, "", nil
	}
	stamp, id, ok := strings.Cut(c, ".")
	at, err = strconv.ParseInt(stamp, 10, 64)
	if !ok || err != nil {
		return 0, "", fault.New(fault.Invalid, "bad_cursor", "Take the cursor from next of the page before.")
	}
	return at, id, nil
}
