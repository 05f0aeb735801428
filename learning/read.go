package learning

import (
	"context"

	"rapport/internal/sqldb"
)

// entries reads the whole list of an agent.
func (s *Service) entries(ctx context.Context, agent string) (list []*Entry, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		list, err = readEntries(tx, agent)
		return err
	})
	return list, err
}

func readEntries(tx *sqldb.Tx, agent string) ([]*Entry, error) {
	var n int
	var newest []byte
	found, err := tx.Get(`select entries, newest from rl_learners where agent_id = $1`, []any{agent}, &n, &newest)
	if err != nil || !found {
		return nil, err
	}
	b := newBook(n, newest, nil)
	if err := loadFrom(tx, agent, &b, 0); err != nil {
		return nil, err
	}
	return b.list()
}
