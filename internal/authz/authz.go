// Package authz decides who may do what: one pure table of relation × kind ×
// verb. Account says who somebody is (Principal); a context finds out how they
// stand to a thing (Relation); this table says yes or no.
//
// Owns: Principal, Scope, Relation, Kind, Verb and the table. Start reading at
// table.
package authz

import (
	"context"
	"slices"

	"rapport/event"
	"rapport/internal/fault"
)

// Scope limits what a token may be used for. A person logged in by a session has
// ScopeChat, ScopeFeedback and ScopeAgents, an operator ScopeAdmin as well.
type Scope string

// The scopes.
const (
	ScopeChat     Scope = "chat"     // talk, read one's rooms
	ScopeFeedback Scope = "feedback" // give and take back feedback
	ScopeAgents   Scope = "agents"   // make and raise one's agents
	ScopeIngest   Scope = "ingest"   // send events on behalf of the people of a foreign platform
	ScopeAdmin    Scope = "admin"    // operate the service
)

// Scopes lists all of them.
func Scopes() []Scope {
	return []Scope{ScopeChat, ScopeFeedback, ScopeAgents, ScopeIngest, ScopeAdmin}
}

// Principal is who is asking, as established from a token or session, never
// from a request body.
type Principal struct {
	Person event.PersonID // empty for nobody
	Token  string         // id of the token or session, for idempotency and rate limits
	Source string         // of an ingesting token: the foreign platform's name
	Scopes []Scope
}

// Has says whether the principal may use a scope.
func (p Principal) Has(s Scope) bool { return slices.Contains(p.Scopes, s) }

// Anonymous says that nobody is logged in.
func (p Principal) Anonymous() bool { return p.Person == "" && len(p.Scopes) == 0 }

type key struct{}

// With gives a context that carries the principal.
func With(ctx context.Context, p Principal) context.Context { return context.WithValue(ctx, key{}, p) }

// From is the context's principal, the zero one for nobody.
func From(ctx context.Context) Principal {
	p, _ := ctx.Value(key{}).(Principal)
	return p
}

// Relation is how a principal stands to a thing. Several can hold at once.
type Relation string

// The relations.
const (
	Self        Relation = "self"        // the thing is the person
	Author      Relation = "author"      // made it
	Owner       Relation = "owner"       // owns the agent it is about
	Participant Relation = "participant" // is in the room
	Reviewer    Relation = "reviewer"    // was assigned it
	Operator    Relation = "operator"    // token with ScopeAdmin; every use is audited
	Ingester    Relation = "ingester"    // token with ScopeIngest that brought it
	Editor      Relation = "editor"      // token with ScopeAdmin, and the agent is the platform's
	Anyone      Relation = "anyone"      // is logged in
)

// Kind is what is acted upon.
type Kind string

// The kinds.
const (
	Person      Kind = "person"
	Token       Kind = "token"
	Room        Kind = "room"
	Message     Kind = "message"
	Agent       Kind = "agent"       // public face: name, description
	Native      Kind = "native"      // an agent of the platform, its kind and place
	Policy      Kind = "policy"      // versions, audit, what was learned
	Feedback    Kind = "feedback"    // raw signals
	Explanation Kind = "explanation" // what each rating did
	Compile     Kind = "compile"     // prompt and parameters
	System      Kind = "system"      // dead letters, rebuild, backup, traces
	Consent     Kind = "consent"     // whether reviewers may read what one says
	Mentor      Kind = "mentor"      // a person's part in reviewing
	Review      Kind = "review"      // an exchange to review, and what was written on it
	Verdict     Kind = "verdict"     // on a review that is set aside
	Points      Kind = "points"      // a person's ledger
	Goal        Kind = "goal"        // of everyone together
)

// Verb is what is done.
type Verb string

// The verbs.
const (
	Read   Verb = "read"
	List   Verb = "list"
	Create Verb = "create"
	Change Verb = "change"
	Erase  Verb = "erase"
)

// table says which relations suffice.
var table = map[Kind]map[Verb][]Relation{
	Person:      {Read: {Self, Operator}, Change: {Self, Operator}, Erase: {Self, Operator}, List: {Operator}, Create: {Operator}},
	Token:       {Read: {Self, Operator}, List: {Self, Operator}, Create: {Self, Operator}, Erase: {Self, Operator}},
	Room:        {Read: {Participant, Ingester}, List: {Participant}, Create: {Anyone, Ingester}, Change: {Participant, Ingester}},
	Message:     {Read: {Participant}, List: {Participant}, Create: {Participant, Ingester}, Change: {Author}, Erase: {Author, Operator}},
	Agent:       {Read: {Anyone}, List: {Owner}, Create: {Anyone}, Change: {Owner, Operator}, Erase: {Owner, Operator}},
	Native:      {Read: {Anyone}, List: {Anyone}, Create: {Operator}, Change: {Operator}},
	Policy:      {Read: {Owner, Editor}, List: {Owner, Editor}, Change: {Owner, Editor}},
	Feedback:    {Read: {Author, Owner}, List: {Author, Owner}, Create: {Owner, Participant, Reviewer, Ingester}, Change: {Author}, Erase: {Author}},
	Explanation: {Read: {Owner}},
	Compile:     {Read: {Owner}},
	System:      {Read: {Operator}, List: {Operator}, Change: {Operator}},
	Consent:     {Read: {Self}, Change: {Self}},
	Mentor:      {Read: {Self}, List: {Operator}, Create: {Operator}, Change: {Self}},
	Review:      {List: {Author, Owner}, Create: {Reviewer}, Change: {Author, Owner}, Erase: {Author}},
	Verdict:     {List: {Operator}, Change: {Operator}},
	Points:      {Read: {Self}, Change: {Self}},
	Goal:        {List: {Anyone}, Create: {Operator}, Erase: {Operator}},
}

// Allowed says whether any of the relations suffices.
func Allowed(k Kind, v Verb, relations ...Relation) bool {
	for _, r := range table[k][v] {
		if slices.Contains(relations, r) {
			return true
		}
	}
	return false
}

// Relations collects what always holds of a principal: Anyone when logged in,
// Operator and Ingester by scope. A context adds what it knows.
func (p Principal) Relations(more ...Relation) []Relation {
	out := slices.Clone(more)
	if p.Person != "" {
		out = append(out, Anyone)
	}
	if p.Has(ScopeAdmin) {
		out = append(out, Operator)
	}
	if p.Has(ScopeIngest) {
		out = append(out, Ingester)
	}
	return out
}

// Check is Allowed as an error: Unauthenticated for nobody, else Forbidden.
// Relations are those of the principal plus more.
func (p Principal) Check(k Kind, v Verb, more ...Relation) error {
	if Allowed(k, v, p.Relations(more...)...) {
		return nil
	}
	if p.Anonymous() {
		return fault.New(fault.Unauthenticated, "login_required", "Log in or send a token in the Authorization header.")
	}
	return fault.New(fault.Forbidden, "not_allowed", "You may not %s this %s.", v, k)
}
