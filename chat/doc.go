// Package chat holds rooms, what is said in them, and the sessions of talk.
//
// Owns: rooms, evenings among them, members, consent, messages with their texts, reactions,
// invitations, links into rooms, sessions of talk, the live stream of a room. Subpackage
// textsignal measures texts; turn.go says with them what a message is in its talk
// with an agent.
//
// Listens to: agent.created, agent.updated, agent.transferred, agent.retired
// (who owns an agent, whether it may speak); account.protection.changed;
// account.erased; points.spent (passes for evenings).
//
// Emits: room.created, room.joined, room.left, room.consent.changed,
// message.created, message.edited, message.deleted, reaction.added,
// reaction.removed, agent.invited, session.started, session.ended,
// person.forgotten.
//
// Invariants:
//
//   - Texts, titles and names stay in this package's tables: events, logs and
//     error messages carry ids and numbers.
//   - The messages of a room are numbered 1, 2, 3 … without gap or repeat, in the
//     order in which they were accepted.
//   - One live session at most per agent and room. It ends once, with its counts.
//   - Every message, reaction and session says whether the person consented and
//     whether somebody in the room is protected, as of that moment. Consent is
//     given for the owner alone with their own agent; anybody else must say yes.
//   - Whoever is not in a room cannot tell that it exists.
//   - Doing something again (the same key, decision, foreign id) changes nothing.
//
// Start reading at chat.go, then message.go, then session.go.
package chat
