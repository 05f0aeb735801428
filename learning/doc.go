// Package learning turns feedback into changed personalities: the learner of an
// agent is the fold (package fold) over the list of its episodes and its owner's
// acts.
//
// Owns: the learners (rl_learners, rl_entries, rl_checkpoints, rl_withdrawn,
// rl_signals), the projections that owners and platforms read
// (rl_agent_projection, rl_feedback_projection, rl_relationships,
// rl_behaviour_projection, rl_sessions, rl_proposals,
// rl_sides), which are folds of
// the log and can be dropped; the records of what all agents share (rl_parameters,
// rl_jobs, rl_releases, rl_release_owners).
//
// Listens to: agent.created, agent.updated, agent.transferred, agent.retired,
// agent.policy.refused, agent.invited, session.ended, ai.reply.generated,
// feedback.created, feedback.retracted, and its own rl.agent.policy.updated,
// rl.agent.update.refused, rl.agent.parameters.adopted and rl.agent.guard.updated.
//
// Emits: rl.agent.policy.updated, rl.agent.update.refused,
// agent.exploration.updated, rl.relationship.updated; by jobs
// rl.calibration.updated, rl.rater.reputation.updated, rl.population.updated,
// rl.agent.parameters.adopted, rl.agent.guard.updated, rl.release.updated.
//
// Invariants: the stored learner is a function of the set of entries alone,
// whatever the order, delay, batches or duplicates of their arrival; feedback that
// was withdrawn leaves the bytes that would be there had it never been given. A
// pinned trait never moves; a published level moves by at most the step bound per
// entry of new evidence. Emitted ids follow from the event that caused them.
//
// Start reading at fold.Entry and fold.Folder, then handle.go (what an event changes),
// take.go (how), batch.go (many agents at once) and reach.go (what of a list must be
// there for that); at night, jobs.go.
package learning
