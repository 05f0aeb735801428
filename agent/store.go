package agent

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// record is the canonical state of an agent.
type record struct {
	id               event.AgentID
	owner            event.PersonID
	slug, name       string
	created, updated event.Micros
	version          int64 // the newest
	ownerVersion     int64 // the newest that learning did not make
	texts            int64 // revision of the texts
	acts             int64 // rows of audit
	doc              policy.Document
	raw              json.RawMessage // doc as it was published
	baseline         policy.Traits
	learning         bool
	stops            stops
	pace             string
	approval         Approval
	moodOff          bool
	moodValence      float64 // the baseline
	moodArousal      float64
	asking           Asking
	quiet            event.Quiet // no zone: none was set
	retired          bool
}

// stops is the set of kill switches that are on. Each is lifted only by who
// threw it.
type stops int64

const (
	stopOwner stops = 1 << iota
	stopOperator
	stopEverywhere
)

func (s stops) names() []string {
	var out []string
	for i, name := range []string{"owner", "operator", "platform"} {
		if s&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// relation is how the principal stands to the agent: its owner, with a token
// that may raise agents, an operator who edits one of the platform's, or nothing.
func (a *record) relation(p authz.Principal) []authz.Relation {
	if a.native() && p.Has(authz.ScopeAdmin) {
		return []authz.Relation{authz.Editor}
	}
	if p.Person != "" && p.Person == a.owner && p.Has(authz.ScopeAgents) {
		return []authz.Relation{authz.Owner}
	}
	return nil
}

// seal makes doc what it will be read back as, and refuses what cannot be
// published. Nothing else writes documents.
func (a *record) seal() error {
	a.doc.ToneWeights = policy.ToneWeightsOf(a.doc.Traits)
	raw, err := json.Marshal(a.doc)
	if err != nil {
		return fault.New(fault.Invalid, "policy_refused", "A level is not a number; send numbers from 0 to 1.")
	}
	var doc policy.Document
	if err := json.Unmarshal(raw, &doc); err != nil {
		return fault.New(fault.Invalid, "policy_refused", "%s; change what is named and send it again.", err)
	}
	if err := policy.Validate(doc); err != nil {
		return fault.New(fault.Invalid, "policy_refused", "%s; change what is named and send it again.", err).Because(err)
	}
	a.doc, a.raw = doc, raw
	return nil
}

const columns = `id, owner_id, slug, name, created_at, updated_at, version, owner_version, texts, acts, document, baseline, ` +
	`learning, stops, pace, approval, mood_off, mood_valence, mood_arousal, asking, ask_every, quiet_zone, quiet_from, quiet_to, retired`

type scanner interface{ Scan(...any) error }

func scan(row scanner) (*record, error) {
	var a record
	var doc, baseline, approval string
	if err := row.Scan(&a.id, &a.owner, &a.slug, &a.name, &a.created, &a.updated, &a.version, &a.ownerVersion, &a.texts, &a.acts,
		&doc, &baseline, &a.learning, &a.stops, &a.pace, &approval, &a.moodOff, &a.moodValence, &a.moodArousal, &a.asking.Intensity, &a.asking.Every, &a.quiet.Zone, &a.quiet.From, &a.quiet.To, &a.retired); err != nil {
		return nil, err
	}
	a.raw = json.RawMessage(doc)
	for _, f := range []struct {
		text string
		into any
	}{{doc, &a.doc}, {baseline, &a.baseline}, {approval, &a.approval}} {
		if err := json.Unmarshal([]byte(f.text), f.into); err != nil {
			return nil, fmt.Errorf("agent %s as stored: %w", a.id, err)
		}
	}
	return &a, nil
}

func one(tx *sqldb.Tx, query string, args ...any) (*record, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	return scan(rows)
}

// load gives an agent by id, nil when there never was one.
func load(tx *sqldb.Tx, id string) (*record, error) {
	return one(tx, `select `+columns+` from agents where id = $1`, id)
}

// find gives a living agent by id or slug.
func find(tx *sqldb.Tx, ref string) (*record, error) {
	a, err := load(tx, ref)
	if err == nil && a == nil {
		a, err = one(tx, `select `+columns+` from agents where slug = $1`, ref)
	}
	if err == nil && (a == nil || a.retired) {
		err = unknownAgent()
	}
	return a, err
}

func several(rows *sql.Rows, err error) ([]*record, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*record
	for rows.Next() {
		a, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

func ownedAfter(tx *sqldb.Tx, owner event.PersonID, sort string, after event.AgentID, limit int) ([]*record, error) {
	from := &record{created: -1}
	if after != "" {
		a, err := find(tx, string(after))
		if err != nil {
			return nil, err
		}
		if a.owner != owner {
			return nil, unknownAgent()
		}
		from = a
	}
	if sort == SortCreated {
		return several(tx.Query(`select `+columns+` from agents where owner_id = $1 and not retired and (created_at, id) > ($2, $3) order by created_at, id limit $4`,
			owner, from.created, from.id, limit))
	}
	return several(tx.Query(`select `+columns+` from agents where owner_id = $1 and not retired and (name, id) > ($2, $3) order by name, id limit $4`,
		owner, from.name, from.id, limit))
}

// Called is what an agent is called.
type Called struct {
	ID   event.AgentID
	Slug string
	Name string
}

// Called lists what the caller's agents are called, by name and id, at most limit.
func (s *Service) Called(ctx context.Context, limit int) (out []Called, err error) {
	p := authz.From(ctx)
	if err := p.Check(authz.Agent, authz.List, (&record{owner: p.Person}).relation(p)...); err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select id, slug, name from agents where owner_id = $1 and not retired order by name, id limit $2`, p.Person, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c Called
			if err := rows.Scan(&c.ID, &c.Slug, &c.Name); err != nil {
				return err
			}
			out = append(out, c)
		}
		return rows.Err()
	})
	return out, err
}

func ownedBy(tx *sqldb.Tx, owner event.PersonID) ([]*record, error) {
	return several(tx.Query(`select `+columns+` from agents where owner_id = $1 and not retired order by id`, owner))
}

func put(tx *sqldb.Tx, a *record, insert bool) error {
	baseline, err := json.Marshal(a.baseline)
	if err != nil {
		return err
	}
	approval, err := json.Marshal(a.approval)
	if err != nil {
		return err
	}
	if insert {
		_, err := tx.Exec(`insert into agents (`+columns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)`,
			a.id, a.owner, a.slug, a.name, a.created, a.updated, a.version, a.ownerVersion, a.texts, a.acts, string(a.raw), string(baseline),
			a.learning, a.stops, a.pace, string(approval), a.moodOff, a.moodValence, a.moodArousal, a.asking.Intensity, a.asking.Every, a.quiet.Zone, a.quiet.From, a.quiet.To, a.retired)
		return err
	}
	// Two that read the same state cannot both have it: acts is the fence.
	n, err := tx.Exec(`update agents set owner_id = $1, slug = $2, name = $3, updated_at = $4, version = $5, owner_version = $6, texts = $7, acts = $8,
			document = $9, baseline = $10, learning = $11, stops = $12, pace = $13, approval = $14, mood_off = $15, mood_valence = $16, mood_arousal = $17, asking = $18, ask_every = $19, quiet_zone = $20, quiet_from = $21, quiet_to = $22, retired = $23
		where id = $24 and acts = $25`,
		a.owner, a.slug, a.name, a.updated, a.version, a.ownerVersion, a.texts, a.acts, string(a.raw), string(baseline),
		a.learning, a.stops, a.pace, string(approval), a.moodOff, a.moodValence, a.moodArousal, a.asking.Intensity, a.asking.Every, a.quiet.Zone, a.quiet.From, a.quiet.To, a.retired, a.id, a.acts-1)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "agent_changed", "Somebody else changed this agent at the same moment; look again and repeat it.")
	}
	return err
}

// freeSlug makes a name that a path can hold, and nobody else has.
func freeSlug(tx *sqldb.Tx, name string, id event.AgentID) (string, error) {
	stem := slug(name)
	for n := 1; n <= 20; n++ {
		s := stem
		if n > 1 {
			s = fmt.Sprintf("%s-%d", stem, n)
		}
		var is int64
		if taken, err := tx.Get(`select 1 from agents where slug = $1 or id = $2`, []any{s, s}, &is); err != nil || !taken {
			return s, err
		}
	}
	return stem + "-" + event.HashID(string(id))[:8], nil
}

// slug keeps letters and digits in lower case, of any script, with single
// dashes between; at most 40 of them.
func slug(name string) string {
	var b strings.Builder
	n, gap := 0, false
	for _, r := range strings.ToLower(name) {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = n > 0
		case n < 40:
			if gap {
				b.WriteByte('-')
				gap = false
			}
			b.WriteRune(r)
			n++
		}
	}
	if n == 0 {
		return "agent"
	}
	return b.String()
}

func textsOf(tx *sqldb.Tx, id event.AgentID, revision int64) (Texts, error) {
	var body string
	var out Texts
	ok, err := tx.Get(`select body from texts where agent_id = $1 and revision = $2`, []any{id, revision}, &body)
	if err == nil && !ok {
		err = fmt.Errorf("agent %s has no texts %d", id, revision)
	}
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal([]byte(body), &out)
}

func putTexts(tx *sqldb.Tx, a *record, texts Texts, at event.Micros) error {
	body, err := json.Marshal(texts)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into texts (agent_id, revision, body, at) values ($1, $2, $3, $4)`, a.id, a.texts, string(body), at)
	return err
}

func putVersion(tx *sqldb.Tx, a *record, d deed) error {
	causes, err := json.Marshal(notNil(d.causes))
	if err != nil {
		return err
	}
	verdicts, err := json.Marshal(notNil(d.verdicts))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into versions (agent_id, version, parent, document, texts, kind, by, actor, cause, causes, verdicts, at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		a.id, a.version, a.doc.Parent, string(a.raw), a.texts, d.kind, d.by, d.actor, d.cause, string(causes), string(verdicts), d.at)
	return err
}

func notNil[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// putLevels remembers the levels that a version moved. Drift is counted anew
// from a version that learning did not choose: an owner's act, a withdrawal, a
// bound.
func putLevels(tx *sqldb.Tx, before, after *record, d deed) error {
	anew := d.kind != event.ChangeLearned
	for i, level := range after.doc.Traits {
		t := policy.Trait(i)
		if before != nil && level == before.doc.Traits[i] && !(anew && d.traits.Has(t)) {
			continue
		}
		since := after.version
		if !anew {
			if _, err := tx.Get(`select since from levels where agent_id = $1 and trait = $2 order by version desc limit 1`,
				[]any{after.id, t.String()}, &since); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`insert into levels (agent_id, trait, version, since, level, at) values ($1, $2, $3, $4, $5, $6)`,
			after.id, t.String(), after.version, since, level, d.at); err != nil {
			return err
		}
	}
	return nil
}

// span gives the lowest and highest level a trait had at a time or later, since
// drift was last counted anew.
func span(tx *sqldb.Tx, id event.AgentID, t policy.Trait, from event.Micros) (lo, hi float64, err error) {
	_, err = tx.Get(`with
		newest as (select since from levels where agent_id = $1 and trait = $2 order by version desc limit 1),
		first  as (select coalesce(max(version), 0) as version from levels where agent_id = $3 and trait = $4 and at <= $5)
		select min(level), max(level) from levels, newest, first
		where agent_id = $6 and trait = $7 and levels.version >= newest.since and levels.version >= first.version`,
		[]any{id, t.String(), id, t.String(), from, id, t.String()}, &lo, &hi)
	return lo, hi, err
}

func putAudit(tx *sqldb.Tx, before, after *record, d deed) error {
	was, is, err := differ(before, after)
	if err != nil {
		return err
	}
	evidence, err := json.Marshal(notNil(d.causes))
	if err != nil {
		return err
	}
	verdicts, err := json.Marshal(notNil(d.verdicts))
	if err != nil {
		return err
	}
	_, err = tx.Exec(`insert into audit (id, agent_id, seq, at, actor, by, act, cause, evidence, before, after, verdicts, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		d.id, after.id, after.acts, d.at, d.actor, d.by, d.kind, d.cause, string(evidence), was, is, string(verdicts), after.version)
	return err
}

// differ gives the facts in which two states differ, as JSON objects.
func differ(before, after *record) (was, is string, err error) {
	a, b := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	old := map[string]any{}
	if before != nil {
		old = before.facts()
	}
	for name, v := range after.facts() {
		now, err := json.Marshal(v)
		if err != nil {
			return "", "", err
		}
		var then []byte
		if o, ok := old[name]; ok {
			if then, err = json.Marshal(o); err != nil {
				return "", "", err
			}
		}
		if string(now) != string(then) {
			b[name] = now
			if then != nil {
				a[name] = then
			}
		}
	}
	x, err := json.Marshal(a)
	if err != nil {
		return "", "", err
	}
	y, err := json.Marshal(b)
	return string(x), string(y), err
}

// facts is everything about an agent that audit speaks of; texts by their
// revision only.
func (a *record) facts() map[string]any {
	return map[string]any{
		"ownerId": a.owner, "version": a.version, "texts": a.texts, "baseline": a.baseline, "learning": a.learning,
		"stoppedBy": notNil(a.stops.names()), "pace": a.pace, "approval": a.approval,
		"mood": map[string]any{"off": a.moodOff, "baselineValence": a.moodValence, "baselineArousal": a.moodArousal}, "asking": a.asking, "quiet": a.quiet,
		"traits": a.doc.Traits, "actionPolicy": a.doc.ActionPolicy, "exploration": a.doc.Exploration, "memory": a.doc.Memory,
		"runtime": a.doc.Runtime, "pinned": a.doc.Pinned, "bounds": a.doc.Bounds, "autonomyLevel": a.doc.AutonomyLevel,
		"retired": a.retired,
	}
}

func audited(tx *sqldb.Tx, id string) (bool, error) {
	var is int64
	return tx.Get(`select 1 from audit where id = $1`, []any{id}, &is)
}

func person(tx *sqldb.Tx, id event.PersonID) (since event.Micros, erased bool, err error) {
	ok, err := tx.Get(`select since, erased from known_people where person_id = $1`, []any{id}, &since, &erased)
	if !ok {
		since = -1
	}
	return since, erased, err
}

func everywhere(tx *sqldb.Tx) (stopped bool, err error) {
	_, err = tx.Get(`select stopped from platform where one = 1`, nil, &stopped)
	return stopped, err
}

func countWaiting(tx *sqldb.Tx, id event.AgentID) (n int, err error) {
	_, err = tx.Get(`select count(*) from proposals where agent_id = $1 and status = 'waiting'`, []any{id}, &n)
	return n, err
}
