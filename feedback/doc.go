// Package feedback is the warehouse of raw learning signals: what owners say of
// their agent, what reviewers mark, and what people's behaviour tells.
//
// Owns: the raw records and their words (comments and corrections never leave
// this context's tables), who may give what, one live signal per slot, the join
// of a signal to the decision and episode it is about, the wait for a decision
// that has not arrived, the detectors of implicit signals (feedback/signal),
// each person's habits that these are measured against, and when a person is asked
// (feedback/asking), with what became of every prompt; who reviews, whose talks may be
// read for it, what reviewers wrote and the verdicts on it, the ledger of mentor
// points, and goals that belong to everyone (feedback/mentor).
//
// Listens to: agents (agent.created, agent.updated, agent.transferred,
// agent.retired, agent.invited, ai.reply.generated, session.started, session.ended,
// rl.relationship.updated), rooms (message.created, message.edited, message.deleted, reaction.added,
// reaction.removed), people (account.created, account.erased, account.protection.changed,
// rl.rater.reputation.updated).
//
// Emits: feedback.created, feedback.retracted, feedback.asked, points.spent,
// goal.reached.
//
// Invariants: a role is found here, never told; the latest signal of a slot wins;
// shares of a signal over episodes sum to 1; order is by receipt, a foreign time is
// only shown and measures no pause; a signal depends on its event alone, so that events may come again and in any
// order; without consent no implicit signal is stored, in a protected room
// neither; implicit signals of others reach an owner as an aggregate of five people
// or more, or not; nothing here orders agents or people; only an agent's owner is asked
// about it, never more often in seven days than the budgets say; an exchange is shown
// to a reviewer only while everybody in it consents, and its words are kept nowhere
// here; a review that looks like abuse neither counts nor earns before an operator has
// looked; points are rows that are added and never changed, and nobody but the person
// sees them.
//
// Start reading at Service.Give, then settle in join.go, then handle.go; for asking
// at Service.Prompt; for reviewing at Service.NextReview, then GiveReview.
package feedback
