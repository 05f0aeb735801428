package actions

import (
	"math"

	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/policy"
	"rapport/simulate/gym"
)

// World says what satisfaction depends on. With the levels x, in an episode in which the
// action k with the weight a had a part, it is
//
//	1 − s_k − Σ w_j (x_j − x*_j)² − c_k (a − a*_k)² − Cross·√(c_k w_t)(x_t − x*_t)(a − a*_k)
//
// clipped to [0,1], with x* and w (Σ = 5) from the archetypes of gym.Main, c_k ~ U(.2, 1.2),
// a*_k half-way between the usual start of the weight and the middle + N(0, .25²), s_k ~
// U(0, Shift), t the trait that matters most to the owner. The action is answering the
// owner in 60 % of the episodes; the six others share the rest equally.
type World struct {
	Name  string
	Vary  float64 // deviation of the variation of a weight, as that of a level is .08; 0: used as it is, as the product does
	Shift float64 // how much less satisfying some contexts are, whatever the agent does
	Cross float64 // how much more a weight matters with a trait
	Tied  float64 // correlation of the variation of the weight with that of the trait t
	Null  bool    // no weight matters: c_k = 0
}

// Worlds are those that are measured; the first is the yardstick.
var Worlds = []World{
	{Name: "varied", Vary: vary},
	{Name: "as-used"},
	{Name: "shifted", Vary: vary, Shift: .3},
	{Name: "crossed", Vary: vary, Cross: .9},
	{Name: "tied", Vary: vary, Tied: .9},
	{Name: "indifferent", Vary: vary, Null: true},
}

const (
	vary      = .08 // deviation of the variation of a level
	withOwner = .60
)

// starts are the weights of a new agent.
var starts = func() fold.Actions {
	d := policy.Default("")
	return fold.ActionsOf(&d.ActionPolicy)
}()

// person is an owner: tastes, and how they speak.
type person struct {
	ideal, importance policy.Traits
	weight, matters   fold.Actions // a*, c
	shift             fold.Actions
	most              int // the trait t
	strict, bias      float64
}

func (w *World) owner(p *gym.Population, seed uint64, agent int) (o person) {
	r := gym.Stream(seed, 21, uint64(agent))
	o.ideal, o.importance = p.Taste(0, agent, 0)
	o.strict, o.bias = .06*r.Normal(), .08*r.Normal()
	for k := range o.weight {
		o.weight[k] = min(max((starts[k]+.5)/2+.25*r.Normal(), 0), 1)
		if o.matters[k] = .2 + r.Float64(); w.Null {
			o.matters[k] = 0
		}
		o.shift[k] = w.Shift * r.Float64()
	}
	for j, v := range o.importance {
		if v > o.importance[o.most] {
			o.most = j
		}
	}
	return o
}

// satisfaction of an episode, and the best there is.
func (w *World) satisfaction(o *person, x *policy.Traits, k fold.Action, a float64) (got, best float64) {
	best = 1 - o.shift[k]
	da := a - o.weight[k]
	got = best - o.matters[k]*da*da - w.Cross*math.Sqrt(o.matters[k]*o.importance[o.most])*(x[o.most]-o.ideal[o.most])*da
	for j := range x {
		d := x[j] - o.ideal[j]
		got -= o.importance[j] * d * d
	}
	return min(max(got, 0), 1), best
}

// episode is what happened: the levels and the weight used, and what was said.
type episode struct {
	x      policy.Traits
	action fold.Action
	weight float64
	said   []said
}

type said struct {
	source fusion.Source
	owner  bool
	guest  int
	value  float64
}

// live plays an episode of an agent with the levels and weights given, varied.
func (w *World) live(o *person, seed uint64, agent, number int, x policy.Traits, weights *fold.Actions, e *episode) (regret float64) {
	r := gym.Stream(seed, 22, uint64(agent), uint64(number))
	e.action = fold.ReplyDMWithOwner
	if u := r.Float64(); u >= withOwner {
		e.action = 1 + fold.Action((u-withOwner)/(1-withOwner)*float64(fold.NActions-1))
	}
	tied := 0.
	for j := range x {
		n := r.Normal()
		if j == o.most {
			tied = n
		}
		e.x[j] = min(max(x[j]+vary*n, 0), 1)
	}
	n := w.Tied*tied + math.Sqrt(1-w.Tied*w.Tied)*r.Normal()
	e.weight = min(max(weights[e.action]+w.Vary*n, 0), 1)
	got, best := w.satisfaction(o, &e.x, e.action, e.weight)
	e.said = speak(&r, o, got, e.action == fold.ReplyDMWithOwner, e.said[:0])
	return best - got
}

// speak is what people let be known of an episode, as in gym.Main without hostile
// raters and reviews.
func speak(r *policy.Stream, o *person, satisfaction float64, withOwner bool, out []said) []said {
	u := satisfaction + .08*r.Normal() // mood
	rates, feel := r.Float64() < .20, u+o.strict+.12*r.Normal()
	if rates {
		value := -1.
		switch {
		case feel >= .85:
			value = 1
		case feel >= .62:
			value = .5
		case feel >= .40:
			value = -.25
		}
		out = append(out, said{source: fusion.OwnerRating, owner: true, value: value})
	}
	many, guest := r.Float64(), 0
	for k, beyond := range [...]float64{.638, .925, .989} { // of a Poisson number with the mean .45
		noise, coin, who := .12*r.Normal(), r.Float64(), int(300*r.Float64())
		if k == 0 {
			guest = who
		}
		if many <= beyond {
			continue
		}
		s := said{source: fusion.OwnerThumb, owner: true, value: -1}
		if !withOwner {
			s = said{source: fusion.Guest, guest: who, value: -1}
		}
		if coin < 1/(1+math.Exp(-(u+noise-.62)/.10)) {
			s.value = 1
		}
		out = append(out, s)
	}
	engaged := .66 + o.bias + .15*(.3*(u-.7)/.2+.954*r.Normal())
	return append(out, said{source: fusion.Engagement, owner: withOwner, guest: guest, value: min(max(engaged, 0), 1)})
}
