// Package step is one step of an agent's learner: what is believed about how
// satisfaction depends on the traits, how one fused observation changes that, how
// far the levels may follow, and what to try next.
//
// Model: satisfaction at the levels x is β·φ(x) plus noise, with z = 2(x − start) and
// φ(x) = [1, z_1..z_D, z_1²..z_D²]; β has a normal-inverse-gamma belief (Murphy
// 2007, conjugate Bayesian analysis) whose prior is a mixture of kinds of owners and
// depends on where the owner started. Around the start "the owner began near what
// they like" is a small linear coefficient, however much the trait matters; around
// a fixed point it would be a product of two unknowns. Data are forgotten slowly,
// the prior is not.
//
// Owns: Prior (of a population, numbered elsewhere), State (S, h, levels, noise,
// drift), Belief (its posterior), ObserveInto, Ask, Move, Centres.
//
// Invariants: standard library only, no global randomness, no time. What is refused
// changes nothing. Products are rounded before they are added (float64(a*b)+c), so
// that no processor may fuse them; only +, −, ×, ÷ and the square root decide stored
// bytes, because the library's exponential differs between processors of one
// architecture (policy.Exp does not). No state grows: a step costs the same after
// ten million.
//
// Start reading at State, then ObserveInto.
package step
