package feedback

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/policy"
)

// counting measures words and questions, as far as these tests need it.
type counting struct{}

func (counting) Measure(text string) event.Features {
	return event.Features{Words: len(strings.Fields(text)), Chars: len(text), Questions: strings.Count(text, "?")}
}

func TestEveryTraitBothWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	seen := map[string]bool{}
	for _, b := range policy.ToneButtons() {
		w.give("ann", Opinion{Kind: "tone", MessageID: "m2", Value: b.Name})
		for _, f := range created(t, w.drain()) {
			seen[fmt.Sprintf("%s%+d", f.Direction.Trait, f.Direction.Sign)] = true
		}
	}
	for j := range policy.NTraits {
		for _, sign := range []int{1, -1} {
			if key := fmt.Sprintf("%s%+d", policy.Trait(j), sign); !seen[key] {
				t.Errorf("no button asks for %s", key)
			}
		}
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000})
	w.scene()
	ways := map[string]bool{}
	for _, r := range reasons {
		got := w.give("ann", Opinion{Kind: "reason", MessageID: "m2", Value: r.value})
		if got.Status != Stored {
			t.Errorf("%s: %+v", r.value, got)
		}
		events := created(t, w.drain())
		if r.sign == 0 {
			if len(events) != 0 {
				t.Errorf("%s says nothing of a direction, and told %+v", r.value, events)
			}
			continue
		}
		want := &event.Direction{Trait: r.trait.String(), Sign: r.sign}
		if len(events) != 1 || !cmp.Equal(events[0].Direction, want) || events[0].Channel != event.ChannelReason || events[0].Score != 0 || events[0].Commands() {
			t.Errorf("%s: %+v", r.value, events)
		}
		ways[fmt.Sprintf("%s%+d", r.trait, r.sign)] = true
	}
	if len(ways) != 2*policy.NTraits {
		t.Errorf("reasons go %d ways, there are %d", len(ways), 2*policy.NTraits)
	}
	if len(w.steers) != 0 {
		t.Errorf("a reason steered the session: %v", w.steers)
	}
	// Of a trait one reason stands, of the others each; on a session too.
	short := w.give("ann", Opinion{Kind: "reason", SessionID: "s1", Value: "too_short"})
	long := w.give("ann", Opinion{Kind: "reason", SessionID: "s1", Value: "too_long"})
	wrong := w.give("ann", Opinion{Kind: "reason", SessionID: "s1", Value: "wrong"})
	if short.Supersedes != "" || long.Supersedes != short.FeedbackID || wrong.Supersedes != "" {
		t.Errorf("%+v %+v %+v", short, long, wrong)
	}
	if events := created(t, w.drain()); len(events) != 2 || len(events[1].Shares) != 2 {
		t.Errorf("%+v", events)
	}
	h := w.api()
	for body, says := range map[string]string{
		`{"kind":"reason","messageId":"m2","value":"meh"}`:     "helpful, funny, kind",
		`{"kind":"reason","messageId":"m2"}`:                   "too_long, too_short",
		`{"kind":"reason","agentId":"luna","value":"wrong"}`:   "messageId, decisionId or sessionId",
		`{"kind":"reason","value":"wrong"}`:                    "messageId, decisionId or sessionId",
		`{"kind":"reasons","messageId":"m2","value":"wrong"}`:  "reason",
		`{"kind":"tone","messageId":"m2","value":"too_long"}`:  "more_matter_of_fact",
		`{"kind":"reason","messageId":"m2","value":"shorter"}`: "not_in_character",
	} {
		if a := ask(h, "ann", "POST", "/v1/feedback", body); a.status != 422 || !strings.Contains(a.body, says) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := ask(h, "ben", "POST", "/v1/feedback", `{"kind":"reason","messageId":"m2","value":"wrong"}`); a.status != 403 {
		t.Errorf("a guest's reason: %d %s", a.status, a.body)
	}
}

// m2 has 12 words and one question.
func TestCorrectionIsMeasured(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000, Meter: counting{}})
	w.scene()
	long := strings.Repeat("well ", 60)
	first := w.give("ann", Opinion{Kind: "correction", MessageID: "m2", Correction: long})
	events := w.drain()
	got := created(t, events)
	if len(got) != 2 {
		t.Fatalf("%d events", len(got))
	}
	for i, want := range []string{"brevity-1", "curiosity-1"} {
		f := got[i]
		if fmt.Sprintf("%s%+d", f.Direction.Trait, f.Direction.Sign) != want || f.Signal != "text_meter/1" || f.Channel != event.ChannelCorrected || f.Measured != nil || f.Commands() {
			t.Errorf("%+v, want %s", f, want)
		}
	}
	for _, e := range events {
		if strings.Contains(string(e.Data), "well") {
			t.Error("the text is on the log")
		}
	}
	// The next correction of the same answer replaces it: what it no longer says is taken back.
	second := w.give("ann", Opinion{Kind: "correction", MessageID: "m2", Correction: strings.Repeat("well ", 59) + "no?"})
	if second.Supersedes != first.FeedbackID {
		t.Errorf("%+v", second)
	}
	events = w.drain()
	now, gone := created(t, events), retracted(t, events)
	if len(now) != 1 || now[0].Direction.Trait != "brevity" || now[0].Supersedes != got[0].FeedbackID {
		t.Errorf("%+v", now)
	}
	if len(gone) != 1 || gone[0].FeedbackID != got[1].FeedbackID {
		t.Errorf("%+v", gone)
	}
	page, err := w.s.List(t.Context(), by("ann"), "luna", "", false)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, i := range page.Items {
		if i.PartOf != "" {
			parts = append(parts, i.Kind+" "+i.Status+" "+i.Correction)
		}
	}
	if want := []string{"corrected stored ", "corrected retracted ", "corrected superseded "}; len(parts) != 3 || !slices.Contains(parts, want[0]) || !slices.Contains(parts, want[1]) || !slices.Contains(parts, want[2]) {
		t.Errorf("%q", parts)
	}
	// Taking it back takes all of it back.
	if _, err := w.s.Retract(t.Context(), by("ann"), second.FeedbackID); err != nil {
		t.Fatal(err)
	}
	if gone := retracted(t, w.drain()); len(gone) != 1 || gone[0].FeedbackID != now[0].FeedbackID {
		t.Errorf("%+v", gone)
	}
	if n := w.count(`select count(*) from feedback_events where live`); n != 0 {
		t.Errorf("%d still stand", n)
	}
	// What is about as long as it was says nothing.
	w.give("ann", Opinion{Kind: "correction", DecisionID: "d2", Correction: "one two three four five six seven eight nine ten eleven twelve?"})
	if got := created(t, w.drain()); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// A correction by the decision waits for the message that it corrects.
func TestCorrectionWaitsForWhatWasSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Meter: counting{}})
	w.scene()
	d := decision("d9", "e2", 200, policy.Neutral())
	d.MessageID = "m9"
	w.happens(d)
	for _, o := range []Opinion{{Kind: "correction", DecisionID: "d9", Correction: "no"}, {Kind: "correction", MessageID: "m9", Correction: "no"}} {
		if r := w.give("ann", o); r.Status != Waiting {
			t.Errorf("%+v: %+v", o, r)
		}
	}
	w.happens(agentSays("m9", 9, "d9"))
	got := created(t, w.drain())
	if len(got) != 4 || got[0].Direction.Trait != "brevity" || got[0].Direction.Sign != 1 {
		t.Errorf("%+v", got)
	}
	if n := w.count(`select count(*) from feedback_events where channel = 'corrected' and live`); n != 2 {
		t.Errorf("%d parts stand", n)
	}
}

func TestMessageDeletedOrEdited(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{Rate: 1000, Meter: counting{}})
	w.scene()
	thumb := w.give("ann", Opinion{Kind: "thumb", DecisionID: "d1", Value: "up"})
	w.give("ann", Opinion{Kind: "correction", MessageID: "m2", Correction: "no"})
	w.give("ann", Opinion{Kind: "comment", MessageID: "m2", Comment: "hm"})
	rated := w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "good"})
	kept := w.give("ann", Opinion{Kind: "thumb", MessageID: "m4", Value: "up"})
	w.happens(event.ReactionAdded{RoomID: "r1", MessageID: "m2", PersonID: "ben", Emoji: "👍", Consent: true})
	w.drain()
	w.happens(event.MessageEdited{RoomID: "r1", MessageID: "m4", Features: event.Features{Words: 200}}, event.MessageDeleted{RoomID: "r1", MessageID: "m2"})
	gone := retracted(t, w.drain())
	if len(gone) != 4 { // thumb, two parts of the correction, reaction
		t.Errorf("%+v", gone)
	}
	for _, g := range gone {
		if g.FeedbackID == rated.FeedbackID || g.FeedbackID == kept.FeedbackID {
			t.Errorf("%+v went with another message", g)
		}
	}
	for _, c := range []struct {
		id     event.FeedbackID
		status string
		edited bool
	}{{thumb.FeedbackID, Retracted, false}, {rated.FeedbackID, Stored, false}, {kept.FeedbackID, Stored, true}} {
		if i, err := w.s.Get(t.Context(), by("ann"), c.id); err != nil || i.Status != c.status || i.Edited != c.edited {
			t.Errorf("%+v %v", i, err)
		}
	}
	for _, o := range []Opinion{{Kind: "thumb", MessageID: "m2", Value: "up"}, {Kind: "thumb", DecisionID: "d1", Value: "up"}} {
		if _, err := w.s.Give(t.Context(), by("ann"), "", o); !fault.Is(err, "message_deleted") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	// Again changes nothing; what is said of the new text is not marked.
	w.happens(event.MessageDeleted{RoomID: "r1", MessageID: "m2"}, event.MessageEdited{RoomID: "r1", MessageID: "m2"})
	if got := w.drain(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	after := w.give("ann", Opinion{Kind: "thumb", MessageID: "m4", Value: "down"})
	if i, err := w.s.Get(t.Context(), by("ann"), after.FeedbackID); err != nil || i.Edited {
		t.Errorf("%+v %v", i, err)
	}
	w.give("ann", Opinion{Kind: "correction", MessageID: "m4", Correction: strings.Repeat("a ", 12) + "?"})
	if got := created(t, w.drain()); len(got) != 3 || got[1].Direction.Trait != "brevity" || got[1].Direction.Sign != 1 {
		t.Errorf("a correction of the new text: %+v", got)
	}
}

// told answers what each feedback did.
type told map[event.FeedbackID]Effect

func (e told) Effects(context.Context, event.AgentID) (map[event.FeedbackID]Effect, error) {
	return e, nil
}

func TestOwnerSeesWhatItDid(t *testing.T) {
	t.Parallel()
	effects := told{}
	w := newWorld(t, Options{Rate: 1000, Shown: effects})
	w.scene()
	up := w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"}).FeedbackID
	old := w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "loved"}).FeedbackID
	w.give("ann", Opinion{Kind: "session", SessionID: "s1", Value: "meh"})
	tone := w.give("ann", Opinion{Kind: "tone", MessageID: "m2", Value: "funnier"}).FeedbackID
	bens := w.give("ben", Opinion{Kind: "session", SessionID: "s1", Value: "good"}).FeedbackID
	if _, err := w.s.Retract(t.Context(), by("ann"), up); err != nil {
		t.Fatal(err)
	}
	effects[up] = Effect{UsedIn: []Use{{12, map[string]float64{"humor": .02}}}, TakenOutIn: []Use{{13, map[string]float64{"humor": -.02}}}}
	effects[tone] = Effect{Says: "speaks for more humor", UsedIn: []Use{{12, map[string]float64{"humor": .02, "brevity": -.01}}}}
	effects[bens] = Effect{Says: "counts; needs about 3 more"}
	says := map[event.FeedbackID]string{up: "withdrawn, taken out in v13: humor -0.02", old: "replaced by a newer one; it counts no more",
		tone: "used in v12: humor +0.02, brevity -0.01; speaks for more humor", bens: "counts; needs about 3 more"}
	page, err := w.s.List(t.Context(), by("ann"), "luna", "", false)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, i := range page.Items {
		if want, ok := says[i.FeedbackID]; ok {
			found++
			if i.Effect == nil || i.Effect.Says != want {
				t.Errorf("%s: %+v, want %q", i.FeedbackID, i.Effect, want)
			}
		}
	}
	if found != len(says) {
		t.Errorf("%d of them are listed", found)
	}
	if i, err := w.s.Get(t.Context(), by("ann"), up); err != nil || i.Effect == nil || i.Effect.Says != says[up] {
		t.Errorf("%+v %v", i, err)
	}
	// It is the owner's to see.
	if i, err := w.s.Get(t.Context(), by("ben"), bens); err != nil || i.Effect != nil {
		t.Errorf("%+v %v", i, err)
	}
	if page, err := w.s.List(t.Context(), by("ben"), "luna", "", false); err != nil || page.Items[0].Effect != nil {
		t.Errorf("%+v %v", page, err)
	}
}

// The window is a setting; without one it is two weeks.
func TestWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ set, is time.Duration }{{0, 14 * 24 * time.Hour}, {3 * time.Hour, 3 * time.Hour}} {
		w := newWorld(t, Options{Window: c.set})
		w.scene()
		w.later(c.is - time.Minute)
		w.give("ann", Opinion{Kind: "thumb", MessageID: "m2", Value: "up"})
		w.later(2 * time.Minute)
		if _, err := w.s.Give(t.Context(), by("ann"), "", Opinion{Kind: "thumb", MessageID: "m2", Value: "down"}); !fault.Is(err, "feedback_too_late") {
			t.Errorf("%v: %v", c.set, err)
		}
	}
}
