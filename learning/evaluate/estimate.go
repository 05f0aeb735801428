package evaluate

import (
	"fmt"
	"math"
)

// Observation is one logged decision as a judged policy sees it. Probabilities
// of discrete actions and densities are both fine, as long as Logged and Target
// are about the same measure.
type Observation struct {
	Reward float64 // r, finite
	Logged float64 // ln μ(a|c): of what was done, under the policy that did it
	Target float64 // ln π(a|c), under the judged policy; −Inf when it would never do this
	Q      float64 // q̂(c,a): the reward that a model predicts for what was done
	V      float64 // Σ_a π(a|c)·q̂(c,a): the reward that it predicts for the judged policy
}

// Estimate is a number with its uncertainty.
type Estimate struct {
	Value float64 `json:"value"`
	SE    float64 `json:"se"` // standard error
	Lo    float64 `json:"lo"` // the interval Value ± z·SE of the report's level
	Hi    float64 `json:"hi"`
}

// Report is what a log says of one policy: every estimator, and how much the log
// carries. Standard errors are of the linearised estimators (delta method), with
// n−1; that of DM leaves out that q̂ was learned.
type Report struct {
	N          int     `json:"n"`
	ESS        float64 `json:"ess"`        // (Σw)²/Σw² (Kish 1965): so many rows of the judged policy itself
	MaxWeight  float64 `json:"maxWeight"`  // largest w
	MeanWeight float64 `json:"meanWeight"` // 1 but for chance, when π never does what μ never does
	WeightSE   float64 `json:"weightSe"`   // standard error of that mean
	Level      float64 `json:"level"`      // of the intervals, as .9

	IPS     Estimate `json:"ips"`     // mean w·r
	SNIPS   Estimate `json:"snips"`   // Σ w·r / Σ w (Hájek; Swaminathan and Joachims 2015)
	Clipped Estimate `json:"clipped"` // mean min(w,c)·r (Ionides 2008): biased, bounded
	DM      Estimate `json:"dm"`      // mean V: the model alone
	DR      Estimate `json:"dr"`      // mean V + w·(r−Q) (Dudík, Langford, Li 2011)
	SNDR    Estimate `json:"sndr"`    // mean V + Σ w·(r−Q) / Σ w (Thomas and Brunskill 2016)
	Capped  Estimate `json:"capped"`  // SNDR with min(w,c)
}

// Options say how to report.
type Options struct {
	Clip  float64 // weight at which Clipped and Capped cut; 10 when 0
	Level float64 // of the two-sided intervals, in (0,1); .9 when 0
}

// DefaultClip is the weight at which the clipped estimators cut.
const DefaultClip = 10

// Refusal says why nothing is said. It is an error, so that it can be returned
// where a number was asked for.
type Refusal struct {
	Code   string `json:"code"`
	Reason string `json:"reason"` // one sentence for people
}

// The codes of refusals.
const (
	Empty       = "empty"         // no rows at all
	NotANumber  = "not_a_number"  // a reward, prediction or density that is no number
	Impossible  = "impossible"    // something was done that the logged policy never does
	Unreachable = "support"       // the judged policy does what the logged one never does
	FreeSets    = "free_sets"     // other traits were free to vary
	Few         = "few"           // not enough rows
	Thin        = "thin"          // effective sample size too small
	Heavy       = "heavy"         // one row decides
	OffBalance  = "off_balance"   // the mean weight is far from 1
	TooFar      = "too_far"       // a change larger than a release may make
	NotBetter   = "not_better"    // not shown to be better
	Disagree    = "model_differs" // the reward model says otherwise
)

func (r *Refusal) Error() string { return r.Reason }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}

// Evaluate computes every estimator. The error is a *Refusal: empty, few (one
// row), not_a_number or impossible. Whether the log carries enough is for Limits to say.
func Evaluate(rows []Observation, o Options) (Report, error) {
	w, err := weights(rows)
	if err != nil {
		return Report{}, err
	}
	o = o.filled()
	n := float64(len(rows))
	r := Report{N: len(rows), Level: o.Level}
	var sum, squares, clipped float64
	for _, v := range w {
		sum += v
		squares += v * v
		clipped += min(v, o.Clip)
		r.MaxWeight = max(r.MaxWeight, v)
	}
	if squares > 0 {
		r.ESS = sum / squares * sum
	}
	r.MeanWeight = sum / n
	r.WeightSE = estimate(w, 0).SE
	part := make([]float64, len(rows)) // influence of each row; its mean is the estimate
	of := func(f func(w float64, x *Observation) float64) Estimate {
		for i := range rows {
			part[i] = f(w[i], &rows[i])
		}
		return estimate(part, o.z())
	}
	r.IPS = of(func(w float64, x *Observation) float64 { return w * x.Reward })
	r.Clipped = of(func(w float64, x *Observation) float64 { return min(w, o.Clip) * x.Reward })
	r.DM = of(func(_ float64, x *Observation) float64 { return x.V })
	r.DR = of(func(w float64, x *Observation) float64 { return x.V + w*(x.Reward-x.Q) })
	r.SNIPS = estimate(selfNormalised(rows, w, math.Inf(1), false), o.z())
	r.SNDR = estimate(selfNormalised(rows, w, math.Inf(1), true), o.z())
	r.Capped = estimate(selfNormalised(rows, w, o.Clip, true), o.z())
	return r, nil
}

// Improvement estimates by how much the judged policy is better than a reference,
// by SNDR with weights capped at o.Clip: both see the same rows, so most of the
// noise is common and cancels. The rows must belong together one by one.
func Improvement(judged, reference []Observation, o Options) (Estimate, error) {
	if len(judged) != len(reference) {
		return Estimate{}, refuse(NotANumber, "The judged policy has %d rows and the reference %d: they must be the same decisions.", len(judged), len(reference))
	}
	wj, err := weights(judged)
	if err != nil {
		return Estimate{}, err
	}
	wr, err := weights(reference)
	if err != nil {
		return Estimate{}, err
	}
	o = o.filled()
	a, b := selfNormalised(judged, wj, o.Clip, true), selfNormalised(reference, wr, o.Clip, true)
	for i := range a {
		a[i] -= b[i]
	}
	return estimate(a, o.z()), nil
}

// weights gives π/μ of each row and refuses rows that say nothing.
func weights(rows []Observation) ([]float64, error) {
	switch len(rows) {
	case 0:
		return nil, refuse(Empty, "There are no decisions with feedback to judge from yet.")
	case 1:
		return nil, refuse(Few, "One decision has no error to speak of.")
	}
	w := make([]float64, len(rows))
	for i := range rows {
		x := &rows[i]
		for _, v := range [...]float64{x.Reward, x.Q, x.V} {
			if v-v != 0 {
				return nil, refuse(NotANumber, "Row %d has a reward or prediction of %v.", i, v)
			}
		}
		switch {
		case math.IsNaN(x.Logged) || math.IsNaN(x.Target) || math.IsInf(x.Logged, 1) || math.IsInf(x.Target, 1):
			return nil, refuse(NotANumber, "Row %d has a log density of %v under the logged policy and %v under the judged one.", i, x.Logged, x.Target)
		case math.IsInf(x.Logged, -1):
			return nil, refuse(Impossible, "Row %d was done although the logged policy never does it: the log and its densities do not belong together.", i)
		}
		if w[i] = math.Exp(x.Target - x.Logged); math.IsInf(w[i], 1) {
			return nil, refuse(Impossible, "Row %d has an infinite weight.", i)
		}
	}
	return w, nil
}

// selfNormalised gives per row a number whose mean is the estimate and whose
// deviations are its linearisation: V̄ + ρ, ρ = Σ w(r−Q)/Σ w with the model, Σ
// w·r/Σ w without. A log without any weight says 0 for ρ.
func selfNormalised(rows []Observation, w []float64, clip float64, model bool) []float64 {
	n := float64(len(rows))
	var sum, rest float64
	for i := range rows {
		c := min(w[i], clip)
		sum += c
		rest += c * residual(&rows[i], model)
	}
	out, rho := make([]float64, len(rows)), 0.
	if sum > 0 {
		rho = rest / sum
	}
	for i := range rows {
		out[i] = rho
		if sum > 0 {
			out[i] += min(w[i], clip) * (residual(&rows[i], model) - rho) * n / sum
		}
		if model {
			out[i] += rows[i].V
		}
	}
	return out
}

func residual(x *Observation, model bool) float64 {
	if model {
		return x.Reward - x.Q
	}
	return x.Reward
}

// estimate is the mean of two or more parts with its standard error.
func estimate(parts []float64, z float64) Estimate {
	n := float64(len(parts))
	var mean, squares float64
	for _, v := range parts {
		mean += v
	}
	mean /= n
	for _, v := range parts {
		squares += (v - mean) * (v - mean)
	}
	e := Estimate{Value: mean}
	e.SE = math.Sqrt(squares / (n - 1) / n)
	e.Lo, e.Hi = mean-z*e.SE, mean+z*e.SE
	return e
}

func (o Options) filled() Options {
	if o.Clip == 0 {
		o.Clip = DefaultClip
	}
	if o.Level == 0 {
		o.Level = .9
	}
	return o
}

// z is the half-width of the intervals in standard errors.
func (o Options) z() float64 { return math.Sqrt2 * math.Erfinv(o.Level) }
