package web

import (
	"context"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"rapport/event"
)

// Growths tells an agent's owner how it grew; not_found for anybody else.
type Growths interface {
	Growth(ctx context.Context, ref string) (Growth, error)
}

// Growth is how an agent came to be as it is.
type Growth struct {
	Face
	Version   int64
	Learning  bool
	Asking    Asking
	StoppedBy []string
	Frozen    string     // why updates are frozen; empty when they are not
	Better    string     // than when it began? yes, no or not enough data, with the numbers; empty before learning knows the agent
	Traits    []Trait    // in the order of the vocabulary
	Ratings   []Rating   // newest first
	Versions  []Version  // newest first
	Waiting   []Proposal // for the owner's word
	Notes     []Review   // of reviewers, newest first
	Suggested *Suggestion
	Card      []string // what there is to know of the card it came from, in sentences
}

// Asking is how much the owner wants to be asked about the agent.
type Asking struct {
	Intensity string // off, gentle, normal, eager
	Every     int    // also after every so many talks; 0 never
}

// Choice is one intensity.
type Choice struct {
	Word, Says string
	Set        bool
}

// Choices are the intensities, the one that is set marked.
func (a Asking) Choices() []Choice {
	all := []Choice{{Word: "off", Says: "never"}, {Word: "gentle", Says: "at most once a week"}, {Word: "normal", Says: "at most twice a week"}, {Word: "eager", Says: "at most four times a week"}}
	for i := range all {
		all[i].Set = all[i].Word == a.Intensity
	}
	return all
}

// Scheduled is every so many talks as a word, the usual ten where none is set.
func (a Asking) Scheduled() int {
	if a.Every == 0 {
		return 10
	}
	return a.Every
}

// Trait is what is believed of one trait, and how its level went.
type Trait struct {
	Name     string
	Level    float64
	Start    float64
	Target   float64    // what the evidence asks for
	Interval [2]float64 // 80 %: how much better the target is than the start, in units of a rating
	Word     string     // start, trying, learned
	Standing string     // the same with what it waits for
	Pinned   bool
	History  []Past // by version, oldest first
}

// Past is one trait in one version, with what was believed then; SD 0 when the
// version does not say.
type Past struct {
	Level, Ideal, SD float64
	P                float64 // that the level is better than the start
}

// Rating is one signal and what it did.
type Rating struct {
	ID     event.FeedbackID
	At     time.Time
	By     string
	What   string
	Effect string
	UsedIn []int64 // versions it is a cause of
	OutIn  []int64 // versions from which it was taken out again
	Yours  bool    // may be taken back

	Noticed bool // what somebody did, not what they said
}

// Said are the ratings that somebody gave.
func (g Growth) Said() []Rating { return ratings(g.Ratings, false) }

// Noticed are the signals that nobody had to give.
func (g Growth) Noticed() []Rating { return ratings(g.Ratings, true) }

func ratings(all []Rating, noticed bool) (out []Rating) {
	for _, r := range all {
		if r.Noticed == noticed {
			out = append(out, r)
		}
	}
	return out
}

// Version is one version of the policy.
type Version struct {
	Number  int64
	InForce bool
	At      time.Time
	By      string
	Reason  string
	Because string // the signals behind it
	Moved   []Move
	Other   []string // what else changed
}

// Proposal waits for the owner.
type Proposal struct {
	ID     string
	Reason string
	Moved  []Move
}

// Suggestion is what a model would fill in; it waits for the owner.
type Suggestion struct {
	ID     string
	Model  string
	Demo   bool // no model was asked
	Fields []Filled
}

// Filled is one field of a suggestion.
type Filled struct {
	Name          string // of a level traits.humor …
	Before, After string
}

// Level says whether the field is a trait's.
func (f Filled) Level() bool { return strings.HasPrefix(f.Name, "traits.") }

// Says is the field in a word or two.
func (f Filled) Says() string { return strings.TrimPrefix(f.Name, "traits.") }

// Move is the change of one trait.
type Move struct {
	Trait string
	By    float64
}

type growthView struct {
	Growth
	Scale float64 // of the intervals' axis: from −Scale to Scale
}

// growth shows an owner how their agent grew, and lets them steer it.
func (s *site) growth(r *http.Request) (page, error) {
	g, err := s.Growth(r.Context(), r.PathValue("agent"))
	if err != nil {
		return page{}, err
	}
	v := growthView{g, .05}
	for _, t := range g.Traits {
		v.Scale = max(v.Scale, math.Abs(t.Interval[0]), math.Abs(t.Interval[1]))
	}
	return page{Name: "growth", Title: g.Name + ": growth", View: v}, nil
}

// Charts are drawn in units of the view box.
const (
	chartWide, chartHigh = 240, 72
	barHigh              = 18
	edge                 = 5 // room for dots
)

func levelY(level float64) float64 { return edge + (1-level)*(chartHigh-2*edge) }

// Line is the level over the versions as the points of a polyline: a step where it
// changed.
func (t Trait) Line() string {
	var b strings.Builder
	step := float64(chartWide-2*edge) / float64(max(1, len(t.History)))
	for i, h := range t.History {
		y := levelY(h.Level)
		fmt.Fprintf(&b, "%.1f,%.1f %.1f,%.1f ", edge+float64(i)*step, y, edge+float64(i+1)*step, y)
	}
	return strings.TrimSpace(b.String())
}

// learned is the P from which on a level is called learned.
const learned = .95

// Block is what was believed of the best level over some versions: a part of the
// chart, with the word it earns.
type Block struct {
	X, Y, Width, Height float64
	Word                string // trying, learned
}

// Band is where the best level was believed to lie, with 80 % certainty, over the
// versions that say so.
func (t Trait) Band() (out []Block) {
	const z80 = 1.2815515655446004
	step := float64(chartWide-2*edge) / float64(max(1, len(t.History)))
	for i, h := range t.History {
		if h.SD <= 0 {
			continue
		}
		top, bottom := levelY(min(1, h.Ideal+z80*h.SD)), levelY(max(0, h.Ideal-z80*h.SD))
		b := Block{edge + float64(i)*step, top, step, bottom - top, "trying"}
		if h.P >= learned {
			b.Word = "learned"
		}
		if n := len(out); n > 0 && out[n-1].Y == b.Y && out[n-1].Height == b.Height && out[n-1].Word == b.Word && out[n-1].X+out[n-1].Width > b.X-step/2 {
			out[n-1].Width += step
			continue
		}
		out = append(out, b)
	}
	return out
}

// StartY, NowY and TargetY are heights in the chart.
func (t Trait) StartY() float64  { return levelY(t.Start) }
func (t Trait) NowY() float64    { return levelY(t.Level) }
func (t Trait) TargetY() float64 { return levelY(t.Target) }

// Moves says whether the evidence asks for another level than the start.
func (t Trait) Moves() bool { return t.Interval[0] != t.Interval[1] }

// Says is the chart in words.
func (t Trait) Says() string {
	return fmt.Sprintf("%s over %d versions: started at %.2f, now %.2f, the evidence asks for %.2f", t.Name, len(t.History), t.Start, t.Level, t.Target)
}

// Span is a stretch of the interval's axis.
type Span struct{ X, Width float64 }

// Bar is the interval on an axis from −scale to scale.
func (t Trait) Bar(scale float64) Span {
	at := func(v float64) float64 {
		return chartWide/2 + min(1, max(-1, v/scale))*(chartWide/2-edge)
	}
	lo, hi := at(t.Interval[0]), at(t.Interval[1])
	return Span{lo, max(2, hi-lo)}
}

// words are what templates can say.
var words = template.FuncMap{
	"level": func(v float64) string { return fmt.Sprintf("%.2f", v) },
	"signed": func(v float64) string {
		return strings.Replace(fmt.Sprintf("%+.2f", math.Round(v*100)/100+0), "-", "−", 1) // + 0: no −0
	},
	"tenth": func(v float64) string { return fmt.Sprintf("%.1f", v) },
	"pages": func(operator bool) []link {
		if operator {
			return operating
		}
		return links
	},
	"meanings": func() any { return meanings },
	"cards":    func() []string { return []string{"json", "png", "charx"} },
	"day":      func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	"amount":   func(n int64) string { return strings.Replace(fmt.Sprintf("%+d", n), "-", "−", 1) },
	"count": func(n int64) string {
		if n == 1 {
			return "1 point"
		}
		return fmt.Sprintf("%d points", n)
	},
	"canLook": func(all []Look) bool {
		return slices.ContainsFunc(all, func(l Look) bool { return l.Missing == 0 })
	},
	"stamp":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" },
	"newest": func(n int, list any) any { v := reflect.ValueOf(list); return v.Slice(0, min(n, v.Len())).Interface() },
	"older": func(n int, list any) any {
		v := reflect.ValueOf(list)
		return v.Slice(min(n, v.Len()), v.Len()).Interface()
	},
	"plain": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"initial": func(s string) string {
		for _, r := range s {
			return strings.ToUpper(string(r))
		}
		return ""
	},
}
