package sequential

import (
	"errors"
	"fmt"
	"math"
)

// ErrNumber is the error of adding what is no number within the bounds.
var ErrNumber = errors.New("not a number within the bounds")

// Sequence is a confidence sequence for the mean of numbers in [Lo,Hi]: with
// probability 1−Alpha the mean lies inside the interval at every time at once, so
// it may be looked at after each number and acted upon at any of them. It is the
// predictable plug-in empirical Bernstein sequence (Waudby-Smith and Ramdas 2024,
// theorem 2, after Howard, Ramdas, McAuliffe and Sekhon 2021): with x in [0,1]
// after scaling,
//
//	μ̂_t = (½ + Σ x_i)/(t+1),   σ̂²_t = (¼ + Σ (x_i − μ̂_i)²)/(t+1)
//	λ_t = min(½, √(2 ln(2/α) / (σ̂²_{t−1} t ln(1+t))))
//	Σ λ_i x_i / Σ λ_i  ±  (ln(2/α) + Σ (x_i − μ̂_{i−1})² (−ln(1−λ_i) − λ_i)) / Σ λ_i
//
// It asks nothing of the numbers but their bounds and that each has the same mean
// given those before; they need not be independent or of one variance. When the
// mean drifts, the interval is about its average weighted by λ.
//
// The fields are all its state: written down and read back it goes on.
type Sequence struct {
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
	Alpha float64 `json:"alpha"`

	N        int     `json:"n"`
	Sum      float64 `json:"sum"`      // of x
	Spread   float64 `json:"spread"`   // Σ (x_i − μ̂_i)²
	Weight   float64 `json:"weight"`   // Σ λ
	Weighted float64 `json:"weighted"` // Σ λ x
	Variance float64 `json:"variance"` // Σ (x_i − μ̂_{i−1})² ψ(λ_i)
}

// NewSequence starts one; lo < hi, alpha in (0,1).
func NewSequence(lo, hi, alpha float64) Sequence { return Sequence{Lo: lo, Hi: hi, Alpha: alpha} }

// Add takes in the next number. ErrNumber for one that is none or outside the
// bounds; nothing changes then.
func (s *Sequence) Add(v float64) error {
	if !(v >= s.Lo && v <= s.Hi) {
		return fmt.Errorf("%w: %v, from %g to %g", ErrNumber, v, s.Lo, s.Hi)
	}
	x := (v - s.Lo) / (s.Hi - s.Lo)
	before := s.centre()
	t := float64(s.N + 1)
	lambda := min(.5, math.Sqrt(2*math.Log(2/s.Alpha)/((.25+s.Spread)/t*t*math.Log1p(t))))
	s.N++
	s.Sum += x
	after := s.centre()
	s.Spread += (x - after) * (x - after)
	s.Weight += lambda
	s.Weighted += lambda * x
	s.Variance += (x - before) * (x - before) * (-math.Log1p(-lambda) - lambda)
	return nil
}

// centre is μ̂.
func (s *Sequence) centre() float64 { return (.5 + s.Sum) / float64(s.N+1) }

// Mean is that of the numbers so far, the middle of the bounds before the first.
func (s *Sequence) Mean() float64 {
	if s.N == 0 {
		return (s.Lo + s.Hi) / 2
	}
	return s.Lo + (s.Hi-s.Lo)*s.Sum/float64(s.N)
}

// Interval is where the mean is, as of now; [Lo,Hi] before the first number.
func (s *Sequence) Interval() (lo, hi float64) {
	if s.N == 0 {
		return s.Lo, s.Hi
	}
	middle, half := s.Weighted/s.Weight, (math.Log(2/s.Alpha)+s.Variance)/s.Weight
	at := func(x float64) float64 { return s.Lo + (s.Hi-s.Lo)*min(1, max(0, x)) }
	return at(middle - half), at(middle + half)
}
