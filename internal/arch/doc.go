// Package arch is the import rules of docs/architecture, as a test.
//
// Owns: nothing that runs. rules_test.go is the table of arrows that must never
// exist, each with its reason; arch_test.go holds the module against it, and holds
// every rule against an example that breaks it. A rule about a package that does
// not exist yet says nothing.
//
// Start reading at the table in rules_test.go.
package arch
