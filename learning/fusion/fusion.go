// Package fusion turns the signals of one episode into one observation of the
// owner's satisfaction.
//
// Owns: Source, Loadings, Evidence, Shown, Fused; Moments and Calibrate, which learn the
// loadings.
//
// Model: a signal of source m is val = a_m + b_m·s + ε, Var ε = v_m, where s is
// satisfaction in the units of the owner's explicit rating (b = 1, a = 0). One
// session differs from the next by a mood of variance τ², whoever speaks.
//
// Invariants: pure and standard library only; products are rounded before they
// are added, so that no processor may fuse them.
package fusion

import "strings"

// Source is a kind of signal, by what is known of its noise.
type Source uint8

// The sources. Their numbers are stored.
const (
	OwnerRating  Source = iota // a session level or check-in of the owner
	OwnerThumb                 // a thumb, or more or less like this, of the owner
	Guest                      // a reaction with a known sign
	Engagement                 // e in [0,1], derived by the server
	Review                     // a reviewer's mark
	Reply                      // how quick an answer came, as a score in [.5,1]
	Behaviour                  // any other behaviour, as a score in [-1,1]
	Sentiment                  // how pleased an answer sounds
	TopicChange                // an answer of something else: −1, as the next ones a mark
	Trouble                    // 1 − 2 × how badly an answer says that it went
	FollowUp                   // asked on
	Tag                        // called by name
	Slow                       // an answer later than usual
	Ignored                    // spoke to others only
	Abandoned                  // did not come back
	Stayed                     // was there to the end
	InvitedAgain               // brought back
	LeftAfter                  // left right after a message
	EngagedRoom                // share of a room that took part
	NSources
)

// behaviours are what nobody meant as a judgement, by the names of their detectors. A
// mark is there or not, always with the same score. usual is the variance of the
// noise that its detector states, from which a single signal's may differ.
var behaviours = [NSources]struct {
	name  string
	usual float64
	mark  bool
}{
	Engagement:   {"engagement", .022, false},
	Reply:        {"reply", .022, false},
	Sentiment:    {"sentiment", .13, false},
	TopicChange:  {"topic_change", .25, true},
	Trouble:      {"trouble", .103, false},
	FollowUp:     {"follow_up", .8, true},
	Tag:          {"tag", .6, true},
	Slow:         {"slow", .9, true},
	Ignored:      {"ignored", .8, true},
	Abandoned:    {"abandoned", .8, true},
	Stayed:       {"stayed", .8, true},
	InvitedAgain: {"invited_again", .5, true},
	LeftAfter:    {"left_after", .16, true},
	EngagedRoom:  {"engaged_room", .1, false},
}

// SourceOf finds the source of a behaviour by its detector, as "engagement/1"; the
// version does not matter. Behaviour for one without a loading of its own.
func SourceOf(detector string) Source {
	name, _, _ := strings.Cut(detector, "/")
	for s := Engagement; s < NSources; s++ {
		if name != "" && behaviours[s].name == name {
			return s
		}
	}
	return Behaviour
}

// Mark says whether the source is there or not, always with the same value.
func (s Source) Mark() bool { return behaviours[s].mark }

// Usual is the variance of noise that the source's detector states; 0 when none is known.
func (s Source) Usual() float64 { return behaviours[s].usual }

// Behavioural says whether nobody meant it as a judgement.
func (s Source) Behavioural() bool { return s >= Engagement && s != Review }

// Loading is what one source tells about satisfaction.
type Loading struct {
	A, B, V float64 // offset, slope, noise variance
}

// Loadings are one Loading per source, under a version that an agent adopts.
type Loadings [NSources]Loading

// Mood is τ², the variance between sessions of the same levels.
const Mood = .05

// Defaults are the loadings before any calibration, version 1: slopes
// (1, 1, .8, .06, .8) and noises (.12, .5, .7, .022, .25) for owner rating, owner
// thumb, guest, engagement and review. An engagement of .65 and a reply of .84 say
// nothing: that is the mean of a person at their usual pace, ½ + ½·E[clip(1−z)] with z
// normal. A reply is given about the information of an engagement, .02 of an owner
// rating, what other detectors find .01 at most and mostly less: each noise is at
// least what the detector states, each slope that of a correlation of .1 to .2 with
// satisfaction, which is what real data show of the best of them.
func Defaults() *Loadings { return &defaults }

var defaults = Loadings{
	OwnerRating: {0, 1, .12},
	OwnerThumb:  {0, 1, .5},
	Guest:       {0, .8, .7},
	Engagement:  {.65, .06, .022},
	Review:      {0, .8, .25},
	Reply:       {.84, .06, .022},
	Behaviour:   {0, .25, .4},

	Sentiment:    {0, .1, .2},
	TopicChange:  {0, .06, .3},
	Trouble:      {0, .08, .12},
	FollowUp:     {0, .08, .8},
	Tag:          {0, .1, .6},
	Slow:         {0, .06, .9},
	Ignored:      {0, .15, .8},
	Abandoned:    {0, .2, .8},
	Stayed:       {0, .1, .8},
	InvitedAgain: {0, .2, .5},
	LeftAfter:    {0, .1, .16},
	EngagedRoom:  {.5, .06, .1},
}

// Evidence is what some signals say together, so that it can be summed: Pi their
// precision about s, Num precision times estimate.
type Evidence struct{ Num, Pi float64 }

// Of is the evidence of one signal of value val. g in [0,1] is what its giver
// counts for: their share of the episode times reputation squared.
func (l *Loadings) Of(s Source, val, g float64) Evidence {
	m := &l[s]
	k := float64(g * m.B / m.V)
	return Evidence{Num: float64(k * (val - m.A)), Pi: float64(k * m.B)}
}

// OfNoisy is Of for a signal whose noise is extra above what its detector usually
// states (below, when negative); never less than half the source's.
func (l *Loadings) OfNoisy(s Source, val, g, extra float64) Evidence {
	if extra == 0 {
		return l.Of(s, val, g)
	}
	v := l[s].V
	return l.Of(s, val, float64(g*v)/max(v/2, v+extra))
}

// Add sums.
func (e *Evidence) Add(o Evidence) {
	e.Num += o.Num
	e.Pi += o.Pi
}

// Cap takes away what exceeds a precision; the estimate stays. It gives the
// precision left.
func (e *Evidence) Cap(pi float64) float64 {
	if e.Pi > pi {
		pi = max(pi, 0)
		e.Num = float64(e.Num * (pi / e.Pi))
		e.Pi = pi
	}
	return e.Pi
}

// Near draws an estimate to within so much of what was expected; the precision stays.
func (e *Evidence) Near(expected, within float64) {
	if e.Pi > 0 {
		e.Num = float64(e.Pi * min(max(e.Num/e.Pi, expected-within), expected+within))
	}
}

// Ratings is a precision in the unit of one owner rating.
func (l *Loadings) Ratings(pi float64) float64 { return float64(pi * l[OwnerRating].V) }

// FromRatings is the precision of so many owner ratings.
func (l *Loadings) FromRatings(n float64) float64 { return n / l[OwnerRating].V }

// limit is how far a fused observation may lie from neutral.
const limit = 2.5

// Fused gives the observation: y = Num/Pi clipped to ±2.5, and its weight
// w = (τ²+v_owner)/(τ²+1/Pi), so that w = 1 is one owner rating and no session
// counts for more than 3.4. Weight 0 without evidence.
func (l *Loadings) Fused(e Evidence) (y, w float64) {
	if !(e.Pi > 0) {
		return 0, 0
	}
	y = min(max(e.Num/e.Pi, -limit), limit)
	return y, (Mood + l[OwnerRating].V) / (Mood + 1/e.Pi)
}
