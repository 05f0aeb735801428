package chat

import (
	"context"
	"slices"
	"sync"

	"rapport/chat/textsignal"
	"rapport/event"
	"rapport/internal/sqldb"
)

// What a message is in its talk is found from the last hearingReach lines of its
// room, read from the table; what was read of busy rooms is kept. The same lines
// give the same turn, also after a restart.

const (
	hearingReach = 2 * textsignal.Reach
	hearingKept  = 60_000 // lines of all rooms together that are kept, about 1 KB each
	hearingNames = 20_000 // names of people that are kept
)

// hearings keeps what was read of rooms, and how people are called. Of a room it is
// right when it has heard the room's newest message: what a failed transaction left
// in it has heard more than there is.
type hearings struct {
	mu    sync.Mutex
	rooms map[event.RoomID]*hearing
	tick  int64
	looks int // at how much is kept
	names map[event.PersonID]string
}

// hearing is what was said last in a room.
type hearing struct {
	seq   int64 // of the newest line
	group bool  // talk follows the lines: there is somebody to mistake
	talk  textsignal.Talk
	heard []heard // the oldest first
	used  int64
}

type heard struct {
	seq    int64
	id     event.MessageID
	author event.Member
	about  event.MessageID
	past   textsignal.Past
}

func (h *hearings) get(id event.RoomID) *hearing {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.rooms[id]
	if x != nil {
		h.tick++
		x.used = h.tick
	}
	return x
}

// put keeps a room. When too much is kept, the half that was used longest ago goes.
func (h *hearings) put(id event.RoomID, x *hearing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms == nil {
		h.rooms = map[event.RoomID]*hearing{}
	}
	h.tick++
	x.used = h.tick
	h.rooms[id] = x
	if h.looks++; h.looks < 64 {
		return
	}
	h.looks = 0
	lines := 0
	var uses []int64
	for _, y := range h.rooms {
		lines += len(y.heard)
		uses = append(uses, y.used)
	}
	if lines <= hearingKept {
		return
	}
	slices.Sort(uses)
	old := uses[len(uses)/2]
	for k, y := range h.rooms {
		if y.used < old {
			delete(h.rooms, k)
		}
	}
}

func (h *hearings) drop(id event.RoomID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.rooms, id)
}

func (h *hearings) name(p event.PersonID) (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.names[p]
	return n, ok
}

func (h *hearings) called(names map[event.PersonID]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names == nil || len(h.names)+len(names) > hearingNames {
		h.names = map[event.PersonID]string{}
	}
	for p, n := range names {
		h.names[p] = n
	}
}

func (h *hearings) forget(p event.PersonID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.names, p)
}

// callThem learns how those are called who speak in rooms, before a transaction
// needs it: lines that begin with a name say whom they are for.
func (s *Service) callThem(ctx context.Context, rooms []event.RoomID, authors []event.Member) error {
	all := map[event.Member]bool{}
	for _, m := range authors {
		all[m] = true
	}
	var cold []event.RoomID
	for _, id := range rooms {
		if s.hearings.get(id) == nil {
			cold = append(cold, id)
		}
	}
	if len(cold) > 0 {
		err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
			for _, id := range cold {
				rows, err := tx.Query(`select kind, member_id from members where room_id = $1 order by member_id limit 400`, id)
				members, err := collect(rows, err, func(m *[2]string) []any { return []any{&m[0], &m[1]} })
				if err != nil {
					return err
				}
				for _, m := range members {
					all[memberOf(m[0], m[1])] = true
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	people, agents := map[event.PersonID]bool{}, map[event.AgentID]bool{}
	for m := range all {
		if m.AgentID != "" {
			agents[m.AgentID] = true
		} else if _, known := s.hearings.name(m.PersonID); !known && m.PersonID != "" {
			people[m.PersonID] = true
		}
	}
	if len(agents) > 0 {
		if _, err := s.handles(ctx, sortedKeys(agents)); err != nil {
			return err
		}
	}
	if len(people) == 0 {
		return nil
	}
	found, err := s.options.People.Names(ctx, sortedKeys(people))
	if err != nil {
		return err
	}
	names := make(map[event.PersonID]string, len(people))
	for p := range people {
		names[p] = found[p] // empty for who has none
	}
	s.hearings.called(names)
	return nil
}

// calledBy is how others call an author, empty when that was not learnt.
func (s *Service) calledBy(m event.Member) string {
	if m.Kind == event.KindPerson {
		n, _ := s.hearings.name(m.PersonID)
		return n
	}
	if kept, ok := s.called.Load(m.AgentID); ok && len(kept.([]string)) > 0 {
		return kept.([]string)[0]
	}
	return ""
}

// hearing gives what was said in a room up to its newest message.
func (a *act) hearing(r *room) (*hearing, error) {
	group := !r.alone()
	if h := a.s.hearings.get(r.id); h != nil && h.seq == r.seq && (h.group || !group) {
		return h, nil
	}
	h, err := a.recall(r, r.seq, group)
	if err == nil {
		a.s.hearings.put(r.id, h)
	}
	return h, err
}

// recall reads the lines of a room up to one.
func (a *act) recall(r *room, upTo int64, group bool) (*hearing, error) {
	h := &hearing{seq: upTo, group: group}
	if upTo == 0 {
		return h, nil
	}
	type row struct {
		heard
		kind, author string
		at           event.Micros
		text         string
	}
	if err := a.settle(); err != nil {
		return nil, err
	}
	rows, err := a.tx.Query(`select seq, message_id, kind, author_id, about, at, text from messages where room_id = $1 and seq > $2 and seq <= $3 order by seq`, r.id, upTo-hearingReach, upTo)
	list, err := collect(rows, err, func(x *row) []any {
		return []any{&x.seq, &x.id, &x.kind, &x.author, &x.about, &x.at, &x.text}
	})
	if err != nil {
		return nil, err
	}
	for i := range list {
		x := &list[i]
		x.heard.author = memberOf(x.kind, x.author)
		h.hear(a.s, x.heard, x.at, textsignal.Read(x.text))
	}
	h.seq = upTo
	return h, nil
}

// hear takes in the next line.
func (h *hearing) hear(s *Service, x heard, at event.Micros, text *textsignal.Text) {
	if h.group {
		h.talk.Hear(textsignal.Line{Author: x.author.ID(), Name: s.calledBy(x.author), At: at, Read: text})
	}
	x.past = text.Past
	if len(h.heard) >= 2*hearingReach {
		h.heard = append(h.heard[:0:0], h.heard[hearingReach:]...)
	}
	h.heard, h.seq = append(h.heard, x), x.seq
}

// last are the lines that may be looked at.
func (h *hearing) last() []heard { return h.heard[max(0, len(h.heard)-hearingReach):] }
