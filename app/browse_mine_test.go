package app

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"rapport/event"
	"rapport/feedback"
)

// browseRaise: what an owner can say under an answer besides pressing a thumb, in one
// tab and seen in the other, and what becomes of it when it is taken back.
func browseRaise(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Una")
	sol := p.make("Sol", nil)
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/talk/sol")
	b.live()
	last := sol.say(question)
	b.untilSaid(2)
	two := b.another()
	two.open("/talk/sol")
	two.live()
	did := `document.querySelector("` + lastAnswer + `.did").textContent`
	b.click(lastAnswer + `[data-value="down"]`)
	b.until("reasons are there", `document.querySelectorAll("`+lastAnswer+`.reasons button").length > 10`)
	b.click(lastAnswer + `[data-value="too_long"]`)
	b.until("the page says what a reason asks for", did+` === "noted: more brevity is asked for"`)
	b.click(lastAnswer + `[data-value="too_short"]`)
	b.until("too long and too short are not both", `document.querySelector("`+lastAnswer+`[data-value=too_long]").ariaPressed === "false" && document.querySelector("`+lastAnswer+`[data-value=too_short]").ariaPressed === "true"`)
	two.until("the other tab shows the thumb", `document.querySelector("`+lastAnswer+`[data-value=down]").ariaPressed === "true"`)
	b.shots("reasons")
	b.click(lastAnswer + ".rest > summary")
	b.click(lastAnswer + ".better summary")
	b.until("what was said is there to be changed", `document.querySelector("`+lastAnswer+`.better textarea")?.value.length > 10`)
	b.str(`(document.querySelector("` + lastAnswer + `.better textarea").value = "Ha! Sunlight splits in drops, friend, and the drops all sit on a cone around you. Isn't that lovely?", "")`)
	b.shots("better")
	b.click(lastAnswer + ".better button:not(.undo)")
	b.until("the page says what it asks for", did+`.startsWith("kept; against what was said it asks for ")`)
	b.click(lastAnswer + ".remark summary")
	b.write(lastAnswer+".remark textarea", "Too dry for me")
	b.click(lastAnswer + ".remark button:not(.undo)")
	b.until("the comment is kept", did+`.startsWith("kept; it is under")`)
	b.click(lastAnswer + ".tones summary")
	b.shots("tones")
	b.click(lastAnswer + `[data-value="down"]`)
	b.until("the thumb is taken back", did+`.startsWith("taken back")`)
	two.until("in the other tab too", `document.querySelector("`+lastAnswer+`[data-value=down]").ariaPressed === "false"`)
	r.settle()
	b.open("/growth/sol")
	b.until("the growth page says that it counts no more", `document.body.innerText.includes("withdrawn; it counts no more")`)

	var given feedback.Page
	p.must("GET", "/v1/feedback?agent="+string(sol.ID), nil, &given)
	kinds := map[string]string{}
	for _, f := range given.Items {
		if f.MessageID == last.ID && f.PartOf == "" {
			kinds[f.Kind] += f.Status + " "
		}
	}
	if kinds[event.ChannelThumb] != "retracted " || kinds[event.ChannelReason] != "stored superseded " || kinds["correction"] != "stored " || kinds["comment"] != "stored " {
		t.Errorf("%v", kinds)
	}
}

// browseMine: what is held of somebody, what they allow, take back and make, and the
// end of it all.
func browseMine(t *testing.T, ctx context.Context, r *rig) {
	p := r.person("Pia")
	iris := p.make("Iris", nil)
	last := iris.say(question)
	p.must("POST", "/v1/feedback", map[string]string{"kind": "comment", "comment": "Lovely words", "messageId": string(last.ID)}, nil)
	p.give("thumb", "up", "messageId", string(last.ID))
	b := browser(t, ctx, r.URL())
	b.login(r, p, "/mine")
	b.until("feedback is listed", `document.body.innerText.includes("thumb up on Iris") && document.body.innerText.includes("Lovely words")`)
	if used := b.str(`document.querySelector("#spent ul").innerText`); !regexp.MustCompile(`^All together: \d+ of 1,000,000 tokens, cost 0\.0\d+\niris: \d+ tokens, cost 0\.0\d+$`).MatchString(used) {
		t.Errorf("what was used: %q", used)
	}
	two := b.another()
	two.open("/mine")
	room := `#room-` + iris.room
	before := b.is(`document.getElementById("room-` + iris.room + `").checked`)
	b.str(`(document.getElementById("room-` + iris.room + `").click(), "")`)
	b.until("the word on the room is kept", `document.querySelector("#status").textContent.includes("from now on")`)
	var in struct{ Consent bool }
	if p.must("GET", "/v1/rooms/"+iris.room, nil, &in); in.Consent == before {
		t.Errorf("%s is still %v", room, before)
	}
	if before {
		two.until("the other tab agrees", `document.getElementById("room-`+iris.room+`")?.checked === false`)
	} else {
		two.until("the other tab agrees", `document.getElementById("room-`+iris.room+`")?.checked === true`)
	}
	b.click("#read-all")
	b.until("reviewers may read", `document.querySelector("#status").textContent.includes("Reviewers may read") && document.getElementById("read-`+string(iris.ID)+`").checked`)
	var may feedback.ReviewConsent
	if p.must("GET", "/v1/me/review-consent", nil, &may); !may.Everywhere {
		t.Error("the word on reviewers did not arrive")
	}
	b.shots("mine")
	b.str(`(document.querySelector('[data-do^="DELETE /v1/feedback/"]').click(), "")`)
	b.until("it is taken back", `document.body.innerText.includes("taken back") && document.querySelector("#status").textContent.includes("everything it did")`)
	b.click("#emoji summary")
	b.write("#one", "not an emoji")
	b.click("#meaning button")
	b.until("what is none is refused where it stands", `document.querySelector("#meaning .note").textContent.includes("one emoji")`)
	b.str(`(document.querySelector("#one").value = "🙃", document.querySelector("#means").value = "-0.5", "")`)
	b.click("#meaning button")
	b.until("it has a meaning", `document.querySelector("#emoji .rows")?.innerText.includes("🙃 displeased")`)
	b.click("#emoji .rows button")
	b.until("it is as most see it", `document.querySelector("#emoji .rows") === null`)
	b.click("#take")
	b.until("the data is there", `document.querySelector("#status").textContent === "my-data.json is yours."`)
	b.str(`(document.querySelector("#token").closest("details").open = true, "")`)
	b.write("#token-name", "My program")
	b.click("#token button")
	b.until("the token's secret is shown", `document.querySelector("#made code")?.textContent.length > 20`)
	if made := b.str(`document.querySelector("#made").textContent`); !strings.Contains(made, r.URL()+"/v1") {
		t.Errorf("who made a token does not learn where to use it: %s", made)
	}
	if !strings.Contains(b.str(`document.querySelector("#made").textContent`), "once") {
		t.Error("it does not say that it is shown once")
	}
	for _, page := range []string{"/mine", "/points", "/reviews"} {
		b.open(page + "?after=garbage")
		b.until("a page that is none says so", `document.body.innerText.includes("Take the cursor")`)
	}
	b.open("/mine")
	b.write("#sure", "erase")
	b.click("#erase button")
	b.do("nothing happens", sleep(200*time.Millisecond))
	if !b.is(`document.querySelector("#erase") !== null`) {
		t.Fatal("half a word erases")
	}
	b.write("#sure", " me")
	b.shots("erase")
	b.click("#erase button")
	b.until("the proof is there", `document.querySelector("#state")?.textContent.startsWith("Every part") && document.querySelector(".hash").textContent.length === 64`)
	b.shots("erased")
	if receipt := b.str(`document.querySelector(".receipt").textContent`); r.as("", "").raw("GET", "/v1/erasures/"+receipt, nil).status != 200 {
		t.Error("the receipt opens nothing")
	}
	b.open("/mine")
	b.until("nobody is logged in", `location.pathname === "/login"`)
}
