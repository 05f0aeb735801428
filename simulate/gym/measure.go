package gym

import (
	"math"
	"slices"
)

// Interval is a mean and half the width of its 95 % interval.
type Interval struct{ Mean, Half float64 }

// Of is the mean over agents with its normal interval; agents for which f is NaN
// are left out. This is the chance of meeting other agents of these populations.
func (r *Run) Of(f func(*Agent) float64) Interval {
	var v []float64
	for i := range r.Agents {
		if x := f(&r.Agents[i]); x == x {
			v = append(v, x)
		}
	}
	return over(v, 1.96)
}

// OfPopulations is the mean over populations of their means, with Student's
// interval: the chance of meeting other populations.
func (r *Run) OfPopulations(f func(*Agent) float64) Interval {
	var sum, n []float64
	for i := range r.Agents {
		a := &r.Agents[i]
		for len(n) <= a.Population {
			sum, n = append(sum, 0), append(n, 0)
		}
		if x := f(a); x == x {
			sum[a.Population] += x
			n[a.Population]++
		}
	}
	means := sum[:0]
	for k, s := range sum {
		if n[k] > 0 {
			means = append(means, s/n[k])
		}
	}
	return over(means, student(len(means)-1))
}

func over(v []float64, quantile float64) Interval {
	if len(v) == 0 {
		return Interval{math.NaN(), math.NaN()}
	}
	n, mean, ss := float64(len(v)), 0., 0.
	for _, x := range v {
		mean += x / n
	}
	for _, x := range v {
		ss += (x - mean) * (x - mean)
	}
	return Interval{mean, quantile * math.Sqrt(ss/(n-1)/n)}
}

// student is the .975 quantile of Student's distribution (Cornish–Fisher, exact to
// 1e-3 from five degrees of freedom on; tabled below).
func student(df int) float64 {
	if df < 1 {
		return math.NaN()
	}
	if table := [...]float64{12.706, 4.303, 3.182, 2.776}; df <= len(table) {
		return table[df-1]
	}
	const z = 1.959964
	n := float64(df)
	return z + (z*z*z+z)/(4*n) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*n*n) + (3*math.Pow(z, 7)+19*math.Pow(z, 5)+17*z*z*z-15*z)/(384*n*n*n)
}

// Share is how often something was so, with the 95 % interval of Wilson (1927).
type Share struct {
	Share, Lo, Hi float64
	N             int
}

// ShareOf counts the agents of which f holds.
func (r *Run) ShareOf(f func(*Agent) bool) Share {
	k := 0
	for i := range r.Agents {
		if f(&r.Agents[i]) {
			k++
		}
	}
	return Wilson(k, len(r.Agents))
}

// Wilson is the share k of n with its 95 % interval.
func Wilson(k, n int) Share {
	if n == 0 {
		return Share{math.NaN(), 0, 1, 0}
	}
	const z = 1.959964
	m, p := float64(n), float64(k)/float64(n)
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Share{p, max(0, centre-half), min(1, centre+half), n}
}

// RegretAt is the mean regret after a mark of Marks, with its interval over
// agents.
func (r *Run) RegretAt(mark int) Interval {
	k := slices.Index(Marks[:], mark)
	return r.Of(func(a *Agent) float64 { return a.Regret[k] })
}

// Curve is the mean regret up to and with each session, with its interval over
// agents.
func (r *Run) Curve() []Interval {
	curve := make([]Interval, len(r.Regret))
	n := float64(len(r.Agents))
	for i, mean := range r.Regret {
		curve[i] = Interval{mean, 1.96 * math.Sqrt(max(0, r.squares[i]-mean*mean)/(n-1))}
	}
	return curve
}

// Pair is the mean of the differences of f between two runs of the same worlds,
// first minus second, agent by agent, with its interval over agents.
func Pair(first, second *Run, f func(*Agent) float64) Interval {
	var v []float64
	for i := range first.Agents {
		if d := f(&first.Agents[i]) - f(&second.Agents[i]); d == d {
			v = append(v, d)
		}
	}
	return over(v, 1.96)
}

// PairPopulations is the same with the populations' means as the unit.
func PairPopulations(first, second *Run, f func(*Agent) float64) Interval {
	diff := &Run{Agents: slices.Clone(first.Agents)}
	for i := range diff.Agents {
		diff.Agents[i].Final = f(&first.Agents[i]) - f(&second.Agents[i])
	}
	return diff.OfPopulations(func(a *Agent) float64 { return a.Final })
}

// Regret200 is an agent's regret at the end of the longest mark.
func Regret200(a *Agent) float64 { return a.Regret[len(Marks)-1] }

// Median of the values f of the agents for which it is not negative, and the
// share for which it is not.
func (r *Run) Median(f func(*Agent) int) (median, reached float64) {
	var v []int
	for i := range r.Agents {
		if x := f(&r.Agents[i]); x >= 0 {
			v = append(v, x)
		}
	}
	if len(v) == 0 {
		return math.NaN(), 0
	}
	slices.Sort(v)
	return float64(v[len(v)/2]), float64(len(v)) / float64(len(r.Agents))
}

// Summary is the table's line of a learner. Halves of 95 % intervals are over
// agents; CIPopulations is over populations, NaN with a single one.
type Summary struct {
	Regret20, Regret50, Regret100, Regret200 float64
	CI200, CIPopulations                     float64
	Final                                    float64 // satisfaction with the policy at the end
	EverWorse                                Share
	EndWorse                                 Share
	XWorse, FalseMoves                       float64 // shares: of sessions, of moves
	Near10, Near05                           float64 // median session of those that reach it
	Reach10, Reach05                         float64 // share that reaches it
}

// Summary sums a run up.
func (r *Run) Summary() Summary {
	s := Summary{
		Regret20: r.RegretAt(20).Mean, Regret50: r.RegretAt(50).Mean, Regret100: r.RegretAt(100).Mean, Regret200: r.RegretAt(200).Mean,
		CI200: r.RegretAt(200).Half, CIPopulations: r.OfPopulations(Regret200).Half,
		Final:     r.Of(func(a *Agent) float64 { return a.Final }).Mean,
		EverWorse: r.ShareOf(func(a *Agent) bool { return a.EverWorse }),
		EndWorse:  r.ShareOf(func(a *Agent) bool { return a.EndWorse }),
		XWorse:    r.Of(func(a *Agent) float64 { return a.XWorse }).Mean,
	}
	moves, wrong := 0, 0
	for i := range r.Agents {
		moves, wrong = moves+r.Agents[i].Moves, wrong+r.Agents[i].FalseMoves
	}
	if moves > 0 {
		s.FalseMoves = float64(wrong) / float64(moves)
	}
	s.Near10, s.Reach10 = r.Median(func(a *Agent) int { return a.Near10 })
	s.Near05, s.Reach05 = r.Median(func(a *Agent) int { return a.Near05 })
	return s
}
