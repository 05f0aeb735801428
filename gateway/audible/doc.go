// Package audible says whether a model's replies change with the level of a trait: the
// dose-response curve of a trait on a model.
//
// Owns: Prompts (the persona test set), Steps, Curve and its fit.
//
// Invariants: pure. Equal replies give equal curves.
//
// Start reading at Fit.
package audible
