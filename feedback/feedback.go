package feedback

import (
	"context"
	"embed"
	"log/slog"
	"time"

	"rapport/event"
	"rapport/feedback/asking"
	"rapport/internal/authz"
	"rapport/internal/erasure"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Steerer makes a wish for more or less of a trait act now, for the rest of the
// session. Again with the same feedback is harmless.
type Steerer interface {
	Steer(ctx context.Context, id event.FeedbackID, agent event.AgentID, session event.SessionID, person event.PersonID, d event.Direction) error
}

// Options of a Service; the zero ones are good.
type Options struct {
	Clock  func() time.Time // time.Now when nil
	Steer  Steerer          // nil: wishes are evidence only
	Meter  Meter            // of corrections; nil: they are words only
	Shown  Effects          // nil: what feedback did is not told here
	Key    []byte           // of the buckets of where feedback came from; nil: that is not noted
	Window time.Duration    // how long after a decision feedback on it counts, 14 days when 0
	Rate   int              // opinions per minute, rater and agent, 60 when 0; a minute's worth at once
	Asking *asking.Rules    // when people are asked; asking.Defaults when nil
	People People           // nil: every person is taken for known
	Notes  Notes            // nil: what operators read is noted nowhere

	Exchanges Exchanges    // nil: there is nothing to review
	Reviews   *ReviewRules // DefaultReviewRules when nil
}

// People says who exists: whoever has a name.
type People interface {
	Names(ctx context.Context, people []event.PersonID) (map[event.PersonID]string, error)
}

// Notes keeps what operators do that reaches other people's things.
type Notes interface {
	Note(ctx context.Context, p authz.Principal, act, subject string) error
}

// patience is how long a signal waits for what it is about before it is a dead
// letter.
const patience = event.Micros(time.Hour / time.Microsecond)

// Service is the feedback context. Its methods may be called from many goroutines.
type Service struct {
	db     *sqldb.DB
	clock  func() time.Time
	steer  Steerer
	meter  Meter
	shown  Effects
	key    []byte
	window event.Micros
	limit  limiter
	rules  asking.Rules
	people People
	notes  Notes

	exchanges Exchanges
	reviews   ReviewRules
}

// Migrate makes or updates the context's tables.
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
	return db.Migrate(ctx, "feedback", migrations)
}

// New makes the service over its database and migrates it.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Service, error) {
	if err := Migrate(ctx, db); err != nil {
		return nil, err
	}
	s := &Service{db: db, clock: o.Clock, steer: o.Steer, meter: o.Meter, shown: o.Shown, key: o.Key, window: o.Window.Microseconds(), rules: asking.Defaults(), people: o.People, notes: o.Notes}
	if o.Asking != nil {
		s.rules = *o.Asking
	}
	s.exchanges, s.reviews = o.Exchanges, DefaultReviewRules()
	if o.Reviews != nil {
		s.reviews = *o.Reviews
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.window == 0 {
		s.window = (14 * 24 * time.Hour).Microseconds()
	}
	if o.Rate == 0 {
		o.Rate = 60
	}
	s.limit = limiter{perMinute: float64(o.Rate), buckets: map[pair]bucket{}}
	return s, nil
}

// Projections names the tables that a rebuild from the log gives again, byte for
// byte.
func (s *Service) Projections() []string {
	return []string{"agents", "arrivals", "baselines", "decisions", "episodes", "erased", "messages", "participants", "protections", "reputations", "sessions", "standing"}
}

func (s *Service) now() event.Micros { return s.clock().UnixMicro() }

// The fates of a signal.
const (
	Stored    = "stored"    // counts
	Waiting   = "waiting"   // durable; counts when what it is about arrives
	Duplicate = "duplicate" // was here before; nothing changed
	Retracted = "retracted" // was taken back
	Refused   = "refused"   // see the error
)

// Receipt says what became of feedback.
type Receipt struct {
	FeedbackID event.FeedbackID `json:"feedbackId"`
	Status     string           `json:"status" doc:"stored; waiting: it counts when what it is about arrives, within an hour; retracted."`
	Role       string           `json:"role,omitempty" doc:"What you are to the agent, found by the server."`
	Supersedes event.FeedbackID `json:"supersedes,omitempty" doc:"Your earlier feedback on the same thing, which this replaces."`
	Direction  *event.Direction `json:"direction,omitempty" doc:"The trait you asked more (1) or less (-1) of."`
}

// HTTPStatus is 202 while the feedback waits, 200 when it was taken back, else 201.
func (r Receipt) HTTPStatus() int {
	switch r.Status {
	case Waiting:
		return 202
	case Retracted:
		return 200
	}
	return 201
}

// Give stores an opinion of the principal. key is the request's Idempotency-Key,
// empty for none: the same key and opinion give the first receipt again.
//
// The newest opinion of a rater on a session, or of a kind on a message, replaces
// the one before (Supersedes). A message, decision or session that was not seen yet
// is waited for. After the commit a wish for a trait also steers the session at
// hand; when that fails the opinion stands all the same.
//
// Faults: invalid (words outside the vocabulary, feedback_too_late, not_an_agent),
// not_found for what the principal took no part in, forbidden owners_only,
// rate_limited too_much_feedback, conflict idempotency_conflict.
func (s *Service) Give(ctx context.Context, p authz.Principal, key string, o Opinion) (Receipt, error) {
	if p.Person == "" {
		return Receipt{}, p.Check(authz.Feedback, authz.Create)
	}
	d, err := o.read()
	if err != nil {
		return Receipt{}, err
	}
	d.ID, d.Rater, d.Created = event.FeedbackID(event.NewID()), p.Person, s.now()
	d.Origin = s.origin(httpapi.Address(ctx), d.Created)
	var done outcome
	var receipt Receipt
	err = s.db.Write(ctx, func(tx *sqldb.Tx) (err error) {
		done = outcome{}
		receipt, err = httpapi.Idempotent(tx, p, key, "feedback.give", o, d.Created, func() (Receipt, error) {
			done, err = s.settle(tx, d, find)
			if err == nil && done.event != nil {
				err = relay.Emit(tx, *done.event)
			}
			return done.Receipt, err
		})
		return err
	})
	if err != nil {
		return Receipt{}, err
	}
	if receipt.Status == Waiting {
		if done, err = s.soon(ctx, receipt); err != nil {
			return receipt, nil // it is kept; only the waiting for it failed
		}
		receipt = done.Receipt
	}
	if done.Direction != nil && (d.Channel == event.ChannelTone || d.Channel == event.ChannelMoreLess) && done.session != "" && s.steer != nil {
		if err := s.steer.Steer(ctx, done.FeedbackID, done.agent, done.session, p.Person, *done.Direction); err != nil {
			slog.WarnContext(ctx, "a wish did not steer the session at hand", "feedback", done.FeedbackID, "err", err)
		}
	}
	return receipt, nil
}

// glance is how long an answer is held for what the opinion is about: people press
// a button as soon as they see a message, which can be before this context has
// heard of it.
const glance = 250 * time.Millisecond

// soon gives what became of an opinion that waits, a moment later.
func (s *Service) soon(ctx context.Context, r Receipt) (outcome, error) {
	for end := time.Now().Add(glance); ; time.Sleep(2 * time.Millisecond) {
		o := outcome{Receipt: r}
		var trait string
		var sign int
		err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
			stored, err := tx.Get(`select agent_id, session_id, role, trait, sign, supersedes from feedback_events where feedback_id = $1`, []any{r.FeedbackID},
				&o.agent, &o.session, &o.Role, &trait, &sign, &o.Supersedes)
			if stored {
				o.Status = Stored
			}
			return err
		})
		if err != nil || o.Status == Stored || time.Now().After(end) {
			if trait != "" {
				o.Direction = &event.Direction{Trait: trait, Sign: sign}
			}
			return o, err
		}
	}
}

// Retract takes the principal's own feedback back, explicit or implicit, stored or
// waiting; its effect on the agent goes with it. Again is harmless. Faults:
// not_found, forbidden for the agent's owner who did not give it.
func (s *Service) Retract(ctx context.Context, p authz.Principal, id event.FeedbackID) (Receipt, error) {
	if p.Person == "" {
		return Receipt{}, p.Check(authz.Feedback, authz.Erase)
	}
	r := Receipt{FeedbackID: id, Status: Retracted}
	now := s.now()
	return r, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var rater, owner event.PersonID
		var source string
		ok, err := tx.Get(`select rater_id, owner_id, source from feedback_events where feedback_id = $1`, []any{id}, &rater, &owner, &source)
		if err != nil {
			return err
		}
		if !ok {
			n, err := tx.Exec(`delete from waiting where feedback_id = $1 and rater_id = $2`, id, p.Person)
			if err == nil && n == 0 {
				err = errNotFound
			}
			return err
		}
		if rater != p.Person {
			if owner == p.Person && source != sourceImplicit {
				return p.Check(authz.Feedback, authz.Erase, authz.Owner)
			}
			return errNotFound
		}
		if err := p.Check(authz.Feedback, authz.Erase, authz.Author); err != nil {
			return err
		}
		if err := retract(tx, id, now, nil); err != nil {
			return err
		}
		return s.withdrawReview(tx, id, now)
	})
}

var errNotFound = fault.New(fault.NotFound, "not_found", "There is no such thing, or you took no part in it.")
