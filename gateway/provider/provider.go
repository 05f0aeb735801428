// Package provider is the contract of everything that can say the next reply: a
// hosted model, a model on this machine, or the offline generator.
//
// Owns: Provider, Request, Result, Error, the finish reasons; Client, which talks
// to a server in a vendor's Dialect. The dialects are in its folders, their common
// exercise in providertest, retries, fallbacks, breakers and budgets in calling,
// the choice for a fresh start in discover.
//
// Invariants: text is emitted in order and is valid UTF-8; nothing is asked again
// after the first piece of text; an error never holds a secret, a prompt or what
// the other side wrote; a key goes to the address that was configured, nowhere else.
//
// Start reading at Provider, then Client.Stream.
package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"rapport/gateway/compile"
	"rapport/policy"
)

// Provider says replies.
type Provider interface {
	// Stream asks for one reply and emits its text piece by piece. It returns
	// after the last piece, or with an *Error; ctx's end and an error of emit end
	// it at once (emit's error comes back as it is). A reply without any text is
	// the error CodeEmpty, unless it was filtered. What is known of the result
	// comes with an error, too.
	Stream(ctx context.Context, r Request, emit func(text string) error) (Result, error)
}

// The roles of a message.
const (
	RoleUser      = "user"
	RoleAssistant = "assistant"
)

// Message is one turn of the talk, oldest first; the last one is answered.
type Message struct {
	Role string
	Text string
}

// Request is one reply to make.
type Request struct {
	Provider  string // who is asked, where one Provider stands before several
	Model     string
	System    string
	Messages  []Message
	Params    compile.Params
	Schema    *Schema // not nil: the answer is one JSON document
	Behaviour Behaviour
	Seed      uint64 // for generators that can repeat themselves

	Owner, Agent string // whose budgets it is counted on, '' for none

	// Fallback gives the i-th request to make when this one fails, from 0 on, its
	// parameters mapped for its own model; false after the last. nil for none.
	Fallback func(i int) (Request, bool)
}

// Schema is the form of an answer that is a JSON document. Servers enforce it as
// they can; who reads the answer checks it again.
type Schema struct {
	Name string          // letters, digits, dashes and underscores, at most 64
	JSON json.RawMessage // objects with all properties required and no others, enums, arrays, numbers
}

// Behaviour is what a generator without a model goes by.
type Behaviour struct {
	Levels  policy.Traits
	Style   string // compile.Flags.ReplyStyle
	Brevity string // compile.Flags.BrevityLevel
	Words   int
}

// The reasons a reply ends for.
const (
	FinishStop   = "stop"
	FinishLength = "length"
	FinishFilter = "content_filter" // refused by the model or its guard
	FinishError  = "error"
)

// Result tells how a reply went.
type Result struct {
	Finish       string
	Model        string // what the other side says it used
	UpstreamID   string
	PromptTokens int
	ReplyTokens  int      // with hidden thinking
	Estimated    bool     // the tokens were counted here, roughly
	Dropped      []string // parameters taken out because the model refuses them
	Fallback     int      // which request was answered: 0 the first, i the fallback i-1
	Cost         int64    // millionths of the unit that prices are in
}

// The codes of an Error.
const (
	CodeUnreachable  = "unreachable"      // no connection
	CodeUnauthorized = "unauthorized"     // key missing, wrong or without rights
	CodeQuota        = "quota_exhausted"  // the account at the vendor has no credit
	CodeNoModel      = "model_not_found"  //
	CodeRefused      = "bad_request"      // the request can never succeed as it is
	CodeTooLong      = "prompt_too_long"  // for the model's context
	CodeRateLimited  = "rate_limited"     //
	CodeUpstream     = "upstream_error"   // the other side failed
	CodeMoved        = "redirected"       // the address answers with another address
	CodeTimeout      = "timeout"          //
	CodeBroken       = "stream_broken"    // the stream ended before the reply did
	CodeTooLarge     = "answer_too_large" // more than anybody reads
	CodeEmpty        = "empty_answer"     //
	CodeCancelled    = "cancelled"        // the caller went away
	CodeResting      = "resting"          // failed too often just now, and is left alone for a while
	CodeBudget       = "budget_spent"     // the owner's or the agent's, for today
)

// Error is a reply that did not come about.
type Error struct {
	Code       string
	Provider   string
	Status     int           // HTTP status, 0 without one
	Param      string        // the parameter a refusal named
	Started    bool          // text had been emitted
	Retry      bool          // asking the same again may help
	RetryAfter time.Duration // what the other side asked for, 0 for nothing
	Hint       string        // what the administrator can do, in our words
	Err        error         // for errors.Is, without text from outside
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Provider, e.Code)
	if e.Status != 0 {
		s += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Param != "" {
		s += " parameter " + e.Param
	}
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// CodeOf is the code of the first Error in err's chain, CodeUpstream without one.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if errors.Is(err, context.Canceled) {
		return CodeCancelled
	}
	return CodeUpstream
}

// EstimateTokens is a rough count for sides that send none: a quarter of the
// bytes, at least one for any text.
func EstimateTokens(text string) int { return (len(text) + 3) / 4 }

// PromptTokens is the rough count of all that a request sends.
func (r *Request) PromptTokens() int {
	n := EstimateTokens(r.System)
	for _, m := range r.Messages {
		n += EstimateTokens(m.Text)
	}
	return n
}
