package feedback

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
)

// reacts lets people react to messages, and gives what each reaction counts for.
func (w *world) reacts(emoji string, message event.MessageID, people ...event.PersonID) (weights []float64) {
	w.t.Helper()
	for _, p := range people {
		w.happens(event.ReactionAdded{RoomID: "r1", MessageID: message, PersonID: p, Emoji: emoji, Consent: true})
		for _, f := range created(w.t, w.drain()) {
			if f.Weight == 0 {
				f.Weight = 1
			}
			weights = append(weights, f.Weight)
		}
	}
	return weights
}

func crowd(n int) (out []event.PersonID) {
	for i := range n {
		out = append(out, event.PersonID(fmt.Sprintf("new-%02d", i)))
	}
	return out
}

// Ten new accounts praise one agent: each counts for half, from the fifth within the
// hour on for a quarter, and in step for an eighth. None is excluded.
func TestTenNewAccountsPraise(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Window: 100 * 24 * time.Hour})
	w.scene()
	for i := range 4 { // the messages m10 … m13
		w.happens(agentSays(fmt.Sprintf("m1%d", i), int64(20+i), "d3"))
	}
	ten := crowd(10)
	for _, p := range append(ten, "old") {
		w.happens(event.AccountCreated{PersonID: p})
	}
	got := w.reacts("👍", "m2", ten...)
	if d := cmp.Diff([]float64{.5, .5, .5, .5, .25, .25, .25, .25, .25, .25}, got); d != "" {
		t.Error(d)
	}
	for _, m := range []event.MessageID{"m10", "m11", "m12"} {
		w.reacts("👍", m, ten[0], ten[1])
	}
	if got := w.reacts("👍", "m13", ten[0], ten[1]); !cmp.Equal(got, []float64{.125, .125}) {
		t.Errorf("two in step count %v", got)
	}
	// Who disagrees with them is in no burst of theirs.
	if got := w.reacts("👎", "m10", ten[9]); !cmp.Equal(got, []float64{.5}) {
		t.Errorf("another opinion counts %v", got)
	}
	// An account of two weeks counts fully, in the middle of it all.
	w.later(15 * 24 * time.Hour)
	for _, p := range ten[:6] {
		w.happens(event.AccountCreated{PersonID: "other" + p})
		w.reacts("👍", "m4", "other"+p)
	}
	if got := w.reacts("👍", "m4", "old"); !cmp.Equal(got, []float64{1}) {
		t.Errorf("an old account counts %v", got)
	}
	// One that nobody told of, too: its oldest feedback says how old it is.
	if got := w.reacts("👍", "m5", "nobody"); got[0] >= 1 {
		t.Errorf("an account that is not known counts %v", got)
	}
	w.later(15 * 24 * time.Hour)
	if got := w.reacts("👍", "m4", "nobody"); !cmp.Equal(got, []float64{1}) {
		t.Errorf("weeks later it counts %v", got)
	}
}

// An owner who rates through a second account is a guest; from where the owner is, half a guest.
func TestOwnersSecondAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Key: []byte("key"), Window: 100 * 24 * time.Hour})
	w.scene()
	for _, p := range []event.PersonID{"ann", "ben", "second"} {
		w.happens(event.AccountCreated{PersonID: p})
	}
	w.later(20 * 24 * time.Hour)
	w.happens(agentSays("m21", 21, ""), personSays("m22", "second", 22, "m21"))
	w.drain()
	h := w.api() // every request comes from 192.0.2.1
	a := ask(h, "ann", "POST", "/v1/feedback", `{"kind":"check_in","agentId":"luna","value":"better"}`)
	b := ask(h, "second", "POST", "/v1/feedback", `{"kind":"session","sessionId":"s1","value":"loved"}`)
	if a.status != 201 || b.status != 201 {
		t.Fatalf("%d %s, %d %s", a.status, a.body, b.status, b.body)
	}
	got := created(t, w.drain())
	last := got[len(got)-1]
	if last.RaterID != "second" || last.Role != event.RoleParticipant || last.Weight != .5 {
		t.Errorf("the second account: %+v", last)
	}
	if got[0].Weight != 0 {
		t.Errorf("the owner: %+v", got[0])
	}
	// A reaction brings no origin; that of the person's other feedback tells.
	if got := w.reacts("👍", "m21", "second"); !cmp.Equal(got, []float64{.5}) {
		t.Errorf("the second account's reaction counts %v", got)
	}
	if got := w.reacts("👍", "m21", "ben"); !cmp.Equal(got, []float64{1}) {
		t.Errorf("a guest from nowhere counts %v", got)
	}
	if n := w.count(`select count(*) from feedback_events where origin <> '' and (length(origin) <> 8 or origin like '%192%')`); n != 0 {
		t.Error("an address is kept")
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	s := &Service{key: []byte("key")}
	at := day0.UnixMicro()
	of := func(a string) string { return s.origin(netip.MustParseAddr(a), at) }
	for _, a := range []string{"127.0.0.1", "::1", "10.1.2.3", "192.168.0.4", "fe80::1", "fd00::1", "0.0.0.0"} {
		if of(a) != "" {
			t.Errorf("%s tells something", a)
		}
	}
	if of("203.0.113.5") == "" || of("203.0.113.5") != of("203.0.113.77") || of("203.0.113.5") == of("203.0.114.5") {
		t.Error("a bucket is not a network of 24 bits")
	}
	if of("2001:db8:1::1") != of("2001:db8:1:2::1") || of("2001:db8:1::1") == of("2001:db8:2::1") {
		t.Error("a bucket is not a network of 48 bits")
	}
	if of("203.0.113.5") == s.origin(netip.MustParseAddr("203.0.113.5"), at+newFor) {
		t.Error("a bucket lasts longer than two weeks")
	}
	if (&Service{key: []byte("other")}).origin(netip.MustParseAddr("203.0.113.5"), at) == of("203.0.113.5") {
		t.Error("who lacks the key can make buckets")
	}
	if (&Service{}).origin(netip.MustParseAddr("203.0.113.5"), at) != "" || s.origin(netip.Addr{}, at) != "" {
		t.Error("without a key or an address there is none")
	}
}

// A button on another platform: the owner's is a thumb, anybody else's a reaction, the
// newest of a person counts.
func TestPresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 4})
	w.scene()
	yes := func(id string, rater event.PersonID, mark int) Given {
		return Given{FeedbackID: event.FeedbackID(id), RaterID: rater, MessageID: "m2", Mark: mark, Press: true, Comment: "because " + id}
	}
	give := func(gs ...Given) (out []string) {
		rs, err := w.s.GiveAll(t.Context(), gs)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			code, _ := refusal(r.Err)
			out = append(out, r.Status+code)
		}
		return out
	}
	got := give(yes("p1", "ann", 1), yes("p2", "zoe", 1), yes("p3", "zoe", -1), yes("p2", "zoe", 1), yes("p4", "zoe", 0), Given{FeedbackID: "p5", RaterID: "zoe", Press: true, Mark: 1})
	if d := cmp.Diff([]string{Stored, Stored, Stored, Duplicate, "refusedunknown_value", "refusedbad_id"}, got); d != "" {
		t.Error(d)
	}
	events := w.drain()
	fs := created(t, events)
	if len(fs) != 3 || fs[0].Channel != event.ChannelThumb || fs[0].Role != event.RoleOwner || fs[1].Channel != event.ChannelReaction || fs[1].Role != event.RoleParticipant ||
		fs[1].Source != sourceParticipant || fs[2].Score != -1 || fs[2].Supersedes != "p2" {
		t.Errorf("%+v", fs)
	}
	// The limit holds here too, per person.
	if d := cmp.Diff([]string{Stored, "refusedtoo_much_feedback", Stored}, give(yes("p6", "zoe", 1), yes("p7", "zoe", -1), yes("p8", "ann", -1))); d != "" {
		t.Error(d)
	}
	// A decision is no capability: somebody there must have brought it.
	w.later(time.Minute)
	on := func(id string, rater, voucher event.PersonID) Given {
		return Given{FeedbackID: event.FeedbackID(id), RaterID: rater, DecisionID: "d2", Mark: 1, Press: true, VouchedBy: voucher}
	}
	if d := cmp.Diff([]string{"refusednot_found", "refusednot_found", Stored, Stored, Stored}, give(on("q1", "zoe", ""), on("q2", "zoe", "cid"), on("q3", "zoe", "ann"), on("q4", "ben", ""), on("q5", "ann", ""))); d != "" {
		t.Error(d)
	}
	// In a protected room only the owner's counts.
	hidden := agentSays("m30", 30, "")
	hidden.Protected = true
	w.happens(hidden)
	w.later(time.Minute)
	z, a := yes("s1", "zoe", 1), yes("s2", "ann", 1)
	z.MessageID, a.MessageID = "m30", "m30"
	if d := cmp.Diff([]string{"refusedprotected", Stored}, give(z, a)); d != "" {
		t.Error(d)
	}
}
