package app

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// browseReview: somebody is invited to review, reads what that means, reviews with
// care and without, and spends what it earned; the owner reads the note. Nothing of it
// compares anybody.
func browseReview(t *testing.T, ctx context.Context, r *rig) {
	rita, bea, cleo := r.person("Rita"), r.person("Bea"), r.person("Cleo")
	orla := rita.make("Orla", nil)
	wren := cleo.make("Wren", nil)
	guest := orla.with(bea)
	for _, p := range []*person{rita, bea} {
		p.must("PUT", "/v1/me/review-consent", map[string]any{"consent": true}, nil)
	}
	b := browser(t, ctx, r.URL())
	b.login(r, cleo, "/reviews")
	b.until("it is by invitation", `document.body.innerText.includes("by invitation")`)
	r.admin.must("POST", "/v1/admin/reviewers", map[string]any{"personId": cleo.ID}, nil)
	b.open("/reviews")
	b.shots("invited")
	b.click("#accept")
	b.until("there is nothing yet", `document.querySelector("#none")?.textContent.includes("nothing to review just now")`)
	b.shots("desk-empty")
	guest.told("Orla, I worry about tomorrow")
	b.open("/reviews")
	b.until("an exchange is there", `document.querySelectorAll("#said > li").length === 2`)
	if shown := b.str(`document.querySelector("main").innerText`); strings.Contains(shown, "Orla") || strings.Contains(shown, "Bea") {
		t.Errorf("names are in it: %s", shown)
	}
	mark := func(words ...string) {
		t.Helper()
		for i, q := range []string{"inCharacter", "helpful", "kind"} {
			b.click(`#questions [name="` + q + `"][value="` + words[i] + `"]`)
		}
	}
	mark("clearly", "mostly", "clearly")
	b.write("#note", constructive)
	b.shots("desk")
	r.clock.advance(time.Minute)
	b.click("#mark button")
	b.until("it counts", `document.querySelector("#status").textContent.includes("It counts") && document.body.innerText.includes("A concrete first step".toLowerCase())`)

	guest.told("And what about the day after?")
	b.open("/reviews")
	b.until("another is there", `document.querySelectorAll("#said > li").length >= 2`)
	b.click("#skip")
	b.until("it is put away", `document.querySelector("#status").textContent.includes("Put away")`)
	guest.told("One more thing")
	b.open("/reviews")
	b.until("another is there", `document.querySelectorAll("#said > li").length >= 2`)
	mark("hardly", "hardly", "hardly")
	b.write("#note", "Only an idiot would answer somebody like that.")
	b.click("#mark button")
	b.until("it is set aside, and why", `document.querySelector("#status").textContent.includes("set aside") && document.body.innerText.includes("The note seems to have words that hurt.")`)
	b.click(`details:has([id^="appeal-"]) > summary`)
	b.write(`[id^="text-"]`, "I meant the weather.")
	b.click(`[id^="appeal-"] button`)
	b.until("the words are with it", `document.body.innerText.includes("Your words for whoever looks are with it.")`)
	b.shots("aside")

	boss := browser(t, ctx, r.URL())
	var link struct{ Link string }
	r.admin.must("POST", "/v1/admin/links", map[string]any{}, &link)
	boss.open("/login?next=/operator#" + link.Link)
	boss.until("it waits for an operator", `document.body.innerText.includes("I meant the weather.")`)
	boss.shots("operator")
	boss.click(`[value="refuse"]`)
	boss.write(`[id^="reason-"]`, "It puts people down.")
	boss.click(`[value="refuse"]`)
	boss.until("nothing waits any more", `document.body.innerText.includes("Nothing waits for you.")`)
	b.open("/reviews")
	b.until("its author reads why", `document.body.innerText.includes("It puts people down.")`)

	owner := browser(t, ctx, r.URL())
	owner.login(r, rita, "/growth/orla")
	owner.until("the owner reads the note", `document.querySelector("#notes")?.innerText.includes("a concrete first step")`)
	if strings.Contains(owner.str(`document.querySelector("#notes").innerText`), "Cleo") {
		t.Error("the owner learns who wrote it")
	}
	owner.str(`(document.querySelector('#notes input').click(), "")`)
	owner.until("it helped", `document.querySelector("#status").textContent.includes("it helped")`)

	b.open("/points")
	b.until("points are there", `document.querySelector("#balance").textContent === "4"`)
	b.until("what is missing is said", `document.body.innerText.includes("96 missing")`)
	b.shots("points")
	two := b.another()
	two.open("/points")
	two.until("it is open twice", `document.querySelector("#balance").textContent === "4"`)
	b.click(`[name="look"][value="ember"]`)
	b.click("#buy-look button")
	b.until("it is spent", `document.querySelector("#balance").textContent === "3" && document.body.innerText.includes("Wren's frame, ember")`)
	two.until("the other tab agrees", `document.querySelector("#balance").textContent === "3"`)
	b.click("#buy-evening")
	b.until("the pass is there", `document.querySelector("#balance").textContent === "2" && document.querySelector(".evening") !== null`)
	r.settle()
	b.click("details:has(.evening) summary")
	b.write(".evening input", "Stars")
	b.str(`(() => { const f = document.querySelector(".evening"); f.requestSubmit(); f.requestSubmit(); return "" })()`)
	b.until("it opens its room", `location.pathname.startsWith("/room/") && document.body.innerText.includes("An evening on “Stars”")`)
	b.live()
	b.open("/points")
	b.click("details:has(.evening) summary")
	b.write(".evening input", "More stars"+kb.Enter)
	b.until("and no second one", `document.querySelector(".evening .note").textContent.includes("opened its room already")`)
	owner.open("/talk/" + wren.Slug)
	owner.until("everybody sees the frame", `document.querySelector("h1 .look-ember") !== null`)

	end := r.clock.Now().Add(7 * 24 * time.Hour).UnixMicro()
	r.admin.must("POST", "/v1/admin/goals", map[string]any{"title": "Together, 500 helpful notes this week", "counts": "helpful_notes", "target": 500, "endsAt": end, "effect": "archetype", "name": "storyteller"}, nil)
	b.open("/goals")
	b.until("the goal is there, and nobody's part", `document.body.innerText.includes("500 helpful notes this week") && document.body.innerText.includes("once five people take part") && document.querySelector("progress").value === 0`)
	b.shots("goals")
}
