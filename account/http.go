package account

import (
	"context"
	"net/http"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

const cookieName = "rapport_session"

func sessionCookie(secret string, lasts time.Duration) *http.Cookie {
	c := &http.Cookie{Name: cookieName, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(lasts / time.Second)}
	if secret == "" {
		c.MaxAge = -1
	}
	return c
}

type none struct{}

type loginRequest struct {
	Body struct {
		Link     string `json:"link,omitempty" maxLength:"128" doc:"A one-time link."`
		Handle   string `json:"handle,omitempty" maxLength:"64"`
		Password string `json:"password,omitempty" maxLength:"1024"`
	}
}

type changeRequest struct{ Body Change }

type createRequest struct {
	httpapi.IdempotencyHeader
	Body NewPerson
}

type tokenRequest struct{ Body NewToken }

type revokeRequest struct {
	Token string `path:"id" maxLength:"64"`
}

type protectRequest struct {
	Person event.PersonID `path:"person" maxLength:"64"`
	Body   Protection
}

type personRequest struct {
	Person event.PersonID `path:"person" maxLength:"64"`
}

type receiptRequest struct {
	Receipt string `path:"receipt" maxLength:"128"`
}

type proofsRequest struct {
	Before event.Micros `query:"before" minimum:"0" doc:"A time: erasures from before it."`
	Limit  int          `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type linkRequest struct {
	Body struct {
		Person event.PersonID `json:"person,omitempty" maxLength:"64" doc:"Who logs in with it; yourself without."`
	}
}

// Me is the person asking, and what they may use.
type Me struct {
	Person
	Scopes []authz.Scope `json:"scopes"`
	Source string        `json:"source,omitempty"`
}

// TokenList lists tokens.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// Routes adds the context's routes.
func (s *Service) Routes(api *httpapi.API) {
	op := func(summary string, status int, errors ...int) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "account", Status: status, MaxBody: 16 << 10, Errors: errors}
	}
	admin := func(summary string, status int, errors ...int) httpapi.Op {
		o := op(summary, status, errors...)
		o.Scope = authz.ScopeAdmin
		return o
	}
	login := op("Log in with handle and password, or with a one-time link", 200, 401, 429, 503)
	login.Public = true
	httpapi.Post(api, "/v1/login", login, func(ctx context.Context, in *loginRequest) (Session, error) {
		session, err := s.login(ctx, in)
		if err == nil {
			httpapi.SetCookie(ctx, sessionCookie(session.Token, sessionLasts))
		}
		return session, err
	})
	httpapi.Post(api, "/v1/logout", op("Log out", 204), func(ctx context.Context, _ *none) (none, error) {
		err := s.Logout(ctx, authz.From(ctx))
		if err == nil {
			httpapi.SetCookie(ctx, sessionCookie("", 0))
		}
		return none{}, err
	})
	httpapi.Get(api, "/v1/me", op("Show who you are", 200), func(ctx context.Context, _ *none) (Me, error) {
		p := authz.From(ctx)
		person, err := s.Get(ctx, p.Person)
		return Me{person, p.Scopes, p.Source}, err
	})
	httpapi.Patch(api, "/v1/me", op("Change your name, handle or password", 200, 409, 429, 503), func(ctx context.Context, in *changeRequest) (Person, error) {
		return s.ChangeMe(ctx, authz.From(ctx), httpapi.Peer(ctx), in.Body)
	})
	httpapi.Delete(api, "/v1/me", op("Erase yourself, everywhere and for good; the answer is your receipt", 200), func(ctx context.Context, _ *none) (Erasure, error) {
		p := authz.From(ctx)
		e, err := s.Erase(ctx, p, p.Person)
		if err == nil {
			httpapi.SetCookie(ctx, sessionCookie("", 0))
		}
		return e, err
	})
	httpapi.Delete(api, "/v1/people/{person}", admin("Erase somebody who cannot do it themselves, everywhere and for good", 200, 404), func(ctx context.Context, in *personRequest) (Erasure, error) {
		p := authz.From(ctx)
		if err := s.Note(ctx, p, "erase", string(in.Person)); err != nil {
			return Erasure{}, err
		}
		return s.Erase(ctx, p, in.Person)
	})
	receipt := op("Say what became of an erasure, to who has its receipt", 200, 404)
	receipt.Public = true
	httpapi.Get(api, "/v1/erasures/{receipt}", receipt, func(ctx context.Context, in *receiptRequest) (Erasure, error) {
		return s.Proof(ctx, in.Receipt)
	})
	httpapi.Get(api, "/v1/admin/erasures", admin("List the proofs of erasures, newest first", 200), func(ctx context.Context, in *proofsRequest) ([]Erasure, error) {
		return s.Proofs(ctx, authz.From(ctx), in.Before, in.Limit)
	})
	httpapi.Post(api, "/v1/people", admin("Make a person", 201, 409, 503), func(ctx context.Context, in *createRequest) (Person, error) {
		return s.Create(ctx, authz.From(ctx), in.IdempotencyKey, in.Body)
	})
	httpapi.Put(api, "/v1/people/{person}/protection", op("Protect a person, or no longer", 200), func(ctx context.Context, in *protectRequest) (Protection, error) {
		return s.Protect(ctx, authz.From(ctx), in.Person, in.Body)
	})
	httpapi.Get(api, "/v1/tokens", op("List your tokens", 200), func(ctx context.Context, _ *none) (TokenList, error) {
		list, err := s.Tokens(ctx, authz.From(ctx))
		return TokenList{list}, err
	})
	httpapi.Post(api, "/v1/tokens", op("Make a token; its secret is shown this once", 201, 404, 409), func(ctx context.Context, in *tokenRequest) (MadeToken, error) {
		return s.CreateToken(ctx, authz.From(ctx), in.Body)
	})
	httpapi.Delete(api, "/v1/tokens/{id}", op("Revoke a token", 204), func(ctx context.Context, in *revokeRequest) (none, error) {
		return none{}, s.RevokeToken(ctx, authz.From(ctx), in.Token)
	})
	httpapi.Post(api, "/v1/admin/links", admin("Make a one-time link to log in with", 201, 404), func(ctx context.Context, in *linkRequest) (Link, error) {
		if in.Body.Person == "" {
			in.Body.Person = authz.From(ctx).Person
		}
		return s.MintLink(ctx, in.Body.Person)
	})
}

func (s *Service) login(ctx context.Context, in *loginRequest) (Session, error) {
	b, peer := in.Body, httpapi.Peer(ctx)
	switch {
	case b.Link != "" && b.Handle == "" && b.Password == "":
		return s.LoginByLink(ctx, peer, b.Link)
	case b.Link == "" && b.Handle != "" && b.Password != "":
		return s.Login(ctx, peer, b.Handle, b.Password)
	}
	return Session{}, fault.New(fault.Invalid, "login_form", "Send either link, or handle and password.")
}
