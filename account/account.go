package account

import (
	"context"
	"embed"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/erasure"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/visible"
)

//go:embed migrations
var migrations embed.FS

// Service is the account context.
type Service struct {
	db      *sqldb.DB
	clock   func() time.Time
	hasher  *hasher
	limits  *limiter
	known   *knownSecrets
	foreign *knownPeople
	erased  func()
}

// Options join the context to the rest.
type Options struct {
	Clock  func() time.Time // time.Now when nil
	Erased func()           // called when somebody was erased here, for who finishes it elsewhere; may be nil, must not block
}

// New makes the context's tables in db and the context.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Service, error) {
	if err := relay.Migrate(ctx, db); err != nil {
		return nil, err
	}
	if err := httpapi.MigrateIdempotency(ctx, db); err != nil {
		return nil, err
	}
	if err := erasure.Migrate(ctx, db); err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "account", migrations); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Erased == nil {
		o.Erased = func() {}
	}
	return &Service{
		db: db, clock: o.Clock, hasher: newHasher(), limits: &limiter{full: map[string]time.Time{}},
		known: newKnownSecrets(), foreign: newKnownPeople(), erased: o.Erased,
	}, nil
}

// Projections are the names of the context's projection tables: none, all are
// records.
func (s *Service) Projections() []string { return nil }

func (s *Service) now() event.Micros { return s.clock().UnixMicro() }

// Person is a person as they and operators see them.
type Person struct {
	ID             event.PersonID `json:"id"`
	Handle         string         `json:"handle,omitempty" doc:"To log in with; people of foreign platforms have none."`
	Name           string         `json:"name"`
	Operator       bool           `json:"operator"`
	CreatedAt      event.Micros   `json:"createdAt"`
	Protected      bool           `json:"protected"`
	ProtectedUntil event.Micros   `json:"protectedUntil,omitempty"`
}

// NewPerson is what a person is made of.
type NewPerson struct {
	Handle   string `json:"handle" minLength:"2" maxLength:"32" doc:"Lower case letters, digits, dot, dash and underscore."`
	Name     string `json:"name" minLength:"1" maxLength:"80"`
	Password string `json:"password,omitempty" maxLength:"256" doc:"At least 10 characters; without one the person logs in by link."`
	Operator bool   `json:"operator,omitempty"`
}

// Create makes a person. Operators only. Emits account.created. The idempotency
// key may be empty. Faults handle_invalid, handle_taken, name_invalid,
// password_length, password_weak.
func (s *Service) Create(ctx context.Context, p authz.Principal, key string, n NewPerson) (Person, error) {
	if err := p.Check(authz.Person, authz.Create); err != nil {
		return Person{}, err
	}
	asked := n
	asked.Password = "" // what was asked is kept as a plain hash
	if err := n.clean(); err != nil {
		return Person{}, err
	}
	password := ""
	if n.Password != "" {
		var err error
		if password, err = s.hasher.hash(ctx, n.Password); err != nil {
			return Person{}, err
		}
	}
	var out Person
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		type made struct{ ID event.PersonID } // no name: answers outlive their person
		m, err := httpapi.Idempotent(tx, p, key, "person.create", asked, s.now(), func() (made, error) {
			id, err := s.insert(tx, n.Handle, n.Name, password, n.Operator)
			return made{id}, err
		})
		if err != nil {
			return err
		}
		out, err = s.person(tx, m.ID)
		return err
	})
	return out, err
}

// insert makes a person within a transaction.
func (s *Service) insert(tx *sqldb.Tx, handle, name, password string, operator bool) (event.PersonID, error) {
	id := event.PersonID(event.NewID())
	n, err := tx.Exec(`insert into people (person_id, handle, name, password, operator, created, entered, protected, protected_until, protected_by)
		values ($1, $2, $3, $4, $5, $6, 0, false, 0, '') on conflict do nothing`, id, handle, name, password, operator, s.now())
	if err != nil {
		return "", err
	}
	if n == 0 {
		return "", handleTaken()
	}
	return id, relay.Emit(tx, event.New("account", event.NewID(), s.now(), event.AccountCreated{PersonID: id}))
}

// person reads one. Fault person_unknown.
func (s *Service) person(tx *sqldb.Tx, id event.PersonID) (Person, error) {
	p := Person{ID: id}
	ok, err := tx.Get(`select coalesce(handle, ''), name, operator, created, protected, protected_until from people where person_id = $1`,
		[]any{id}, &p.Handle, &p.Name, &p.Operator, &p.CreatedAt, &p.Protected, &p.ProtectedUntil)
	if err == nil && !ok {
		err = personUnknown()
	}
	if !inForce(p.Protected, p.ProtectedUntil, s.now()) {
		p.Protected, p.ProtectedUntil = false, 0
	}
	return p, err
}

// Get reads a person. Fault person_unknown.
func (s *Service) Get(ctx context.Context, id event.PersonID) (p Person, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		p, err = s.person(tx, id)
		return err
	})
	return p, err
}

// Names gives what people are called. Who is unknown, erased or nameless is absent.
func (s *Service) Names(ctx context.Context, people []event.PersonID) (map[event.PersonID]string, error) {
	out := make(map[event.PersonID]string, len(people))
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		for _, id := range people {
			var name string
			if ok, err := tx.Get(`select name from people where person_id = $1`, []any{id}, &name); err != nil {
				return err
			} else if ok && name != "" {
				out[id] = name
			}
		}
		return nil
	})
	return out, err
}

// Change is what a person changes of themselves; what is nil stays.
type Change struct {
	Name            *string `json:"name,omitempty" minLength:"1" maxLength:"80"`
	Handle          *string `json:"handle,omitempty" minLength:"2" maxLength:"32"`
	Password        *string `json:"password,omitempty" maxLength:"256" doc:"Ends all other logins."`
	CurrentPassword string  `json:"currentPassword,omitempty" maxLength:"256" doc:"Needed to change a password, unless logged in by a link."`
}

// ChangeMe changes the principal's own name, handle or password. A new password
// ends the person's other sessions. Faults login_needed, handle_invalid,
// handle_taken, name_invalid, password_length, password_weak, password_wrong,
// too_many_logins.
func (s *Service) ChangeMe(ctx context.Context, p authz.Principal, peer string, c Change) (Person, error) {
	if err := personally(p); err != nil {
		return Person{}, err
	}
	var was struct {
		handle, name, password string
		byLink                 bool
	}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		ok, err := tx.Get(`select coalesce(handle, ''), name, password from people where person_id = $1`, []any{p.Person}, &was.handle, &was.name, &was.password)
		if err != nil || !ok {
			return orUnknown(err)
		}
		_, err = tx.Get(`select by_link from sessions where session_id = $1`, []any{p.Token}, &was.byLink)
		return err
	})
	if err != nil {
		return Person{}, err
	}
	n := NewPerson{Handle: was.handle, Name: was.name}
	if c.Handle != nil {
		n.Handle = *c.Handle
	}
	if c.Name != nil {
		n.Name = *c.Name
	}
	if c.Password != nil {
		n.Password = *c.Password
		if n.Password == "" {
			return Person{}, checkPassword("", "")
		}
	}
	if c.Handle != nil || was.handle != "" || c.Password != nil {
		err = n.clean()
	} else {
		n.Name, err = cleanName(n.Name)
	}
	if err != nil {
		return Person{}, err
	}
	password := was.password
	if c.Password != nil {
		if was.password != "" && !was.byLink {
			if err := s.confirm(ctx, was.handle, peer, was.password, c.CurrentPassword); err != nil {
				return Person{}, err
			}
		}
		if password, err = s.hasher.hash(ctx, n.Password); err != nil {
			return Person{}, err
		}
	}
	var out Person
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if c.Handle != nil {
			var other string
			taken, err := tx.Get(`select person_id from people where handle = $1 and person_id <> $2`, []any{n.Handle, p.Person}, &other)
			if err != nil {
				return err
			}
			if taken {
				return handleTaken()
			}
			if _, err := tx.Exec(`update people set handle = $1 where person_id = $2`, n.Handle, p.Person); err != nil {
				return err
			}
		}
		if c.Name != nil {
			if _, err := tx.Exec(`update people set name = $1 where person_id = $2`, n.Name, p.Person); err != nil {
				return err
			}
		}
		if c.Password != nil {
			if _, err := tx.Exec(`update people set password = $1 where person_id = $2`, password, p.Person); err != nil {
				return err
			}
			if _, err := tx.Exec(`delete from sessions where person_id = $1 and session_id <> $2`, p.Person, p.Token); err != nil {
				return err
			}
			tx.OnCommit(s.known.forget)
		}
		out, err = s.person(tx, p.Person)
		return err
	})
	return out, err
}

// Protection is a person's protection as it is set.
type Protection struct {
	Protected bool         `json:"protected"`
	Until     event.Micros `json:"until,omitempty" minimum:"0" doc:"Microseconds since 1970, UTC; without it there is no end."`
}

// Protect sets or lifts a person's protection: by themselves or an operator. What
// an operator protected, the person cannot lift while it lasts. Emits
// account.protection.changed when something changed. Faults protection_invalid,
// protection_kept, person_unknown.
func (s *Service) Protect(ctx context.Context, p authz.Principal, id event.PersonID, want Protection) (Protection, error) {
	by := "self"
	if p.Has(authz.ScopeAdmin) {
		by = "operator"
	}
	var self []authz.Relation
	if p.Person == id {
		self = append(self, authz.Self)
	}
	if err := p.Check(authz.Person, authz.Change, self...); err != nil {
		return want, err
	}
	if err := personally(p); err != nil {
		return want, err
	}
	if want.Until != 0 && (!want.Protected || want.Until <= s.now()) {
		return want, fault.New(fault.Invalid, "protection_invalid", "An end is a time to come, in microseconds since 1970, and only for setting a protection.")
	}
	return want, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var was Protection
		var wasBy string
		ok, err := tx.Get(`select protected, protected_until, protected_by from people where person_id = $1`, []any{id}, &was.Protected, &was.Until, &wasBy)
		if err != nil || !ok {
			return orUnknown(err)
		}
		if wasBy == "operator" && by == "self" && inForce(was.Protected, was.Until, s.now()) {
			return fault.New(fault.Forbidden, "protection_kept", "This protection was set by an operator; ask them to change it.")
		}
		if was == want && wasBy == by {
			return nil
		}
		if _, err := tx.Exec(`update people set protected = $1, protected_until = $2, protected_by = $3 where person_id = $4`, want.Protected, want.Until, by, id); err != nil || was == want {
			return err
		}
		return relay.Emit(tx, event.New("account", event.NewID(), s.now(), event.ProtectionChanged{PersonID: id, Protected: want.Protected, Until: want.Until}))
	})
}

func inForce(protected bool, until, now event.Micros) bool {
	return protected && (until == 0 || until > now)
}

// personally refuses tokens made for programs: what concerns the account itself is
// done logged in, or by an operator.
func personally(p authz.Principal) error {
	switch {
	case p.Anonymous():
		return fault.New(fault.Unauthenticated, "login_required", "Log in first.")
	case isSession(p) || p.Has(authz.ScopeAdmin):
		return nil
	}
	return fault.New(fault.Forbidden, "login_needed", "Do this logged in: a token for programs may not change the account itself.")
}

var handleForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,31}$`)

func (n *NewPerson) clean() (err error) {
	n.Handle = strings.ToLower(n.Handle)
	if !handleForm.MatchString(n.Handle) {
		return fault.New(fault.Invalid, "handle_invalid", "A handle is 2 to 32 lower case letters, digits, dots, dashes and underscores, beginning with a letter or digit.")
	}
	if n.Name, err = cleanName(n.Name); err != nil {
		return err
	}
	if n.Password != "" {
		return checkPassword(n.Password, n.Handle)
	}
	return nil
}

const maxName = 80

func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n == 0 || n > maxName || !utf8.ValidString(name) || !visible.Name(name) {
		return "", fault.New(fault.Invalid, "name_invalid", "A name is 1 to %d characters that can be seen, in one line.", maxName)
	}
	return name, nil
}

func handleTaken() error {
	return fault.New(fault.Conflict, "handle_taken", "Somebody has this handle; take another one.")
}

func personUnknown() error {
	return fault.New(fault.NotFound, "person_unknown", "There is no such person, or not any more.")
}

// orUnknown is err, or that the person does not exist.
func orUnknown(err error) error {
	if err != nil {
		return err
	}
	return personUnknown()
}
