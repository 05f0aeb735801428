package app

import (
	"context"
	"fmt"
	"os"
	"slices"

	"rapport/account"
	"rapport/agent"
	"rapport/chat"
	"rapport/event"
	"rapport/feedback"
	"rapport/gateway"
	"rapport/gateway/guard"
	"rapport/gateway/provider/discover"
	"rapport/gateway/watch"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning"
)

// makeContexts opens every context on its database and joins who asks whom.
func (a *App) makeContexts(ctx context.Context, key []byte) error {
	models, err := a.models(ctx)
	if err != nil {
		return err
	}
	if err := a.observe(ctx, models); err != nil {
		return err
	}
	return a.parts.open(ctx, a.dbs, a.cfg, key, models)
}

// models finds what replies can come from.
func (a *App) models(ctx context.Context) (discover.Found, error) {
	o := discover.Options{Getenv: os.Getenv}
	p := a.cfg.Provider
	switch {
	case p.Offline:
		o = discover.Options{NoProbe: true}
	case p.BaseURL != "" || p.Vendor != "":
		o.Settings = []discover.Setting{{Name: "configured", Vendor: p.Vendor, BaseURL: p.BaseURL, Key: p.Key, KeyName: "provider.key (RAPPORT_PROVIDER_KEY)", Model: p.Model}}
	}
	found, err := discover.Find(ctx, o)
	if err != nil {
		return found, fault.New(fault.Invalid, "invalid_setting", "provider.model is not set: say which model to ask for at the server of provider.base_url.").Because(err)
	}
	if found.Registry.Archetypes, err = a.cfg.archetypeModels(found.Registry); err != nil {
		return found, err
	}
	return found, a.rulesModel(ctx, &found)
}

// rulesModel finds who is asked for mapping rules. A provider that is there for
// nothing else is not among those that an agent's owner may choose.
func (a *App) rulesModel(ctx context.Context, found *discover.Found) error {
	g := a.cfg.Gateway
	m, ok := found.Registry.Providers[g.RulesFrom]
	if !ok && g.RulesFrom != "" {
		others, err := discover.Find(ctx, discover.Options{NoProbe: true, Getenv: os.Getenv})
		i := slices.IndexFunc(others.Settings, func(s discover.Setting) bool { return s.Name == g.RulesFrom })
		if err != nil || i < 0 {
			return fault.New(fault.Invalid, "invalid_setting", "gateway.rules_provider is %q, and there is no key for it: use openai with OPENAI_API_KEY, anthropic with ANTHROPIC_API_KEY or gemini with GEMINI_API_KEY in the environment.", g.RulesFrom).Because(err)
		}
		found.Settings = append(found.Settings, others.Settings[i])
		m = others.Registry.Providers[g.RulesFrom]
	}
	if g.RulesModel != "" {
		m.ID = g.RulesModel
	}
	found.Rules = m
	return nil
}

// parts are the contexts.
type parts struct {
	Accounts *account.Service
	Agents   *agent.Service
	Chat     *chat.Service
	Feedback *feedback.Service
	Learning *learning.Service
	Gateway  *gateway.Service

	ran    func(learning.Run) // told of every run of a job
	erased func()             // told of every erasure of a person
	watch  *watch.Watch       // told of every reply

	journal opened // of the gateway; the zero one for a table of its own
}

func (p *parts) open(ctx context.Context, dbs map[string]*sqldb.DB, cfg Config, key []byte, models discover.Found) (err error) {
	if p.Accounts, err = account.New(ctx, dbs["account"], account.Options{Clock: cfg.Clock, Erased: p.erased}); err != nil {
		return err
	}
	if p.Learning, err = learning.New(ctx, dbs["learning"], learning.Options{Sessions: tried{p}, Finder: named{p}, Ran: p.ran}); err != nil {
		return err
	}
	if p.Agents, err = agent.New(ctx, dbs["agent"], agent.Options{Clock: cfg.Clock, Starts: p.Learning, Places: cfg.Agents.Places, Clean: guard.Clean, Suggests: suggests{p}}); err != nil {
		return err
	}
	if p.Chat, err = chat.New(ctx, dbs["chat"], chat.Options{Clock: cfg.Clock, People: p.Accounts, Agents: p.Agents, Slugs: p.Agents}); err != nil {
		return err
	}
	judge, err := cfg.judge()
	if err != nil {
		return err
	}
	prices, err := cfg.prices()
	if err != nil {
		return err
	}
	p.Gateway, err = gateway.New(ctx, dbs["gateway"], gateway.Options{Clock: cfg.Clock, Journal: p.journal.Journal, Rows: p.journal.rows, Key: key, Models: models, Workers: cfg.Gateway.Workers, Replies: cfg.Agents.Replies,
		Patience: cfg.Gateway.Patience, Budgets: cfg.budgets(), Prices: prices, RulesEvery: cfg.Gateway.RulesEvery,
		Profiles: profiles{p.Agents}, Talks: room{p.Chat}, Poster: room{p.Chat}, Places: room{p.Chat}, Live: room{p.Chat}, Directory: directory{p.Agents}, Finder: directory{p.Agents}, Watch: p.watch, Moderation: judge})
	if err != nil {
		return err
	}
	p.Feedback, err = feedback.New(ctx, dbs["feedback"], feedback.Options{Clock: cfg.Clock, Window: cfg.Feedback.Window, Steer: p.Gateway, Meter: meter{}, Shown: effects{p}, Key: key, People: p.Accounts, Notes: p.Accounts, Asking: cfg.asking(),
		Exchanges: exchanges{p.Chat}, Reviews: cfg.reviewRules()})
	return err
}

// listener is a context that hears events.
type listener interface {
	Consumer() relay.Consumer
	Projections() []string
}

func (p *parts) listening() []listener {
	return []listener{p.Agents, p.Chat, p.Feedback, p.Gateway, p.Learning}
}

func (p *parts) listeners() []relay.Consumer {
	var out []relay.Consumer
	for _, l := range p.listening() {
		out = append(out, l.Consumer())
	}
	return out
}

// recorder is a listener whose projections follow from the log and from records of
// its own.
type recorder interface{ Records() []string }

// scratch opens one context on an empty database, with the records that its
// projections depend on, to replay the log into, and names its projections.
func (a *App) scratch(ctx context.Context, name string, db *sqldb.DB) (relay.Consumer, []string, error) {
	fresh := parts{}
	dbs := map[string]*sqldb.DB{}
	for n, live := range a.dbs {
		dbs[n] = live
	}
	dbs[name] = db
	models, err := discover.Find(ctx, discover.Options{NoProbe: true})
	if err != nil {
		return relay.Consumer{}, nil, err
	}
	if err := fresh.open(ctx, dbs, a.cfg, make([]byte, 32), models); err != nil {
		return relay.Consumer{}, nil, err
	}
	for _, l := range fresh.listening() {
		if c := l.Consumer(); c.Group == name {
			if r, ok := l.(recorder); ok {
				if err := db.CopyTables(ctx, a.dbs[name], r.Records()); err != nil {
					return relay.Consumer{}, nil, err
				}
			}
			return c, l.Projections(), nil
		}
	}
	return relay.Consumer{}, nil, fault.New(fault.NotFound, "unknown_context", "No context %q listens to events.", name)
}

// exported is a table that people may take away.
type exported struct {
	context string
	sqldb.Export
}

func (x exported) name() string { return x.context + "." + x.Table }

// exports lists the records and the readable projections. Secrets, learner
// states and exploration centres are not among them.
func (p *parts) exports() []exported {
	var out []exported
	for _, c := range []struct {
		context string
		tables  []sqldb.Export
	}{
		{"account", p.Accounts.Exports()}, {"agent", p.Agents.Exports()}, {"chat", p.Chat.Exports()},
		{"feedback", p.Feedback.Exports()}, {"gateway", p.Gateway.Exports()}, {"learning", p.Learning.Exports()},
	} {
		for _, t := range c.tables {
			out = append(out, exported{c.context, t})
		}
	}
	return out
}

// said is what a piece of feedback says.
func said(p event.FeedbackCreated) string {
	switch {
	case p.Direction != nil && p.Direction.Sign > 0:
		return " more " + p.Direction.Trait
	case p.Direction != nil:
		return " less " + p.Direction.Trait
	case p.Level != "":
		return " " + p.Level
	case p.Signal != "":
		return " " + p.Signal
	}
	return fmt.Sprintf(" %+g", p.Score)
}

// note says in a few words what an event was about, for people who trace.
func note(e event.Event) string {
	switch e.Type {
	case event.ReplyGenerated{}.EventType():
		p, err := event.As[event.ReplyGenerated](e)
		if err == nil {
			return "policy version " + itoa(p.PolicyVersion) + ", " + p.Action + " by " + p.Model
		}
	case event.FeedbackCreated{}.EventType():
		p, err := event.As[event.FeedbackCreated](e)
		if err == nil {
			return p.Role + " · " + p.Channel + said(p)
		}
	case event.PolicyProposed{}.EventType():
		p, err := event.As[event.PolicyProposed](e)
		if err == nil {
			return p.Reason
		}
	case event.AgentUpdated{}.EventType():
		p, err := event.As[event.AgentUpdated](e)
		if err == nil {
			return "version " + itoa(p.Version) + ": " + p.Change.Kind + " by " + p.Change.By
		}
	case event.PolicyRefused{}.EventType():
		p, err := event.As[event.PolicyRefused](e)
		if err == nil {
			return p.Gate + ": " + p.Reason
		}
	}
	return ""
}
