package feedback

import (
	"context"
	"math"
	"unicode/utf8"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// reacted derives what an emoji tells: by what the agent's owner says that it means,
// then by the platform, then by what is plain everywhere. Unknown and ambiguous ones
// tell nothing.
func (s *Service) reacted(tx *sqldb.Tx, h *habits, e event.Event, p event.ReactionAdded) error {
	if !p.Consent || p.Protected {
		return nil
	}
	b, err := h.get(p.PersonID)
	if err != nil || b.erased {
		return err
	}
	d := draft{Rater: p.PersonID, Channel: event.ChannelReaction, Value: p.Emoji, Message: p.MessageID}
	t, _, err := h.find(tx, d)
	if _, refused := refusal(err); refused {
		return nil
	}
	if err != nil {
		return err
	}
	own, err := h.meaning(t.owner)
	if err != nil {
		return err
	}
	f, ok := signal.Reacted(p.Emoji, signal.Emoji{Owner: own, Platform: signal.PlatformOf(p.Platform)})
	if !ok {
		return nil
	}
	return s.notice(h, e, d, []signal.Found{f})
}

// unreacted takes an emoji back. The person's emoji before it, if it is still there,
// counts again.
func (s *Service) unreacted(tx *sqldb.Tx, h *habits, e event.Event, p event.ReactionRemoved) error {
	slot := reactionSlot(p.PersonID, p.MessageID)
	if _, err := tx.Exec(`delete from waiting where slot = $1 and rater_id = $2`, slot+p.Emoji, p.PersonID); err != nil {
		return err
	}
	if _, err := tx.Exec(`update feedback_events set retracted_at = $1 where slot = $2 and value = $3 and not live and retracted_at = 0`, e.Time, slot, p.Emoji); err != nil {
		return err
	}
	var id event.FeedbackID
	ok, err := tx.Get(`select feedback_id from feedback_events where slot = $1 and live and value = $2`, []any{slot, p.Emoji}, &id)
	if err != nil || !ok {
		return err
	}
	if err := retract(tx, id, e.Time, &e); err != nil {
		return err
	}
	d := draft{Rater: p.PersonID, Channel: event.ChannelReaction, Message: p.MessageID}
	var score float64
	ok, err = tx.Get(`select value, score from feedback_events where slot = $1 and retracted_at = 0 order by created_at desc, feedback_id desc limit 1`, []any{slot}, &d.Value, &score)
	if err != nil || !ok {
		return err
	}
	detector, err := signal.Lookup(signal.Reaction)
	if err != nil {
		return err
	}
	return s.notice(h, e, d, []signal.Found{{Detector: signal.Reaction, Score: score, Noise: detector.Noise}})
}

// EmojiMeaning is what an emoji on a message of one's agents means to its owner.
type EmojiMeaning struct {
	Emoji   string   `json:"emoji" maxLength:"40" doc:"One emoji; skin tones don't matter."`
	Meaning *float64 `json:"meaning" minimum:"-1" maximum:"1" doc:"From -1, displeased, to 1, pleased; 0: it says nothing. null: what it means to everybody."`
}

// EmojiMeanings are an owner's own.
type EmojiMeanings struct {
	Meanings []EmojiMeaning `json:"meanings"` // by emoji
}

// maxMeanings is how many emoji one owner may give a meaning.
const maxMeanings = 200

// Meanings lists what emoji mean to the principal.
func (s *Service) Meanings(ctx context.Context, p authz.Principal) (m EmojiMeanings, err error) {
	m.Meanings = []EmojiMeaning{}
	if err := self(p, authz.Read); err != nil {
		return m, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select emoji, meaning from emoji_meanings where owner_id = $1 order by emoji`, p.Person)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var x EmojiMeaning
			x.Meaning = new(float64)
			if err := rows.Scan(&x.Emoji, x.Meaning); err != nil {
				return err
			}
			m.Meanings = append(m.Meanings, x)
		}
		return rows.Err()
	})
	return m, err
}

// SetMeaning says what an emoji on messages of the principal's agents means from now
// on. Faults: invalid emoji_invalid, meaning_refused; conflict too_many_meanings.
func (s *Service) SetMeaning(ctx context.Context, p authz.Principal, x EmojiMeaning) (EmojiMeanings, error) {
	if err := self(p, authz.Change); err != nil {
		return EmojiMeanings{}, err
	}
	emoji := signal.PlainEmoji(x.Emoji)
	if n := utf8.RuneCountInString(emoji); n < 1 || n > 10 || !isEmoji(emoji) {
		return EmojiMeanings{}, fault.New(fault.Invalid, "emoji_invalid", "Give one emoji, as it stands under a message.")
	}
	if x.Meaning != nil && !(math.Abs(*x.Meaning) <= 1) {
		return EmojiMeanings{}, fault.New(fault.Invalid, "meaning_refused", "A meaning goes from -1, displeased, to 1, pleased.")
	}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if x.Meaning == nil {
			_, err := tx.Exec(`delete from emoji_meanings where owner_id = $1 and emoji = $2`, p.Person, emoji)
			return err
		}
		n := 0
		if _, err := tx.Get(`select count(*) from emoji_meanings where owner_id = $1 and emoji <> $2`, []any{p.Person, emoji}, &n); err != nil {
			return err
		}
		if n >= maxMeanings {
			return fault.New(fault.Conflict, "too_many_meanings", "You gave %d emoji a meaning; take one back first.", maxMeanings)
		}
		_, err := tx.Exec(`insert into emoji_meanings (owner_id, emoji, meaning, at) values ($1, $2, $3, $4)
			on conflict (owner_id, emoji) do update set meaning = excluded.meaning, at = excluded.at`, p.Person, emoji, *x.Meaning, s.now())
		return err
	})
	if err != nil {
		return EmojiMeanings{}, err
	}
	return s.Meanings(ctx, p)
}

// isEmoji refuses what could be words.
func isEmoji(s string) bool {
	symbols := 0
	for _, r := range s {
		switch {
		case r == utf8.RuneError || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r < ' ':
			return false
		case r > 0x2000:
			symbols++
		}
	}
	return symbols > 0
}
