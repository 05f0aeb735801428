package feedback

import (
	"context"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// MaxBatch is how many marks GiveAll takes at once.
const MaxBatch = 1000

// Given is what somebody said of an agent's message on a foreign platform: a
// reviewer's mark, or a button under the message that was pressed.
type Given struct {
	FeedbackID event.FeedbackID // see MarkID
	RaterID    event.PersonID
	MessageID  event.MessageID
	DecisionID event.DecisionID // of a press: instead of the message
	Mark       int              // -1, 0 or 1
	Press      bool             // of whoever took part: the owner's is a thumb, anybody else's a reaction; never 0
	Comment    string           // of a press
	VouchedBy  event.PersonID   // of a press on a decision: who brings it; took they part, so did the presser
	OccurredAt event.Micros     // the foreign clock's word, for display
}

// MarkID is the id of a foreign platform's mark: a hash of the platform and its id
// of the mark. Ids over there that begin alike, all but their last nine
// characters, begin alike here: platforms name marks by what they are about and
// then by whom, and rows that lie together are several times faster to import.
func MarkID(source, externalID string) event.FeedbackID {
	group := externalID[:max(0, len(externalID)-9)]
	return event.FeedbackID(event.NearID(event.HashID("marks", source, group), "mark", source, externalID))
}

// Result is the fate of one mark.
type Result struct {
	FeedbackID event.FeedbackID
	Status     string // Stored, Waiting, Duplicate or Refused
	Err        error  // of Refused: a fault
}

// GiveAll stores marks and presses in one durable transaction, in their order; results are in
// that order too. One bad mark refuses itself alone; an error is the whole batch's
// and means that nothing was stored: too_large above MaxBatch, unavailable. A mark
// that is there already is Duplicate; a reviewer's newer mark on a message replaces
// the older. Marks become feedback of role reviewer and channel review, with the
// levels measured on a message that no variation of ours produced. A presser's newer
// press on a message replaces the older; presses are limited like other opinions.
func (s *Service) GiveAll(ctx context.Context, marks []Given) ([]Result, error) {
	if len(marks) > MaxBatch {
		return nil, fault.New(fault.TooLarge, "batch_too_large", "Send at most %d marks at once.", MaxBatch)
	}
	now := s.now()
	var out []Result
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		out = make([]Result, 0, len(marks))
		events := make([]event.Event, 0, len(marks))
		look := remembered()
		for _, g := range marks {
			o, err := s.mark(tx, g, look, now)
			if err != nil {
				if _, ok := refusal(err); !ok {
					return err
				}
				out = append(out, Result{g.FeedbackID, Refused, err})
				continue
			}
			out = append(out, Result{g.FeedbackID, o.Status, nil})
			if o.event != nil {
				events = append(events, *o.event)
			}
		}
		return relay.Emit(tx, events...)
	})
	return out, err
}

func (s *Service) mark(tx *sqldb.Tx, g Given, look lookup, now event.Micros) (outcome, error) {
	on := string(g.MessageID)
	if g.Press && on == "" {
		on = string(g.DecisionID)
	}
	for _, id := range []string{string(g.FeedbackID), string(g.RaterID), on} {
		if id == "" || len(id) > 64 {
			return outcome{}, fault.New(fault.Invalid, "bad_id", "A mark needs the ids of itself, its giver and the message, of 64 bytes at most.")
		}
	}
	switch {
	case g.Mark < -1 || g.Mark > 1:
		return outcome{}, fault.New(fault.Invalid, "unknown_value", "A mark is -1, 0 or 1.")
	case g.Press && g.Mark == 0:
		return outcome{}, fault.New(fault.Invalid, "unknown_value", "A button says up or down.")
	case g.Press && g.DecisionID != "" && g.MessageID != "":
		return outcome{}, fault.New(fault.Invalid, "aim_ambiguous", "Name the message or the decision, not both.")
	}
	if err := checkTexts(g.Comment); err != nil {
		return outcome{}, err
	}
	score := float64(g.Mark)
	d := draft{
		ID: g.FeedbackID, Rater: g.RaterID, Channel: event.ChannelReview, Value: [...]string{"down", "neutral", "up"}[g.Mark+1], Score: &score,
		Message: g.MessageID, Created: now, Occurred: g.OccurredAt, Brought: !g.Press, Pressed: g.Press, Voucher: g.VouchedBy,
	}
	if g.Press {
		d.Channel, d.Decision, d.Comment = event.ChannelThumb, g.DecisionID, g.Comment
	}
	return s.settle(tx, d, look)
}

// becomes makes of a pressed button what its presser can give: the agent's owner a
// thumb, others a reaction.
func (d *draft) becomes(role string) {
	if d.Channel = event.ChannelThumb; role != event.RoleOwner {
		d.Channel = event.ChannelReaction
	}
}

// remembered is find with a memory for one transaction: marks of a batch are often
// about the same few messages.
func remembered() lookup {
	type answer struct {
		t      target
		awaits string
		err    error
	}
	known := map[event.MessageID]answer{}
	return func(tx *sqldb.Tx, d draft) (target, string, error) {
		if d.Message == "" {
			return find(tx, d)
		}
		a, ok := known[d.Message]
		if !ok {
			a.t, a.awaits, a.err = find(tx, d)
			known[d.Message] = a
		}
		return a.t, a.awaits, a.err
	}
}
