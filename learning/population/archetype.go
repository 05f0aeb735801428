package population

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"rapport/learning/step"
	"rapport/policy"
)

// What archetypes must keep.
const (
	minAgents  = 20  // of an archetype
	minOwners  = 10  // of those agents
	minApart   = .10 // between two archetypes, owner-rating units
	sameWithin = .40 // of the previous centre, an archetype is still the same
	keepSpread = .5  // share of the previous diversity, and of the distance between centres
)

// apart is how differently two vectors of coefficients judge behaviour: the
// standard deviation of the difference of the two satisfactions over all policies
// (levels independent and uniform), owner-rating units. Intercepts do not count.
//
//	d² = Σ_j ⅓ Δβ1_j² + 4/45 Δβ2_j²
func apart(a, b *vector) float64 {
	sum := 0.
	for j := range dims {
		d1, d2 := a[1+j]-b[1+j], a[1+dims+j]-b[1+dims+j]
		sum += varianceOne*d1*d1 + varianceTwo*d2*d2
	}
	return math.Sqrt(sum)
}

// the variances of z and of z² for z uniform on [−1,1].
const (
	varianceOne = 1. / 3
	varianceTwo = 4. / 45
)

// tasteOf is the mean of a component for owners who start at the given levels, as
// coefficients of 2x−1 and its square instead of 2(x − start) and its square, so that
// tastes of owners with different starts can be compared: with o = 2·start − 1 it is
// β1 = μ1 + G∘o − 2β2∘o. Intercepts are those of the start.
func tasteOf(c *step.Component, start *policy.Traits) vector {
	taste := c.Mean
	for j, g := range c.Slope {
		o := 2*start[j] - 1
		taste[1+j] += (g - 2*taste[1+dims+j]) * o
	}
	return taste
}

// tastes are those of a version's archetypes.
func (v *Version) tastes() []vector {
	out := make([]vector, len(v.Archetypes))
	for k := range out {
		out[k] = tasteOf(&v.Prior.Components[k], &v.Archetypes[k].Start)
	}
	return out
}

// diversity is how differently two owners judge behaviour under the version: √½ of
// the mean square of what apart measures between two draws, owner-rating units.
func (v *Version) diversity() float64 {
	tastes, sum := v.tastes(), 0.
	if len(tastes) == 0 {
		tastes = []vector{v.Prior.Components[0].Mean}
	}
	var mean vector
	for k, t := range tastes {
		for i := range t {
			mean[i] += v.Prior.Components[k].Weight * t[i]
		}
	}
	for k := range tastes {
		c := &v.Prior.Components[k]
		d := apart(&tastes[k], &mean)
		l, cov := c.Precision, triangle{}
		factor(&l, new(vector))
		invert(&l, &cov)
		within := 0.
		for j := range dims {
			within += varianceOne*cov[row(1+j)+1+j] + varianceTwo*cov[row(1+dims+j)+1+dims+j]
		}
		sum += c.Weight * (d*d + within)
	}
	return math.Sqrt(sum)
}

// spread is the root mean square distance between archetypes, 0 for fewer than
// two.
func spread(tastes []vector) float64 {
	sum, n := 0., 0
	for i := range tastes {
		for j := range i {
			d := apart(&tastes[i], &tastes[j])
			sum += d * d
			n++
		}
	}
	return math.Sqrt(sum / float64(max(n, 1)))
}

// describe makes the archetypes of a model of the cohort, or says why it has none.
func (c *cohort) describe(m *model) (archetypes []Archetype, reason string) {
	K := len(m.kinds)
	archetypes = make([]Archetype, K)
	owners := make([]map[int]bool, K)
	for k := range owners {
		owners[k] = map[int]bool{}
	}
	total := make([]float64, K)
	c.expect(m, nil, K)
	for i := range c.agents {
		best := 0
		for k := range K {
			e := &c.known[i*K+k]
			if e.r > c.known[i*K+best].r {
				best = k
			}
			total[k] += e.r
			for j, v := range c.agents[i].Start {
				archetypes[k].Start[j] += e.r * v
			}
		}
		archetypes[best].Agents++
		owners[best][c.agents[i].owner] = true
	}
	tastes := make([]vector, K)
	for k := range archetypes {
		a := &archetypes[k]
		a.Owners, a.Share = len(owners[k]), m.kinds[k].Weight
		if a.Agents < minAgents || a.Owners < minOwners {
			return nil, fmt.Sprintf("one of them would have %d agents of %d owners, fewer than %d of %d", a.Agents, a.Owners, minAgents, minOwners)
		}
		for j := range a.Start {
			a.Start[j] = min(max(a.Start[j]/total[k], 0), 1)
		}
		tastes[k] = tasteOf(&m.kinds[k].Component, &a.Start)
		for j := range dims {
			b1, b2 := tastes[k][1+j], tastes[k][1+dims+j]
			a.Centre[j] = (1 + top(b1, b2)) / 2
			a.Importance[j] = max(0, -4*b2)
		}
		a.Description = inWords(&tastes[k])
		for o := range k {
			if d := apart(&tastes[k], &tastes[o]); d < minApart {
				return nil, fmt.Sprintf("two of them would be only %.2f apart, closer than %.2f", d, minApart)
			}
		}
	}
	return archetypes, ""
}

// top is the z in [−1,1] where b1·z + b2·z² is largest.
func top(b1, b2 float64) float64 {
	if b2 < 0 {
		return min(max(-b1/(2*b2), -1), 1)
	}
	return math.Copysign(1, b1)
}

// name gives each archetype the id of the previous one it continues: pairs by
// distance, nearest first, within sameWithin. What continues nothing gets a new id.
// Archetypes and components are then put in the order of the ids. retired are the
// ids without a successor.
func (v *Version) name(previous *Version) (retired []int, err error) {
	type pair struct {
		d        float64
		old, now int
	}
	var pairs []pair
	olds := previous.tastes()
	for i, taste := range v.tastes() {
		for o := range olds {
			if d := apart(&taste, &olds[o]); d <= sameWithin {
				pairs = append(pairs, pair{d, o, i})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(a.d, b.d) })
	gone := make([]bool, len(olds))
	for _, q := range pairs {
		if a := &v.Archetypes[q.now]; a.ID == 0 && !gone[q.old] {
			a.ID, gone[q.old] = previous.Archetypes[q.old].ID, true
		}
	}
	for o := range olds {
		if !gone[o] {
			retired = append(retired, previous.Archetypes[o].ID)
		}
	}
	order := make([]int, len(v.Archetypes))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := &v.Archetypes[a], &v.Archetypes[b]
		if x.ID == 0 || y.ID == 0 { // the new ones last, by their share
			return cmp.Or(cmp.Compare(y.ID, x.ID), cmp.Compare(y.Share, x.Share))
		}
		return cmp.Compare(x.ID, y.ID)
	})
	v.NextID = max(1, previous.NextID)
	archetypes, components := make([]Archetype, 0, len(order)), make([]step.Component, 0, len(order))
	for _, k := range order {
		a := v.Archetypes[k]
		if a.ID == 0 {
			a.ID = v.NextID
			v.NextID++
		}
		archetypes, components = append(archetypes, a), append(components, v.Prior.Components[k])
	}
	if len(components) > 0 { // else it is the default prior
		v.Archetypes = archetypes
		v.Prior, err = step.NewPrior(v.Prior.Noise, components)
	}
	return retired, err
}

// words say what liking a low or a high level of a trait is.
var words = [dims][2]string{
	policy.Humor:         {"serious", "funny"},
	policy.Empathy:       {"matter-of-fact", "warm"},
	policy.Sarcasm:       {"no sarcasm", "sarcastic"},
	policy.Directness:    {"gentle", "direct"},
	policy.Formality:     {"casual", "formal"},
	policy.Curiosity:     {"little small talk", "curious"},
	policy.Brevity:       {"talkative", "brief"},
	policy.Assertiveness: {"reserved", "assertive"},
}

const (
	wordsMost = 4
	wordFrom  = .06 // loss of the middle level against the best, owner-rating units, that is worth a word
)

// inWords describes a taste by the traits whose middle level would cost most,
// those first.
func inWords(taste *vector) string {
	type word struct {
		gain float64
		text string
	}
	var said []word
	for j := range dims {
		b1, b2 := taste[1+j], taste[1+dims+j]
		z := top(b1, b2)
		side := 0
		if z > 0 {
			side = 1
		}
		if gain := b1*z + b2*z*z; gain >= wordFrom {
			said = append(said, word{gain, words[j][side]})
		}
	}
	slices.SortStableFunc(said, func(a, b word) int { return cmp.Compare(b.gain, a.gain) })
	texts := make([]string, 0, wordsMost)
	for _, w := range said[:min(len(said), wordsMost)] {
		texts = append(texts, w.text)
	}
	if len(texts) == 0 {
		return "likes the middle of everything"
	}
	return strings.Join(texts, ", ")
}
