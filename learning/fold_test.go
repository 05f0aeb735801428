package learning

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/policy"
)

// life draws a story with everything in it that makes entries.
func life(t *rapid.T, sessions int) *story {
	s := newStory("a")
	var given []event.FeedbackID
	for range sessions {
		var x policy.Traits
		for j := range x {
			x[j] = rapid.Float64Range(0, 1).Draw(t, "x")
		}
		s.session(x)
		for range rapid.IntRange(0, 3).Draw(t, "signals") {
			f := s.feedback(event.ChannelThumb, 1)
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				f.Score = -1
			case 1:
				f.Channel, f.Level = event.ChannelSession, rapid.SampledFrom([]string{"loved", "good", "meh", "not_great"}).Draw(t, "level")
			case 2:
				f = s.engagement(rapid.Float64Range(0, 1).Draw(t, "e"))
			case 3:
				f.RaterID, f.Role, f.Channel = event.PersonID(fmt.Sprintf("guest-%d", rapid.IntRange(0, 20).Draw(t, "guest"))), event.RoleParticipant, event.ChannelReaction
			case 4:
				f.Channel, f.Direction = event.ChannelTone, &event.Direction{Trait: "humor", Sign: 1}
			case 5: // about two sessions
				if s.sessions > 1 {
					f.Shares = append(s.share(s.sessions-1), f.Shares...)
					f.Shares[0].Weight, f.Shares[1].Weight = .3, .7
				}
			case 6:
				f.Shares = nil
			case 7: // late
				f.Shares = s.share(rapid.IntRange(1, s.sessions).Draw(t, "late"))
			case 8:
				if len(given) > 0 {
					f.Supersedes = given[rapid.IntRange(0, len(given)-1).Draw(t, "superseded")]
				}
			case 9: // a session that nobody decided
				f.Shares[0].EpisodeID += "-imported"
				f.Measured = &event.Measured{Meter: 1, Levels: map[string]float64{"brevity": .3}}
			}
			s.add(f)
			given = append(given, f.FeedbackID)
		}
		switch rapid.IntRange(0, 30).Draw(t, "act") {
		case 0:
			s.doc.Traits[policy.Humor] = .7
			s.baseline[policy.Humor] = .7
			s.change(event.ChangeEdited, "humor")
		case 1:
			s.doc.Pinned ^= policy.MaskOf(policy.Sarcasm)
			s.change(event.ChangePinned, "sarcasm")
		case 2:
			s.learning = !s.learning
			s.change(event.ChangePaused)
		case 3:
			s.add(event.AgentTransferred{AgentID: "a", To: "somebody"})
		case 6, 7:
			s.add(event.ParametersAdopted{AgentID: "a", Prior: rapid.Int64Range(0, 1).Draw(t, "prior"), Calibration: rapid.Int64Range(0, 1).Draw(t, "calibration"),
				Reputation: rapid.Int64Range(0, 2).Draw(t, "reputation")})
		case 4, 5:
			if len(given) > 0 {
				s.retract(given[rapid.IntRange(0, len(given)-1).Draw(t, "withdrawn")])
			}
		}
	}
	return s
}

// TestLearnerBytesAreAFunctionOfTheSet delivers one life in any order, with
// duplicates, in batches of any size, and finds the same bytes.
func TestLearnerBytesAreAFunctionOfTheSet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := life(rt, rapid.IntRange(1, 70).Draw(rt, "sessions"))
		b.t = rt
		b.clear()
		b.feed(Batch, s.events...)
		want := b.dump(learnerTables...)

		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		events := append([]event.Event(nil), s.events...)
		window := rapid.SampledFrom([]int{1, 5, 1000}).Draw(rt, "delay")
		for i := range events { // everything comes at most so much too early
			j := i + rnd.IntN(min(window, len(events)-i))
			events[i], events[j] = events[j], events[i]
		}
		if rapid.Bool().Draw(rt, "twice") {
			for range 10 {
				at := rnd.IntN(len(events))
				events = append(events, events[at])
			}
		}
		b.clear()
		b.feed(rapid.SampledFrom([]int{9, 50, Batch}).Draw(rt, "batch"), events...)
		if got := b.dump(learnerTables...); got != want {
			rt.Fatalf("other bytes:\n%s\nwant\n%s", got, want)
		}
		// and they are the fold
		entries := b.entries("a")
		state, err := fold.Of(entries, b.library())
		if err != nil {
			rt.Fatal(err)
		}
		before, f := fold.New(), fold.Folder{Library: b.library(), Newest: fold.Newest(entries, fold.Versions{})}
		for _, e := range entries[:len(entries)-1] {
			if err := f.Apply(&before, e); err != nil {
				rt.Fatal(err)
			}
		}
		var stored fold.State
		if len(entries) > 1 {
			var bytes []byte
			if err := b.s.db.Read(t.Context(), func(tx *tx) error {
				_, err := tx.Get(`select state from rl_checkpoints where place = $1`, []any{beforeNewest}, &bytes)
				return err
			}); err != nil {
				rt.Fatal(err)
			}
			if !stored.Read(bytes) || stored != before {
				rt.Fatal("the state before the newest entry is not its fold")
			}
		}
		if int(state.Entries) != len(entries) {
			rt.Fatalf("%d entries folded, want %d", state.Entries, len(entries))
		}
	})
}

// TestWithdrawnIsNeverGiven compares a life in which something was withdrawn with
// the life without it.
func TestWithdrawnIsNeverGiven(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := life(rt, rapid.IntRange(1, 60).Draw(rt, "sessions"))
		gone := map[event.FeedbackID]bool{}
		for _, e := range s.events {
			if e.Type == "feedback.created" {
				f, _ := event.As[event.FeedbackCreated](e)
				if f.Supersedes != "" {
					gone[f.Supersedes] = true
				}
				if rapid.IntRange(0, 5).Draw(rt, "withdrawn") == 0 {
					s.retract(f.FeedbackID)
				}
			}
			if e.Type == "feedback.retracted" {
				f, _ := event.As[event.FeedbackRetracted](e)
				gone[f.FeedbackID] = true
			}
		}
		for _, e := range s.events {
			if e.Type == "feedback.retracted" {
				f, _ := event.As[event.FeedbackRetracted](e)
				gone[f.FeedbackID] = true
			}
		}
		b.t = rt
		b.clear()
		b.feed(rapid.SampledFrom([]int{9, 60, Batch}).Draw(rt, "batch"), s.events...)
		got, gotTally := b.dump(append(learnerTables, "rl_signals")...), b.tallyWithoutRevision()
		var without []event.Event
		for _, e := range s.events {
			switch e.Type {
			case "feedback.retracted":
				continue
			case "feedback.created":
				f, _ := event.As[event.FeedbackCreated](e)
				if gone[f.FeedbackID] {
					continue
				}
				f.Supersedes = ""
				e = event.New("test", e.ID, e.Time, f)
			}
			without = append(without, e)
		}
		b.clear()
		b.feed(Batch, without...)
		if want := b.dump(append(learnerTables, "rl_signals")...); got != want {
			rt.Fatalf("after withdrawal\n%s\nnever given\n%s", got, want)
		}
		if want := b.tallyWithoutRevision(); gotTally != want {
			rt.Fatalf("after withdrawal\n%s\nnever given\n%s", gotTally, want)
		}
	})
}

func TestPinnedNeverMovesAndStepsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := life(rt, rapid.IntRange(10, 80).Draw(rt, "sessions"))
		b.t = rt
		b.clear()
		b.feed(Batch, s.events...)
		entries := b.entries("a")
		state, f := fold.New(), fold.Folder{Library: b.library(), Newest: fold.Newest(entries, fold.Versions{})}
		for _, e := range entries {
			before := state
			if err := f.Apply(&state, e); err != nil {
				rt.Fatal(err)
			}
			for j := range state.Theta {
				d := state.Theta[j] - before.Theta[j]
				switch {
				case e.Act != nil || d == 0:
				case before.Pinned.Has(policy.Trait(j)) || before.Paused || before.Hold[j] > 0:
					rt.Fatalf("%s moved while it may not", policy.Trait(j))
				case d > .02+1e-12 || d < -.02-1e-12:
					rt.Fatalf("%s moved by %v on one entry", policy.Trait(j), d)
				case state.Episodes[j] < 5 || state.Info[j] < 1:
					rt.Fatalf("%s moved after %d episodes and %v ratings", policy.Trait(j), state.Episodes[j], state.Info[j])
				}
			}
			if state.Guests > .3*state.Owner+2+1e-9 {
				rt.Fatalf("guests have %v, the owner %v", state.Guests, state.Owner)
			}
			for _, r := range state.Raters {
				if r.Info > (.3*state.Owner+2)/3+1e-9 {
					rt.Fatalf("one guest has %v, the owner %v", r.Info, state.Owner)
				}
			}
			if state.Shown > .3*(state.Shown+state.Meant)+1e-9 {
				rt.Fatalf("behaviour has %v, judgements %v", state.Shown, state.Meant)
			}
		}
	})
}

// TestBatchesDoNotMatter delivers one life one by one and all at once: every
// table is the same.
func TestBatchesDoNotMatter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := life(rt, rapid.IntRange(1, 40).Draw(rt, "sessions"))
		var events []event.Event
		for i, e := range s.events { // with what else an agent meets
			events = append(events, e)
			at := e.Time + 1
			switch i % 9 {
			case 3:
				events = append(events, event.New("test", e.ID+"-i", at, event.AgentInvited{AgentID: "a", By: "owner-a", Consent: true}))
			case 5:
				events = append(events, event.New("test", e.ID+"-s", at, event.SessionEnded{AgentID: "a", SessionID: event.SessionID(e.ID), StartedAt: at - 600e6, EndedAt: at,
					People: []event.SessionPerson{{PersonID: "owner-a", Consent: true}, {PersonID: "guest-1", Consent: true, Abandoned: true}}}))
			case 7:
				events = append(events, event.New("test", e.ID+"-p", at, event.PolicyProposed{AgentID: "a", ProposalID: e.ID, Parent: s.doc.Version,
					Policy: []byte("{}"), Moved: []event.Moved{{Trait: "humor", Before: .5, After: .52}}}),
					event.New("test", e.ID+"-r", at, event.PolicyRefused{AgentID: "a", ProposalID: e.ID, Gate: "stale"}),
					event.New("test", e.ID+"-h", at, event.UpdateRefused{AgentID: "a", Gate: "drift"}))
			}
		}
		b.t = rt
		b.clear()
		b.feed(Batch, events...)
		want := b.dump(b.s.Projections()...)
		b.clear()
		b.feed(rapid.SampledFrom([]int{3, 20}).Draw(rt, "batch"), events...)
		if got := b.dump(b.s.Projections()...); got != want {
			rt.Fatalf("in small batches\n%s\nat once\n%s", got, want)
		}
	})
}

// TestNothingIsFused compiles the fold for a processor whose compiler fuses
// multiplication and addition wherever it may, and finds no such instruction:
// stored bytes must not depend on where a product is rounded.
func TestNothingIsFused(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles for another processor")
	}
	cmd := exec.Command("go", "build", "-gcflags=-S", "rapport/learning/step", "rapport/learning/fusion", "rapport/learning/safety", "rapport/learning/fold")
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	fused, seen := regexp.MustCompile(`\tFN?M(ADD|SUB)[DS]`), false
	inFold := regexp.MustCompile(`/learning/(fold/\w+|fusion/\w+|step/\w+|safety/\w+)\.go:\d+`)
	for line := range strings.Lines(string(out)) {
		if at := inFold.FindString(line); at != "" {
			seen = true
			if fused.MatchString(line) {
				t.Errorf("%s is fused; round the product: float64(a*b)+c", at)
			}
		}
	}
	if !seen {
		t.Error("the compiler said nothing of the fold")
	}
}
