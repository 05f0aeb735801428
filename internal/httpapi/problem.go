package httpapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rapport/internal/fault"
)

const problemType = "application/problem+json"

// Problem is an RFC 9457 problem document. Type is urn:rapport:problem:<code>.
type Problem struct {
	Type   string   `json:"type"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Code   string   `json:"code"`
	Detail string   `json:"detail,omitempty"`
	Errors []string `json:"errors,omitempty"` // one per field that was refused

	retryAfter time.Duration
}

func (p *Problem) Error() string               { return p.Code + ": " + p.Detail }
func (p *Problem) GetStatus() int              { return p.Status }
func (p *Problem) ContentType(_ string) string { return problemType }

var statusOf = [...]int{
	fault.Internal: 500, fault.Invalid: 422, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.NotFound: 404,
	fault.Conflict: 409, fault.TooLarge: 413, fault.RateLimited: 429, fault.Unavailable: 503,
}

// ProblemOf turns any error into its problem document. An error that is no
// fault becomes a 500 without its text, which is logged.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = fault.New(fault.TooLarge, "body_too_large", "The request body is too large.")
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		f = fault.New(fault.Internal, "internal", "Something broke on our side; it was logged.").Because(err)
	}
	if f.Kind == fault.Internal {
		slog.Error("request failed", "code", f.Code, "err", f.Err)
	}
	status := statusOf[f.Kind]
	return &Problem{Type: "urn:rapport:problem:" + f.Code, Title: http.StatusText(status), Status: status, Code: f.Code, Detail: f.Message, retryAfter: f.RetryAfter}
}

// GetHeaders are the headers that belong to the problem.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="rapport"`)
	}
	return h
}

// refusalOf is the problem document of what huma refuses by itself.
func refusalOf(status int, msg string, errs ...error) huma.StatusError {
	p := &Problem{Status: status, Detail: msg}
	switch {
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		p.Status, p.Code = http.StatusUnprocessableEntity, "invalid_request"
	case status == http.StatusRequestEntityTooLarge:
		p.Code = "body_too_large"
	case status == http.StatusUnsupportedMediaType, status == http.StatusNotAcceptable:
		p.Code, p.Detail = "media_type", "Send and accept application/json."
	case status == http.StatusRequestTimeout:
		p.Code = "body_timeout"
	case msg == "cannot read request body":
		p.Status, p.Code, errs = http.StatusUnprocessableEntity, "body_unreadable", nil
	default:
		p.Code = "internal"
	}
	for _, e := range errs {
		if d, ok := e.(*huma.ErrorDetail); ok { // without the value, which may be a person's words
			p.Errors = append(p.Errors, d.Location+": "+d.Message)
		} else if e != nil && p.Status < 500 {
			p.Errors = append(p.Errors, e.Error())
		}
	}
	p.Title = http.StatusText(p.Status)
	p.Type = "urn:rapport:problem:" + p.Code
	return p
}

// WriteError answers a plain handler's request with err's problem document, with
// a page where a person's browser asked for one, or in the dialect of the path.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	x := exchangeOf(r.Context())
	if x != nil && x.show != nil && wantsPage(r) {
		x.show(w, r, p)
		return
	}
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	if x != nil && x.dialect != nil && x.dialect(w, r, p) {
		return
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// wantsPage says whether a browser is opening this, outside the API.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && r.URL.Path != "/v1" && !strings.HasPrefix(r.URL.Path, "/v1/")
}

// WriteJSON answers with a JSON document.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
