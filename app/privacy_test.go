package app

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/sqldb"
)

// guest lets somebody talk with an agent of another's for a while, react and leave,
// and gives all that the owner can read which names them.
func (c *companion) guest(p *person) *companion {
	c.p.rig.t.Helper()
	g := c.with(p)
	p.must("PUT", "/v1/rooms/"+g.room+"/consent", map[string]any{"consent": true}, nil)
	for range 3 {
		g.say(question)
		p.rig.clock.advance(20 * time.Second)
	}
	p.must("POST", "/v1/rooms/"+g.room+"/end", nil, nil)
	p.rig.settle()
	return g
}

// TestGuestsOnlyInAggregate: what guests do without saying reaches the owner of an
// agent as an aggregate of at least five, or not at all; nothing an owner reads names
// a guest.
func TestGuestsOnlyInAggregate(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	reads := []string{"/v1/feedback?agent=" + string(luna.ID), "/v1/agents", "/v1/reviews?agent=" + string(luna.ID)}
	for _, rest := range []string{"", "/learning", "/explanation", "/evaluation", "/audit", "/versions", "/proposals"} {
		reads = append(reads, luna.path(rest))
	}
	type numbers struct {
		EngagementScore         *float64
		AvgReward               float64
		ActionStats             map[string]any
		ConversationSuccessRate *float64
		TopicPreferences        map[string]any
	}
	var guests []*person
	for i := range 5 {
		p := r.person(fmt.Sprint("Visitor", i))
		guests = append(guests, p)
		luna.guest(p)
		var noticed int
		err := r.dbs["feedback"].Read(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Get(`select count(*) from feedback_events where source = 'implicit' and rater_id = $1`, []any{p.ID}, &noticed)
			return err
		})
		if err != nil || noticed == 0 {
			t.Fatalf("nothing was noticed of a guest: this test would show nothing (%v)", err)
		}
		for _, path := range reads {
			a := ada.raw("GET", path, nil)
			if a.status != 200 {
				t.Fatalf("%s: %d %s", path, a.status, a.body)
			}
			for _, g := range guests {
				if bytes.Contains(a.body, []byte(g.ID)) || bytes.Contains(a.body, []byte("Visitor")) {
					t.Errorf("after %d guests %s names one: %s", i+1, path, a.body)
				}
			}
		}
		var list struct {
			Items  []struct{ By, Source string }
			Guests []struct {
				Signal string
				Mean   float64
			}
		}
		ada.must("GET", reads[0], nil, &list)
		for _, one := range list.Items {
			if one.By != "you" && one.Source == "implicit" {
				t.Errorf("after %d guests the owner reads a single signal: %+v", i+1, one)
			}
		}
		var n numbers
		ada.must("GET", luna.path("/learning"), nil, &n)
		told := len(list.Guests) > 0 || n.EngagementScore != nil || n.AvgReward != 0 || len(n.ActionStats) > 0
		if told != (i+1 >= 5) {
			t.Errorf("after %d guests: aggregates %+v, numbers %+v", i+1, list.Guests, n)
		}
		for _, g := range list.Guests {
			if ten := g.Mean * 10; ten != float64(int(ten)) {
				t.Errorf("a mean finer than a tenth: %+v", g)
			}
		}
		e := luna.explanation()
		for _, one := range e.Ratings {
			if one.By != "you" && one.Channel == event.ChannelBehaviour {
				t.Errorf("the explanation shows what a guest did: %+v", one)
			}
		}
	}
}

// TestTooMuch: every limit answers 429 as a problem document with whole seconds to
// wait, and lets go after them.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	m := &matrix{rig: r}
	ada := m.member(false)
	forum := r.platform("forum")
	luna := ada.make("Luna", nil)
	s := luna.say(question)
	r.admin.must("POST", "/v1/people", map[string]string{"handle": "handled", "name": "Handled", "password": "correct horse"}, nil)
	for name, c := range map[string]struct {
		code string
		try  func(i int) answer
	}{
		"login": {"too_many_logins", func(int) answer {
			return r.as("", "").send("POST", "/v1/login", map[string]string{"handle": "handled", "password": "a wrong one"})
		}},
		"feedback": {"too_much_feedback", func(int) answer {
			return ada.send("POST", "/v1/feedback", map[string]any{"kind": "thumb", "value": "up", "messageId": s.ID})
		}},
		"export": {"too_many_exports", func(int) answer { return ada.raw("GET", "/v1/me/export", nil) }},
		"door": {"too_much_feedback", func(i int) answer {
			return forum.send("POST", "/v1/ingest/openai", map[string]any{"id": fmt.Sprint("chatcmpl-", event.NewID()), "rating": "up", "user": "one-person"})
		}},
	} {
		var a answer
		taken := 0
		for ; taken < 2000; taken++ {
			if a = c.try(taken); a.status == http.StatusTooManyRequests {
				break
			}
		}
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		if p := a.problem(); a.status != 429 || p.Code != c.code || p.Detail == "" || a.header.Get("Content-Type") != problemType || err != nil || wait < 1 {
			t.Errorf("%s after %d: %d %s, Retry-After %q", name, taken, a.status, a.body, a.header.Get("Retry-After"))
			continue
		}
		r.clock.advance(time.Duration(wait) * time.Second)
		if a := c.try(-1); a.status == http.StatusTooManyRequests {
			t.Errorf("%s: after the %d seconds it named: %d %s", name, wait, a.status, a.body)
		}
	}
}

// TestNoWordsElsewhere lets words that nobody else says go through everything, right
// and wrong, and looks for them where no words of people belong: the program's own
// log, metrics, events, refusals. It is not parallel: the program's log is one.
func TestNoWordsElsewhere(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	real := os.Stderr
	os.Stderr = file
	r := run(t, t.TempDir(), func(c *Config) { c.LogConf.Level = "debug" })
	os.Stderr = real
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	var refusals bytes.Buffer
	deny := func(p *person, method, path string, body any) {
		if a := p.send(method, path, body); a.status < 400 {
			t.Errorf("%s %s was taken: %d", method, path, a.status)
		} else {
			refusals.Write(a.body)
		}
	}
	p := r.tellEverything(luna, ada)
	forum := r.platform("forum")
	long := strings.Repeat("zanzibarlong ", 4000)
	in := "/v1/rooms/" + p.luna.room
	deny(p.person, "POST", in+"/messages", map[string]any{"text": long})
	deny(p.person, "POST", in+"/messages", map[string]any{"text": "zanzibarnul\x00"})
	deny(p.person, "POST", in+"/messages", map[string]any{"txt": "zanzibarfield"})
	deny(p.person, "POST", "/v1/feedback", map[string]any{"kind": "zanzibarkind", "value": "zanzibarvalue"})
	deny(p.person, "POST", "/v1/feedback", map[string]any{"kind": "comment", "messageId": event.NewID(), "comment": long})
	deny(p.person, "POST", "/v1/agents", map[string]any{"name": long})
	deny(p.person, "PATCH", "/v1/me", map[string]any{"name": long})
	deny(r.as("", ""), "POST", "/v1/login", map[string]any{"handle": "zanzibarhandle", "password": "zanzibarguess"})
	deny(r.admin, "POST", "/v1/people", map[string]any{"handle": "zanzibarhandle", "name": "zanzibartwice"})
	deny(forum, "POST", "/v1/ingest/openai", map[string]any{"zanzibarpayload": true})
	forum.send("POST", "/v1/events", item("zanzibaritem", "message.ingested", map[string]any{"room": "r", "message": "m", "who": map[string]string{"person": "zanzibarperson"}, "text": "zanzibartext"}), "Content-Type", oneEvent)
	r.settle()
	var bad struct{ ID string }
	p.must("POST", in+"/messages", map[string]any{"text": "A zanzibarunlawful message"}, &bad)
	r.admin.must("DELETE", in+"/messages/"+bad.ID, nil, nil) // which is logged
	p.erase()
	r.settle()
	metrics := r.admin.raw("GET", "/metrics", nil).body
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	logged, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`(?i)zanzibar\w*|correct horse`)
	for where, text := range map[string][]byte{"the log": logged, "the metrics": metrics, "a refusal": refusals.Bytes()} {
		if found := word.FindAllString(string(text), -1); len(found) > 0 {
			slices.Sort(found)
			t.Errorf("%s holds %q:\n%.2000s", where, slices.Compact(found), text)
		}
	}
	if len(metrics) == 0 || refusals.Len() == 0 || !bytes.Contains(logged, []byte(bad.ID)) {
		t.Error("nothing was looked at")
	}
	again := openApp(t, r.cfg.Data)
	events := 0
	err = again.eachEvent(t.Context(), func(rec eventlog.Record) bool {
		events++
		if found := word.Find(rec.Value); found != nil {
			t.Errorf("an event %s holds %q", rec.Type, found)
		}
		return false
	}, func(event.Event) error { return nil })
	if err != nil || events == 0 {
		t.Errorf("%d events, %v", events, err)
	}
}
