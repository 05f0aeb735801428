// Package guard keeps words that people wrote from becoming orders to a model,
// and a model's words from becoming what we must not say.
//
// Owns: Clean (what may stand in a prompt), Quote (a persona as data), Enforcer
// (what may leave: length, banned phrases, canary, control tokens, pictures).
//
// Invariants: pure and total: any bytes go in, valid UTF-8 comes out. Clean is
// idempotent. What an Enforcer lets out does not depend on how the text was cut
// into pieces.
//
// Start reading at Clean, then Enforcer.
package guard
