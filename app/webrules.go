package app

import (
	"context"
	"fmt"
	"time"

	"rapport/gateway"
	"rapport/gateway/audible"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/web"
)

// MappingRules answers which versions of the mapping rules there are.
func (r reader) MappingRules(ctx context.Context) (out []web.Rules, err error) {
	if !authz.From(ctx).Has(authz.ScopeAdmin) {
		return nil, fault.New(fault.Forbidden, "not_allowed", "You may not list mapping rules.")
	}
	all, err := r.Gateway.RuleVersions(ctx)
	for _, v := range all {
		one := web.Rules{Version: v.Version, Status: v.Status, InForce: v.InForce, Since: time.UnixMicro(v.Since), Base: v.Base, By: v.Author, Note: v.Note, Outcome: v.Outcome, Measured: v.Measured}
		if t := v.Trial; t != nil && v.Status == gateway.RulesTried {
			one.Trial = &web.Trial{Share: v.Share, With: t.With, Without: t.Without, Lo: t.Lo, Hi: t.Hi}
		}
		if one.Open() {
			full, err := r.Gateway.RuleVersion(ctx, v.Version)
			if err != nil {
				return nil, err
			}
			for _, c := range full.Changes {
				one.Changes = append(one.Changes, web.Change{Place: c.Place + " · " + c.Rule, Was: c.Was, Now: c.Now})
			}
			for _, e := range v.Effects {
				one.Effects = append(one.Effects, effectOf(e))
			}
		}
		out = append(out, one)
	}
	return out, err
}

// effectOf says what a trait does to replies with a version of the rules.
func effectOf(e gateway.Effect) string {
	heard := func(c audible.Curve) string {
		return map[string]string{audible.Heard: "is heard", audible.Reversed: "does the opposite", audible.Unheard: "is not heard", audible.Unsure: "may be heard, too few replies to say"}[c.Heard]
	}
	said := fmt.Sprintf("%s %s: from the least to the most, %s changes by %.2f", e.Trait, heard(e.Curve), e.Meter, e.Slope)
	if e.Was != nil {
		said += fmt.Sprintf("; by %.2f with the rules in force", e.Was.Slope)
	}
	return said + "."
}
