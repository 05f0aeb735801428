package chat

import (
	"context"
	"time"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
)

// Room is a room as a member sees it.
type Room struct {
	ID        event.RoomID `json:"id"`
	Title     string       `json:"title,omitempty"`
	Evening   *Evening     `json:"evening,omitempty"`
	Direct    bool         `json:"direct"` // one person and one agent
	CreatedAt time.Time    `json:"createdAt"`
	Members   []RoomMember `json:"members"`           // by when they came
	Sequence  int64        `json:"sequence"`          // of the newest message
	Cursor    int64        `json:"cursor"`            // of the newest change: where a stream goes on
	Consent   *bool        `json:"consent,omitempty"` // of the person asking: signals from what they do here are allowed
}

// RoomMember is somebody in a room.
type RoomMember struct {
	Kind     string         `json:"kind"`
	PersonID event.PersonID `json:"personId,omitempty"`
	AgentID  event.AgentID  `json:"agentId,omitempty"`
	Name     string         `json:"name,omitempty"`

	Yours     bool `json:"yours,omitempty" doc:"An agent of the person asking."`
	MayRemove bool `json:"mayRemove,omitempty" doc:"The person asking may take them out."`
}

// NewRoom is what a group is made of. The person who makes it is in it.
type NewRoom struct {
	Title  string           `json:"title,omitempty" doc:"Up to 120 characters."`
	Agents []event.AgentID  `json:"agents,omitempty"`
	People []event.PersonID `json:"people,omitempty"`

	Evening *NewEvening `json:"evening,omitempty" doc:"Makes it a special room for an evening: with a theme, larger, and with an end."`
}

// CreateRoom makes a group of the caller and whom they name. With a key, doing
// it again gives the same room.
//
// Faults: title_too_long, title_hides, text_not_utf8, text_has_nul, room_full,
// agent_unknown, person_unknown, idempotency_conflict; of an evening theme_missing,
// theme_too_long, pass_unknown, pass_used.
func (s *Service) CreateRoom(ctx context.Context, n NewRoom, key string) (Room, error) {
	p, err := caller(ctx)
	if err != nil {
		return Room{}, err
	}
	if err := p.Check(authz.Room, authz.Create); err != nil {
		return Room{}, err
	}
	switch {
	case utf8.RuneCountInString(n.Title) > MaxTitle:
		return Room{}, fault.New(fault.Invalid, "title_too_long", "The title is longer than %d characters.", MaxTitle)
	case 1+len(n.Agents)+len(n.People) > MaxMembers && n.Evening == nil || 1+len(n.Agents)+len(n.People) > MaxEvening:
		return Room{}, errFull
	}
	if n.Evening != nil {
		if err := n.Evening.check(); err != nil {
			return Room{}, err
		}
		if err := s.awaitPass(ctx, n.Evening.Pass); err != nil {
			return Room{}, err
		}
	}
	if err := checkTitle(n.Title); err != nil {
		return Room{}, err
	}
	if err := s.mustKnow(ctx, n.Agents, n.People); err != nil {
		return Room{}, err
	}
	var id event.RoomID
	err = s.write(ctx, func(a *act) (err error) {
		id, err = httpapi.Idempotent(a.tx, p, key, "room.create", n, a.at, func() (event.RoomID, error) {
			r := &room{id: event.RoomID(event.NewID()), title: n.Title, createdBy: p.Person, createdAt: a.at, fresh: true}
			if n.Evening != nil {
				if err := n.Evening.begin(a, r, p.Person); err != nil {
					return "", err
				}
			}
			a.keep(r)
			if err := a.join(r, person(p.Person), ""); err != nil {
				return "", err
			}
			for _, other := range n.People {
				if err := a.join(r, person(other), p.Person); err != nil {
					return "", err
				}
			}
			for _, agent := range n.Agents {
				if err := a.invite(r, agent, p.Person); err != nil {
					return "", err
				}
			}
			return r.id, nil
		})
		return err
	})
	if err != nil {
		return Room{}, err
	}
	return s.Room(ctx, id)
}

var errFull = fault.New(fault.Conflict, "room_full", "A room holds at most %d members; make another one.", MaxMembers)

// Talk gives the direct room of the caller and an agent, made when absent. Doing
// it again gives the same room.
//
// Faults: agent_unknown; agent_not_ready (Unavailable) when the agent was made a
// moment ago and is not known here yet.
func (s *Service) Talk(ctx context.Context, agent event.AgentID) (Room, error) {
	p, err := caller(ctx)
	if err != nil {
		return Room{}, err
	}
	if err := p.Check(authz.Room, authz.Create); err != nil {
		return Room{}, err
	}
	if err := s.mustKnow(ctx, []event.AgentID{agent}, nil); err != nil {
		return Room{}, err
	}
	id := event.RoomID(event.HashID("direct", string(p.Person), string(agent)))
	err = s.write(ctx, func(a *act) error {
		r, err := a.open(id)
		if err != nil {
			return err
		}
		if r == nil {
			r = &room{id: id, direct: true, createdBy: p.Person, createdAt: a.at, fresh: true}
			a.keep(r)
		}
		if err := a.join(r, person(p.Person), ""); err != nil {
			return err
		}
		return a.join(r, agentMember(agent), p.Person)
	})
	if err != nil {
		return Room{}, err
	}
	return s.Room(ctx, id)
}

// Rooms lists the caller's rooms by id, those after an id, at most limit (1…200).
func (s *Service) Rooms(ctx context.Context, after event.RoomID, limit int) ([]Room, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.Check(authz.Room, authz.List, authz.Participant); err != nil {
		return nil, err
	}
	return s.roomsOf(ctx, p.Person, `select room_id from members where member_id = $1 and left_at = 0 and room_id > $2 order by room_id limit $3`, p.Person, after, clamp(limit))
}

// roomsOf shows somebody the rooms that a query gives the ids of.
func (s *Service) roomsOf(ctx context.Context, asking event.PersonID, query string, args ...any) ([]Room, error) {
	var list []*room
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(query, args...)
		ids, err := column[event.RoomID](rows, err)
		if err != nil {
			return err
		}
		for _, id := range ids {
			r, err := look(tx, id, s.now())
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.show(ctx, asking, list...)
}

// Room gives one room to somebody in it. Fault room_unknown for anybody else.
func (s *Service) Room(ctx context.Context, id event.RoomID) (Room, error) {
	p := authz.From(ctx)
	var r *room
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		r, err = look(tx, id, s.now())
		return err
	})
	if err != nil {
		return Room{}, err
	}
	if r == nil || !authz.Allowed(authz.Room, authz.Read, s.relations(p, r)...) {
		return Room{}, errRoom
	}
	shown, err := s.show(ctx, p.Person, r)
	if err != nil {
		return Room{}, err
	}
	return shown[0], nil
}

// relations is how a principal stands to a room.
func (s *Service) relations(p authz.Principal, r *room) []authz.Relation {
	var out []authz.Relation
	if p.Person != "" && r.find(string(p.Person)) != nil {
		out = append(out, authz.Participant)
	}
	if p.Has(authz.ScopeAdmin) {
		out = append(out, authz.Operator)
	}
	if p.Has(authz.ScopeIngest) && p.Source != "" && p.Source == r.source {
		out = append(out, authz.Ingester)
	}
	return out
}

// enter opens a room for somebody in it who wants to change something there;
// room_unknown for anybody else.
func (a *act) enter(id event.RoomID, p event.PersonID) (*room, error) {
	r, err := a.open(id)
	if err != nil {
		return nil, err
	}
	if r == nil || r.find(string(p)) == nil || !authz.Allowed(authz.Room, authz.Change, authz.Participant) {
		return nil, errRoom
	}
	return r, nil
}

// Invite brings an agent or a person into a group that the caller is in. Who is
// in it already stays.
//
// Faults: room_unknown, room_direct, room_full, room_over, agent_unknown, person_unknown.
func (s *Service) Invite(ctx context.Context, id event.RoomID, who event.Member) (Room, error) {
	p, err := caller(ctx)
	if err != nil {
		return Room{}, err
	}
	var agents []event.AgentID
	var people []event.PersonID
	switch {
	case who.AgentID != "" && who.PersonID == "":
		who.Kind, agents = event.KindAgent, []event.AgentID{who.AgentID}
	case who.PersonID != "" && who.AgentID == "":
		who.Kind, people = event.KindPerson, []event.PersonID{who.PersonID}
	default:
		return Room{}, fault.New(fault.Invalid, "member_invalid", "Name one agent or one person.")
	}
	if _, err := s.Room(ctx, id); err != nil { // before saying who is known
		return Room{}, err
	}
	if err := s.mustKnow(ctx, agents, people); err != nil {
		return Room{}, err
	}
	err = s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil || r.find(who.ID()) != nil {
			return err
		}
		if err := r.open(a.at); err != nil {
			return err
		}
		if len(r.members) >= r.holds() {
			return errFull
		}
		if who.Kind == event.KindAgent {
			return a.invite(r, who.AgentID, p.Person)
		}
		return a.join(r, who, p.Person)
	})
	if err != nil {
		return Room{}, err
	}
	return s.Room(ctx, id)
}

// Remove takes a member out of a room: oneself, an agent of one's own, whom one
// invited, or anybody from a room that one made. Who is not in it changes nothing.
//
// Faults: room_unknown, not_allowed.
func (s *Service) Remove(ctx context.Context, id event.RoomID, memberID string) error {
	p, err := caller(ctx)
	if err != nil {
		return err
	}
	return s.write(ctx, func(a *act) error {
		r, err := a.open(id)
		if err != nil {
			return err
		}
		if r == nil {
			return errRoom
		}
		m := r.find(memberID)
		if r.find(string(p.Person)) == nil && (m == nil || m.owner != p.Person) {
			return errRoom
		}
		if m == nil {
			return nil
		}
		if !r.mayRemove(p.Person, m) {
			return fault.New(fault.Forbidden, "not_allowed", "You may take out yourself, your own agents, whom you invited, and anybody from a room that you made.")
		}
		return a.leave(r, m)
	})
}

func (r *room) mayRemove(p event.PersonID, m *member) bool {
	return p != "" && (m.owner == p || m.PersonID == p || m.inviter == p || r.createdBy == p)
}

// SetConsent notes whether signals from what the caller does in a room may be
// used. It holds for what they do from now on.
//
// Fault: room_unknown.
func (s *Service) SetConsent(ctx context.Context, id event.RoomID, consent bool) error {
	p, err := caller(ctx)
	if err != nil {
		return err
	}
	return s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil {
			return err
		}
		return a.consent(r, r.find(string(p.Person)), &consent)
	})
}

// consent stores a person's word, if there is one, and tells of it when it is news.
func (a *act) consent(r *room, m *member, word *bool) error {
	if word == nil || m.Kind != event.KindPerson || m.consent != nil && *m.consent == *word {
		return nil
	}
	consent := *word
	m.consent = &consent
	if _, err := a.tx.Exec(`insert into consents (room_id, person_id, consent, at) values ($1, $2, $3, $4)
		on conflict (room_id, person_id) do update set consent = excluded.consent, at = excluded.at`, r.id, m.PersonID, consent, a.at); err != nil {
		return err
	}
	a.emit(event.ConsentChanged{RoomID: r.id, PersonID: m.PersonID, Consent: consent})
	return nil
}

// make stores a fresh room.
func (a *act) make(r *room) error {
	if !r.fresh {
		return nil
	}
	r.fresh = false
	if _, err := a.tx.Exec(`insert into rooms (room_id, title, direct, source, created_by, created_at, last_seq, last_change, theme, ends_at, pass)
		values ($1, $2, $3, $4, $5, $6, 0, 0, $7, $8, $9)`, r.id, r.title, r.direct, r.source, r.createdBy, r.createdAt, r.theme, r.endsAt, r.pass); err != nil {
		return err
	}
	a.emit(event.RoomCreated{RoomID: r.id, By: r.createdBy, Direct: r.direct})
	return nil
}

// join brings somebody into a room; who is in it already stays.
func (a *act) join(r *room, who event.Member, inviter event.PersonID) error {
	if err := a.make(r); err != nil {
		return err
	}
	if r.find(who.ID()) != nil {
		return nil
	}
	if _, err := a.tx.Exec(`insert into members (room_id, member_id, kind, inviter, joined_at, left_at) values ($1, $2, $3, $4, $5, 0)
		on conflict (room_id, member_id) do update set inviter = excluded.inviter, joined_at = excluded.joined_at, left_at = 0`,
		r.id, who.ID(), who.Kind, inviter, a.at); err != nil {
		return err
	}
	rows, err := a.tx.Query(selectMembers+`$1) and m.member_id = $2`, r.id, who.ID())
	if err != nil {
		return err
	}
	came, err := scanMembers(rows, a.at)
	if err != nil {
		return err
	}
	r.members = append(r.members, came...)
	a.emit(event.RoomJoined{RoomID: r.id, Member: who, Inviter: inviter, Members: len(r.members)})
	a.stir(r)
	return nil
}

// invite brings an agent into a group and tells its invitation.
func (a *act) invite(r *room, agent event.AgentID, by event.PersonID) error {
	if r.find(string(agent)) != nil {
		return nil
	}
	var n int
	if _, err := a.tx.Get(`select count(*) from invitations where person_id = $1 and agent_id = $2`, []any{by, agent}, &n); err != nil {
		return err
	}
	if _, err := a.tx.Exec(`insert into invitations (person_id, agent_id, room_id, at) values ($1, $2, $3, $4) on conflict do nothing`,
		by, agent, r.id, a.at); err != nil {
		return err
	}
	a.emit(event.AgentInvited{AgentID: agent, RoomID: r.id, By: by, Again: n > 0, Consent: r.consents(by), Protected: r.protected()})
	return a.join(r, agentMember(agent), by)
}

// leave takes a member out. An agent's session ends with its leaving, every
// session with the last person's.
func (a *act) leave(r *room, m *member) error {
	last := m.Kind == event.KindPerson && r.people() == 1
	for _, s := range r.sessions {
		if m.Kind == event.KindPerson {
			if err := a.depart(r, s, m); err != nil {
				return err
			}
		}
		if last || m.AgentID != "" && s.agent == m.AgentID {
			if err := a.end(r, s, false); err != nil {
				return err
			}
		}
	}
	if _, err := a.tx.Exec(`update members set left_at = $1 where room_id = $2 and member_id = $3`, max(1, a.at), r.id, m.ID()); err != nil {
		return err
	}
	for i, x := range r.members {
		if x == m {
			r.members = append(r.members[:i:i], r.members[i+1:]...)
		}
	}
	a.emit(event.RoomLeft{RoomID: r.id, Member: m.Member, Members: len(r.members)})
	a.stir(r)
	return nil
}

// stir wakes the room's listeners after the commit without a change of messages.
func (a *act) stir(r *room) {
	live := &a.s.live
	a.tx.OnCommit(func() { live.wake(r.id) })
}

func person(id event.PersonID) event.Member {
	return event.Member{Kind: event.KindPerson, PersonID: id}
}

func agentMember(id event.AgentID) event.Member {
	return event.Member{Kind: event.KindAgent, AgentID: id}
}

// look reads a room without locking it; nil when absent.
func look(tx *sqldb.Tx, id event.RoomID, now event.Micros) (*room, error) {
	r := &room{id: id}
	found, err := tx.Get(`select title, direct, source, created_by, created_at, last_seq, last_change, theme, ends_at from rooms where room_id = $1`, []any{id},
		&r.title, &r.direct, &r.source, &r.createdBy, &r.createdAt, &r.seq, &r.change, &r.theme, &r.endsAt)
	if err != nil || !found {
		return nil, err
	}
	r.members, err = membersOf(tx, id, now)
	return r, err
}

// show makes views of rooms, with names.
func (s *Service) show(ctx context.Context, asking event.PersonID, rooms ...*room) ([]Room, error) {
	var all []event.Member
	for _, r := range rooms {
		for _, m := range r.members {
			all = append(all, m.Member)
		}
	}
	names, err := s.names(ctx, all)
	if err != nil {
		return nil, err
	}
	out := make([]Room, 0, len(rooms))
	for _, r := range rooms {
		v := Room{ID: r.id, Title: r.title, Evening: r.evening(s.now()), Direct: r.direct, CreatedAt: when(r.createdAt), Sequence: r.seq, Cursor: r.change}
		for _, m := range r.members {
			v.Members = append(v.Members, RoomMember{Kind: m.Kind, PersonID: m.PersonID, AgentID: m.AgentID, Name: names[m.ID()], Yours: asking != "" && m.owner == asking, MayRemove: r.mayRemove(asking, m)})
		}
		if r.find(string(asking)) != nil {
			consent := r.consents(asking)
			v.Consent = &consent
		}
		out = append(out, v)
	}
	return out, nil
}

func when(at event.Micros) time.Time { return time.UnixMicro(at).UTC() }

func clamp(limit int) int {
	if limit <= 0 {
		return 50
	}
	return min(limit, 200)
}
