package audible

import (
	"math"

	"rapport/internal/meter"
	"rapport/policy"
)

// Prompts is the persona test set: what people say to an agent, fixed, so that curves
// can be compared. Talk in which every trait has something to do: trouble, a choice,
// small talk, a plan, good news, a question of fact.
var Prompts = []string{
	"I had a terrible day at work and I don't know what to do.",
	"Should I sell my old car or keep it another year?",
	"Tell me about friends.",
	"I am planning a small garden on my balcony.",
	"I finally passed the exam!",
	"Why is the sky blue?",
	"My sister and I had an argument last night.",
	"What should I cook this weekend?",
	"I am thinking about learning the guitar.",
	"Tell me about the sea.",
	"My neighbour plays loud music every evening.",
	"Help me decide where to go on holiday.",
}

// Persona is whom the test set is put to: nobody in particular.
const Persona = "A companion for everyday talk."

// Steps gives n levels from .1 to .9, evenly; n from 2 on.
func Steps(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Round((.1+.8*float64(i)/float64(n-1))*100) / 100
	}
	return out
}

// Levels is the variation in which a trait is put to a level: the others are in the
// middle.
func Levels(t policy.Trait, level float64) policy.Traits {
	x := policy.Neutral()
	x[t] = level
	return x
}

// Point is the mean reading at one level.
type Point struct {
	Level float64 `json:"level"`
	Mean  float64 `json:"mean"`
}

// Curve is what a trait's level does to a model's replies. With r(p,x) the reading of
// the trait's meter, turned by its sign, of the reply to prompt p at level x, each
// prompt has a slope
//
//	b_p = Σ_x (x − x̄)(r(p,x) − r̄_p) / Σ_x (x − x̄)²
//
// and the curve's slope is their mean, with the 95 % interval of Student's t over the
// prompts: what one prompt brings out in a model is the same at every level and drops
// out.
type Curve struct {
	Trait    string  `json:"trait"`
	Meter    string  `json:"meter"`
	Version  int     `json:"meterVersion"`
	Slope    float64 `json:"slope"` // readings from level 0 to 1
	Lo       float64 `json:"lo"`
	Hi       float64 `json:"hi"`
	Monotone bool    `json:"monotone"` // the means never go back
	Heard    string  `json:"heard"`    // one of the constants
	Prompts  int     `json:"prompts"`
	Points   []Point `json:"points"`
}

// What a curve says.
const (
	Heard    = "heard"    // the interval does not hold 0
	Reversed = "reversed" // it lies below 0: more of the trait does the opposite
	Unheard  = "unheard"  // it holds 0, from enough replies to tell
	Unsure   = "unsure"   // it holds 0, from too few replies to tell
)

// What it takes to say that a trait is not heard.
const (
	EnoughPrompts = 12
	EnoughSteps   = 3
)

// Fit makes the curve of a trait from replies[p][i], the reply to prompt p at level
// steps[i]. It takes two steps and two prompts.
func Fit(t policy.Trait, steps []float64, replies [][]string) Curve {
	m, sign := meter.Of(t)
	c := Curve{Trait: t.String(), Meter: m.String(), Version: meter.Version, Prompts: len(replies), Heard: Unsure, Points: make([]Point, len(steps))}
	middle, spread := 0., 0.
	for i, x := range steps {
		c.Points[i].Level = x
		middle += x / float64(len(steps))
	}
	for _, x := range steps {
		spread += (x - middle) * (x - middle)
	}
	slopes := make([]float64, len(replies))
	for p := range replies {
		for i, text := range replies[p] {
			r := sign * meter.Read(text)[m]
			slopes[p] += (steps[i] - middle) * r / spread
			c.Points[i].Mean += r / float64(len(replies))
		}
	}
	n := float64(len(slopes))
	for _, b := range slopes {
		c.Slope += b / n
	}
	squares := 0.
	for _, b := range slopes {
		squares += (b - c.Slope) * (b - c.Slope)
	}
	half := math.Inf(1)
	if n > 1 {
		half = student(len(slopes)-1) * math.Sqrt(squares/(n-1)/n)
	}
	half = min(half, 1e6)
	c.Slope, c.Lo, c.Hi = round(c.Slope), round(c.Slope-half), round(c.Slope+half)
	c.Monotone = true
	for i := range c.Points {
		c.Points[i].Mean = round(c.Points[i].Mean)
		if i > 0 && (c.Points[i].Mean-c.Points[i-1].Mean)*c.Slope < 0 {
			c.Monotone = false
		}
	}
	switch {
	case c.Lo > 0:
		c.Heard = Heard
	case c.Hi < 0:
		c.Heard = Reversed
	case len(replies) >= EnoughPrompts && len(steps) >= EnoughSteps:
		c.Heard = Unheard
	}
	return c
}

func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// student is the .975 quantile of Student's t.
func student(df int) float64 {
	table := [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086}
	if df <= len(table) {
		return table[df-1]
	}
	return 1.96 + 2.5/float64(df) // within .004 from 21 on
}
