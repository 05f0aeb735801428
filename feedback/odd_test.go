package feedback

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/policy"
)

// Two agents answer in one chain: each thumb is about the one that spoke, and only its
// owner gives it.
func TestTwoAgentsInOneChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	d := decision("x1", "f1", 300, policy.Neutral())
	d.AgentID, d.OwnerID, d.SessionID = "mark", "cid", "s2"
	said := agentSays("m6", 6, "x1")
	said.Author.AgentID, said.ReplyTo, said.Sessions = "mark", "m5", []event.MessageSession{{AgentID: "mark", SessionID: "s2"}}
	back := decision("d4", "e3", 400, policy.Neutral())
	answer := agentSays("m7", 7, "d4")
	answer.ReplyTo = "m6"
	w.happens(d, said, back, answer)
	w.drain()
	for _, c := range []struct {
		by      event.PersonID
		message event.MessageID
		agent   event.AgentID
		episode event.EpisodeID
	}{{"ann", "m5", "luna", "e2"}, {"cid", "m6", "mark", "f1"}, {"ann", "m7", "luna", "e3"}} {
		w.give(c.by, Opinion{Kind: "thumb", MessageID: c.message, Value: "up"})
		got := created(t, w.drain())
		if len(got) != 1 || got[0].AgentID != c.agent || got[0].OwnerID != c.by || got[0].Shares[0].EpisodeID != c.episode {
			t.Errorf("%s on %s: %+v", c.by, c.message, got)
		}
	}
	for person, message := range map[event.PersonID]event.MessageID{"ann": "m6", "cid": "m7"} {
		if _, err := w.s.Give(t.Context(), by(person), "", Opinion{Kind: "thumb", MessageID: message, Value: "up"}); err == nil {
			t.Errorf("%s gave a thumb for somebody else's agent", person)
		}
	}
}

// Who leaves and comes back is who they were: one rating of a session, not two.
func TestRejoining(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	first := w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "good"})
	w.happens(event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 3, People: []event.SessionPerson{{PersonID: "ben", Turns: 1, LeftAfter: true, Consent: true}}},
		event.RoomLeft{RoomID: "r1", Member: event.Member{Kind: event.KindPerson, PersonID: "ben"}}, event.RoomJoined{RoomID: "r1", Member: event.Member{Kind: event.KindPerson, PersonID: "ben"}})
	again := w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "meh"})
	if again.Supersedes != first.FeedbackID || again.Role != event.RoleParticipant {
		t.Errorf("%+v", again)
	}
	if n := w.count(`select count(*) from feedback_events where rater_id = 'ben' and channel = 'session' and live`); n != 1 {
		t.Errorf("%d ratings stand", n)
	}
}

// A foreign clock may say what it likes: what counts is when something arrived.
func TestClocksThatDisagree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	for i, at := range []event.Micros{day0.AddDate(-30, 0, 0).UnixMicro(), day0.AddDate(30, 0, 0).UnixMicro(), 0} {
		g := Given{FeedbackID: event.FeedbackID(fmt.Sprint("p", i)), RaterID: "zoe", MessageID: "m2", Mark: 1 - 2*(i%2), Press: true, OccurredAt: at}
		rs, err := w.s.GiveAll(t.Context(), []Given{g})
		if err != nil || rs[0].Status != Stored {
			t.Errorf("%d: %+v %v", at, rs, err)
		}
	}
	got := created(t, w.drain())
	if len(got) != 3 || got[1].Supersedes != "p0" || got[2].Supersedes != "p1" {
		t.Errorf("the order is not that of arrival: %+v", got)
	}
	w.later(15 * 24 * time.Hour)
	fresh := Given{FeedbackID: "p9", RaterID: "zoe", MessageID: "m2", Mark: 1, Press: true, OccurredAt: day0.UnixMicro()}
	if rs, err := w.s.GiveAll(t.Context(), []Given{fresh}); err != nil || !fault.Is(rs[0].Err, "feedback_too_late") {
		t.Errorf("a foreign clock made it early enough: %+v %v", rs, err)
	}
	// Our own clock that goes back makes nothing late, and no account new.
	w.later(-20 * 24 * time.Hour)
	if r := w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"}); r.Status != Stored {
		t.Errorf("%+v", r)
	}
}

// Two hundred reactions to one message are two hundred voices, each once.
func TestTwoHundredReactions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	people := crowd(200)
	for _, p := range people {
		w.happens(event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: p, Emoji: "👍", Consent: true})
	}
	got := created(t, w.drain())
	if len(got) != len(people) {
		t.Errorf("%d of %d count", len(got), len(people))
	}
	least := 1.
	for _, f := range got {
		least = min(least, f.Weight)
	}
	if d := cmp.Diff(.25, least); d != "" {
		t.Errorf("new accounts in a burst count %v", least)
	}
	w.happens(event.MessageDeleted{RoomID: "r1", MessageID: "m2"})
	if gone := retracted(t, w.drain()); len(gone) != len(people) {
		t.Errorf("%d of them went with the message", len(gone))
	}
}
