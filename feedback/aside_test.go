package feedback

import (
	"testing"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// An agent's message that is for the sessions of other agents, too, is one of its own
// session only: nobody takes part by it, nothing is learned of it, and it does not make
// a talk the newest.
func TestAnotherAgentsMessageTellsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	count := func(query string) (n int64) {
		t.Helper()
		if err := w.db.Read(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Get(query, nil, &n); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	parts, last := count(`select count(*) from participants`), count(`select last_at from sessions where session_id = 's1'`)
	m := agentSays("a6", 6, "x1")
	m.Author.AgentID, m.ReplyTo, m.Addressed = "mark", "m5", []event.AgentID{"luna"}
	m.Sessions = []event.MessageSession{{AgentID: "mark", SessionID: "s2"}, {AgentID: "luna", SessionID: "s1"}}
	answer := decision("d9", "e2", 200, policy.Neutral())
	answer.PersonID = ""
	w.happens(m, answer, agentSays("a7", 7, "d9"))
	if got := created(t, w.drain()); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	if n := count(`select count(*) from participants`); n != parts {
		t.Errorf("%d take part, %d before", n, parts)
	}
	if at := count(`select last_at from sessions where session_id = 's1'`); at != last {
		t.Errorf("the talk's last is %d, was %d", at, last)
	}
	if n := count(`select count(*) from messages where message_id = 'a6' and agent_id = 'mark' and session_id = 's2'`); n != 1 {
		t.Error("the message is not of its author's session")
	}
}
