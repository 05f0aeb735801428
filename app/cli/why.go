package cli

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"rapport/gateway"
	"rapport/internal/fault"
)

// why says why the last answer was as it was.
func (t *talk) why(ctx context.Context) error {
	if t.last.DecisionID == "" {
		return fault.New(fault.Invalid, "nothing_said", "Say something first: there is no answer yet to explain.")
	}
	var d gateway.Decided
	if err := t.c.Do(ctx, http.MethodGet, "/v1/decisions/"+url.PathEscape(t.last.DecisionID), nil, &d); err != nil {
		return err
	}
	if t.g.JSON {
		return t.g.print(d)
	}
	if d.Body != nil {
		t.note("policy version %d, answered by %s", d.Body.PolicyVersion, d.Body.Model)
	}
	for _, x := range d.Asked {
		t.note("you asked for it: %s %.2f → %.2f in this session", x.Trait, x.From, x.To)
		t.lines(x)
	}
	switch {
	case len(d.Tries) > 0 && d.Body != nil && d.Body.Holdout:
		t.note("this session is one of the few that stay at your start, to see whether what was learned is better:")
	case len(d.Tries) > 0:
		t.note("this session also tries something slightly new:")
	}
	for _, x := range d.Tries {
		t.note("%s %.2f, where the policy says %.2f", x.Trait, x.To, x.From)
		t.lines(x)
	}
	if len(d.Asked)+len(d.Tries) == 0 {
		t.note("it spoke exactly as the policy says")
	}
	t.note("what your feedback did so far: rapport explain %s · the whole prompt: rapport compile %s", t.agent.Slug, t.agent.Slug)
	return nil
}

// lines shows what a difference is in the prompt.
func (t *talk) lines(x gateway.Difference) {
	t.note("  says %s", strings.TrimSpace(x.Line))
	t.note("  not  %s", strings.TrimSpace(x.Was))
}
