package app

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// browseRoom: a room of two people and an agent each: made, joined by a link and by a
// short name, what everybody sees and what owners alone, consent, leaving.
func browseRoom(t *testing.T, ctx context.Context, r *rig) {
	rae, sam, odd := r.person("Rae"), r.person("Sam"), r.person("Odd")
	fern := rae.make("Fern", nil)
	moss := sam.make("Moss", nil)
	b := browser(t, ctx, r.URL())
	b.login(r, rae, "/")
	b.click("#gather summary")
	b.write("#title", "Kitchen")
	b.click("#group [name=agents]")
	b.str(`(() => { const f = document.querySelector("#group"); f.requestSubmit(); f.requestSubmit(); return "" })()`)
	b.until("the room opens", `location.pathname.startsWith("/room/")`)
	path := b.str(`location.pathname`)
	b.live()
	b.click("#here")
	b.until("who is here is shown", `document.querySelector("#people").open && document.querySelector("#people").innerText.includes("Fern")`)
	b.click("#people details summary")
	b.write("#short", "nobody-knows-it")
	b.press(kb.Enter)
	b.until("what is unknown is refused where it was written", `document.querySelector("#named .note").textContent !== ""`)
	b.str(`(document.querySelector("#short").value = "", "")`)
	b.write("#short", moss.Slug)
	b.press(kb.Enter)
	b.until("it is brought in", `document.querySelector("#here").textContent.includes("3")`)
	b.live()
	b.until("it says so", `document.querySelector("#status").textContent === "Moss is here."`)
	b.str(`(window.same = 1, document.dispatchEvent(new Event("members")), fetch("/v1/rooms").then(() => { window.asked = 1 }), "")`)
	b.until("the server answered", `window.asked === 1 || window.same !== 1`)
	if !b.is(`window.same === 1 && document.querySelector("#status").textContent === "Moss is here."`) {
		t.Error("a page is read anew for somebody who is on it already, and what it said is lost")
	}
	b.click("#here")
	b.click("#people details summary")
	b.click("#link")
	b.until("there is a link", `document.querySelector("#address").value.includes("/join#")`)
	b.shots("people")
	link := strings.TrimPrefix(b.str(`document.querySelector("#address").value`), r.URL())
	b.click("#close")

	guest := browser(t, ctx, r.URL())
	guest.open(link)
	guest.until("who is not logged in is asked to", `location.pathname === "/login" && !location.href.includes("#")`)
	guest.login(r, sam, "/join")
	guest.until("nothing of the secret is in sight", `!location.href.includes("#")`)
	guest.shots("join")
	guest.str(`(() => { const f = document.querySelector("#enter"); f.requestSubmit(); f.requestSubmit(); return "" })()`)
	guest.until("they are in", fmt.Sprintf(`location.pathname === %q`, path))
	guest.live()
	b.until("others see it", `document.querySelector("#here").textContent.includes("4")`)
	b.live()

	guest.write("#text", "@"+fern.Slug+" what do you think of tea?"+kb.Enter)
	b.until("the agent answers", `document.querySelectorAll("#said > li.agent").length === 1 && document.querySelector("#pending").hidden`)
	guest.until("everybody sees it", `document.querySelectorAll("#said > li.agent").length === 1`)
	if !b.is(`document.querySelector("#said > li.agent .raise") !== null && document.querySelector("#said > li.person.other b").textContent === "Sam"`) {
		t.Error("the owner cannot press anything, or does not see who spoke")
	}
	if guest.is(`document.querySelector("#said .raise") !== null`) {
		t.Error("a guest is asked to rate")
	}
	guest.click(lastAnswer + ".react summary")
	guest.shots("room-guest")
	guest.click(lastAnswer + `[data-emoji="😂"]`)
	b.until("a reaction is for everybody", `document.querySelector("`+lastAnswer+`.given").textContent === "😂"`)
	guest.until("one's own shows", `document.querySelector("`+lastAnswer+`.given [aria-pressed=true]") !== null`)
	guest.click(lastAnswer + `.given button`)
	b.until("it is taken back", `document.querySelector("`+lastAnswer+`.given").textContent === ""`)
	b.click(lastAnswer + `[data-value="up"]`)
	b.until("the owner's thumb counts", `document.querySelector("`+lastAnswer+`.did").textContent !== ""`)
	if guest.is(`document.querySelector("#said").innerText.includes("counts")`) {
		t.Error("others see what an owner pressed")
	}
	b.shots("room")
	guest.click("#here")
	if guest.is(`document.querySelector("#consent").checked`) {
		t.Error("consent was not asked for")
	}
	guest.click("#consent")
	guest.until("consent is kept", `document.querySelector("#status").textContent === "Allowed, from now on."`)

	stranger := browser(t, ctx, r.URL())
	stranger.login(r, odd, "/")
	stranger.open(path)
	stranger.until("a stranger does not learn that it is there", `document.body.innerText.includes("Nothing here")`)
	stranger.open("/join#WRONG")
	stranger.click("#enter button")
	stranger.until("a wrong link says what to do", `document.querySelector("#status").textContent.includes("ask for another one")`)

	b.click("#here")
	b.click("#people details summary")
	b.click("#link")
	b.until("there is another link", fmt.Sprintf(`document.querySelector("#address").value.includes("/join#") && !document.querySelector("#address").value.endsWith(%q)`, link))
	b.click("#unlink")
	b.until("it is ended", `document.querySelector("#made").hidden`)
	stranger.open(link)
	stranger.click("#enter button")
	stranger.until("an ended link brings nobody in", `document.querySelector("#status").textContent.includes("ask for another one")`)

	guest.click("#leave")
	guest.until("they left", `location.pathname === "/"`)
	if guest.is(`document.querySelector("#rooms") !== null`) {
		t.Error("a room that was left is still listed")
	}
	b.open("/")
	b.until("it is among the rooms", `document.querySelector("#rooms").innerText.includes("Kitchen")`)
	b.shots("home-rooms")
}

// browseRoomOdd: a room by keyboard, with words that look like markup, long names and a
// login that ends.
func browseRoomOdd(t *testing.T, ctx context.Context, r *rig) {
	const image = `"><img src=x onerror=window.broken=1>`
	p := r.person("Kim")
	p.must("POST", "/v1/agents", map[string]any{"name": "Bad " + image}, nil)
	long := strings.Repeat("Donaudampfschifffahrt", 3) + "👩‍👩‍👧"
	p.must("POST", "/v1/agents", map[string]any{"name": long}, nil)
	r.settle()
	var mine struct{ Items []struct{ ID string } }
	p.must("GET", "/v1/agents", nil, &mine)
	var room struct{ ID string }
	p.must("POST", "/v1/rooms", map[string]any{"title": image + long, "agents": []string{mine.Items[0].ID, mine.Items[1].ID}}, &room)
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/room/"+room.ID)
	b.live()
	b.press("Hello all", kb.Enter)
	b.until("it was said", `document.querySelectorAll("#said > li").length >= 1`)
	b.write("#text", image+kb.Enter)
	b.until("it is text", `[...document.querySelectorAll("#said > li p")].some(p => p.textContent.includes("onerror"))`)
	b.do("the people", focus("#here"))
	b.press(kb.Enter)
	b.until("the dialog opens", `document.querySelector("#people").open`)
	b.shots("room-long")
	b.press(kb.Escape)
	b.until("and closes, back where one was", `!document.querySelector("#people").open && document.activeElement.id === "here"`)
	if b.is(`window.broken === 1 || document.querySelector("main img") !== null`) {
		t.Error("what somebody wrote became markup")
	}
	b.open("/")
	b.until("it is listed as text", `document.querySelector("#rooms").innerText.includes("onerror")`)
	if b.is(`document.documentElement.scrollWidth > innerWidth`) {
		t.Error("a long name makes the page wider")
	}
	b.open("/room/" + room.ID)
	b.live()
	b.click("#here")
	r.clock.advance(40 * 24 * 3600e9)
	b.click("#consent")
	b.until("a login that ended is said", `!document.querySelector("#ended").hidden`)
}
