// Package sequential is the tests that may be looked at at any time: confidence
// sequences, and trials that decide by them (docs/adr/0008).
//
// Owns: Sequence (where a mean is), Canary (two of them and a decision).
//
// Invariants: pure. What is written down and read back goes on as it was. A
// decision, once made, stays.
//
// Start reading at Sequence, then Canary.Add.
package sequential
