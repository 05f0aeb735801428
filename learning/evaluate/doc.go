// Package evaluate says from logged decisions how good another policy would have
// been, and from running ones whether it is worse.
//
// Owns: Observation and Estimate (off-policy estimators), Limits (when the log
// is too thin to say anything), Session and Target (variations of personality),
// Gate and Rollout (releases of shared things).
//
// What was decided was drawn from a logged distribution μ; the judged policy π
// would have drawn from another. With the importance weight w = π/μ the mean of
// w·r over the log is the reward that π would have had (Horvitz and Thompson
// 1952), whatever the reward depends on, as long as π never does what μ never
// does.
//
// Invariants: pure; a number that cannot be had honestly is refused with the
// reason, never guessed. Order of the rows matters to cross-fitting
// only.
//
// Start reading at Observation, then Session, then Gate.
package evaluate
