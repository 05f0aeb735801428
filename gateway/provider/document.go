package provider

import (
	"context"
	"encoding/json"
	"strings"
)

// maxJSON is how long an answer that is a JSON document may be.
const maxJSON = 1 << 20

// Document asks for an answer that is one JSON document and reads it into a value.
// r.Schema says its form. An answer that is no such document is the error
// CodeBroken; one that does not fit the schema may come all the same and must be
// checked by the caller.
func Document(ctx context.Context, p Provider, r Request, into any) (Result, error) {
	var b strings.Builder
	res, err := p.Stream(ctx, r, func(text string) error {
		if b.Len()+len(text) > maxJSON {
			return &Error{Code: CodeTooLarge, Provider: r.Provider, Started: true}
		}
		b.WriteString(text)
		return nil
	})
	if err != nil {
		return res, err
	}
	if res.Finish == FinishFilter {
		return res, &Error{Code: CodeRefused, Provider: r.Provider, Started: b.Len() > 0, Hint: "the model refused to answer"}
	}
	text := unfence(b.String())
	if res.Finish == FinishLength || json.Unmarshal([]byte(text), into) != nil {
		return res, &Error{Code: CodeBroken, Provider: r.Provider, Started: true, Hint: "the answer is not the JSON document that was asked for"}
	}
	return res, nil
}

// unfence takes away the code fence that models without enforcement put around.
func unfence(s string) string {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "```"); ok {
		if _, body, ok := strings.Cut(rest, "\n"); ok {
			return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(body), "```"))
		}
	}
	return s
}
