package policy

import "math"

// Exp and Ln give the same bits on every processor, which the functions of the
// standard library do not: those fuse products and sums where they can. Stored
// numbers and shared draws depend on them. Method and coefficients: fdlibm (Sun
// Microsystems 1993), relative error below 1e-15.

const (
	ln2Hi = 6.93147180369123816490e-01 // ln 2 in two parts: k·ln2Hi is exact
	ln2Lo = 1.90821492927058770002e-10
)

// Exp is eˣ; 0 below −700, where nothing that is weighed here can be told from 0,
// and e⁷⁰⁰ above 700.
func Exp(x float64) float64 {
	if !(x >= -700) {
		return 0
	}
	x = min(x, 700)
	half := .5
	if x < 0 {
		half = -.5
	}
	k := int(float64(x*math.Log2E) + half)
	hi := x - float64(float64(k)*ln2Hi)
	lo := float64(float64(k) * ln2Lo)
	r := hi - lo
	t := float64(r * r)
	c := 4.13813679705723846039e-08
	c = -1.65339022054652515390e-06 + float64(t*c)
	c = 6.61375632143793436117e-05 + float64(t*c)
	c = -2.77777777770155933842e-03 + float64(t*c)
	c = 1.66666666666666019037e-01 + float64(t*c)
	c = r - float64(t*c)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return float64(y * math.Float64frombits(uint64(k+1023)<<52))
}

// Ln is the natural logarithm of a positive number; −Inf of anything below the
// normal numbers, and of what is no number.
func Ln(x float64) float64 {
	if !(x >= 0x1p-1022) {
		return math.Inf(-1)
	}
	if x > math.MaxFloat64 {
		return x
	}
	bits := math.Float64bits(x)
	k := int(bits>>52) - 1022
	f := math.Float64frombits(bits&(1<<52-1) | 1022<<52) // [½,1)
	if f < math.Sqrt2/2 {
		f *= 2
		k--
	}
	f--
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	a := 1.479819860511658591e-01
	a = 1.818357216161805012e-01 + float64(s4*a)
	a = 2.857142874366239149e-01 + float64(s4*a)
	a = 6.666666666666735130e-01 + float64(s4*a)
	b := 1.531383769920937332e-01
	b = 2.222219843214978396e-01 + float64(s4*b)
	b = 3.999999999940941908e-01 + float64(s4*b)
	r := float64(s2*a) + float64(s4*b)
	half := float64(.5 * float64(f*f))
	kf := float64(k)
	return float64(kf*ln2Hi) - ((half - (float64(s*(half+r)) + float64(kf*ln2Lo))) - f)
}
