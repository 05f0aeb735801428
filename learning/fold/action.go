package fold

import (
	"math"

	"rapport/learning/safety"
	"rapport/learning/step"
	"rapport/learning/wire"
	"rapport/policy"
)

// Action is a weight of the action policy that is learned: how often the agent
// does something unasked. Each is a block of its own.
type Action uint8

// The actions. Their numbers are stored.
const (
	ReplyDMWithOwner Action = iota
	ReplyDMWithOthers
	ReplyGroupSmall
	ReplyGroupLarge
	Post
	Invite
	StartThread
	NActions
)

var actionNames = [NActions]string{"replyFrequency.dmWithOwner", "replyFrequency.dmWithOthers", "replyFrequency.groupSmall", "replyFrequency.groupLarge",
	"postProbability", "inviteProbability", "startThreadProbability"}

// String is the action's name in a policy, as replyFrequency.groupSmall.
func (a Action) String() string { return actionNames[a] }

// ParseAction finds an action by its name in a policy.
func ParseAction(name string) (Action, bool) {
	for k, n := range actionNames {
		if n == name {
			return Action(k), true
		}
	}
	return 0, false
}

// Answering is the action of answering unasked in a context, dmWithOwner …; false
// when there is no such context.
func Answering(context string) (Action, bool) {
	return ParseAction("replyFrequency." + context)
}

// Actions are one weight per action, each in [0,1].
type Actions [NActions]float64

// ActionsOf are the weights of an action policy.
func ActionsOf(p *policy.ActionPolicy) Actions {
	f := &p.ReplyFrequency
	return Actions{f.DMWithOwner, f.DMWithOthers, f.GroupSmall, f.GroupLarge, p.PostProbability, p.InviteProbability, p.StartThreadProbability}
}

// Put writes the weights into an action policy.
func (a *Actions) Put(p *policy.ActionPolicy) {
	f := &p.ReplyFrequency
	for i, to := range [...]*float64{&f.DMWithOwner, &f.DMWithOthers, &f.GroupSmall, &f.GroupLarge, &p.PostProbability, &p.InviteProbability, &p.StartThreadProbability} {
		*to = a[i]
	}
}

// Block is the learner of one action weight v, with z = 2v−1: what is left of an
// episode's satisfaction after its traits is β0 + β1·z + β2·z² plus noise. The prior
// is that of a trait whose owner started it at Start: β0 ~ N(0, .3²), β1 ~
// N(.35·z_start, .35²), β2 ~ N(−.35, .25²). S and H are forgotten as the trait
// block's are. Numbers are of 32 bits: seven blocks take 329 bytes.
type Block struct {
	S        [5]float32 // Σ w z^k, k = 0 … 4: the sums that φφᵀ is made of
	H        [3]float32 // Σ w z^k r
	Level    float32    // what the evidence asks for
	Start    float32    // the owner's
	Info     float32    // owner ratings' worth of evidence since the start
	Episodes uint16     // with evidence since the start
	Hold     uint8      // closed episodes until it may move again
}

const blockSize = 4*(5+3+3) + 2 + 1

// the prior of a block, and what it forgets with an owner rating's worth
var (
	blockPrecision = [3]float64{1 / (.3 * .3), 1 / (.35 * .35), 1 / (.25 * .25)}
	blockMean      = [3]float64{0, 0, -.35}
)

const (
	blockSlope  = .35
	blockForget = .005
)

// set is what the owner wants.
func (b *Block) set(level float64) {
	b.Level, b.Start, b.Info, b.Episodes = float32(level), float32(level), 0, 0
}

// shrink keeps a share of the evidence.
func (b *Block) shrink(keep float64) {
	for i := range b.S {
		b.S[i] = float32(keep * float64(b.S[i]))
	}
	for i := range b.H {
		b.H[i] = float32(keep * float64(b.H[i]))
	}
}

// observe takes in that an episode at the weight v was better by r than its traits
// made it, with weight w.
func (b *Block) observe(v, r, w float64) {
	keep := 1 - float64(blockForget*min(w, 1))
	z, power := 2*v-1, w
	for i := range b.S {
		b.S[i] = float32(float64(keep*float64(b.S[i])) + power)
		if i < len(b.H) {
			b.H[i] = float32(float64(keep*float64(b.H[i])) + float64(power*r))
		}
		power = float64(power * z)
	}
	b.Info = float32(float64(b.Info) + w)
	if b.Episodes < math.MaxUint16 {
		b.Episodes++
	}
}

// belief is the posterior of a block: mean and, up to the noise, the Cholesky
// factor of the precision. noise is σ0².
func (b *Block) belief(noise float64) (m [3]float64, l [3][3]float64) {
	for i := range 3 {
		prior := float64(noise * blockPrecision[i])
		mean := blockMean[i]
		if i == 1 {
			mean = blockSlope * (2*float64(b.Start) - 1)
		}
		m[i] = float64(prior*mean) + float64(b.H[i])
		for j := range i + 1 {
			sum := float64(b.S[i+j])
			if i == j {
				sum += prior
			}
			for k := range j {
				sum -= float64(l[i][k] * l[j][k])
			}
			if i == j {
				l[i][i] = math.Sqrt(max(sum, 1e-9))
			} else {
				l[i][j] = sum / l[j][j]
			}
		}
	}
	for i := range 3 { // L v = m
		for k := range i {
			m[i] -= float64(l[i][k] * m[k])
		}
		m[i] /= l[i][i]
	}
	for i := 2; i >= 0; i-- { // Lᵀ v = v
		for k := i + 1; k < 3; k++ {
			m[i] -= float64(l[k][i] * m[k])
		}
		m[i] /= l[i][i]
	}
	return m, l
}

// Difference is the belief about how much better the weight is at to than at from,
// in owner-rating units: mean and variance. noise is σ0², scale what the agent's
// learner believes of the noise (B/A).
func (b *Block) Difference(noise, scale, from, to float64) (mean, variance float64) {
	m, l := b.belief(noise)
	z0, z1 := 2*from-1, 2*to-1
	d := [3]float64{0, z1 - z0, float64(z1*z1) - float64(z0*z0)}
	mean = float64(m[1]*d[1]) + float64(m[2]*d[2])
	for i := range 3 { // |L⁻¹ d|²
		for k := range i {
			d[i] -= float64(l[i][k] * d[k])
		}
		d[i] /= l[i][i]
		variance += float64(d[i] * d[i])
	}
	return mean, float64(scale * variance)
}

// How far a weight may go. What is believed of it is mostly the prior for a long
// time: near its start it leans by its own gate, beyond that all that are beyond must
// be sure together.
const (
	lean        = .08 // from the start
	farEpisodes = 10  // evidence of the weight before it goes beyond
	farRatings  = 3.
)

// beyond says whether a level is farther from the start than a lean.
func (b *Block) beyond(level float64) bool { return math.Abs(level-float64(b.Start)) > lean+1e-6 }

// moveAction lets the weight of an action follow its belief: by at most the step bound
// to the best one near, if that is better with at least the gate's probability. Where
// it would go farther from its start than a lean, it needs more evidence, and all
// weights that are so far, moved there from their starts together, must be an
// improvement with at least the probability of together; else it stays within the
// lean, or where it is. noise is σ0².
//
// Blocks are believed apart, so that means and variances add.
func (s *State) moveAction(k Action, noise float64, gate, together safety.Gate) {
	b, scale := &s.Actions[k], s.B/s.A
	if b.Episodes < safety.MinEpisodes || b.Info < safety.MinRatings {
		return
	}
	from := float64(b.Level)
	to := b.best(noise, max(0, from-step.StepBound), min(1, from+step.StepBound))
	if mean, variance := b.Difference(noise, scale, from, to); !(mean > 0 && mean >= float64(gate.Z*math.Sqrt(variance))) {
		return
	}
	start := float64(b.Start)
	if outward := math.Abs(to-start) > math.Abs(from-start); outward && b.beyond(to) &&
		(b.Episodes < farEpisodes || b.Info < farRatings || !s.sureOf(k, to, noise, together)) {
		if to = start + math.Copysign(lean, to-start); math.Abs(to-start) <= math.Abs(from-start) {
			return
		}
	}
	b.Level = float32(wire.Micro(to))
}

// sureOf says whether all weights beyond a lean, the one of an action being moved to a
// level, are together better than their starts with at least a gate's probability.
func (s *State) sureOf(k Action, to, noise float64, gate safety.Gate) bool {
	mean, variance := 0., 0.
	for i := range s.Actions {
		b := &s.Actions[i]
		level := float64(b.Level)
		if Action(i) == k {
			level = to
		}
		if b.beyond(level) {
			m, v := b.Difference(noise, s.B/s.A, float64(b.Start), level)
			mean += m
			variance += v
		}
	}
	return mean >= float64(gate.Z*math.Sqrt(variance))
}

// best is the level in [lo,hi] that is believed to be best.
func (b *Block) best(noise, lo, hi float64) float64 {
	m, _ := b.belief(noise)
	if m[2] < 0 {
		return min(max((1-m[1]/(2*m[2]))/2, lo), hi)
	}
	z0, z1 := 2*lo-1, 2*hi-1
	if float64(m[1]*z0)+float64(m[2]*float64(z0*z0)) >= float64(m[1]*z1)+float64(m[2]*float64(z1*z1)) {
		return lo
	}
	return hi
}

func (b *Block) append(to []byte) []byte {
	for _, v := range [...]float32{b.S[0], b.S[1], b.S[2], b.S[3], b.S[4], b.H[0], b.H[1], b.H[2], b.Level, b.Start, b.Info} {
		to = wire.AppendSingle(to, v)
	}
	return append(wire.AppendUint16(to, b.Episodes), b.Hold)
}

func (b *Block) read(r *wire.Reader) {
	for i := range b.S {
		b.S[i] = r.Single()
	}
	for i := range b.H {
		b.H[i] = r.Single()
	}
	b.Level, b.Start, b.Info = r.Single(), r.Single(), r.Single()
	b.Episodes, b.Hold = r.Uint16(), r.Byte()
	r.Bad = r.Bad || !(b.Level >= 0 && b.Level <= 1 && b.Start >= 0 && b.Start <= 1 && b.Info >= 0)
}

// setActions takes in weights that the owner, or the agent's beginning, set.
func (s *State) setActions(a *Act) {
	for k := range s.Actions {
		b := &s.Actions[k]
		switch {
		case a.Kind == Created:
			b.set(a.Actions[k])
		case a.Set>>k&1 != 0:
			b.set(a.Actions[k])
			b.Hold = holdEpisodes
		}
	}
}
