package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/internal/fault"
	"rapport/internal/sequential"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// The limits of a trial.
const (
	trialAlpha    = .05
	trialSessions = 20                                                    // of one agent that count, so that nobody decides for all
	trialRest     = event.Micros(30 * time.Minute / time.Microsecond)     // since the last rating of a session, until it counts
	trialPatience = event.Micros(180 * 24 * time.Hour / time.Microsecond) // until an undecided trial is reverted
)

// TryRules gives a proposal to a share of the sessions that begin from now on. Which
// those are is drawn per session, with the probability on every decision; an
// always-valid confidence sequence of what people think of both kinds publishes the
// version by itself when it is not worse, and reverts it when it is.
//
// Faults: rules_unknown, rules_decided (also on trial already), rules_moved,
// rules_unmeasured, invalid_share.
func (s *Service) TryRules(ctx context.Context, version int64, share float64) (RuleVersion, error) {
	if !(share >= .01 && share <= .9) {
		return RuleVersion{}, fault.New(fault.Invalid, "invalid_share", "Try rules on a share of the sessions from 0.01 to 0.9.")
	}
	trial, err := json.Marshal(sequential.NewCanary(share, -1, 1, trialAlpha))
	if err != nil {
		return RuleVersion{}, err
	}
	return s.aboutRules(ctx, version, func(tx *sqldb.Tx, all []*stored, r *stored) error {
		if err := r.open(all); err != nil {
			return err
		}
		if r.Status == RulesTried {
			return fault.New(fault.Conflict, "rules_decided", "Version %d is on trial already.", version)
		}
		if err := s.move(tx, r, RulesTried, ""); err != nil {
			return err
		}
		_, err := tx.Exec(`update mapping_rules set share = $1, trial = $2 where version = $3`, share, string(trial), version)
		return err
	})
}

// side draws on which side of a trial a session is, when it begins. Sessions that
// began before the trial have no part in it.
func (s *Service) side(e *episode, agent event.AgentID, session event.SessionID, set *ruleSet) {
	if set.tried == nil {
		return
	}
	e.rulesTried = set.tried.Version
	draw := policy.NewStream(s.mac("rules", string(agent), string(session), fmt.Sprint(set.tried.Version)))
	e.rulesGot = draw.Float64() < set.share
}

// rulesOf gives what the session's replies are compiled with, and how likely that was:
// 0 where no trial concerns it.
func (v *view) rulesOf(e *episode) (p *compile.Prepared, share float64) {
	switch {
	case v.tried == nil || e.rulesTried != v.set.tried.Version:
		return v.prepared, 0
	case e.rulesGot:
		return v.tried, v.set.share
	}
	return v.prepared, 1 - v.set.share
}

// compiledWith gives what a decision was compiled with, or what is in force when that
// version is on trial no more.
func (v *view) compiledWith(version int64) *compile.Prepared {
	if v.tried != nil && v.set.tried.Version == version {
		return v.tried
	}
	return v.prepared
}

// onTrial notes a session that a trial may count.
func onTrial(tx *sqldb.Tx, n entry) error {
	_, err := tx.Exec(`insert into rule_sessions (agent_id, session_id, version, got, counted) values ($1, $2, $3, $4, $5) on conflict (agent_id, session_id) do nothing`,
		n.Agent, n.Session, n.RulesTried, n.RulesGot, false)
	return err
}

// rated notes what a person thinks of a session that is on trial, or of a message in it.
func (s *Service) rated(tx *sqldb.Tx, p event.FeedbackCreated, at event.Micros) error {
	judged := p.Channel == event.ChannelSession || p.Channel == event.ChannelThumb
	told := p.Role == event.RoleOwner || p.Role == event.RoleParticipant
	if !judged || !told || p.Imported || p.SessionID == "" {
		return nil
	}
	if set := s.set.Load(); set.tried == nil && !s.outdated.Load() {
		return nil
	}
	if on, err := tx.Get(`select 1 from rule_sessions where agent_id = $1 and session_id = $2`, []any{p.AgentID, p.SessionID}, new(int)); err != nil || !on {
		return err
	}
	_, err := tx.Exec(`insert into rule_ratings (feedback_id, agent_id, session_id, channel, score, at) values ($1, $2, $3, $4, $5, $6) on conflict (feedback_id) do nothing`,
		p.FeedbackID, p.AgentID, p.SessionID, p.Channel, min(1, max(-1, p.Score)), at)
	return err
}

// judged is a session that its people have judged.
type judged struct {
	agent   event.AgentID
	session event.SessionID
	got     bool
	score   float64
}

// hearTrial counts the sessions that were rated since, each once, and carries out what
// the trial then says.
func (s *Service) hearTrial(ctx context.Context) error {
	if set, err := s.current(ctx); err != nil || set.tried == nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		all, err := ruleVersions(tx)
		if err != nil {
			return err
		}
		var r *stored
		for _, one := range all {
			if one.Status == RulesTried {
				r = one
			}
		}
		if r == nil {
			return nil
		}
		c, ok := r.canary()
		if !ok {
			return s.move(tx, r, RulesReverted, "its trial could not be read")
		}
		list, err := s.judgements(tx, r.Version)
		if err != nil {
			return err
		}
		for _, j := range list {
			n := 0
			if _, err := tx.Get(`select count(*) from rule_sessions where agent_id = $1 and version = $2 and counted = $3`, []any{j.agent, r.Version, true}, &n); err != nil {
				return err
			}
			if _, err := tx.Exec(`update rule_sessions set counted = $1 where agent_id = $2 and session_id = $3`, true, j.agent, j.session); err != nil {
				return err
			}
			if n >= trialSessions {
				continue
			}
			if _, err := c.Add(j.got, j.score); err != nil {
				return err
			}
		}
		if len(list) > 0 {
			body, err := json.Marshal(c)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`update mapping_rules set trial = $1 where version = $2`, string(body), r.Version); err != nil {
				return err
			}
		}
		lo, hi := c.Difference()
		heard := fmt.Sprintf("%d sessions with it against %d without", c.With.N, c.Without.N)
		switch {
		case c.Decided == sequential.Revert:
			return s.move(tx, r, RulesReverted, fmt.Sprintf("worse: sessions are rated between %.3f and %.3f lower; %s", -hi, -lo, heard))
		case c.Decided == sequential.Adopt:
			return s.publish(tx, r, fmt.Sprintf("not worse by %.2f: sessions are rated between %+.3f and %+.3f higher; %s", c.Margin, lo, hi, heard))
		case s.now() > r.Since+trialPatience:
			return s.move(tx, r, RulesReverted, "undecided after 180 days; "+heard)
		}
		return nil
	})
}

// judgements gives the sessions on trial that wait to be counted, in the order of
// their last rating: the newest level of the session, or the mean of its thumbs.
func (s *Service) judgements(tx *sqldb.Tx, version int64) (out []judged, err error) {
	rows, err := tx.Query(`select s.agent_id, s.session_id, s.got, r.channel, r.score, l.last_at
		from rule_sessions s
		join (select agent_id, session_id, max(at) last_at from rule_ratings group by agent_id, session_id) l on l.agent_id = s.agent_id and l.session_id = s.session_id
		join rule_ratings r on r.agent_id = s.agent_id and r.session_id = s.session_id
		where s.version = $1 and s.counted = $2 and l.last_at <= $3
		order by l.last_at, s.agent_id, s.session_id, r.at desc, r.feedback_id`, version, false, s.now()-trialRest)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	thumbs, level := 0, false // of the last one in out
	for rows.Next() {
		var j judged
		var channel string
		var last event.Micros
		if err := rows.Scan(&j.agent, &j.session, &j.got, &channel, &j.score, &last); err != nil {
			return nil, err
		}
		if n := len(out); n == 0 || out[n-1].agent != j.agent || out[n-1].session != j.session {
			thumbs, level = 0, false
			out = append(out, judged{agent: j.agent, session: j.session, got: j.got})
		}
		here := &out[len(out)-1]
		switch {
		case level:
		case channel == event.ChannelSession:
			here.score, level = j.score, true
		default:
			thumbs++
			here.score += (j.score - here.score) / float64(thumbs)
		}
	}
	return out, errors.Join(rows.Err(), rows.Close())
}
