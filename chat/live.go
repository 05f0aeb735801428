package chat

import (
	"context"
	"strconv"
	"sync"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/sqldb"
)

// Frame is one event of a room's stream. ID is set for what is durable and
// where a stream can go on; a frame without Name is a sign of life.
type Frame struct {
	ID   string
	Name string // message, room, typing, delta, trouble, gone
	Data any
}

// Delta is a part of a reply while it is being written. It is never stored: the
// message that follows has the whole text.
type Delta struct {
	AgentID    event.AgentID    `json:"agentId"`
	DecisionID event.DecisionID `json:"decisionId,omitempty"`
	Text       string           `json:"text,omitempty"`
}

// pulse is how often a quiet stream gives a sign of life.
const pulse = 15 * time.Second

// live wakes the streams of rooms in this process. What they send is read from
// the tables; only typing and deltas are handed on.
type live struct {
	mu        sync.Mutex
	listeners map[event.RoomID]map[*listener]bool
}

type listener struct {
	woken  chan struct{} // holds one
	frames chan Frame    // drops when full
}

func (l *live) listen(id event.RoomID) (*listener, func()) {
	x := &listener{woken: make(chan struct{}, 1), frames: make(chan Frame, 256)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listeners == nil {
		l.listeners = map[event.RoomID]map[*listener]bool{}
	}
	if l.listeners[id] == nil {
		l.listeners[id] = map[*listener]bool{}
	}
	l.listeners[id][x] = true
	return x, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.listeners[id], x)
		if len(l.listeners[id]) == 0 {
			delete(l.listeners, id)
		}
	}
}

func (l *live) wake(id event.RoomID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for x := range l.listeners[id] {
		select {
		case x.woken <- struct{}{}:
		default:
		}
	}
}

func (l *live) hand(id event.RoomID, f Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for x := range l.listeners[id] {
		select {
		case x.frames <- f:
		default:
		}
	}
}

// Typing shows the room's listeners that an agent is about to speak. Not stored,
// and lost on who listens too slowly.
func (s *Service) Typing(id event.RoomID, agent event.AgentID) {
	s.live.hand(id, Frame{Name: "typing", Data: Delta{AgentID: agent}})
}

// Delta shows the room's listeners a part of a reply that is being written. Not
// stored, and lost on who listens too slowly: the message that follows is whole.
func (s *Service) Delta(id event.RoomID, agent event.AgentID, decision event.DecisionID, text string) {
	s.live.hand(id, Frame{Name: "delta", Data: Delta{AgentID: agent, DecisionID: decision, Text: text}})
}

// Trouble is why a message of the room has no answer of an agent, or not yet. It is
// never stored.
type Trouble struct {
	AgentID   event.AgentID   `json:"agentId"`
	MessageID event.MessageID `json:"messageId"`
	Code      string          `json:"code"`
	Says      string          `json:"says"`           // goes on after "could not answer: "
	Wait      int             `json:"wait,omitempty"` // seconds until it is tried again by itself; absent: it is not
	Again     bool            `json:"again"`          // its author may ask for another try
}

// Trouble shows the room's listeners why a message has no answer. Not stored, and
// lost on who listens too slowly.
func (s *Service) Trouble(id event.RoomID, t Trouble) {
	s.live.hand(id, Frame{Name: "trouble", Data: t})
}

// Follow sends a room's changes to somebody in it as they happen, from the
// change after a number on (negative: from now), until ctx ends, send fails or
// they are no longer in the room (a last frame "gone").
//
// A frame "message" is a message as it is now, said, edited, reacted to or deleted;
// its id is the number of the change, and following from there again misses
// nothing. A frame "room" says that members changed. Frames "typing", "delta"
// and "trouble" have no id.
//
// Fault: room_unknown, before anything is sent.
func (s *Service) Follow(ctx context.Context, id event.RoomID, after int64, send func(Frame) error) error {
	p, err := caller(ctx)
	if err != nil {
		return err
	}
	heard, stop := s.live.listen(id) // before reading, so that nothing falls between
	defer stop()
	room, err := s.Room(ctx, id)
	if err != nil {
		return err
	}
	if err := s.db.Read(ctx, func(tx *sqldb.Tx) error { return mayRead(tx, id, p) }); err != nil {
		return err
	}
	if after < 0 {
		after = room.Cursor
	}
	quiet := time.NewTicker(pulse)
	defer quiet.Stop()
	if err := send(Frame{}); err != nil {
		return err
	}
	members := len(room.Members)
	for {
		changes, in, err := s.changes(ctx, id, p, after)
		if err != nil {
			return err
		}
		if in == 0 {
			return send(Frame{Name: "gone"})
		}
		for _, m := range changes {
			if err := send(Frame{ID: strconv.FormatInt(m.Change, 10), Name: "message", Data: m}); err != nil {
				return err
			}
			after = m.Change
		}
		if in != members {
			members = in
			if err := send(Frame{Name: "room"}); err != nil {
				return err
			}
		}
		if len(changes) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-heard.woken:
		case f := <-heard.frames:
			if err := send(f); err != nil {
				return err
			}
			for n := len(heard.frames); n > 0; n-- {
				if err := send(<-heard.frames); err != nil {
					return err
				}
			}
		case <-quiet.C:
			if err := send(Frame{}); err != nil {
				return err
			}
		}
	}
}

// changes gives the messages that changed after a number, in the order of their
// last change, and how many are in the room; 0 when p is not.
func (s *Service) changes(ctx context.Context, id event.RoomID, p authz.Principal, after int64) (list []Message, members int, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		if in, err := isMember(tx, id, string(p.Person)); err != nil || !in {
			return err
		}
		if _, err := tx.Get(`select count(*) from members where room_id = $1 and left_at = 0`, []any{id}, &members); err != nil {
			return err
		}
		// As long as nothing in a room was changed, a message's change is its
		// sequence; only others are in the index by change.
		rows, err := tx.Query(`select * from (`+selectMessages+`where room_id = $1 and seq > $2 and changed = seq order by seq limit 200) as first
			union all select * from (`+selectMessages+`where room_id = $3 and changed > $4 and changed > seq order by changed limit 200) as later
			order by changed limit 200`, id, after, id, after)
		if err != nil {
			return err
		}
		if list, err = scanMessages(rows); err != nil {
			return err
		}
		return withReactions(tx, list)
	})
	if err != nil {
		return nil, 0, err
	}
	return list, members, s.nameAuthors(ctx, list)
}
