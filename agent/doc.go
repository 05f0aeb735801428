// Package agent keeps the canonical profiles: who an agent is, what its policy
// is, how it came to be so, and who may change it.
//
// Owns: agents, their texts, policy versions, audit, proposals that wait for an
// owner, the kill switches; the cards that agents came from, suggestions of what
// to fill in, the platform's own agents and their order. It alone changes a policy and gives version numbers.
//
// Listens to: rl.agent.policy.updated (learning proposes, agent disposes),
// session.ended (mood, sessions held), account.created and account.erased,
// points.spent (places for agents, looks), and its own agent.retired.
//
// Emits: agent.created, agent.updated (exactly one per change, with the state
// after it), agent.rolled_back, agent.transferred, agent.retired,
// agent.policy.refused.
//
// Invariants: nothing is published that policy.Validate refuses. Versions count
// from 1 without gaps, each made from the one before it; rows are only ever
// added. Everything that changes what an agent is like (policy or texts) is a
// version; pace, approval, mood, pause and kill are not. Every change has one
// row of audit. Learning never touches what is the owner's: pins, bounds,
// settings. Handlers depend on their event and this agent's rows alone, and an
// event handled twice changes nothing the second time. What a card or a model
// wrote is cleaned before an agent uses it, and a suggestion changes nothing before
// its owner accepts fields of it. The platform's agents do not learn.
//
// Start reading at agent.go, then act.go and settings.go (what owners do), deed.go
// (how any change is written), then dispose.go (what becomes of a proposal);
// cards.go, enrich.go and native.go stand beside them.
package agent
