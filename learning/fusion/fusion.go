// Package fusion turns the signals of one episode into one observation of the
// owner's satisfaction.
//
// Owns: Source, Loadings, Evidence, Fused; Moments and Calibrate, which learn the
// loadings.
//
// Model: a signal of source m is val = a_m + b_m·s + ε, Var ε = v_m, where s is
// satisfaction in the units of the owner's explicit rating (b = 1, a = 0). One
// session differs from the next by a mood of variance τ², whoever speaks.
//
// Invariants: pure and standard library only; products are rounded before they
// are added, so that no processor may fuse them.
package fusion

// Source is a kind of signal, by what is known of its noise.
type Source uint8

// The sources. Their numbers are stored.
const (
	OwnerRating Source = iota // a session level or check-in of the owner
	OwnerThumb                // a thumb, or more or less like this, of the owner
	Guest                     // a reaction with a known sign
	Engagement                // e in [0,1], derived by the server
	Review                    // a reviewer's mark
	Reply                     // how quick an answer came, as a score in [.5,1]
	Behaviour                 // any other behaviour, as a score in [-1,1]
	NSources
)

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
// thumb, guest, engagement and review. An engagement of .65 and a reply of .75 say
// nothing. A reply and other behaviour are given about the information of an
// engagement.
func Defaults() *Loadings { return &defaults }

var defaults = Loadings{
	OwnerRating: {0, 1, .12},
	OwnerThumb:  {0, 1, .5},
	Guest:       {0, .8, .7},
	Engagement:  {.65, .06, .022},
	Review:      {0, .8, .25},
	Reply:       {.75, .06, .022},
	Behaviour:   {0, .25, .4},
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
