package evaluate

import "math"

// Limits say when a log is too thin to judge from.
type Limits struct {
	MinN     int     // rows
	MinESS   float64 // effective sample size
	MaxShare float64 // of all weight that one row may have
	Balance  float64 // standard errors that the mean weight may be away from 1; 0 for any
}

// DefaultLimits are those of rapport evaluate. The gate of shared releases has
// stricter ones.
func DefaultLimits() Limits { return Limits{MinN: 50, MinESS: 30, MaxShare: .15, Balance: 4} }

// Refuse gives the reason why a report should not be believed, nil when it may
// be: few, thin, heavy or off_balance, the first that holds.
//
// A mean weight far from 1 says that the judged policy lies where the log hardly
// goes: the weights that would bring the mean to 1 have not been drawn, and no
// standard error knows of them.
func (l Limits) Refuse(r Report) *Refusal {
	switch {
	case r.N < l.MinN:
		return refuse(Few, "%d decisions with feedback are too few; %d are needed.", r.N, l.MinN)
	case !(r.ESS >= l.MinESS):
		return refuse(Thin, "The %d decisions are worth %.0f of the judged policy's own; %.0f are needed: it is too unlike what was tried.", r.N, r.ESS, l.MinESS)
	case l.MaxShare > 0 && r.MaxWeight > l.MaxShare*r.MeanWeight*float64(r.N):
		return refuse(Heavy, "One decision has %.0f %% of all weight; at most %.0f %% are allowed.", 100*r.MaxWeight/(r.MeanWeight*float64(r.N)), 100*l.MaxShare)
	case l.Balance > 0 && math.Abs(r.MeanWeight-1) > l.Balance*r.WeightSE+1e-9:
		return refuse(OffBalance, "The mean importance weight is %.2f ± %.2f where it must be 1: the log hardly goes where the judged policy would.", r.MeanWeight, r.WeightSE)
	}
	return nil
}
