package agent

import (
	"cmp"
	"context"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// pageOfSwitch is how many agents are told of a global switch in one transaction.
const pageOfSwitch = 200

// KillAll is the global kill switch: no agent speaks or learns until ReviveAll.
// Agents made meanwhile are born stopped. It returns when every agent was told;
// throwing it again is harmless.
func (s *Service) KillAll(ctx context.Context) error { return s.throw(ctx, true) }

// ReviveAll lifts the global kill switch. Switches that owners and operators
// threw for single agents stay.
func (s *Service) ReviveAll(ctx context.Context) error { return s.throw(ctx, false) }

func (s *Service) throw(ctx context.Context, stopped bool) error {
	if err := authz.From(ctx).Check(authz.System, authz.Change); err != nil {
		return err
	}
	if err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into platform (one, stopped) values (1, $1) on conflict (one) do update set stopped = excluded.stopped`, stopped)
		return err
	}); err != nil {
		return err
	}
	return s.carryThrough(ctx)
}

// carryThrough tells every agent that has not heard how the global switch stands.
func (s *Service) carryThrough(ctx context.Context) error {
	for {
		var n int
		err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
			stopped, err := everywhere(tx)
			if err != nil {
				return err
			}
			query, kind := `stops < $1`, event.ChangeKilled // stopEverywhere is the highest bit
			if !stopped {
				query, kind = `stops >= $1`, event.ChangeRevived
			}
			all, err := several(tx.Query(`select `+columns+` from agents where `+query+` and not retired order by id limit $2`, stopEverywhere, pageOfSwitch))
			if err != nil {
				return err
			}
			for _, a := range all {
				before := *a
				a.stops ^= stopEverywhere
				d := deed{kind: kind, by: policy.ByPlatform, actor: cmp.Or(string(authz.From(ctx).Person), policy.ByPlatform), at: s.micros()}
				if err := commit(tx, &before, a, d); err != nil {
					return err
				}
			}
			n = len(all)
			return nil
		})
		if err != nil || n < pageOfSwitch {
			return err
		}
	}
}
