package textsignal

import (
	"math"
	"slices"
	"strings"
)

// Line is something said in a room.
type Line struct {
	Author string // an id
	Name   string // what others call the author
	At     int64  // microseconds
	Text   string
	Read   *Text // the same, read; nil: it is read here
}

// Reach is how many lines back an answer is looked for.
const Reach = 80

// Talk follows the lines of a room, to tell what a new one answers. What it tells is
// a function of the last 2·Reach lines that it was given, so that a room can be
// taken up anywhere; its zero value is an empty room.
type Talk struct {
	lines []heard // the oldest first
}

type heard struct {
	Line
	called   string // its author's name in lower case
	to       string // author whom it names, "" for none
	first    string // its first word, which may name somebody who had not spoken yet
	terms    []string
	question bool
	answered bool // somebody else named its author since
}

// Answer is what a line is taken to answer.
type Answer struct {
	Back    int     // how many lines back; 0: none, it starts something new
	P       float64 // the chance that this is right, 0…1
	Author  string  // to whom it speaks, "" for nobody or the author themself
	AuthorP float64 // the chance of that
}

// Choice is one thing that a line may answer, with the numbers it is judged by.
type Choice struct {
	Back     int // 0: nothing
	Author   string
	Features [NAnswerFeatures]float64
}

// ActAt is the chance of an addressee from which a signal goes to them; below it
// goes to nobody. At .90 one in nineteen of those that go somewhere goes to a wrong
// one, and half of the answers to somebody reach them; see docs/learning-results.md.
const ActAt = .90

// NAnswerFeatures is the number of features of a choice.
const NAnswerFeatures = 34

// Answers gives the choice with the greatest chance, by
//
//	p(choice) ∝ exp(Σ wᵢ·featureᵢ)
//
// with the weights of AnswerWeights. Only lines before it are looked at.
func (t *Talk) Answers(l Line) Answer { return Weigh(t.Choices(l), &AnswerWeights, l.Author) }

// Weigh turns choices into an answer. The first of the equally likely wins.
func Weigh(choices []Choice, w *[NAnswerFeatures]float64, self string) Answer {
	p := make([]float64, len(choices))
	top := math.Inf(-1)
	for i := range choices {
		for k, f := range choices[i].Features {
			p[i] += float64(w[k] * f)
		}
		top = max(top, p[i])
	}
	sum := 0.0
	for i := range p {
		p[i] = math.Exp(p[i] - top)
		sum += p[i]
	}
	best, people := 0, map[string]float64{}
	for i, c := range choices {
		p[i] /= sum
		if p[i] > p[best] {
			best = i
		}
		if c.Back > 0 && c.Author != self {
			people[c.Author] += p[i]
		}
	}
	out := Answer{Back: choices[best].Back, P: p[best]}
	if c := choices[best]; c.Back > 0 && c.Author != self {
		out.Author, out.AuthorP = c.Author, people[c.Author]
	}
	return out
}

// Hear adds a line.
func (t *Talk) Hear(l Line) {
	h := t.understand(l)
	for i := range t.lines {
		t.lines[i].answered = t.lines[i].answered || h.to != "" && t.lines[i].Author == h.to
	}
	if len(t.lines) == Reach {
		t.lines = slices.Delete(t.lines, 0, 1)
	}
	t.lines = append(t.lines, h)
}

// understand finds whom a line names: the author called by its first word, or by
// any other word that is no everyday word.
func (t *Talk) understand(l Line) heard {
	x := l.Read
	if x == nil {
		x = Read(l.Text)
	}
	h := heard{Line: l, called: strings.ToLower(l.Name), terms: x.terms, question: x.questions > 0 || x.asks}
	h.Text, h.Read = "", nil
	for n, w := range strings.Fields(x.lower) {
		bare := strings.Trim(w, ".,:;!?@()<>'\"")
		if n == 0 {
			h.first = bare
		}
		if bare == "" || n > 0 && (len(bare) < 3 || everydayWord[bare] == 'e' || stopWord[bare]) {
			continue
		}
		for i := len(t.lines) - 1; i >= 0; i-- {
			if name := t.lines[i].called; t.lines[i].Author != l.Author && (name == bare || name == w || n == 0 && len(bare) >= 4 && strings.HasPrefix(name, bare)) {
				h.to = t.lines[i].Author
				return h
			}
		}
	}
	return h
}

// Choices lists what a line may answer: nothing, then the lines before it, the
// newest first.
func (t *Talk) Choices(l Line) []Choice {
	h := t.understand(l)
	n, name := len(t.lines), strings.ToLower(l.Name)
	ownLast, partner := -1, "" // the author's newest line; with whom they spoke last
	for i := n - 1; i >= 0; i-- {
		if ownLast < 0 && t.lines[i].Author == l.Author {
			ownLast = i
		}
		if partner == "" {
			switch {
			case t.lines[i].Author == l.Author:
				partner = t.lines[i].to
			case t.lines[i].to == l.Author:
				partner = t.lines[i].Author
			}
		}
	}
	frequency := map[string]float64{}
	for i := range t.lines {
		for _, w := range t.lines[i].terms {
			frequency[w]++
		}
	}
	first := strings.ToLower(strings.Trim(strings.SplitN(strings.TrimSpace(l.Text), " ", 2)[0], ".,!?"))
	yesNo, thanks := replies[first], strings.Contains(strings.ToLower(l.Text), "thank") || first == "thx"
	anyone := openings(strings.ToLower(l.Text))

	out := make([]Choice, 1, n+1)
	f := &out[0].Features
	f[0] = 1
	f[1] = b(h.question)
	f[2] = b(h.to != "")
	f[3] = b(ownLast < 0)
	if ownLast >= 0 {
		f[4] = math.Log1p(float64(n - ownLast))
		f[5] = math.Log1p(seconds(l.At - t.lines[ownLast].At))
	}
	f[6] = b(anyone)
	f[7] = math.Log1p(float64(len(h.terms)))
	f[8] = b(yesNo || thanks)
	f[9] = b(h.question && ownLast < 0)

	lastOf, lastToMe := map[string]bool{}, false
	for i := n - 1; i >= 0; i-- {
		c := Choice{Back: n - i, Author: t.lines[i].Author}
		f, x := &c.Features, &t.lines[i]
		own, theirLast, toMe := x.Author == l.Author, !lastOf[x.Author], x.to == l.Author || x.to == "" && x.first != "" && x.first == name
		lastOf[x.Author] = true
		gap := math.Log1p(seconds(l.At - x.At))
		f[10] = math.Log1p(float64(c.Back))
		f[11] = gap
		f[12] = b(c.Back == 1)
		f[13] = b(own)
		f[14] = b(own && theirLast)
		f[15] = b(own && c.Back == 1)
		f[16] = b(own) * gap
		f[17] = b(h.to == x.Author && theirLast)
		f[18] = b(h.to == x.Author)
		f[19] = b(h.to != "" && h.to != x.Author)
		f[20] = b(toMe)
		f[21] = b(toMe && !lastToMe)
		lastToMe = lastToMe || toMe
		f[22] = b(x.question)
		f[23] = b(x.question && !x.answered && !own)
		f[24] = overlap(h.terms, x.terms, frequency, float64(n))
		f[25] = b(h.to != "" && x.to == h.to && !own)
		f[26] = b(h.to == "" && x.Author == partner)
		f[27] = b(h.to == "" && x.Author == partner && theirLast)
		f[28] = b(theirLast && !own)
		f[29] = b(h.to == x.Author) * gap
		f[30] = b(x.to != "" && !toMe && !own && x.to != h.to && h.to != x.Author) // somebody else's business
		f[31] = b(own && h.to != "" && x.to == h.to)
		f[32] = b((yesNo || thanks) && !own && (toMe || x.Author == partner))
		f[33] = b(own && h.question)
		out = append(out, c)
	}
	return out
}

// replies are first words that answer something.
var replies = set(`yes no yeah yep nope yup ok okay right true thanks thx ty ah oh sure exactly indeed hmm well lol haha i'm it's because but and so`)

// openings finds the words by which one asks a whole room.
func openings(s string) bool {
	for _, p := range [...]string{"anyone", "anybody", "someone", "somebody", "hi all", "hello all", "hey all", "hi everyone", "hello everyone", "hi guys", "hey guys", "is there a", "how do i", "how can i", "can i "} {
		if containsPhrase(s, strings.TrimSpace(p)) {
			return true
		}
	}
	return false
}

// overlap is how much of a line's content stands in another, rare words more:
// Σ over shared terms of ln((1+n)/(1+frequency)), over √(both lengths), in 0…∞.
func overlap(a, b []string, frequency map[string]float64, n float64) float64 {
	sum := 0.0
	for _, w := range a {
		if slices.Contains(b, w) {
			sum += math.Log((1 + n) / (1 + frequency[w]))
		}
	}
	if sum == 0 {
		return 0
	}
	return sum / math.Sqrt(float64(len(a)*len(b)))
}

func seconds(micros int64) float64 { return max(0, float64(micros)/1e6) }

func b(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// AnswerWeights are the weights of the features, in their order. They were fitted
// on ten days of a public support room by cmd/rapport-bench addressee, which judges
// such a fit on days that it has not seen.
var AnswerWeights = [NAnswerFeatures]float64{
	-1.988, // it answers nothing
	0.608,  // … and asks
	-1.999, // … and names somebody
	1.588,  // … and its author is new
	-0.408, // … own last line, log lines ago
	0.081,  // … log seconds ago
	1.127,  // … speaks to all ("anyone")
	0.345,  // … log content words
	-0.753, // … begins like an answer
	0.091,  // … asks and is new
	-2.011, // log lines ago
	-0.071, // log seconds ago
	-0.584, // the line before
	1.051,  // own
	1.426,  // own last
	0.989,  // own and the line before
	0.012,  // own, log seconds ago
	0.202,  // the last line of whom it names
	3.443,  // a line of whom it names
	-2.090, // it names another
	1.354,  // that line names the author
	0.686,  // the last such
	0.158,  // that line asks
	0.348,  // it asks, and nobody named its author since
	1.742,  // shared rare words
	0.825,  // both name the same person
	1.371,  // a line of whom the author spoke with last
	0.343,  // the last such
	-0.119, // somebody's last line
	0.079,  // a line of whom it names, log seconds ago
	-1.634, // that line is between others
	1.504,  // own, to the same person
	0.574,  // begins like an answer, after the partner's line
	0.249,  // own, and this one asks
}
