// Package provider is the contract of everything that can say the next reply: a
// hosted model, a model on this machine, or the offline generator.
//
// Owns: Provider, Request, Result, Error and the finish reasons. The adapters are
// in its folders, their common exercise in providertest, the choice for a fresh
// start in discover.
//
// Invariants: text is emitted in order and is valid UTF-8; a retry happens only
// before the first piece of text; an error never holds a secret, a prompt or what
// the other side wrote.
//
// Start reading at Provider.
package provider

import (
	"context"
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
	// the error CodeEmpty, unless it was filtered.
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
	Model     string
	System    string
	Messages  []Message
	Params    compile.Params
	Behaviour Behaviour
	Seed      uint64 // for generators that can repeat themselves
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
	ReplyTokens  int
	Estimated    bool     // the tokens were counted here, roughly
	Dropped      []string // parameters taken out because the model refused them
}

// The codes of an Error.
const (
	CodeUnreachable  = "unreachable"     // no connection
	CodeUnauthorized = "unauthorized"    // key missing, wrong or without rights
	CodeNoModel      = "model_not_found" //
	CodeRefused      = "bad_request"     // the request can never succeed as it is
	CodeRateLimited  = "rate_limited"    //
	CodeUpstream     = "upstream_error"  // the other side failed
	CodeTimeout      = "timeout"         //
	CodeBroken       = "stream_broken"   // the stream ended before the reply did
	CodeEmpty        = "empty_answer"    //
	CodeCancelled    = "cancelled"       // the caller went away
)

// Error is a reply that did not come about.
type Error struct {
	Code       string
	Provider   string
	Status     int           // HTTP status, 0 without one
	Param      string        // the parameter a refusal named
	Started    bool          // text had been emitted
	RetryAfter time.Duration // what the other side asked for, 0 for nothing
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
