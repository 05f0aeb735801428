// Package policy is the policy document of an agent and everything that can be
// said about it without asking anybody: its schema, its bounds, the difference
// between two of them, and the variation mixture a session's behaviour is drawn
// from.
//
// Owns: the document (Document), the trait vocabulary (Trait, Traits), bounds
// (Bounds), the difference of two documents (Diff), the exploration mixture
// (Mixture) with its draw and exact density.
//
// Invariants: pure and standard library only; time and randomness come in as
// arguments; equal inputs give equal bytes. A document that Validate accepts is
// the only thing that can be published.
//
// Start reading at document.go, then mixture.go.
package policy
