package population

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"rapport/learning/step"
	"rapport/policy"
)

// What the statistics of one agent may say at most.
const (
	minObservations = 3    // fewer say nothing about a taste
	maxY            = 2.5  // |y| of a fused observation
	slack           = 1e-6 // relative, for the rounding of the learner's sums
	maxEvidence     = 4.   // times that of the median owner's agent; what is above is scaled down
	leastEvidence   = 20.  // owner ratings' worth on one coefficient, that is never scaled
)

// Why an agent's statistics were not used.
const (
	reasonNumber   = "a number is not finite"
	reasonStart    = "the start lies outside [0,1]"
	reasonNegative = "a sum of squares or a count is negative"
	reasonSquares  = "S is no sum of squares: not positive semidefinite"
	reasonReward   = "the rewards are larger than a reward can be"
	reasonMismatch = "S, h and Σwy² do not belong together: the squared residual is negative"
)

// agent is one that counts.
type agent struct {
	*Statistics
	vote  float64       // one over the number of agents of its owner
	owner int           // number of the owner
	z     policy.Traits // 2·start − 1
}

// admit gives the agents that count, with their votes. Owners are numbered in an
// order that the seed shuffles, and agents come in the order of their owners, then
// names: every other owner, or the first so many, are a fair sample. It fills the
// counts of the report. lost is the share of votes whose statistics are unusable.
func admit(all []Statistics, seed uint64, report *Report) (agents []agent, lost float64) {
	order := make([]*Statistics, len(all))
	for i := range all {
		order[i] = &all[i]
	}
	slices.SortFunc(order, func(a, b *Statistics) int {
		if c := cmp.Compare(a.Agent, b.Agent); c != 0 {
			return c
		}
		if c := cmp.Compare(b.N, a.N); c != 0 {
			return c
		}
		return bytes.Compare(b.bytes(), a.bytes())
	})
	order = slices.CompactFunc(order, func(a, b *Statistics) bool { return a.Agent == b.Agent })

	unusable := map[string]int{} // by owner
	usable := map[string]int{}
	for _, s := range order {
		if s.N < minObservations {
			report.Thin++
			continue
		}
		if reason := s.unsound(); reason != "" {
			report.Refused[reason]++
			unusable[s.Owner]++
			continue
		}
		usable[s.Owner]++
		agents = append(agents, agent{Statistics: s})
	}
	owners := shuffled(usable, seed)
	number := make(map[string]int, len(owners))
	for i, o := range owners {
		number[o] = i
	}
	for i := range agents {
		a := &agents[i]
		a.owner, a.vote = number[a.Owner], 1/float64(usable[a.Owner])
		for j, v := range a.Start {
			a.z[j] = 2*v - 1
		}
	}
	slices.SortStableFunc(agents, func(a, b agent) int { return cmp.Compare(a.owner, b.owner) })
	most := max(leastEvidence, maxEvidence*medianEvidence(agents))
	for i := range agents {
		agents[i].Statistics = agents[i].capped(most)
	}
	report.Agents, report.Owners = len(agents), len(owners)

	bad, votes := 0., float64(len(owners))
	for _, o := range shuffled(unusable, seed) {
		n := unusable[o]
		bad += float64(n) / float64(n+usable[o])
		if usable[o] == 0 {
			votes++
		}
	}
	return agents, bad / max(votes, 1)
}

// shuffled are the keys in the order of a hash of seed and key.
func shuffled(m map[string]int, seed uint64) []string {
	type card struct {
		hash [32]byte
		key  string
	}
	cards := make([]card, 0, len(m))
	for k := range m {
		cards = append(cards, card{sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), k...)), k})
	}
	slices.SortFunc(cards, func(a, b card) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	keys := make([]string, len(cards))
	for i, c := range cards {
		keys[i] = c.key
	}
	return keys
}

// unsound says why statistics cannot come from a learner, empty when they can.
//
// For a fused observation wy² ≤ 2.5²·wφ_0², for a wish wy² ≤ 2.5²·wφ_1j²; sums
// keep that. The squared residual at any β is Σw(y−φᵀβ)² = Σwy² − 2hᵀβ + βᵀSβ ≥ 0;
// it is looked at where it is least but for a small ridge.
func (s *Statistics) unsound() string {
	for _, part := range [...][]float64{s.S[:], s.H[:], s.Start[:], {s.YY, s.N}} {
		for _, v := range part {
			if v-v != 0 {
				return reasonNumber
			}
		}
	}
	if !s.Start.Valid() {
		return reasonStart
	}
	largest := s.largest()
	if s.YY < 0 || s.N < 0 || largest < 0 {
		return reasonNegative
	}
	weight := s.S[0]
	for j := range dims {
		weight += s.S[row(1+j)+1+j]
	}
	if s.YY > maxY*maxY*weight*(1+slack) {
		return reasonReward
	}
	l, beta := s.S, s.H
	for i := range p {
		if s.S[row(i)+i] < 0 {
			return reasonNegative
		}
		l[row(i)+i] += slack*largest + math.SmallestNonzeroFloat64
	}
	if d := factor(&l, &beta); d-d != 0 {
		return reasonSquares
	}
	back(&l, &beta)
	sb := times(&s.S, &beta)
	left := s.YY - 2*dot(&s.H, &beta) + dot(&sb, &beta)
	if !(left >= -1e-4*s.YY) {
		return reasonMismatch
	}
	return ""
}

// largest is the largest diagonal number of S.
func (s *Statistics) largest() float64 {
	out := s.S[0]
	for i := range p {
		out = max(out, s.S[row(i)+i])
	}
	return out
}

// medianEvidence is the median, by votes, of the evidence of an agent on the
// coefficient that it knows most about.
func medianEvidence(agents []agent) float64 {
	type one struct{ evidence, vote float64 }
	all := make([]one, len(agents))
	votes := 0.
	for i := range agents {
		all[i] = one{agents[i].largest(), agents[i].vote}
		votes += agents[i].vote
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Compare(a.evidence, b.evidence) })
	for _, a := range all {
		if votes -= 2 * a.vote; votes <= 0 {
			return a.evidence
		}
	}
	return 0
}

// capped scales the evidence down to the most.
func (s *Statistics) capped(most float64) *Statistics {
	largest := s.largest()
	if largest <= most {
		return s
	}
	c, f := *s, most/largest
	for i := range c.S {
		c.S[i] *= f
	}
	for i := range c.H {
		c.H[i] *= f
	}
	c.YY *= f
	c.N *= f
	return &c
}

// bytes puts statistics in an order where names and counts do not.
func (s *Statistics) bytes() []byte {
	b := make([]byte, 0, 8*(step.Tri+p+dims+1)+len(s.Owner))
	for _, part := range [...][]float64{s.S[:], s.H[:], s.Start[:], {s.YY}} {
		for _, v := range part {
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return append(b, s.Owner...)
}
