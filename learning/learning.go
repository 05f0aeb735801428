package learning

import (
	"context"
	"embed"
	"io/fs"
	"time"

	"rapport/event"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning/evaluate"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Service is the learning context.
type Service struct {
	db      *sqldb.DB
	o       Options
	asks    asks
	shelves shelves
	horizon horizon
	holder  string // of jobs' leases: this process
}

// Options join the context to the rest.
type Options struct {
	Sessions Sessions  // nil: nothing is known of what was tried
	Finder   Finder    // nil: agents are known by their ids alone
	Ran      func(Run) // told of every run of a job, failed ones too; may be nil
}

// Finder asks agent for an agent by its slug or id. Fault of kind not_found.
type Finder interface {
	BySlug(ctx context.Context, ref string) (event.AgentID, error)
}

// Sessions gives those of an agent's sessions whose variation was drawn by chance
// and of which its owner said enough to tell how satisfied they were, oldest first.
type Sessions interface {
	Sessions(ctx context.Context, agent event.AgentID) ([]evaluate.Session, error)
}

// New opens the context on its database and brings its tables up to date.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Service, error) {
	if err := Migrate(ctx, db); err != nil {
		return nil, err
	}
	s := open(db)
	s.o = o
	return s, nil
}

func open(db *sqldb.DB) *Service {
	return &Service{db: db, horizon: usual, holder: event.NewID()}
}

// Migrate makes the context's tables in a database, as for a rebuild.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	if err := relay.Migrate(ctx, db); err != nil {
		return err
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return db.Migrate(ctx, "learning", sub)
}

// Batch is how many events are folded in one transaction at most.
const Batch = 2000

// linger is how long events of a crowd are gathered: each batch publishes a mixture
// for every agent in it, so fewer batches are less work for everybody.
const linger = 100 * time.Millisecond

// Consumer is what the context reads.
func (s *Service) Consumer() relay.Consumer {
	types := make([]event.Type, 0, len(decoders))
	for _, r := range event.Registered() {
		if _, ok := decoders[r.Type]; ok {
			types = append(types, r.Type)
		}
	}
	return relay.Consumer{Group: "learning", DB: s.db, Topics: []string{event.TopicAgents}, Types: types, Handle: s.handle, Max: Batch, Linger: linger}
}

// Records lists the tables that do not follow from the log, and that the
// projections depend on: a rebuild begins with a copy of them.
func (s *Service) Records() []string { return []string{"rl_parameters"} }

// Projections lists the tables that follow from the log and the records.
func (s *Service) Projections() []string {
	return []string{"rl_learners", "rl_entries", "rl_checkpoints", "rl_withdrawn", "rl_signals", "rl_agent_projection",
		"rl_feedback_projection", "rl_relationships", "rl_behaviour_projection", "rl_sessions", "rl_proposals", "rl_sides"}
}
