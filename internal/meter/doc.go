// Package meter reads from a text how long, formal, curious, funny, warm, ironic,
// direct and assured it is: what a person would notice of a personality, in numbers.
//
// Owns: Meter, Reading, Read; Brevity and Curiosity, which turn counts into levels.
//
// The meters count words and forms. They know English, and neither what is meant nor
// whether it is good: enough to say whether a level is heard in what a model writes
// (its readings at .1 and at .9 differ), not to judge one sentence. Every meter is
// held against labelled sentences and real texts (meter_test.go).
//
// Invariants: pure; equal texts give equal readings. A change of any reading is a new
// Version, because readings of two versions cannot be compared.
//
// Start reading at Read.
package meter
