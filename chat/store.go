package chat

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"math"
	"slices"
	"strings"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/visible"
)

func hasNUL(s string) bool  { return strings.IndexByte(s, 0) >= 0 }
func isBlank(s string) bool { return visible.Empty(s) }

// act is one transaction that changes rooms: it opens each room once, collects
// the events, and at its end stores the rooms' counters and live sessions.
type act struct {
	s      *Service
	tx     *sqldb.Tx
	at     event.Micros
	cause  *event.Event // of a handler; ids of what it emits follow from it
	ids    int
	events []event.Event
	rooms  map[event.RoomID]*room
	order  []*room
	batch
}

// write runs fn as one transaction.
func (s *Service) write(ctx context.Context, fn func(*act) error) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		a := &act{s: s, tx: tx, at: s.now()}
		if err := fn(a); err != nil {
			return err
		}
		return a.close()
	})
}

// close stores what is left to store and hands the events to the outbox.
func (a *act) close() error {
	if err := a.settle(); err != nil {
		return err
	}
	for _, r := range a.order {
		if err := a.save(r); err != nil {
			return err
		}
	}
	return relay.Emit(a.tx, a.events...)
}

// emit notes an event. The id is derived in a handler, else new.
func (a *act) emit(p event.Payload) {
	id := ""
	if a.cause != nil {
		id = event.DerivedID("chat", 1, a.cause.ID, p.EventType(), p.Key(), a.ids)
		a.ids++
	} else {
		id = event.NewID()
	}
	a.emitAs(id, p)
}

func (a *act) emitAs(id string, p event.Payload) {
	e := event.New("chat", id, a.at, p)
	if a.cause != nil {
		e = e.CausedBy(*a.cause)
	}
	a.events = append(a.events, e)
}

// room is a room opened in a transaction, locked until its end.
type room struct {
	id        event.RoomID
	title     string
	direct    bool
	source    string
	createdBy event.PersonID
	createdAt event.Micros
	seq       int64
	change    int64
	theme     string       // of an evening
	pass      string       // that opens a fresh one
	endsAt    event.Micros // 0 for no end
	members   []*member
	sessions  []*session // that live

	fresh   bool // not stored yet
	touched bool // seq or change moved
}

// member is somebody in an opened room.
type member struct {
	event.Member
	inviter   event.PersonID
	owner     event.PersonID // of an agent, '' while unknown
	alive     bool           // of an agent
	protected bool           // of a person, now
	consent   *bool          // of a person, their word
}

// open reads all that verbs need of a room; nil when absent. It is alone with the
// room until the transaction ends. Opening again gives the same one.
func (a *act) open(id event.RoomID) (*room, error) {
	if r := a.rooms[id]; r != nil {
		return r, nil
	}
	err := a.openAll([]event.RoomID{id})
	return a.rooms[id], err
}

// openAll opens rooms that are not open; absent ones are passed over.
func (a *act) openAll(ids []event.RoomID) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = string(id)
	}
	if err := a.tx.QueryMany(`select room_id, title, direct, source, created_by, created_at, last_seq, last_change, theme, ends_at from rooms where room_id in (`, 0, `)`, args, func(rows *sql.Rows) error {
		r := &room{}
		err := rows.Scan(&r.id, &r.title, &r.direct, &r.source, &r.createdBy, &r.createdAt, &r.seq, &r.change, &r.theme, &r.endsAt)
		a.keep(r)
		return err
	}); err != nil {
		return err
	}
	if err := a.tx.QueryMany(selectMembers, 0, `) order by m.joined_at, m.member_id`, args, func(rows *sql.Rows) error {
		room, m, err := scanMember(rows, a.at)
		if err == nil {
			r := a.rooms[room]
			r.members = append(r.members, m)
		}
		return err
	}); err != nil {
		return err
	}
	return a.tx.QueryMany(selectSessions, 0, `) and ended_at = 0 order by agent_id`, args, func(rows *sql.Rows) error {
		var room event.RoomID
		s := &session{}
		if err := rows.Scan(append([]any{&room}, s.columns()...)...); err != nil {
			return err
		}
		r := a.rooms[room]
		r.sessions = append(r.sessions, s)
		return nil
	})
}

func (a *act) keep(r *room) {
	if a.rooms == nil {
		a.rooms = map[event.RoomID]*room{}
	}
	a.rooms[r.id] = r
	a.order = append(a.order, r)
}

// save stores a room's counters and its sessions' ends.
func (a *act) save(r *room) error {
	if r.touched {
		if _, err := a.tx.Exec(`update rooms set last_seq = $1, last_change = $2 where room_id = $3`, r.seq, r.change, r.id); err != nil {
			return err
		}
		live := &a.s.live
		a.tx.OnCommit(func() { live.wake(r.id) })
	}
	for _, s := range r.sessions {
		if err := a.saveSession(r, s); err != nil {
			return err
		}
	}
	return nil
}

const selectMembers = `select m.room_id, m.kind, m.member_id, m.inviter, a.owner_id, a.alive, p.protected, p.until, c.consent
	from members m
	left join agents a on a.agent_id = m.member_id
	left join people p on p.person_id = m.member_id
	left join consents c on c.room_id = m.room_id and c.person_id = m.member_id
	where m.left_at = 0 and m.room_id in (`

// membersOf reads who is in a room, with what the projections know of them.
func membersOf(tx *sqldb.Tx, id event.RoomID, now event.Micros) ([]*member, error) {
	rows, err := tx.Query(selectMembers+`$1) order by m.joined_at, m.member_id`, id)
	if err != nil {
		return nil, err
	}
	return scanMembers(rows, now)
}

func scanMembers(rows *sql.Rows, now event.Micros) ([]*member, error) {
	defer rows.Close()
	var out []*member
	for rows.Next() {
		_, m, err := scanMember(rows, now)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

func scanMember(rows *sql.Rows, now event.Micros) (room event.RoomID, m *member, err error) {
	m = &member{}
	var kind, memberID string
	var owner *event.PersonID
	var alive, protected *bool
	var until *event.Micros
	if err := rows.Scan(&room, &kind, &memberID, &m.inviter, &owner, &alive, &protected, &until, &m.consent); err != nil {
		return "", nil, err
	}
	m.Member = memberOf(kind, memberID)
	if owner != nil {
		m.owner = *owner
	}
	m.alive = alive == nil || *alive // an agent nothing is known of yet may speak
	m.protected = protected != nil && *protected && (*until == 0 || *until > now)
	return room, m, nil
}

func memberOf(kind, id string) event.Member {
	if kind == event.KindAgent {
		return event.Member{Kind: kind, AgentID: event.AgentID(id)}
	}
	return event.Member{Kind: kind, PersonID: event.PersonID(id)}
}

// find is the member with an id, nil when absent.
func (r *room) find(id string) *member {
	for _, m := range r.members {
		if m.ID() == id {
			return m
		}
	}
	return nil
}

func (r *room) people() int { return r.count(event.KindPerson) }

func (r *room) count(kind string) int {
	n := 0
	for _, m := range r.members {
		if m.Kind == kind {
			n++
		}
	}
	return n
}

// alone says whether the room is, now, one person and one agent.
func (r *room) alone() bool { return len(r.members) == 2 && r.people() == 1 }

// protected says whether somebody in the room is.
func (r *room) protected() bool {
	for _, m := range r.members {
		if m.protected {
			return true
		}
	}
	return false
}

// consents says whether a person allows signals from what they do here: their
// word if they gave it, else yes only for the owner alone with their own agent.
func (r *room) consents(p event.PersonID) bool {
	m := r.find(string(p))
	if m == nil {
		return false
	}
	if m.consent != nil {
		return *m.consent
	}
	if !r.alone() {
		return false
	}
	for _, a := range r.members {
		if a.Kind == event.KindAgent {
			return a.owner == p
		}
	}
	return false
}

// next is the number of the room's next change.
func (r *room) next() int64 {
	r.change++
	r.touched = true
	return r.change
}

// isMember says whether somebody is in a room.
func isMember(tx *sqldb.Tx, id event.RoomID, memberID string) (bool, error) {
	var one int
	return tx.Get(`select 1 from members where room_id = $1 and member_id = $2 and left_at = 0`, []any{id, memberID}, &one)
}

// sortedKeys lists a set in order.
func sortedKeys[K ~string](set map[K]bool) []K { return slices.Sorted(maps.Keys(set)) }

// median is the lower of the middle values, 0 of none.
func median[T cmp.Ordered](v []T) T {
	if len(v) == 0 {
		var none T
		return none
	}
	slices.Sort(v)
	return v[(len(v)-1)/2]
}

func round(v float64) float64 { return math.Round(v*1000)/1000 + 0 }

// collect reads all rows of a query, or passes on its error. dest says where the
// columns go.
func collect[T any](rows *sql.Rows, err error, dest func(*T) []any) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := rows.Scan(dest(&v)...); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// column collects the rows of a query with one column.
func column[T any](rows *sql.Rows, err error) ([]T, error) {
	return collect(rows, err, func(v *T) []any { return []any{v} })
}
