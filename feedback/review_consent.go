package feedback

import (
	"context"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/sqldb"
)

// ReviewConsent is whether what a person says with agents may be shown to reviewers,
// without names. Until they say so, never.
type ReviewConsent struct {
	Everywhere bool         `json:"everywhere" doc:"In talks with any agent, and all agents of yours, where the list does not say otherwise."`
	Agents     []AgentWords `json:"agents" doc:"Your word on single agents, by id."`
}

// AgentWords is one word on one agent.
type AgentWords struct {
	AgentID event.AgentID `json:"agentId"`
	Consent bool          `json:"consent"`
}

// ReviewConsentOf gives the principal's own.
func (s *Service) ReviewConsentOf(ctx context.Context, p authz.Principal) (c ReviewConsent, err error) {
	c.Agents = []AgentWords{}
	if p.Person == "" {
		return c, p.Check(authz.Consent, authz.Read)
	}
	if err := p.Check(authz.Consent, authz.Read, authz.Self); err != nil {
		return c, err
	}
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(`select agent_id, consent from review_consents where person_id = $1 order by agent_id`, p.Person)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var w AgentWords
			if err := rows.Scan(&w.AgentID, &w.Consent); err != nil {
				return err
			}
			if w.AgentID == "" {
				c.Everywhere = w.Consent
			} else {
				c.Agents = append(c.Agents, w)
			}
		}
		return rows.Err()
	})
	return c, err
}

// ReviewConsentChange is a word on one agent, or on all when it names none.
type ReviewConsentChange struct {
	AgentID event.AgentID `json:"agentId,omitempty" maxLength:"64" doc:"Left out: all agents on which you said nothing else."`
	Consent bool          `json:"consent"`
}

// SetReviewConsent gives or takes the principal's consent. Taking it works at once: an
// exchange that a reviewer has open vanishes. Fault not_found for an agent.
func (s *Service) SetReviewConsent(ctx context.Context, p authz.Principal, c ReviewConsentChange) (ReviewConsent, error) {
	if err := selfOf(p, authz.Consent); err != nil {
		return ReviewConsent{}, err
	}
	now := s.now()
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if c.AgentID != "" {
			if known, err := tx.Get(`select 1 from agents where agent_id = $1`, []any{c.AgentID}, new(int)); err != nil || !known {
				if err == nil {
					err = errNotFound
				}
				return err
			}
		}
		_, err := tx.Exec(`insert into review_consents (person_id, agent_id, consent, at) values ($1, $2, $3, $4)
			on conflict (person_id, agent_id) do update set consent = excluded.consent, at = excluded.at`, p.Person, c.AgentID, c.Consent, now)
		return err
	})
	if err != nil {
		return ReviewConsent{}, err
	}
	return s.ReviewConsentOf(ctx, p)
}

// agreed is a condition: the person of the column has consented in talks with the
// agent of the other one. Their word on the agent goes before their word on all.
func agreed(person, agent string) string {
	return `coalesce((select c.consent from review_consents c where c.person_id = ` + person + ` and c.agent_id = ` + agent + `),
		(select c.consent from review_consents c where c.person_id = ` + person + ` and c.agent_id = ''), false)`
}

// mayShow says whether a person lets reviewers read what they say with an agent, and
// is not protected now.
func mayShow(tx *sqldb.Tx, person event.PersonID, agent event.AgentID, now event.Micros) (bool, error) {
	if guarded, err := isProtected(tx, person, now); err != nil || guarded {
		return false, err
	}
	var yes bool
	_, err := tx.Get(`select `+agreed("q.person_id", "q.agent_id")+` from (select cast($1 as text) as person_id, cast($2 as text) as agent_id) q`, []any{person, agent}, &yes)
	return yes, err
}
