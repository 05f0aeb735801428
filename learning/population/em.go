package population

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"rapport/learning/step"
	"rapport/policy"
)

// The constants of the refit (design page on learning, 3.6).
const (
	iterationsOne  = 20   // of EM with one kind
	iterationsMany = 10   // with more
	iterationsAll  = 2    // on all, after those on a sample
	sample         = 1024 // owners
	iterationsTry  = 4    // from each first grouping, on a small sample
	sampleTry      = 512  // owners
	pseudoNoise    = 20.  // observations of the default noise
	pseudoAgents   = 1.   // agents at the hyper-prior, in a mean or slope
	pseudoScatter  = 12.  // ν, agents at the hyper-prior, in a covariance
	shareOne       = .35  // of the hyper-prior's covariance that those have, with one kind
	shareMany      = .12  // with more
	offDiagonal    = .9   // what is kept of the correlations
	pseudoVotes    = 2.   // per kind, in its weight
	blockSize      = 128  // agents whose sums are made together
	slopeBlocks    = 2    // blocks whose agents say how sure the slopes are
	enoughForSlope = 5.   // of such agents
	negligible     = 1e-4 // responsibility below which a kind learns nothing of an agent

	// What one agent can do at most. The squared distance of its posterior mean from
	// its kind's, in prior standard deviations, counts as if it were at most
	// maxDistance times what is usual in the kind. Its squared residual counts as if it
	// were at most maxResidual times what the noise explains, and as if it had at most
	// maxCount observations.
	maxDistance = 3.
	maxResidual = 4.
	maxCount    = 100.
)

// kind is a component made ready for the agents.
type kind struct {
	step.Component
	usual     float64 // mean squared distance of an agent's posterior mean, prior standard deviations; p when not known
	logWeight float64
	a         triangle // σ²P
	logDet    float64  // of a
}

// model is a prior made ready.
type model struct {
	noise float64
	kinds []kind
}

func newModel(prior *step.Prior) *model {
	m := &model{noise: prior.Noise, kinds: make([]kind, len(prior.Components))}
	for k, c := range prior.Components {
		q := &m.kinds[k]
		q.Component, q.usual, q.logWeight = c, p, math.Log(c.Weight)
		for i, v := range c.Precision {
			q.a[i] = prior.Noise * v
		}
		l := q.a
		q.logDet = factor(&l, new(vector))
	}
	return m
}

// prior is the model as a prior that nobody has checked yet.
func (m *model) prior() *step.Prior {
	components := make([]step.Component, len(m.kinds))
	for k := range m.kinds {
		components[k] = m.kinds[k].Component
	}
	return &step.Prior{Noise: m.noise, Components: components}
}

// meanOf is μ_ik, what is expected of an agent of this kind that started at z.
func (k *kind) meanOf(z *policy.Traits) vector {
	mean := k.Mean
	for j, g := range k.Slope {
		mean[1+j] += g * z[j]
	}
	return mean
}

// posterior is what an agent's statistics say of its coefficients if it is of one
// kind.
type posterior struct {
	l       triangle // factor of Λ = σ²P + S
	m, mean vector   // m = Λ⁻¹(σ²Pμ + h), and μ
	fit     float64  // mᵀ(σ²Pμ + h) = mᵀΛm
	logLik  float64  // of the observations, but for Σ½log w
}

// of computes it. With n observations of noise σ²/w,
//
//	log p = ½(log|σ²P| − log|Λ|) − (Σwy² + μᵀσ²Pμ − mᵀΛm)/2σ² − n/2·log 2πσ² .
func (b *posterior) of(a *agent, k *kind, noise float64) {
	b.mean = k.meanOf(&a.z)
	q := times(&k.a, &b.mean)
	before := dot(&q, &b.mean)
	for i, h := range a.H {
		q[i] += h
	}
	for i, v := range a.S {
		b.l[i] = k.a[i] + v
	}
	b.m = q
	logDet := factor(&b.l, &b.m)
	back(&b.l, &b.m)
	b.fit = dot(&b.m, &q)
	b.logLik = .5*(k.logDet-logDet) - (a.YY+before-b.fit)/(2*noise) - .5*a.N*math.Log(2*math.Pi*noise)
}

// moments are the sums of a maximisation over agents, for one kind; d = m − μ_ik and
// C are what an agent's posterior differs by and varies by, s̃ is its start less the
// cohort's mean start.
type moments struct {
	r     float64             // Σr
	s     policy.Traits       // Σr s
	pd    vector              // Σr Pd
	spd   policy.Traits       // Σr s̃_j (Pd)_1+j
	c     triangle            // Σr C, then Σr (m−μ)(m−μ)ᵀ
	slope [dims]policy.Traits // Σr s̃_j s̃_k M_1+j,1+k with M = P − PCP, over the agents of the first blocks
	of    float64             // Σr of those
}

// tally are the sums over one block of agents, or over all.
type tally struct {
	kinds       [step.MaxK]moments
	residual, n float64
}

// known is what the expectation found of an agent and a kind.
type known struct {
	r float64 // vote × responsibility
	m vector  // posterior mean, drawn in
}

// cohort is a set of agents to fit on. Its sums are made in blocks of fixed size
// that are added in order, so that they do not depend on the number of cores.
type cohort struct {
	agents []agent       // in the order of their owners
	centre policy.Traits // mean z of the starts
	varied bool          // not all starts are equal
	votes  float64
	known  []known // by agent and kind
	blocks []tally
}

func newCohort(agents []agent) *cohort {
	c := &cohort{agents: agents, blocks: make([]tally, (len(agents)+blockSize-1)/blockSize)}
	for i := range agents {
		c.votes += agents[i].vote
		c.varied = c.varied || agents[i].z != agents[0].z
		for j, z := range agents[i].z {
			c.centre[j] += z / float64(len(agents))
		}
	}
	return c
}

// first are the agents of the first n owners, or the cohort when it has not twice as
// many.
func (c *cohort) first(n int) *cohort {
	owners, cut := 0, 0
	for i := range c.agents {
		if i == 0 || c.agents[i].owner != c.agents[i-1].owner {
			owners++
			if owners == n+1 {
				cut = i
			}
		}
	}
	if owners < 2*n {
		return c
	}
	return newCohort(c.agents[:cut])
}

// each runs f for every block of agents, on all processors.
func (c *cohort) each(f func(block, from, to int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(c.blocks)) {
		group.Go(func() {
			for {
				b := int(next.Add(1)) - 1
				if b >= len(c.blocks) {
					return
				}
				f(b, b*blockSize, min((b+1)*blockSize, len(c.agents)))
			}
		})
	}
	group.Wait()
}

// expect fills known and the tallies of the blocks with what the model says of
// every agent. With kindOf, a hard assignment, the model has one kind and what is
// found counts for the kind that is named. K is how many kinds there are.
func (c *cohort) expect(m *model, kindOf []uint8, K int) {
	if len(c.known) != len(c.agents)*K {
		c.known = make([]known, len(c.agents)*K)
	}
	c.each(func(block, from, to int) {
		t := &c.blocks[block]
		*t = tally{}
		var posteriors [step.MaxK]posterior
		var r [step.MaxK]float64
		var cov triangle
		for i := from; i < to; i++ {
			a := &c.agents[i]
			m.responsibilities(a, &posteriors, &r)
			count := min(1, maxCount/a.N) * a.vote
			residual := 0.
			for k := range m.kinds {
				to := k
				if kindOf != nil {
					to = int(kindOf[i])
					for k := range K {
						c.known[i*K+k].r = 0
					}
				}
				e := &c.known[i*K+to]
				if e.r = 0; r[k] < negligible {
					continue
				}
				e.r = a.vote * r[k]
				b := &posteriors[k]
				invert(&b.l, &cov)
				q := &m.kinds[k]
				am := times(&q.a, &b.m)
				// Σw(y−φᵀm)² + tr(SC), where S = Λ − σ²P and C = σ²Λ⁻¹
				left := a.YY - 2*dot(&a.H, &b.m) + b.fit - dot(&am, &b.m) + m.noise*(p-trace(&q.a, &cov))
				residual += r[k] * left
				pd := q.drawIn(b, &e.m)
				t.kinds[to].add(e.r, &a.z, &c.centre, &pd, &cov, m.noise)
				if c.varied && block < slopeBlocks {
					t.kinds[to].inform(e.r, &a.z, &c.centre, &q.Precision, &cov, m.noise)
				}
			}
			t.residual += count * min(residual, maxResidual*m.noise*a.N)
			t.n += count * a.N
		}
	})
}

// responsibilities computes the posteriors under every kind and the probability
// of each. It gives the log likelihood under the mixture.
func (m *model) responsibilities(a *agent, b *[step.MaxK]posterior, r *[step.MaxK]float64) float64 {
	top := math.Inf(-1)
	for k := range m.kinds {
		b[k].of(a, &m.kinds[k], m.noise)
		r[k] = m.kinds[k].logWeight + b[k].logLik
		top = max(top, r[k])
	}
	sum := 0.
	for k := range m.kinds {
		r[k] = math.Exp(r[k] - top)
		sum += r[k]
	}
	for k := range m.kinds {
		r[k] /= sum
	}
	return top + math.Log(sum)
}

// drawIn puts the posterior mean in m, drawn towards what is expected of the kind
// until it lies within the bound, and gives P(m − μ_ik).
func (k *kind) drawIn(b *posterior, m *vector) (pd vector) {
	var d vector
	for i, v := range b.m {
		d[i] = v - b.mean[i]
	}
	*m, pd = b.m, times(&k.Precision, &d)
	if distance2 := dot(&pd, &d); distance2 > maxDistance*k.usual {
		f := math.Sqrt(maxDistance * k.usual / distance2)
		for i, v := range d {
			m[i] = b.mean[i] + f*v
			pd[i] *= f
		}
	}
	return pd
}

// add takes in an agent whose covariance is noise·c.
func (t *moments) add(r float64, z, centre *policy.Traits, pd *vector, c *triangle, noise float64) {
	t.r += r
	for i, v := range pd {
		t.pd[i] += r * v
	}
	for j, s := range z {
		t.s[j] += r * s
		t.spd[j] += r * (s - centre[j]) * pd[1+j]
	}
	f := r * noise
	for i, v := range c {
		t.c[i] += f * v
	}
}

// inform takes in what the agent says about slopes.
func (t *moments) inform(r float64, z, centre *policy.Traits, precision, c *triangle, noise float64) {
	m := sandwich(precision, c)
	t.of += r
	for j := range dims {
		for k := range j + 1 {
			at := row(1+j) + 1 + k
			t.slope[j][k] += r * (z[j] - centre[j]) * (z[k] - centre[k]) * (precision[at] - noise*m[at])
		}
	}
}

func (t *moments) sum(o *moments) {
	t.r += o.r
	t.of += o.of
	for i, v := range o.pd {
		t.pd[i] += v
	}
	for j := range dims {
		t.s[j] += o.s[j]
		t.spd[j] += o.spd[j]
		for k, v := range o.slope[j] {
			t.slope[j][k] += v
		}
	}
	sumInto(&t.c, &o.c)
}

// maximise gives the model that explains best what expect found under a model,
// shrunk to the hyper-prior.
func (c *cohort) maximise(from *model, K int) *model {
	var t tally
	for b := range c.blocks {
		o := &c.blocks[b]
		for k := range K {
			t.kinds[k].sum(&o.kinds[k])
		}
		t.residual += o.residual
		t.n += o.n
	}
	hyper := step.DefaultPrior()
	prior := &step.Prior{Components: make([]step.Component, K)}
	prior.Noise = (t.residual + pseudoNoise*hyper.Noise) / (t.n + pseudoNoise)
	prior.Noise = min(max(prior.Noise, hyper.Noise/20), hyper.Noise*10)
	var usual [step.MaxK]float64
	votes := 0.
	for k := range K {
		votes += t.kinds[k].r + pseudoVotes
	}
	for k := range K {
		q, m := &prior.Components[k], &t.kinds[k]
		q.Weight = (m.r + pseudoVotes) / votes
		old := &from.kinds[min(k, len(from.kinds)-1)].Component
		m.regress(q, old, &hyper.Components[0])
		usual[k] = p
		if m.r > 0 {
			usual[k] = max(1, p-trace(&old.Precision, &m.c)/m.r)
		}
	}
	// the scatter around the new means
	c.each(func(block, from, to int) {
		o := &c.blocks[block]
		for k := range K {
			o.kinds[k].c = triangle{}
		}
		for i := from; i < to; i++ {
			for k := range K {
				e := &c.known[i*K+k]
				if e.r == 0 {
					continue
				}
				d := e.m
				q, t := &prior.Components[k], &o.kinds[k].c
				for i := range d {
					d[i] -= q.Mean[i]
				}
				for j, z := range c.agents[i].z {
					d[1+j] -= q.Slope[j] * z
				}
				for i, v := range d {
					ti, f := t[row(i):row(i)+i+1], e.r*v
					for j := range ti {
						ti[j] += f * d[j]
					}
				}
			}
		}
	})
	share := shareMany
	if K == 1 {
		share = shareOne
	}
	for k := range K {
		q, m := &prior.Components[k], &t.kinds[k]
		for b := range c.blocks {
			sumInto(&m.c, &c.blocks[b].kinds[k].c)
		}
		for i := range p {
			ri := m.c[row(i) : row(i)+i+1]
			for j := range ri[:i] {
				ri[j] *= offDiagonal / (pseudoScatter + m.r)
			}
			variance := 1 / hyper.Components[0].Precision[row(i)+i]
			ri[i] = (ri[i] + pseudoScatter*share*variance) / (pseudoScatter + m.r)
		}
		factor(&m.c, new(vector))
		invert(&m.c, &q.Precision)
	}
	next := newModel(prior)
	for k := range next.kinds {
		next.kinds[k].usual = usual[k]
	}
	return next
}

// regress fills slope and mean: two steps from those of the old component, each to
// where the observations, not only the posterior means, are most probable, with
// pseudoAgents at the hyper-prior (index 0). For the slopes
//
//	(Σr s̃s̃ᵀ∘M + P_0) ΔG = Σr s̃∘(Pd) + P_0(G_0 − G) ,  M = P − PCP ,
//
// in the linear coefficients, and with the mean M̄ for the mean
//
//	(Σr M̄ + P_0) Δμ = Σr Pd − M̄(ΔG∘Σr s) + P_0(μ_0 − μ) .
//
// M on the left instead of P needs a tenth of the iterations of plain maximisation
// (ECME, Liu and Rubin 1994).
func (t *moments) regress(q, old, hyper *step.Component) {
	q.Slope = t.slopes(old, hyper)
	var shift vector
	for j, g := range q.Slope {
		shift[1+j] = (g - old.Slope[j]) * t.s[j]
	}
	info := sandwich(&old.Precision, &t.c)
	for i, v := range old.Precision {
		info[i] = v - info[i]/max(t.r, 1e-9)
	}
	shift = times(&info, &shift)
	x := t.pd
	for i := range info {
		info[i] *= t.r
	}
	for i := range p {
		weight := pseudoAgents * hyper.Precision[row(i)+i]
		x[i] += weight*(hyper.Mean[i]-old.Mean[i]) - shift[i]
		info[row(i)+i] += weight
	}
	factor(&info, &x)
	back(&info, &x)
	for i, v := range x {
		q.Mean[i] = old.Mean[i] + v
	}
}

// slopes gives the new ones. With too few agents to know how far to go it goes a
// quarter of the way that is safe whatever the starts.
func (t *moments) slopes(old, hyper *step.Component) policy.Traits {
	var a triangle // of the first dims rows, then the unit matrix
	var x vector
	for j := range dims {
		weight := pseudoAgents * hyper.Precision[row(1+j)+1+j]
		x[j] = t.spd[j] + weight*(hyper.Slope[j]-old.Slope[j])
		for k := range j + 1 {
			a[row(j)+k] = t.slope[j][k] * t.r / max(t.of, 1e-9)
		}
		if t.of < enoughForSlope {
			clear(a[row(j) : row(j)+j+1])
			a[row(j)+j] = 4 * t.r * old.Precision[row(1+j)+1+j]
		}
		a[row(j)+j] += weight
	}
	for i := dims; i < p; i++ {
		a[row(i)+i] = 1
	}
	factor(&a, &x)
	back(&a, &x)
	out := old.Slope
	for j := range out {
		out[j] += x[j]
	}
	return out
}

// logLiks gives each agent's log likelihood under the model.
func (c *cohort) logLiks(m *model) []float64 {
	out := make([]float64, len(c.agents))
	c.each(func(_, from, to int) {
		var posteriors [step.MaxK]posterior
		var r [step.MaxK]float64
		for i := from; i < to; i++ {
			out[i] = m.responsibilities(&c.agents[i], &posteriors, &r)
		}
	})
	return out
}
