package textsignal_test

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"rapport/chat/textsignal"
	"rapport/event"
)

func TestMeasureCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text                               string
		chars, words, sentences, questions int
	}{
		{"", 0, 0, 0, 0},
		{"   \n ", 5, 0, 0, 0},
		{"?!...", 5, 0, 0, 0},
		{"Hello", 5, 1, 1, 0},
		{"It's 3.5 metres. Really?", 24, 5, 2, 1},
		{"What?! No way... ok", 19, 4, 3, 1},
		{"one\ntwo\n\nthree?", 15, 3, 3, 1},
		{"state-of-the-art don’t", 22, 2, 1, 0},
		{"Größe über alles!", 17, 3, 1, 0},
		{"你好吗？很好。", 7, 5, 2, 1},
		{"كيف حالك؟", 9, 2, 1, 1},
		{"😀😀", 2, 0, 0, 0},
		{"see example.com/a?b=1 now", 25, 7, 1, 0},
		{"\xff\xfe a", 4, 1, 1, 0},
	} {
		f := textsignal.Measure(c.text)
		got := []int{f.Chars, f.Words, f.Sentences, f.Questions}
		if want := []int{c.chars, c.words, c.sentences, c.questions}; !slices.Equal(got, want) {
			t.Errorf("%q: chars, words, sentences, questions = %v, want %v", c.text, got, want)
		}
		if f.Detector != textsignal.Version {
			t.Errorf("%q: detector %d", c.text, f.Detector)
		}
	}
}

func TestSentimentSigns(t *testing.T) {
	t.Parallel()
	for sign, list := range map[int][]string{
		1: {"I love this!", "not bad", "thanks, that was really helpful", "😂😂", "Das ist 😍", "you made me so happy :)", "It hurt, but I love it now"},
		-1: {"This is terrible.", "not good", "I don't like it", "I'm so sad :(", "never helpful", "👎", "nice try, but this is awful",
			"I am not happy with this"},
		0: {"", "The table has four legs.", "Danke, gut", "die Katze ist auf dem Tisch", "¿Qué hora es?", "你好", "x", "12:30:45"},
	} {
		for _, text := range list {
			if got := textsignal.SentimentOf(text).Value; int(sgn(got)) != sign {
				t.Errorf("%q: %v, want sign %d", text, got, sign)
			}
		}
	}
}

func TestSentimentOrders(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{ // the first sounds more pleased
		{"very good", "good"}, {"good", "slightly good"}, {"good!!!", "good"}, {"amazing", "nice"},
		{"bad", "very bad"}, {"bad", "bad!!!"}, {"good", "not good"}, {"The food was bad but the view was great", "The view was great but the food was bad"},
	} {
		if a, b := textsignal.SentimentOf(c[0]).Value, textsignal.SentimentOf(c[1]).Value; a <= b {
			t.Errorf("%q %v is not above %q %v", c[0], a, c[1], b)
		}
	}
}

// TestOtherLanguages: of what it cannot read it says so, instead of a number.
func TestOtherLanguages(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Die Frau war in der Hölle, das ist kein Gift", "Das ist gut", "die", "Gift", "No me gusta nada", "Esto es fatal, no hay más",
		"Bu harika bir gün", "Ne zaman geliyorsun?", "harika", "هذا رائع جدا", "我非常喜欢这个", "太糟糕了！", "오늘 정말 행복해요", "Это ужасно", "", "12:30", "🧀", "http://example.com/good"} {
		if got := textsignal.SentimentOf(text); got.Known || got.Value != 0 || got.Variance != 1 {
			t.Errorf("%q: %+v, want unknown", text, got)
		}
	}
	for text, sign := range map[string]float64{"😍": 1, "😀😀": 1, "Das ist 😍": 1, "太糟糕了 😡": -1, "bu harika :)": 1, "هذا 👎": -1, "🔥": 1, "😭": -1} {
		if got := textsignal.SentimentOf(text); !got.Known || sgn(got.Value) != sign {
			t.Errorf("%q: %+v, want sign %v from its emoji", text, got, sign)
		}
	}
	for _, text := range []string{"The table has four legs.", "I sent it to you yesterday", "ok"} {
		if got := textsignal.SentimentOf(text); !got.Known || got.Variance >= 1 {
			t.Errorf("%q: %+v, want known", text, got)
		}
	}
}

// TestWhereSentimentFails holds what it is known to get wrong, so that nobody
// takes it for more than it is and a repair is noticed.
func TestWhereSentimentFails(t *testing.T) {
	t.Parallel()
	for text, wrong := range map[string]float64{
		"Oh great, it broke again. Just what I needed.":  1,  // irony
		"I don't think that this was any good":           1,  // a negation in another clause
		"it looks like rain":                             1,  // like, the preposition
		"He said \"I hate you\" and we laughed about it": -1, // a quote
	} {
		if got := textsignal.SentimentOf(text).Value; sgn(got) != wrong {
			t.Errorf("%q: %v; the known failure is gone", text, got)
		}
	}
}

func sgn(v float64) float64 {
	if v == 0 {
		return 0
	}
	return math.Copysign(1, v)
}

func TestTags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"haha that joke was great":             {"humor"},
		"Can you explain how does this work?":  {"teaching"},
		"I feel so lonely today":               {"support"},
		"Once upon a time a dragon...":         {"story"},
		"Let's meet tomorrow":                  {"planning"},
		"Hi, how are you?":                     {"smalltalk"},
		"Shut up, you are wrong":               {"conflict"},
		"hello! tell me a funny story":         {"humor", "story", "smalltalk"},
		"The wall is green":                    {"other"},
		"":                                     {"other"},
		"Ich habe heute einen Drachen gesehen": {"other"},
		"whi shutter":                          {"other"},
	} {
		if diff := cmp.Diff(want, textsignal.Measure(text).Tags); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	handles := []string{"Luna", "luna-2", "Mr Fox", "", "Zoë"}
	for text, want := range map[string][]string{
		"hi @luna":               {"Luna"},
		"@LUNA, @luna-2!":        {"Luna", "luna-2"},
		"@luna-2":                {"luna-2"},
		"@luna's idea":           {"Luna"},
		"@luna- what":            {"Luna"},
		"@lunatic @lun luna":     nil,
		"me@luna.com":            nil,
		"(@mr fox) and @mr-foxy": {"Mr Fox"},
		"@mrfox":                 {"Mr Fox"},
		"@zoë?":                  {"Zoë"},
		"@ @@luna":               {"Luna"},
		"@":                      nil,
	} {
		var got []string
		for i, yes := range textsignal.Mentions(text, handles) {
			if yes {
				got = append(got, handles[i])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}

func check(t *testing.T, text string, f event.Features) {
	t.Helper()
	tags := textsignal.Tags()
	bad := f.Chars != utf8.RuneCountInString(text) || f.Words > f.Chars || f.Sentences > f.Words || f.Questions > f.Sentences ||
		!(f.Sentiment >= -1 && f.Sentiment <= 1) || !(f.Variance > 0 && f.Variance <= 1) || math.Signbit(f.Sentiment) && f.Sentiment == 0 || len(f.Tags) == 0
	last := -1
	for _, tag := range f.Tags {
		i := slices.Index(tags, tag)
		bad = bad || i <= last || tag == textsignal.Other && len(f.Tags) > 1
		last = i
	}
	if bad {
		t.Errorf("%q: %+v", text, f)
	}
	if diff := cmp.Diff(f, textsignal.Measure(text)); diff != "" {
		t.Errorf("%q measured twice:\n%s", text, diff)
	}
}

func FuzzMeasure(f *testing.F) {
	for _, s := range []string{"", "I love you!", "not bad :(", "@luna?!", "你好吗？", "\xff\x00", "a.b.c", "but but but", "İ@İ", strings.Repeat("very ", 300) + "good", "'''- -'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check(t, s, textsignal.Measure(s))
		if !textsignal.Mentions("@"+s, []string{s})[0] && strings.TrimSpace(s) != "" && !strings.HasSuffix(s, "-") && !strings.Contains(s, "@") &&
			strings.Join(strings.Fields(s), " ") == s && utf8.ValidString(s) {
			t.Errorf("%q does not mention itself", s)
		}
	})
}

// TestSentimentAgainstPeople compares with mean human ratings. They are only found beside the repository, or at
// $RAPPORT_DATA.
func TestSentimentAgainstPeople(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("RAPPORT_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	for name, floor := range map[string]float64{"tweets": .87, "amazonReviewSnippets": .58} {
		file, err := os.Open(filepath.Join(dir, "vader", name+"_GroundTruth.txt"))
		if err != nil {
			t.Skip("no human ratings at", dir)
		}
		defer file.Close()
		var n, x, y, xx, yy, xy float64
		for lines := bufio.NewScanner(file); lines.Scan(); {
			part := strings.SplitN(lines.Text(), "\t", 3)
			if len(part) < 3 {
				continue
			}
			people, err := strconv.ParseFloat(part[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			ours := textsignal.SentimentOf(part[2]).Value
			n, x, y, xx, yy, xy = n+1, x+ours, y+people, xx+ours*ours, yy+people*people, xy+ours*people
		}
		r := (xy - x*y/n) / math.Sqrt((xx-x*x/n)*(yy-y*y/n))
		t.Logf("%s: n = %.0f, Pearson r = %.3f", name, n, r)
		if n < 1000 || !(r >= floor) {
			t.Errorf("%s: r = %.3f on %.0f texts, want %.2f", name, r, n, floor)
		}
	}
}

func BenchmarkMeasure(b *testing.B) {
	text := "I really liked the story about the dragon, but could you make it a little shorter next time? Thanks!"
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		textsignal.Measure(text)
	}
}
