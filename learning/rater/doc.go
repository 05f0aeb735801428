// Package rater says what the answers of people who are not the owner are worth.
//
// Three questions, three answers:
//   - May this guest's thumb count? Standing: honest against always-negative, one
//     number a rater, a fold over what was given and what was expected.
//   - What do many people's answers to the same questions say together, and about
//     those who gave them? Aggregate: a posterior for each item; for each rater
//     *agreement* (a soft weight) and *abuse* (the probability of answering without
//     looking, or against what was seen). They are two measures: low agreement is
//     often taste, and taste is never abuse.
//   - What would this person answer, who has told us a few times? Taste.
//
// Agreement and abuse hold for one kind of question: make one Table per kind.
//
// Owns: Standing, Table, Aggregate, Tastes, Published (the version that agents
// adopt).
//
// Invariants: standard library only, no randomness, no time. The order of marks
// changes nothing: they are sorted first. Standing and Published are integers and
// bytes, and only +, −, ×, ÷ on rounded products lead to them; posteriors use the
// library's logarithm and are equal on one kind of processor, so they are computed
// once, by a job, and adopted as published.
//
// Start reading at Standing, then Aggregate.
package rater
