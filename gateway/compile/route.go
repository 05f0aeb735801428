package compile

import (
	"slices"

	"rapport/policy"
)

// Model is one model behind one provider.
type Model struct {
	Provider string `json:"provider"` // name in the configuration
	ID       string `json:"modelId"`
	Vendor   string `json:"vendor"`
}

// Registry is what can be called.
type Registry struct {
	Default    []Model          // the platform's choice, then its fallbacks
	Archetypes map[string]Model // models that were trained for an archetype
	Providers  map[string]Model // by provider: its vendor and its own default model
}

// The reasons of a route.
const (
	RouteExplicit  = "explicit"  // the owner or the registry set the model
	RouteArchetype = "archetype" // the archetype has a model
	RouteDefault   = "default"
	RouteFallback  = "fallback" // the ones before it failed
)

// Route is the model to call and those to try after it.
type Route struct {
	Model
	Reason    string  `json:"reason"`
	Fallbacks []Model `json:"fallbacks"`
}

// Router chooses the model: set explicitly → the archetype's → the default; all
// of Default that remain are fallbacks. A provider that is not configured counts
// as not set; a model without a provider is one at the default's, where that has models.
type Router struct{ Registry Registry }

// Choose gives the route for an agent.
func (r Router) Choose(want policy.Runtime) Route {
	var out Route
	if p, ok := r.Registry.Providers[want.PreferredProvider]; ok && want.PreferredProvider != "" {
		out.Model, out.Reason = p, RouteExplicit
		if want.PreferredModel != "" {
			out.ID = want.PreferredModel
		}
	} else if want.PreferredProvider == "" && want.PreferredModel != "" && len(r.Registry.Default) > 0 && r.Registry.Default[0].Vendor != VendorOffline {
		out.Model, out.Reason = r.Registry.Default[0], RouteExplicit
		out.ID = want.PreferredModel
	} else if m, ok := r.Registry.Archetypes[want.Archetype]; ok && want.Archetype != "" {
		out.Model, out.Reason = m, RouteArchetype
	} else if len(r.Registry.Default) > 0 {
		out.Model, out.Reason = r.Registry.Default[0], RouteDefault
	}
	out.Fallbacks = []Model{}
	for _, m := range r.Registry.Default {
		if m != out.Model && !slices.Contains(out.Fallbacks, m) {
			out.Fallbacks = append(out.Fallbacks, m)
		}
	}
	return out
}
