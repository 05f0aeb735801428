package policy

// Mixture is the distribution a session's variation is drawn from: M equally
// weighted truncated normals around posterior centres, and a defensive part
// around the current levels (page docs/architecture.md, exploration).
//
//	x ~ (1−η)·(1/M) Σ_q Π_j TN(x_j; c_qj, s², B_j) + η·Π_j TN(x_j; θ_j, s_d², B_j)
//
// with B_j = [max(0, lo_j, θ_j−ρ), min(1, hi_j, θ_j+ρ)]. Only free traits vary:
// unpinned and with a box wider than 1e-6; the others sit at θ.
type Mixture struct {
	Theta       Traits   `json:"theta"`
	Centres     []Traits `json:"centres"` // rounded to 1e-4
	SD          float64  `json:"sd"`
	DefensiveSD float64  `json:"defensiveSd"`
	Eta         float64  `json:"eta"`
	Rho         float64  `json:"rho"`
	Lo          Traits   `json:"lo"` // the box B
	Hi          Traits   `json:"hi"`
	Pinned      Mask     `json:"pinned"`
}
