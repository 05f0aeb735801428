// Package web is the pages for people: log in, my agents, talk, rooms, growth, reviewing,
// points, together, my data, and for operators what waits for them.
//
// Owns: templates, styles and small ES modules, embedded. No table, no verb.
// Listens to: nothing. Emits: nothing.
//
// Invariants: a page only reads, in questions of its own words that app answers
// from the contexts; what a person does there, its module asks of the /v1 API with
// the login's cookie, as any client does. No markup is made of what people wrote:
// templates escape, modules set textContent. The content security policy lets
// nothing run or load that is not of this package.
//
// Start reading at web.go, then the file of a page.
package web
