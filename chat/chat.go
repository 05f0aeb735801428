package chat

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"sync"
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

// Limits of what can be said and gathered.
const (
	MaxText      = 8000 // characters of a message
	MaxTitle     = 120  // characters of a room's title
	MaxMembers   = 200  // of a room here; foreign rooms have no limit
	MaxReactions = 20   // of one person on one message
)

// Silence ends a session.
const Silence = 20 * time.Minute

const silence = event.Micros(Silence / time.Microsecond)

// PeopleNames asks account how people are called. Unknown ids are absent from
// the answer.
type PeopleNames interface {
	Names(ctx context.Context, people []event.PersonID) (map[event.PersonID]string, error)
}

// AgentNames asks agent how agents are called. Unknown ids are absent from the
// answer.
type AgentNames interface {
	AgentNames(ctx context.Context, agents []event.AgentID) (map[event.AgentID]string, error)
}

// AgentSlugs asks agent for the short names that agents are mentioned by.
type AgentSlugs interface {
	AgentSlugs(ctx context.Context, agents []event.AgentID) (map[event.AgentID]string, error)
}

// Options are what a Service needs from outside.
type Options struct {
	Clock  func() time.Time // nil: time.Now
	People PeopleNames
	Agents AgentNames
	Slugs  AgentSlugs // nil: agents are mentioned by name only
}

// Service is the context.
type Service struct {
	db      *sqldb.DB
	options Options
	live    live

	called   sync.Map // event.AgentID → []string, the handles of an agent
	hearings hearings
}

//go:embed migrations/*.sql
var migrations embed.FS

// New opens the context on its database and brings the schema up to date.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Service, error) {
	if o.People == nil || o.Agents == nil {
		return nil, errors.New("chat: Options.People and Options.Agents must be set")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if err := Migrate(ctx, db); err != nil {
		return nil, err
	}
	return &Service{db: db, options: o}, nil
}

// Migrate makes the context's tables, also in a database to rebuild into.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	if err := relay.Migrate(ctx, db); err != nil {
		return err
	}
	if err := httpapi.MigrateIdempotency(ctx, db); err != nil {
		return err
	}
	if err := erasure.Migrate(ctx, db); err != nil {
		return err
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return db.Migrate(ctx, "chat", sub)
}

// Projections names the tables that are folds of the log.
func (s *Service) Projections() []string { return []string{"agents", "passes", "people"} }

func (s *Service) now() event.Micros { return s.options.Clock().UnixMicro() }

// Errors that more than one verb gives.
var (
	errRoom    = fault.New(fault.NotFound, "room_unknown", "There is no such room among yours.")
	errMessage = fault.New(fault.NotFound, "message_unknown", "There is no such message in this room.")
	errAgent   = fault.New(fault.NotFound, "agent_unknown", "There is no such agent.")
	errPerson  = fault.New(fault.NotFound, "person_unknown", "There is no such person.")
	errLogin   = fault.New(fault.Unauthenticated, "login_required", "Log in or send a token that belongs to a person.")
)

// caller is the person who is asking.
func caller(ctx context.Context) (authz.Principal, error) {
	p := authz.From(ctx)
	if p.Person == "" {
		return p, errLogin
	}
	return p, nil
}

// checkTitle refuses what no title or theme may hold; there may be none.
func checkTitle(title string) error {
	if err := checkText(title, true); err != nil || title == "" || visible.Name(title) {
		return err
	}
	return fault.New(fault.Invalid, "title_hides", "A title is one line of characters that can be seen; leave the others out.")
}

// checkText refuses what no message may hold.
func checkText(text string, mayBeEmpty bool) error {
	switch {
	case !utf8.ValidString(text):
		return fault.New(fault.Invalid, "text_not_utf8", "The text is not valid UTF-8; send it in that encoding.")
	case hasNUL(text):
		return fault.New(fault.Invalid, "text_has_nul", "The text holds a NUL character; leave it out.")
	case utf8.RuneCountInString(text) > MaxText:
		return fault.New(fault.Invalid, "text_too_long", "The text is longer than %d characters; send it in parts.", MaxText)
	case !mayBeEmpty && isBlank(text):
		return fault.New(fault.Invalid, "text_empty", "The message is empty; write something.")
	}
	return nil
}
