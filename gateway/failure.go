package gateway

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"rapport/gateway/provider"
	"rapport/internal/fault"
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
