package web

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// world answers the questions of the pages: ada owns luna, bob owns nothing.
type world struct{ words string }

func (w world) Authenticate(r *http.Request) (authz.Principal, error) {
	c, err := r.Cookie("rapport_session")
	if err != nil {
		return authz.Principal{}, nil
	}
	if c.Value == "old" {
		return authz.Principal{}, fault.New(fault.Unauthenticated, "token_invalid", "Log in again.")
	}
	return authz.Principal{Person: event.PersonID(c.Value), Scopes: []authz.Scope{authz.ScopeChat}}, nil
}

func (w world) Visitor(ctx context.Context) (Visitor, error) {
	p := authz.From(ctx).Person
	return Visitor{p, w.words, p == "ada"}, nil
}

func (w world) Agents(ctx context.Context, after event.AgentID, limit int) ([]Card, error) {
	if authz.From(ctx).Person != "ada" {
		return nil, nil
	}
	var all []Card
	for i := range 100 {
		c := Card{ID: event.AgentID(fmt.Sprintf("a%03d", i)), Slug: "luna", Name: w.words, Description: w.words}
		if c.ID > after && len(all) < limit {
			all = append(all, c)
		}
	}
	return all, nil
}

func (w world) Face(ctx context.Context, ref string) (Face, error) {
	switch {
	case ref == "broken":
		return Face{}, errors.New("a disk broke")
	case ref != "luna":
		return Face{}, fault.New(fault.NotFound, "agent_unknown", "There is no such agent.")
	}
	return Face{ID: "a1", Slug: "luna", Name: w.words, Description: w.words, Yours: authz.From(ctx).Person == "ada", Greeting: w.words}, nil
}

func (w world) Groups(ctx context.Context) ([]Group, error) {
	g, err := w.Group(ctx, "r1")
	return []Group{g}, err
}

func (w world) Group(ctx context.Context, id event.RoomID) (Group, error) {
	if id != "r1" {
		return Group{}, fault.New(fault.NotFound, "room_unknown", "There is no such room among yours.")
	}
	yours := authz.From(ctx).Person == "ada"
	return Group{ID: id, Name: w.words, With: w.words, Me: authz.From(ctx).Person, Others: []Card{{ID: "a2", Name: w.words}}, Evening: &Evening{w.words, time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), false},
		Members: []Present{{ID: "ada", Name: w.words, Me: yours, MayGo: true}, {ID: "a1", Name: w.words, Agent: true, Yours: yours, MayGo: true}}}, nil
}

func (w world) Growth(ctx context.Context, ref string) (Growth, error) {
	f, err := w.Face(ctx, ref)
	if err == nil && !f.Yours {
		err = fault.New(fault.NotFound, "agent_unknown", "There is no such agent of yours.")
	}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return Growth{
		Face: f, Version: 3, Learning: true, Asking: Asking{"normal", 10}, Frozen: w.words,
		Traits: []Trait{
			{Name: "humor", Level: .62, Start: .5, Target: .6, Interval: [2]float64{-.01, .07}, Word: "trying", Standing: "trying, about 5 more ratings before it moves", History: []Past{{Level: .5}, {Level: .58, Ideal: .7, SD: .2, P: .8}, {Level: .62, Ideal: .66, SD: .1, P: .97}}},
			{Name: "empathy", Level: .5, Start: .5, Target: .5, Word: "start", Standing: "pinned", Pinned: true, History: []Past{{Level: .5}, {Level: .5}, {Level: .5}}},
		},
		Ratings:  []Rating{{ID: "f1", At: at, By: "you", What: w.words, Effect: "moved humor +0.020", UsedIn: []int64{3}, Yours: true}, {ID: "f2", At: at, By: "you", What: w.words, Noticed: true}},
		Versions: []Version{{Number: 3, At: at, By: "learning", Reason: w.words, Because: "1 thumb", Moved: []Move{{"humor", .04}}}, {Number: 2, At: at, By: "you", Reason: "edited", Other: []string{"pinned"}}},
		Card:     []string{w.words}, Suggested: &Suggestion{ID: "s1", Model: w.words, Fields: []Filled{{"backstory", w.words, w.words}, {"traits.humor", "0.5", "0.61"}}},
		Notes:   []Review{{ID: "v1", At: at, Marks: [3]string{"clearly", "mostly", "clearly"}, Note: w.words}},
		Waiting: []Proposal{{ID: "p1", Reason: w.words, Moved: []Move{{"humor", .02}}}},
	}, err
}

func (w world) Holding(_ context.Context, cursor string) (Holding, error) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return Holding{
		Handle: "ada", Since: at, Parts: []Part{{"Your account", []string{"Who you are here."}}}, Rooms: []Room{{"r1", w.words, true}}, Words: []Word{{"a1", w.words, false}},
		Given:  []Given{{ID: "f1", At: at, Agent: w.words, What: "comment", Text: w.words, Status: "stored"}, {ID: "f2", At: at, What: "thumb up", Status: "retracted"}, {ID: "f3", At: at, What: w.words, Noticed: true}},
		Emoji:  []Meaning{{w.words, -.4}},
		Tokens: []Token{{"t1", w.words, "chat", at}}, More: cursor + "next", Spent: []string{w.words},
	}, nil
}

func (w world) Mentor(ctx context.Context, _ string) (Mentor, error) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	if authz.From(ctx).Person != "ada" {
		return Mentor{State: string(authz.From(ctx).Person)}, nil // a state as a name
	}
	return Mentor{State: "active", Left: 7, Regard: "partly", Written: []Review{
		{ID: "v1", At: at, Marks: [3]string{"clearly", "hardly", "not_at_all"}, Note: w.words, State: "aside", Findings: []string{w.words}, Explained: "Nothing is decided."},
		{ID: "v2", At: at, State: "withdrawn"}}}, nil
}

func (w world) Ledger(context.Context, string) (Ledger, error) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return Ledger{Points: 30, Today: 4, Cap: 10, Wares: []Ware{{"slot", "a place", 100, 70}, {"look", "a frame", 20, 0}, {"evening", "a pass", 15, 0}}, Looks: []Look{{"ember", 20, 0}, {"ocean", 0, 0}},
		Agents: []Card{{ID: "a1", Name: w.words}}, Entries: []Entry{{"e1", at, -15, w.words, true}, {"e2", at, 0, "for a review", false}}, Places: "1 of 10 agents", Replies: "3 replies today"}, nil
}

func (w world) Goals(context.Context) ([]Goal, error) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return []Goal{{ID: "g1", Title: w.words, Counts: "helpful notes", Target: 500, Together: 120, Brings: w.words, Starts: at, Ends: at, State: "going"},
		{ID: "g2", Title: "Few", Counts: "reviews", Target: 50, Few: true, Starts: at, Ends: at, State: "going"},
		{ID: "g3", Title: "Done", Counts: "reviews", Target: 50, Together: 50, Brings: "a look", Starts: at, Ends: at, Reached: at, State: "reached"}}, nil
}

func (w world) Natives(context.Context) ([]Native, error) {
	return []Native{{"n1", "sage", w.words, w.words, "story_character"}}, nil
}

func (w world) Archetypes(context.Context) ([]Archetype, error) {
	return []Archetype{{1, w.words}}, nil
}

func (w world) Aside(ctx context.Context) ([]Aside, error) {
	if authz.From(ctx).Person != "ada" {
		return nil, fault.New(fault.Forbidden, "not_allowed", "You may not list this verdict.")
	}
	return []Aside{{ID: "v1", Reviewer: "p1", Marks: [3]string{"hardly", "hardly", "hardly"}, Note: w.words, Seconds: .3, Because: []string{w.words}, Appeal: w.words}}, nil
}

func (w world) MappingRules(context.Context) ([]Rules, error) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	return []Rules{
		{Version: 4, Status: "proposed", Since: at, Base: 3, By: w.words, Note: w.words},
		{Version: 3, Status: "tried", Since: at, Base: 2, By: w.words, Note: w.words, Measured: true, Effects: []string{w.words}, Changes: []Change{{w.words, w.words, w.words}}, Trial: &Trial{.5, 12, 11, -.2, .3}},
		{Version: 2, Status: "published", InForce: true, Since: at, Base: 1},
		{Version: 1, Status: "published", Since: at, Outcome: w.words},
	}, nil
}

func handler(words string) http.Handler {
	w := world{words}
	api := httpapi.New("test", w)
	httpapi.Get(api, "/v1/broken", httpapi.Op{Summary: "Break", Tag: "x"}, func(context.Context, *struct{}) (string, error) { return "", nil })
	Routes(api, Options{Questions: w, Reasons: []Reason{{"helpful", true}, {"too_long", false}, {"too_dry", false}}, Note: "Replies come from a test.", Label: "a test, not an AI model"})
	return api.Handler()
}

// get asks as a browser does.
func get(h http.Handler, path, cookie string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: "rapport_session", Value: cookie})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestWhoSeesWhat: nobody is sent to log in and comes back, a guest does not learn
// that an owner's page exists, and what goes wrong is a page with what to do.
func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	h := handler("Luna")
	for _, c := range []struct {
		path, cookie string
		status       int
		says         string // in the page, or where it leads
	}{
		{"/", "", 303, "/login?next=%2F"},
		{"/growth/luna?x=1", "", 303, "/login?next=%2Fgrowth%2Fluna%3Fx%3D1"},
		{"/talk/luna", "old", 303, "/login?ended=1&next=%2Ftalk%2Fluna"},
		{"/login?next=%2Ftalk%2Fluna", "", 200, `data-next="/talk/luna"`},
		{"/login?ended=1", "", 200, "Your login has ended"},
		{"/", "ada", 200, `href="/?after=a029"`},
		{"/?after=a029", "ada", 200, "Back to the first"},
		{"/", "bob", 200, "You have none yet"},
		{"/talk/luna", "ada", 200, "How was Luna today?"},
		{"/talk/luna", "bob", 200, "not an AI model"},
		{"/talk/nobody", "ada", 404, "Nothing here"},
		{"/", "bob", 200, `href="/room/r1"`},
		{"/room/r1", "", 303, "/login?next=%2Froom%2Fr1"},
		{"/room/r1", "ada", 200, `data-kind="thumb"`},
		{"/room/r1", "bob", 200, "Leave the room"},
		{"/room/r2", "ada", 404, "Nothing here"},
		{"/join", "", 200, "You are invited into a room"},
		{"/join", "ada", 200, "Come in"},
		{"/growth/luna", "ada", 200, "trying, about 5 more ratings before it moves"},
		{"/growth/luna", "bob", 404, "not yours to see"},
		{"/reviews", "", 303, "/login?next=%2Freviews"},
		{"/reviews", "ada", 200, "7 more today"},
		{"/reviews", "none", 200, "by invitation"},
		{"/reviews", "invited", 200, `id="accept"`},
		{"/reviews", "left", 200, "Come back"},
		{"/reviews", "excluded", 200, "ended your part"},
		{"/points", "ada", 200, "70 missing"},
		{"/goals", "bob", 200, "once five people take part"},
		{"/goals", "bob", 200, "At least 120 of 500 helpful notes"},
		{"/operator", "ada", 200, "took 0.3 s"},
		{"/operator", "bob", 403, "You may not"},
		{"/operator", "ada", 200, "between 0.20 worse and 0.30 better"},
		{"/operator", "ada", 200, `id="back-1"`},
		{"/operator", "ada", 200, "being put to the test questions"},
		{"/mine", "ada", 200, "</b> displeased"},
		{"/mine", "ada", 200, "Noticed from what you did"},
		{"/growth/luna", "ada", 200, "Noticed from what people did"},
		{"/", "ada", 200, "Operating"},
		{"/", "bob", 200, "Adopt a copy"},
		{"/mine", "ada", 200, "Erase everything"},
		{"/mine?after=x", "ada", 200, "Back to the newest"},
		{"/growth/luna", "ada", 200, "Notes from reviewers"},
		{"/nothing", "ada", 404, "Nothing here"},
		{"/nothing", "", 404, "Nothing here"},
		{"/talk/broken", "ada", 500, "Something broke on our side"},
	} {
		w := get(h, c.path, c.cookie)
		body := w.Body.String() + w.Header().Get("Location")
		if w.Code != c.status || !strings.Contains(body, c.says) {
			t.Errorf("GET %s as %q: %d, without %q:\n%s", c.path, c.cookie, w.Code, c.says, body)
		}
		if w.Code == 303 {
			continue
		}
		if strings.Contains(body, "a disk broke") {
			t.Errorf("GET %s tells what is inside", c.path)
		}
		if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'self';") || strings.Contains(got, "unsafe") || !strings.Contains(got, "frame-ancestors 'none'") {
			t.Errorf("GET %s: content security policy %q", c.path, got)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("GET %s: %v", c.path, w.Header())
		}
	}
	for _, path := range []string{"/talk/luna", "/room/r1"} {
		if w := get(h, path, "bob"); strings.Contains(w.Body.String(), "thumb") || strings.Contains(w.Body.String(), "/growth/") {
			t.Errorf("%s holds for a guest what is the owner's to press", path)
		}
	}
	if w := get(h, "/v1/broken", ""); w.Code != 401 || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
		t.Errorf("the API answers a browser with %d %s", w.Code, w.Header().Get("Content-Type"))
	}
	r := httptest.NewRequest("GET", "/nothing", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); !strings.HasPrefix(w.Header().Get("Content-Type"), "application/problem+json") {
		t.Error("a program is answered with a page")
	}
}

var pages = []string{"/", "/?after=a029", "/login", "/login?ended=1", "/talk/luna", "/room/r1", "/join", "/growth/luna", "/reviews", "/points", "/goals", "/mine", "/operator", "/nothing"}

// TestMarkupIsText: no words make an element, an attribute or a script.
func TestMarkupIsText(t *testing.T) {
	t.Parallel()
	elements := regexp.MustCompile(`<[a-zA-Z][^<>]*`)
	plain := handler("plain")
	for _, words := range []string{`<script>broken()</script>`, `"><img src=x onerror=broken()>`, `' onclick='broken()`, `</template><b>`, `{{.}}`, `javascript:broken()`} {
		h := handler(words)
		for _, path := range pages {
			want, got := get(plain, path, "ada").Body.String(), get(h, path, "ada").Body.String()
			// The same elements as with plain words, but for attributes that hold them.
			a, b := elements.FindAllString(want, -1), elements.FindAllString(got, -1)
			tag := func(s string) string { name, _, _ := strings.Cut(s, " "); return name }
			if !slices.EqualFunc(a, b, func(x, y string) bool { return tag(x) == tag(y) && strings.Count(x, "=\"") == strings.Count(y, "=\"") }) {
				t.Errorf("%s with %s has other elements", path, words)
			}
		}
	}
}

// TestNothingInline: no page has what the content security policy would refuse, and
// no module makes markup of text.
func TestNothingInline(t *testing.T) {
	t.Parallel()
	h := handler("Luna")
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+="|javascript:|https?://`)
	bare := regexp.MustCompile(`<script[^>]*>`)
	for _, path := range pages {
		body := get(h, path, "ada").Body.String()
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s holds %q", path, found)
		}
		for _, s := range bare.FindAllString(body, -1) {
			if !strings.Contains(s, ` src="/assets/`) {
				t.Errorf("%s holds %s", path, s)
			}
		}
	}
	files, err := fs.Glob(assetFiles, "assets/*")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	unsafe := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://[^w]|localStorage`)
	for _, name := range files {
		data, err := fs.ReadFile(assetFiles, name)
		if err != nil {
			t.Fatal(err)
		}
		if found := unsafe.Find(data); found != nil {
			t.Errorf("%s holds %q", name, found)
		}
	}
}

// TestNothingCompares: no page speaks of ranks, and agents have no number beside them
// where there are several.
func TestNothingCompares(t *testing.T) {
	t.Parallel()
	h := handler("Luna")
	tags := regexp.MustCompile(`(?s)<[^>]*>`)
	contest := regexp.MustCompile(`(?i)\b(rank\w*|leader\w*|winn\w+|popular\w*|trend\w*|percentile|scores?|champion|league|top|beat\w*)\b`)
	for _, path := range pages {
		text := tags.ReplaceAllString(get(h, path, "ada").Body.String(), " ")
		if found := contest.FindString(text); found != "" {
			t.Errorf("%s says %q", path, found)
		}
	}
	cards := regexp.MustCompile(`(?s)<ul class="cards">.*?</ul>`).FindString(get(h, "/", "ada").Body.String())
	if found := regexp.MustCompile(`\d`).FindString(tags.ReplaceAllString(cards, " ")); cards == "" || found != "" {
		t.Errorf("a list of agents holds %q", found)
	}
}

// TestWeight: the talk page with all it loads is below 60 KB.
func TestWeight(t *testing.T) {
	t.Parallel()
	h := handler("Luna")
	page := get(h, "/talk/luna", "ada").Body.String()
	weight := len(page)
	loads := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	seen := map[string]bool{}
	for len(loads) > 0 {
		path := loads[0][1]
		loads = loads[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		w := get(h, path, "")
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		weight += w.Body.Len()
		dir := path[:strings.LastIndex(path, "/")]
		for _, m := range regexp.MustCompile(`from '\./([^']+)'`).FindAllStringSubmatch(w.Body.String(), -1) {
			loads = append(loads, []string{"", dir + "/" + m[1]})
		}
	}
	if len(seen) < 6 || weight > 60<<10 {
		t.Errorf("the talk page is %d bytes in %d files", weight, len(seen)+1)
	}
	if w := get(h, "/assets/older/style.css", ""); w.Code != 200 || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("an asset at another version: %d %s", w.Code, w.Header().Get("Cache-Control"))
	}
	for _, path := range []string{"/assets/x/nothing.js", "/assets/x/..%2fpages%2flogin.html", "/assets/x/"} {
		if w := get(h, path, ""); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/": "/", "/talk/luna?a=1#x": "/talk/luna?a=1#x", "": "/", "talk": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/",
		"javascript:alert(1)": "/", "/\n/evil.example": "/", "/\t/evil.example": "/", "///evil.example": "/",
	} {
		if got := local(next); got != want {
			t.Errorf("local(%q) = %q, want %q", next, got, want)
		}
	}
}

// TestCharts: what is drawn is well-formed, inside its box, and said in words.
func TestCharts(t *testing.T) {
	t.Parallel()
	page := get(handler("Luna"), "/growth/luna", "ada").Body.String()
	drawn := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
	if len(drawn) != 3 { // two lines, one interval: a trait that stayed has none
		t.Fatalf("%d charts", len(drawn))
	}
	for _, svg := range drawn {
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil {
			t.Errorf("%v: %s", err, svg)
		}
		if !strings.Contains(svg, `role="img"`) || !strings.Contains(svg, "aria-label=") {
			t.Errorf("not said in words: %s", svg)
		}
	}
	if want := `points="5.0,36.0 81.7,36.0 81.7,31.0 158.3,31.0 158.3,28.6 235.0,28.6"`; !strings.Contains(drawn[0], want) {
		t.Errorf("want %s in %s", want, drawn[0])
	}
	for _, x := range []Trait{{Interval: [2]float64{-9, 9}}, {Interval: [2]float64{.001, .002}}} {
		if b := x.Bar(.05); b.X < 0 || b.X+b.Width > chartWide || b.Width < 2 {
			t.Errorf("%v is drawn at %+v", x.Interval, b)
		}
	}
}
