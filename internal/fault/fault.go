// Package fault is the vocabulary of what can go wrong: nine kinds that every
// caller can act on, each error with a stable code and a sentence for a person.
//
// Owns: Kind, Error. Contexts return these; internal/httpapi turns them into
// RFC 9457 answers; internal/relay decides by kind whether to retry, set aside
// or park. Anything that is not a fault counts as Internal.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what the caller can do about an error.
type Kind uint8

// The kinds, with the HTTP status they become.
const (
	Internal        Kind = iota // 500: a mistake of ours
	Invalid                     // 422: the request can never succeed as it is
	Unauthenticated             // 401
	Forbidden                   // 403
	NotFound                    // 404
	Conflict                    // 409: the world is not as the caller thought
	TooLarge                    // 413
	RateLimited                 // 429: again after RetryAfter
	Unavailable                 // 503: again later, nothing was done
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "forbidden", "not_found", "conflict", "too_large", "rate_limited", "unavailable"}

func (k Kind) String() string { return kindNames[k] }

// Error is a failure with its kind. Message is one sentence for a person, with
// what they can do; it never holds a secret or somebody's words.
type Error struct {
	Kind       Kind
	Code       string // stable, snake_case
	Message    string
	RetryAfter time.Duration // of RateLimited and Unavailable, 0 when unknown
	Err        error         // the cause, for logs
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Code + ": " + e.Message + ": " + e.Err.Error()
	}
	return e.Code + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind; the message may use fmt verbs.
func New(k Kind, code, message string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Message: fmt.Sprintf(message, args...)}
}

// Because is a copy of the error that carries its cause.
func (e *Error) Because(err error) *Error {
	c := *e
	c.Err = err
	return &c
}

// KindOf is the kind of the first fault in err's chain, Internal without one.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return Internal
}

// Is says whether err is a fault with the code.
func Is(err error, code string) bool {
	f, ok := errors.AsType[*Error](err)
	return ok && f.Code == code
}
