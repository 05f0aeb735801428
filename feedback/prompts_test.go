package feedback

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/feedback/asking"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/policy"
)

// talk ends a good long talk of ann with Luna.
func (w *world) talk(id event.SessionID, change ...func(*event.SessionEnded)) {
	w.t.Helper()
	now := w.now().UnixMicro()
	e := event.SessionEnded{SessionID: id, AgentID: "luna", RoomID: "r1", StartedBy: "ann", StartedAt: now - 10*60e6, EndedAt: now, AgentMessages: 8, Messages: 16,
		People: []event.SessionPerson{{PersonID: "ann", Turns: 8, MedianChars: 80, LatencyMilli: 20_000, Consent: true}, {PersonID: "ben", Turns: 3, MedianChars: 20, Consent: true}}}
	for _, f := range change {
		f(&e)
	}
	w.happens(e)
}

func (w *world) prompt(person event.PersonID, at Screen) Prompt {
	w.t.Helper()
	p, err := w.s.Prompt(w.t.Context(), by(person), at)
	if err != nil {
		w.t.Fatalf("%s at %+v: %v", person, at, err)
	}
	return p
}

// steps are the prompts' events since the last call.
func (w *world) steps() (out []string) {
	w.t.Helper()
	for _, e := range w.drain() {
		if e.Type != (event.FeedbackAsked{}).EventType() {
			continue
		}
		p, err := event.As[event.FeedbackAsked](e)
		if err != nil {
			w.t.Fatal(err)
		}
		if e.Subject != string(p.PersonID) {
			w.t.Errorf("%s lies with %s", e.Type, e.Subject)
		}
		out = append(out, fmt.Sprintf("%s %s %s %s %v", p.PersonID, p.Kind, p.State, p.SessionID+event.SessionID(p.MessageID), p.FeedbackID != ""))
	}
	return out
}

func (w *world) wantSteps(want ...string) {
	w.t.Helper()
	if d := cmp.Diff(want, w.steps()); d != "" {
		w.t.Error(d)
	}
}

func TestAskedAfterATalk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	if p := w.prompt("ann", Screen{Agent: "luna"}); p.Ask != asking.None || p.Code != "no_session" {
		t.Errorf("%+v", p)
	}
	w.talk("s1")
	w.drain()
	first := w.prompt("ann", Screen{Agent: "luna", Session: "s1"})
	if first.Ask != asking.AfterSession || first.SessionID != "s1" || first.Code != "meaningful" || first.State != asking.Asked || first.PromptID == "" {
		t.Fatalf("%+v", first)
	}
	w.wantSteps("ann after_session asked s1 false")
	// Again, elsewhere and on a visit it is the same one.
	for _, at := range []Screen{{Agent: "luna", Session: "s1"}, {Agent: "luna"}, {}} {
		if p := w.prompt("ann", at); p.PromptID != first.PromptID || p.Ask != asking.AfterSession {
			t.Errorf("%+v: %+v", at, p)
		}
	}
	// Nobody is asked about somebody else's agent, and nobody steps another's prompt.
	if p := w.prompt("ben", Screen{Agent: "luna", Session: "s1"}); p.Ask != asking.None || p.Code != "not_yours" || p.PromptID != "" {
		t.Errorf("%+v", p)
	}
	if _, err := w.s.Saw(t.Context(), by("ben"), first.PromptID); fault.KindOf(err) != fault.NotFound {
		t.Error(err)
	}
	for range 2 {
		if p, err := w.s.Saw(t.Context(), by("ann"), first.PromptID); err != nil || p.State != asking.Shown {
			t.Errorf("%+v %v", p, err)
		}
	}
	w.wantSteps("ann after_session shown s1 false")
	// Answering is giving the rating; the second one replaces it and answers nothing more.
	w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "good"})
	w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "loved"})
	w.wantSteps("ann after_session answered s1 true")
	if p, err := w.s.Saw(t.Context(), by("ann"), first.PromptID); err != nil || p.State != asking.Answered {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := w.s.Skip(t.Context(), by("ann"), first.PromptID); !fault.Is(err, "prompt_answered") {
		t.Error(err)
	}
	if p := w.prompt("ann", Screen{Agent: "luna", Session: "s1"}); p.Ask != asking.None || p.Code != "asked_already" || p.State != asking.Answered {
		t.Errorf("%+v", p)
	}
	w.talk("s2")
	if p := w.prompt("ann", Screen{Agent: "luna", Session: "s2"}); p.Ask != asking.None || p.Code != "given_lately" && p.Code != "asked_lately" || p.Until <= w.now().UnixMicro() {
		t.Errorf("%+v", p)
	}
	if p := w.prompt("ann", Screen{Agent: "luna", Session: "s1"}); p.Ask != asking.None {
		t.Errorf("%+v", p)
	}
	if got := w.count(`select count(*) from prompts`); got != 1 {
		t.Errorf("%d prompts", got)
	}
}

func TestSkippedExpiredAndLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.talk("s1")
	first := w.prompt("ann", Screen{Agent: "luna", Session: "s1"})
	for range 2 {
		if p, err := w.s.Skip(t.Context(), by("ann"), first.PromptID); err != nil || p.State != asking.Skipped {
			t.Errorf("%+v %v", p, err)
		}
	}
	if n := w.count(`select count(*) from feedback_events where source <> 'implicit'`); n != 0 {
		t.Errorf("skipping left %d opinions", n)
	}
	w.later(25 * time.Hour)
	w.talk("s2")
	second := w.prompt("ann", Screen{Agent: "luna", Session: "s2"})
	if second.Ask != asking.AfterSession {
		t.Fatalf("%+v", second)
	}
	w.later(13 * time.Hour)
	for _, f := range []func(context.Context, authz.Principal, event.PromptID) (Prompt, error){w.s.Saw, w.s.Skip} {
		if _, err := f(t.Context(), by("ann"), second.PromptID); !fault.Is(err, "prompt_expired") {
			t.Error(err)
		}
	}
	w.steps()
	// What is said late counts all the same, as feedback and as the answer.
	w.give("ann", Opinion{Kind: "session", SessionID: "s2", Value: "meh"})
	w.wantSteps("ann after_session answered s2 true")
	// The one that was put away can be answered too.
	w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "meh"})
	w.wantSteps("ann after_session answered s1 true")
	// Two in seven days are what normal allows.
	w.later(25 * time.Hour)
	w.talk("s3")
	if p := w.prompt("ann", Screen{Agent: "luna", Session: "s3"}); p.Code != "agent_budget" {
		t.Errorf("%+v", p)
	}
	// A clock that goes back changes nothing of that.
	w.later(-200 * 24 * time.Hour)
	w.talk("s4")
	if p := w.prompt("ann", Screen{Agent: "luna", Session: "s4"}); p.Ask != asking.None || p.Until <= w.now().UnixMicro() {
		t.Errorf("%+v", p)
	}
}

func TestSettingsOfAsking(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.talk("s1")
	w.drain()
	eager := state("luna", "ann")
	for _, c := range []struct {
		code   string
		change func()
	}{
		{"off", func() {
			eager.Asking = &event.Asking{Intensity: "off", Every: 10}
			w.happens(event.AgentUpdated{AgentState: eager})
		}},
		{"not_listening", func() {
			eager.Asking, eager.Learning = &event.Asking{Intensity: "eager"}, false
			w.happens(event.AgentUpdated{AgentState: eager})
		}},
		{"protected", func() {
			eager.Learning = true
			w.happens(event.AgentUpdated{AgentState: eager}, event.ProtectionChanged{PersonID: "ann", Protected: true, Until: w.now().Add(time.Hour).UnixMicro()})
		}},
		{"no_budget", func() {
			w.happens(event.ProtectionChanged{PersonID: "ann"})
			if _, err := w.s.SetBudget(t.Context(), by("ann"), AskBudget{0}); err != nil {
				t.Fatal(err)
			}
		}},
		{"meaningful", func() {
			if _, err := w.s.SetBudget(t.Context(), by("ann"), AskBudget{1}); err != nil {
				t.Fatal(err)
			}
		}},
		{"protected", func() { w.happens(event.ProtectionChanged{PersonID: "ann", Protected: true}) }}, // an open one goes too
	} {
		c.change()
		if p := w.prompt("ann", Screen{Agent: "luna"}); p.Code != c.code {
			t.Errorf("%s: %+v", c.code, p)
		}
	}
	for _, n := range []int{-1, asking.MaxBudget + 1} {
		if _, err := w.s.SetBudget(t.Context(), by("ann"), AskBudget{n}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d: %v", n, err)
		}
	}
	if b, err := w.s.Budget(t.Context(), by("ben")); err != nil || b.Budget != asking.Budget {
		t.Errorf("%+v %v", b, err)
	}
	w.talk("s8", func(e *event.SessionEnded) { e.Protected = true })
	w.happens(event.ProtectionChanged{PersonID: "ann"})
	w.later(30 * time.Hour)
	if p := w.prompt("ann", Screen{Agent: "luna"}); p.Code != "protected" {
		t.Errorf("%+v", p)
	}
	w.talk("s9", func(e *event.SessionEnded) { e.Imported = true })
	if p := w.prompt("ann", Screen{Agent: "luna"}); p.Code != "protected" {
		t.Errorf("a talk of another platform is asked about: %+v", p)
	}
}

func TestCheckInAfterAQuietWeek(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	quick := func(e *event.SessionEnded) { e.AgentMessages = 2 }
	w.talk("s1", quick)
	w.later(8 * 24 * time.Hour)
	w.talk("s2", quick)
	if p := w.prompt("ann", Screen{Agent: "luna"}); p.Code != "not_close" {
		t.Errorf("%+v", p)
	}
	w.happens(event.RelationshipUpdated{AgentID: "luna", PersonID: "ann", Level: "close"}, event.RelationshipUpdated{AgentID: "luna", PersonID: "ben", Level: "dear"})
	w.drain()
	p := w.prompt("ann", Screen{})
	if p.Ask != asking.CheckIn || p.AgentID != "luna" || p.SessionID != "" {
		t.Fatalf("%+v", p)
	}
	if q := w.prompt("ben", Screen{}); q.Ask != asking.None {
		t.Errorf("%+v", q)
	}
	w.give("ann", Opinion{Kind: "check_in", AgentID: "luna", Value: "better"})
	w.wantSteps("ann check_in asked  false", "ann check_in answered  true")
	if q := w.prompt("ann", Screen{}); q.Ask != asking.None || q.Code != "given_lately" {
		t.Errorf("%+v", q)
	}
}

// TestInlineThumbs: every fifth answer of the room, counted from what was emphasised
// or pressed last; ten after three that were passed by.
func TestInlineThumbs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene() // the answers 2, 4 and 5
	var got []int64
	for seq := int64(6); seq < 40; seq++ {
		id, d := fmt.Sprintf("a%d", seq), fmt.Sprintf("dd%d", seq)
		w.happens(decision(d, "e2", 200, policy.Neutral()), agentSays(id, seq, d))
		p := w.prompt("ann", Screen{Agent: "luna", Message: event.MessageID(id)})
		if p.Ask != asking.Inline {
			continue
		}
		got = append(got, seq)
		if _, err := w.s.Saw(t.Context(), by("ann"), p.PromptID); err != nil {
			t.Fatal(err)
		}
		if len(got) == 1 {
			w.steps()
			w.give("ann", Opinion{Kind: "thumb", MessageID: event.MessageID(id), Value: "up"})
			w.give("ann", Opinion{Kind: "tone", MessageID: event.MessageID(id), Value: "funnier"})
			w.wantSteps("ann inline answered s1" + id + " true")
		}
		if again := w.prompt("ann", Screen{Agent: "luna", Message: event.MessageID(id)}); (again.Ask == asking.Inline) != (len(got) > 1) {
			t.Errorf("again: %+v", again)
		}
	}
	if d := cmp.Diff([]int64{7, 12, 17, 22, 32}, got); d != "" {
		t.Error(d)
	}
	bold := policy.Neutral()
	bold[policy.Humor] = .58
	w.happens(decision("bold", "e2", 200, bold), agentSays("bold", 40, "bold")) // the eighth: from half of ten on, what is new
	if p := w.prompt("ann", Screen{Agent: "luna", Message: "bold"}); p.Ask != asking.Inline || p.Code != "new_tone" {
		t.Errorf("%+v", p)
	}
	if p := w.prompt("ben", Screen{Agent: "luna", Message: "bold"}); p.Code != "not_yours" {
		t.Errorf("%+v", p)
	}
	if n := w.count(`select count(*) from prompts where kind <> 'inline'`); n != 0 {
		t.Errorf("%d others", n)
	}
}

func TestPromptsRefuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.talk("s1")
	h := w.api()
	for _, c := range []struct {
		person, method, path, body string
		status                     int
		code                       string
	}{
		{"ann", "GET", "/v1/prompts?agent=nobody", "", 404, "not_found"},
		{"ann", "GET", "/v1/prompts?agent=luna&message=m1", "", 404, "not_found"}, // a person's
		{"ann", "GET", "/v1/prompts?agent=luna&message=never", "", 404, "not_found"},
		{"ann", "GET", "/v1/prompts?agent=luna&session=never", "", 404, "not_found"},
		{"ann", "GET", "/v1/prompts?agent=luna&session=s1&message=m2", "", 422, "screen_ambiguous"},
		{"ann", "GET", "/v1/prompts?session=s1", "", 422, "agent_missing"},
		{"ann", "GET", "/v1/prompts?who=me", "", 422, ""},
		{"", "GET", "/v1/prompts", "", 401, ""},
		{"ann", "POST", "/v1/prompts/never/shown", "", 404, "not_found"},
		{"ann", "POST", "/v1/prompts/never/skipped", "", 404, "not_found"},
		{"ann", "GET", "/v1/feedback/why?agent=nobody", "", 404, "not_found"},
		{"ann", "GET", "/v1/feedback/why", "", 422, ""},
		{"ben", "GET", "/v1/feedback/why?agent=luna&person=ann", "", 403, "not_allowed"},
		{"ann", "PUT", "/v1/me/asking", `{"budget":-1}`, 422, ""},
		{"ann", "PUT", "/v1/me/asking", `{"budget":29}`, 422, ""},
		{"ann", "PUT", "/v1/me/asking", `{}`, 422, ""},
		{"ann", "PUT", "/v1/me/asking", `{"budget":3}`, 200, ""},
		{"ann", "GET", "/v1/me/asking", "", 200, ""},
	} {
		a := ask(h, c.person, c.method, c.path, c.body)
		var p struct{ Code string }
		_ = json.Unmarshal([]byte(a.body), &p)
		if a.status != c.status || c.code != "" && p.Code != c.code {
			t.Errorf("%s %s %s: %d %s", c.person, c.method, c.path, a.status, a.body)
		}
	}
}

type known []event.PersonID

func (k known) Names(_ context.Context, people []event.PersonID) (map[event.PersonID]string, error) {
	out := map[event.PersonID]string{}
	for _, p := range people {
		if slices.Contains(k, p) {
			out[p] = string(p)
		}
	}
	return out, nil
}

type notes struct{ said []string }

func (n *notes) Note(_ context.Context, p authz.Principal, act, subject string) error {
	n.said = append(n.said, fmt.Sprint(p.Person, " ", act, " ", subject))
	return nil
}

func TestWhy(t *testing.T) {
	t.Parallel()
	n := &notes{}
	w := newWorld(t, Options{People: known{"ann", "ben"}, Notes: n})
	w.scene()
	w.talk("s1")
	first := w.prompt("ann", Screen{Agent: "luna"})
	if _, err := w.s.Skip(t.Context(), by("ann"), first.PromptID); err != nil {
		t.Fatal(err)
	}
	got, err := w.s.Why(t.Context(), by("ann"), "", "luna")
	if err != nil {
		t.Fatal(err)
	}
	if got.Intensity != "normal" || got.PerWeek != 2 || got.Budget != 6 || got.Asked != 1 || got.AskedAbout != 1 || got.PassedBy != 1 || got.Slower != 1 || got.AfterSession.Code != "asked_already" ||
		len(got.Prompts) != 1 || got.Prompts[0].State != asking.Skipped || got.Prompts[0].Because == "" {
		t.Errorf("%+v", got)
	}
	operator := authz.Principal{Person: "op", Scopes: []authz.Scope{authz.ScopeAdmin}}
	if same, err := w.s.Why(t.Context(), operator, "ann", "luna"); err != nil || !cmp.Equal(same, got) {
		t.Errorf("%+v %v", same, err)
	}
	if guest, err := w.s.Why(t.Context(), operator, "ben", "luna"); err != nil || guest.AfterSession.Code != "not_yours" || guest.Intensity != "off" {
		t.Errorf("%+v %v", guest, err)
	}
	if _, err := w.s.Why(t.Context(), operator, "zoe", "luna"); !fault.Is(err, "person_unknown") {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"op why asked ann/luna", "op why asked ben/luna", "op why asked zoe/luna"}, n.said); d != "" {
		t.Error(d)
	}
}

// TestAskedOnceByTwo: two devices at the same moment are one prompt.
func TestAskedOnceByTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	w.scene()
	w.talk("s1")
	w.drain()
	var all sync.WaitGroup
	ids := make([]event.PromptID, 8)
	for i := range ids {
		all.Go(func() {
			p, err := w.s.Prompt(context.Background(), by("ann"), Screen{Agent: "luna", Session: "s1"})
			if err != nil {
				t.Error(err)
			}
			ids[i] = p.PromptID
		})
	}
	all.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("%q", ids)
		}
	}
	w.wantSteps("ann after_session asked s1 false")
	w.happens(event.AccountErased{PersonID: "ann"})
	if n := w.count(`select count(*) from prompts`) + w.count(`select count(*) from standing`); n != 0 {
		t.Errorf("%d rows of somebody erased", n)
	}
}

// TestHeavyUser: six agents, long talks all day for a fortnight, a third answered:
// never more than the budget in seven days, never two prompts about one agent in a day.
func TestHeavyUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	agents := []event.AgentID{"a1", "a2", "a3", "a4", "a5", "a6"}
	for _, a := range agents {
		w.happens(event.AgentCreated{AgentState: state(a, "ann")})
	}
	type ask struct {
		agent event.AgentID
		at    event.Micros
	}
	var asked []ask
	for n := range 14 * 10 {
		a := agents[(n*5+n/7)%len(agents)]
		id := event.SessionID(fmt.Sprint("s", n))
		w.happens(event.SessionStarted{SessionID: id, AgentID: a, RoomID: event.RoomID("room " + a), StartedBy: "ann"})
		w.later(10 * time.Minute)
		w.talk(id, func(e *event.SessionEnded) { e.AgentID, e.RoomID = a, event.RoomID("room "+a) })
		now := w.now().UnixMicro()
		if p := w.prompt("ann", Screen{Agent: a, Session: id}); p.Ask != asking.None {
			asked = append(asked, ask{a, now})
			if len(asked)%3 == 0 {
				w.give("ann", Opinion{Kind: "session", SessionID: id, Value: "good"})
			} else if _, err := w.s.Skip(t.Context(), by("ann"), p.PromptID); err != nil {
				t.Fatal(err)
			}
		}
		w.later(134 * time.Minute)
	}
	const day = event.Micros(24 * 3600e6)
	for i, from := range asked {
		n := 0
		for j, p := range asked {
			if p.at >= from.at && p.at < from.at+7*day {
				n++
			}
			if i != j && p.agent == from.agent && p.at-from.at < day && p.at >= from.at {
				t.Errorf("%s twice in a day", p.agent)
			}
		}
		if n > asking.Budget {
			t.Errorf("%d prompts in seven days", n)
		}
	}
	if len(asked) < asking.Budget || w.count(`select count(*) from prompts where state = 'answered'`) != len(asked)/3 {
		t.Errorf("%d prompts", len(asked))
	}
}
