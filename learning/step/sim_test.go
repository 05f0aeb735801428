package step

import (
	"encoding/binary"
	"math"
	"testing"

	"rapport/learning/fusion"
	"rapport/policy"
)

// world is the simulated yardstick of the design page on learning, chapter 1:
// owners with hidden tastes, a pool of other raters of whom some are hostile.
type world struct {
	r     policy.Stream
	kinds []struct{ centre, weight policy.Traits }
	pool  []struct {
		bias    float64
		hostile bool
	}
}

type owner struct {
	ideal, weight policy.Traits
	strict, bias  float64
	jump          int
}

func stream(seed, of uint64) policy.Stream {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed*0x9e3779b97f4a7c15+1)
	binary.LittleEndian.PutUint64(key[8:], of*0xbf58476d1ce4e5b9+2)
	r := policy.NewStream(key)
	for range 20 {
		r.Uint64()
	}
	return r
}

func newWorld(seed uint64) *world {
	w := &world{r: stream(seed, 1<<40)}
	for range 4 {
		var k struct{ centre, weight policy.Traits }
		for j := range k.centre {
			k.centre[j] = .1 + .8*w.r.Float64()
			if w.r.Float64() < .45 {
				k.weight[j] = .5 + .7*w.r.Float64()
			} else {
				k.weight[j] = .02 + .13*w.r.Float64()
			}
		}
		w.kinds = append(w.kinds, k)
	}
	for range 300 {
		w.pool = append(w.pool, struct {
			bias    float64
			hostile bool
		}{.06 * w.r.Normal(), w.r.Float64() < .1})
	}
	return w
}

// taste draws an ideal point and importances from the mixture of kinds.
func (w *world) taste(r *policy.Stream) (ideal, weight policy.Traits) {
	total, k := 0., 0
	for i := range w.kinds {
		total += 1 / (1 + .4*float64(i))
	}
	for u := r.Float64() * total; k < len(w.kinds)-1; k++ {
		if u -= 1 / (1 + .4*float64(k)); u < 0 {
			break
		}
	}
	sum := 0.
	for j := range ideal {
		ideal[j] = min(1, max(0, w.kinds[k].centre[j]+.12*r.Normal()))
		weight[j] = w.kinds[k].weight[j] * math.Exp(.35*r.Normal())
		sum += weight[j]
	}
	for j := range weight {
		weight[j] *= 5 / sum
	}
	return ideal, weight
}

func (o *owner) satisfaction(x *policy.Traits) float64 {
	s := 1.
	for j := range x {
		s -= o.weight[j] * (x[j] - o.ideal[j]) * (x[j] - o.ideal[j])
	}
	return min(1, max(0, s))
}

// session gives what people let know about one session at x.
func (w *world) session(o *owner, x *policy.Traits, r *policy.Stream) fusion.Evidence {
	l := fusion.Defaults()
	var e fusion.Evidence
	present := r.Float64() < .6
	u := o.satisfaction(x) + .08*r.Normal()
	if rated, feel := r.Float64() < .2, u+o.strict+.12*r.Normal(); rated {
		val := -1.
		switch {
		case feel >= .85:
			val = 1
		case feel >= .62:
			val = .5
		case feel >= .40:
			val = -.25
		}
		e.Add(l.Of(fusion.OwnerRating, val, 1))
	}
	thumbs, p := 0, r.Float64()
	for q, c := math.Exp(-.45), math.Exp(-.45); thumbs < 3 && p > c; c += q {
		thumbs++
		q *= .45 / float64(thumbs)
	}
	for k := range 3 {
		noise, coin, who := .12*r.Normal(), r.Float64(), w.pool[int(r.Float64()*300)]
		if k >= thumbs {
			continue
		}
		source := fusion.OwnerThumb
		if !present {
			source = fusion.Guest
			noise += who.bias
		}
		val := -1.
		if coin < 1/(1+math.Exp(-(u+noise-.62)/.10)) && (present || !who.hostile) {
			val = 1
		}
		e.Add(l.Of(source, val, 1))
	}
	e.Add(l.Of(fusion.Engagement, .66+o.bias+.15*(.3*(u-.7)/.2+.954*r.Normal()), 1))
	reviewed, noise, who := r.Float64() < .04, .12*r.Normal(), w.pool[int(r.Float64()*300)]
	if reviewed {
		val := 2*u - 1 + noise
		if who.hostile {
			val = -1
		}
		e.Add(l.Of(fusion.Review, min(1, max(-1, val)), 1))
	}
	return e
}

// run lets every agent live through its sessions and gives the mean regret per
// agent and the share that was ever clearly worse than at the start.
func (w *world) run(agents, sessions int, learn bool, gate float64) (regret, worse float64) {
	fence := Fence{May: policy.AllTraits}
	for j := range fence.Hi {
		fence.Hi[j], fence.Gate[j] = 1, gate
	}
	for i := range agents {
		r := stream(7, uint64(i))
		o := owner{strict: .06 * r.Normal(), bias: .08 * r.Normal(), jump: -1}
		o.ideal, o.weight = w.taste(&r)
		if r.Float64() < .15 {
			o.jump = 80 + int(40*r.Float64())
		}
		s := New(policy.Neutral())
		start, everWorse := o.satisfaction(&s.Start), false
		b := s.Believe(DefaultPrior(), new(Belief))
		for n := range sessions {
			if n == o.jump {
				o.ideal, o.weight = w.taste(&r)
				start = -1
			}
			x := s.Theta
			if learn {
				draws := stream(uint64(n)+1, uint64(i)+1<<30)
				var centres [policy.DefaultCentres]policy.Traits
				b.Centres(&s.Theta, &fence.Lo, &fence.Hi, &draws, &centres)
				m := policy.NewMixture(s.Theta, centres[:], policy.Exploration{Epsilon: 1, Strategy: policy.StrategyMixture}, nil, 0)
				var key [32]byte
				for k := range 4 {
					binary.LittleEndian.PutUint64(key[8*k:], draws.Uint64())
				}
				x, _ = m.Draw(key)
			}
			regret += 1 - o.satisfaction(&x)
			y, weight := fusion.Defaults().Fused(w.session(&o, &x, &r))
			if learn && weight > 0 {
				f := around(&x, policy.AllTraits)
				if _, err := s.ObserveInto(DefaultPrior(), b, &f, y, weight); err != nil {
					panic(err)
				}
				s.Move(b, &fence)
				everWorse = everWorse || start-o.satisfaction(&s.Theta) > .05
			}
		}
		if everWorse {
			worse++
		}
	}
	return regret / float64(agents), worse / float64(agents)
}

// TestRegretInTheSimulatedWorld is the proof that the step is right: the measured
// reference without a population prior has a regret of 37.0 ± 1.0 over 200
// sessions (with loadings learned on the way; here they are the defaults),
// standing still 66.7 ± 2.5.
func TestRegretInTheSimulatedWorld(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("300 agents, 200 sessions")
	}
	const agents, sessions = 300, 200
	var still, learned, worse float64
	const worlds = 100
	for seed := range uint64(worlds) {
		w := newWorld(seed)
		a, _ := w.run(agents/worlds, sessions, false, 0)
		b, c := w.run(agents/worlds, sessions, true, .5244005127080407)
		still, learned, worse = still+a/worlds, learned+b/worlds, worse+c/worlds
	}
	t.Logf("regret@200: standing still %.1f, learning %.1f; ever worse than the start %.1f %%", still, learned, 100*worse)
	if math.Abs(still-66.7) > 5 {
		t.Errorf("standing still costs %.1f, the reference world 66.7: this is another world", still)
	}
	if math.Abs(learned-37) > 3 {
		t.Errorf("learning costs %.1f, want 37 ± 3", learned)
	}
	if worse > .10 {
		t.Errorf("%.1f %% of agents were clearly worse than at the start, want at most 10 %%", 100*worse)
	}
}
