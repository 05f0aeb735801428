package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/account"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/sqldb"
)

// canaries are words that one person alone ever says or is called, one for each
// place where words are kept.
var canaries = []string{"zanzibarhandle", "zanzibarname", "zanzibarsecond", "zanzibarmessage", "zanzibaredited", "zanzibarreplaced", "zanzibardeleted", "zanzibartitle", "zanzibarcomment",
	"zanzibarcorrection", "zanzibarwaiting", "zanzibartoken", "zanzibaragent", "zanzibarbackstory", "zanzibarexample", "zanzibarforeign", "zanzibarroom", "zanzibarpassword"}

// told is a person with something in every place, and what they were with.
type told struct {
	*person
	session string // a login
	luna    *companion
	own     *companion
}

// tellEverything makes a person who says every canary somewhere: as a guest of
// luna's, as an owner, in a group with others, through a platform.
func (r *rig) tellEverything(luna *companion, others ...*person) told {
	r.t.Helper()
	var made struct{ ID event.PersonID }
	r.admin.must("POST", "/v1/people", map[string]string{"handle": "zanzibarhandle", "name": "zanzibarname", "password": "zanzibarpassword"}, &made)
	p := told{person: r.as(made.ID, r.token(made.ID, "chat", "feedback", "agents"))}
	var link struct{ Link string }
	r.admin.must("POST", "/v1/admin/links", map[string]any{"person": p.ID}, &link)
	login := r.as(p.ID, "")
	var session struct{ Token string }
	login.must("POST", "/v1/login", map[string]string{"link": link.Link}, &session)
	login.Token, p.session = session.Token, session.Token
	login.must("PATCH", "/v1/me", map[string]string{"name": "zanzibarsecond"}, nil)
	login.must("POST", "/v1/tokens", map[string]any{"name": "zanzibartoken", "scopes": []string{"chat"}}, nil)

	// An agent of their own, with all its texts, rated and changed.
	p.own = p.make("zanzibaragent", map[string]float64{"humor": .7})
	p.must("PATCH", p.own.path(""), map[string]any{"backstory": "zanzibarbackstory", "examples": []map[string]string{{"person": "zanzibarexample", "agent": "zanzibarexample"}}}, nil)
	p.must("PUT", p.own.path("/traits"), map[string]any{"traits": map[string]float64{"humor": .6}}, nil)
	s := p.own.say("What about my zanzibarmessage then?")
	p.must("POST", "/v1/feedback", map[string]any{"kind": "thumb", "value": "up", "messageId": s.ID}, nil)
	p.must("POST", "/v1/feedback", map[string]any{"kind": "comment", "messageId": s.ID, "comment": "zanzibarcomment"}, nil)
	p.must("POST", "/v1/feedback", map[string]any{"kind": "correction", "messageId": s.ID, "correction": "zanzibarcorrection"}, nil)
	p.must("POST", "/v1/feedback", map[string]any{"kind": "comment", "messageId": event.NewID(), "comment": "zanzibarwaiting"}, nil) // waits for ever

	// A guest of Luna's, and a group with others.
	p.luna = luna.with(p.person)
	p.luna.say("Do you like the zanzibarmessage?")
	var room struct{ ID string }
	if a := p.send("POST", "/v1/rooms", map[string]any{"title": "zanzibartitle"}, "Idempotency-Key", "zanzibarroom"); json.Unmarshal(a.body, &room) != nil || room.ID == "" {
		r.t.Fatalf("%d %s", a.status, a.body)
	}
	in := "/v1/rooms/" + room.ID
	for _, o := range others {
		p.must("POST", in+"/members", map[string]any{"personId": o.ID}, nil)
	}
	p.must("POST", in+"/members", map[string]any{"agentId": luna.ID}, nil)
	p.must("PUT", in+"/consent", map[string]any{"consent": true}, nil)
	var m struct{ ID string }
	p.must("POST", in+"/messages", map[string]any{"text": "@luna what is a zanzibaredited?"}, &m)
	p.must("PATCH", in+"/messages/"+m.ID, map[string]any{"text": "@luna what is a zanzibarreplaced?"}, nil)
	p.must("POST", in+"/messages", map[string]any{"text": strings.Repeat("zanzibardeleted ", 400)}, &m)
	p.must("DELETE", in+"/messages/"+m.ID, nil, nil)
	for _, o := range others {
		o.must("POST", in+"/messages", map[string]any{"text": "I am of another opinion"}, &m)
		p.must("PUT", in+"/messages/"+m.ID+"/reactions/%F0%9F%91%8D", nil, nil)
	}
	r.settle()
	return p
}

func (p told) erase() (e account.Erasure) {
	p.rig.t.Helper()
	p.rig.as(p.ID, p.session).must("DELETE", "/v1/me", nil, &e)
	if e.State != "under_way" || e.Receipt == "" || e.Person != p.ID {
		p.rig.t.Fatalf("%+v", e)
	}
	return e
}

// finished waits until an erasure is everywhere.
func (r *rig) finished(receipt string) (e account.Erasure) {
	r.t.Helper()
	r.ask("the erasure is finished", func() bool {
		r.as("", "").must("GET", "/v1/erasures/"+receipt, nil, &e)
		return e.State == "finished"
	})
	return e
}

// leftovers says where one of the words still is: in any row of any table, in any
// event of the log, in any file.
func (r *rig) leftovers(words ...string) (found []string) {
	r.t.Helper()
	for _, name := range contexts {
		dump, err := r.dbs[name].Dump(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		table := ""
		for line := range bytes.Lines(dump) {
			if bytes.HasPrefix(line, []byte("-- ")) {
				table = strings.TrimSpace(string(line[3:]))
			}
			for _, w := range words {
				if bytes.Contains(bytes.ToLower(line), []byte(w)) {
					found = append(found, name+"."+table+" has "+w)
				}
			}
		}
	}
	err := r.eachEvent(r.t.Context(), every, func(e event.Event) error {
		for _, w := range words {
			if bytes.Contains(bytes.ToLower(e.Data), []byte(w)) {
				found = append(found, "the log: "+string(e.Type)+" has "+w)
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return append(found, inFiles(r.t, r.cfg.Data, words...)...)
}

func inFiles(t testing.TB, dir string, words ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data = bytes.ToLower(data)
		for _, w := range words {
			if bytes.Contains(data, []byte(w)) {
				found = append(found, filepath.Base(path)+" has "+w)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// pseudonymStays are the places where the pseudonym of somebody erased may stay, as
// docs/privacy.md says: what it says there is who, of nobody any more.
var pseudonymStays = []string{
	"account.erasures", "account.erased_rows", "account.operator_acts", "agent.erased_rows", "agent.known_people", "chat.erased_rows", "feedback.erased_rows", "feedback.erased", "gateway.erased_rows",
	"chat.messages", "chat.members", "chat.rooms", "chat.sessions", "chat.invitations", "feedback.feedback_events", "feedback.agents", "agent.audit", "agent.versions",
	"gateway.turns", "gateway.episodes", "gateway.decisions", "gateway.tail", "chat.agents",
}

// TestErasure erases a person who left something everywhere. Nothing they said or
// were called is in any table, event or file; the pseudonym only where it may be;
// the proof says what went, to the person and to the operator.
func TestErasure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := run(t, dir)
	ada, bob := r.person("Ada"), r.person("Bob")
	luna := ada.make("Luna", nil)
	p := r.tellEverything(luna, ada, bob)
	var before []string
	for _, w := range canaries {
		if len(r.leftovers(w)) > 0 {
			before = append(before, w)
		}
	}
	if len(before) < len(canaries)-6 { // a password, and on some engines replaced and deleted words, cannot be found even so
		t.Fatalf("only %q can be found before: the test would find nothing after", before)
	}

	receipt := p.erase()
	e := r.finished(receipt.Receipt)
	r.settle()
	if left := r.leftovers(canaries...); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	for _, where := range r.leftovers(string(p.ID)) {
		place, _, _ := strings.Cut(where, " ")
		if table := strings.Contains(place, ".") && !strings.Contains(place, ".db"); table && !slices.Contains(pseudonymStays, place) {
			t.Errorf("the pseudonym: %s", where)
		}
	}
	for name, tables := range map[string][]string{"account": {"people", "sessions", "tokens"}, "agent": {"agents", "texts", "versions", "audit"},
		"chat": {"messages", "members", "reactions", "consents", "idempotency"}, "feedback": {"feedback_events", "waiting", "evidence"}} {
		for _, table := range tables {
			if e.Rows[name][table] == 0 {
				t.Errorf("the proof counts nothing in %s.%s: %v", name, table, e.Rows[name])
			}
		}
	}
	if len(e.Hash) != 64 || e.FinishedAt < e.ErasedAt || e.Receipt != "" {
		t.Errorf("%+v", e)
	}
	var all []account.Erasure
	r.admin.must("GET", "/v1/admin/erasures", nil, &all)
	if len(all) != 1 || all[0].Hash != e.Hash || all[0].Person != p.ID {
		t.Errorf("the operator reads %+v", all)
	}
	if a := r.as("", "").raw("GET", "/v1/erasures/"+string(p.ID), nil); a.status != 404 {
		t.Errorf("the pseudonym is a receipt: %d", a.status)
	}
	sound(t, r)

	// What others said stays, and their agent goes on.
	luna.say(question)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left := inFiles(t, dir, canaries...); len(left) > 0 {
		t.Errorf("left in files of a stopped service:\n%s", strings.Join(left, "\n"))
	}
}

// TestErasureGoesOn stops the product right after a person was erased in account,
// before anybody else heard; the next start finishes it.
func TestErasureGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := run(t, dir)
	ada := r.person("Ada")
	p := r.tellEverything(ada.make("Luna", nil), ada)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := r.cfg
	still, err := Open(t.Context(), cfg) // its loops do not run
	if err != nil {
		t.Fatal(err)
	}
	principal, err := still.principalOf(p.session)
	if err != nil {
		t.Fatal(err)
	}
	e, err := still.Accounts.Erase(context.Background(), principal, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	if dump, err := still.dbs["chat"].Dump(t.Context(), "messages"); err != nil || !bytes.Contains(dump, []byte("zanzibar")) {
		t.Fatalf("chat heard of it without a loop: %v", err)
	}
	if err := still.Close(); err != nil {
		t.Fatal(err)
	}
	again := run(t, dir)
	again.finished(e.Receipt)
	if left := again.leftovers(canaries...); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	sound(t, again)
}

// TestErasedLearner: what a person's feedback taught is gone to the last bit. The
// learner's bytes are those from before they gave any, with their talk, in which they
// had not consented, behind them already; and what is believed is what it was before
// they ever spoke.
func TestErasedLearner(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, guest := r.person("Ada"), r.person("Guest")
	luna := ada.make("Luna", nil)
	for range 3 {
		s := luna.say(question)
		ada.give("thumb", "up", "messageId", string(s.ID))
		ada.give("tone", "kinder", "messageId", string(s.ID))
		ada.must("POST", "/v1/rooms/"+luna.room+"/end", nil, nil)
		r.clock.advance(time.Hour)
	}
	r.settle()
	unspoken := luna.explanation()
	visit := luna.with(guest)
	guest.must("PUT", "/v1/rooms/"+visit.room+"/consent", map[string]any{"consent": false}, nil)
	s := visit.say(question)
	guest.must("POST", "/v1/rooms/"+visit.room+"/end", nil, nil)
	r.settle()
	bytesOf := func() string {
		dump, err := r.dbs["learning"].Dump(t.Context(), "rl_learners", "rl_entries", "rl_checkpoints", "rl_signals", "rl_sides")
		if err != nil {
			t.Fatal(err)
		}
		return string(dump)
	}
	silent := bytesOf()

	guest.must("PUT", "/v1/rooms/"+visit.room+"/consent", map[string]any{"consent": true}, nil)
	guest.must("PUT", "/v1/rooms/"+visit.room+"/messages/"+string(s.ID)+"/reactions/%F0%9F%91%8D", nil, nil)
	r.settle()
	if bytesOf() == silent {
		t.Fatal("a guest's reaction taught nothing: this test would show nothing")
	}
	var e account.Erasure
	r.admin.must("DELETE", "/v1/people/"+string(guest.ID), nil, &e)
	if done := r.finished(e.Receipt); done.Rows["feedback"]["evidence"] != 1 {
		t.Errorf("the proof: %v", done.Rows)
	}
	r.settle()
	if d := cmp.Diff(silent, bytesOf()); d != "" {
		t.Errorf("the learner is not what it was before (-before +after):\n%s", d)
	}
	after := luna.explanation()
	if d := cmp.Diff(unspoken.Traits, after.Traits); d != "" {
		t.Errorf("what is believed is not what it was before they spoke (-before +after):\n%s", d)
	}
	dump, err := r.dbs["learning"].Dump(t.Context())
	if err != nil || strings.Contains(string(dump), string(guest.ID)) {
		t.Errorf("learning still names them: %v", err)
	}
	sound(t, r)
}

// TestErasureOfForeigners: people of another platform cannot log in; an operator
// erases them. Who comes again is somebody new.
func TestErasureOfForeigners(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	luna := r.person("Ada").make("Luna", nil)
	forum := r.platform("forum")
	bring := func(id, text string) {
		for _, x := range []map[string]any{
			item("room", "room.created", map[string]any{"room": "room", "agents": []event.AgentID{luna.ID}}),
			item(id, "message.ingested", map[string]any{"room": "room", "message": id, "who": map[string]any{"person": "zanzibarforeign", "name": "zanzibarname"}, "text": text}),
		} {
			if a := forum.send("POST", "/v1/events", x, "Content-Type", oneEvent); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		r.settle()
	}
	who := func() (id event.PersonID) {
		err := r.dbs["account"].Read(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Get(`select person_id from foreign_people where external_id = $1`, []any{"zanzibarforeign"}, &id)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	bring("1", "A zanzibarmessage from afar")
	first := who()
	var e account.Erasure
	r.admin.must("DELETE", "/v1/people/"+string(first), nil, &e)
	r.finished(e.Receipt)
	if left := r.leftovers(canaries...); len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	if a := r.admin.raw("DELETE", "/v1/people/"+string(first), nil); a.status != 404 {
		t.Errorf("again: %d %s", a.status, a.body)
	}
	bring("2", "Hello again")
	if second := who(); second == first || second == "" {
		t.Errorf("the pseudonym came back: %q", second)
	}
	sound(t, r)
}

func (a *App) principalOf(secret string) (authz.Principal, error) {
	req, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		return authz.Principal{}, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	return a.Accounts.Authenticate(req)
}
