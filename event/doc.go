// Package event is the vocabulary of the system: typed ids, the CloudEvents 1.0
// envelope and every event that crosses from one context to another.
//
// Owns: the names. It imports the standard library only, so that every other
// package may speak it.
//
// Invariants: a type name never changes meaning; only optional fields are added
// to a payload, anything else is a new version with an upcaster; one frozen
// sample per type and version lies in testdata/. Events carry ids and numbers,
// never a person's words. Order is promised per key, nothing else.
//
// Start reading at event.go, then registry.go, then one file per emitting
// context.
package event
