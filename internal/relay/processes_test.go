package relay

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"rapport/internal/sqldb"
	"rapport/internal/sqldb/sqldbtest"
)

// Two processes emit about the same agents from one database, while a publisher
// empties its outbox: nothing is lost, nothing comes twice, and what one process
// said about an agent is heard in the order in which it was committed.
func TestTwoProcessesEmit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	start(t, w.relay)
	other, err := sqldb.Open(t.Context(), sqldbtest.Options(t, filepath.Join(w.dir, "feedback.db"), "feedback"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var mu sync.Mutex
	var all []pair // in the order of the commits
	n := 0
	var wg sync.WaitGroup
	for _, db := range []*sqldb.DB{w.feedback, other} {
		for writer := range 3 {
			wg.Go(func() {
				for i := range 40 {
					var p pair
					if err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
						mu.Lock()
						n++
						p = pair{fmt.Sprint("agent-", (writer+i)%3), n}
						all = append(all, p)
						mu.Unlock()
						return Emit(tx, said(fmt.Sprintf("said-%d", p.n), p.agent, p.n))
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	idle(t, w.relay)
	if err := w.expect(t.Context(), all); err != nil {
		t.Error(err)
	}
}
