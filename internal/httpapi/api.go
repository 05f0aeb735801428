// Package httpapi is the HTTP edge: typed routes with an OpenAPI 3.1
// description, who is asking, errors as RFC 9457 problem documents, event
// streams.
//
// Owns: API, Op, the error → status table, limits on bodies. It makes no
// decision: a route decodes, calls one verb and encodes. huma stays behind this
// package.
//
// Start reading at Get and Post, then problem.go.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"rapport/internal/authz"
	"rapport/internal/fault"
)

// Authenticator finds out who is asking. Nobody is not an error; a token that
// is wrong or expired is (Unauthenticated).
type Authenticator interface {
	Authenticate(r *http.Request) (authz.Principal, error)
}

// Op describes a route.
type Op struct {
	Summary string      // one line, in the imperative
	Tag     string      // the context
	Scope   authz.Scope // a token needs it; empty: any principal
	Public  bool        // also without one
	Status  int         // of success, 200 when 0; an output with HTTPStatus() int decides itself
	MaxBody int64       // bytes, 1 MiB when 0
	Errors  []int       // statuses beyond 401, 403, 404, 422 that can happen
}

// API collects routes.
type API struct {
	mux  *http.ServeMux
	huma huma.API
	auth Authenticator
	ops  map[string]Op // by method and path, of plain handlers as well
}

// New makes an API. version is the program's.
func New(version string, auth Authenticator) *API {
	huma.NewError = newProblem
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return newProblem(status, msg, errs...)
	}
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig("Rapport", version)
	cfg.DocsPath = ""
	cfg.SchemasPath = ""
	cfg.CreateHooks = nil // no $schema links in answers
	cfg.Info.Description = "Agents that get better for their people from how they react."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer"},
		"cookie": {Type: "apiKey", In: "cookie", Name: "rapport_session"},
	}
	return &API{mux: mux, huma: humago.New(mux, cfg), auth: auth, ops: map[string]Op{}}
}

type bodyOf[O any] struct {
	Status int
	Body   O
}

type statuser interface{ HTTPStatus() int }

// Get adds a route that reads. In is a struct with path, query and header tags.
func Get[In, Out any](a *API, path string, op Op, h func(context.Context, *In) (Out, error)) {
	register(a, http.MethodGet, path, op, h)
}

// Post adds a route that creates or acts; the JSON body is In's field Body.
func Post[In, Out any](a *API, path string, op Op, h func(context.Context, *In) (Out, error)) {
	register(a, http.MethodPost, path, op, h)
}

// Put adds a route that replaces.
func Put[In, Out any](a *API, path string, op Op, h func(context.Context, *In) (Out, error)) {
	register(a, http.MethodPut, path, op, h)
}

// Patch adds a route that changes parts.
func Patch[In, Out any](a *API, path string, op Op, h func(context.Context, *In) (Out, error)) {
	register(a, http.MethodPatch, path, op, h)
}

// Delete adds a route that removes.
func Delete[In, Out any](a *API, path string, op Op, h func(context.Context, *In) (Out, error)) {
	register(a, http.MethodDelete, path, op, h)
}

func register[In, Out any](a *API, method, path string, op Op, h func(context.Context, *In) (Out, error)) {
	huma.Register(a.huma, a.operation(method, path, op), func(ctx context.Context, in *In) (*bodyOf[Out], error) {
		if err := op.admit(ctx); err != nil {
			return nil, toStatus(err)
		}
		out, err := h(ctx, in)
		if err != nil {
			return nil, toStatus(err)
		}
		b := &bodyOf[Out]{Status: op.success(), Body: out}
		if s, ok := any(out).(statuser); ok {
			b.Status = s.HTTPStatus()
		}
		return b, nil
	})
}

func (a *API) operation(method, path string, op Op) huma.Operation {
	a.ops[method+" "+path] = op
	o := huma.Operation{
		Method: method, Path: path, Summary: op.Summary, Tags: []string{op.Tag},
		OperationID:   operationID(method, path),
		DefaultStatus: op.success(), MaxBodyBytes: op.MaxBody,
		Errors: append([]int{http.StatusUnprocessableEntity}, op.Errors...),
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = 1 << 20
	}
	if !op.Public {
		o.Errors = append(o.Errors, http.StatusUnauthorized, http.StatusForbidden)
		o.Security = []map[string][]string{{"bearer": {}}, {"cookie": {}}}
	}
	if strings.Contains(path, "{") {
		o.Errors = append(o.Errors, http.StatusNotFound)
	}
	return o
}

func operationID(method, path string) string {
	s := strings.NewReplacer("/", "-", "{", "", "}", "", ":", "-").Replace(strings.TrimPrefix(path, "/v1"))
	return strings.ToLower(method) + s
}

func (op Op) success() int {
	if op.Status == 0 {
		return http.StatusOK
	}
	return op.Status
}

// admit checks login and scope.
func (op Op) admit(ctx context.Context) error {
	p := authz.From(ctx)
	if op.Public {
		return nil
	}
	if p.Anonymous() {
		return fault.New(fault.Unauthenticated, "login_required", "Log in or send a token in the Authorization header.")
	}
	if op.Scope != "" && !p.Has(op.Scope) {
		return fault.New(fault.Forbidden, "scope_missing", "This token lacks the scope %q.", op.Scope)
	}
	return nil
}

// Handle adds a plain handler (event streams, endpoints in somebody else's
// dialect) for "METHOD /path". Login and scope are checked as on typed routes;
// describe may add to its place in the API description and may be nil.
func (a *API) Handle(pattern string, op Op, h http.Handler, describe func(*huma.Operation)) {
	method, path, _ := strings.Cut(pattern, " ")
	o := a.operation(method, path, op)
	if describe != nil {
		describe(&o)
	}
	if o.Responses == nil {
		o.Responses = map[string]*huma.Response{}
	}
	for _, status := range append([]int{op.success()}, o.Errors...) {
		key := itoa(status)
		if o.Responses[key] == nil {
			o.Responses[key] = &huma.Response{Description: http.StatusText(status)}
		}
	}
	for _, seg := range strings.Split(path, "/") {
		if strings.HasPrefix(seg, "{") {
			o.Parameters = append(o.Parameters, &huma.Param{Name: strings.Trim(seg, "{}"), In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
		}
	}
	a.huma.OpenAPI().AddOperation(&o)
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := op.admit(r.Context()); err != nil {
			WriteError(w, r, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, o.MaxBodyBytes)
		h.ServeHTTP(w, r)
	})
}

// Operation is a route's place in the API description.
type Operation = huma.Operation

// OpenAPI is the OpenAPI 3.1 description of all routes, as indented JSON.
func (a *API) OpenAPI() ([]byte, error) { return json.MarshalIndent(a.huma.OpenAPI(), "", "  ") }

// Routes lists "METHOD /path" with each route's Op.
func (a *API) Routes() map[string]Op { return a.ops }

// Handler serves the routes.
func (a *API) Handler() http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteError(w, r, fault.New(fault.Forbidden, "cross_origin", "This request came from another site's page."))
	}))
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		p, err := a.auth.Authenticate(r)
		if err != nil {
			WriteError(w, r, err)
			return
		}
		defer recoverTo(w, r)
		a.mux.ServeHTTP(w, r.WithContext(authz.With(r.Context(), p)))
	}))
}

func recoverTo(w http.ResponseWriter, r *http.Request) {
	if v := recover(); v != nil {
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(v)
		}
		reportPanic(r, v)
		WriteError(w, r, fault.New(fault.Internal, "internal", "Something broke on our side; it was logged."))
	}
}
