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
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

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
	Summary string         // one line, in the imperative
	Tag     string         // the context
	Scope   authz.Scope    // a token needs it; empty: any principal
	Public  bool           // also without one
	Status  int            // of success, 200 when 0; an output with HTTPStatus() int decides itself
	Also    []int          // other statuses of success, which it may decide for
	MaxBody int64          // bytes, 1 MiB when 0
	Takes   map[string]any // of a plain handler: a value of the body's type by media type, for the description
	Gives   any            // of a plain handler: a value of the JSON answer's type, for the description
	AnySite bool           // pages of other sites may call it, by a token and never by a cookie
	Errors  []int          // statuses beyond 401, 403, 404, 413, 415, 422, 503 that can happen
}

// API collects routes. All of them are registered before Handler is used.
type API struct {
	mux     *http.ServeMux
	huma    huma.API
	auth    Authenticator
	ops     map[string]Op // by method and path, of plain handlers as well
	pages   []string      // "METHOD /path" of what people's browsers show
	show    Shower
	dialect Dialect
	metrics *metrics
	sites   map[string][]string // methods by path that pages of other sites may call
}

// Shower shows a refusal as a page.
type Shower func(http.ResponseWriter, *http.Request, *Problem)

func init() {
	huma.NewError = refusalOf
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return refusalOf(status, msg, errs...)
	}
}

// bodyTimeout is how long a client may take to send a body.
const bodyTimeout = 30 * time.Second

// New makes an API. version is the program's.
func New(version string, auth Authenticator) *API {
	mux := http.NewServeMux()
	cfg := huma.DefaultConfig("Rapport", version)
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.CreateHooks = nil // no $schema links in answers
	cfg.RejectUnknownQueryParameters = true
	cfg.Formats = map[string]huma.Format{"application/json": strictJSON, "json": strictJSON}
	cfg.Info.Description = "Agents that get better for their people from how they react."
	cfg.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaNamer())
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer"},
		"cookie": {Type: "apiKey", In: "cookie", Name: "rapport_session"},
	}
	return &API{mux: mux, huma: humago.New(mux, cfg), auth: auth, ops: map[string]Op{}, metrics: newMetrics(), sites: map[string][]string{}}
}

// strictJSON panics on what cannot be written (a NaN is our mistake) before a
// byte of the answer is sent, so that the answer becomes a 500.
var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			panic(err)
		}
		_, err := w.Write(buf.Bytes())
		return err
	},
	Unmarshal: json.Unmarshal,
}

// schemaNamer names schemas after package and type (ChatRoom), with a number
// where two anonymous types would get one name.
func schemaNamer() func(reflect.Type, string) string {
	names, taken := map[reflect.Type]string{}, map[string]bool{}
	return func(t reflect.Type, hint string) string {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if name, ok := names[t]; ok {
			return name
		}
		name := huma.DefaultSchemaNamer(t, hint)
		if pkg, ok := strings.CutPrefix(t.PkgPath(), "rapport/"); ok && !strings.HasPrefix(pkg, "internal/") {
			pkg = path.Base(pkg)
			if first := strings.ToUpper(pkg[:1]) + pkg[1:]; !strings.HasPrefix(name, first) {
				name = first + name
			}
		}
		free := name
		for n := 2; taken[free]; n++ {
			free = name + strconv.Itoa(n)
		}
		names[t], taken[free] = free, true
		return free
	}
}

type bodyOf[O any] struct {
	Status int
	Body   O
}

type statuser interface{ HTTPStatus() int }

// Written says that a T is written as an As is, for the description: of types that
// write themselves. It comes before the routes that answer with them.
func Written[T, As any](a *API) {
	a.huma.OpenAPI().Components.Schemas.RegisterTypeAlias(reflect.TypeFor[T](), reflect.TypeFor[As]())
}

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
	o := a.operation(method, path, op)
	o.BodyReadTimeout = bodyTimeout
	o.Middlewares = huma.Middlewares{func(c huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(c)
		if err := op.admit(r.Context()); err != nil { // before the body is read
			WriteError(w, r, err)
			return
		}
		if r.Body != nil && method != http.MethodGet {
			r.Body = timedBody{r.Body, w}
		}
		next(c)
	}}
	huma.Register(a.huma, o, func(ctx context.Context, in *In) (*bodyOf[Out], error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, ProblemOf(err)
		}
		b := &bodyOf[Out]{Status: op.success(), Body: out}
		if s, ok := any(out).(statuser); ok {
			b.Status = s.HTTPStatus()
		}
		return b, nil
	})
	if op.AnySite {
		a.preflight(method, path)
	}
	answers := operationAt(a.huma.OpenAPI(), method, path).Responses
	success := answers[strconv.Itoa(op.success())]
	if op.success() == http.StatusNoContent {
		success.Content = nil
	}
	for _, status := range op.Also {
		answers[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: success.Content}
	}
}

func operationAt(doc *huma.OpenAPI, method, path string) *huma.Operation {
	p := doc.Paths[path]
	switch method {
	case http.MethodPost:
		return p.Post
	case http.MethodPut:
		return p.Put
	case http.MethodPatch:
		return p.Patch
	case http.MethodDelete:
		return p.Delete
	}
	return p.Get
}

// timedBody takes huma's deadline away once the body is read: it would cancel a
// verb that takes longer.
type timedBody struct {
	io.ReadCloser
	w http.ResponseWriter
}

func (b timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = http.NewResponseController(b.w).SetReadDeadline(time.Time{})
	}
	return n, err
}

func (a *API) operation(method, path string, op Op) huma.Operation {
	a.ops[method+" "+path] = op
	o := huma.Operation{
		Method: method, Path: path, Summary: op.Summary, Tags: []string{op.Tag},
		OperationID:   operationID(method, path),
		DefaultStatus: op.success(), MaxBodyBytes: op.MaxBody,
		Errors: append([]int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}, op.Errors...),
	}
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		o.Errors = append(o.Errors, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
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

// admit checks login and scope. A token that is wrong is nobody's on a public
// route, so that a stale cookie keeps nobody from logging in.
func (op Op) admit(ctx context.Context) error {
	if op.Public {
		return nil
	}
	if x := exchangeOf(ctx); x != nil && x.refused != nil {
		return x.refused
	}
	p := authz.From(ctx)
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
	for _, status := range append([]int{op.success()}, op.Also...) {
		if key := strconv.Itoa(status); o.Responses[key] == nil {
			o.Responses[key] = &huma.Response{Description: http.StatusText(status)}
		}
	}
	schemas := a.huma.OpenAPI().Components.Schemas
	if op.Gives != nil {
		schema := schemas.Schema(reflect.TypeOf(op.Gives), true, "")
		for _, status := range append([]int{op.success()}, op.Also...) {
			o.Responses[strconv.Itoa(status)].Content = map[string]*huma.MediaType{"application/json": {Schema: schema}}
		}
	}
	if len(op.Takes) > 0 {
		o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{}}
		for media, v := range op.Takes {
			o.RequestBody.Content[media] = &huma.MediaType{Schema: schemas.Schema(reflect.TypeOf(v), true, "")}
		}
	}
	problem := schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	for _, status := range append(o.Errors, http.StatusInternalServerError) {
		if key := strconv.Itoa(status); o.Responses[key] == nil {
			o.Responses[key] = &huma.Response{Description: http.StatusText(status), Content: map[string]*huma.MediaType{problemType: {Schema: problem}}}
		}
	}
	for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
		o.Parameters = append(o.Parameters, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
	}
	a.huma.OpenAPI().AddOperation(&o)
	if op.AnySite {
		a.preflight(method, path)
	}
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := op.admit(r.Context()); err != nil {
			WriteError(w, r, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, o.MaxBodyBytes)
		// A stream's deadlines are not for the connection's next request.
		defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) }()
		h.ServeHTTP(w, r)
	})
}

// Page adds what a person's browser shows, at "GET /path". Pages only read, are no
// part of the API description, and find out themselves who is asking.
func (a *API) Page(pattern string, h http.HandlerFunc) {
	a.pages = append(a.pages, pattern)
	a.mux.HandleFunc(pattern, h)
}

// Pages lists the patterns of all pages.
func (a *API) Pages() []string { return a.pages }

// ShowProblems says how a refusal looks to a person: to a browser that opens
// anything outside /v1. Programs get a problem document.
func (a *API) ShowProblems(show Shower) { a.show = show }

// Dialect answers a refusal in the words of the path that was asked for, and says
// whether it did.
type Dialect func(w http.ResponseWriter, r *http.Request, p *Problem) bool

// Dialect says how refusals look under paths that have a language of their own: those
// that no route made, too (no such path or method, another site's page, a panic).
func (a *API) Dialect(d Dialect) { a.dialect = d }

var pathParam = regexp.MustCompile(`\{(\w+)[^}]*\}`)

// Operation is a route's place in the API description.
type Operation = huma.Operation

// OpenAPI is the OpenAPI 3.1 description of all routes, as indented JSON.
func (a *API) OpenAPI() ([]byte, error) { return json.MarshalIndent(a.huma.OpenAPI(), "", "  ") }

// Routes lists "METHOD /path" with each route's Op.
func (a *API) Routes() map[string]Op { return a.ops }

// Handler serves the routes. Every refusal is a problem document: unknown paths,
// other sites' pages and panics too.
func (a *API) Handler() http.Handler {
	guard := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{ResponseWriter: w, show: a.show, dialect: a.dialect, began: time.Now()}
		x.r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
		defer a.metrics.observe(x)
		defer x.finish()
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		open := r.Header.Get("Origin") != "" && a.anySite(r)
		if open {
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Access-Control-Expose-Headers", exposed)
		}
		if err := guard.Check(r); err != nil && !(open && withToken(r)) {
			WriteError(x, x.r, fault.New(fault.Forbidden, "cross_origin", "This request came from another site's page; open the page on this site."))
			return
		}
		p, err := a.auth.Authenticate(x.r)
		if err != nil {
			p, x.refused = authz.Principal{}, err
		}
		x.r = x.r.WithContext(authz.With(x.r.Context(), p))
		a.mux.ServeHTTP(x, x.r)
	})
}
