package textsignal_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/chat/textsignal"
)

func lines(said ...string) (out []textsignal.Line) {
	for i, s := range said {
		who, text, _ := strings.Cut(s, ": ")
		out = append(out, textsignal.Line{Author: "id-" + who, Name: who, At: int64(i) * 20e6, Text: text})
	}
	return out
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		said []string
		back int
		who  string
	}{
		"an empty room":                   {[]string{"ann: hello everyone, can anyone help?"}, 0, ""},
		"names somebody":                  {[]string{"ann: how do I open a rar file?", "bob: nice weather", "eve: I like tea", "carl: ann, install unrar"}, 3, "id-ann"},
		"answers the one who asked":       {[]string{"ann: carl, which kernel do you run?", "bob: nice weather", "carl: the newest one"}, 2, "id-ann"},
		"goes on":                         {[]string{"bob: hi", "ann: I tried the update", "ann: and it broke my sound"}, 1, ""},
		"a name that is an everyday word": {[]string{"will: lunch?", "ann: my disk is full", "ann: what will it take to fix this"}, 1, ""},
		"a new question to all":           {[]string{"ann: bob, try again", "bob: ann: it works, thanks", "eve: can anyone tell me how I install java?"}, 0, ""},
	} {
		var talk textsignal.Talk
		all := lines(c.said...)
		for _, l := range all[:len(all)-1] {
			talk.Hear(l)
		}
		got := talk.Answers(all[len(all)-1])
		if got.Back != c.back || got.Author != c.who {
			t.Errorf("%s: %+v, want %d back, %q", name, got, c.back, c.who)
		}
	}
}

// TestTalkForgets: what a line answers depends on the last 2·Reach lines only, so
// that a room can be taken up anywhere.
func TestTalkForgets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.Custom(func(t *rapid.T) textsignal.Line {
			who := rapid.SampledFrom([]string{"ann", "bob", "carl", "Zoë", ""}).Draw(t, "who")
			return textsignal.Line{Author: who, Name: who, At: rapid.Int64().Draw(t, "at"), Text: rapid.SampledFrom([]string{"ann: yes", "why?", "ok", "", "the kernel broke", "bob kernel", "你好 ann"}).Draw(t, "text")}
		})
		n := 2*textsignal.Reach + rapid.IntRange(0, 5).Draw(t, "more")
		all := rapid.SliceOfN(line, n+1, n+1).Draw(t, "lines")
		var long, short textsignal.Talk
		for i, l := range all[:n] {
			long.Hear(l)
			if i >= n-2*textsignal.Reach {
				short.Hear(l)
			}
		}
		a, b := long.Answers(all[n]), short.Answers(all[n])
		if math.IsNaN(a.P) || a.P < 0 || a.P > 1+1e-9 || a.AuthorP < 0 || a.AuthorP > 1+1e-9 || a.Back < 0 || a.Back > textsignal.Reach {
			t.Fatalf("%+v", a)
		}
		if a.Author == all[n].Author && a.Author != "" {
			t.Fatal("answers themself")
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestShift(t *testing.T) {
	t.Parallel()
	talk := []string{"i love hiking in the mountains", "me too , i hiked the alps last year . the mountains are beautiful"}
	for text, changes := range map[string]bool{
		"which mountains did you hike ?":                       false,
		"it was great , they are so high":                      false,
		"do you have any pets ? i have two dogs":               true,
		"by the way , what do you do for a living ?":           true,
		"nice . do you like pizza ?":                           true,
		"yes , the mountains in the alps are really special .": false,
	} {
		if p := textsignal.Shift(talk, text); (p >= textsignal.ShiftAt) != changes {
			t.Errorf("%q: %.2f, want a change: %v", text, p, changes)
		}
	}
	if textsignal.Shift(nil, "do you have any pets ?") != 0 {
		t.Error("a first turn changes the topic")
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	const own, machine = "what is your favorite book", "Still incorrect :( Lets speak about something else..."
	for _, c := range [][2]string{ // the first tells of more trouble
		{"what do you mean?", "cool, I love that"}, {"that's not what I asked", "great, tell me more about it"}, {"what is your favorite book", "yes, mine is a story of pirates"},
	} {
		if a, b := textsignal.Trouble(own, machine, c[0]), textsignal.Trouble(own, machine, c[1]); a <= b {
			t.Errorf("%q %v is not above %q %v", c[0], a, c[1], b)
		}
	}
}

func FuzzTalk(f *testing.F) {
	f.Add("", "what?", "\xff")
	f.Add("ann: hi", "by the way", "why??")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if p := textsignal.Shift([]string{a, b}, c); !(p >= 0 && p <= 1) {
			t.Errorf("shift %v", p)
		}
		if v := textsignal.Trouble(a, b, c); !(v >= 0 && v <= 1) {
			t.Errorf("trouble %v", v)
		}
		if s := textsignal.SentimentOf(c); !(s.Value >= -1 && s.Value <= 1 && s.Variance > 0 && s.Variance <= 1) || !s.Known && s.Value != 0 {
			t.Errorf("sentiment %+v", s)
		}
		var talk textsignal.Talk
		for i, s := range []string{a, b, c} {
			l := textsignal.Line{Author: s, Name: s, Text: a + b, At: int64(i)}
			if p := talk.Answers(l).P; !(p >= 0 && p <= 1+1e-9) {
				t.Errorf("answer %v", p)
			}
			talk.Hear(l)
		}
	})
}

func BenchmarkAnswers(b *testing.B) {
	var talk textsignal.Talk
	said := lines("ann: how do I open a rar file?", "bob: nice weather", "eve: I like tea", "carl: ann, install unrar")
	for i := range textsignal.Reach {
		talk.Hear(said[i%4])
	}
	for b.Loop() {
		talk.Answers(said[3])
	}
}

// Reading turns once or again gives the same numbers, and those that the weights were
// fitted on: after a single turn every content word counts as said just now.
func TestTurnsReadOnce(t *testing.T) {
	t.Parallel()
	talk := []string{"i love hiking in the mountains", "me too , which mountains ?", "the alps"}
	f := textsignal.ShiftFeatures(talk[:1], "my kitchen is blue")
	if f[1] != 1 || f[2] != 0 || f[3] != 0 {
		t.Errorf("after one turn: %v", f[:4])
	}
	if f := textsignal.ShiftFeatures(talk, "my mountains are blue"); f[1] != .5 || f[2] != .5 {
		t.Errorf("after three: %v", f[:4])
	}
	now := textsignal.Read("do you mean the mountains ?")
	var past []textsignal.Past
	for _, s := range talk {
		past = append(past, textsignal.Read(s).Past)
	}
	if now.Shift(past) != textsignal.Shift(talk, "do you mean the mountains ?") || now.Trouble(past[0], past[2]) != textsignal.Trouble(talk[0], talk[2], "do you mean the mountains ?") {
		t.Error("read once is another text")
	}
}
