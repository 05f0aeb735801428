package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/anthropic"
	"rapport/gateway/provider/calling"
	"rapport/gateway/provider/discover"
	"rapport/gateway/provider/gemini"
	"rapport/gateway/provider/offline"
	"rapport/gateway/provider/openai"
	"rapport/gateway/watch"
	"rapport/internal/erasure"
	"rapport/internal/fault"
	"rapport/internal/journal"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Profiles asks agent what was written about an agent.
type Profiles interface {
	ProfileOf(ctx context.Context, id event.AgentID) (compile.Persona, error)
}

// Line is one message of a room as an agent reads it.
type Line struct {
	MessageID event.MessageID
	Author    event.Member
	Name      string
	Text      string
}

// Talks asks chat for the last messages of a room that the agent is in, oldest
// first, at most limit.
type Talks interface {
	Texts(ctx context.Context, room event.RoomID, agent event.AgentID, limit int) ([]Line, error)
}

// Reply is what an agent says.
type Reply struct {
	DecisionID event.DecisionID
	AgentID    event.AgentID
	RoomID     event.RoomID
	SessionID  event.SessionID
	ReplyTo    event.MessageID
	Text       string
	Begin      *Begin // nil for an answer
}

// Poster asks chat to say it. Posting a decision again changes nothing and gives
// the same id.
type Poster interface {
	PostReply(ctx context.Context, r Reply) (event.MessageID, error)
}

// Live shows a room's listeners a reply while it is written. It is never stored.
type Live interface {
	Typing(room event.RoomID, agent event.AgentID)
	Delta(room event.RoomID, agent event.AgentID, decision event.DecisionID, text string)
	Trouble(room event.RoomID, agent event.AgentID, t Trouble)
}

// Card is an agent as a caller sees it.
type Card struct {
	ID       event.AgentID
	Slug     string
	Created  event.Micros
	Platform bool // one of the platform's own
}

// Directory asks agent for the agents that a person may talk with by name: their
// own, and those of the platform.
type Directory interface {
	AgentsOf(ctx context.Context, person event.PersonID) ([]Card, error)
}

// Finder asks agent for an agent by its slug or id. Fault of kind not_found.
type Finder interface {
	BySlug(ctx context.Context, ref string) (event.AgentID, error)
}

// Options join the context to the rest.
type Options struct {
	Clock    func() time.Time             // time.Now when nil
	Key      []byte                       // secret of this installation: draws and canaries come from it
	Models   discover.Found               // what can be called
	Use      map[string]provider.Provider // by name, before those that Models asks for; for tests and simulations
	Workers  int                          // turns at the same time, 4 when 0
	Lease    time.Duration                // of a turn, renewed while it is worked on; 30 s when 0
	Patience time.Duration                // with models, for one reply; 180 s when 0
	Budgets  calling.Limits               // of owners and agents, a day
	Prices   calling.Prices

	RulesEvery time.Duration // how often a model is asked for new mapping rules without being told; 0 for never

	Moderation Moderation

	Replies int // that one person gets in a day from all agents together; 0 for no limit

	QuietFrom, QuietTo int // hours UTC in which nobody is answered unasked; equal for none

	Journal Journal       // of decisions until they are stored; nil for a table in the context's own database
	Rows    []journal.Row // that it held when it was opened

	Profiles  Profiles
	Talks     Talks
	Poster    Poster
	Places    Places       // nil: agents begin nothing, not even a talk
	Live      Live         // may be nil
	Watch     *watch.Watch // nil for nobody
	Directory Directory
	Finder    Finder
}

// Service is the gateway context. Its methods may be called from many goroutines.
type Service struct {
	db     *sqldb.DB
	o      Options
	calls  *calling.Caller // asks the models
	budget *calling.Daily  // nil where none is set
	wake   chan struct{}

	set       atomic.Pointer[ruleSet] // what current gave last
	outdated  atomic.Bool             // set is not what is stored any more
	rulesWake chan struct{}

	desk      desk
	backlog   *backlog
	keepAlive time.Duration // how long a stream stays silent
	sweeping  time.Duration // between two looks for orphans
	judged    verdicts

	mu     sync.Mutex // of what follows: it is remembered, and can be forgotten at any time
	views  map[event.AgentID]*view
	loads  map[event.AgentID]*view // marks of who reads one
	names  map[string]name
	chores map[event.PersonID]tally
}

// Migrate makes or updates the context's tables.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	if err := relay.Migrate(ctx, db); err != nil {
		return err
	}
	if err := erasure.Migrate(ctx, db); err != nil {
		return err
	}
	return db.Migrate(ctx, "gateway", migrations)
}

// New migrates db, stores the built-in mapping rules when they are new and reads
// the newest that are published.
func New(ctx context.Context, db *sqldb.DB, o Options) (*Service, error) {
	if o.Profiles == nil || o.Talks == nil || o.Poster == nil || o.Directory == nil || o.Finder == nil {
		return nil, errors.New("gateway: Options.Profiles, Talks, Poster, Directory and Finder must be set")
	}
	if len(o.Key) < 16 {
		return nil, errors.New("gateway: Options.Key needs at least 16 bytes")
	}
	if len(o.Models.Registry.Default) == 0 {
		return nil, errors.New("gateway: Options.Models is empty: use discover.Find")
	}
	if err := Migrate(ctx, db); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Workers == 0 {
		o.Workers = 4
	}
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	s := &Service{db: db, o: o, wake: make(chan struct{}, 1), rulesWake: make(chan struct{}, 1),
		views: map[event.AgentID]*view{}, loads: map[event.AgentID]*view{}, names: map[string]name{}, chores: map[event.PersonID]tally{}, keepAlive: keepAlive, sweeping: orphan}
	if o.Journal == nil {
		var err error
		if o.Journal, o.Rows, err = OpenTable(ctx, db); err != nil {
			return nil, err
		}
	}
	if err := s.recover(ctx, o.Journal, o.Rows); err != nil {
		return nil, err
	}
	if err := s.loadSpending(ctx); err != nil {
		return nil, err
	}
	if err := s.connect(); err != nil {
		return nil, err
	}
	return s, s.loadRules(ctx)
}

// connect makes a provider for each that was found. Nothing is called yet.
func (s *Service) connect() error {
	models := map[string]provider.Provider{offline.Model: offline.Provider{}}
	for _, m := range s.o.Models.Settings {
		c, err := adapter(m.Vendor)(provider.Config{Name: m.Name, BaseURL: m.BaseURL, Key: m.Key, KeyName: m.KeyName})
		if err != nil {
			return fault.New(fault.Invalid, "invalid_setting", "%s.", err)
		}
		if hint := c.Lacks(); hint != "" { // better known now than at the first reply
			slog.Warn("a model cannot be asked", "provider", m.Name, "hint", hint)
		}
		models[m.Name] = c
	}
	maps.Copy(models, s.o.Use)
	o := calling.Options{Providers: models, Clock: s.o.Clock, Total: s.o.Patience, Prices: s.o.Prices, Watch: s.o.Watch}
	if s.budget != nil {
		o.Budget = s.budget
	}
	s.calls = calling.New(o)
	return nil
}

// adapter is who speaks a vendor's language.
func adapter(vendor string) func(provider.Config) (*provider.Client, error) {
	switch vendor {
	case compile.VendorAnthropic:
		return anthropic.New
	case compile.VendorGemini:
		return gemini.New
	}
	return openai.New
}

// Projections names the tables that a rebuild from the log makes byte-equal.
func (s *Service) Projections() []string { return []string{"agents", "boosts", "tail"} }

// ModelNote says in one sentence where replies come from.
func (s *Service) ModelNote() string {
	m := s.o.Models.Registry.Default[0]
	if m.Vendor == compile.VendorOffline {
		return "Replies come from the offline demo, a small text generator that is not an AI model. Start Ollama or set OPENAI_API_KEY for real talks."
	}
	return "Replies come from " + m.ID + " at " + m.Provider + " (" + s.o.Models.Why + ")."
}

// ModelLabel is the same in a few words, to stand beside replies.
func (s *Service) ModelLabel() string {
	m := s.o.Models.Registry.Default[0]
	if m.Vendor == compile.VendorOffline {
		return "offline demo, not an AI model"
	}
	return m.ID
}

func (s *Service) now() event.Micros { return s.o.Clock().UnixMicro() }

// mac is a keyed hash of parts: draws and canaries that nobody outside can guess.
func (s *Service) mac(parts ...string) (sum [32]byte) {
	h := hmac.New(sha256.New, s.o.Key)
	for _, p := range parts {
		_, _ = h.Write([]byte(event.HashID(p))) // fixed length: no two lists of parts run together
	}
	h.Sum(sum[:0])
	return sum
}

// view is an agent as of one state of its projection, ready to decide.
type view struct {
	folded    int64
	owner     event.PersonID
	ownerActs int64
	alive     bool
	paused    bool
	quiet     *quiet // nil where the owner set no hours
	mood      event.Mood
	doc       policy.Document
	mixture   *policy.Mixture // nil when none surrounds the version in force
	published string          // the same as it was published
	revision  int64
	set       *ruleSet
	unheard   policy.Mask       // traits that its model's replies do not change with
	prepared  *compile.Prepared // by the rules in force
	tried     *compile.Prepared // by those on trial; nil for none
}

var errUnknownAgent = fault.New(fault.NotFound, "agent_unknown", "There is no such agent here.")

// view gives an agent, from memory when it is there.
func (s *Service) view(ctx context.Context, id event.AgentID) (*view, error) {
	set, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	mark := new(view)
	s.mu.Lock()
	v := s.views[id]
	if v == nil || v.set != set {
		s.loads[id] = mark
	}
	s.mu.Unlock()
	if v != nil && v.set == set {
		return v, nil
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		v, err = load(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	persona, err := s.o.Profiles.ProfileOf(ctx, id)
	if err != nil {
		return nil, err
	}
	canary := s.mac("canary", string(id))
	in := compile.Input{Persona: persona, Policy: v.doc, Rules: set.inForce, Registry: s.o.Models.Registry, Canary: "k" + hex.EncodeToString(canary[:6])}
	v.set, v.prepared = set, compile.Prepare(in)
	if in.Rules = set.tried; in.Rules != nil {
		v.tried = compile.Prepare(in)
	}
	s.hush(v, set)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loads[id] == mark { // else it changed meanwhile, or somebody else reads it too
		if len(s.views) >= remembered {
			clear(s.views)
		}
		s.views[id] = v
		delete(s.loads, id)
	}
	return v, nil
}

// glance is how long a question waits for an agent that was made just now, and
// that this context has not heard of.
const glance = time.Second

// heard is the view of an agent that exists, also right after it was made.
func (s *Service) heard(ctx context.Context, id event.AgentID) (*view, error) {
	for end := time.Now().Add(glance); ; {
		v, err := s.view(ctx, id)
		if err == nil || !fault.Is(err, errUnknownAgent.Code) || time.Now().After(end) {
			return v, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// load gives an agent as the projection has it, not yet prepared.
func load(tx *sqldb.Tx, id event.AgentID) (*view, error) {
	var document, mood, mixture, hours string
	var mixVersion int64
	v := &view{}
	ok, err := tx.Get(`select owner_id, folded, owner_acts, document, alive, mood, mixture, mix_version, revision, paused, quiet from agents where agent_id = $1`,
		[]any{id}, &v.owner, &v.folded, &v.ownerActs, &document, &v.alive, &mood, &mixture, &mixVersion, &v.revision, &v.paused, &hours)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errUnknownAgent
	}
	if err := json.Unmarshal([]byte(document), &v.doc); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(mood), &v.mood); err != nil {
		return nil, err
	}
	if hours != "" {
		var set event.Quiet
		if err := json.Unmarshal([]byte(hours), &set); err != nil {
			return nil, err
		}
		if q, ok := quietOf(&set); ok {
			v.quiet = &q
		}
	}
	if mixture != "" && mixVersion == v.doc.Version {
		v.mixture, v.published = new(policy.Mixture), mixture
		if err := json.Unmarshal([]byte(mixture), v.mixture); err != nil {
			slog.Error("a mixture cannot be read; the agent does not explore", "agent", id, "error", err)
			v.mixture = nil
		}
	}
	return v, nil
}

// forget drops an agent from memory, after a change.
func (s *Service) forget(id event.AgentID) {
	s.mu.Lock()
	delete(s.views, id)
	delete(s.loads, id)
	s.mu.Unlock()
}

// isDemo says whether a provider is the offline generator.
func isDemo(providerName string) bool { return providerName == offline.Model }
