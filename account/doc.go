// Package account says who somebody is: people, how they log in, what their
// tokens may do, whether they are protected, and who the people of foreign
// platforms are here.
//
// Owns: people with their handles and names, passwords, sessions, tokens, one-time
// links, the mapping from foreign ids to people, protection, proofs of erasure with
// the hashes of their receipts. All of its tables are records.
//
// Listens to: nothing.
//
// Emits: account.created, account.erased, account.protection.changed: ids and
// times only.
//
// Invariants: a person id is random and tells nothing. Names, handles and foreign
// ids never leave but to who may see them. Of a secret (session, token, link) only
// the SHA-256 is stored, of a password an argon2id hash. Wrong handle and wrong
// password look and last the same. A link logs in once. A token never may more
// than who made it. The reason of a protection is not even asked for, and what an
// operator protected its person cannot lift.
//
// Start reading at account.go, then login.go and token.go.
package account
