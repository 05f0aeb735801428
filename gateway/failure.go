package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rapport/gateway/provider"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// failure says what became of a reply that failed, without words of the other side.
func failure(out outcome) error {
	hint := out.hint
	if hint == "" {
		hint = "its administrator must look at its log"
	}
	later := func(f *fault.Error) error { f.RetryAfter = out.again; return f }
	switch out.code {
	case provider.CodeRateLimited:
		return later(fault.New(fault.RateLimited, "model_rate_limited", "The model takes no more requests now; try again in a while."))
	case provider.CodeBudget:
		return later(fault.New(fault.RateLimited, out.code, "The agent cannot answer: %s.", hint))
	case provider.CodeResting:
		return later(fault.New(fault.Unavailable, "model_resting", "The model failed several times just now; try again in a minute."))
	case provider.CodeTimeout:
		return upstream{504, out.code, "The model did not answer in time; try again."}
	case provider.CodeTooLong:
		return upstream{400, "context_length_exceeded", "The talk is too long for the model; send fewer messages."}
	case provider.FinishFilter:
		return upstream{400, "content_filter", "The reply was held back by a content filter."}
	case codeUnchecked:
		return fault.New(fault.Unavailable, out.code, "What may be said cannot be checked now; try again in a moment.")
	case provider.CodeUnauthorized:
		return upstream{502, "model_unauthorized", "The server's key for the model was refused: " + hint + "."}
	case provider.CodeQuota:
		return upstream{502, "model_" + out.code, "The model's vendor wants to be paid: " + hint + "."}
	case provider.CodeMoved:
		return upstream{502, "model_" + out.code, "The model is somewhere else: " + hint + "."}
	case provider.CodeNoModel:
		return upstream{502, "model_missing", "The model does not exist at its provider; the agent's owner or the administrator must name another."}
	}
	if out.hint != "" {
		return upstream{502, "model_" + out.code, "The model could not answer: " + hint + "."}
	}
	return upstream{502, "model_" + out.code, "The model could not answer; try again."}
}

// upstream is an error of the model behind the agent.
type upstream struct {
	status  int
	code    string
	message string
}

func (u upstream) Error() string { return u.code + ": " + u.message }

type openAIProblem struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	} `json:"error"`
}

// openAIError is an error in OpenAI's shape with its status.
func openAIError(err error) (int, openAIProblem) {
	var doc openAIProblem
	status := http.StatusInternalServerError
	doc.Error.Message, doc.Error.Type, doc.Error.Code = "Something broke on our side; it was logged.", "server_error", "internal"
	if b, ok := errors.AsType[badParam](err); ok && b.param != "" {
		doc.Error.Param = &b.param
	}
	if u, ok := errors.AsType[upstream](err); ok {
		status, doc.Error.Message, doc.Error.Code = u.status, u.message, u.code
		if u.status < 500 {
			doc.Error.Type = "invalid_request_error"
		}
	} else if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind != fault.Internal {
		doc.Error.Message, doc.Error.Code = f.Message, f.Code
		switch f.Kind {
		case fault.Invalid:
			status, doc.Error.Type = http.StatusBadRequest, "invalid_request_error"
		case fault.Unauthenticated:
			status, doc.Error.Type = http.StatusUnauthorized, "invalid_request_error"
		case fault.Forbidden:
			status, doc.Error.Type = http.StatusForbidden, "permission_error"
		case fault.NotFound:
			status, doc.Error.Type = http.StatusNotFound, "invalid_request_error"
		case fault.Conflict:
			status, doc.Error.Type = http.StatusConflict, "invalid_request_error"
		case fault.TooLarge:
			status, doc.Error.Type = http.StatusRequestEntityTooLarge, "invalid_request_error"
		case fault.RateLimited:
			status, doc.Error.Type = http.StatusTooManyRequests, "rate_limit_error"
		case fault.Unavailable:
			status = http.StatusServiceUnavailable
		}
	} else {
		slog.Error("completion failed", "err", err)
	}
	return status, doc
}

// spoken are the paths of OpenAI's API, also those that agents do not serve.
var spoken = []string{"/v1/chat/", "/v1/models", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations", "/v1/images/", "/v1/audio/", "/v1/files", "/v1/batches",
	"/v1/assistants", "/v1/threads", "/v1/engines", "/v1/realtime", "/v1/fine_tuning/", "/v1/vector_stores"}

// atDoor answers in OpenAI's shape what is refused before a route of OpenAI's was
// found: no such path or method, another site's page without a token, a panic.
func atDoor(w http.ResponseWriter, r *http.Request, p *httpapi.Problem) bool {
	path := r.URL.Path
	astray := strings.HasSuffix(path, "/chat/completions") && path != "/v1/chat/completions"
	if !astray && !slices.ContainsFunc(spoken, func(s string) bool { return strings.HasPrefix(path, s) }) {
		return false
	}
	said := p.Detail
	switch {
	case astray && p.Status == http.StatusNotFound:
		said = "The base URL ends with /v1, once: agents answer at /v1/chat/completions."
	case p.Status == http.StatusNotFound:
		said = "Agents answer at POST /v1/chat/completions, and GET /v1/models lists them; nothing else of OpenAI's API is here."
	case p.Code == "cross_origin":
		said = "Pages of other sites need a token: Authorization: Bearer …"
	}
	var doc openAIProblem
	doc.Error.Message, doc.Error.Type, doc.Error.Code = said, "invalid_request_error", p.Code
	if p.Status >= 500 {
		doc.Error.Type = "server_error"
	}
	if r.Header.Get("Origin") != "" { // else the page could not read why
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	httpapi.WriteJSON(w, p.Status, doc)
	return true
}

func writeOpenAI(w http.ResponseWriter, err error) {
	status, doc := openAIError(err)
	if f, ok := errors.AsType[*fault.Error](err); ok && f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	if status == http.StatusBadRequest || status == http.StatusConflict || fault.Is(err, provider.CodeBudget) {
		w.Header().Set("x-should-retry", "false")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}
