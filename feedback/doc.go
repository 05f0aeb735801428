// Package feedback is the warehouse of raw learning signals: what owners say of
// their agent, what reviewers mark, and what people's behaviour tells.
//
// Owns: the raw records and their words (comments and corrections never leave
// this context's tables), who may give what, one live signal per slot, the join
// of a signal to the decision and episode it is about, the wait for a decision
// that has not arrived, the detectors of implicit signals (feedback/signal),
// each person's habits that these are measured against, and when a person is asked
// (feedback/asking), with what became of every prompt.
//
// Listens to: agents (agent.created, agent.updated, agent.transferred,
// agent.retired, ai.reply.generated, session.started, session.ended,
// rl.relationship.updated), rooms (message.created, message.edited, message.deleted, reaction.added,
// reaction.removed), people (account.created, account.erased, account.protection.changed).
//
// Emits: feedback.created, feedback.retracted, feedback.asked.
//
// Invariants: a role is found here, never told; the latest signal of a slot wins;
// shares of a signal over episodes sum to 1; order is by receipt, a foreign time is
// only shown; without consent no implicit signal is stored, in a protected room
// neither; implicit signals of others reach an owner as an aggregate of five people
// or more, or not; nothing here orders agents or people; only an agent's owner is asked
// about it, never more often in seven days than the budgets say.
//
// Start reading at Service.Give, then settle in join.go, then handle.go; for asking
// at Service.Prompt.
package feedback
