// Package card reads and writes character cards: the files in which people carry
// a character from one program to another.
//
// Owns: Open (JSON of version 1, 2 and 3, PNG with the chunks chara and ccv3,
// CHARX), Card, Change (a card with some fields changed and everything else as
// it was written), PNG and CHARX (a card put back into its picture or archive),
// Learned (what Rapport adds to a card).
//
// Invariants: pure; no byte of a file is trusted. Every size, count and depth
// has a limit with a name, and memory stays within a small multiple of the file.
// Nothing is ever fetched, run or written by the names in a card. What a card
// holds and we do not know stays in it byte for byte: keys, their order, numbers
// as written.
//
// The forms are those of the published specifications: character-card-spec-v2
// (malfoyslastname) and character-card-spec-v3 (kwaroran); the PNG chunks those
// of PNG, third edition, 11.3.3.
//
// Start reading at Open, then json.go.
package card
