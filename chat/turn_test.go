package chat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/chat"
	"rapport/event"
)

// turns gives the turns of the messages said since the last call, nil for none.
func (w *world) turns() (out []*event.Turn) {
	w.Helper()
	for _, m := range payloads[event.MessageCreated](w, w.events()) {
		if m.Author.Kind == event.KindPerson {
			out = append(out, m.Turn)
		}
	}
	return out
}

func (w *world) answer(p event.PersonID, r chat.Room, to event.MessageID, text string) event.MessageID {
	w.Helper()
	m, err := w.Post(as(p), r.ID, chat.NewMessage{Text: text, ReplyTo: to}, "")
	w.must(err)
	return m.ID
}

// about is a turn without what the words tell.
func about(t *event.Turn) event.Turn {
	if t == nil {
		return event.Turn{}
	}
	x := *t
	x.Detector, x.Shift, x.Trouble = 0, 0, 0
	return x
}

func TestTurnOfTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.post(ada, r, "hi there")
	m := w.reply(luna, r, "1", "I love hiking in the mountains")
	w.post(ada, r, "What do you mean? I asked about the kitchen!")
	w.post(ada, r, "by the way, do you have any pets?")
	got := w.turns()
	if len(got) != 3 {
		t.Fatal(got)
	}
	same(t, event.Turn{To: luna, Chance: 1}, about(got[0]))
	same(t, event.Turn{To: luna, Chance: 1, About: m, Next: true, First: true}, about(got[1]))
	same(t, event.Turn{To: luna, Chance: 1, About: m}, about(got[2]))
	if got[1].Trouble < .5 || got[2].Trouble != 0 || got[2].Shift != 0 {
		t.Errorf("trouble of the first answer, nothing of the second: %+v %+v", got[1], got[2])
	}
	n := w.reply(luna, r, "2", "I see. My kitchen is blue")
	w.answer(ada, r, m, "and the mountains?")
	same(t, event.Turn{To: luna, Chance: 1, About: m}, about(w.turns()[0]))
	w.answer(ada, r, n, "blue is nice")
	same(t, event.Turn{To: luna, Chance: 1, About: n, First: true}, about(w.turns()[0]))
}

// Of several agents the one that is answered or called is spoken to, and where nothing
// says whom, nobody.
func TestTurnAmongMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}, People: []event.PersonID{bob, eve}})
	for _, p := range []event.PersonID{ada, bob} { // eve never said yes
		w.must(w.SetConsent(as(p), r.ID, true))
	}
	l := w.reply(luna, r, "1", "here is a recipe for bread")
	f, err := w.PostReply(t.Context(), chat.Reply{DecisionID: "2", AgentID: fox, RoomID: r.ID, ReplyTo: l, Text: "luna, bread is boring"})
	w.must(err)
	w.answer(ada, r, l, "how much flour?")       // to luna, through a chain of two agents
	w.answer(bob, r, f, "be nice, fox")          // to fox
	w.post(bob, r, "@luna thanks")               // called, answers her latest
	w.post(bob, r, "@luna @fox good night")      // both
	b := w.post(bob, r, "it rains in my street") // anybody
	w.answer(ada, r, b.ID, "here too")           // a person
	w.answer(eve, r, l, "how much salt?")        // no consent
	got := w.turns()
	want := []event.Turn{
		{To: luna, Chance: 1, About: l, First: true},
		{To: fox, Chance: 1, About: f, First: true},
		{To: luna, Chance: 1, About: l, Named: true, First: true},
		{}, {}, {}, {},
	}
	for i := range want {
		x := about(got[i])
		if i == 4 && x.Chance < .9 { // what the talk tells may be told, but is about nothing
			x.To, x.Chance = "", 0
		}
		if diff := cmp.Diff(want[i], x); diff != "" {
			t.Errorf("message %d:\n%s", i, diff)
		}
	}
}

// A service that was started anew finds what the one before would have.
func TestTurnsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna, fox}, People: []event.PersonID{bob}})
	w.must(w.SetConsent(as(ada), r.ID, true))
	w.must(w.SetConsent(as(bob), r.ID, true))
	words := strings.Fields("bread salt flour kernel yes why? no thanks luna fox mountain kitchen Bob: blue")
	again := func() *chat.Service {
		s, err := chat.New(t.Context(), w.db, chat.Options{Clock: w.time, People: cast{}, Agents: cast{}, Slugs: cast{}})
		w.must(err)
		return s
	}
	old, unclear := w.Service, 0
	for i := range 230 {
		w.pass(7 * time.Second)
		text := fmt.Sprint(words[i*7%13], " ", words[i*5%11], " ", words[i%12])
		if i%3 == 0 {
			w.reply([]event.AgentID{luna, fox}[i/3%2], r, fmt.Sprint(i), text)
			continue
		}
		who := []event.PersonID{ada, bob}[i%2]
		if i%40 != 1 {
			w.post(who, r, text)
			continue
		}
		// the same by both, each in a transaction that is undone in the table
		var two []event.Turn
		for _, s := range []*chat.Service{again(), old} {
			w.events()
			m, err := s.Post(as(who), r.ID, chat.NewMessage{Text: text}, "")
			w.must(err)
			x := w.turns()[0]
			if x == nil {
				x = &event.Turn{}
			}
			two = append(two, *x)
			if x.Chance > 0 && x.Chance < 1 {
				unclear++
			}
			w.undo(r, m.ID)
		}
		if diff := cmp.Diff(two[0], two[1]); diff != "" {
			t.Fatalf("line %d, anew and as before:\n%s", i, diff)
		}
		w.post(who, r, text)
	}
	if unclear == 0 {
		t.Error("the talk was never asked")
	}
}

func TestTurnsHoldNoWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	w.reply(luna, r, "1", "zebra")
	w.post(ada, r, "zebra?")
	for _, e := range w.events() {
		if strings.Contains(string(e.Data), "zebra") {
			t.Errorf("%s", e.Data)
		}
		if m, ok := strings.CutPrefix(string(e.Data), `"turn"`); ok && !json.Valid([]byte(m)) {
			t.Error(m)
		}
	}
}

// An edit says anew what the message is; a deletion says what it was about.
func TestEditedAndDeletedTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.talk(ada, luna)
	m := w.reply(luna, r, "1", "I love hiking in the mountains")
	said := w.post(ada, r, "great, which mountains?")
	w.post(ada, r, "and when?")
	before := w.turns()[0]
	_, err := w.Edit(as(ada), r.ID, said.ID, "What do you mean? That is wrong!")
	w.must(err)
	edited := payloads[event.MessageEdited](t, w.events())[0]
	if edited.PersonID != ada || !edited.Consent || about(edited.Turn) != about(before) || edited.Turn.Trouble <= before.Trouble {
		t.Errorf("%+v %+v, before %+v", edited, edited.Turn, before)
	}
	w.must(w.Delete(as(ada), r.ID, said.ID))
	same(t, []event.MessageDeleted{{RoomID: r.ID, MessageID: said.ID, PersonID: ada, About: m}}, payloads[event.MessageDeleted](t, w.events()))
}

func TestWhatPeopleHadToDoWithTheAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.group(ada, chat.NewRoom{Agents: []event.AgentID{luna}, People: []event.PersonID{bob, eve}})
	for _, p := range []event.PersonID{ada, bob, eve} {
		w.must(w.SetConsent(as(p), r.ID, true))
	}
	w.post(ada, r, "@luna hello")
	w.pass(time.Minute)
	first := w.reply(luna, r, "1", "hello Ada")
	w.pass(3 * time.Minute)
	w.answer(ada, r, first, "how are you?")
	second := w.reply(luna, r, "2", "well")
	b := w.post(bob, r, "@luna and me?")
	third := w.reply(luna, r, "3", "you too")
	w.post(ada, r, "@bob shall we go?")
	w.answer(bob, r, b.ID, "or stay")
	w.must(w.Remove(as(eve), r.ID, string(eve)))
	w.pass(time.Minute)
	_, err := w.End(as(ada), r.ID)
	w.must(err)
	got := map[event.PersonID]event.SessionPerson{}
	for _, p := range payloads[event.SessionEnded](t, w.events())[0].People {
		p.MedianChars, p.Sentiment, p.LatencyMilli, p.LeftAfter = 0, 0, 0, false
		got[p.PersonID] = p
	}
	same(t, map[event.PersonID]event.SessionPerson{
		ada: {PersonID: ada, Turns: 3, Consent: true, With: 2, WithMilli: 240_000, Answer: second, Others: 1, Stood: 60_000},
		bob: {PersonID: bob, Turns: 2, Consent: true, With: 1, Answer: third, Others: 1, Stood: 60_000},
		eve: {PersonID: eve, Gone: true, Spoken: 3},
	}, got)
}
