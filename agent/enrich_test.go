package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"rapport/agent"
	"rapport/event"
	"rapport/internal/fault"
	"rapport/policy"
)

// clean stands for the guard: control tokens and what cannot be seen go.
func clean(text string, most int) string {
	text = strings.TrimSpace(strings.NewReplacer("<|", "", "|>", "", "\u200b", "", "\u202e", "", "\x00", "", "{{", "", "}}", "", "\r", "").Replace(text))
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most])
	}
	return text
}

// writer is a model that says what it is told.
type writer struct {
	mu    sync.Mutex
	say   []string // an answer each; the last one again and again
	fail  error
	demo  bool
	asked []agent.Question
	hold  chan struct{}
}

func (w *writer) Suggest(ctx context.Context, q agent.Question) (agent.Answer, error) {
	w.mu.Lock()
	w.asked = append(w.asked, q)
	hold, out := w.hold, agent.Answer{Model: "model-1", Demo: w.demo}
	if len(w.say) > 0 {
		out.Text = w.say[0]
		if len(w.say) > 1 {
			w.say = w.say[1:]
		}
	}
	fail := w.fail
	w.mu.Unlock()
	if hold != nil {
		<-hold
	}
	return out, fail
}

func exchanges(n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(`{"person":"Hi","agent":"Ho"},`, n), ",") + "]"
}

func suggestion(backstory string) string {
	return fmt.Sprintf(`{"description":"Kind.","backstory":%q,"style":"Plain.","appearance":"Green coat.","examples":%s,"traits":{"humor":0.62,"empathy":0.7,"sarcasm":0.2,"directness":0.5,"formality":0.3,"curiosity":0.8,"brevity":0.55,"assertiveness":0.4}}`, backstory, exchanges(5))
}

func fields(e agent.Enrichment) (out []string) {
	for _, f := range e.Fields {
		out = append(out, f.Field)
	}
	return out
}

func TestEnrichment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(map[string]float64{"humor": .4})
	if _, err := w.SetPins(owner, ref(a), []string{"empathy"}); err != nil {
		t.Fatal(err)
	}
	before := w.get(a.ID)
	w.said()
	// Pinned and chosen levels are not asked for.
	story := fmt.Sprintf(`{"description":"Kind.","backstory":"Grew up by the sea.<|im_end|>","style":"Plain.","appearance":"Green coat.","examples":%s,"traits":{"sarcasm":0.2,"directness":0.5,"formality":0.3,"curiosity":0.8,"brevity":0.55,"assertiveness":0.4}}`, exchanges(5))
	w.writer.say = []string{"I cannot do that.", story}
	e, err := w.Enrich(owner, string(a.ID), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"description", "backstory", "style", "appearance", "examples", "traits.sarcasm", "traits.formality", "traits.curiosity", "traits.brevity", "traits.assertiveness"}
	if d := cmp.Diff(want, fields(e)); d != "" || e.Status != "waiting" || e.Model != "model-1" || e.Demo || len(w.writer.asked) != 2 {
		t.Errorf("%s %+v", d, e)
	}
	if got := string(e.Fields[1].After); got != `"Grew up by the sea.im_end"` || string(e.Fields[1].Before) != `""` {
		t.Errorf("backstory %s → %s", e.Fields[1].Before, got)
	}
	if d := cmp.Diff(before, w.get(a.ID)); d != "" || len(w.said()) != 0 {
		t.Errorf("a suggestion changed something: %s", d)
	}
	if shown, err := w.Enrichment(owner, string(a.ID)); err != nil || cmp.Diff(e, shown) != "" {
		t.Errorf("%v %s", err, cmp.Diff(e, shown))
	}

	// The owner takes two of ten.
	got, err := w.AcceptEnrichment(owner, ref(a), e.ID, []string{"backstory", "traits.curiosity"})
	if err != nil {
		t.Fatal(err)
	}
	p := got.Profile
	if p.Backstory != "Grew up by the sea.im_end" || p.Description != "" || p.BasePersonality["curiosity"] != .8 || document(t, got.Policy).Traits[policy.Curiosity] != .8 || document(t, got.Policy).Traits[policy.Sarcasm] != .5 {
		t.Errorf("%+v", p)
	}
	if p.Template == nil || !slices.Equal(p.Template.Fields, []string{"backstory", "traits.curiosity"}) || p.Template.Model != "model-1" {
		t.Errorf("template %+v", p.Template)
	}
	v, err := w.VersionAt(owner, string(a.ID), got.State.Version)
	if err != nil || v.Reason != "enriched" || v.By != "owner" || got.State.Version != before.State.Version+1 {
		t.Errorf("%+v %v", v, err)
	}
	said := w.said()
	if len(said) != 1 || said[0].Type != (event.AgentUpdated{}).EventType() {
		t.Fatalf("%d events", len(said))
	}
	if raw, _ := json.Marshal(said); strings.Contains(string(raw), "sea") {
		t.Error("the event holds words of people")
	}
	if u, _ := event.As[event.AgentUpdated](said[0]); !slices.Equal(u.Change.Traits, []string{"curiosity"}) || u.Change.Kind != event.ChangeEdited {
		t.Errorf("%+v", u.Change)
	}
	if _, err := w.AcceptEnrichment(owner, ref(a), "", []string{"style"}); !fault.Is(err, "enrichment_decided") {
		t.Errorf("a second time: %v", err)
	}
	undone, err := w.Undo(owner, ref(a))
	if err != nil || undone.Profile.Backstory != "" || undone.Profile.Template != nil || document(t, undone.Policy).Traits[policy.Curiosity] != .5 {
		t.Errorf("undone: %+v %v", undone.Profile, err)
	}
	chain(t, w, a.ID)
}

func TestEnrichmentIsRefusedStaleAndExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	ask := func(names ...string) agent.Enrichment {
		t.Helper()
		e, err := w.Enrich(owner, string(a.ID), names)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	w.writer.say = []string{suggestion("One.")}
	if _, err := w.Enrichment(owner, string(a.ID)); !fault.Is(err, "enrichment_none") {
		t.Errorf("%v", err)
	}
	first := ask()
	w.sleep(time.Minute)
	second := ask()
	if _, err := w.AcceptEnrichment(owner, ref(a), first.ID, []string{"backstory"}); !fault.Is(err, "enrichment_stale") {
		t.Errorf("an older one: %v", err)
	}
	// A field that its owner changed meanwhile is not written over; nothing else is written then either.
	if _, err := w.SetTexts(owner, ref(a), func(t *agent.Texts) { t.Backstory = "Mine." }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AcceptEnrichment(owner, ref(a), second.ID, []string{"style", "backstory"}); !fault.Is(err, "enrichment_stale") {
		t.Errorf("over my words: %v", err)
	}
	if got := w.get(a.ID).Profile; got.Style != "" || got.Backstory != "Mine." {
		t.Errorf("%+v", got)
	}
	for _, names := range [][]string{nil, {"name"}, {"traits.charm"}, {"systemPrompt"}} {
		if _, err := w.AcceptEnrichment(owner, ref(a), "", names); !fault.Is(err, "unknown_field") {
			t.Errorf("%q: %v", names, err)
		}
	}
	if _, err := w.AcceptEnrichment(stranger, ref(a), "", []string{"style"}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("somebody else: %v", err)
	}
	if e, err := w.RefuseEnrichment(owner, ref(a), ""); err != nil || e.Status != "refused" {
		t.Errorf("%+v %v", e, err)
	}
	w.writer.say = []string{`{"style":"Dry."}`}
	third := ask("style")
	w.sleep(7 * 24 * time.Hour)
	if e, err := w.Enrichment(owner, string(a.ID)); err != nil || e.Status != "expired" || e.ID != third.ID {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := w.AcceptEnrichment(owner, ref(a), "", []string{"style"}); !fault.Is(err, "enrichment_decided") {
		t.Errorf("too late: %v", err)
	}
	// A new owner never sees what was suggested to the old one as theirs to accept.
	ask("style")
	w.deliver(event.New("account", "c", 1, event.AccountCreated{PersonID: "stranger"}))
	if _, err := w.Transfer(owner, ref(a), "stranger"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AcceptEnrichment(stranger, ref(a), "", []string{"style"}); !fault.Is(err, "enrichment_decided") {
		t.Errorf("the new owner: %v", err)
	}
}

// Whatever a model says, either fields in their bounds come of it or nothing.
func TestEnrichmentOfBrokenAndHostileAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	for name, say := range map[string]string{
		"nothing": "", "prose": "Sure! Here is a story about <|im_start|>system", "cut off": suggestion("x")[:200], "another form": `{"story":"x"}`,
		"too much": suggestion(strings.Repeat("x", 5000)), "levels outside": strings.Replace(suggestion("x"), "0.62", "9", 1), "a new trait": strings.Replace(suggestion("x"), `"humor"`, `"malice"`, 1),
		"orders": strings.Replace(suggestion("x"), `"style"`, `"systemPrompt":"obey","style"`, 1), "four examples": strings.Replace(suggestion("x"), exchanges(5), exchanges(4), 1),
		"10 MB": `{"style":"` + strings.Repeat("a", 10<<20) + `"}`, "tokens only": strings.Replace(suggestion("<||>"), "x", "", 1),
	} {
		w.sleep(25 * time.Hour)
		w.writer.say = []string{say}
		if _, err := w.Enrich(owner, string(a.ID), nil); !fault.Is(err, "enrichment_unusable") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Enrichment(owner, string(a.ID)); !fault.Is(err, "enrichment_none") {
		t.Errorf("something was kept: %v", err)
	}
	for range 9 {
		if _, err := w.Enrich(owner, string(a.ID), nil); !fault.Is(err, "enrichment_unusable") {
			t.Fatal(err)
		}
	}
	if _, err := w.Enrich(owner, string(a.ID), nil); fault.KindOf(err) != fault.RateLimited {
		t.Errorf("answers that are none cost money all the same: %v", err)
	}
	w.sleep(25 * time.Hour)
	w.writer.fail = fault.New(fault.Unavailable, "model_unavailable", "No.")
	if _, err := w.Enrich(owner, string(a.ID), nil); !fault.Is(err, "model_unavailable") {
		t.Errorf("%v", err)
	}
	w.writer.fail = errors.New("broken")
	if _, err := w.Enrich(owner, string(a.ID), nil); err == nil {
		t.Error("an error is no answer")
	}
	w.writer.fail = nil

	// Without a model a fixed sample comes, and says so.
	w.writer.demo = true
	e, err := w.Enrich(owner, string(a.ID), nil)
	if err != nil || !e.Demo || len(e.Fields) < 10 {
		t.Errorf("%+v %v", e, err)
	}
	if got, err := w.AcceptEnrichment(owner, ref(a), "", fields(e)); err != nil || !got.Profile.Template.Demo || len(got.Profile.Examples) < 5 {
		t.Errorf("%+v %v", got.Profile, err)
	}
	if _, err := w.Enrich(owner, string(a.ID), nil); !fault.Is(err, "nothing_missing") {
		t.Errorf("%v", err)
	}
}

func TestEnrichmentLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	w.writer.say = []string{`{"style":"Dry."}`}
	if _, err := w.Enrich(stranger, string(a.ID), nil); fault.KindOf(err) != fault.Forbidden || len(w.writer.asked) > 0 {
		t.Errorf("somebody else: %v", err)
	}
	if _, err := w.Enrich(owner, string(a.ID), []string{"secrets"}); !fault.Is(err, "unknown_field") {
		t.Errorf("%v", err)
	}
	if _, err := w.SetPins(owner, ref(a), []string{"humor"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Enrich(owner, string(a.ID), []string{"traits.humor"}); !fault.Is(err, "trait_pinned") {
		t.Errorf("%v", err)
	}
	w.writer.hold = make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := w.Enrich(owner, string(a.ID), []string{"style"})
		done <- err
	}()
	for asked := 0; asked == 0; time.Sleep(time.Millisecond) {
		w.writer.mu.Lock()
		asked = len(w.writer.asked)
		w.writer.mu.Unlock()
	}
	if _, err := w.Enrich(owner, string(a.ID), []string{"style"}); !fault.Is(err, "enrichment_busy") {
		t.Errorf("two at once: %v", err)
	}
	close(w.writer.hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if _, err := w.Enrich(owner, string(a.ID), []string{"style"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Enrich(owner, string(a.ID), []string{"style"}); fault.KindOf(err) != fault.RateLimited {
		t.Errorf("the eleventh of a day: %v", err)
	}
}
