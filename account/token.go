package account

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
)

// personScopes are those of every person; operators have ScopeAdmin as well.
var personScopes = []authz.Scope{authz.ScopeChat, authz.ScopeFeedback, authz.ScopeAgents}

// Token is a token for programs, without its secret.
type Token struct {
	ID        string         `json:"id"`
	Person    event.PersonID `json:"person"`
	Name      string         `json:"name"`
	Scopes    []authz.Scope  `json:"scopes"`
	Source    string         `json:"source,omitempty" doc:"Of an ingest token: the foreign platform it speaks for."`
	CreatedAt event.Micros   `json:"createdAt"`
	ExpiresAt event.Micros   `json:"expiresAt,omitempty"`
}

// MadeToken is a token with its secret, which is shown this once.
type MadeToken struct {
	Token
	Secret string `json:"token"`
}

// NewToken is what a token is made of.
type NewToken struct {
	Name      string         `json:"name" minLength:"1" maxLength:"80"`
	Scopes    []authz.Scope  `json:"scopes" minItems:"1" maxItems:"5" doc:"Of: chat, feedback, agents, ingest, admin."`
	Source    string         `json:"source,omitempty" maxLength:"64" doc:"With the scope ingest: the foreign platform's name."`
	ExpiresAt event.Micros   `json:"expiresAt,omitempty" minimum:"0" doc:"Microseconds since 1970, UTC; without it there is no end."`
	Person    event.PersonID `json:"person,omitempty" maxLength:"64" doc:"Whose token; operators only, else one's own."`
}

const maxTokens = 100 // of a person

// CreateToken makes a token. It may never more than who makes it: people give the
// scopes chat, feedback and agents, operators all; admin goes to operators only.
// Faults login_needed, scope_invalid, scope_not_yours, source_invalid,
// expiry_invalid, name_invalid, too_many_tokens, person_unknown.
func (s *Service) CreateToken(ctx context.Context, p authz.Principal, n NewToken) (MadeToken, error) {
	if n.Person == "" {
		n.Person = p.Person
	}
	var self []authz.Relation
	if n.Person == p.Person {
		self = append(self, authz.Self)
	}
	if err := p.Check(authz.Token, authz.Create, self...); err != nil {
		return MadeToken{}, err
	}
	if err := personally(p); err != nil {
		return MadeToken{}, err
	}
	if err := n.clean(p, s.now()); err != nil {
		return MadeToken{}, err
	}
	var out MadeToken
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		owner, err := s.person(tx, n.Person)
		if err != nil {
			return err
		}
		if slices.Contains(n.Scopes, authz.ScopeAdmin) && !owner.Operator {
			return notYours(authz.ScopeAdmin)
		}
		var count int
		if _, err := tx.Get(`select count(*) from tokens where person_id = $1`, []any{n.Person}, &count); err != nil {
			return err
		}
		if count >= maxTokens {
			return fault.New(fault.Conflict, "too_many_tokens", "A person has at most %d tokens; delete one first.", maxTokens)
		}
		out, err = s.insertToken(tx, n, false)
		return err
	})
	return out, err
}

func (n *NewToken) clean(p authz.Principal, now event.Micros) (err error) {
	if n.Name, err = cleanName(n.Name); err != nil {
		return err
	}
	slices.Sort(n.Scopes)
	n.Scopes = slices.Compact(n.Scopes)
	if len(n.Scopes) == 0 {
		return fault.New(fault.Invalid, "scope_invalid", "Name at least one scope of %v.", authz.Scopes())
	}
	for _, scope := range n.Scopes {
		switch {
		case !slices.Contains(authz.Scopes(), scope):
			return fault.New(fault.Invalid, "scope_invalid", "Scopes are %v.", authz.Scopes())
		case !p.Has(scope) && !p.Has(authz.ScopeAdmin):
			return notYours(scope)
		}
	}
	if slices.Contains(n.Scopes, authz.ScopeIngest) != (n.Source != "") || n.Source != "" && !handleForm.MatchString(n.Source) {
		return fault.New(fault.Invalid, "source_invalid", "A token with the scope ingest, and no other, names its source: 2 to 32 lower case letters, digits, dots, dashes and underscores.")
	}
	if n.ExpiresAt != 0 && n.ExpiresAt <= now {
		return fault.New(fault.Invalid, "expiry_invalid", "A token expires at a time to come, in microseconds since 1970.")
	}
	return nil
}

func notYours(scope authz.Scope) error {
	return fault.New(fault.Forbidden, "scope_not_yours", "You may not give the scope %q.", scope)
}

func (s *Service) insertToken(tx *sqldb.Tx, n NewToken, local bool) (MadeToken, error) {
	secret, stored := newSecret(tokenPrefix)
	t := Token{ID: event.NewID(), Person: n.Person, Name: n.Name, Scopes: n.Scopes, Source: n.Source, CreatedAt: s.now(), ExpiresAt: n.ExpiresAt}
	scopes, err := json.Marshal(t.Scopes)
	if err != nil {
		return MadeToken{}, err
	}
	_, err = tx.Exec(`insert into tokens (token_id, hash, person_id, name, scopes, source, local, created, expires) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		t.ID, stored, t.Person, t.Name, string(scopes), t.Source, local, t.CreatedAt, t.ExpiresAt)
	return MadeToken{t, secret}, err
}

// Tokens lists the principal's own tokens, oldest first; not to a token that brings
// in events, which reads nothing.
func (s *Service) Tokens(ctx context.Context, p authz.Principal) ([]Token, error) {
	if err := p.Check(authz.Token, authz.List, authz.Self); err != nil {
		return nil, err
	}
	if p.Source != "" {
		if err := personally(p); err != nil {
			return nil, err
		}
	}
	out := []Token{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select token_id, name, scopes, source, created, expires from tokens where person_id = $1 order by token_id`, p.Person)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			t, scopes := Token{Person: p.Person}, ""
			if err := rows.Scan(&t.ID, &t.Name, &scopes, &t.Source, &t.CreatedAt, &t.ExpiresAt); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(scopes), &t.Scopes); err != nil {
				return err
			}
			out = append(out, t)
		}
		return rows.Err()
	})
	return out, err
}

// RevokeToken ends a token at once: one's own, an operator any. Fault
// token_unknown, also for other people's.
func (s *Service) RevokeToken(ctx context.Context, p authz.Principal, id string) error {
	if err := p.Check(authz.Token, authz.Erase, authz.Self); err != nil {
		return err
	}
	if id != p.Token { // a token may end itself
		if err := personally(p); err != nil {
			return err
		}
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`delete from tokens where token_id = $1 and (person_id = $2 or $3)`, id, p.Person, p.Has(authz.ScopeAdmin))
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "token_unknown", "You have no such token.")
		}
		tx.OnCommit(s.known.forget)
		return err
	})
}

// LocalToken makes the token of this machine's command line: the operator's, with
// every scope and the source "local", without end. The one before it ends. Fault
// no_operator before Bootstrap.
func (s *Service) LocalToken(ctx context.Context) (string, error) {
	var out MadeToken
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var operator event.PersonID
		var entered event.Micros
		ok, err := tx.Get(firstOperator, nil, &operator, &entered)
		if err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.NotFound, "no_operator", "There is no operator yet; start the server once.")
		}
		if _, err := tx.Exec(`delete from tokens where local`); err != nil {
			return err
		}
		tx.OnCommit(s.known.forget)
		out, err = s.insertToken(tx, NewToken{Name: "command line of this machine", Scopes: authz.Scopes(), Source: "local", Person: operator}, true)
		return err
	})
	return out.Secret, err
}

// Valid says whether a secret is a token or session that still works.
func (s *Service) Valid(ctx context.Context, secret string) bool {
	_, err := s.principal(ctx, secret, false)
	return err == nil
}

// Authenticate finds out who is asking: by the token or session in the
// Authorization header, else by the session in the cookie rapport_session. It is
// the zero Principal for neither. Faults authorization_invalid, token_invalid.
func (s *Service) Authenticate(r *http.Request) (authz.Principal, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, secret, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return authz.Principal{}, fault.New(fault.Unauthenticated, "authorization_invalid", "Send the token as: Authorization: Bearer <token>.")
		}
		return s.principal(r.Context(), strings.TrimSpace(secret), false)
	}
	if c, err := r.Cookie(cookieName); err == nil && strings.HasPrefix(c.Value, sessionPrefix) {
		return s.principal(r.Context(), c.Value, true)
	}
	return authz.Principal{}, nil
}

func (s *Service) principal(ctx context.Context, secret string, cookie bool) (authz.Principal, error) {
	sum := sha256.Sum256([]byte(secret))
	now := s.now()
	if p, ok := s.known.get(sum, now); ok {
		return p, nil
	}
	load := s.loadToken
	if strings.HasPrefix(secret, sessionPrefix) {
		load = s.loadSession
	}
	age := s.known.age()
	var p authz.Principal
	var expires event.Micros
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		p, expires, err = load(tx, storedForm(sum))
		return err
	})
	if err != nil {
		return authz.Principal{}, err
	}
	if p.Anonymous() || expires != 0 && expires <= now {
		return authz.Principal{}, fault.New(fault.Unauthenticated, "token_invalid", "This token or login is not known or has expired; log in again.")
	}
	if isSession(p) {
		if slid := now + sessionLasts.Microseconds(); slid-expires > sessionLasts.Microseconds()/30 { // a write a day
			expires = s.slide(ctx, p, secret, slid, cookie, expires)
		}
	}
	s.known.put(sum, p, expires, now, age)
	return p, nil
}

func (s *Service) loadToken(tx *sqldb.Tx, hash string) (p authz.Principal, expires event.Micros, err error) {
	var scopes string
	ok, err := tx.Get(`select token_id, person_id, scopes, source, expires from tokens where hash = $1`, []any{hash}, &p.Token, &p.Person, &scopes, &p.Source, &expires)
	if err != nil || !ok {
		return authz.Principal{}, 0, err
	}
	return p, expires, json.Unmarshal([]byte(scopes), &p.Scopes)
}

func (s *Service) loadSession(tx *sqldb.Tx, hash string) (p authz.Principal, expires event.Micros, err error) {
	var operator bool
	ok, err := tx.Get(`select s.session_id, s.person_id, s.expires, p.operator from sessions s join people p on p.person_id = s.person_id where s.hash = $1`,
		[]any{hash}, &p.Token, &p.Person, &expires, &operator)
	if err != nil || !ok {
		return authz.Principal{}, 0, err
	}
	p.Scopes = slices.Clone(personScopes)
	if operator {
		p.Scopes = append(p.Scopes, authz.ScopeAdmin)
	}
	return p, expires, nil
}

// slide moves a session's end on. When it cannot (a full disk), the session works
// on as it is.
func (s *Service) slide(ctx context.Context, p authz.Principal, secret string, to event.Micros, cookie bool, was event.Micros) event.Micros {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update sessions set expires = $1 where session_id = $2`, to, p.Token)
		return err
	})
	if err != nil {
		slog.Warn("a session's end could not be moved on", "err", err)
		return was
	}
	if cookie {
		httpapi.SetCookie(ctx, sessionCookie(secret, sessionLasts))
	}
	return to
}

// knownSecrets remembers whose secrets are, by their SHA-256, for half a minute:
// what another process revoked ends after that, what this one did at once.
type knownSecrets struct {
	mu      sync.RWMutex
	forgets int // so that what was read before a revocation is not put after it
	entries map[[32]byte]knownSecret
}

type knownSecret struct {
	p     authz.Principal
	until event.Micros
}

const (
	knownFor   = 30 * time.Second
	knownAtAll = 100_000
)

func newKnownSecrets() *knownSecrets { return &knownSecrets{entries: map[[32]byte]knownSecret{}} }

func (k *knownSecrets) get(sum [32]byte, now event.Micros) (authz.Principal, bool) {
	k.mu.RLock()
	e, ok := k.entries[sum]
	k.mu.RUnlock()
	return e.p, ok && now < e.until
}

func (k *knownSecrets) age() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.forgets
}

func (k *knownSecrets) put(sum [32]byte, p authz.Principal, expires, now event.Micros, age int) {
	until := now + knownFor.Microseconds()
	if expires != 0 {
		until = min(until, expires)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if age != k.forgets {
		return
	}
	if len(k.entries) >= knownAtAll {
		clear(k.entries)
	}
	k.entries[sum] = knownSecret{p, until}
}

func (k *knownSecrets) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgets++
	clear(k.entries)
}
