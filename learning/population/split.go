package population

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"rapport/policy"
)

// streamOf is a stream of random numbers for one purpose.
func streamOf(seed uint64, of ...uint64) policy.Stream {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	for _, v := range of {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return policy.NewStream(sha256.Sum256(b))
}

// halves deals the owners, and so their agents, into two halves.
func halves(agents []agent) (half [2][]agent) {
	for _, a := range agents {
		half[a.owner%2] = append(half[a.owner%2], a)
	}
	return half
}

// The search for a first grouping.
const (
	restarts = 4
	rounds   = 12
	trim     = .05 // share of the votes, those farthest from everything, that no centre heeds
)

// group deals the cohort into K groups by their posterior means, of which there is one
// kind: k-means (Lloyd 1982) that heeds no outliers (trimmed, Cuesta-Albertos,
// Gordaliza and Matrán 1997), from a start drawn far apart (k-means++, Arthur and
// Vassilvitskii 2007).
func (c *cohort) group(K int, draws *policy.Stream) []uint8 {
	n := len(c.agents)
	centres := make([]vector, 0, K)
	near := make([]float64, n) // squared distance from the nearest centre
	order := make([]int, n)
	heed := make([]bool, n)
	var mean vector
	for i := range near {
		order[i] = i
		for j, v := range c.known[i].m {
			mean[j] += c.agents[i].vote / c.votes * v
		}
	}
	for i := range near {
		near[i] = distance2(&c.known[i].m, &mean)
	}
	// heeded marks all but the farthest and gives their votes × distances.
	heeded := func() (sum float64) {
		slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(near[b], near[a]), cmp.Compare(a, b)) })
		left := trim * c.votes
		for _, i := range order {
			left -= c.agents[i].vote
			if heed[i] = left < 0; heed[i] {
				sum += c.agents[i].vote * near[i]
			}
		}
		return sum
	}
	for range K {
		u, pick := draws.Float64()*heeded(), 0
		for i, v := range near {
			if heed[i] && v > 0 {
				pick = i
				if u -= c.agents[i].vote * v; u < 0 {
					break
				}
			}
		}
		centres = append(centres, c.known[pick].m)
		for i := range near {
			if d := distance2(&c.known[i].m, &c.known[pick].m); len(centres) == 1 || d < near[i] {
				near[i] = d
			}
		}
	}
	of := make([]uint8, n)
	for range rounds {
		moved := false
		for i := range near {
			near[i] = math.Inf(1)
			at := of[i]
			for k := range centres {
				if d := distance2(&c.known[i].m, &centres[k]); d < near[i] {
					near[i], at = d, uint8(k)
				}
			}
			moved = moved || of[i] != at
			of[i] = at
		}
		if !moved {
			break
		}
		heeded()
		sums, weight := make([]vector, K), make([]float64, K)
		for i, k := range of {
			if heed[i] {
				weight[k] += c.agents[i].vote
				for j, v := range c.known[i].m {
					sums[k][j] += c.agents[i].vote * v
				}
			}
		}
		for k := range centres {
			if weight[k] > 0 {
				for j := range p {
					centres[k][j] = sums[k][j] / weight[k]
				}
			}
		}
	}
	return of
}

func distance2(a, b *vector) float64 {
	sum := 0.
	for i, v := range a {
		d := v - b[i]
		sum += d * d
	}
	return sum
}
