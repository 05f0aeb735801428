package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	blog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
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
	ctx, stop := context.WithTimeout(b.ctx, time.Minute)
	defer stop()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.base+path))
}

func focus(sel string) chromedp.Action[chromedp.Void] { return chromedp.Focus(sel) }

func sleep(d time.Duration) chromedp.Action[chromedp.Void] { return chromedp.Sleep(d) }

// click clicks once the page's modules are there to hear it and the thing lies still:
// a page that was read anew goes back to where the person was when it is there.
func (b *tab) click(sel string) {
	b.t.Helper()
	b.until(sel+" lies still", fmt.Sprintf(`(() => {
		const x = document.querySelector(%q);
		if (!x || document.readyState !== "complete") return false;
		x.scrollIntoView({ block: "nearest", behavior: "instant" });
		const { left, top } = x.getBoundingClientRect(), at = left + " " + top;
		window.still = at === window.stillAt ? window.still + 1 : 0;
		window.stillAt = at;
		return window.still >= 3;
	})()`, sel))
	b.do("click "+sel, chromedp.Click(sel))
}

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

// until waits for a script to be true, across pages: long, since many tabs share a
// machine that may be busy.
func (b *tab) until(what, script string) {
	b.t.Helper()
	for end := time.Now().Add(time.Minute); !b.is(script); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("it never came about that %s; the page says:\n%s", what, b.str(`location.href + "\n" + JSON.stringify(document.querySelector("#text")?.value) + JSON.stringify(sessionStorage) + " " + document.readyState + " " + document.visibilityState + " disabled " + document.querySelectorAll("button:disabled").length + "\n" + document.body.innerText`))
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
			if slices.Contains([]string{"growth", "mine", "unasked", "points", "aside", "fill", "home-more", "operator", "rules", "rules-tried"}, name) {
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
	r := run(t, t.TempDir(), func(c *Config) {
		c.Points.Look, c.Points.Evening = 1, 1
		c.Gateway.OwnerTokens, c.Provider.Prices = 1_000_000, "offline-demo=1/2"
	})
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, *rig)
	}{
		{"first minute", browseFirstMinute}, {"keyboard", browseByKeyboard}, {"double submit", browseTwiceSent}, {"guest", browseAsGuest},
		{"markup", browseMarkup}, {"two tabs", browseTwoTabs}, {"reconnect", browseReconnect}, {"trouble", browseTrouble}, {"login ends", browseLoginEnds}, {"asked", browseAsked},
		{"raise", browseRaise}, {"mine", browseMine}, {"review", browseReview}, {"beginnings", browseBeginnings},
		{"room", browseRoom}, {"odd room", browseRoomOdd}, {"rules", browseRules},
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
