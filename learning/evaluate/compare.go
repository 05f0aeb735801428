package evaluate

import "math"

// Arm is one side of a randomised comparison: values, and how much each is worth
// (its precision, known before it came).
type Arm struct {
	N int `json:"n"`

	weights, squares float64 // Σ w, Σ w²
	sum, spread      float64 // Σ w y, Σ w (y−ȳ)²
}

// Add takes in a value of weight w ≥ 0. The refusal not_a_number is for a value or
// weight that is none; nothing changes then.
func (a *Arm) Add(y, w float64) error {
	if y-y != 0 || w-w != 0 || w < 0 {
		return refuse(NotANumber, "A value of %v with weight %v cannot be counted.", y, w)
	}
	if w == 0 {
		return nil
	}
	before := 0.
	if a.weights > 0 {
		before = a.sum / a.weights
	}
	a.N++
	a.weights += w
	a.squares += w * w
	a.sum += w * y
	a.spread += w * (y - before) * (y - a.sum/a.weights)
	return nil
}

// effective is the number of values of equal weight that the arm is worth.
func (a *Arm) effective() float64 { return a.weights / a.squares * a.weights }

// MinArm is how many values each arm needs before they are compared.
const MinArm = 8

// tunedTo is the effective size of the smaller arm at which the interval is
// narrowest relative to one that may be looked at only once.
const tunedTo = 20

// Compare says by how much the mean of a is above that of b: the weighted means,
// and an interval that may be looked at after every value. With se the standard
// error of the difference and m the effective size of the smaller arm it is
//
//	D ± se·√((1+k)·ln((1+k)/(k·α²))),  k = k₀·tunedTo/m,  k₀ ≈ 1/(2 ln(1/α) + ln(1 + 2 ln(1/α)))
//
// the asymptotic confidence sequence with Robbins' normal mixture boundary
// (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024; Robbins 1970): from
// MinArm values on, the truth is outside at some time with probability about α at
// most. The variance of each arm is at least that of both together, so that a few
// equal values in the smaller one do not look certain. The refusal is few.
func Compare(a, b Arm, alpha float64) (Estimate, error) {
	if a.N < MinArm || b.N < MinArm {
		return Estimate{}, refuse(Few, "%d and %d sessions can be compared; each side needs %d.", a.N, b.N, MinArm)
	}
	na, nb := a.effective(), b.effective()
	if !(na > 1.5 && nb > 1.5) {
		return Estimate{}, refuse(Few, "Nearly all that is known of one side comes from one session.")
	}
	va, vb := a.spread/a.weights*na/(na-1), b.spread/b.weights*nb/(nb-1)
	both := (va*na + vb*nb) / (na + nb)
	e := Estimate{Value: a.sum/a.weights - b.sum/b.weights, SE: math.Sqrt(max(va, both)/na + max(vb, both)/nb)}
	l := 2 * math.Log(1/alpha)
	k := tunedTo / min(na, nb) / (l + math.Log1p(l))
	half := e.SE * math.Sqrt((1+k)*math.Log((1+k)/(k*alpha*alpha)))
	e.Lo, e.Hi = e.Value-half, e.Value+half
	return e, nil
}
