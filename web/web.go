package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

//go:embed assets
var assetFiles embed.FS

//go:embed pages
var pageFiles embed.FS

// Visitors says who is looking.
type Visitors interface {
	Visitor(ctx context.Context) (Visitor, error)
}

// Visitor is the person who is logged in.
type Visitor struct {
	ID       event.PersonID
	Name     string
	Operator bool
}

// Questions are what the pages ask.
type Questions interface {
	Visitors
	Agents
	Faces
	Rooms
	Growths
	Holdings
	Mentors
	Ledgers
	Commons
	Beginnings
	Operators
	Ruling
}

// Options are who answers, and words from elsewhere.
type Options struct {
	Questions
	Note    string   // one sentence on what makes the replies
	Label   string   // the same in a few words, always in sight of a talk
	Reasons []Reason // why an answer was good or bad, in the order they are shown
}

type site struct {
	Options
	pages  map[string]*template.Template
	assets string // the path they are at, which changes with them
}

// Routes adds the pages, their styles and modules, and how refusals look in a
// browser.
func Routes(api *httpapi.API, o Options) {
	s := &site{Options: o, pages: map[string]*template.Template{}, assets: "/assets/" + version()}
	layout := template.Must(template.New("").Funcs(words).ParseFS(pageFiles, "pages/layout.html", "pages/said.html"))
	for _, name := range []string{"login", "home", "talk", "room", "join", "growth", "reviews", "points", "goals", "mine", "operator", "problem"} {
		s.pages[name] = template.Must(template.Must(layout.Clone()).ParseFS(pageFiles, "pages/"+name+".html"))
	}
	api.Page("GET /{$}", s.loggedIn(s.home))
	api.Page("GET /login", s.login)
	api.Page("GET /talk/{agent}", s.loggedIn(s.talk))
	api.Page("GET /room/{room}", s.loggedIn(s.room))
	api.Page("GET /join", s.join)
	api.Page("GET /growth/{agent}", s.loggedIn(s.growth))
	api.Page("GET /reviews", s.loggedIn(s.reviews))
	api.Page("GET /points", s.loggedIn(s.points))
	api.Page("GET /goals", s.loggedIn(s.goals))
	api.Page("GET /mine", s.loggedIn(s.mine))
	api.Page("GET /operator", s.loggedIn(s.operator))
	api.Page("GET /assets/{version}/{file}", s.asset)
	api.ShowProblems(s.problem)
}

// link leads to a page from every other one.
type link struct{ Name, Path, Says string }

var links = []link{{"home", "/", "Agents"}, {"reviews", "/reviews", "Reviewing"}, {"points", "/points", "Points"}, {"goals", "/goals", "Together"}, {"mine", "/mine", "My data"}}

var operating = append(slices.Clone(links), link{"operator", "/operator", "Operating"})

// page is what a handler found out.
type page struct {
	Name  string // of the template and, where there is one, the module
	Title string
	View  any

	Visitor *Visitor
	Assets  string
	Module  bool
	Here    string
}

// loggedIn is a page for people who are logged in; others are sent to log in and
// come back.
func (s *site) loggedIn(find func(*http.Request) (page, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if authz.From(r.Context()).Person == "" {
			to := url.Values{"next": {r.URL.RequestURI()}}
			if _, err := r.Cookie("rapport_session"); err == nil {
				to.Set("ended", "1")
			}
			http.Redirect(w, r, "/login?"+to.Encode(), http.StatusSeeOther)
			return
		}
		p, err := find(r)
		if err != nil {
			s.problem(w, r, httpapi.ProblemOf(err))
			return
		}
		s.answer(w, r, http.StatusOK, p)
	}
}

// answer writes a page, whole or not at all.
func (s *site) answer(w http.ResponseWriter, r *http.Request, status int, p page) {
	if authz.From(r.Context()).Person != "" {
		if v, err := s.Visitor(r.Context()); err == nil {
			p.Visitor = &v
		}
	}
	p.Assets, p.Here = s.assets, r.URL.RequestURI()
	_, err := fs.Stat(assetFiles, "assets/"+p.Name+".js")
	p.Module = err == nil
	var b bytes.Buffer
	if err := s.pages[p.Name].ExecuteTemplate(&b, "layout", p); err != nil {
		panic(err) // a template of ours is wrong: a 500, logged
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// contentPolicy lets a page use what is of this package, and nothing frame it.
const contentPolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// problem shows a refusal with what to do about it.
func (s *site) problem(w http.ResponseWriter, r *http.Request, p *httpapi.Problem) {
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	if p.Status == http.StatusNotFound {
		p = &httpapi.Problem{Status: p.Status, Title: "Nothing here", Detail: "There is nothing at this address, or it is not yours to see. Your agents are on the first page."}
	}
	s.answer(w, r, p.Status, page{Name: "problem", Title: p.Title, View: p})
}

// asset serves a style or module. At the path of this version it never changes.
func (s *site) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	data, err := assetFiles.ReadFile("assets/" + path.Clean("/" + name)[1:])
	if err != nil {
		httpapi.WriteError(w, r, fault.New(fault.NotFound, "no_such_route", "There is no such file; reload the page."))
		return
	}
	if s.assets == "/assets/"+r.PathValue("version") {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	_, _ = w.Write(data)
}

// version is a hash of all assets.
func version() string {
	h := sha256.New()
	files, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		data, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err)
		}
		h.Write([]byte(f.Name()))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// local is a path of this site that a person may be sent to, "/" for anything else.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
