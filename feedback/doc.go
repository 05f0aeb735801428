// Package feedback is the warehouse of raw learning signals: what owners say of
// their agent, what reviewers mark, and what people's behaviour tells.
//
// Owns: the raw records and their words (comments and corrections never leave
// this context's tables), who may give what, one live signal per slot, the join
// of a signal to the decision and episode it is about, the wait for a decision
// that has not arrived, the detectors of implicit signals (feedback/signal), and
// each person's habits that these are measured against.
//
// Listens to: agents (agent.created, agent.updated, agent.transferred,
// agent.retired, ai.reply.generated, session.started, session.ended), rooms
// (message.created, reaction.added, reaction.removed), people (account.erased).
//
// Emits: feedback.created, feedback.retracted.
//
// Invariants: a role is found here, never told; the latest signal of a slot wins;
// shares of a signal over episodes sum to 1; order is by receipt, a foreign time is
// only shown; without consent no implicit signal is stored, in a protected room
// neither; implicit signals of others reach an owner as an aggregate of five people
// or more, or not; nothing here orders agents or people.
//
// Start reading at Service.Give, then settle in join.go, then handle.go.
package feedback
