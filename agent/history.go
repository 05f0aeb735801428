package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Version is one version of a policy and how it came to be.
type Version struct {
	Version  int64           `json:"version"`
	Parent   int64           `json:"parent"`
	Kind     string          `json:"kind"` // created, or a kind of change
	By       string          `json:"by"`   // owner, learning, platform
	Reason   string          `json:"reason"`
	Cause    string          `json:"cause"`  // proposal id, or a row of audit
	Causes   []string        `json:"causes"` // feedback ids, newest last
	Verdicts []event.Verdict `json:"verdicts"`
	At       event.Micros    `json:"at"`
	Change   policy.Delta    `json:"change"` // from its parent
	Policy   json.RawMessage `json:"policy,omitempty"`

	Evidence map[string]policy.Evidence `json:"evidence,omitempty"` // what the learned levels rested on, by trait name

	doc   policy.Document
	texts int64
}

// Act is one row of audit: who did what, because of what, and what it changed.
type Act struct {
	ID       string          `json:"id"`
	Seq      int64           `json:"seq"` // from 1 without gaps
	At       event.Micros    `json:"at"`
	Actor    string          `json:"actor"` // a person's id, or learning
	By       string          `json:"by"`
	Act      string          `json:"act"`
	Cause    string          `json:"cause"`
	Evidence []string        `json:"evidence"` // feedback ids
	Before   json.RawMessage `json:"before"`   // of what the act changed
	After    json.RawMessage `json:"after"`
	Verdicts []event.Verdict `json:"verdicts"`
	Version  int64           `json:"version"` // in force afterwards
}

// own runs a question about an agent that only its owner may ask.
func (s *Service) own(ctx context.Context, ref string, verb authz.Verb, ask func(tx *sqldb.Tx, a *record) error) error {
	p := authz.From(ctx)
	return s.db.Read(ctx, func(tx *sqldb.Tx) error {
		a, err := find(tx, ref)
		if err != nil {
			return err
		}
		if err := p.Check(authz.Policy, verb, a.relation(p)...); err != nil {
			return err
		}
		return ask(tx, a)
	})
}

// Versions lists an agent's versions below one (0: all), newest first, at most
// limit.
func (s *Service) Versions(ctx context.Context, ref string, below int64, limit int) ([]Version, error) {
	out := []Version{}
	err := s.own(ctx, ref, authz.List, func(tx *sqldb.Tx, a *record) error {
		if below <= 0 {
			below = a.version + 1
		}
		// One more, to tell the change of the last.
		all, err := versions(tx, a.id, below, limit+1)
		for i, v := range all {
			if i == limit {
				break
			}
			if i+1 < len(all) {
				v.Change = policy.Diff(all[i+1].doc, v.doc)
			}
			v.Policy = nil
			out = append(out, v)
		}
		return err
	})
	return out, err
}

// VersionAt gives one version with its policy. Fault version_unknown.
func (s *Service) VersionAt(ctx context.Context, ref string, version int64) (v Version, err error) {
	err = s.own(ctx, ref, authz.Read, func(tx *sqldb.Tx, a *record) error {
		if v, err = versionOf(tx, a.id, version); err != nil || v.Parent == 0 {
			return err
		}
		parent, err := versionOf(tx, a.id, v.Parent)
		v.Change = policy.Diff(parent.doc, v.doc)
		return err
	})
	return v, err
}

// Diff gives what changed from one version to another. Fault version_unknown.
func (s *Service) Diff(ctx context.Context, ref string, from, to int64) (d policy.Delta, err error) {
	err = s.own(ctx, ref, authz.Read, func(tx *sqldb.Tx, a *record) error {
		x, err := versionOf(tx, a.id, from)
		if err != nil {
			return err
		}
		y, err := versionOf(tx, a.id, to)
		d = policy.Diff(x.doc, y.doc)
		return err
	})
	return d, err
}

// Audit lists an agent's acts below one (0: all), newest first, at most limit.
func (s *Service) Audit(ctx context.Context, ref string, below int64, limit int) ([]Act, error) {
	out := []Act{}
	err := s.own(ctx, ref, authz.List, func(tx *sqldb.Tx, a *record) error {
		if below <= 0 {
			below = a.acts + 1
		}
		rows, err := tx.Query(`select id, seq, at, actor, by, act, cause, evidence, before, after, verdicts, version
			from audit where agent_id = $1 and seq < $2 order by seq desc limit $3`, a.id, below, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c Act
			var evidence, before, after, verdicts string
			if err := rows.Scan(&c.ID, &c.Seq, &c.At, &c.Actor, &c.By, &c.Act, &c.Cause, &evidence, &before, &after, &verdicts, &c.Version); err != nil {
				return err
			}
			c.Before, c.After = json.RawMessage(before), json.RawMessage(after)
			if err := json.Unmarshal([]byte(evidence), &c.Evidence); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(verdicts), &c.Verdicts); err != nil {
				return err
			}
			out = append(out, c)
		}
		return rows.Err()
	})
	return out, err
}

func versionOf(tx *sqldb.Tx, id event.AgentID, version int64) (Version, error) {
	found, err := versions(tx, id, version+1, 1)
	if err == nil && (len(found) == 0 || found[0].Version != version) {
		err = fault.New(fault.NotFound, "version_unknown", "The agent has no version %d; look at its versions.", version)
	}
	if err != nil {
		return Version{}, err
	}
	return found[0], nil
}

func versions(tx *sqldb.Tx, id event.AgentID, below int64, limit int) (out []Version, err error) {
	rows, err := tx.Query(`select version, parent, document, texts, kind, by, cause, causes, verdicts, at
		from versions where agent_id = $1 and version < $2 order by version desc limit $3`, id, below, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v Version
		var doc, causes, verdicts string
		if err := rows.Scan(&v.Version, &v.Parent, &doc, &v.texts, &v.Kind, &v.By, &v.Cause, &causes, &verdicts, &v.At); err != nil {
			return nil, err
		}
		v.Policy = json.RawMessage(doc)
		for _, f := range []struct {
			text string
			into any
		}{{doc, &v.doc}, {causes, &v.Causes}, {verdicts, &v.Verdicts}} {
			if err := json.Unmarshal([]byte(f.text), f.into); err != nil {
				return nil, fmt.Errorf("version %d of agent %s as stored: %w", v.Version, id, err)
			}
		}
		v.Reason, v.Evidence, v.Change = v.doc.Reason, v.doc.Evidence, policy.Diff(v.doc, v.doc)
		out = append(out, v)
	}
	return out, rows.Err()
}
