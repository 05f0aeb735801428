package app

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/account"
	"rapport/internal/sqldb"
)

// TestMyData: a person gets everything they said and gave, in each of its tables,
// and nothing that others said or are called, nor any secret's hash.
func TestMyData(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ada, bob := r.person("Adalbertina"), r.person("Bobadilla")
	luna := ada.make("Luna", nil)
	p := r.tellEverything(luna, ada, bob)
	hers := r.as(p.ID, p.session)
	a := hers.raw("GET", "/v1/me/export", nil)
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var all MyData
	if err := json.Unmarshal(a.body, &all); err != nil {
		t.Fatal(err)
	}
	text := strings.ToLower(string(a.body))
	gone := []string{"zanzibarname", "zanzibaredited", "zanzibardeleted", "zanzibarpassword", "zanzibarroom", "zanzibarforeign"} // replaced, deleted, a hash, a key, nobody's
	for _, w := range canaries {
		if strings.Contains(text, w) == slices.Contains(gone, w) {
			t.Errorf("%s: in the export %v", w, strings.Contains(text, w))
		}
	}
	for _, not := range []string{"another opinion", "adalbertina", "bobadilla", "argon2", `"hash"`, `"receipt"`, `"password"`} {
		if strings.Contains(text, not) {
			t.Errorf("the export holds %s", not)
		}
	}
	if all.Manifest.Format != myDataFormat || all.Manifest.Person != p.ID {
		t.Errorf("%+v", all.Manifest)
	}
	for table, rows := range all.Data {
		if all.End.Rows[table] != len(rows) || all.Manifest.Tables[table] == "" {
			t.Errorf("%s: %d rows, the end says %d, the manifest %q", table, len(rows), all.End.Rows[table], all.Manifest.Tables[table])
		}
	}
	for _, table := range []string{"account.people", "account.sessions", "account.tokens", "agent.agents", "agent.versions", "agent.audit", "chat.rooms", "chat.messages", "chat.reactions", "chat.consents",
		"feedback.feedback_events", "feedback.waiting"} {
		if len(all.Data[table]) == 0 {
			t.Errorf("nothing of %s", table)
		}
	}
	// Who may, and how often.
	if a := r.as("", "").raw("GET", "/v1/me/export", nil); a.status != 401 {
		t.Errorf("nobody: %d", a.status)
	}
	if a := p.raw("GET", "/v1/me/export", nil); a.status != 403 || a.problem().Code != "login_needed" {
		t.Errorf("a token for programs: %d %s", a.status, a.body)
	}
	hers.must("GET", "/v1/me/export", nil, nil)
	if a := hers.raw("GET", "/v1/me/export", nil); a.status != 429 || a.problem().Code != "too_many_exports" || a.header.Get("Retry-After") == "" {
		t.Errorf("the third time: %d %s", a.status, a.body)
	}
	r.clock.advance(10 * time.Minute)
	hers.must("GET", "/v1/me/export", nil, nil)
	var acts []account.Act
	r.admin.must("GET", "/v1/admin/audit", nil, &acts)
	n := 0
	for _, act := range acts {
		if act.Act == "take away" && act.Person == p.ID {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d of 3 are in the audit: %+v", n, acts)
	}
}

// personal are the names that columns with a person in them go by.
var personal = []string{"person_id", "person", "owner_id", "rater_id", "reviewer_id", "author_id", "member_id", "inviter", "created_by", "started_by", "actor", "by_id", "giver_id", "invited_by", "reader_id"}

// notMine says of a table with people in it why nobody's export holds it.
var notMine = map[string]string{
	"gateway.erased_rows":          "proofs of people who are no more; they have a receipt",
	"agent.levels":                 "as in agent.versions",
	"agent.natives":                "the platform's agents",
	"agent.talks":                  "the mood of an agent now, as it is shown",
	"account.links":                "one-time secrets' hashes",
	"account.erasures":             "proofs of people who are no more; they have a receipt",
	"account.erased_rows":          "the same",
	"agent.erased_rows":            "the same",
	"chat.erased_rows":             "the same",
	"feedback.erased_rows":         "the same",
	"account.idempotency":          "answers that the person was given, for two days",
	"agent.idempotency":            "the same",
	"chat.idempotency":             "the same",
	"feedback.idempotency":         "the same",
	"agent.known_people":           "since when a person exists, as in account.people",
	"feedback.arrivals":            "since when a person exists, as in account.people",
	"chat.agents":                  "whose an agent is, as in agent.agents",
	"chat.people":                  "protection, as in account.people",
	"feedback.agents":              "whose an agent is, as in agent.agents",
	"feedback.participants":        "who was in which talk, as the messages say",
	"feedback.protections":         "protection, as in account.people",
	"feedback.erased":              "people who are no more",
	"gateway.agents":               "whose an agent is, as in agent.agents",
	"gateway.episodes":             "who pressed a tone button, as in feedback.feedback_events; what was drawn is how it works inside",
	"gateway.tail":                 "who said the newest messages, as in chat.messages",
	"learning.rl_agent_projection": "whose an agent is, as in agent.agents",
	"learning.rl_release_owners":   "who got which start while that was tried",
}

// notErased says of a table with people in it why an erasure drops nothing there: it
// keeps the pseudonym of nobody and numbers, as docs/privacy.md says, or nothing.
var notErased = map[string]string{
	"gateway.erased_rows":          "the proof",
	"agent.talks":                  "dropped when the agent is retired",
	"account.erasures":             "the proof",
	"account.erased_rows":          "the proof",
	"agent.erased_rows":            "the proof",
	"chat.erased_rows":             "the proof",
	"feedback.erased_rows":         "the proof",
	"account.operator_acts":        "what operators did must stay",
	"agent.known_people":           "that the person is no more",
	"feedback.erased":              "that the person is no more",
	"chat.members":                 "who was in a room, without a name: emptied of those who were in it",
	"chat.messages":                "place and numbers: emptied of words",
	"chat.rooms":                   "emptied of its title",
	"chat.sessions":                "the agent's talks: times",
	"chat.agents":                  "agents that are no more",
	"feedback.agents":              "agents that are no more",
	"gateway.agents":               "dropped with the agent",
	"gateway.episodes":             "dropped with the owner's agents; else who pressed a button, as a pseudonym",
	"gateway.tail":                 "pushed out by the next 20 messages of the room",
	"learning.rl_agent_projection": "emptied with the agent",
	"learning.rl_relationships":    "dropped when the agent hears of it",
	"learning.rl_release_owners":   "dropped when the agent is gone and at the end of the trial",
}

// TestTablesOfPeople: every table with people in it is in their export, or says here
// why not; and an erasure drops its rows, or it says here why not.
func TestTablesOfPeople(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	p := r.tellEverything(r.person("Ada").make("Luna", nil))
	erased := r.finished(p.erase().Receipt)
	exported := map[string]bool{}
	for _, x := range r.mine() {
		exported[x.name()] = true
	}
	seen := map[string]bool{}
	for _, name := range contexts {
		tables, err := r.dbs[name].Tables(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			at := name + "." + table
			columns, err := r.dbs[name].Columns(t.Context(), sqldb.Export{Table: table})
			if err != nil {
				t.Fatal(err)
			}
			of := slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(personal, c) })
			if !of && (name != "agent" || !slices.Contains(columns, "agent_id")) { // all that agent holds of an agent is its owner's
				continue
			}
			seen[at] = true
			if why := notMine[at]; exported[at] == (why != "") {
				t.Errorf("%s has people in it: either add it to %s's Mine() in %s/export.go, or say in notMine why it is not theirs to take (now: in Mine %v, notMine %q)", at, name, name, exported[at], why)
			}
			_, dropped := erased.Rows[name][table]
			if why := notErased[at]; !dropped && why == "" {
				t.Errorf("%s has people in it: either drop their rows through internal/erasure where %s hears account.erased, or say in notErased and in docs/privacy.md what stays and why", at, name)
			}
		}
	}
	for at := range maps.Keys(notMine) {
		if !seen[at] {
			t.Errorf("notMine speaks of %s, where there are no people", at)
		}
	}
	for at := range maps.Keys(notErased) {
		if !seen[at] {
			t.Errorf("notErased speaks of %s, where there are no people", at)
		}
	}
}
