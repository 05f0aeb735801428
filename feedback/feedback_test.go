package feedback

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
)

func TestVocabulary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	share1 := []event.Share{{EpisodeID: "e1", Start: 100, Weight: 1}}
	for _, c := range []struct {
		o         Opinion
		score     float64
		level     string
		direction *event.Direction
		shares    []event.Share
		silent    bool
		channel   string
	}{
		{o: Opinion{Kind: "session", SessionID: "s1", Value: "loved"}, score: 1, level: "loved", channel: "session"},
		{o: Opinion{Kind: "session", SessionID: "s1", Value: "good"}, score: .5, level: "good", channel: "session"},
		{o: Opinion{Kind: "session", SessionID: "s1", Value: "meh"}, score: -.25, level: "meh", channel: "session"},
		{o: Opinion{Kind: "session", SessionID: "s1", Value: "not_great"}, score: -1, level: "not_great", channel: "session"},
		{o: Opinion{Kind: "session", SessionID: "s1", Value: "up"}, score: 1, channel: "session"},
		{o: Opinion{Kind: "session", SessionID: "s1", Value: "down", Comment: "tired"}, score: -1, channel: "session"},
		{o: Opinion{Kind: "thumb", MessageID: "m2", Value: "up"}, score: 1, shares: share1, channel: "thumb"},
		{o: Opinion{Kind: "thumb", DecisionID: "d1", Value: "down"}, score: -1, shares: share1, channel: "thumb"},
		{o: Opinion{Kind: "more_less", MessageID: "m2", Value: "more"}, score: .5, direction: &event.Direction{Trait: "humor", Sign: 1}, shares: share1, channel: "more_less"},
		{o: Opinion{Kind: "more_less", MessageID: "m2", Value: "less"}, score: -.5, direction: &event.Direction{Trait: "humor", Sign: -1}, shares: share1, channel: "more_less"},
		{o: Opinion{Kind: "more_less", MessageID: "m4", Value: "more"}, score: .5, channel: "more_less"}, // .015 off is no variation
		{o: Opinion{Kind: "tone", MessageID: "m2", Value: "shorter"}, direction: &event.Direction{Trait: "brevity", Sign: 1}, shares: share1, channel: "tone"},
		{o: Opinion{Kind: "tone", DecisionID: "d1", Value: "softer"}, direction: &event.Direction{Trait: "directness", Sign: -1}, shares: share1, channel: "tone"},
		{o: Opinion{Kind: "check_in", AgentID: "luna", Value: "better"}, score: 1, channel: "check_in"},
		{o: Opinion{Kind: "check_in", AgentID: "luna", Value: "same"}, score: 0, channel: "check_in"},
		{o: Opinion{Kind: "check_in", AgentID: "luna", Value: "worse"}, score: -1, channel: "check_in"},
		{o: Opinion{Kind: "check_in", AgentID: "luna", Value: "not_sure"}, silent: true},
		{o: Opinion{Kind: "comment", AgentID: "luna", Comment: "she is sweet"}, silent: true},
		{o: Opinion{Kind: "correction", MessageID: "m2", Correction: "say hello first"}, silent: true},
	} {
		r := w.give("ann", c.o)
		if r.Status != Stored || r.Role != event.RoleOwner {
			t.Errorf("%+v: %+v", c.o, r)
		}
		events := w.drain()
		for _, e := range events {
			for _, words := range []string{c.o.Comment, c.o.Correction} {
				if words != "" && strings.Contains(string(e.Data), words) {
					t.Errorf("%+v: words on the log: %s", c.o, e.Data)
				}
			}
		}
		got := created(t, events)
		if c.silent {
			if len(got) != 0 {
				t.Errorf("%+v: emitted %+v", c.o, got)
			}
			continue
		}
		if len(got) != 1 {
			t.Fatalf("%+v: %d events", c.o, len(got))
		}
		f := got[0]
		if f.Score != c.score || f.Level != c.level || f.Channel != c.channel || f.Source != "owner" || f.RaterID != "ann" || f.OwnerID != "ann" || f.AgentID != "luna" {
			t.Errorf("%+v: %+v", c.o, f)
		}
		if d := cmp.Diff(c.direction, f.Direction); d != "" {
			t.Errorf("%+v: direction %s", c.o, d)
		}
		if c.shares != nil && !cmp.Equal(c.shares, f.Shares) {
			t.Errorf("%+v: shares %+v", c.o, f.Shares)
		}
		if c.channel == "session" && !cmp.Equal(f.Shares, []event.Share{{EpisodeID: "e1", Start: 100, Weight: 1. / 3}, {EpisodeID: "e2", Start: 200, Weight: 2. / 3}}) {
			t.Errorf("%+v: shares %+v", c.o, f.Shares)
		}
		if c.channel == "thumb" && (f.SessionID != "s1" || f.MessageID != "m2" && c.o.MessageID != "" || f.DecisionID != "d1" || f.Context != event.ContextDMWithOwner || !slices.Equal(f.Tags, []string{"humor"})) {
			t.Errorf("%+v: joined to %+v", c.o, f)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	h := w.api()
	for name, c := range map[string]struct {
		person, body string
		status       int
		code         string
		says         string // in the answer
	}{
		"nobody":                {"", `{"kind":"thumb","messageId":"m2","value":"up"}`, 401, "login_required", ""},
		"unknown kind":          {"ann", `{"kind":"stars","messageId":"m2","value":"up"}`, 422, "", "thumb"},
		"no kind":               {"ann", `{"messageId":"m2","value":"up"}`, 422, "", "kind"},
		"fifth level":           {"ann", `{"kind":"session","sessionId":"s1","value":"adored"}`, 422, "unknown_value", "loved, good, meh, not_great"},
		"unknown tone":          {"ann", `{"kind":"tone","messageId":"m2","value":"louder"}`, 422, "unknown_value", "funnier, kinder"},
		"score field":           {"ann", `{"kind":"thumb","messageId":"m2","value":"up","score":1.5}`, 422, "", "score"},
		"role field":            {"ann", `{"kind":"thumb","messageId":"m2","value":"up","role":"owner"}`, 422, "", "role"},
		"rater field":           {"ben", `{"kind":"thumb","messageId":"m2","value":"up","raterId":"ann"}`, 422, "", "raterId"},
		"number as value":       {"ann", `{"kind":"thumb","messageId":"m2","value":1.5}`, 422, "", ""},
		"NaN":                   {"ann", `{"kind":"thumb","messageId":"m2","value":NaN}`, 422, "", ""},
		"infinity":              {"ann", `{"kind":"thumb","messageId":"m2","value":1e999}`, 422, "", ""},
		"no JSON":               {"ann", `thumb up`, 422, "", ""},
		"nothing":               {"ann", ``, 422, "", ""},
		"list":                  {"ann", `[]`, 422, "", ""},
		"NUL":                   {"ann", `{"kind":"comment","messageId":"m2","comment":"a\u0000b"}`, 422, "bad_text", ""},
		"NUL in an id":          {"ann", `{"kind":"thumb","messageId":"m2\u0000","value":"up"}`, 422, "bad_text", ""},
		"long id":               {"ann", `{"kind":"thumb","messageId":"` + strings.Repeat("m", 65) + `","value":"up"}`, 422, "", ""},
		"long comment":          {"ann", `{"kind":"comment","messageId":"m2","comment":"` + strings.Repeat("é", 4001) + `"}`, 422, "", ""},
		"empty comment":         {"ann", `{"kind":"comment","messageId":"m2","comment":"  "}`, 422, "text_missing", ""},
		"no correction":         {"ann", `{"kind":"correction","messageId":"m2","comment":"x"}`, 422, "text_missing", ""},
		"correction of session": {"ann", `{"kind":"session","sessionId":"s1","value":"good","correction":"x"}`, 422, "aim_missing", ""},
		"comment with a value":  {"ann", `{"kind":"comment","messageId":"m2","comment":"x","value":"up"}`, 422, "value_not_allowed", ""},
		"thumb on a session":    {"ann", `{"kind":"thumb","sessionId":"s1","value":"up"}`, 422, "aim_missing", ""},
		"thumb on nothing":      {"ann", `{"kind":"thumb","value":"up"}`, 422, "aim_missing", "messageId or decisionId"},
		"two aims":              {"ann", `{"kind":"thumb","messageId":"m2","decisionId":"d1","value":"up"}`, 422, "aim_ambiguous", ""},
		"level on a message":    {"ann", `{"kind":"session","messageId":"m2","value":"good"}`, 422, "aim_missing", "sessionId"},
		"a person's message":    {"ann", `{"kind":"thumb","messageId":"m3","value":"up"}`, 422, "not_an_agent", ""},
		"foreign agent":         {"cid", `{"kind":"thumb","messageId":"m2","value":"up"}`, 404, "not_found", ""},
		"foreign decision":      {"cid", `{"kind":"comment","decisionId":"d1","comment":"x"}`, 404, "not_found", ""},
		"foreign session":       {"cid", `{"kind":"session","sessionId":"s1","value":"good"}`, 404, "not_found", ""},
		"foreign check-in":      {"ben", `{"kind":"check_in","agentId":"luna","value":"better"}`, 404, "not_found", ""},
		"unknown agent":         {"ann", `{"kind":"check_in","agentId":"nemo","value":"better"}`, 404, "not_found", ""},
		"another agent's":       {"ann", `{"kind":"thumb","agentId":"mark","messageId":"m2","value":"up"}`, 404, "not_found", ""},
		"participant's thumb":   {"ben", `{"kind":"thumb","messageId":"m2","value":"up"}`, 403, "owners_only", "react"},
		"participant's tone":    {"ben", `{"kind":"tone","messageId":"m2","value":"funnier"}`, 403, "owners_only", ""},
		"participant's more":    {"ben", `{"kind":"more_less","messageId":"m2","value":"more"}`, 403, "owners_only", ""},
		"participant corrects":  {"ben", `{"kind":"correction","messageId":"m2","correction":"x"}`, 403, "owners_only", ""},
	} {
		a := ask(h, c.person, "POST", "/v1/feedback", c.body)
		if a.status != c.status || !strings.Contains(a.body, c.code) || !strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d %s, want %d %s %q", name, a.status, a.body, c.status, c.code, c.says)
		}
	}
	if n := w.count(`select count(*) from feedback_events`); n != 0 {
		t.Errorf("%d signals were stored", n)
	}
	if n := w.count(`select count(*) from waiting`); n != 0 {
		t.Errorf("%d signals wait", n)
	}
	if got := w.drain(); len(got) != 0 {
		t.Errorf("emitted %+v", got)
	}
}

func TestParticipant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	r := w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "good"})
	if r.Role != event.RoleParticipant {
		t.Errorf("role %s", r.Role)
	}
	w.give("ben", Opinion{Kind: "comment", MessageID: "m2", Comment: "nice"})
	got := created(t, w.drain())
	if len(got) != 1 || got[0].Role != event.RoleParticipant || got[0].Source != "participant" || got[0].Score != .5 {
		t.Errorf("%+v", got)
	}
}

func TestLatestWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	up := w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"})
	down := w.give("ann", Opinion{Kind: "thumb", DecisionID: "d1", Value: "down"}) // the same message
	if down.Supersedes != up.FeedbackID {
		t.Errorf("%+v does not replace %+v", down, up)
	}
	again := w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"})
	if again.Supersedes != down.FeedbackID {
		t.Errorf("%+v does not replace %+v", again, down)
	}
	got := created(t, w.drain())
	if len(got) != 3 || got[1].Supersedes != up.FeedbackID || got[2].Supersedes != down.FeedbackID {
		t.Errorf("%+v", got)
	}
	other := w.give("ann", Opinion{Kind: "thumb", MessageID: "m4", Value: "up"})
	funny := w.give("ann", Opinion{Kind: "tone", MessageID: "m2", Value: "funnier"})
	short := w.give("ann", Opinion{Kind: "tone", MessageID: "m2", Value: "shorter"})
	long := w.give("ann", Opinion{Kind: "tone", MessageID: "m2", Value: "longer"})
	if other.Supersedes != "" || funny.Supersedes != "" || short.Supersedes != "" || long.Supersedes != short.FeedbackID {
		t.Errorf("%+v %+v %+v %+v", other, funny, short, long)
	}
	if n := w.count(`select count(*) from feedback_events where live`); n != 4 {
		t.Errorf("%d live signals, want 4", n)
	}
	loved := w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "loved"})
	bens := w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "meh"})
	meh := w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "meh"})
	if bens.Supersedes != "" || meh.Supersedes != loved.FeedbackID {
		t.Errorf("%+v %+v", bens, meh)
	}
}

func TestAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	var wg sync.WaitGroup
	for i := range 40 {
		for _, person := range []event.PersonID{"ann", "ben"} {
			wg.Go(func() {
				if _, err := w.s.Give(t.Context(), by(person), "", Opinion{Kind: "session", SessionID: "s1", Value: []string{"good", "meh"}[i%2]}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if n := w.count(`select count(*) from feedback_events`); n != 80 {
		t.Errorf("%d rows", n)
	}
	if n := w.count(`select count(*) from feedback_events where live`); n != 2 {
		t.Errorf("%d live, want one of each", n)
	}
	// Each but the first of a person replaces exactly one other.
	if n := w.count(`select count(distinct supersedes) from feedback_events where supersedes <> ''`); n != 78 {
		t.Errorf("%d were replaced", n)
	}
}

func TestRetract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	h := w.api()
	id := string(w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "good", Comment: "hm"}).FeedbackID)
	w.drain()
	if a := ask(h, "cid", "DELETE", "/v1/feedback/"+id, ""); a.status != 404 {
		t.Errorf("a stranger: %d", a.status)
	}
	if a := ask(h, "ann", "DELETE", "/v1/feedback/"+id, ""); a.status != 403 {
		t.Errorf("the owner: %d", a.status)
	}
	for range 2 {
		if a := ask(h, "ben", "DELETE", "/v1/feedback/"+id, ""); a.status != 200 || a.receipt(t).Status != Retracted {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	got := retracted(t, w.drain())
	want := []event.FeedbackRetracted{{FeedbackID: event.FeedbackID(id), AgentID: "luna", RaterID: "ben", Reason: "withdrawn"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// The slot is free: what follows replaces nothing.
	if r := w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "meh"}); r.Supersedes != "" {
		t.Errorf("%+v", r)
	}
	if a := ask(h, "ben", "DELETE", "/v1/feedback/none", ""); a.status != 404 {
		t.Errorf("unknown: %d", a.status)
	}
	// Words without a number were never told of.
	comment := w.give("ann", Opinion{Kind: "comment", MessageID: "m2", Comment: "x"})
	w.drain()
	if _, err := w.s.Retract(t.Context(), by("ann"), comment.FeedbackID); err != nil {
		t.Error(err)
	}
	if got := w.drain(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Window: 48 * time.Hour})
	w.scene()
	w.later(47 * time.Hour)
	if r := w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"}); r.Status != Stored {
		t.Errorf("%+v", r)
	}
	if got := created(t, w.drain()); got[0].Shares[0].EpisodeID != "e1" {
		t.Errorf("%+v", got)
	}
	w.later(2 * time.Hour)
	for _, o := range []Opinion{{Kind: "thumb", MessageID: "m2", Value: "down"}, {Kind: "session", SessionID: "s1", Value: "good"}} {
		_, err := w.s.Give(t.Context(), by("ann"), "", o)
		if !fault.Is(err, "feedback_too_late") || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "2 days") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if r := w.give("ann", Opinion{Kind: "check_in", AgentID: "luna", Value: "same"}); r.Status != Stored {
		t.Errorf("%+v", r)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	h := w.api()
	up := `{"kind":"thumb","messageId":"m2","value":"up"}`
	first := ask(h, "ann", "POST", "/v1/feedback", up, "Idempotency-Key", "k1")
	again := ask(h, "ann", "POST", "/v1/feedback", up, "Idempotency-Key", "k1")
	if first.status != 201 || again.status != 201 || first.body != again.body {
		t.Errorf("%d %s, %d %s", first.status, first.body, again.status, again.body)
	}
	if a := ask(h, "ann", "POST", "/v1/feedback", `{"kind":"thumb","messageId":"m2","value":"down"}`, "Idempotency-Key", "k1"); a.status != 409 || !strings.Contains(a.body, "idempotency_conflict") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := ask(h, "ben", "POST", "/v1/feedback", `{"kind":"session","sessionId":"s1","value":"good"}`, "Idempotency-Key", "k1"); a.status != 201 {
		t.Errorf("another person's key: %d %s", a.status, a.body)
	}
	if got := created(t, w.drain()); len(got) != 2 {
		t.Errorf("%d events", len(got))
	}
	waits := `{"kind":"thumb","messageId":"m9","value":"up"}`
	one := ask(h, "ann", "POST", "/v1/feedback", waits, "Idempotency-Key", "k2")
	two := ask(h, "ann", "POST", "/v1/feedback", waits, "Idempotency-Key", "k2")
	if one.status != 202 || two.status != 202 || one.body != two.body || w.count(`select count(*) from waiting`) != 1 {
		t.Errorf("%d %s, %d %s", one.status, one.body, two.status, two.body)
	}
}

func TestSteer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.steer = errSteer // it fails, and nothing fails with it
	w.give("ann", Opinion{Kind: "tone", MessageID: "m2", Value: "calmer"})
	w.give("ann", Opinion{Kind: "more_less", DecisionID: "d1", Value: "less"})
	w.give("ann", Opinion{Kind: "more_less", MessageID: "m4", Value: "less"}) // leant to nothing
	w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"})
	if _, err := w.s.Give(t.Context(), by("ben"), "", Opinion{Kind: "tone", MessageID: "m2", Value: "bolder"}); err == nil {
		t.Error("a guest pressed a tone button")
	}
	want := []string{"luna s1 ann assertiveness-1", "luna s1 ann humor-1"}
	if d := cmp.Diff(want, w.steers); d != "" {
		t.Error(d)
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 3})
	w.scene()
	h := w.api()
	w.happens(event.AgentCreated{AgentState: state("nova", "ann")})
	body := `{"kind":"check_in","agentId":"luna","value":"same"}`
	for range 3 {
		if a := ask(h, "ann", "POST", "/v1/feedback", body); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	a := ask(h, "ann", "POST", "/v1/feedback", body)
	if a.status != 429 || a.header.Get("Retry-After") != "20" {
		t.Errorf("%d %q %s", a.status, a.header.Get("Retry-After"), a.body)
	}
	if a := ask(h, "ann", "POST", "/v1/feedback", `{"kind":"check_in","agentId":"nova","value":"same"}`); a.status != 201 {
		t.Errorf("another agent: %d", a.status)
	}
	if a := ask(h, "ben", "POST", "/v1/feedback", `{"kind":"session","sessionId":"s1","value":"good"}`); a.status != 201 {
		t.Errorf("another rater: %d", a.status)
	}
	w.later(20 * time.Second)
	if a := ask(h, "ann", "POST", "/v1/feedback", body); a.status != 201 {
		t.Errorf("20 s on: %d", a.status)
	}
	// Unknown aims are limited too, and clocks that go back give nothing.
	for range 3 {
		w.give("ann", Opinion{Kind: "thumb", MessageID: "nowhere", Value: "up"})
	}
	w.later(-time.Hour)
	if _, err := w.s.Give(t.Context(), by("ann"), "", Opinion{Kind: "thumb", MessageID: "nowhere", Value: "up"}); fault.KindOf(err) != fault.RateLimited {
		t.Errorf("%v", err)
	}
}

func TestLimiterForgets(t *testing.T) {
	t.Parallel()
	l := limiter{perMinute: 1, buckets: map[pair]bucket{}}
	for i := range maxBuckets + 10 {
		if err := l.take(event.PersonID(fmt.Sprint(i)), "a", 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"})
	w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "meh", Comment: "too long for me"})
	if _, err := w.s.GiveAll(t.Context(), []Given{{FeedbackID: "g1", RaterID: "rev", MessageID: "m2", Mark: 1}}); err != nil {
		t.Fatal(err)
	}
	people := []event.SessionPerson{{PersonID: "ann", Turns: 3, MedianChars: 40, Consent: true}}
	for i := range MinGuests - 1 {
		people = append(people, event.SessionPerson{PersonID: event.PersonID(fmt.Sprint("guest", i)), Turns: 4, MedianChars: 60, Consent: true})
	}
	ended := event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 3, Messages: 9, People: people}
	w.happens(ended)

	page, err := w.s.List(t.Context(), by("ann"), "luna", "", false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, i := range page.Items {
		got = append(got, fmt.Sprintf("%s %s %s %s", i.By, i.Kind, i.Value+i.Signal, i.SessionID))
		if i.By != "you" && (i.MessageID != "" || i.DecisionID != "" || i.SessionID != "") {
			t.Errorf("where a guest was: %+v", i)
		}
	}
	slices.Sort(got) // implicit and reviewer's have the same time as neighbours
	if d := cmp.Diff([]string{"a guest session meh ", "a reviewer review up ", "you behaviour engagement/1 s1", "you thumb up s1"}, got); d != "" {
		t.Error(d)
	}
	if len(page.Guests) != 0 {
		t.Errorf("four guests were told of: %+v", page.Guests)
	}
	fifth := ended
	fifth.SessionID, fifth.People = "s2", []event.SessionPerson{{PersonID: "ben", Turns: 4, MedianChars: 60, Consent: true}}
	w.happens(fifth)
	page, _ = w.s.List(t.Context(), by("ann"), "luna", "", false)
	if d := cmp.Diff([]Guests{{Signal: "engagement/1", Mean: .5}}, page.Guests); d != "" {
		t.Error(d)
	}

	// Others get their own only; a new owner nothing of the old one's time.
	for _, agent := range []event.AgentID{"", "luna"} {
		page, _ = w.s.List(t.Context(), by("ben"), agent, "", false)
		for _, i := range page.Items {
			if i.By != "you" {
				t.Errorf("ben reads %+v", i)
			}
		}
		if len(page.Items) != 2 || len(page.Guests) != 0 {
			t.Errorf("ben: %+v", page)
		}
	}
	if page, _ = w.s.List(t.Context(), by("cid"), "luna", "", false); len(page.Items) != 0 {
		t.Errorf("cid: %+v", page)
	}
	if page, _ = w.s.List(t.Context(), by("ann"), "luna", "", true); len(page.Items) != 2 || len(page.Guests) != 0 {
		t.Errorf("mine: %+v", page)
	}
	w.happens(event.AgentTransferred{AgentID: "luna", From: "ann", To: "cid"})
	if page, _ = w.s.List(t.Context(), by("cid"), "luna", "", false); len(page.Items) != 0 || len(page.Guests) != 0 {
		t.Errorf("the new owner: %+v", page)
	}
	if page, _ = w.s.List(t.Context(), by("ann"), "luna", "", false); len(page.Items) != 2 {
		t.Errorf("the old owner: %+v", page)
	}
	if _, err := w.s.List(t.Context(), authz.Principal{}, "luna", "", false); fault.KindOf(err) != fault.Unauthenticated {
		t.Errorf("nobody reads feedback: %v", err)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	h := w.api()
	for range pageSize + 20 {
		w.give("ann", Opinion{Kind: "check_in", AgentID: "luna", Value: "same"})
	}
	first, err := w.s.List(t.Context(), by("ann"), "luna", "", false)
	if err != nil || len(first.Items) != pageSize || first.Next == "" {
		t.Fatalf("%d %q %v", len(first.Items), first.Next, err)
	}
	second, err := w.s.List(t.Context(), by("ann"), "luna", first.Next, false)
	if err != nil || len(second.Items) != 20 || second.Next != "" {
		t.Fatalf("%d %q %v", len(second.Items), second.Next, err)
	}
	seen := map[event.FeedbackID]bool{}
	for _, i := range append(first.Items, second.Items...) {
		seen[i.FeedbackID] = true
	}
	if len(seen) != pageSize+20 {
		t.Errorf("%d different", len(seen))
	}
	if a := ask(h, "ann", "GET", "/v1/feedback?agent=luna&cursor=nonsense", ""); a.status != 422 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := ask(h, "ann", "GET", "/v1/feedback?mine=true", ""); a.status != 200 || strings.Count(a.body, `"by":"you"`) != pageSize {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	h := w.api()
	bens := "/v1/feedback/" + string(w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "meh", Comment: "too long"}).FeedbackID)
	waits := "/v1/feedback/" + string(w.give("ben", Opinion{Kind: "comment", MessageID: "m9", Comment: "wait"}).FeedbackID)
	w.happens(event.SessionEnded{SessionID: "s1", AgentID: "luna", RoomID: "r1", AgentMessages: 3, People: []event.SessionPerson{{PersonID: "ben", Turns: 2, Consent: true}}})
	implicit := "/v1/feedback/" + string(created(t, w.drain())[1].FeedbackID)
	for _, c := range []struct {
		person, path string
		status       int
		says         string
	}{
		{"ben", bens, 200, `"sessionId":"s1"`},
		{"ann", bens, 200, `"by":"a guest"`},
		{"cid", bens, 404, ""},
		{"", bens, 401, ""},
		{"ben", waits, 200, `"status":"waiting"`},
		{"ann", waits, 404, ""},
		{"ben", implicit, 200, `"signal":"engagement/1"`},
		{"ann", implicit, 404, ""},
	} {
		if a := ask(h, c.person, "GET", c.path, ""); a.status != c.status || !strings.Contains(a.body, c.says) {
			t.Errorf("%s %s: %d %s", c.person, c.path, a.status, a.body)
		}
	}
	if a := ask(h, "ann", "DELETE", implicit, ""); a.status != 404 {
		t.Errorf("the owner takes back a guest's behaviour: %d", a.status)
	}
	if a := ask(h, "ben", "DELETE", implicit, ""); a.status != 200 {
		t.Errorf("their own behaviour: %d %s", a.status, a.body)
	}
	if a := ask(h, "ben", "DELETE", waits, ""); a.status != 200 || w.count(`select count(*) from waiting`) != 0 {
		t.Errorf("what waits: %d %s", a.status, a.body)
	}
}

func TestRetiredAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.happens(event.AgentRetired{AgentID: "luna"})
	if _, err := w.s.Give(t.Context(), by("ann"), "", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("%v", err)
	}
}
