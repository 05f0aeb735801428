package policy

// Range is a closed interval of levels, 0 ≤ Lo ≤ Hi ≤ 1.
type Range struct {
	Lo float64 `json:"lo"`
	Hi float64 `json:"hi"`
}

// Bounds are the hard limits of an agent's traits: nothing outside them can be
// published. The zero value means the whole box.
type Bounds map[Trait]Range
