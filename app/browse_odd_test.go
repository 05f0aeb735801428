package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rapport/chat"
	"rapport/event"
)

// browseByKeyboard: everything but the mouse.
func browseByKeyboard(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Kay")
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/")
	tabTo := func(what, script string) {
		t.Helper()
		for range 60 {
			if b.is(script) {
				if !b.is(`getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
					t.Errorf("%s has the focus and does not show it", what)
				}
				return
			}
			b.press(kb.Tab)
		}
		t.Fatalf("tabbing never comes to %s", what)
	}
	tabTo("the name", `document.activeElement.id === "name"`)
	b.press("Mia", kb.Enter)
	b.until("the talk opens", `location.pathname === "/talk/mia"`)
	b.live()
	tabTo("the text", `document.activeElement.id === "text"`)
	b.press("Hello there", kb.Enter)
	b.untilSaid(2)
	b.do("from the top", chromedp.Func(func(ctx context.Context, tt *chromedp.Target) error {
		_, err := chromedp.Evaluate[bool](`(document.activeElement.blur(), true)`)(ctx, tt)
		return err
	}))
	tabTo("the thumb", `document.activeElement.dataset.value === "up"`)
	b.press(" ")
	b.until("the thumb counts", `/counts/.test(document.querySelector(".did").textContent)`)
	tabTo("a reason", `document.activeElement.dataset.value === "helpful"`)
	b.press(" ")
	b.until("the reason is kept", `document.querySelector(".did").textContent === "noted" && document.activeElement.ariaPressed === "true"`)
	b.do("the tones come before", chromedp.Focus(".tones summary"))
	tabTo("the tones", `document.activeElement.textContent === "Tone"`)
	b.press(kb.Enter)
	tabTo("kinder", `document.activeElement.dataset.value === "kinder"`)
	b.press(kb.Enter)
	b.until("kinder is heard", `document.querySelector(".did").textContent.includes("empathy +0.15")`)
	if !b.is(`document.activeElement.dataset.value === "kinder"`) {
		t.Errorf("pressing a button lost the place: %s", b.str(`document.activeElement.outerHTML.slice(0, 80)`))
	}
	b.do("from the top", chromedp.Focus("#end"))
	b.press(kb.Enter)
	b.until("the talk is ended", `document.querySelector("#room").dataset.ask === "none"`)
	b.do("the rating", chromedp.Focus("#rate"))
	b.press(kb.Enter)
	b.until("the sheet opens", `document.querySelector("#sheet").open`)
	b.press(kb.Escape)
	b.until("the sheet is skipped", `!document.querySelector("#sheet").open`)
	var given listed
	p.must("GET", "/v1/feedback", nil, &given)
	for _, f := range given.Items {
		if f.Kind == event.ChannelSession {
			t.Error("a skipped sheet left a rating")
		}
	}
}

// browseTwiceSent: an impatient person gets one agent and says a thing once.
func browseTwiceSent(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Tom")
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/")
	b.write("#name", "Otto")
	b.str(`(() => { const f = document.querySelector("#new"); f.requestSubmit(); f.requestSubmit(); f.requestSubmit(); return "" })()`)
	b.until("the talk opens", `location.pathname === "/talk/otto"`)
	b.live()
	var agents struct{ Items []struct{ Slug string } }
	if p.must("GET", "/v1/agents", nil, &agents); len(agents.Items) != 1 {
		t.Errorf("%d agents", len(agents.Items))
	}
	b.write("#text", "Only once, please")
	b.str(`(() => { const f = document.querySelector("#say"); for (let i = 0; i < 5; i++) f.dispatchEvent(new SubmitEvent("submit", {cancelable: true})); return "" })()`)
	b.untilSaid(2)
	r.settle()
	if said := b.texts(); len(said) != 2 {
		t.Errorf("said %q", said)
	}
}

// browseAsGuest: somebody else may talk, and sees nothing of what is the owner's.
func browseAsGuest(t *testing.T, ctx context.Context, r *rig) {
	gwen, guest := r.person("Gwen"), r.person("Gus")
	gwen.make("Nova", nil)
	b := browser(t, ctx, r.URL())
	b.login(r, guest, "/talk/nova")
	b.live()
	b.write("#text", "Hello Nova"+kb.Enter)
	b.untilSaid(2)
	if b.is(`document.querySelector("template#theirs").content.querySelector(".raise") !== null || document.querySelector("#said .raise") !== null || document.querySelector('a[href^="/growth"]') !== null`) {
		t.Error("a guest sees what is the owner's to press")
	}
	b.click("#end")
	b.until("the talk is ended", `document.querySelector("#status").textContent.includes("ended")`)
	if b.is(`document.querySelector("#sheet").open`) {
		t.Error("a guest is asked how it was")
	}
	b.open("/growth/nova")
	if !strings.Contains(b.str(`document.body.innerText`), "not yours to see") {
		t.Error("a guest sees an owner's page")
	}
	b.shots("problem")
}

// browseMarkup: what people write is text, wherever it is shown.
func browseMarkup(t *testing.T, ctx context.Context, r *rig) {
	const script, image = `<script>window.broken=1</script>`, `"><img src=x onerror=window.broken=1>`
	p := r.person("Eve")
	a := &companion{p: p}
	p.must("POST", "/v1/agents", map[string]any{"name": "Bad " + image, "description": script + image, "greeting": script + image}, a)
	r.settle()
	a = a.with(p)
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/")
	b.str(`fetch("/v1/me", {method: "PATCH", headers: {"Content-Type": "application/json"}, body: JSON.stringify({name: "Eve " + ` + "`" + image + "`" + `})}).then(r => (window.renamed = r.status, "")), ""`)
	b.until("the name is changed", `window.renamed === 200`)
	b.open("/talk/" + a.Slug)
	b.live()
	b.untilSaid(1)
	b.write("#text", script+image+kb.Enter)
	b.untilSaid(3)
	if said := b.texts(); said[0] != script+image || said[1] != script+image {
		t.Errorf("greeted and said %q", said)
	}
	last := a.say("and " + image)
	p.must("POST", "/v1/feedback", map[string]string{"kind": "comment", "comment": script + image, "messageId": string(last.ID)}, nil)
	p.must("POST", "/v1/feedback", map[string]string{"kind": "correction", "correction": script + image, "messageId": string(last.ID)}, nil)
	r.settle()
	b.untilSaid(5)
	b.open("/growth/" + a.Slug)
	b.open("/mine")
	b.until("comments and corrections are text", `[...document.querySelectorAll("#mine .words")].filter(x => x.textContent.includes("onerror")).length === 2`)
	b.open("/points")
	b.open("/")
	b.open("/talk/" + url.PathEscape(image))
	b.open("/login?next=" + url.QueryEscape(image) + "&ended=" + url.QueryEscape(script))
	b.open("/login?next=" + url.QueryEscape("javascript:window.broken=1"))
	b.open("/talk/" + a.Slug)
	b.live()
	if b.is(`window.broken === 1 || document.querySelector("main script, main img") !== null`) {
		t.Error("what somebody wrote became markup")
	}
}

// browseTwoTabs: what is said in one is in the other, in the same order.
func browseTwoTabs(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Lea")
	p.make("Ivy", nil)
	one := browser(t, ctx, r.URL())
	one.login(r, p, "/talk/ivy")
	two := one.another()
	two.open("/talk/ivy")
	one.live()
	two.live()
	one.write("#text", "From the first"+kb.Enter)
	one.untilSaid(2)
	two.untilSaid(2)
	two.write("#text", "From the second"+kb.Enter)
	two.untilSaid(4)
	one.untilSaid(4)
	if a, b := fmt.Sprintf("%q", one.texts()), fmt.Sprintf("%q", two.texts()); a != b {
		t.Errorf("the tabs differ:\n%s\n%s", a, b)
	}
}

// browseTrouble: an answer that does not come says why, and can be asked for again.
func browseTrouble(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Tess")
	a := p.make("Wren", nil)
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/talk/wren")
	b.live()
	b.write("#text", "One"+kb.Enter)
	b.untilSaid(2)
	p.must("POST", a.path("/kill"), nil, nil)
	b.write("#text", "Two"+kb.Enter)
	b.until("silence is explained", `document.querySelector(".trouble p")?.textContent === "Wren could not answer: it is stopped."`)
	if b.is(`document.querySelector(".trouble button") !== null`) {
		t.Error("another try is offered where it cannot help")
	}
	var page roomPage
	p.must("GET", "/v1/rooms/"+a.room+"/messages", nil, &page)
	trouble := chat.Trouble{AgentID: a.ID, MessageID: page.Messages[len(page.Messages)-1].ID, Code: "rate_limited", Says: "its model takes no more requests now", Wait: 20}
	r.Chat.Trouble(event.RoomID(a.room), trouble)
	b.until("waiting is explained", `document.querySelector(".trouble p").textContent.includes("answers later") && document.querySelector(".trouble p").textContent.includes("20 s")`)
	trouble.Wait, trouble.Again = 0, true
	r.Chat.Trouble(event.RoomID(a.room), trouble)
	b.until("another try is offered", `document.querySelector(".trouble button") !== null`)
	b.shots("trouble")
	b.click(".trouble button")
	b.until("what the server says is shown", `/failed|could answer/.test(document.querySelector("#status").textContent)`)
}

// browseReconnect: a stream that is cut goes on where it was.
func browseReconnect(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Ron")
	a := p.make("Zoe", nil)
	target, err := url.Parse(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(q *httputil.ProxyRequest) { q.SetURL(target); q.Out.Host = q.In.Host },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, q)
	}))
	defer front.Close()
	defer front.CloseClientConnections()
	b := browser(t, ctx, front.URL)
	b.login(r, p, "/talk/zoe")
	b.live()
	b.write("#text", "One"+kb.Enter)
	b.untilSaid(2)
	down.Store(true)
	front.CloseClientConnections()
	b.until("the page notices", `document.querySelector("#status").textContent.includes("trying again")`)
	a.say("Two")
	b.write("#text", "Three"+kb.Enter)
	b.until("the page says that it could not send", `document.querySelector("#status").textContent !== "" && document.querySelector("#text").value === "Three"`)
	down.Store(false)
	b.live()
	b.untilSaid(4)
	b.press(kb.Enter)
	b.untilSaid(6)
	said := b.texts()
	if said[0] != "One" || said[2] != "Two" || said[4] != "Three" {
		t.Errorf("after the cut: %q", said)
	}
}

// browseLoginEnds: who was away too long loses nothing.
func browseLoginEnds(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Max")
	p.make("Uma", nil)
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/talk/uma")
	b.live()
	b.write("#text", "A long thought")
	r.clock.advance(40 * 24 * time.Hour)
	b.press(kb.Enter)
	b.until("the page says what to do", `!document.querySelector("#ended").hidden`)
	b.shots("ended")
	b.open("/talk/uma")
	b.until("the page asks to log in", `location.pathname === "/login" && document.body.innerText.includes("Your login has ended")`)
	b.login(r, p, "/talk/uma")
	b.until("the text is still there", `document.querySelector("#text").value === "A long thought"`)
	var link struct{ Link string }
	r.admin.must("POST", "/v1/admin/links", map[string]any{"person": p.ID}, &link)
	if a := r.as("", "").send("POST", "/v1/login", map[string]string{"link": link.Link}); a.status != 200 {
		t.Fatal(a.status)
	}
	other := browser(t, ctx, r.URL())
	other.open("/login#" + link.Link)
	other.until("a used link says so", `document.querySelector("#status").textContent.includes("used or has expired") && document.body.innerText.includes("rapport login")`)
}
