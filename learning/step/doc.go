// Package step is one step of an agent's learner: what is believed about how
// satisfaction depends on the traits, how one fused observation changes that, how
// far the levels may follow, and what to try next.
//
// Model: satisfaction at the levels x is β·φ(x) plus noise, with z = 2x−1 and
// φ(x) = [1, z_1..z_D, z_1²..z_D²]; β has a normal-inverse-gamma belief whose
// prior depends on where the owner started (Murphy 2007, conjugate Bayesian
// analysis). Data are forgotten slowly, the prior is not.
//
// Owns: State (S, h, levels, noise, drift), Belief (its posterior), Observe,
// Ask, Move, Centres.
//
// Invariants: standard library only, no global randomness, no time. Products are
// rounded before they are added (float64(a*b)+c), so that no processor may fuse
// them; only +, −, ×, ÷ and the square root decide stored bytes, because the
// library's exponential differs between processors of one architecture.
//
// Start reading at State, then Observe.
package step
