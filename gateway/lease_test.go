package gateway

import (
	"context"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// Several processes over one database contend for the same turns, and one of them is
// killed again and again in the middle of its work: every message has one reply, one
// decision and one event, and no session two replies in the making.
func TestProcessesContend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.Lease = 300 * time.Millisecond; o.Clock = time.Now })
	w.now = time.Now().Add(-time.Minute) // leases run out by themselves here
	w.meet(mira)
	const messages, sessions = 36, 6
	for i := range messages {
		w.said(person(ann), "Hi", func(m *event.MessageCreated) {
			m.Sessions[0].SessionID = event.SessionID(rune('a' + i%sessions))
		})
	}
	w.model.set(func(m *model) { m.before = func() { time.Sleep(3 * time.Millisecond) } })
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 2)
	for range 2 {
		s := w.service(func(o *Options) { o.Lease = 300 * time.Millisecond; o.Workers = 3; o.Clock = time.Now })
		go func() { ended <- s.Run(ctx) }()
	}
	for range 12 { // dies with a turn in its hands, before or after it spoke
		s := w.service(func(o *Options) { o.Lease = 300 * time.Millisecond; o.Clock = time.Now })
		tn, err := s.lease(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if tn == nil {
			break
		}
		q := tn.question()
		p, committed, err := s.decide(ctx, q)
		if err != nil || committed() != nil {
			t.Fatal(err)
		}
		talk, err := s.talk(ctx, q, tn.message.MessageID, p, talkTokens)
		if err != nil {
			t.Fatal(err)
		}
		out := s.speak(ctx, p, talk, committed, func(string) error { return nil })
		if tn.lease%2 == 0 || out.text == "" {
			continue
		}
		if _, err := w.PostReply(ctx, Reply{DecisionID: q.decision, AgentID: mira, RoomID: hall, Text: out.text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.s.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
	<-ended
	replies, told := w.replies(), w.told()
	if len(replies) != messages || len(told) != messages || w.count(`select count(*) from decisions`) != messages || w.count(`select count(*) from turns where state <> 'done'`) != 0 {
		t.Fatalf("%d replies, %d events, %d decisions", len(replies), len(told), w.count(`select count(*) from decisions`))
	}
	seen := map[event.DecisionID]bool{}
	for _, e := range told {
		if seen[e.DecisionID] || e.Action != "reply" {
			t.Errorf("%+v", e)
		}
		seen[e.DecisionID] = true
	}
	if n := w.count(`select count(*) from episodes`); n != sessions {
		t.Errorf("%d episodes of %d sessions", n, sessions)
	}
}

// Two that reach for one turn at the same moment: one has it.
func TestOneTurnOneWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.meet(mira)
	w.said(person(ann), "Hi")
	w.said(person(ann), "Hi again") // the same session: nobody gets it meanwhile
	const workers = 8
	got := make(chan *turn, workers)
	for range workers {
		s := w.service()
		go func() {
			tn, err := s.lease(t.Context())
			if err != nil {
				t.Error(err)
			}
			got <- tn
		}()
	}
	n := 0
	for range workers {
		if tn := <-got; tn != nil {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d workers have it", n)
	}
	if err := w.db.Read(t.Context(), func(tx *sqldb.Tx) error {
		var leases int64
		_, err := tx.Get(`select sum(lease) from turns`, nil, &leases)
		if leases != 1 {
			t.Errorf("%d leases were given", leases)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
