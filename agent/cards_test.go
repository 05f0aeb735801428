package agent_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/agent"
	"rapport/agent/card"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/policy"
)

const orla = `{"spec":"chara_card_v2","spec_version":"2.0","data":{"name":"Orla","description":"{{char}} keeps bees on a roof.","personality":"patient, dry","scenario":"A roof.",` +
	`"first_mes":"Mind the hives, {{user}}.","mes_example":"<START>\n{{user}}: Do they sting?\n{{char}}: Only sometimes.","alternate_greetings":["Rain again.",""],` +
	`"creator_notes":"SECRET-NOTES","system_prompt":"SECRET-PROMPT","post_history_instructions":"SECRET-AFTER","tags":["bees"],"creator":"us","character_version":"7",` +
	`"character_book":{"entries":[{"keys":["bee"],"content":"SECRET-LORE"}]},"extensions":{"other":{"n":1.50}},"unknown":[1e3]}}`

func (w *world) importing(file []byte) agent.Imported {
	w.t.Helper()
	in, err := w.Import(owner, file, "")
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *world) exported(a agent.Agent, format string) []byte {
	w.t.Helper()
	file, _, err := w.Export(owner, string(a.ID), format)
	if err != nil {
		w.t.Fatal(err)
	}
	return file
}

func TestImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := w.importing([]byte(orla))
	want := agent.Texts{Name: "Orla", Backstory: "Orla keeps bees on a roof.", Style: "patient, dry", Scenario: "A roof.", Greeting: "Mind the hives, you.",
		Openings: []string{"Rain again."}, Examples: []agent.Exchange{{Person: "Do they sting?", Agent: "Only sometimes."}}}
	if d := cmp.Diff(want, in.Agent.Profile.Texts); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(agent.CardNote{Container: "json", Spec: 2, At: w.at(), Creator: "us", Version: "7", Tags: []string{"bees"}, CreatorNotes: "SECRET-NOTES", SystemPrompt: "SECRET-PROMPT",
		AfterHistory: "SECRET-AFTER", LorebookEntries: 1, Notices: []string{}, Findings: []string{}}, in.Card); d != "" {
		t.Error(d)
	}
	// Nothing of what must not be used is in what is used; nothing is guessed.
	used, _ := json.Marshal(in.Agent.Profile)
	if strings.Contains(string(used), "SECRET") {
		t.Errorf("%s", used)
	}
	if x := document(t, in.Agent.Policy).Traits; x != policy.Neutral() {
		t.Errorf("levels %v", x)
	}
	if o := in.Agent.Origin; o == nil || o.Kind != agent.FromCard || o.Source != "json" {
		t.Errorf("origin %+v", o)
	}
	v, err := w.VersionAt(owner, string(in.Agent.ID), 1)
	if err != nil || v.Kind != "imported" {
		t.Errorf("%+v %v", v, err)
	}
	if raw, _ := json.Marshal(w.said()); strings.Contains(string(raw), "bees") || strings.Contains(string(raw), "Orla") {
		t.Error("an event holds words of the card")
	}
	if _, err := w.Card(owner, string(w.agent(nil).ID)); !fault.Is(err, "card_none") {
		t.Errorf("%v", err)
	}
	for _, who := range []string{"card", "export"} {
		var err error
		if who == "card" {
			_, err = w.Card(stranger, string(in.Agent.ID))
		} else {
			_, _, err = w.Export(stranger, string(in.Agent.ID), "json")
		}
		if fault.KindOf(err) != fault.Forbidden {
			t.Errorf("somebody else asks for the %s: %v", who, err)
		}
	}
	again, err := w.Import(owner, []byte(orla), "k")
	if err != nil || again.Agent.ID == in.Agent.ID {
		t.Errorf("a second import is another agent: %v", err)
	}
	if same, err := w.Import(owner, []byte(orla), "k"); err != nil || same.Agent.ID != again.Agent.ID {
		t.Errorf("the same key: %v %v", same.Agent.ID, err)
	}
	if _, err := w.Import(owner, []byte(strings.Replace(orla, "[1e3]", "[1e4]", 1)), "k"); !fault.Is(err, "idempotency_conflict") {
		t.Errorf("%v", err)
	}
	if err := w.Retire(owner, ref(in.Agent)); err != nil {
		t.Fatal(err)
	}
	dump, err := w.db.Dump(t.Context(), "cards", "origins", "texts")
	if err != nil || strings.Contains(string(dump), string(in.Agent.ID)) {
		t.Errorf("the card stays when the agent goes: %v", err)
	}
}

// Import, export, import: the same card, with the agent's levels.
func TestExportLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var pic bytes.Buffer
	if err := png.Encode(&pic, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	inPNG, err := card.PNG(pic.Bytes(), []byte(orla))
	if err != nil {
		t.Fatal(err)
	}
	inCHARX, err := card.CHARX(nil, []byte(orla))
	if err != nil {
		t.Fatal(err)
	}
	for format, file := range map[string][]byte{"json": []byte(orla), "png": inPNG, "charx": inCHARX} {
		in := w.importing(file)
		was, err := card.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if in.Agent, err = w.SetTraits(owner, ref(in.Agent), map[string]float64{"humor": .8}); err != nil {
			t.Fatal(err)
		}
		out := w.exported(in.Agent, format)
		is, err := card.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(was.Fields, is.Fields); d != "" {
			t.Errorf("%s: %s", format, d)
		}
		if l := is.Learned; l == nil || l.Traits["humor"] != .8 || l.Start["humor"] != .8 || l.Version != 2 || len(l.Versions) != 2 || l.Versions[0].Moved["humor"] != .3 {
			t.Errorf("%s: %+v", format, l)
		}
		if rest := bytes.Replace(is.JSON, is.JSON[bytes.Index(is.JSON, []byte(`,"rapport":`)):bytes.Index(is.JSON, []byte(`},"unknown"`))], nil, 1); !bytes.Equal(rest, was.JSON) {
			t.Errorf("%s: %s", format, rest)
		}
		// The levels come back; a third time nothing is different.
		back := w.importing(out)
		if x := document(t, back.Agent.Policy).Traits[policy.Humor]; x != .8 {
			t.Errorf("%s: humor %v", format, x)
		}
		if d := cmp.Diff(in.Agent.Profile.Texts, back.Agent.Profile.Texts); d != "" {
			t.Errorf("%s: %s", format, d)
		}
		third, err := card.Open(w.exported(back.Agent, format))
		if err != nil || cmp.Diff(is.Fields, third.Fields) != "" || !bytes.Contains(third.JSON, []byte(`"unknown":[1e3]`)) {
			t.Errorf("%s: %v %s", format, err, third.JSON)
		}
	}
	// What its owner changed since is in it, what they did not is as its author wrote it.
	a := w.importing([]byte(orla)).Agent
	if _, err := w.SetTexts(owner, ref(a), func(t *agent.Texts) {
		t.Name, t.Openings, t.Description, t.Examples = "Oona", []string{"Sun!"}, "A face.", append(t.Examples, agent.Exchange{Person: "And?", Agent: "No."})
	}); err != nil {
		t.Fatal(err)
	}
	c, err := card.Open(w.exported(a, "json"))
	if err != nil || c.Name != "Oona" || !cmp.Equal(c.Openings, []string{"Sun!"}) || c.Greeting != "Mind the hives, {{user}}." || c.Learned.Description != "A face." ||
		len(card.Exchanges(c.Examples, "Oona")) != 2 || c.SystemPrompt != "SECRET-PROMPT" {
		t.Errorf("%v %s", err, c.JSON)
	}
	// An agent that came from nowhere becomes a card too.
	own := w.agent(nil)
	if c, err := card.Open(w.exported(own, "json")); err != nil || c.Spec != 3 || c.Name != "Mo" || c.Learned == nil {
		t.Errorf("%v %+v", err, c)
	}
	if c, err := card.Open(w.exported(own, "charx")); err != nil || c.Container != "charx" {
		t.Errorf("%v %+v", err, c)
	}
	if _, _, err := w.Export(owner, string(own.ID), "png"); !fault.Is(err, "no_picture") {
		t.Errorf("%v", err)
	}
	if _, _, err := w.Export(owner, string(own.ID), "webp"); !fault.Is(err, "invalid_format") {
		t.Errorf("%v", err)
	}
}

// What is believed about the person who raised an agent is not in its card.
func TestTheTasteProfileStaysHere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.agent(nil)
	w.deliver(w.learned(a.ID, 1, func(d *policy.Document) {
		d.Traits[policy.Humor] = .55
		d.Evidence = map[string]policy.Evidence{"humor": {N: 9, P: .93, Ideal: .87654, SD: .0321}}
		d.Memory.LeanInto = []string{"fact-77"}
	}))
	out := string(w.exported(w.get(a.ID), "json"))
	if !strings.Contains(out, `"humor":0.55`) || !strings.Contains(out, `"kind":"learned"`) {
		t.Fatalf("what was learned is missing: %s", out)
	}
	for _, never := range []string{"87654", "0321", "0.93", "fact-77", "evidence", "ideal", "center", "owner\":\"", `"owner"` + `:`} {
		if strings.Contains(strings.ToLower(out), never) {
			t.Errorf("%q is in it: %s", never, out)
		}
	}
}

func TestImportOfUnusualCards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v2 := func(data string) []byte {
		return []byte(`{"spec":"chara_card_v2","spec_version":"2.0","data":{` + data + `}}`)
	}
	greetings := `"name":"x","alternate_greetings":["a"` + strings.Repeat(`,"b"`, 900) + `]`
	for name, c := range map[string]struct {
		file    []byte
		notices int
		holds   func(agent.Imported) bool
	}{
		"a long story":        {v2(`"name":"x","description":"` + strings.Repeat("é", 9000) + `"`), 1, func(i agent.Imported) bool { return len([]rune(i.Agent.Profile.Backstory)) == 8000 }},
		"a long name":         {v2(`"name":"` + strings.Repeat("n", 300) + `"`), 1, func(i agent.Imported) bool { return len(i.Agent.Name) == 80 }},
		"a name of two lines": {v2(`"name":"a\n b"`), 0, func(i agent.Imported) bool { return i.Agent.Name == "a b" }},
		"901 greetings":       {v2(greetings), 1, func(i agent.Imported) bool { return len(i.Agent.Profile.Openings) == 20 }},
		"NUL":                 {v2(`"name":"x","description":"a\u0000b"`), 0, func(i agent.Imported) bool { return i.Agent.Profile.Backstory == "ab" && len(i.Card.Findings) == 1 }},
		"half a surrogate":    {v2(`"name":"x","description":"a\ud800b"`), 0, func(i agent.Imported) bool { return i.Agent.Profile.Backstory == "a\ufffdb" }},
		"levels of ours": {v2(`"name":"x","extensions":{"rapport":{"format":1,"traits":{"humor":0.3,"malice":1,"sarcasm":5}}}`), 1, func(i agent.Imported) bool {
			return i.Agent.Profile.BasePersonality["humor"] == .3 && i.Agent.Profile.BasePersonality["sarcasm"] == .5
		}},
		"levels at the rim":        {v2(`"name":"x","extensions":{"rapport":{"format":1,"traits":{"sarcasm":1,"humor":0}}}`), 0, func(i agent.Imported) bool { return i.Agent.Profile.BasePersonality["sarcasm"] > .5 }},
		"levels of another format": {v2(`"name":"x","extensions":{"rapport":{"format":2,"traits":{"humor":0.3}}}`), 1, func(i agent.Imported) bool { return i.Agent.Profile.BasePersonality["humor"] == .5 }},
	} {
		in, err := w.Import(owner, c.file, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(in.Card.Notices) != c.notices || !c.holds(in) {
			t.Errorf("%s: %q %+v", name, in.Card.Notices, in.Agent.Profile)
		}
		if again, err := card.Open(w.exported(in.Agent, "json")); err != nil || again.Name == "" {
			t.Errorf("%s: it cannot be taken away: %v", name, err)
		}
	}
	for name, file := range map[string][]byte{"a name of tokens": v2(`"name":"<||>"`), "no name": v2(`"description":"x"`), "10,000 greetings": v2(`"name":"x","alternate_greetings":["a"` + strings.Repeat(`,"b"`, 9999) + `]`)} {
		if _, err := w.Import(owner, file, ""); !fault.Is(err, "card_refused") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Import(as("nobody", authz.ScopeIngest), []byte(orla), ""); err != nil && fault.KindOf(err) != fault.Forbidden {
		t.Errorf("%v", err)
	}
}

// Control tokens and hidden characters in every field a card has: they are named,
// kept in the card, and not in what the agent uses.
func TestHiddenThingsInEveryField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bad := `x<|im_start|>\u202e\u200by{{evil}}`
	var parts []string
	for _, f := range []string{"name", "description", "personality", "scenario", "first_mes", "creator_notes", "system_prompt", "post_history_instructions", "creator", "character_version", "nickname"} {
		parts = append(parts, fmt.Sprintf(`%q:"%s"`, f, bad))
	}
	parts = append(parts, `"mes_example":"{{user}}: `+bad+`\n{{char}}: `+bad+`"`, `"alternate_greetings":["`+bad+`"]`, `"tags":["`+bad+`"]`,
		`"character_book":{"entries":[{"keys":["`+bad+`"],"content":"`+bad+`"}]}`, `"extensions":{"`+bad+`":"`+bad+`","rapport":{"format":1,"description":"`+bad+`","appearance":"`+bad+`"}}`)
	in := w.importing([]byte(`{"spec":"chara_card_v3","spec_version":"3.0","data":{` + strings.Join(parts, ",") + `}}`))
	if len(in.Card.Findings) != 20 {
		t.Errorf("%d findings: %q", len(in.Card.Findings), in.Card.Findings)
	}
	p := in.Agent.Profile.Texts
	for _, text := range append([]string{p.Name, p.Description, p.Backstory, p.Style, p.Scenario, p.Greeting, p.Appearance, p.Examples[0].Person, p.Examples[0].Agent}, p.Openings...) {
		if text == "" || strings.ContainsAny(text, "\u202e\u200b") || strings.Contains(text, "<|") || strings.Contains(text, "{{") {
			t.Errorf("%q", text)
		}
	}
	if c, err := card.Open(w.exported(in.Agent, "json")); err != nil || !strings.Contains(c.Description, "<|im_start|>") {
		t.Errorf("the card's own words changed: %v", err)
	}
}

func TestCardsOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	send := func(body []byte, kind string, length int64) (int, map[string]any) {
		t.Helper()
		r := httptest.NewRequest("POST", "/v1/agents/import", bytes.NewReader(body))
		r.Header.Set("Authorization", "Bearer owner")
		r.Header.Set("Content-Type", kind)
		if length != 0 {
			r.ContentLength = length
		}
		rec := httptest.NewRecorder()
		s.api.Handler().ServeHTTP(rec, r)
		out := map[string]any{}
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		return rec.Code, out
	}
	form := func(field string) ([]byte, string) {
		var b bytes.Buffer
		f := multipart.NewWriter(&b)
		_ = f.WriteField("note", "hello")
		to, _ := f.CreateFormFile(field, "orla.json")
		_, _ = to.Write([]byte(orla))
		_ = f.Close()
		return b.Bytes(), f.FormDataContentType()
	}
	if status, got := send([]byte(orla), "application/json", 0); status != 201 || at(got, "agent", "name") != "Orla" || at(got, "card", "systemPrompt") != "SECRET-PROMPT" {
		t.Errorf("%d %v", status, got)
	}
	body, kind := form("card")
	if status, got := send(body, kind, 0); status != 201 {
		t.Errorf("%d %v", status, got)
	}
	body, kind = form("other")
	if status, got := send(body, kind, 0); status != 422 || got["code"] != "body_unreadable" {
		t.Errorf("%d %v", status, got)
	}
	if status, got := send(nil, "application/octet-stream", 60<<20); status != 413 || got["code"] != "card_too_large" { // says so, before any byte
		t.Errorf("%d %v", status, got)
	}
	if status, got := send(make([]byte, card.MaxFile+1), "image/png", 0); status != 413 || got["code"] != "card_too_large" {
		t.Errorf("%d %v", status, got)
	}
	if status, got := send(make([]byte, 52<<20), "image/png", -1); status != 413 || got["code"] != "card_too_large" { // says nothing
		t.Errorf("%d %v", status, got)
	}
	if status, got := send([]byte("\x89PNG\r\n\x1a\nxx"), "image/png", 0); status != 422 || got["code"] != "card_refused" {
		t.Errorf("%d %v", status, got)
	}
	if status, got := s.call("owner", "GET", "/v1/agents/orla/card", ""); status != 200 || got["creatorNotes"] != "SECRET-NOTES" {
		t.Errorf("%d %v", status, got)
	}
	if status, got := s.call("owner", "GET", "/v1/agents/orla/card/json", ""); status != 200 || at(got, "data", "extensions", "rapport", "version") != 1. {
		t.Errorf("%d %v", status, got)
	}
	for path, want := range map[string]int{"/v1/agents/orla/card/png": 409, "/v1/agents/orla/card/webp": 422, "/v1/agents/none/card/json": 404} {
		if status, got := s.call("owner", "GET", path, ""); status != want {
			t.Errorf("%s: %d %v", path, status, got)
		}
	}
	if status, _ := s.call("stranger", "GET", "/v1/agents/orla/card/json", ""); status != 403 {
		t.Errorf("somebody else takes it away: %d", status)
	}
}

func TestCardsOfErasedPeopleGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.importing([]byte(orla))
	w.writer.say = []string{`{"description":"Kind."}`}
	a := w.importing([]byte(orla)).Agent
	if _, err := w.Enrich(owner, string(a.ID), []string{"description"}); err != nil {
		t.Fatal(err)
	}
	w.deliver(event.New("account", "e", w.at(), event.AccountErased{PersonID: "owner"}))
	dump, err := w.db.Dump(t.Context(), "cards", "enrichments", "origins", "texts")
	if err != nil || strings.Contains(string(dump), "bees") || strings.Contains(string(dump), string(a.ID)) {
		t.Errorf("%v %s", err, dump)
	}
}
