package mentor

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/event"
	"rapport/internal/fault"
)

const good = "It answers the worry first and then gives one clear step; a shorter ending would help."

var best = Marks{"clearly", "clearly", "clearly"}

func minute(n int) event.Micros { return event.Micros(n) * 60 * second }

func TestMarks(t *testing.T) {
	t.Parallel()
	for m, want := range map[Marks]float64{
		best: 1, {"not_at_all", "not_at_all", "not_at_all"}: -1, {"clearly", "mostly", "not_at_all"}: .5 / 3, {"hardly", "hardly", "hardly"}: -.5,
	} {
		if err := m.Check(); err != nil || m.Score() != want {
			t.Errorf("%s: %v %v", m, m.Score(), err)
		}
	}
	for _, m := range []Marks{{}, {"clearly", "clearly", "loved"}, {"5", "clearly", "clearly"}} {
		if !fault.Is(m.Check(), "unknown_value") {
			t.Errorf("%+v passes", m)
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	for note, code := range map[string]string{
		good: "", "温かい返事でした。もう少し短く、具体的な例が一つあると良いと思います。": "",
		"": "note_too_short", "good": "note_too_short", "good good good good good good good": "note_too_short", "....................................": "note_too_short",
		strings.Repeat("very long words ", 200): "note_too_long", "a\x00b has four words in it": "bad_text", "\xff has four words in it, no?": "bad_text",
	} {
		if err := CheckNote(note); (err != nil) != (code != "") || code != "" && !fault.Is(err, code) {
			t.Errorf("%q: %v, want %q", note, err, code)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	calm := Facts{Review: Review{best, good}, Took: minute(1), Exchange: []string{"I am nervous about the exam.", "That is a heavy feeling. What is the first topic?"}}
	same := func(n int, m Marks) (out []Review) {
		for i := range n {
			out = append(out, Review{m, strings.Repeat(string(rune('a'+i)), 3) + " one " + strings.Repeat(string(rune('b'+i)), 4) + " of its own kind entirely"})
		}
		return out
	}
	tops := func(n int) []Marks { return slices.Repeat([]Marks{best}, n) }
	for name, c := range map[string]struct {
		change func(*Facts)
		want   []string
	}{
		"nothing":                        {func(*Facts) {}, nil},
		"in 300 ms":                      {func(f *Facts) { f.Took = 300_000 }, []string{TooFast}},
		"before it was shown":            {func(f *Facts) { f.Took = -5 }, []string{TooFast}},
		"a long exchange in ten seconds": {func(f *Facts) { f.Took, f.Exchange = 10*second, []string{strings.Repeat("long ", 400)} }, []string{TooFast}},
		"nine alike before":              {func(f *Facts) { f.Past = same(9, best) }, []string{Constant}},
		"eight alike before":             {func(f *Facts) { f.Past = same(8, best) }, nil},
		"one differs":                    {func(f *Facts) { f.Past = same(12, best); f.Past[4].Marks.Kind = "mostly" }, nil},
		"an insult":                      {func(f *Facts) { f.Note = "Whoever wrote this is an 1d10t and should be ashamed." }, []string{Hurtful}},
		"the note of before":             {func(f *Facts) { f.Past = []Review{{Marks{"mostly", "hardly", "clearly"}, strings.ToUpper(good) + "!"}} }, []string{Copied}},
		"the words of the exchange":      {func(f *Facts) { f.Note = "That is a heavy feeling. What is the first topic?" }, []string{Copied}},
		"a few of its words":             {func(f *Facts) { f.Note = "Naming it as a heavy feeling is warm; asking for one topic keeps it small." }, nil},
		"somebody else's note":           {func(f *Facts) { f.Echo = true }, []string{Copied}},
		"best for best":                  {func(f *Facts) { f.Given, f.Got = tops(2), tops(3) }, []string{Mutual}},
		"best for best, but twice":       {func(f *Facts) { f.Given, f.Got = tops(1), tops(3) }, nil},
		"not always the best":            {func(f *Facts) { f.Given, f.Got = tops(4), append(tops(3), Marks{"mostly", "clearly", "clearly"}) }, nil},
		"everything at once": {func(f *Facts) {
			f.Took, f.Note, f.Past = 300_000, "You are all morons, every one of you.", same(9, best)
		}, []string{Constant, Hurtful, TooFast}},
	} {
		f := calm
		c.change(&f)
		got := Judge(f)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for _, code := range got {
			if Because(code) == "" {
				t.Errorf("%s has no words", code)
			}
		}
	}
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for note, want := range map[string]bool{
		"Only an idiot would answer like that.": true, "IDIOT!!!": true, "i d i o t": true, "what an idioooot this is": true, "m0r0n5": true, "you @sshole": true,
		"Just shut up already.": true, "go die": true, "Du Vollidiot": true, "n1ggers": true, "f a g g o t": true,
		"The bot shuts up too late: it could stop after the first tip.": false, "Pros and cons are clear; Niger is named rightly.": false, "It kills the mood a little.": false,
		"A harsh answer, cold and wrong, but short.": false, "": false, "5 7 1 !": false, "The class assessed the analyst's assignment.": false,
	} {
		if got := Hostile(note); got != want {
			t.Errorf("%q: %v", note, got)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var all []Candidate
		for i := range rapid.IntRange(0, 12).Draw(r, "n") {
			all = append(all, Candidate{Message: event.MessageID(rune('a' + i)), Owner: event.PersonID(rapid.SampledFrom([]string{"me", "ann", "ben"}).Draw(r, "owner")), Given: rapid.IntRange(0, 4).Draw(r, "given")})
		}
		partners := map[event.PersonID]bool{"ben": rapid.Bool().Draw(r, "partner")}
		want := Order("seed", "me", 3, all, partners)
		if d := cmp.Diff(want, Order("seed", "me", 3, rapid.Permutation(all).Draw(r, "shuffled"), partners)); d != "" {
			r.Fatal(d)
		}
		for i, c := range want {
			if c.Owner == "me" || partners[c.Owner] || c.Given >= MaxReviewers || i > 0 && want[i-1].Given > c.Given {
				r.Fatalf("%+v", want)
			}
		}
	})
	many := make([]Candidate, 40)
	for i := range many {
		many[i] = Candidate{Message: event.MessageID(rune('A' + i)), Owner: "ann"}
	}
	if first := Order("seed", "me", 3, many, nil); cmp.Equal(first, Order("seed", "me", 4, many, nil)) || cmp.Equal(first, Order("seed", "you", 3, many, nil)) || cmp.Equal(first, Order("other", "me", 3, many, nil)) {
		t.Error("day, reviewer and seed draw the same lots")
	}
}

func TestBlind(t *testing.T) {
	t.Parallel()
	person := func(id string) event.Member {
		return event.Member{Kind: event.KindPerson, PersonID: event.PersonID(id)}
	}
	agent := func(id string) event.Member { return event.Member{Kind: event.KindAgent, AgentID: event.AgentID(id)} }
	got := Blind("luna", []Line{
		{person("p1"), "Hi Luna, I'm Ada Lovelace (ada.l@example.org, +49 171 2345678)."},
		{agent("mark"), "@ada welcome! See https://example.org/ada and ask LUNA."},
		{person("p2"), ""},
		{person("p3"), "Bo is here, 李小龙也在, and the oneness of Théo's café; 12 apples, mail@ 5."},
		{agent("zoe"), "Hello."},
		{agent("luna"), "Ada, that's lovely(Ada)! adaptable people adapt."},
	}, []string{"Luna", "Ada Lovelace", "Mark", "Bo", "李小龙", "The One", "Théo", "J"})
	want := []Shown{
		{"person A", "Hi […], I'm […] […] ([…], […])."},
		{"another agent", "[…] welcome! See […] and ask […]."},
		{"person C", "[…] is here, […]也在, and the oneness of […]'s café; 12 apples, mail@ 5."},
		{"another agent 2", "Hello."},
		{"the agent", "[…], that's lovely([…])! adaptable people adapt."},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := letters(0) + letters(25) + letters(26) + letters(27); got != "AZAAAB" {
		t.Error(got)
	}
}

func TestTogether(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		count, target int64
		people        int
		reached       bool
		shown         int64
		visible       bool
	}{
		{0, 500, 0, false, 0, false}, {80, 500, 4, false, 0, false}, {23, 500, 5, false, 20, true}, {24, 500, 9, false, 20, true}, {25, 500, 9, false, 25, true},
		{501, 500, 9, false, 495, true}, {3, 500, 9, true, 500, true},
	} {
		if shown, visible := Together(c.count, c.target, c.people, c.reached); shown != c.shown || visible != c.visible {
			t.Errorf("%+v: %d %v", c, shown, visible)
		}
	}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	p := DefaultPrices()
	for _, item := range []string{event.ItemSlot, event.ItemLook, event.ItemReplies, event.ItemEvening} {
		if price, ok := p.Of(item); !ok || price < 1 || Says(item) == "" {
			t.Errorf("%s: %d", item, price)
		}
	}
	if _, ok := p.Of("crown"); ok {
		t.Error("a crown can be bought")
	}
	if p.Earns(3, 8) != 2 || p.Earns(1, 10) != 0 || p.Earns(3, 12) != 0 || p.Earns(3, 0) != 3 {
		t.Error("the cap")
	}
	for at, want := range map[event.Micros]int64{0: 0, 24*3600*second - 1: 0, 24 * 3600 * second: 1} {
		if Day(at) != want || DayEnds(at) != (want+1)*24*3600*second {
			t.Errorf("%d: day %d", at, Day(at))
		}
	}
	if Digest("It is warm, kind and clear; well done indeed.") != Digest("it is warm kind AND clear well done indeed") || Digest("too short a note") != "" {
		t.Error("digests")
	}
}
