package app

import (
	"context"
	"strings"
	"testing"

	"rapport/gateway/rule"
)

// browseRules: an operator reads proposals, tries one, ends that, publishes another
// one twice at once and goes back; nobody else sees any of it.
func browseRules(t *testing.T, ctx context.Context, r *rig) {
	const path = "/v1/admin/mapping-rules"
	const markup = `"><img src=x onerror=window.broken=1>`
	p := r.person("Lou")
	var d rule.Document
	p.must("GET", "/v1/mapping-rules", nil, &d)
	d.TraitToPrompt["humor"][0].Text = "Humor {level}/100: be grave; {degree} joke."
	b := browser(t, ctx, r.URL())
	var link struct{ Link string }
	r.admin.must("POST", "/v1/admin/links", map[string]any{}, &link)
	b.open("/login?next=/operator#" + link.Link)
	b.until("the first version is in force", `document.querySelector("#rules-1")?.innerText.includes("in force")`)
	propose := func(version string) {
		t.Helper()
		r.admin.must("POST", path, map[string]any{"rules": d, "note": "graver " + markup}, nil)
		r.ask("it is put to the test questions", func() bool {
			b.open("/operator")
			return b.is(`document.querySelector("#publish-` + version + `") !== null`)
		})
	}
	propose("2")
	b.until("what changes is shown as text", `document.querySelector("#rules-2").textContent.includes("be grave") && document.querySelector("#rules-2").textContent.includes("onerror")`)
	b.str(`(document.querySelector("#rules-2 details").open = true, "")`)
	b.shots("rules")
	b.click("#try-2 button")
	b.until("it is on trial, in words", `document.querySelector("#rules-2").innerText.includes("Tried on 50 % of the talks that begin: 0 with it, 0 without. Nothing can be said yet.")`)
	b.shots("rules-tried")
	b.click("#refuse-2")
	b.until("its trial has ended", `document.querySelector("#rules-2").innerText.includes("its trial ended") && document.querySelector("#publish-2") === null`)
	propose("3")
	b.str(`(() => { const p = document.querySelector("#publish-3"); p.click(); p.click(); return "" })()`)
	b.until("it is in force", `document.querySelector("#rules-3 .learned") !== null && document.querySelector("#back-1") !== null`)
	two := b.another()
	two.open("/operator")
	b.click("#back-1")
	b.until("the first is in force again", `document.querySelector("#rules-1 .learned") !== null`)
	two.until("the other tab agrees", `document.querySelector("#rules-1 .learned") !== null`)
	b.until("the page is there", `document.readyState === "complete"`)
	b.str(`(document.querySelector("#propose").click(), "")`) // the other tab lies before it
	b.until("without a model it says what to do", `document.querySelector("#status").textContent.includes("offline demo")`)
	if b.is(`window.broken === 1 || document.querySelector("main img") !== null`) {
		t.Error("a note became markup")
	}
	stranger := browser(t, ctx, r.URL())
	stranger.login(r, p, "/")
	stranger.open("/operator")
	if said := stranger.str(`document.body.innerText`); strings.Contains(said, "Mapping rules") || !strings.Contains(said, "You may not") {
		t.Errorf("somebody else reads %s", said)
	}
}
