// Package actions measures two forms of a learner that has eight traits and seven
// action weights to learn, of which an episode shows one: the product's, a block for the
// traits and one for each weight on what the traits leave over, and one joint block of
// fifteen dimensions in which the weights that had no part add nothing.
//
// Owns: World (what satisfaction depends on), Form (who learns), Play, Cost.
//
// Invariants: the same world, seed and form give the same run. An episode takes a fixed
// number of draws, so that all forms meet the same people in the same moods and vary
// levels and weights by the same amounts: what differs is what they make of it.
//
// Start reading at World, then Form, then Play.
package actions
