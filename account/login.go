package account

import (
	"context"
	"strings"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

const (
	sessionLasts = 30 * 24 * time.Hour // since the last use
	linkLasts    = 15 * time.Minute
)

const sessionIDPrefix = "session-"

// isSession says whether the principal came by logging in, not by a token.
func isSession(p authz.Principal) bool { return strings.HasPrefix(p.Token, sessionIDPrefix) }

// Session is a login that succeeded.
type Session struct {
	Token     string         `json:"token" doc:"The same as the cookie's; for programs, as a Bearer token."`
	Person    event.PersonID `json:"person"`
	ExpiresAt event.Micros   `json:"expiresAt" doc:"Moves on with use."`
}

// Login checks handle and password. peer is where the attempt comes from. Faults
// login_failed (whatever was wrong), too_many_logins, login_busy.
func (s *Service) Login(ctx context.Context, peer, handle, password string) (Session, error) {
	handle = strings.ToLower(handle)
	var person event.PersonID
	var stored string
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select person_id, password from people where handle = $1`, []any{handle}, &person, &stored)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	if err := s.confirm(ctx, handle, peer, stored, password); err != nil {
		return Session{}, err
	}
	return s.enter(ctx, false, func(*sqldb.Tx) (event.PersonID, error) { return person, nil })
}

// confirm checks a password within the limits; stored is empty where there is none.
func (s *Service) confirm(ctx context.Context, handle, peer, stored, password string) error {
	net := network(peer)
	try, err := s.limits.take(s.clock(), map[string]rate{"pair " + hashOf(handle+" "+net): perPair, "address " + net: perAddress, "handle " + hashOf(handle): perHandle})
	if err != nil {
		return err
	}
	if len(password) > maxPassword {
		password, stored = "", ""
	}
	ok, err := s.hasher.verify(ctx, stored, password)
	if err != nil {
		try.forgive()
		return err
	}
	if !ok {
		return fault.New(fault.Unauthenticated, "login_failed", "Handle and password do not belong together.")
	}
	try.forgive()
	return nil
}

// LoginByLink uses a one-time link up. Fault link_invalid when it was used, has
// expired or never was; too_many_logins.
func (s *Service) LoginByLink(ctx context.Context, peer, link string) (Session, error) {
	try, err := s.limits.take(s.clock(), map[string]rate{"address " + network(peer): perAddress})
	if err != nil {
		return Session{}, err
	}
	session, err := s.enter(ctx, true, func(tx *sqldb.Tx) (person event.PersonID, err error) {
		ok, err := tx.Get(`delete from links where hash = $1 and expires > $2 returning person_id`, []any{hashOf(link), s.now()}, &person)
		if err == nil && !ok {
			err = fault.New(fault.Unauthenticated, "link_invalid", "This link was used or has expired; ask for a new one.")
		}
		return person, err
	})
	if err == nil {
		try.forgive()
	}
	return session, err
}

// enter opens a session for who the function finds, in one transaction.
func (s *Service) enter(ctx context.Context, byLink bool, who func(*sqldb.Tx) (event.PersonID, error)) (Session, error) {
	secret, stored := newSecret(sessionPrefix)
	out := Session{Token: secret}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		now := s.now()
		if out.Person, err = who(tx); err != nil {
			return err
		}
		n, err := tx.Exec(`update people set entered = case when entered = 0 then $1 else entered end where person_id = $2`, now, out.Person)
		if err != nil || n == 0 {
			return orUnknown(err)
		}
		if _, err := tx.Exec(`delete from sessions where expires <= $1`, now); err != nil {
			return err
		}
		out.ExpiresAt = now + sessionLasts.Microseconds()
		_, err = tx.Exec(`insert into sessions (hash, session_id, person_id, by_link, created, expires) values ($1, $2, $3, $4, $5, $6)`,
			stored, sessionIDPrefix+event.NewID(), out.Person, byLink, now, out.ExpiresAt)
		return err
	})
	if err != nil {
		return Session{}, err
	}
	return out, nil
}

// Logout ends the session that the principal came by. Fault not_a_session for
// tokens.
func (s *Service) Logout(ctx context.Context, p authz.Principal) error {
	if !isSession(p) {
		return fault.New(fault.Invalid, "not_a_session", "This is a token, not a login; revoke it with DELETE /v1/tokens/{id}.")
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`delete from sessions where session_id = $1`, p.Token)
		tx.OnCommit(s.known.forget)
		return err
	})
}

// Link is a secret that logs a person in, once.
type Link struct {
	Link      string         `json:"link" doc:"Send it to POST /v1/login; it works once."`
	Person    event.PersonID `json:"person"`
	ExpiresAt event.Micros   `json:"expiresAt"`
}

// MintLink makes a one-time link for a person, good for 15 minutes. It asks nobody
// for leave: who calls it did. Fault person_unknown.
func (s *Service) MintLink(ctx context.Context, person event.PersonID) (Link, error) {
	secret, stored := newSecret(linkPrefix)
	out := Link{Link: secret, Person: person, ExpiresAt: s.now() + linkLasts.Microseconds()}
	return out, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := s.person(tx, person); err != nil {
			return err
		}
		if _, err := tx.Exec(`delete from links where expires <= $1`, s.now()); err != nil {
			return err
		}
		_, err := tx.Exec(`insert into links (hash, person_id, expires) values ($1, $2, $3)`, stored, person, out.ExpiresAt)
		return err
	})
}

// Bootstrap makes the operator when there is none, and gives a one-time link for
// them until they have logged in; afterwards it is empty.
func (s *Service) Bootstrap(ctx context.Context) (link string, err error) {
	var operator event.PersonID
	var entered event.Micros
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		ok, err := tx.Get(firstOperator, nil, &operator, &entered)
		if err != nil || ok {
			return err
		}
		for _, handle := range []string{"operator", "operator-" + event.NewID()[24:]} {
			if operator, err = s.insert(tx, handle, "Operator", "", true); !fault.Is(err, "handle_taken") {
				return err
			}
		}
		return err
	})
	if err != nil || entered != 0 {
		return "", err
	}
	l, err := s.MintLink(ctx, operator)
	return l.Link, err
}

const firstOperator = `select person_id, entered from people where operator order by created, person_id limit 1`
