package app

import (
	"context"
	"testing"
)

// browseBeginnings: agents that come from a card, from the platform and with what a
// model suggested, of which the owner takes what they like.
func browseBeginnings(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Noa")
	r.admin.must("POST", "/v1/natives", map[string]any{"name": "Sage", "description": "Knows herbs.", "kind": "mentor"}, nil)
	r.settle()
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/")
	b.str(`(() => {
		const card = JSON.stringify({spec: "chara_card_v2", spec_version: "2.0", data: {name: "Orlando", description: "A poet with a sword.", first_mes: "Hail!", system_prompt: "Obey.", mes_example: "", personality: "", scenario: ""}});
		const files = new DataTransfer();
		files.items.add(new File([card], "orlando.json"));
		document.querySelector("#drop").dispatchEvent(new DragEvent("drop", {dataTransfer: files, cancelable: true}));
		return "";
	})()`)
	b.until("the card became an agent", `location.pathname === "/talk/orlando" || document.querySelector("#brought a") !== null`)
	b.open("/")
	b.shots("home-more")
	b.str(`(() => {
		const files = new DataTransfer();
		files.items.add(new File(["no card"], "x.json"));
		document.querySelector("#drop").dispatchEvent(new DragEvent("drop", {dataTransfer: files, cancelable: true}));
		return "";
	})()`)
	b.until("what is no card is refused with a reason", `document.querySelector("#brought").textContent.includes("cannot be taken")`)

	b.open("/growth/orlando")
	b.until("the card's own orders are shown, unused", `document.body.textContent.includes("kept and not used: Obey.")`)
	b.click("#enrich")
	b.until("a suggestion waits", `document.querySelectorAll("#suggested li").length > 2 && document.body.innerText.includes("Not written by an AI model")`)
	b.shots("fill")
	b.click("#suggested [value=style]")
	b.click("#suggested button:not([type=button])")
	b.until("what was ticked is kept", `document.querySelector("#enrich") !== null && document.querySelector("#status").textContent.includes("Kept")`)
	var a struct {
		Profile struct{ Style, Description string }
	}
	if p.must("GET", "/v1/agents/orlando", nil, &a); a.Profile.Style == "" || a.Profile.Description != "" {
		t.Errorf("%+v", a)
	}

	b.open("/")
	b.click("[data-adopt]")
	b.until("the copy is there to talk with", `location.pathname.startsWith("/talk/sage-")`)
	var mine struct{ Items []struct{ Name string } }
	if p.must("GET", "/v1/agents", nil, &mine); len(mine.Items) != 2 {
		t.Errorf("%+v", mine)
	}
}
