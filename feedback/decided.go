package feedback

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// Decisions come as often as agents speak. A run of them in a batch is written together,
// as if they had come one by one.

// decided is a decision that has no row yet.
type decided struct {
	event.ReplyGenerated
	at event.Micros
}

// decided notes a decision; the first of a run follows events that may have been about
// others.
func (s *Service) decided(h *habits, e event.Event, p event.ReplyGenerated) error {
	if len(h.decisions) == 0 {
		if err := h.sees(); err != nil {
			return err
		}
	}
	h.decisions = append(h.decisions, decided{p, e.Time})
	return s.releaseAt(h, e, string(p.DecisionID), string(p.MessageID), string(p.SessionID))
}

// decide gives the decisions their rows, and those that are new their part in sessions.
func (h *habits) decide() error {
	run := h.decisions
	if len(run) == 0 {
		return nil
	}
	h.decisions = h.decisions[:0]
	levels, err := h.levels(run)
	if err != nil {
		return err
	}
	var rows []any
	for _, d := range run {
		trait, sign, tone := leaning(levels[d.AgentID], d.Rendered)
		rows = append(rows, string(d.DecisionID), string(d.AgentID), string(d.SessionID), string(d.EpisodeID), d.EpisodeStart, string(d.RoomID), string(d.MessageID),
			d.Context, list(d.Tags), d.Protected, trait, sign, d.at, tone)
	}
	fresh := make(map[event.DecisionID]bool, len(run))
	if err := h.tx.QueryMany(`insert into decisions (decision_id, agent_id, session_id, episode_id, start, room_id, message_id, context, tags, protected, lean_trait, lean_sign, at, new_tone) values `,
		14, ` on conflict do nothing returning decision_id`, rows, func(rows *sql.Rows) error {
			var id event.DecisionID
			err := rows.Scan(&id)
			fresh[id] = true
			return err
		}); err != nil {
		return err
	}
	var parts sittings
	for i := range run {
		if d := &run[i]; fresh[d.DecisionID] && d.SessionID != "" {
			parts.add(d)
		}
		delete(fresh, run[i].DecisionID)
	}
	return parts.save(h.tx)
}

// levels are the policies of the agents that decided.
func (h *habits) levels(run []decided) (map[event.AgentID]*policy.Traits, error) {
	out := map[event.AgentID]*policy.Traits{}
	var ids []any
	for _, d := range run {
		if _, asked := out[d.AgentID]; !asked {
			out[d.AgentID] = nil
			ids = append(ids, string(d.AgentID))
		}
	}
	return out, h.tx.QueryMany(`select agent_id, traits from agents where agent_id in (`, 0, `)`, ids, func(rows *sql.Rows) error {
		var id event.AgentID
		var levels string
		if err := rows.Scan(&id, &levels); err != nil {
			return err
		}
		out[id] = &policy.Traits{}
		if err := json.Unmarshal([]byte(levels), out[id]); err != nil {
			return fmt.Errorf("levels of %s: %w", id, err)
		}
		return nil
	})
}

// lean is the least deviation from the policy that more or less can be about.
const lean = .02

// leaning is the trait that a decision rendered farthest from the policy, with the
// sign and how far; none below lean, or of an agent that is not known.
func leaning(theta *policy.Traits, rendered []float64) (trait string, sign int, tone float64) {
	if theta == nil || len(rendered) != policy.NTraits {
		return "", 0, 0
	}
	far := lean - 1e-9
	for i, x := range rendered {
		if d := x - theta[i]; math.Abs(d) >= far {
			far, tone = math.Abs(d)+1e-9, math.Abs(d)
			trait, sign = policy.Trait(i).String(), 1
			if d < 0 {
				sign = -1
			}
		}
	}
	return trait, sign, tone
}

// sittings is what new decisions say of the sessions they were made in.
type sittings struct {
	of       map[event.SessionID]*sitting
	sessions []*sitting
	spoken   map[episode]*speech
	episodes []*speech
	took     map[part]bool
	parts    []any
}

// sitting is what all decisions of a session come to.
type sitting struct {
	*decided        // the first
	context  string // of the last
	shielded bool   // one was protected
	at       event.Micros
	lively   bool // one was for a person, or began a talk: the session's time is that of the last such
}

type episode struct {
	session event.SessionID
	id      event.EpisodeID
}

// speech counts the messages of an episode that began at start.
type speech struct {
	episode
	start event.Micros
	n     int
}

func (s *sittings) add(d *decided) {
	if s.of == nil {
		s.of, s.spoken, s.took = map[event.SessionID]*sitting{}, map[episode]*speech{}, map[part]bool{}
	}
	in := s.of[d.SessionID]
	if in == nil {
		in = &sitting{decided: d, at: d.at}
		s.of[d.SessionID] = in
		s.sessions = append(s.sessions, in)
	}
	in.context, in.shielded = d.Context, in.shielded || d.Protected
	if d.PersonID != "" || d.Begins != "" {
		in.at, in.lively = d.at, true
	}
	if d.Action == "reply" {
		id := episode{d.SessionID, d.EpisodeID}
		if s.spoken[id] == nil {
			s.spoken[id] = &speech{id, d.EpisodeStart, 0}
			s.episodes = append(s.episodes, s.spoken[id])
		}
		s.spoken[id].n++
	}
	if p := (part{d.SessionID, d.PersonID}); p.person != "" && !s.took[p] {
		s.took[p] = true
		s.parts = append(s.parts, string(p.session), string(p.person))
	}
}

func (s *sittings) save(tx *sqldb.Tx) error {
	var quiet, lively, episodes []any
	for _, in := range s.sessions {
		rows := &quiet
		if in.lively {
			rows = &lively
		}
		*rows = append(*rows, string(in.SessionID), string(in.AgentID), string(in.RoomID), in.context, in.shielded, false, in.at)
	}
	for _, e := range s.episodes {
		episodes = append(episodes, string(e.session), string(e.id), e.start, e.n)
	}
	const (
		put = `insert into sessions (session_id, agent_id, room_id, context, protected, imported, last_at) values `
		set = ` on conflict (session_id) do update set context = excluded.context, protected = (sessions.protected or excluded.protected)`
	)
	if _, err := tx.ExecMany(put, 7, set, quiet); err != nil {
		return err
	}
	if _, err := tx.ExecMany(put, 7, set+`, last_at = excluded.last_at`, lively); err != nil {
		return err
	}
	if _, err := tx.ExecMany(`insert into episodes (session_id, episode_id, start, messages) values `, 4,
		` on conflict (session_id, episode_id) do update set messages = episodes.messages + excluded.messages`, episodes); err != nil {
		return err
	}
	_, err := tx.ExecMany(`insert into participants (session_id, person_id) select column1, column2 from (values `, 2,
		`) v where not exists (select 1 from erased where person_id = column2) on conflict do nothing`, s.parts)
	return err
}
