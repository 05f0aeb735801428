// Package gateway turns policies into behaviour and calls models.
//
// Owns: turns (one consideration of one message by one agent), decisions,
// episodes, sessions of OpenAI-style callers, how many replies a person gets in a
// day, mapping rules; projections of agents and of the ends of rooms.
//
// Listens to: agent.created, agent.updated, agent.transferred, agent.retired,
// agent.exploration.updated, feedback.created (tone buttons), message.created,
// room.joined, session.ended, points.spent (twice the replies), account.erased,
// gateway.rules.published.
//
// Emits: ai.reply.generated, gateway.rules.published.
//
// Invariants: a message is answered or declined once per agent: a crash can cost
// a second call of a model, never a second reply. A decision is durable before
// the first byte of its reply leaves. A variation is drawn once per episode and
// kept; owner acts and tone buttons open a new episode at once, learned versions
// wait for the next session; on which side of a trial of mapping rules a session is
// is drawn when it begins and kept; whether it is held out at the owner's start
// hangs on the session alone. No model is called inside a transaction. What people
// wrote is neither stored here nor in events.
//
// Start reading at decide.go (one decision; what it is made from is in desk.go, how it
// becomes durable and reaches the tables in backlog.go and file.go), then turn.go (messages of rooms),
// openai.go and request.go (callers with the OpenAI dialect) and begin.go (what no
// message asks for). The mathematics is in rule, compile and guard, the models in
// provider, what is seen from outside in watch. The life of mapping rules is in rules.go
// (versions), propose.go (where they come from), trial.go and hearing.go (what they do).
package gateway
