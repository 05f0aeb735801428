package feedback

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// Mentor points are a ledger: rows are added and never changed, and what somebody has
// is their sum. Nobody else sees a row or a sum.

// The kinds of entries.
const (
	earnedReview  = "review"
	earnedHelpful = "helpful"
	takenBack     = "taken_back" // with a review that its author withdrew
	spent         = "spent"
)

// Points is what the principal has.
type Points struct {
	Points  int64        `json:"points" doc:"The sum of your ledger."`
	Today   int64        `json:"today" doc:"Earned today, UTC."`
	Cap     int64        `json:"cap" doc:"The most that a day brings."`
	Frozen  bool         `json:"frozen,omitempty" doc:"An operator ended your part in reviewing: points stay and cannot be spent."`
	Items   []Ware       `json:"items" doc:"What points buy."`
	Looks   []Look       `json:"looks"`
	Entries []PointEntry `json:"entries" doc:"The ledger, newest first."`
	Next    string       `json:"next,omitempty" doc:"Cursor of the next page of entries; absent on the last."`
}

// Ware is something that points buy.
type Ware struct {
	Item  string `json:"item" enum:"slot,look,replies,evening"`
	Costs int64  `json:"costs"`
	Says  string `json:"says"`
}

// Look is a frame around an agent.
type Look struct {
	Look  string `json:"look"`
	Costs int64  `json:"costs" doc:"0 once a community goal made it free for everyone."`
}

// PointEntry is a row of the ledger. Of a helpful note it does not say which.
type PointEntry struct {
	EntryID string        `json:"entryId"`
	Kind    string        `json:"kind" enum:"review,helpful,taken_back,spent"`
	Amount  int64         `json:"amount" doc:"Below 0 when spent. 0: the day's cap was reached."`
	Item    string        `json:"item,omitempty" doc:"Of what was bought. An evening's entryId is the pass for its room."`
	AgentID event.AgentID `json:"agentId,omitempty"`
	Look    string        `json:"look,omitempty"`
	At      event.Micros  `json:"at"`
}

// PointsOf gives the principal's own ledger, and what points buy.
func (s *Service) PointsOf(ctx context.Context, p authz.Principal, cursor string) (out Points, err error) {
	at, id, err := parseCursor(cursor)
	if err != nil {
		return out, err
	}
	if p.Person == "" {
		return out, p.Check(authz.Points, authz.Read)
	}
	if err := p.Check(authz.Points, authz.Read, authz.Self); err != nil {
		return out, err
	}
	now := s.now()
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		prices := s.reviews.Prices
		out = Points{Cap: prices.Cap, Looks: []Look{}, Entries: []PointEntry{}}
		for _, item := range []string{event.ItemSlot, event.ItemLook, event.ItemReplies, event.ItemEvening} {
			costs, _ := prices.Of(item)
			out.Items = append(out.Items, Ware{item, costs, mentor.Says(item)})
		}
		free, err := freeLooks(tx)
		if err != nil {
			return err
		}
		for _, look := range event.Looks() {
			costs := prices.Look
			if free[look] {
				costs = 0
			}
			out.Looks = append(out.Looks, Look{look, costs})
		}
		if out.Points, err = balance(tx, p.Person); err != nil {
			return err
		}
		if out.Today, err = earnedOn(tx, p.Person, mentor.Day(now)); err != nil {
			return err
		}
		r, err := reviewerOf(tx, p.Person)
		if err != nil {
			return err
		}
		out.Frozen = r.State == reviewerExcluded
		rows, err := tx.Query(`select entry_id, kind, amount, item, agent_id, look, at from points where person_id = $1 and (at, entry_id) < ($2, $3) order by at desc, entry_id desc limit $4`, p.Person, at, id, pageSize+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e PointEntry
			if err := rows.Scan(&e.EntryID, &e.Kind, &e.Amount, &e.Item, &e.AgentID, &e.Look, &e.At); err != nil {
				return err
			}
			out.Entries = append(out.Entries, e)
		}
		if len(out.Entries) > pageSize {
			out.Entries = out.Entries[:pageSize]
			last := out.Entries[pageSize-1]
			out.Next = strconv.FormatInt(last.At, 10) + "." + last.EntryID
		}
		return rows.Err()
	})
	return out, err
}

func balance(tx *sqldb.Tx, person event.PersonID) (n int64, err error) {
	_, err = tx.Get(`select cast(coalesce(sum(amount), 0) as bigint) from points where person_id = $1`, []any{person}, &n)
	return n, err
}

// earnedOn is what a day brought, before anything was taken back or spent.
func earnedOn(tx *sqldb.Tx, person event.PersonID, day int64) (n int64, err error) {
	_, err = tx.Get(`select cast(coalesce(sum(amount), 0) as bigint) from points where person_id = $1 and day = $2 and (kind = 'review' or kind = 'helpful')`, []any{person, day}, &n)
	return n, err
}

// earn adds what of an amount fits under the day's cap, once for a review and kind.
func (s *Service) earn(tx *sqldb.Tx, person event.PersonID, kind string, review event.FeedbackID, amount int64, now event.Micros) error {
	today, err := earnedOn(tx, person, mentor.Day(now))
	if err != nil {
		return err
	}
	return enter(tx, PointEntry{EntryID: event.HashID("points", kind, string(review)), Kind: kind, Amount: s.reviews.Prices.Earns(amount, today), At: now}, person, string(review))
}

// takeBack takes what a withdrawn review brought, as far as it is not spent.
func (s *Service) takeBack(tx *sqldb.Tx, person event.PersonID, review event.FeedbackID, now event.Micros) error {
	var brought int64
	if _, err := tx.Get(`select cast(coalesce(sum(amount), 0) as bigint) from points where person_id = $1 and cause = $2`, []any{person, string(review)}, &brought); err != nil {
		return err
	}
	has, err := balance(tx, person)
	if err != nil || brought <= 0 {
		return err
	}
	return enter(tx, PointEntry{EntryID: event.HashID("points", takenBack, string(review)), Kind: takenBack, Amount: -max(0, min(brought, has)), At: now}, person, string(review))
}

func enter(tx *sqldb.Tx, e PointEntry, person event.PersonID, cause string) error {
	_, err := tx.Exec(`insert into points (entry_id, person_id, kind, amount, cause, item, agent_id, look, day, at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing`,
		e.EntryID, person, e.Kind, e.Amount, cause, e.Item, e.AgentID, e.Look, mentor.Day(e.At), e.At)
	return err
}

// Purchase is what the principal wants to spend points on.
type Purchase struct {
	Item    string        `json:"item" enum:"slot,look,replies,evening"`
	AgentID event.AgentID `json:"agentId,omitempty" maxLength:"64" doc:"Of a look: an agent of yours."`
	Look    string        `json:"look,omitempty" maxLength:"40" doc:"Of a look: which."`
}

// Bought is what was bought.
type Bought struct {
	SpendID string        `json:"spendId" doc:"Of an evening: the pass for POST /v1/rooms."`
	Item    string        `json:"item"`
	Costs   int64         `json:"costs"`
	Points  int64         `json:"points" doc:"What is left."`
	AgentID event.AgentID `json:"agentId,omitempty"`
	Look    string        `json:"look,omitempty"`
}

// Spend buys something for the principal. The sum and the row that lessens it are one
// transaction, so it never goes below zero; with a key, doing it again gives the same
// purchase. The event points.spent tells who gives the thing: agent a place or a look,
// gateway replies, chat a room.
//
// Faults: conflict not_enough_points with what is missing, idempotency_conflict;
// invalid unknown_value; not_found for an agent that is not theirs; forbidden excluded.
func (s *Service) Spend(ctx context.Context, p authz.Principal, key string, want Purchase) (Bought, error) {
	if err := selfOf(p, authz.Points); err != nil {
		return Bought{}, err
	}
	if err := want.check(); err != nil {
		return Bought{}, err
	}
	now := s.now()
	var out Bought
	err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		out, err = httpapi.Idempotent(tx, p, key, "points.spend", want, now, func() (Bought, error) { return s.buy(tx, p.Person, want, now) })
		return err
	})
	return out, err
}

func (w Purchase) check() error {
	if _, ok := mentor.DefaultPrices().Of(w.Item); !ok {
		return fault.New(fault.Invalid, "unknown_value", "item must be one of slot, look, replies, evening.")
	}
	switch {
	case w.Item != event.ItemLook && (w.AgentID != "" || w.Look != ""):
		return fault.New(fault.Invalid, "value_not_allowed", "Only a look has agentId and look; leave them out.")
	case w.Item == event.ItemLook && !slices.Contains(event.Looks(), w.Look):
		return fault.New(fault.Invalid, "unknown_value", "look must be one of %s.", strings.Join(event.Looks(), ", "))
	case w.Item == event.ItemLook && w.AgentID == "":
		return fault.New(fault.Invalid, "aim_missing", "Name in agentId which agent of yours wears it.")
	}
	return nil
}

func (s *Service) buy(tx *sqldb.Tx, person event.PersonID, want Purchase, now event.Micros) (Bought, error) {
	r, err := reviewerOf(tx, person)
	if err != nil || r.State == reviewerExcluded {
		if err == nil {
			err = errExcluded
		}
		return Bought{}, err
	}
	price, _ := s.reviews.Prices.Of(want.Item)
	if want.Item == event.ItemLook {
		if theirs, err := tx.Get(`select 1 from agents where agent_id = $1 and owner_id = $2 and not retired`, []any{want.AgentID, person}, new(int)); err != nil || !theirs {
			if err == nil {
				err = errNotFound
			}
			return Bought{}, err
		}
		free, err := freeLooks(tx)
		if err != nil {
			return Bought{}, err
		}
		if free[want.Look] {
			price = 0
		}
	}
	has, err := balance(tx, person)
	if err != nil {
		return Bought{}, err
	}
	if has < price {
		return Bought{}, mentor.Missing(want.Item, price, has)
	}
	id := event.NewID()
	if err := enter(tx, PointEntry{EntryID: id, Kind: spent, Amount: -price, Item: want.Item, AgentID: want.AgentID, Look: want.Look, At: now}, person, ""); err != nil {
		return Bought{}, err
	}
	p := event.PointsSpent{SpendID: id, PersonID: person, Item: want.Item, AgentID: want.AgentID, Look: want.Look}
	return Bought{SpendID: id, Item: want.Item, Costs: price, Points: has - price, AgentID: want.AgentID, Look: want.Look}, relay.Emit(tx, event.New("feedback", id, now, p))
}
