package step

import "math"

// factor is the Cholesky factor L of a P×P matrix Λ = LLᵀ, in the rows of a lower
// triangle whose diagonal holds 1/L_ii; below it lie two more rows, each a vector v
// that factoring turns into L⁻¹v. Rows and columns are taken two at a time, so that
// four sums grow side by side.
type factor [P + 2]Vec

// The rows below the triangle.
const (
	rowMean     = P     // σ0²Pμ + H, then L⁻¹ of it
	rowFeatures = P + 1 // φ, then L⁻¹φ
)

// load sets the triangle to a + b.
func (l *factor) load(a, b *[Tri]float64) {
	k := 0
	for i := range P {
		ri := l[i][: i+1 : i+1]
		ai, bi := a[k:], b[k:]
		ai, bi = ai[:len(ri)], bi[:len(ri)]
		for j := range ri {
			ri[j] = ai[j] + bi[j]
		}
		k += i + 1
	}
}

// decompose factors in place and gives the determinant of Λ. It stops and says false
// when a pivot is below least, or not a number, or above 1e15: then Λ is not what it
// should be. O(P³/6).
func (l *factor) decompose(least *Vec) (det float64, ok bool) {
	p := l[0][0]
	if !(p >= least[0] && p <= maxPivot) {
		return 0, false
	}
	det = p
	d := 1 / math.Sqrt(p)
	l[0][0] = d
	for r := 1; r < P+2; r++ {
		l[r][0] = float64(l[r][0] * d)
	}
	for c := 1; c < P-1; c += 2 {
		a, b := &l[c], &l[c+1]
		p, s, q := a[c], b[c], b[c+1]
		for t := range c {
			x, y := a[t], b[t]
			p -= float64(x * x)
			s -= float64(x * y)
			q -= float64(y * y)
		}
		da := 1 / math.Sqrt(p)
		s = float64(s * da)
		qq := q - float64(s*s)
		if !(p >= least[c] && p <= maxPivot && qq >= least[c+1] && qq <= maxPivot) {
			return 0, false
		}
		db := 1 / math.Sqrt(qq)
		det = float64(det * float64(p*qq))
		a[c], b[c], b[c+1] = da, s, db
		for r := c + 2; r < P+1; r += 2 {
			x, y := &l[r], &l[r+1]
			xa, xb, ya, yb := x[c], x[c+1], y[c], y[c+1]
			for t := range c {
				u, v := a[t], b[t]
				m, n := x[t], y[t]
				xa -= float64(m * u)
				xb -= float64(m * v)
				ya -= float64(n * u)
				yb -= float64(n * v)
			}
			xa, ya = float64(xa*da), float64(ya*da)
			x[c], y[c] = xa, ya
			x[c+1] = float64((xb - float64(xa*s)) * db)
			y[c+1] = float64((yb - float64(ya*s)) * db)
		}
	}
	return det, true
}

// A pivot of Λ is the information about one coefficient given those before it, in
// owner ratings; the limits keep the determinant, a product of P of them, a number.
const (
	minPivot = 1e-15
	maxPivot = 1e15
)

// forward solves Lv = v.
func (l *factor) forward(v *Vec) {
	for i := range P {
		x, li := v[i], &l[i]
		for t := range i {
			x -= float64(li[t] * v[t])
		}
		v[i] = float64(x * li[i])
	}
}

// backward solves Lᵀv = v.
func (l *factor) backward(v *Vec) {
	for i := P - 1; i > 0; i -= 2 {
		a, b := &l[i], &l[i-1]
		x := float64(v[i] * a[i])
		y := float64((v[i-1] - float64(a[i-1]*x)) * b[i-1])
		v[i], v[i-1] = x, y
		for t := range i - 1 {
			v[t] = v[t] - float64(a[t]*x) - float64(b[t]*y)
		}
	}
	v[0] = float64(v[0] * l[0][0])
}

// blocks computes the parts of Λ⁻¹ that concern one trait: for each the variance of
// its linear coefficient, the covariance of the two, the variance of the quadratic.
// w is scratch. O(P³/6).
func (l *factor) blocks(w *[P]Vec, out *[D][3]float64) {
	*out = [D][3]float64{}
	for k := 1; k < P-1; k += 2 {
		// rows k and k+1 of L⁻¹
		a, b := &l[k], &l[k+1]
		wa, wb := &w[k], &w[k+1]
		da, db, s := a[k], b[k+1], b[k]
		for j := 1; j < k; j += 2 {
			var aj, ak, bj, bk float64
			for t := j; t < k; t++ {
				u, v := a[t], b[t]
				wt := &w[t]
				m, n := wt[j], wt[j+1]
				aj -= float64(m * u)
				ak -= float64(n * u)
				bj -= float64(m * v)
				bk -= float64(n * v)
			}
			aj, ak = float64(aj*da), float64(ak*da)
			wa[j], wa[j+1] = aj, ak
			wb[j] = float64((bj - float64(s*aj)) * db)
			wb[j+1] = float64((bk - float64(s*ak)) * db)
		}
		wa[k], wa[k+1] = da, 0
		wb[k], wb[k+1] = -float64(float64(s*da)*db), db
	}
	for k := 1; k < P; k++ {
		wk := &w[k]
		for j := range min(k, D) {
			o := &out[j]
			x := wk[1+j]
			o[0] += float64(x * x)
			if k > D+j {
				y := wk[1+D+j]
				o[1] += float64(x * y)
				o[2] += float64(y * y)
			}
		}
	}
}
