package population

import (
	"math"

	"rapport/learning/step"
)

// Symmetric P×P matrices are lower triangles by rows, as in step.
const (
	p    = step.P
	dims = step.D
)

type (
	triangle = [step.Tri]float64
	vector   = step.Vec
)

// row is where row i of a triangle starts.
func row(i int) int { return i * (i + 1) / 2 }

// factor turns a symmetric matrix into its Cholesky factor L, in place; the
// diagonal then holds 1/L_ii. x becomes L⁻¹x on the way. logDet is the log
// determinant of the matrix, NaN when the matrix is not positive definite. Column by
// column, so that no sum waits for the one before.
func factor(a *triangle, x *vector) (logDet float64) {
	var c [p]float64 // the column
	product := 1.
	for j := range p {
		pivot := a[row(j)+j]
		product *= pivot
		if product > 1e200 || product < 1e-200 {
			logDet += math.Log(product)
			product = 1
		}
		inverse := 1 / math.Sqrt(pivot)
		a[row(j)+j] = inverse
		x[j] *= inverse
		v := x[j]
		for i := j + 1; i < p; i++ {
			ri := a[row(i)+j : row(i)+i+1]
			l := ri[0] * inverse
			ri[0] = l
			c[i] = l
			x[i] -= l * v
			ri = ri[1:]
			cj := c[j+1:]
			cj = cj[:len(ri)]
			for k, w := range cj {
				ri[k] -= l * w
			}
		}
	}
	return logDet + math.Log(product)
}

// back solves Lᵀx = x.
func back(l *triangle, x *vector) {
	for i := p - 1; i >= 0; i-- {
		ri := l[row(i) : row(i)+i+1]
		v := x[i] * ri[i]
		x[i] = v
		for t, c := range ri[:i] {
			x[t] -= c * v
		}
	}
}

// invert gives (LLᵀ)⁻¹. Two rows are taken at a time, so that half as much is read and
// written.
func invert(l, out *triangle) {
	var w [p]vector // L⁻¹
	for i := range p {
		ri := l[row(i) : row(i)+i+1]
		wi := &w[i]
		t := 0
		for ; t+1 < i; t += 2 {
			c0, c1 := ri[t], ri[t+1]
			w0, w1 := w[t][:t+2], w[t+1][:t+2]
			to := wi[:t+2]
			for j, v := range w0 {
				to[j] -= c0*v + c1*w1[j]
			}
		}
		if t < i {
			c := ri[t]
			for j, v := range w[t][:t+1] {
				wi[j] -= c * v
			}
		}
		for j := range wi[:i] {
			wi[j] *= ri[i]
		}
		wi[i] = ri[i]
	}
	for i := range p { // Σ_k (row k of L⁻¹)ᵀ (row k of L⁻¹), from k = i
		oi := out[row(i) : row(i)+i+1]
		k := i
		if (p-i)%2 == 1 {
			v := w[k][i]
			for j, x := range w[k][:i+1] {
				oi[j] = v * x
			}
			k++
		} else {
			clear(oi)
		}
		for ; k < p; k += 2 {
			v0, v1 := w[k][i], w[k+1][i]
			w0, w1 := w[k][:i+1], w[k+1][:i+1]
			w1, oi := w1[:len(w0)], oi[:len(w0)]
			for j, x := range w0 {
				oi[j] += v0*x + v1*w1[j]
			}
		}
	}
}

// times is the symmetric matrix a times v.
func times(a *triangle, v *vector) (out vector) {
	for i := range p {
		ri := a[row(i) : row(i)+i+1]
		sum, vi := ri[i]*v[i], v[i]
		for j, c := range ri[:i] {
			sum += c * v[j]
			out[j] += c * vi
		}
		out[i] += sum
	}
	return out
}

// trace is tr(ab) of two symmetric matrices.
func trace(a, b *triangle) float64 {
	all, diagonal := 0., 0.
	for i, v := range a {
		all += v * b[i]
	}
	for i := range p {
		diagonal += a[row(i)+i] * b[row(i)+i]
	}
	return 2*all - diagonal
}

func dot(a, b *vector) float64 {
	sum := 0.
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func sumInto(a, b *triangle) {
	for i, v := range b {
		a[i] += v
	}
}

// sandwich is aba.
func sandwich(a, b *triangle) (out triangle) {
	var rows [p]vector // of a, full
	for i := range p {
		for j := range i + 1 {
			rows[i][j], rows[j][i] = a[row(i)+j], a[row(i)+j]
		}
	}
	for i := range p {
		ba := times(b, &rows[i])
		for j := range i + 1 {
			out[row(i)+j] = dot(&rows[j], &ba)
		}
	}
	return out
}
