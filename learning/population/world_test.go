package population

import (
	"fmt"
	"math"

	"rapport/policy"
)

// world is a population with hidden tastes around some centres, as in the design
// page on learning, chapter 1; none when kinds is empty: every owner is then a kind
// of their own.
type world struct {
	seed   uint64
	kinds  []taste
	sample policy.Stream
}

type taste struct{ ideal, weight policy.Traits }

func newWorld(seed uint64, kinds int) *world {
	w := &world{seed: seed, sample: streamOf(seed, 1)}
	for range kinds {
		w.kinds = append(w.kinds, w.kind())
	}
	return w
}

func (w *world) kind() (k taste) {
	for j := range k.ideal {
		k.ideal[j] = .1 + .8*w.sample.Float64()
		if w.sample.Float64() < .45 {
			k.weight[j] = .5 + .7*w.sample.Float64()
		} else {
			k.weight[j] = .02 + .13*w.sample.Float64()
		}
	}
	return k
}

// owner draws a taste: of which kind, and what they like.
func (w *world) owner(r *policy.Stream) (k int, t taste) {
	if len(w.kinds) == 0 {
		t = w.kind()
	} else {
		total := 0.
		for i := range w.kinds {
			total += 1 / (1 + .4*float64(i))
		}
		for u := r.Float64() * total; k < len(w.kinds)-1; k++ {
			if u -= 1 / (1 + .4*float64(k)); u < 0 {
				break
			}
		}
		t = w.kinds[k]
	}
	sum := 0.
	for j := range t.ideal {
		t.ideal[j] = min(1, max(0, t.ideal[j]+.12*r.Normal()))
		t.weight[j] *= math.Exp(.35 * r.Normal())
		sum += t.weight[j]
	}
	for j := range t.weight {
		t.weight[j] *= 5 / sum
	}
	return k, t
}

func (t *taste) satisfaction(x *policy.Traits) float64 {
	s := 1.
	for j := range x {
		s -= t.weight[j] * (x[j] - t.ideal[j]) * (x[j] - t.ideal[j])
	}
	return min(1, max(0, s))
}

// live gives what an agent knows after some sessions with an owner of that taste. It
// explores around levels that follow what was rated well, and sees nothing of the
// taste but the ratings; one session in five has a clear one.
func live(name, owner string, t *taste, start policy.Traits, sessions int, r *policy.Stream) Statistics {
	s := Statistics{Agent: name, Owner: owner, Start: start}
	theta, usual := start, 0.
	for n := range sessions {
		x := theta
		for j := range x {
			x[j] = min(1, max(0, x[j]+.09*r.Normal()))
		}
		w := .25
		if n%5 == 0 {
			w = 1.1
		}
		u := t.satisfaction(&x) + .08*r.Normal()
		y := min(2.5, max(-2.5, 2.6*(u-.65)+math.Sqrt(.15/w)*r.Normal()))
		s.observe(&x, y, w)
		for j := range x {
			theta[j] += min(.03, max(-.03, .5*w*(y-usual)*(x[j]-theta[j])))
		}
		usual += .2 * w * (y - usual)
	}
	return s
}

func (s *Statistics) observe(x *policy.Traits, y, w float64) {
	f := features(x)
	keep := 1 - .005*min(w, 1)
	k := 0
	for i := range p {
		for j := range i + 1 {
			s.S[k] = keep*s.S[k] + w*f[i]*f[j]
			k++
		}
		s.H[i] = keep*s.H[i] + w*f[i]*y
	}
	s.YY = keep*s.YY + w*y*y
	s.N = keep*s.N + 1
}

// agents gives n agents of as many owners, and their kinds.
func (w *world) agents(n, sessions int) (all []Statistics, kinds []int) {
	for i := range n {
		r := streamOf(w.seed, 2, uint64(i))
		k, t := w.owner(&r)
		all = append(all, live(fmt.Sprintf("agent-%05d", i), fmt.Sprintf("owner-%05d", i), &t, policy.Neutral(), sessions, &r))
		kinds = append(kinds, k)
	}
	return all, kinds
}

// features are those of the learner for an agent that started in the middle.
func features(x *policy.Traits) (f vector) {
	f[0] = 1
	for j, v := range x {
		z := 2*v - 1
		f[1+j], f[1+dims+j] = z, z*z
	}
	return f
}
