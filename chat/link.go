package chat

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// LinkLife is how long a link works.
const LinkLife = 7 * 24 * time.Hour

// Link brings people into a group. Whoever has it comes in, once they are logged in,
// while it lives and its maker is in the room.
type Link struct {
	Link      string    `json:"link" doc:"Shown this once; the page /join opens with it behind a #."`
	ExpiresAt time.Time `json:"expiresAt"`
}

// NewMember is who comes in by a link.
type NewMember struct {
	Link    string `json:"link" maxLength:"64"`
	Consent *bool  `json:"consent,omitempty" doc:"Allow or forbid signals from what you do in the room; absent leaves it as it is, which is forbidden where you never said."`
}

// MakeLink gives the caller a link into a group they are in; their one before it ends.
//
// Faults: room_unknown, room_direct, room_over.
func (s *Service) MakeLink(ctx context.Context, id event.RoomID) (Link, error) {
	p, err := caller(ctx)
	if err != nil {
		return Link{}, err
	}
	made := Link{Link: rand.Text()}
	err = s.write(ctx, func(a *act) error {
		r, err := a.enter(id, p.Person)
		if err != nil {
			return err
		}
		if err := r.open(a.at); err != nil {
			return err
		}
		expires := a.at + LinkLife.Microseconds()
		made.ExpiresAt = when(expires)
		_, err = a.tx.Exec(`insert into links (room_id, person_id, hash, expires_at) values ($1, $2, $3, $4)
			on conflict (room_id, person_id) do update set hash = excluded.hash, expires_at = excluded.expires_at`, id, p.Person, linkHash(made.Link), expires)
		return err
	})
	if err != nil {
		return Link{}, err
	}
	return made, nil
}

// EndLink ends the caller's link into a room. Without one it changes nothing.
//
// Fault: room_unknown.
func (s *Service) EndLink(ctx context.Context, id event.RoomID) error {
	p, err := caller(ctx)
	if err != nil {
		return err
	}
	return s.write(ctx, func(a *act) error {
		if _, err := a.enter(id, p.Person); err != nil {
			return err
		}
		_, err := a.tx.Exec(`delete from links where room_id = $1 and person_id = $2`, id, p.Person)
		return err
	})
}

// Join brings the caller into the group of a link. Who is in it already stays.
//
// Faults: link_unknown, also for one that ended; room_full, room_over.
func (s *Service) Join(ctx context.Context, n NewMember) (Room, error) {
	p, err := caller(ctx)
	if err != nil {
		return Room{}, err
	}
	if err := p.Check(authz.Room, authz.Create); err != nil {
		return Room{}, err
	}
	var id event.RoomID
	var maker event.PersonID
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		found, err := tx.Get(`select room_id, person_id from links where hash = $1 and expires_at > $2`, []any{linkHash(n.Link), s.now()}, &id, &maker)
		if err == nil && !found {
			err = errLink
		}
		return err
	})
	if err != nil {
		return Room{}, err
	}
	err = s.write(ctx, func(a *act) error {
		r, err := a.open(id)
		if err != nil {
			return err
		}
		live, err := a.tx.Get(`select 1 from links where hash = $1`, []any{linkHash(n.Link)}, new(int)) // it may have ended meanwhile
		if err != nil {
			return err
		}
		if !live || r == nil || r.find(string(maker)) == nil {
			return errLink
		}
		if r.find(string(p.Person)) == nil {
			if err := r.open(a.at); err != nil {
				return err
			}
			if len(r.members) >= r.holds() {
				return errFull
			}
		}
		if err := a.join(r, person(p.Person), maker); err != nil {
			return err
		}
		return a.consent(r, r.find(string(p.Person)), n.Consent)
	})
	if err != nil {
		return Room{}, err
	}
	return s.Room(ctx, id)
}

var errLink = fault.New(fault.NotFound, "link_unknown", "This link does not work, or no longer; ask for another one.")

// open refuses a room that nobody else may come into.
func (r *room) open(now event.Micros) error {
	switch {
	case r.direct:
		return fault.New(fault.Conflict, "room_direct", "This room is for the two of you; make a group to have others in it.")
	case r.over(now):
		return errOver
	}
	return nil
}

func linkHash(link string) string {
	sum := sha256.Sum256([]byte(link))
	return hex.EncodeToString(sum[:])
}

// Groups lists the caller's groups by id, at most limit (1…200).
func (s *Service) Groups(ctx context.Context, limit int) ([]Room, error) {
	p, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := p.Check(authz.Room, authz.List, authz.Participant); err != nil {
		return nil, err
	}
	return s.roomsOf(ctx, p.Person, `select m.room_id from members m join rooms r on r.room_id = m.room_id
		where m.member_id = $1 and m.left_at = 0 and not r.direct order by m.room_id limit $2`, p.Person, clamp(limit))
}
