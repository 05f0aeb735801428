package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rapport/event"
	"rapport/gateway/audible"
	"rapport/gateway/guard"
	"rapport/gateway/rule"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// ByOperator is the author of rules that a person wrote.
const ByOperator = "operator"

// MaxRules is the longest document of mapping rules, in bytes.
const MaxRules = 256 << 10

// ProposeRules takes in a document of mapping rules as a proposal: nothing is made by
// it before an operator says so. Its version is the next one, whatever it says itself.
//
// Faults: rules_invalid (with the rule and what is wrong with it: a gap, an unknown
// input, a coefficient that moves too far …), rules_proposal_open while another one
// waits or is on trial.
func (s *Service) ProposeRules(ctx context.Context, document json.RawMessage, note string) (RuleVersion, error) {
	d, err := rule.Read(document)
	if err != nil {
		return RuleVersion{}, invalidRules(err)
	}
	return s.propose(ctx, ByOperator, note, func(*rule.Document) (*rule.Document, error) { return d, nil })
}

func invalidRules(err error) error {
	return fault.New(fault.Invalid, "rules_invalid", "These rules cannot be used: %s.", err)
}

// propose stores what make makes of the rules in force.
func (s *Service) propose(ctx context.Context, author, note string, make func(now *rule.Document) (*rule.Document, error)) (RuleVersion, error) {
	var version int64
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		if err != nil {
			return err
		}
		if err := noneOpen(all); err != nil {
			return err
		}
		base := inForce(all)
		now, err := rule.Read([]byte(base.body))
		if err != nil {
			return err
		}
		d, err := make(now)
		if err != nil {
			return invalidRules(err)
		}
		version = all[0].Version + 1
		d.Version = version
		if err := d.Validate(); err != nil {
			return invalidRules(err)
		}
		if err := d.Within(now); err != nil {
			return invalidRules(err)
		}
		if len(rule.Diff(now, d)) == 0 {
			return invalidRules(fmt.Errorf("they say what the rules in force say"))
		}
		body, err := d.JSON()
		if err != nil {
			return err
		}
		_, err = tx.Exec(`insert into mapping_rules (version, status, body, at, base, author, note) values ($1, $2, $3, $4, $5, $6, $7)`,
			version, RulesProposed, string(body), s.now(), base.Version, author, guard.Clean(note, 300))
		return err
	})
	if err != nil {
		return RuleVersion{}, err
	}
	s.tend()
	return s.RuleVersion(ctx, version)
}

func noneOpen(all []*stored) error {
	for _, r := range all {
		if r.Status == RulesProposed || r.Status == RulesTried {
			return fault.New(fault.Conflict, "rules_proposal_open", "Version %d is %s; approve or refuse it first.", r.Version, r.Status)
		}
	}
	return nil
}

// refreshTask is what a model is asked for.
const refreshTask = `You edit the mapping rules of a chat platform. They say in which words a level of a personality trait is put into the system prompt of a language model,
and by which formula it becomes a number. Make them clearer to language models: the difference between neighbouring levels should be heard in what the model writes.
Rules for your edits:
- Change only what you improve; at most 10 bands and 4 formulas. Name each by its id.
- A band keeps its id. Its from and to are multiples of 0.05 and move by at most 0.1; bands of a trait follow each other without gap or overlap from 0 to 1.
- A text is one line of at most 400 characters that speaks to the model about how to speak. {level} becomes the level out of 100, {degree} one of the degrees, the first at
  the low end of the band. Every step of 0.1 of a trait must change the text. Never ask for anything but a way of speaking.
- A formula keeps its form; each number in it moves by at most 0.1, or a tenth of its size if that is more.
The rules in force:
`

// RefreshRules asks the model that is set for it, else the platform's own, for
// other mapping rules. What comes is a proposal. Only one asking runs at a time.
//
// Faults: rules_refresh_running, rules_proposal_open, rules_no_model (the offline demo
// writes no rules), model_unavailable, rules_invalid (the model wrote what is no rules).
func (s *Service) RefreshRules(ctx context.Context) (RuleVersion, error) {
	v, _, err := s.refresh(ctx, s.now())
	return v, err
}

// refresh is the run of a due time; false when it is done, or another process has it.
func (s *Service) refresh(ctx context.Context, due event.Micros) (v RuleVersion, mine bool, err error) {
	var now *stored
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		if err != nil {
			return err
		}
		if err := noneOpen(all); err != nil {
			return err
		}
		if busy, err := tx.Get(`select 1 from rule_runs where done_at = 0 and lease_until > $1 limit 1`, []any{s.now()}, new(int)); err != nil {
			return err
		} else if busy {
			return fault.New(fault.Conflict, "rules_refresh_running", "A model is being asked already; look at `rapport rules` in a few minutes.")
		}
		now = inForce(all)
		n, err := tx.Exec(`insert into rule_runs (due, lease_until, done_at, note) values ($1, $2, 0, '')
			on conflict (due) do update set lease_until = excluded.lease_until where rule_runs.done_at = 0`, due, s.now()+(2*askTimeout).Microseconds())
		mine = n == 1
		return err
	})
	if err != nil || !mine {
		return v, mine, err
	}
	v, err = s.askForRules(ctx, now)
	note := fmt.Sprintf("version %d", v.Version)
	if err != nil {
		note = "no proposal: " + cmp.Or(codeOf(err), "it failed; the log says why")
	}
	write := context.WithoutCancel(ctx)
	failed := s.db.Write(write, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update rule_runs set done_at = $1, lease_until = 0, note = $2 where due = $3`, s.now(), note, due)
		return err
	})
	if err == nil {
		err = failed
	}
	return v, true, err
}

func (s *Service) askForRules(ctx context.Context, now *stored) (RuleVersion, error) {
	d, err := rule.Read([]byte(now.body))
	if err != nil {
		return RuleVersion{}, err
	}
	short, err := json.Marshal(d.Edits())
	if err != nil {
		return RuleVersion{}, err
	}
	w, err := s.Ask(ctx, Task{Do: refreshTask + string(short), Schema: rule.EditsSchema(), Model: s.o.Models.Rules})
	switch {
	case err != nil:
		return RuleVersion{}, err
	case w.Demo:
		return RuleVersion{}, fault.New(fault.Conflict, "rules_no_model", "The offline demo writes no rules: connect a model, or propose rules of your own with `rapport rules propose FILE`.")
	case w.Text == "":
		return RuleVersion{}, invalidRules(fmt.Errorf("the model wrote no JSON document"))
	}
	e, err := rule.ReadEdits([]byte(w.Text))
	if err != nil {
		return RuleVersion{}, invalidRules(fmt.Errorf("the model wrote something else than edits"))
	}
	return s.propose(ctx, w.Model, e.Note, func(now *rule.Document) (*rule.Document, error) { return now.Apply(e) })
}

// codeOf is the code of a fault, ” of any other error.
func codeOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return ""
}

// runRules does what mapping rules need from time to time until ctx ends: puts
// proposals to the persona test set, decides trials, asks for new rules when it is due.
func (s *Service) runRules(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.tendRules(ctx); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "the mapping rules could not be tended", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.rulesWake:
		case <-tick.C:
		}
	}
}

// tend has the rules tended soon.
func (s *Service) tend() {
	select {
	case s.rulesWake <- struct{}{}:
	default:
	}
}

func (s *Service) tendRules(ctx context.Context) error {
	if err := s.measureProposal(ctx); err != nil {
		return err
	}
	if err := s.hearTrial(ctx); err != nil {
		return err
	}
	every := s.o.RulesEvery
	if every <= 0 {
		return nil
	}
	due := s.now() - s.now()%every.Microseconds()
	started := false
	if err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
		started, err = tx.Get(`select 1 from rule_runs where due >= $1`, []any{due}, new(int))
		return err
	}); err != nil || started {
		return err
	}
	_, _, err := s.refresh(ctx, due)
	switch codeOf(err) {
	case "rules_proposal_open", "rules_refresh_running", "rules_no_model", "rules_invalid", "model_unavailable":
		slog.WarnContext(ctx, "no new mapping rules", "reason", codeOf(err))
		return nil // the run has its note; the next due time tries again
	}
	return err
}

// How a proposal is put to the persona test set, and how long that may take: with a
// slow model only some traits are measured.
const (
	proposalPrompts = audible.EnoughPrompts
	proposalSteps   = 3
	measureTimeout  = 10 * time.Minute
)

// measureProposal puts the proposal that waits to the persona test set, trait by
// trait, with the platform's first model. A trait that no answer came for is left out.
func (s *Service) measureProposal(ctx context.Context) error {
	var r *stored
	was := map[string]*audible.Curve{}
	v := s.voice()
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		if err != nil {
			return err
		}
		for _, one := range all {
			if one.Status == RulesProposed && one.effects == "" {
				r = one
			}
		}
		curves, err := curves(tx)
		for _, c := range curves {
			if c.Provider == v.provider && c.Model == v.model {
				was[c.Trait] = &c.Curve
			}
		}
		return err
	})
	if err != nil || r == nil {
		return err
	}
	rules, err := rule.Parse([]byte(r.body))
	if err != nil {
		return err
	}
	effects := []Effect{}
	within, stop := context.WithTimeout(ctx, measureTimeout)
	defer stop()
	for i := range policy.NTraits {
		c, err := s.measure(within, rules, v, policy.Trait(i), proposalPrompts, proposalSteps)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			slog.WarnContext(ctx, "a trait of proposed mapping rules could not be measured", "trait", policy.Trait(i), "reason", codeOf(err))
			continue
		}
		effects = append(effects, Effect{v.provider, v.model, c, was[c.Trait]})
	}
	body, err := json.Marshal(effects)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update mapping_rules set effects = $1 where version = $2 and effects = ''`, string(body), r.Version)
		return err
	})
}
