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
	switch {
	case len(d.Differs) == 0:
		t.note("it spoke exactly as the policy says")
	case d.Cause == gateway.CauseToneButton:
		t.note("a tone button was pressed; with what this session tries anyway, it differs from the policy:")
	default:
		t.note("this session tries something slightly new:")
	}
	for _, x := range d.Differs {
		t.note("  %s %.2f instead of %.2f", x.Trait, x.Level, x.Policy)
		t.note("    says   %s", strings.TrimSpace(x.Line))
		t.note("    not    %s", strings.TrimSpace(x.Was))
	}
	t.note("what your feedback did so far: rapport explain %s · the whole prompt: rapport compile %s", t.agent.Slug, t.agent.Slug)
	return nil
}
