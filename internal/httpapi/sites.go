package httpapi

import (
	"net/http"
	"slices"
	"strings"
)

// Pages of other sites may call the routes that say AnySite. They need a token, which
// only who has it can send: a browser sends cookies by itself and never this header,
// and it sends the header to another site only after asking, by the preflight below.
// Cookies count for nothing there, since nothing allows credentials.

// exposed are the headers that such a page may read.
const exposed = "x-request-id, x-decision-id, x-episode-id, x-session-id, x-policy-version, x-offline-demo, x-dropped-parameters, x-ignored-parameters, retry-after"

// preflight answers a browser that asks whether a page may call path.
func (a *API) preflight(method, path string) {
	first := a.sites[path] == nil
	a.sites[path] = append(a.sites[path], method)
	if !first {
		return
	}
	a.mux.HandleFunc("OPTIONS "+path, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Allow", strings.Join(append(slices.Clone(a.sites[path]), http.MethodOptions), ", "))
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", strings.Join(a.sites[path], ", "))
		h.Set("Access-Control-Allow-Headers", "authorization, content-type, *") // clients have many of their own; * is not for the first
		h.Set("Access-Control-Max-Age", "3600")
		w.WriteHeader(http.StatusNoContent)
	})
}

// anySite says whether a request is to a route that takes those of other sites' pages.
func (a *API) anySite(r *http.Request) bool {
	_, pattern := a.mux.Handler(r)
	_, path, _ := strings.Cut(pattern, " ")
	return slices.Contains(a.sites[path], r.Method)
}

// withToken says whether a request comes with a token.
func withToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
}
