package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"

	"rapport/event"
	"rapport/gateway/audible"
	"rapport/gateway/rule"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sequential"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// The states of a version of the mapping rules.
const (
	RulesProposed  = "proposed"  // waits for an operator
	RulesTried     = "tried"     // a share of the sessions has it
	RulesPublished = "published" // in force, or was until a later one was published
	RulesWithdrawn = "withdrawn" // it was in force, and an operator went back to one before it
	RulesRefused   = "refused"   // by an operator
	RulesReverted  = "reverted"  // tried and found worse, or its trial was ended
)

// RuleVersion is one version of the mapping rules and what became of it.
type RuleVersion struct {
	Version int64        `json:"version"`
	Status  string       `json:"status"`
	InForce bool         `json:"inForce"`
	Since   event.Micros `json:"since"` // it has its status
	Base    int64        `json:"base"`  // the version it was made from
	Author  string       `json:"author"`
	Note    string       `json:"note"`
	Share   float64      `json:"share"`
	Outcome string       `json:"outcome"`

	Measured bool     `json:"measured"` // it was put to the persona test set
	Effects  []Effect `json:"effects"`  // what came of that
	Trial    *Trial   `json:"trial,omitempty"`

	Changes []rule.Change   `json:"changes,omitempty"` // since its base; not in lists
	Rules   json.RawMessage `json:"rules,omitempty"`   // not in lists
}

// Effect is what a trait's level does to a model's replies with a version, and did with
// the one in force where that was measured.
type Effect struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	audible.Curve
	Was *audible.Curve `json:"was,omitempty"`
}

// Trial is how a trial stands: sessions on both sides, and the interval of how much
// better those with the tried version are rated, from −1 to 1, that holds at all
// times at once.
type Trial struct {
	With    int     `json:"with"`
	Without int     `json:"without"`
	Lo      float64 `json:"lo"`
	Hi      float64 `json:"hi"`
}

// ruleSet is all that replies are made by: the rules in force, those on trial, and
// what each model's replies do not change with.
type ruleSet struct {
	n       int64 // as rule_state has it
	inForce *rule.Rules
	tried   *rule.Rules // nil for none
	share   float64     // of the sessions that get it
	unheard map[voice]policy.Mask
}

// voice is a model at a provider.
type voice struct{ provider, model string }

// stored is a row of mapping_rules.
type stored struct {
	RuleVersion
	body, effects, trial string
}

const ruleColumns = `version, status, body, at, base, author, note, effects, share, trial, outcome`

func (r *stored) fields() []any {
	return []any{&r.Version, &r.Status, &r.body, &r.Since, &r.Base, &r.Author, &r.Note, &r.effects, &r.Share, &r.trial, &r.Outcome}
}

// ruleVersions reads all versions, newest first.
func ruleVersions(tx *sqldb.Tx) (out []*stored, err error) {
	rows, err := tx.Query(`select ` + ruleColumns + ` from mapping_rules order by version desc`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		r := &stored{}
		if err := rows.Scan(r.fields()...); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if i := slices.IndexFunc(out, func(r *stored) bool { return r.Status == RulesPublished }); i >= 0 {
		out[i].InForce = true
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// find gives a version. Fault rules_unknown.
func find(all []*stored, version int64) (*stored, error) {
	if i := slices.IndexFunc(all, func(r *stored) bool { return r.Version == version }); i >= 0 {
		return all[i], nil
	}
	return nil, fault.New(fault.NotFound, "rules_unknown", "There is no version %d of the mapping rules; `rapport rules` lists them.", version)
}

func inForce(all []*stored) *stored {
	i := slices.IndexFunc(all, func(r *stored) bool { return r.InForce })
	return all[i] // version 1 is published at the first start, and never withdrawn
}

// shown reads what the row holds as JSON. A number that cannot be read is a fault of
// the database's owner, not of who asks: it is left out and logged.
func (r *stored) shown() RuleVersion {
	v := r.RuleVersion
	v.Effects, v.Measured = []Effect{}, r.effects != ""
	if r.effects != "" {
		if err := json.Unmarshal([]byte(r.effects), &v.Effects); err != nil {
			slog.Error("the effects of mapping rules cannot be read", "version", r.Version, "error", err)
		}
	}
	if c, ok := r.canary(); ok {
		lo, hi := c.Difference()
		v.Trial = &Trial{c.With.N, c.Without.N, lo, hi}
	}
	return v
}

func (r *stored) canary() (c sequential.Canary, ok bool) {
	if r.trial == "" {
		return c, false
	}
	if err := json.Unmarshal([]byte(r.trial), &c); err != nil {
		slog.Error("the trial of mapping rules cannot be read", "version", r.Version, "error", err)
		return c, false
	}
	return c, true
}

// loadRules stores the built-in rules when they are new and reads what is in force.
func (s *Service) loadRules(ctx context.Context) error {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into mapping_rules (version, status, body, at) values ($1, $2, $3, $4) on conflict (version) do nothing`,
			rule.BuiltIn().Version, RulesPublished, string(rule.BuiltInDocument()), s.now())
		return err
	})
	if err != nil {
		return err
	}
	s.outdated.Store(true)
	_, err = s.current(ctx)
	return err
}

// current gives the rules that replies are made by, from memory unless they changed.
func (s *Service) current(ctx context.Context) (*ruleSet, error) {
	if !s.outdated.Load() {
		return s.set.Load(), nil
	}
	s.outdated.Store(false) // before reading: a change in between is read again
	var set *ruleSet
	err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		set, err = readRules(tx)
		return err
	})
	if err != nil {
		s.outdated.Store(true)
		return nil, err
	}
	s.set.Store(set)
	return set, nil
}

func readRules(tx *sqldb.Tx) (*ruleSet, error) {
	set := &ruleSet{unheard: map[voice]policy.Mask{}}
	if _, err := tx.Get(`select n from rule_state where id = 1`, nil, &set.n); err != nil {
		return nil, err
	}
	all, err := ruleVersions(tx)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Status != RulesPublished && r.Status != RulesTried || set.inForce != nil {
			continue
		}
		rules, err := rule.Parse([]byte(r.body))
		switch {
		case err != nil: // made by a program with other checks: the one before it holds
			slog.Error("mapping rules are stored that this program refuses", "version", r.Version, "error", err)
		case r.Status == RulesTried:
			set.tried, set.share = rules, r.Share
		default:
			set.inForce = rules
		}
	}
	if set.inForce == nil {
		set.inForce = rule.BuiltIn()
	}
	return set, set.listen(tx)
}

// changed tells all who remember rules, here and in other processes, once durable.
func (s *Service) changed(tx *sqldb.Tx) error {
	tx.OnCommit(func() { s.outdated.Store(true) })
	_, err := tx.Exec(`update rule_state set n = n + 1 where id = 1`)
	return err
}

// move gives a version another status, if it still has the one it is believed to have.
func (s *Service) move(tx *sqldb.Tx, r *stored, to, outcome string) error {
	n, err := tx.Exec(`update mapping_rules set status = $1, outcome = $2, at = $3 where version = $4 and status = $5`, to, outcome, s.now(), r.Version, r.Status)
	if err != nil {
		return err
	}
	if n == 0 {
		return errRulesMoved
	}
	if r.Status == RulesTried {
		for _, q := range []string{
			`delete from rule_ratings where exists (select 1 from rule_sessions s where s.agent_id = rule_ratings.agent_id and s.session_id = rule_ratings.session_id and s.version = $1)`,
			`delete from rule_sessions where version = $1`,
		} {
			if _, err := tx.Exec(q, r.Version); err != nil {
				return err
			}
		}
	}
	r.Status, r.Outcome = to, outcome
	return s.changed(tx)
}

// publish puts a version in force. What was measured of it is now what the model is
// heard to do.
func (s *Service) publish(tx *sqldb.Tx, r *stored, outcome string) error {
	for _, e := range r.shown().Effects {
		if err := keepCurve(tx, HeardCurve{e.Provider, e.Model, r.Version, r.Since, e.Curve}); err != nil {
			return err
		}
	}
	if err := s.move(tx, r, RulesPublished, outcome); err != nil {
		return err
	}
	return relay.Emit(tx, event.New("gateway", event.NewID(), s.now(), event.RulesPublished{Version: r.Version}))
}

var errRulesMoved = fault.New(fault.Conflict, "rules_moved", "Somebody else changed the mapping rules meanwhile; look at `rapport rules` and decide again.")

// aboutRules is a transaction about one version; it gives the version as it is then.
func (s *Service) aboutRules(ctx context.Context, version int64, f func(tx *sqldb.Tx, all []*stored, r *stored) error) (RuleVersion, error) {
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		if err != nil {
			return err
		}
		r, err := find(all, version)
		if err != nil {
			return err
		}
		return f(tx, all, r)
	})
	if err != nil {
		return RuleVersion{}, err
	}
	return s.RuleVersion(ctx, version)
}

// open refuses to decide on what was decided, on what was not put to the persona test
// set, and on a proposal whose base is no more in force.
func (r *stored) open(all []*stored) error {
	switch now := inForce(all); {
	case r.Status != RulesProposed && r.Status != RulesTried:
		return fault.New(fault.Conflict, "rules_decided", "Version %d is %s already; propose another one.", r.Version, r.Status)
	case r.Base != now.Version:
		return fault.New(fault.Conflict, "rules_moved", "Version %d was made from version %d, and version %d is in force now; refuse it and propose anew.", r.Version, r.Base, now.Version)
	case r.effects == "":
		return fault.New(fault.Conflict, "rules_unmeasured", "Version %d is being put to the persona test set; try again in a few minutes.", r.Version)
	}
	return nil
}

// ApproveRules publishes a proposal, also one on trial: the next reply is made by it.
// Faults rules_unknown, rules_decided, rules_moved, rules_unmeasured.
func (s *Service) ApproveRules(ctx context.Context, version int64) (RuleVersion, error) {
	return s.aboutRules(ctx, version, func(tx *sqldb.Tx, all []*stored, r *stored) error {
		if err := r.open(all); err != nil {
			return err
		}
		return s.publish(tx, r, "approved by an operator")
	})
}

// RefuseRules ends a proposal, also one on trial. Faults rules_unknown, rules_decided.
func (s *Service) RefuseRules(ctx context.Context, version int64) (RuleVersion, error) {
	return s.aboutRules(ctx, version, func(tx *sqldb.Tx, all []*stored, r *stored) error {
		switch r.Status {
		case RulesProposed:
			return s.move(tx, r, RulesRefused, "refused by an operator")
		case RulesTried:
			return s.move(tx, r, RulesReverted, "ended by an operator")
		}
		return r.open(all)
	})
}

// RollbackRules puts a version back in force that was in force before, and withdraws
// those published after it. A trial ends: it was of a change to what is no more in
// force. Faults rules_unknown (also for one that never was in force), rules_in_force.
func (s *Service) RollbackRules(ctx context.Context, version int64) (RuleVersion, error) {
	return s.aboutRules(ctx, version, func(tx *sqldb.Tx, all []*stored, r *stored) error {
		switch {
		case r.Status != RulesPublished && r.Status != RulesWithdrawn:
			return fault.New(fault.NotFound, "rules_unknown", "Version %d is %s and never was in force; `rapport rules` lists those that were.", version, r.Status)
		case r.InForce:
			return fault.New(fault.Conflict, "rules_in_force", "Version %d is in force already.", version)
		}
		for _, other := range all {
			var err error
			switch {
			case other.Status == RulesTried:
				err = s.move(tx, other, RulesReverted, "its trial ended when an operator went back to another version")
			case other.Version > version && other.Status == RulesPublished:
				err = s.move(tx, other, RulesWithdrawn, "an operator went back to another version")
			}
			if err != nil {
				return err
			}
		}
		return s.publish(tx, r, "an operator went back to it")
	})
}

// RuleVersions lists all versions, newest first, without their rules.
func (s *Service) RuleVersions(ctx context.Context) ([]RuleVersion, error) {
	out := []RuleVersion{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		for _, r := range all {
			out = append(out, r.shown())
		}
		return err
	})
	return out, err
}

// RuleVersion shows one version with its rules and what it changes. Fault
// rules_unknown.
func (s *Service) RuleVersion(ctx context.Context, version int64) (v RuleVersion, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		if err != nil {
			return err
		}
		r, err := find(all, version)
		if err != nil {
			return err
		}
		v = r.shown()
		v.Rules = json.RawMessage(r.body)
		if r.Base != 0 {
			v.Changes, err = diff(all, r.Base, version)
		}
		return err
	})
	return v, err
}

// RulesDiff says what version to has in other words or numbers than version from.
// Fault rules_unknown.
func (s *Service) RulesDiff(ctx context.Context, from, to int64) (out []rule.Change, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		if err == nil {
			out, err = diff(all, from, to)
		}
		return err
	})
	return out, err
}

func diff(all []*stored, from, to int64) ([]rule.Change, error) {
	var docs [2]*rule.Document
	for i, version := range []int64{from, to} {
		r, err := find(all, version)
		if err == nil {
			docs[i], err = rule.Read([]byte(r.body))
		}
		if err != nil {
			return nil, err
		}
	}
	out := rule.Diff(docs[0], docs[1])
	if out == nil {
		out = []rule.Change{}
	}
	return out, nil
}
