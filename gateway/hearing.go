package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"rapport/event"
	"rapport/gateway/audible"
	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/rule"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// HeardCurve is what a trait's level does to the replies of a model.
type HeardCurve struct {
	Provider     string       `json:"provider"`
	Model        string       `json:"model"`
	RulesVersion int64        `json:"rulesVersion"`
	At           event.Micros `json:"at"`
	audible.Curve
}

// Measurement says what to measure.
type Measurement struct {
	Provider string // of the configuration; '' for the platform's first
	Model    string // '' for the provider's own
	Trait    policy.Trait
	Prompts  int // 2 to all of the test set; 0 for as many as it takes to be sure
	Steps    int // 2 to 9; 0 for 5
}

// curves reads what was measured, by model and trait.
func curves(tx *sqldb.Tx) (out []HeardCurve, err error) {
	rows, err := tx.Query(`select provider, model, rules_version, at, body from audible order by provider, model, trait`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c HeardCurve
		var body string
		if err := rows.Scan(&c.Provider, &c.Model, &c.RulesVersion, &c.At, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(body), &c.Curve); err != nil {
			return nil, fmt.Errorf("curve of %s: %w", c.Model, err)
		}
		out = append(out, c)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// listen notes which traits each model's replies do not change with.
func (set *ruleSet) listen(tx *sqldb.Tx) error {
	all, err := curves(tx)
	for _, c := range all {
		if t, ok := policy.ParseTrait(c.Trait); ok && c.Heard == audible.Unheard {
			set.unheard[voice{c.Provider, c.Model}] |= 1 << t
		}
	}
	return err
}

// AudibleCurves lists what was measured, by model and trait.
func (s *Service) AudibleCurves(ctx context.Context) (out []HeardCurve, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		out, err = curves(tx)
		return err
	})
	if out == nil {
		out = []HeardCurve{}
	}
	return out, err
}

// voice is the platform's first model.
func (s *Service) voice() voice {
	m := s.o.Models.Registry.Default[0]
	return voice{m.Provider, m.ID}
}

// MeasureAudible puts a trait's levels to the persona test set with the rules in
// force, and stores the curve in place of the one before. From then on nothing is
// learned of a trait that is Unheard on the model that replies.
//
// Faults: provider_unknown, model_unavailable, invalid_measurement.
func (s *Service) MeasureAudible(ctx context.Context, m Measurement) (HeardCurve, error) {
	v := s.voice()
	if m.Provider != "" {
		p, ok := s.o.Models.Registry.Providers[m.Provider]
		if !ok {
			return HeardCurve{}, fault.New(fault.Invalid, "provider_unknown", "No provider %q is configured.", m.Provider)
		}
		v = voice{p.Provider, p.ID}
	}
	if m.Model != "" {
		v.model = m.Model
	}
	if m.Prompts == 0 {
		m.Prompts = audible.EnoughPrompts
	}
	if m.Steps == 0 {
		m.Steps = 5
	}
	if m.Prompts < 2 || m.Prompts > len(audible.Prompts) || m.Steps < 2 || m.Steps > 9 {
		return HeardCurve{}, fault.New(fault.Invalid, "invalid_measurement", "Ask for 2 to %d prompts and 2 to 9 steps.", len(audible.Prompts))
	}
	set, err := s.current(ctx)
	if err != nil {
		return HeardCurve{}, err
	}
	c, err := s.measure(ctx, set.inForce, v, m.Trait, m.Prompts, m.Steps)
	if err != nil {
		return HeardCurve{}, err
	}
	out := HeardCurve{Provider: v.provider, Model: v.model, RulesVersion: set.inForce.Version, At: s.now(), Curve: c}
	return out, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if err := keepCurve(tx, out); err != nil {
			return err
		}
		return s.changed(tx)
	})
}

// keepCurve stores a curve in place of the one before.
func keepCurve(tx *sqldb.Tx, c HeardCurve) error {
	body, err := json.Marshal(c.Curve)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into audible (provider, model, trait, rules_version, at, body) values ($1, $2, $3, $4, $5, $6)
		on conflict (provider, model, trait) do update set rules_version = excluded.rules_version, at = excluded.at, body = excluded.body`,
		c.Provider, c.Model, c.Trait, c.RulesVersion, c.At, string(body))
	return err
}

// atOnce is how many replies of the test set are made at the same time.
const atOnce = 2

// measure asks a model, and no other, for the replies of the test set and fits the curve.
func (s *Service) measure(ctx context.Context, rules *rule.Rules, v voice, t policy.Trait, prompts, steps int) (audible.Curve, error) {
	model := compile.Model{Provider: v.provider, ID: v.model, Vendor: s.o.Models.Registry.Providers[v.provider].Vendor}
	for _, m := range s.o.Models.Registry.Default {
		if m.Provider == v.provider {
			model.Vendor = m.Vendor
		}
	}
	prepared := compile.Prepare(compile.Input{Persona: compile.Persona{Name: "Robin", Description: audible.Persona}, Policy: policy.Default("test set"), Rules: rules,
		Registry: compile.Registry{Default: []compile.Model{model}}})
	levels := audible.Steps(steps)
	replies := make([][]string, prompts)
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	slots := make(chan struct{}, atOnce)
	for p := range prompts {
		replies[p] = make([]string, steps)
		for i, level := range levels {
			slots <- struct{}{}
			wait.Go(func() {
				defer func() { <-slots }()
				text, err := s.tryOut(ctx, prepared, audible.Levels(t, level), audible.Prompts[p], uint64(p))
				mu.Lock()
				defer mu.Unlock()
				if replies[p][i] = text; err != nil && failed == nil {
					failed = err
					stop()
				}
			})
		}
	}
	wait.Wait()
	if failed != nil {
		return audible.Curve{}, unavailable(v.model, failed)
	}
	return audible.Fit(t, levels, replies), nil
}

// tryOut makes one reply that nobody reads.
func (s *Service) tryOut(ctx context.Context, prepared *compile.Prepared, x policy.Traits, prompt string, seed uint64) (string, error) {
	f := prepared.Compile(x, compile.Moment{Situation: compile.Situation{Place: event.ContextDMWithOwner, Direct: true, Addressed: true}})
	talk := append(fewShot(f.FewShot), provider.Message{Role: provider.RoleUser, Text: prompt})
	var text strings.Builder
	for again := 0; ; again++ {
		_, err := s.calls.Stream(ctx, provider.Request{
			Provider: f.Route.Provider, Model: f.Route.ID, System: f.SystemPrompt, Messages: talk, Params: f.Params, Seed: seed,
			Behaviour: provider.Behaviour{Levels: f.Rendered, Style: f.Flags.ReplyStyle, Brevity: f.Flags.BrevityLevel, Words: f.Flags.Words},
		}, func(piece string) error { text.WriteString(piece); return nil })
		switch code := provider.CodeOf(err); {
		case err == nil, code == provider.CodeEmpty: // nothing said is a reply, too
			return text.String(), nil
		case (code == provider.CodeRateLimited || code == provider.CodeResting) && again < 5 && text.Len() == 0:
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(time.Second << again):
			}
		default:
			return "", err
		}
	}
}

// hush takes what the agent's model is not heard to do out of what varies: it stays at
// the policy's level and is not free.
func (s *Service) hush(v *view, set *ruleSet) {
	m := compile.Router{Registry: s.o.Models.Registry}.Choose(v.doc.Runtime).Model
	v.unheard = set.unheard[voice{m.Provider, m.ID}]
	if v.mixture == nil || v.unheard&^v.mixture.Pinned == 0 {
		return
	}
	masked := *v.mixture
	masked.Pinned |= v.unheard
	raw, err := json.Marshal(masked)
	if err != nil { // it was read from JSON; without it nothing varies
		v.mixture, v.published = nil, ""
		return
	}
	v.mixture, v.published = &masked, string(raw)
}
