package app

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"rapport/gateway"
	"rapport/gateway/rule"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/policy"
)

type ruleVersionIn struct {
	Version int64 `path:"version" minimum:"1"`
}

// rulesRoutes are the life of the mapping rules, for operators.
func (a *App) rulesRoutes() {
	op := func(summary string) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "admin", Scope: authz.ScopeAdmin, Errors: []int{http.StatusConflict}}
	}
	note := func(ctx context.Context, act string, version int64) error {
		return a.Accounts.Note(ctx, authz.From(ctx), act, "mapping rules "+strconv.FormatInt(version, 10))
	}
	httpapi.Get(a.API, "/v1/admin/mapping-rules", op("List the versions of the mapping rules, newest first"), func(ctx context.Context, _ *none) ([]gateway.RuleVersion, error) {
		return a.Gateway.RuleVersions(ctx)
	})
	propose := op("Propose mapping rules")
	propose.Status, propose.MaxBody = http.StatusCreated, 2*gateway.MaxRules
	httpapi.Post(a.API, "/v1/admin/mapping-rules", propose, func(ctx context.Context, in *struct {
		Body struct {
			Rules json.RawMessage `json:"rules" doc:"A whole document, see /v1/schemas/mapping-rules; its version is given by the server."`
			Note  string          `json:"note,omitempty" maxLength:"300" doc:"Why."`
		}
	}) (gateway.RuleVersion, error) {
		if err := note(ctx, "propose", 0); err != nil {
			return gateway.RuleVersion{}, err
		}
		return a.Gateway.ProposeRules(ctx, in.Body.Rules, in.Body.Note)
	})
	refresh := op("Ask a model for other mapping rules, as a proposal")
	refresh.Status, refresh.Errors = http.StatusCreated, []int{http.StatusConflict, http.StatusServiceUnavailable}
	httpapi.Post(a.API, "/v1/admin/refresh-trait-mapping", refresh, func(ctx context.Context, _ *none) (gateway.RuleVersion, error) {
		if err := note(ctx, "refresh", 0); err != nil {
			return gateway.RuleVersion{}, err
		}
		return a.Gateway.RefreshRules(ctx)
	})
	httpapi.Get(a.API, "/v1/admin/mapping-rules/{version}", op("Show a version of the mapping rules, what it changes and what came of it"), func(ctx context.Context, in *ruleVersionIn) (gateway.RuleVersion, error) {
		return a.Gateway.RuleVersion(ctx, in.Version)
	})
	httpapi.Get(a.API, "/v1/admin/mapping-rules/{version}/diff", op("Show what a version says otherwise than another"), func(ctx context.Context, in *struct {
		Version int64 `path:"version" minimum:"1"`
		From    int64 `query:"from" minimum:"1" required:"true"`
	}) ([]rule.Change, error) {
		return a.Gateway.RulesDiff(ctx, in.From, in.Version)
	})
	for act, c := range map[string]struct {
		summary string
		do      func(context.Context, int64) (gateway.RuleVersion, error)
	}{
		"approve":  {"Publish proposed mapping rules", a.Gateway.ApproveRules},
		"refuse":   {"Refuse proposed mapping rules, or end their trial", a.Gateway.RefuseRules},
		"rollback": {"Go back to mapping rules that were in force", a.Gateway.RollbackRules},
	} {
		httpapi.Post(a.API, "/v1/admin/mapping-rules/{version}/"+act, op(c.summary), func(ctx context.Context, in *ruleVersionIn) (gateway.RuleVersion, error) {
			if err := note(ctx, act, in.Version); err != nil {
				return gateway.RuleVersion{}, err
			}
			return c.do(ctx, in.Version)
		})
	}
	httpapi.Post(a.API, "/v1/admin/mapping-rules/{version}/try", op("Try proposed mapping rules on a share of the sessions"), func(ctx context.Context, in *struct {
		Version int64 `path:"version" minimum:"1"`
		Body    struct {
			Share float64 `json:"share" minimum:"0.01" maximum:"0.9"`
		}
	}) (gateway.RuleVersion, error) {
		if err := note(ctx, "try", in.Version); err != nil {
			return gateway.RuleVersion{}, err
		}
		return a.Gateway.TryRules(ctx, in.Version, in.Body.Share)
	})
	measure := op("Measure what a trait's level does to a model's replies")
	measure.Errors = []int{http.StatusServiceUnavailable}
	httpapi.Post(a.API, "/v1/admin/audible", measure, func(ctx context.Context, in *struct {
		Body struct {
			Trait    string `json:"trait" maxLength:"40"`
			Provider string `json:"provider,omitempty" maxLength:"64" doc:"Name of a configured provider; absent for the first."`
			Model    string `json:"model,omitempty" maxLength:"200" doc:"Absent for the provider's own."`
			Prompts  int    `json:"prompts,omitempty" minimum:"2" maximum:"12" doc:"12 when absent; fewer cannot say that a trait is not heard."`
			Steps    int    `json:"steps,omitempty" minimum:"2" maximum:"9" doc:"5 when absent."`
		}
	}) (gateway.HeardCurve, error) {
		t, ok := policy.ParseTrait(in.Body.Trait)
		if !ok {
			return gateway.HeardCurve{}, fault.New(fault.Invalid, "unknown_trait", "There is no trait %q.", in.Body.Trait)
		}
		if err := a.Accounts.Note(ctx, authz.From(ctx), "measure", t.String()); err != nil {
			return gateway.HeardCurve{}, err
		}
		return a.Gateway.MeasureAudible(ctx, gateway.Measurement{Provider: in.Body.Provider, Model: in.Body.Model, Trait: t, Prompts: in.Body.Prompts, Steps: in.Body.Steps})
	})
}
