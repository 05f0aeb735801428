package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rapport/feedback"
	"rapport/feedback/asking"
)

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
	b.until("the rating is thanked for", `document.querySelector("#status").textContent.includes("good") && !document.querySelector("#sheet .more").hidden`)
	b.click(`#sheet [data-value="helpful"]`)
	b.until("a reason is kept", `document.querySelector("#sheet [data-value=helpful]").ariaPressed === "true"`)
	b.click(`#sheet [data-value="helpful"]`)
	b.until("pressed again it is taken back", `document.querySelector("#sheet [data-value=helpful]").ariaPressed === "false"`)
	b.click(`#sheet [data-value="kind"]`)
	b.until("another one is kept", `document.querySelector("#sheet [data-value=kind]").ariaPressed === "true"`)
	b.write("#word", "It took its time")
	b.shots("sheet-more")
	b.click("#done")
	b.until("the sheet is closed", `!document.querySelector("#sheet").open`)
	r.settle()

	b.open("/growth/luna")
	for _, said := range []string{"thumb up", "asked: shorter", "the talk was good"} {
		b.until("the growth page shows "+said, fmt.Sprintf(`document.body.textContent.includes(%q)`, said)) // some fold away
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
	b.click("#done")
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
	b.until("what it may do by itself is there", `!document.querySelector("#cap").disabled && document.querySelector("#autonomy").value === "0" && document.querySelector("#zone").textContent.includes("UTC")`)
	b.str(`(() => { const e = document.querySelector("#quiet-from"); e.value = "20"; e.dispatchEvent(new Event("change")); return "" })()`)
	b.until("quiet hours are kept", `document.querySelector("#status").textContent.includes("Quiet from 20 to 8") && document.querySelector("#zone").textContent.includes(Intl.DateTimeFormat().resolvedOptions().timeZone.replaceAll("_", " "))`)
	b.str(`(() => { const e = document.querySelector("#autonomy"); e.value = "3"; e.dispatchEvent(new Event("change")); return "" })()`)
	b.until("autonomy needs trust, and the page says so", `document.querySelector("#status").textContent.includes("20 sessions") && document.querySelector("#autonomy").value === "0"`)
	b.click("#lately summary")
	b.until("what it did is told", `document.querySelector("#lately li")?.textContent.includes("spoke")`)
	b.do("look at it", chromedp.ScrollIntoView("#lately"))
	b.shots("unasked")
	b.click("#ask-gentle")
	b.until("it is gentle", `document.querySelector("#ask-gentle")?.checked && document.querySelector("#status").textContent.includes("gentle")`)
	b.open("/")
	b.until("its card says so", `document.querySelector(".asking select").value === "gentle"`)
	b.str(`(() => { const e = document.querySelector(".asking select"); e.value = "off"; e.dispatchEvent(new Event("change")); return "" })()`)
	b.until("it is kept", `document.querySelector("#kept").textContent === "You are asked about Nia: never."`)
	b.click("details:has(#budget) summary")
	b.until("the budget is there", `document.querySelector("#budget").value === "6"`)
	b.str(`(() => { const e = document.querySelector("#budget"); e.value = 0; e.dispatchEvent(new Event("change")); return "" })()`)
	b.until("it is set", `document.querySelector("#budgeted").textContent === "You are not asked."`)
	b.shots("home-asking")
	if p.must("GET", "/v1/feedback/why?agent="+string(nia.ID), nil, &why); why.Budget != 0 || why.Intensity != "off" || why.CheckIn.Code != "off" {
		t.Errorf("%+v", why)
	}
}
