package gateway

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"rapport/event"
	"rapport/gateway/guard"
	"rapport/gateway/provider"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// What an agent begins without a message to answer. An opening is spoken when somebody
// opens a direct room with it: one of the first words that were written for it, drawn.
// Everything else follows a talk that is over, after a while of silence: a post or an
// invitation in a group, a new thread where it is alone with somebody. Each is a turn
// like any other: leased, with a decision of its own, and said once.

// The kinds of turns.
const (
	kindReply   = "reply"
	kindOpening = "opening" // event is the room.joined
	kindBegin   = "begin"   // event is the session.ended
)

// How long after the end of a talk something is begun.
const (
	postAfter   = 2 * time.Hour
	threadAfter = 20 * time.Hour
)

// Place is how a room is now.
type Place struct {
	Alone     bool            // one person and the agent
	Person    event.PersonID  // that one
	By        event.PersonID  // who made the room
	People    int             //
	Members   int             //
	Agents    []event.AgentID // in it, by id
	Protected bool            // somebody in it is
	Consent   bool            // everybody in it allows signals
	Full      bool            // nobody else has room
	Sequence  int64           // of the newest message, 0 for none
	LastAt    event.Micros    // when that was said
	Talking   bool            // a session of the agent lives
}

// Places asks chat how a room is, for an agent in it. Fault of kind not_found when it
// is not.
type Places interface {
	Place(ctx context.Context, room event.RoomID, agent event.AgentID) (Place, error)
}

// Begin is what a reply without a message to answer needs of chat: nothing was said
// after a sequence; where it is unasked, nobody in the room is protected and everybody
// allows it; and whom it brings.
type Begin struct {
	After   int64
	Unasked bool
	Brings  event.AgentID
}

// joined gives an agent that a person opened a direct room with a turn to open the talk.
func (s *Service) joined(tx *sqldb.Tx, e event.Event, p event.RoomJoined) error {
	if p.Member.Kind != event.KindAgent || p.Inviter == "" || p.Members != 2 || s.o.Places == nil {
		return nil
	}
	return s.later(tx, e, kindOpening, p.Member.AgentID, event.MessageID("opening "+string(p.RoomID)), e.Time)
}

// over gives an agent that may begin something by itself a turn for it, a while after
// a talk in which somebody spoke. So nothing begins of what an agent began and nobody
// answered.
func (s *Service) over(tx *sqldb.Tx, e event.Event, p event.SessionEnded) error {
	spoke := slices.ContainsFunc(p.People, func(x event.SessionPerson) bool { return x.Turns > 0 && !x.Gone })
	if p.Imported || p.Protected || !spoke || s.o.Places == nil {
		return nil
	}
	v, err := load(tx, p.AgentID)
	if fault.Is(err, errUnknownAgent.Code) {
		return nil
	}
	autonomy := 2
	if p.Direct {
		autonomy = 3
	}
	if err != nil || v.doc.AutonomyLevel < autonomy {
		return err
	}
	return s.later(tx, e, kindBegin, p.AgentID, event.MessageID("after "+string(p.SessionID)), p.EndedAt+waitOf(p).Microseconds())
}

func waitOf(p event.SessionEnded) time.Duration {
	if p.Direct {
		return threadAfter
	}
	return postAfter
}

// begin brings a turn without a message to its end.
func (s *Service) begin(ctx context.Context, t *turn) error {
	room, person := t.joined.RoomID, t.joined.Inviter
	if t.kind == kindBegin {
		room, person = t.ended.RoomID, ""
	}
	drop := func() error {
		return s.db.Write(ctx, func(tx *sqldb.Tx) error { return s.closeTurn(tx, question{turn: t.id, lease: t.lease}) })
	}
	place, err := s.o.Places.Place(ctx, room, t.agent)
	if fault.KindOf(err) == fault.NotFound {
		return drop()
	}
	if err != nil {
		return errors.Join(err, s.putBack(ctx, t, time.Second))
	}
	q := question{
		decision: decisionOf(t.id, 0), turn: t.id, lease: t.lease, agent: t.agent, session: t.session, room: room, person: place.Person,
		direct: place.Alone, addressed: false, consent: place.Consent, protected: place.Protected, cause: &t.event,
	}
	switch {
	case place.Alone:
	case place.Members <= 6:
		q.place = event.ContextGroupSmall
	default:
		q.place = event.ContextGroupLarge
	}
	b := beginning{Begin: Begin{After: place.Sequence}}
	wentOn := !place.Alone || place.Person != person || place.Sequence > 0
	if t.kind == kindBegin {
		wentOn = place.Talking || place.LastAt > s.now()-waitOf(t.ended).Microseconds()
	}
	decided, err := s.begun(ctx, q.decision)
	switch {
	case err != nil:
		return errors.Join(err, s.putBack(ctx, t, time.Second))
	case wentOn && !decided:
		return drop()
	case wentOn: // an earlier worker died: said already, or not at all
		b.After = onlyIfSaid
	}
	if t.kind == kindOpening {
		q.begins = event.BeginsOpening
		if b.text, q.opening, err = s.opening(ctx, t); err == nil && q.opening == nil {
			return drop() // no first words were written for it
		}
	} else {
		err = s.choose(ctx, t, place, &q, &b)
	}
	var p *plan
	var committed func() error
	if err == nil {
		var v *view
		if v, err = s.view(ctx, t.agent); err == nil && t.kind == kindBegin && v.asleep(s.now()) > 0 {
			return s.putBack(ctx, t, v.asleep(s.now())) // in the morning
		}
	}
	if err == nil {
		p, committed, err = s.decide(ctx, q)
	}
	switch {
	case fault.Is(err, errUnknownAgent.Code):
		if t.kind == kindOpening && s.now()-t.event.Time < patience.Microseconds() {
			return s.putBack(ctx, t, 100*time.Millisecond)
		}
		return drop()
	case err == errLeaseLost:
		return err
	case err != nil && t.lease > 10*maxLeases:
		return errors.Join(err, drop())
	case err != nil:
		return errors.Join(err, s.putBack(ctx, t, time.Second))
	case p.body.Action != "": // it does not
		return committed()
	}
	if decided && (p.body.Begins != q.begins || q.opening != nil && *p.body.Opening != *q.opening || q.opening == nil && s.stopped(ctx, t.agent) != "") {
		b.After = onlyIfSaid
	}
	out := outcome{text: b.text, finish: provider.FinishStop}
	switch {
	case b.After == onlyIfSaid:
		out.text = "…"
	case q.opening == nil:
		out = s.think(ctx, t, q, p, &b, committed)
		if out.code == "" { // it took its time
			out.code = s.stopped(ctx, t.agent)
		}
	}
	if ctx.Err() != nil {
		if context.Cause(ctx) == errLeaseLost {
			return errLeaseLost
		}
		return errors.Join(ctx.Err(), s.putBack(ctx, t, 0))
	}
	if err := committed(); err != nil {
		return errors.Join(err, s.putBack(ctx, t, time.Second))
	}
	if out.code != "" {
		return s.finish(ctx, q, p, out, "")
	}
	id, err := s.o.Poster.PostReply(ctx, Reply{DecisionID: q.decision, AgentID: q.agent, RoomID: q.room, SessionID: q.session, Text: out.text, Begin: &b.Begin})
	if err != nil {
		return errors.Join(wanted(err), s.refusedOr(ctx, t, q, p, err))
	}
	return s.finish(ctx, q, p, out, id)
}

// wanted drops the refusals that are no trouble: the room is another than it was.
func wanted(err error) error {
	if fault.Is(err, "talk_went_on") || fault.Is(err, "no_consent") || fault.Is(err, "room_full") {
		return nil
	}
	return err
}

// onlyIfSaid is the sequence after which nothing can be said: chat gives the message of
// a decision that was carried out, and refuses any other.
const onlyIfSaid = -1

// begun says whether a decision was made, by a worker that died over it.
func (s *Service) begun(ctx context.Context, id event.DecisionID) (is bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		is, err = tx.Get(`select 1 from decisions where decision_id = $1 and state = 'open'`, []any{id}, new(int))
		return err
	})
	return is, err
}

// stopped is why an agent may not speak now by itself, ” when it may.
func (s *Service) stopped(ctx context.Context, id event.AgentID) string {
	v, err := s.view(ctx, id)
	switch {
	case err != nil || !v.alive:
		return "killed"
	case v.paused:
		return "paused"
	case v.asleep(s.now()) > 0:
		return "quiet_hours"
	}
	return ""
}

// beginning is what is said, and how.
type beginning struct {
	Begin
	text string // of an opening
	ask  string // what the model is asked for, else
}

// opening draws one of an agent's openings, each as likely as any other. nil for none.
func (s *Service) opening(ctx context.Context, t *turn) (string, *event.Opening, error) {
	persona, err := s.o.Profiles.ProfileOf(ctx, t.agent)
	if err != nil {
		return "", nil, err
	}
	var all []string
	for _, o := range persona.Openings {
		if o = guard.Clean(o, maxRunes); o != "" && !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	if len(all) == 0 {
		return "", nil, nil
	}
	sum := s.mac("opening", string(t.agent), t.id)
	text := all[binary.BigEndian.Uint64(sum[:])%uint64(len(all))]
	name := s.mac("variant", string(t.agent), text)
	return text, &event.Opening{Variant: hex.EncodeToString(name[:6]), Of: len(all), Chance: 1 / float64(len(all))}, nil
}

// The words that a model is asked with.
const (
	askPost   = "(Nobody has spoken in this room for a while. Say something of your own that fits the talk: a thought, a question or a suggestion. Do not complain of the silence.)"
	askThread = "(It has been a while since the two of you talked. Begin a new talk with something of your own that fits what you know of them. Do not complain of the silence.)"
	askInvite = "(You have just brought %s, another AI, into this room. Welcome them in a sentence or two and say why they fit in.)"
)

// choose says what an agent would begin at a place: a thread where it is alone with
// somebody; in a group of its owner's that another of their agents could come into,
// that or a post, as likely; else a post.
func (s *Service) choose(ctx context.Context, t *turn, place Place, q *question, b *beginning) error {
	b.Unasked = true
	if place.Alone {
		q.begins, b.ask = event.BeginsThread, askThread
		return nil
	}
	q.begins, b.ask = event.BeginsPost, askPost
	coin := s.mac("begin", string(t.agent), t.id)
	v, err := s.view(ctx, t.agent)
	if err != nil || place.Full || place.By == "" || place.By != v.owner || coin[0]&1 == 0 {
		return err
	}
	cards, err := s.o.Directory.AgentsOf(ctx, v.owner)
	if err != nil {
		return err
	}
	var others []event.AgentID
	for _, c := range cards {
		if slices.Contains(place.Agents, c.ID) {
			continue
		}
		o, err := s.view(ctx, c.ID)
		if err == nil && o.alive && !o.paused && o.owner == v.owner {
			others = append(others, c.ID)
		}
	}
	if len(others) == 0 {
		return nil
	}
	q.begins, b.Brings = event.BeginsInvite, others[binary.BigEndian.Uint64(coin[8:])%uint64(len(others))]
	persona, err := s.o.Profiles.ProfileOf(ctx, b.Brings)
	b.ask = fmt.Sprintf(askInvite, label(persona.Name))
	return err
}

// think asks the model for what is said.
func (s *Service) think(ctx context.Context, t *turn, q question, p *plan, b *beginning, committed func() error) outcome {
	if s.o.Live != nil {
		s.o.Live.Typing(q.room, q.agent)
	}
	var out outcome
	for _, budget := range []int{talkTokens, shortTokens} {
		lines, err := s.o.Talks.Texts(ctx, q.room, q.agent, talkLines)
		if err != nil {
			slog.ErrorContext(ctx, "a talk could not be read", "turn", t.id, "err", err)
			return outcome{code: "talk_unreadable"}
		}
		p.barred, _ = s.siftLines(ctx, lines, q.agent)
		said, others := transcript(lines, q.agent, p.made.Name(), q.direct, budget)
		p.others = others
		talk := say(append(fewShot(p.profile.FewShot), said...), provider.RoleUser, b.ask)
		out = s.speak(ctx, p, talk, committed, func(string) error { return nil })
		if out.code != provider.CodeTooLong || out.began {
			break
		}
	}
	return out
}
