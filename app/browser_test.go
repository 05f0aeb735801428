package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	blog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rapport/event"
	"rapport/feedback"
	"rapport/feedback/asking"
)

// startBrowser starts a browser, or skips where there is none.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no chromium: apt-get install chromium")
		}
		t.Skip("no chromium: apt-get install chromium")
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// tab is a tab of somebody's browser.
type tab struct {
	t    testing.TB
	ctx  context.Context
	base string
}

// browser gives somebody a browser of their own: no cookies, nothing open. What
// goes wrong in a page, or against its content security policy, fails the test.
func browser(t testing.TB, ctx context.Context, base string) *tab {
	return newTab(t, ctx, base, chromedp.WithNewBrowserContext())
}

func newTab(t testing.TB, ctx context.Context, base string, o ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(ctx, o...)
	t.Cleanup(end)
	b := &tab{t, ctx, base}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Listen(ctx, func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("a module broke: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		case *blog.EventEntryAdded:
			if e.Entry.Source != "network" && e.Entry.Level == "error" {
				t.Errorf("the browser says: %s %s", e.Entry.Source, e.Entry.Text)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// another tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	return newTab(b.t, b.ctx, b.base)
}

func (b *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.ctx, 20*time.Second)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.base+path))
}

func (b *tab) click(sel string) { b.t.Helper(); b.do("click "+sel, chromedp.Click(sel)) }

// write types into a field, as after what is there.
func (b *tab) write(sel, text string) {
	b.t.Helper()
	b.do("write into "+sel, chromedp.Focus(sel))
	b.press(text)
}

// press types keys where the focus is. Enter is one event, as from a keyboard: in
// two, its line break would come also where a page has taken the key.
func (b *tab) press(keys ...string) {
	b.t.Helper()
	for i, part := range strings.Split(strings.Join(keys, ""), kb.Enter) {
		if i > 0 {
			b.do("press enter", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				key := input.DispatchKeyEventParams{Type: "keyDown", Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13, NativeVirtualKeyCode: 13, Text: "\r"}
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, key); err != nil {
					return err
				}
				key.Type, key.Text = "keyUp", ""
				_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, key)
				return err
			}))
		}
		if part != "" {
			b.do("press keys", chromedp.KeyEvent(part))
		}
	}
}

func (b *tab) is(script string) bool {
	ok, _ := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script))
	return ok
}

// str is what a script gives.
func (b *tab) str(script string) string {
	b.t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return s
}

// until waits for a script to be true, across pages.
func (b *tab) until(what, script string) {
	b.t.Helper()
	for end := time.Now().Add(15 * time.Second); !b.is(script); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("it never came about that %s; the page says:\n%s", what, b.str(`location.href + "\n" + JSON.stringify(document.querySelector("#text")?.value) + JSON.stringify(sessionStorage) + "\n" + document.body.innerText`))
		}
	}
}

// login goes in by a one-time link.
func (b *tab) login(r *rig, p *person, next string) {
	b.t.Helper()
	var link struct{ Link string }
	r.admin.must("POST", "/v1/admin/links", map[string]any{"person": p.ID}, &link)
	b.open("/login?next=" + url.QueryEscape(next) + "#" + link.Link)
	b.until("the link leads on", fmt.Sprintf(`location.pathname === %q && document.readyState === "complete"`, next))
}

// texts are what the page shows as said, in its order.
func (b *tab) texts() (out []string) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.str(`JSON.stringify([...document.querySelectorAll("#said > li > p:not(.did, .ask)")].map(p => p.textContent))`)), &out); err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *tab) untilSaid(n int) {
	b.t.Helper()
	b.until(fmt.Sprintf("%d messages are there", n), fmt.Sprintf(`document.querySelectorAll("#said > li").length === %d && document.querySelector("#pending").hidden`, n))
}

// live waits until the page follows its room.
func (b *tab) live() {
	b.t.Helper()
	b.until("the page follows its room", `document.querySelector("#room")?.dataset.live === "yes"`)
}

const lastAnswer = "#said > li.agent:last-of-type "

// shots takes pictures of a page, wide and narrow, light and dark, where
// RAPPORT_SCREENSHOTS says.
func (b *tab) shots(name string) {
	dir := os.Getenv("RAPPORT_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.t.Helper()
	for _, wide := range []int64{390, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			b.do("a picture", chromedp.EmulateViewport(wide, 844), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				return err
			}), chromedp.Sleep(100*time.Millisecond))
			png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if name == "growth" {
				png, err = chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, wide, scheme)), png, 0o644)
			}
			if err != nil {
				b.t.Fatal(err)
			}
			if w := b.str(`String(document.documentElement.scrollWidth)`); w != fmt.Sprint(wide) {
				b.t.Errorf("%s at %d is %s wide", name, wide, w)
			}
		}
	}
}

// TestBrowser is what a person lives through, in a real browser.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser is no part of the short suite")
	}
	ctx := startBrowser(t)
	r := run(t, t.TempDir())
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, *rig)
	}{
		{"first minute", browseFirstMinute}, {"keyboard", browseByKeyboard}, {"double submit", browseTwiceSent}, {"guest", browseAsGuest},
		{"markup", browseMarkup}, {"two tabs", browseTwoTabs}, {"reconnect", browseReconnect}, {"login ends", browseLoginEnds}, {"asked", browseAsked},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, ctx, r.in(t)) })
	}
}

// in is the rig for a part of a test.
func (r *rig) in(t testing.TB) *rig {
	d := *r
	d.t = t
	w := &witness{t: t, doc: r.witness.doc, seen: map[string]bool{}}
	d.witness = w
	d.admin = d.as("", r.LocalToken())
	return &d
}

// browseFirstMinute: link, agent, talk, a reply as it is written, shorter, why,
// thumb, the rating on the growth page, the sheet at the end, undo.
func browseFirstMinute(t *testing.T, ctx context.Context, r *rig) {
	ada := r.person("Ada")
	b := browser(t, ctx, r.URL())
	b.open("/")
	b.until("nobody is sent to log in", `location.pathname === "/login" && location.search.includes("next=")`)
	b.shots("login")
	b.login(r, ada, "/")
	if hash := b.str(`location.href`); strings.Contains(hash, "#") {
		t.Errorf("the link's secret stays in the address: %s", hash)
	}
	b.write("#name", "Luna")
	b.write("#description", "A patient friend who loves the sea.")
	b.click("#new button")
	b.until("the talk opens", `location.pathname === "/talk/luna"`)
	b.live()
	if !strings.Contains(b.str(`document.querySelector(".with .model").textContent`), "not an AI model") {
		t.Error("the demo does not say what it is")
	}
	b.do("watch", chromedp.Func(func(ctx context.Context, tt *chromedp.Target) error {
		_, err := chromedp.Evaluate[bool](`(window.parts = 0, new MutationObserver(() => { window.parts++ }).observe(document.querySelector("#pending p"), {childList: true}), true)`)(ctx, tt)
		return err
	}))
	b.write("#text", "How do rainbows work, and why are they round?"+kb.Enter)
	b.untilSaid(2)
	if !b.is(`window.parts >= 2`) {
		t.Error("the answer was not shown while it was written")
	}
	first := b.texts()[1]
	b.click(lastAnswer + ".tones summary")
	b.click(lastAnswer + `[data-value="shorter"]`)
	b.until("the page says what the button did", `document.querySelector("`+lastAnswer+`.did").textContent === "brevity +0.15 for this session; evidence for later"`)
	b.shots("talk")
	b.write("#text", "How do rainbows work, and why are they round?"+kb.Enter)
	b.untilSaid(4)
	if second := b.texts()[3]; len(second) >= len(first) {
		t.Errorf("after “shorter” the answer has %d characters, before %d", len(second), len(first))
	}
	b.click(lastAnswer + ".why summary")
	b.until("why is answered", `document.querySelector("`+lastAnswer+`.because").innerText.includes("You asked for it: brevity 0.")`)
	b.shots("why")
	b.click(lastAnswer + `[data-value="up"]`)
	b.until("the page says what the thumb did", `/counts/.test(document.querySelector("`+lastAnswer+`.did").textContent)`)
	if !b.is(`document.querySelector("` + lastAnswer + `[data-value=up]").ariaPressed === "true"`) {
		t.Error("a thumb given does not show")
	}
	b.open("/talk/luna")
	b.until("a thumb given shows again", `document.querySelector("`+lastAnswer+`[data-value=up]")?.ariaPressed === "true"`)
	b.live()
	b.click("#end")
	b.until("after a short talk nobody is asked", `document.querySelector("#room").dataset.ask === "none" && !document.querySelector("#sheet").open`)
	b.click("#rate")
	b.until("the sheet opens by hand", `document.querySelector("#sheet").open`)
	b.shots("sheet")
	b.click(`#sheet [value="good"]`)
	b.until("the rating is thanked for", `document.querySelector("#status").textContent.includes("good")`)
	r.settle()

	b.open("/growth/luna")
	for _, said := range []string{"thumb up", "asked: shorter", "the talk was good"} {
		b.until("the growth page shows "+said, fmt.Sprintf(`document.body.innerText.includes(%q)`, said))
	}
	b.do("move a slider", chromedp.Focus("#x-humor"))
	b.press(kb.End)
	b.until("the preview shows another line", `document.querySelector("#lines ins")?.textContent.includes("Humor 100/100")`)
	b.click("#keep")
	b.until("the levels are kept", `document.querySelector("#growth")?.dataset.version === "2" && document.querySelector("#status").textContent.includes("Kept")`)
	b.shots("growth")
	b.click("#pin-humor")
	b.until("humor is pinned", `document.querySelector("#growth")?.dataset.version === "3" && document.querySelector("#pin-humor").checked`)
	b.click("#undo")
	b.until("it is undone", `document.querySelector("#growth")?.dataset.version === "4" && !document.querySelector("#pin-humor").checked`)
	b.click("#kill")
	b.until("it is stopped", `document.querySelector("#revive") !== null`)
	b.click("#revive")
	b.until("it goes on", `document.querySelector("#kill") !== null`)
	b.click("#pause")
	b.until("learning is paused", `document.querySelector("#resume") !== null`)
	b.click("#resume")
	b.until("learning goes on", `document.querySelector("#pause") !== null`)
	b.open("/")
	b.shots("home")
	b.click("#logout")
	b.until("it is over", `location.pathname === "/login"`)
}

// browseAsked: what the server asks, where it does: how Nia is doing lately after a
// week, the thumbs under an answer, the sheet after a longer talk; and how to be asked
// less.
func browseAsked(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Ida")
	nia := p.make("Nia", nil)
	for range 4 { // they get to know each other
		for range 7 {
			nia.say(question)
			r.clock.advance(80 * time.Second)
		}
		p.must("POST", "/v1/rooms/"+nia.room+"/end", nil, nil)
		r.clock.advance(20 * time.Hour)
	}
	r.clock.advance(7 * 24 * time.Hour)
	r.settle()
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/")
	b.until("the check-in is there", `!document.querySelector("#asked").hidden && document.querySelector("#asked").innerText.includes("How is Nia doing for you lately?")`)
	b.shots("check-in")
	b.click(`#asked [value="better"]`)
	b.until("it is thanked for", `document.querySelector("#asked .thanks").textContent.includes("better") && document.querySelector("#asked .lately").hidden`)

	r.clock.advance(25 * time.Hour)
	b.open("/talk/nia")
	b.live()
	for i := range 7 {
		nia.say(question)
		r.clock.advance(40 * time.Second)
		if i == 0 {
			b.until("the thumbs are emphasised", `document.querySelector("`+lastAnswer+`.raise.asked") !== null && !document.querySelector("`+lastAnswer+`.ask").hidden`)
			b.shots("inline")
		}
	}
	// every fifth, or from half of that on where a session tries a new tone, as chance has it
	if n := b.str(`String(document.querySelectorAll(".raise.asked").length)`); n != "1" && n != "2" && n != "3" {
		t.Errorf("thumbs are emphasised under %s of seven answers", n)
	}
	b.click("#end")
	b.until("the sheet opens", `document.querySelector("#sheet").open`)
	b.shots("asked-sheet")
	b.click(`#sheet [value="good"]`)
	b.until("the rating is thanked for", `document.querySelector("#status").textContent.includes("good")`)
	var why feedback.Why
	if p.must("GET", "/v1/feedback/why?agent="+string(nia.ID), nil, &why); why.Asked != 2 || why.AskedAbout != 2 || why.PassedBy != 0 {
		t.Errorf("%+v", why)
	}
	answered := 0
	for _, one := range why.Prompts {
		if one.State == asking.Answered {
			answered++
		}
	}
	if answered != 2 {
		t.Errorf("%+v", why.Prompts)
	}

	b.open("/growth/nia")
	b.do("look at asking", chromedp.ScrollIntoView("#asking"))
	b.shots("asking")
	b.click("#ask-gentle")
	b.until("it is gentle", `document.querySelector("#ask-gentle")?.checked && document.querySelector("#status").textContent.includes("gentle")`)
	b.open("/")
	b.click("details summary")
	b.until("the budget is there", `document.querySelector("#budget").value === "6"`)
	b.str(`(() => { const e = document.querySelector("#budget"); e.value = 0; e.dispatchEvent(new Event("change")); return "" })()`)
	b.until("it is set", `document.querySelector("#budgeted").textContent === "You are not asked."`)
	b.shots("home-asking")
	if p.must("GET", "/v1/feedback/why?agent="+string(nia.ID), nil, &why); why.Budget != 0 || why.Intensity != "gentle" || why.CheckIn.Code != "no_budget" {
		t.Errorf("%+v", why)
	}
}

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
	b.until("the greeting is text", `document.querySelector("#empty").textContent.includes("onerror")`)
	b.write("#text", script+image+kb.Enter)
	b.untilSaid(2)
	if said := b.texts()[0]; said != script+image {
		t.Errorf("said %q", said)
	}
	last := a.say("and " + image)
	p.must("POST", "/v1/feedback", map[string]string{"kind": "comment", "comment": script + image, "messageId": string(last.ID)}, nil)
	p.must("POST", "/v1/feedback", map[string]string{"kind": "correction", "correction": script + image, "messageId": string(last.ID)}, nil)
	r.settle()
	b.untilSaid(4)
	b.open("/growth/" + a.Slug)
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
