package agent

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"sync"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/erasure"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

//go:embed migrations
var migrations embed.FS

// Service is the agent context.
type Service struct {
	db     *sqldb.DB
	now    func() time.Time
	starts Starts
	clean  func(string, int) string
	limit  int

	suggests Suggester
	opening  chan struct{} // imports under way: each holds its file in memory
	claims   sync.Mutex
	claimed  map[string]bool // what is done once at a time
}

// Options join the context to the rest.
type Options struct {
	Clock  func() time.Time // time.Now when nil
	Starts Starts           // nil: in the middle
	Places int              // agents that a person may have before they buy more; 0 for no limit

	// Clean is what may stand in a prompt of a text, at most so many characters:
	// what came from a card or a model goes through it. nil: only cut.
	Clean func(text string, most int) string
	// Suggests fills in what is missing of an agent. nil: nobody does.
	Suggests Suggester
}

// Starts says where a fresh agent of somebody starts in the traits that they did
// not choose, made for an archetype or with 0 for none.
type Starts interface {
	DefaultStart(ctx context.Context, owner event.PersonID, agent event.AgentID, archetype int, chosen policy.Mask, at event.Micros) (policy.Traits, error)
}

type middle struct{}

func (middle) DefaultStart(context.Context, event.PersonID, event.AgentID, int, policy.Mask, event.Micros) (policy.Traits, error) {
	return policy.Neutral(), nil
}

// New migrates db and gives the context. A global switch that a crash
// interrupted is carried through first.
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
	if err := db.Migrate(ctx, "agent", migrations); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Starts == nil {
		o.Starts = middle{}
	}
	if o.Clean == nil {
		o.Clean = cut
	}
	s := &Service{db: db, now: o.Clock, starts: o.Starts, clean: o.Clean, limit: o.Places, suggests: o.Suggests, opening: make(chan struct{}, maxImports), claimed: map[string]bool{}}
	return s, s.carryThrough(ctx)
}

// Projections names the tables that a rebuild from the log makes byte-equal.
func (s *Service) Projections() []string { return []string{"known_people", "looks", "places", "talks"} }

// Texts are what people wrote about an agent. They never leave in an event.
type Texts struct {
	Name        string     `json:"name"`                  // 1 to 80 characters
	Description string     `json:"description,omitempty"` // for everybody; at most 500
	Backstory   string     `json:"backstory,omitempty"`   // at most 8000
	Style       string     `json:"style,omitempty"`       // how it talks; at most 2000
	Scenario    string     `json:"scenario,omitempty"`    // where the talk begins; at most 2000
	Greeting    string     `json:"greeting,omitempty"`    // at most 4000
	Openings    []string   `json:"openings,omitempty"`    // other greetings, variants of it; at most 20
	Appearance  string     `json:"appearance,omitempty"`  // for who draws it, never for a model that speaks; at most 500
	Examples    []Exchange `json:"examples,omitempty"`    // at most 20

	Template *Template `json:"personaTemplate,omitempty"` // which of it was a suggestion
}

// Exchange is a sample of how the agent answers; at most 2000 characters each.
type Exchange struct {
	Person string `json:"person"`
	Agent  string `json:"agent"`
}

// Approval says which proposals of the learning side wait for the owner.
type Approval struct {
	Mode   string   `json:"mode" enum:"off,some,all" doc:"off: none wait. some: those that move a listed trait, or anything by more than above. all: every one."`
	Traits []string `json:"traits,omitempty"`
	Above  float64  `json:"above,omitempty" minimum:"0" maximum:"1" doc:"0 means no limit on size"`
}

// The modes of approval.
const (
	ApprovalOff  = "off"
	ApprovalSome = "some"
	ApprovalAll  = "all"
)

// The paces of learning; the learner has a gate for each.
const (
	PaceCareful = "careful"
	PaceNormal  = "normal"
	PaceFast    = "fast"
)

// Asking is how much the owner wants to be asked what they think of the agent.
type Asking struct {
	Intensity string `json:"intensity" enum:"off,gentle,normal,eager" doc:"At most 0, 1, 2 or 4 prompts a week about this agent."`
	Every     int    `json:"every" minimum:"0" maximum:"1000" doc:"Also after every so many talks that were not long and lively; 0 never."`
}

// The intensities of asking.
const (
	AskOff    = "off"
	AskGentle = "gentle"
	AskNormal = "normal"
	AskEager  = "eager"
)

const maxAskEvery = 1000

// Agent is an agent as somebody may see it: everybody the first six fields, its
// owner all of them.
type Agent struct {
	ID          event.AgentID `json:"id"`
	Slug        string        `json:"slug"`
	Name        string        `json:"name"`
	Description string        `json:"description"`
	CreatedAt   event.Micros  `json:"createdAt"`
	Look        string        `json:"look,omitempty" doc:"The frame that its owner gave it: aurora, dusk, ember, forest or ocean."`

	OwnerID event.PersonID  `json:"ownerId,omitempty"`
	Profile *Profile        `json:"profile,omitempty"`
	Origin  *Origin         `json:"origin,omitempty"`
	Policy  json.RawMessage `json:"policy,omitempty" doc:"The policy document in force."`
	State   *State          `json:"state,omitempty"`
}

// Profile is what the owner gave the agent.
type Profile struct {
	Texts
	BasePersonality map[string]float64 `json:"basePersonality"` // the owner's start, by trait
}

// State is what is not policy.
type State struct {
	Version   int64        `json:"version"`
	Learning  bool         `json:"learning"` // false while paused
	Alive     bool         `json:"alive"`    // false while a kill switch is on
	StoppedBy []string     `json:"stoppedBy,omitempty"`
	Pace      string       `json:"pace"`
	Approval  Approval     `json:"approval"`
	Mood      Mood         `json:"mood"`
	Asking    Asking       `json:"asking"`
	Quiet     *event.Quiet `json:"quiet,omitempty"` // hours in which it begins nothing; absent until the owner sets them
	Waiting   int          `json:"waiting"`         // proposals that wait for the owner
	UpdatedAt int64        `json:"updatedAt"`
}

// Draft is a new agent.
type Draft struct {
	ID     event.AgentID      // for imports: a HashID of where it comes from; a new one when empty
	Texts  Texts              //
	Traits map[string]float64 // the start; where all agents start where absent
	Key    string             // Idempotency-Key, may be empty

	Archetype int // whose start it gets where traits are absent; 0 for that of all agents

	birth
}

// Create makes an agent of the principal's. Its baseline is its start. With an ID
// that exists already and is the principal's, that agent is given and nothing is
// done. Faults: invalid_texts, unknown_trait, archetype_unknown, policy_refused,
// person_erased, agent_exists, no_place_left (never for operators).
func (s *Service) Create(ctx context.Context, d Draft) (Agent, error) {
	p := authz.From(ctx)
	if err := p.Check(authz.Agent, authz.Create); err != nil {
		return Agent{}, err
	}
	texts, err := d.Texts.tidy()
	if err != nil {
		return Agent{}, err
	}
	if d.ID == "" {
		d.ID = event.AgentID(event.NewID())
	}
	d.unlimited = p.Has(authz.ScopeAdmin)
	start, err := s.start(ctx, p.Person, d)
	if err != nil {
		return Agent{}, err
	}
	var id event.AgentID
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		asked := d.asked
		if asked == nil {
			asked = struct {
				Texts     Texts
				Traits    map[string]float64
				Archetype int `json:",omitempty"`
			}{texts, d.Traits, d.Archetype}
		}
		id, err = httpapi.Idempotent(tx, p, d.Key, "agent."+cmp.Or(d.kind, "create"), asked, s.micros(), func() (event.AgentID, error) {
			return d.ID, s.create(tx, p.Person, d, texts, start)
		})
		return err
	})
	if err != nil {
		return Agent{}, err
	}
	return s.Get(ctx, string(id))
}

// start asks where a new agent starts; not for one that is there already.
func (s *Service) start(ctx context.Context, owner event.PersonID, d Draft) (x policy.Traits, err error) {
	var there *record
	if err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		there, err = load(tx, string(d.ID))
		return err
	}); err != nil || there != nil {
		return x, err
	}
	var chosen policy.Mask
	for name := range d.Traits {
		if t, ok := policy.ParseTrait(name); ok {
			chosen |= 1 << t
		}
	}
	return s.starts.DefaultStart(ctx, owner, d.ID, d.Archetype, chosen, s.micros())
}

func (s *Service) create(tx *sqldb.Tx, owner event.PersonID, d Draft, texts Texts, start policy.Traits) error {
	if a, err := load(tx, string(d.ID)); err != nil {
		return err
	} else if a != nil && a.owner == owner && !a.retired {
		return nil
	} else if a != nil {
		return fault.New(fault.Conflict, "agent_exists", "An agent with this id exists already; make it under another one.")
	}
	if _, erased, err := person(tx, owner); err != nil {
		return err
	} else if erased {
		return fault.New(fault.Conflict, "person_erased", "This account was erased; log in with another one.")
	}
	if full, err := s.full(tx, owner); err != nil || full && !d.unlimited && owner != Platform {
		if err == nil {
			err = errFull(s.limit)
		}
		return err
	}
	at := s.micros()
	a := &record{
		id: d.ID, owner: owner, name: texts.Name, created: at, updated: at, version: 1, ownerVersion: 1, texts: 1,
		doc: policy.Default(string(d.ID)), learning: true, pace: PaceNormal, approval: Approval{Mode: ApprovalOff}, asking: Asking{AskNormal, 10},
	}
	if stopped, err := everywhere(tx); err != nil {
		return err
	} else if stopped {
		a.stops = stopEverywhere
	}
	a.doc.Traits = start
	if d.shape != nil {
		d.shape(a)
	}
	if err := set(&a.doc.Traits, d.Traits, a.doc.Limits()); err != nil {
		return err
	}
	var err error
	if a.slug, err = freeSlug(tx, texts.Name, d.ID); err != nil {
		return err
	}
	done := deed{kind: cmp.Or(d.kind, "created"), by: a.doc.LastUpdatedBy, actor: cmp.Or(d.actor, string(owner)), at: at}
	a.doc.Reason, a.doc.LastUpdatedAt = done.kind, at
	if err := a.seal(); err != nil {
		return err
	}
	a.baseline = a.doc.Traits
	if err := insert(tx, a, texts, done); err != nil || d.also == nil {
		return err
	}
	return d.also(tx, a)
}

// set changes the levels that are given. A start outside the platform's limits
// is refused where it was asked for and moved inside where it was not.
func set(x *policy.Traits, levels map[string]float64, limits policy.Bounds) error {
	*x = limits.Clamp(*x)
	for name, v := range levels {
		t, ok := policy.ParseTrait(name)
		if !ok {
			return unknownTrait(name)
		}
		x[t] = round(v)
	}
	return nil
}

// Get gives an agent by id or slug, with what the principal may see of it: the
// owner, with a token for agents, everything. Fault agent_unknown.
func (s *Service) Get(ctx context.Context, ref string) (Agent, error) {
	p := authz.From(ctx)
	var out Agent
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		a, err := find(tx, ref)
		if err != nil {
			return err
		}
		if err := p.Check(authz.Agent, authz.Read, a.relation(p)...); err != nil {
			return err
		}
		out, err = s.view(tx, a, len(a.relation(p)) > 0)
		return err
	})
	return out, err
}

// The orders of a list.
const (
	SortName    = "name"
	SortCreated = "created"
)

// List gives the principal's own agents by name or by the time they were made,
// after the one named, at most limit. Fault agent_unknown for an after that is
// not the principal's.
func (s *Service) List(ctx context.Context, sort string, after event.AgentID, limit int) ([]Agent, error) {
	p := authz.From(ctx)
	if err := p.Check(authz.Agent, authz.List, (&record{owner: p.Person}).relation(p)...); err != nil {
		return nil, err
	}
	out := []Agent{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := ownedAfter(tx, p.Person, sort, after, limit)
		if err != nil {
			return err
		}
		for _, a := range all {
			v, err := s.view(tx, a, true)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// ProfileOf gives the texts of an agent and the version they belong to, for the
// prompt. Fault agent_unknown.
func (s *Service) ProfileOf(ctx context.Context, id event.AgentID) (texts Texts, version int64, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		a, err := find(tx, string(id))
		if err != nil {
			return err
		}
		version = a.version
		texts, err = textsOf(tx, a.id, a.texts)
		return err
	})
	return texts, version, err
}

// BySlug finds an agent by id or slug. Fault agent_unknown.
func (s *Service) BySlug(ctx context.Context, ref string) (id event.AgentID, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		a, err := find(tx, ref)
		if err == nil {
			id = a.id
		}
		return err
	})
	return id, err
}

// AgentNames gives the names of those agents that exist.
func (s *Service) AgentNames(ctx context.Context, agents []event.AgentID) (map[event.AgentID]string, error) {
	return s.each(ctx, agents, `select name from agents where id = $1 and not retired`)
}

// AgentSlugs gives the short names of those agents that exist.
func (s *Service) AgentSlugs(ctx context.Context, agents []event.AgentID) (map[event.AgentID]string, error) {
	return s.each(ctx, agents, `select slug from agents where id = $1 and not retired`)
}

func (s *Service) each(ctx context.Context, agents []event.AgentID, query string) (map[event.AgentID]string, error) {
	out := map[event.AgentID]string{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		for _, id := range agents {
			var word string
			if ok, err := tx.Get(query, []any{id}, &word); err != nil {
				return err
			} else if ok {
				out[id] = word
			}
		}
		return nil
	})
	return out, err
}

// AgentsOf gives the public face of a person's agents, by name.
func (s *Service) AgentsOf(ctx context.Context, person event.PersonID) ([]Agent, error) {
	out := []Agent{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := ownedAfter(tx, person, SortName, "", 1000)
		if err != nil {
			return err
		}
		for _, a := range all {
			out = append(out, Agent{ID: a.id, Slug: a.slug, Name: a.name, CreatedAt: a.created})
		}
		return nil
	})
	return out, err
}

// view is an agent as its owner, or everybody, sees it.
func (s *Service) view(tx *sqldb.Tx, a *record, own bool) (Agent, error) {
	texts, err := textsOf(tx, a.id, a.texts)
	if err != nil {
		return Agent{}, err
	}
	out := Agent{ID: a.id, Slug: a.slug, Name: a.name, Description: texts.Description, CreatedAt: a.created}
	if out.Look, err = lookOf(tx, a.id); err != nil {
		return Agent{}, err
	}
	if !own {
		return out, nil
	}
	t, err := talksOf(tx, a.id)
	if err != nil {
		return Agent{}, err
	}
	waiting, err := countWaiting(tx, a.id)
	if err != nil {
		return Agent{}, err
	}
	if out.Origin, err = originOf(tx, a.id); err != nil {
		return Agent{}, err
	}
	out.OwnerID, out.Policy = a.owner, a.raw
	out.Profile = &Profile{texts, levelsByName(a.baseline)}
	out.State = &State{
		Version: a.version, Learning: a.learning, Alive: a.stops == 0, StoppedBy: a.stops.names(), Pace: a.pace,
		Approval: a.approval, Mood: a.mood(t, s.micros()), Asking: a.asking, Quiet: a.hush(), Waiting: waiting, UpdatedAt: a.updated,
	}
	return out, nil
}

func levelsByName(x policy.Traits) map[string]float64 {
	out := make(map[string]float64, len(x))
	for i, v := range x {
		out[policy.Trait(i).String()] = v
	}
	return out
}

func (s *Service) micros() event.Micros { return s.now().UnixMicro() }

// unknownAgent is said of agents that are not, are no more, or were never.
func unknownAgent() error {
	return fault.New(fault.NotFound, "agent_unknown", "There is no such agent; look at /v1/agents for yours.")
}

func unknownTrait(string) error {
	return fault.New(fault.Invalid, "unknown_trait", "There is no such trait; the traits are humor, empathy, sarcasm, directness, formality, curiosity, brevity, assertiveness.")
}
