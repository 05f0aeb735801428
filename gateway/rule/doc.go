// Package rule is the mapping rules: which words and which numbers a level of a
// trait becomes. A rules document is data, never code: bands of text per trait,
// arithmetic formulas per parameter, lines for moods.
//
// Owns: Document (what is stored and edited), Rules (a validated document, ready
// to be asked), Formula, the JSON Schema, the built-in version 1.
//
// Invariants: pure. Every trait has at least ten distinguishable levels and a
// step of .1 always changes the text. A formula can neither divide by zero nor
// give anything but a finite number, whatever its inputs; that is proved by
// interval arithmetic when it is parsed. Equal documents give equal bytes.
//
// Start reading at Document, then Parse, then Rules.Line.
package rule
