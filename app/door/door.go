package door

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rapport/account"
	"rapport/chat"
	"rapport/event"
	"rapport/feedback"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// People asks account for the pseudonyms of a platform's people, making those
// that are new. The answer has every id asked for.
type People interface {
	PeopleFor(ctx context.Context, source string, people []account.Foreign) ([]event.PersonID, error)
}

// Talk is chat's verb for what happened elsewhere.
type Talk interface {
	Ingest(ctx context.Context, source string, items []chat.Ingested) ([]chat.Result, error)
}

// Marks is feedback's verb for marks that were given elsewhere.
type Marks interface {
	GiveAll(ctx context.Context, marks []feedback.Given) ([]feedback.Result, error)
}

// Door takes items in.
type Door struct {
	people People
	talk   Talk
	marks  Marks
	keys   Keys
}

// New makes a door.
func New(people People, talk Talk, marks Marks, keys Keys) *Door {
	return &Door{people, talk, marks, keys}
}

const (
	oneItem   = "application/cloudevents+json"
	manyItems = "application/cloudevents-batch+json"

	maxItems = 1000
	maxBody  = 8 << 20
)

// Routes adds POST /v1/events: one CloudEvent (application/cloudevents+json) or a
// batch of up to 1,000 (application/cloudevents-batch+json). The answer lists the
// fate of each item in order; 202 when any waits. One item alone that is refused is
// a problem document.
func (d *Door) Routes(api *httpapi.API) {
	api.Handle("POST /v1/events", httpapi.Op{Summary: "Bring in what happened on another platform", Tag: "door", Scope: authz.ScopeIngest, Also: []int{http.StatusAccepted}, MaxBody: maxBody, Errors: []int{409},
		Takes: map[string]any{oneItem: form{}, manyItems: []form{}}, Gives: []Result{}},
		http.HandlerFunc(d.serve), func(o *httpapi.Operation) {
			o.Description = "One CloudEvents 1.0 event or a batch of up to 1,000. Types: " + strings.Join(Types(), ", ") + ". Sending an id again changes nothing."
		})
	d.platformRoutes(api)
}

func (d *Door) serve(w http.ResponseWriter, r *http.Request) {
	items, batch, err := decode(r)
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	results, err := d.Take(r.Context(), authz.From(r.Context()), items)
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	status := http.StatusOK
	if slices.ContainsFunc(results, func(r Result) bool { return r.Status == Waiting }) {
		status = http.StatusAccepted
	}
	if !batch && results[0].Status == Refused {
		httpapi.WriteError(w, r, results[0].err)
		return
	}
	httpapi.WriteJSON(w, status, results)
}

// decode reads one item or a batch.
func decode(r *http.Request) (items []Item, batch bool, err error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false, err
	}
	switch kind {
	case oneItem:
		items = make([]Item, 1)
		err = json.Unmarshal(body, &items[0])
	case manyItems:
		batch = true
		err = json.Unmarshal(body, &items)
	default:
		return nil, false, fault.New(fault.Invalid, "media_type", "Send application/cloudevents+json, or application/cloudevents-batch+json for several.")
	}
	if err != nil {
		return nil, batch, fault.New(fault.Invalid, "broken_json", "The body is not the JSON of a CloudEvent or a batch of them.").Because(err)
	}
	if len(items) > maxItems {
		return nil, batch, fault.New(fault.TooLarge, "batch_too_large", "A batch holds at most %d events; this one has %d.", maxItems, len(items))
	}
	return items, batch, nil
}

// parcel is an item on its way.
type parcel struct {
	Item
	by     event.PersonID // whose token brings it
	data   Data
	at     event.Micros
	source string
}

// Take brings items in, in order, and gives the fate of each. Items are durable
// when it returns; a refused one holds nothing up. Errors: unavailable, after
// which sending the same items again is right.
func (d *Door) Take(ctx context.Context, p authz.Principal, items []Item) ([]Result, error) {
	results := make([]Result, len(items))
	parcels := make([]parcel, len(items))
	strangers := map[string]map[string]bool{} // by source, external ids
	for i, it := range items {
		results[i].ID = it.ID
		var err error
		if parcels[i], err = open(p, it); err != nil {
			results[i].refuse(err)
			continue
		}
		if who := parcels[i].data.Who; who != nil && who.Person != "" {
			if strangers[parcels[i].source] == nil {
				strangers[parcels[i].source] = map[string]bool{}
			}
			strangers[parcels[i].source][who.Person] = true
		}
	}
	people := map[string]map[string]event.PersonID{}
	for source, ids := range strangers {
		list := make([]account.Foreign, 0, len(ids))
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			list = append(list, account.Foreign{ID: id})
		}
		pseudonyms, err := d.people.PeopleFor(ctx, source, list)
		if err != nil {
			return nil, err
		}
		people[source] = map[string]event.PersonID{}
		for i, p := range list {
			people[source][p.ID] = pseudonyms[i]
		}
	}
	// Runs of one kind and source are one transaction each, in the given order.
	for from := 0; from < len(items); {
		if results[from].Status != "" {
			from++
			continue
		}
		to := from + 1
		for to < len(items) && results[to].Status == "" && parcels[to].source == parcels[from].source && parcels[to].isMark() == parcels[from].isMark() {
			to++
		}
		var err error
		if parcels[from].isMark() {
			err = d.giveAll(ctx, parcels[from:to], people[parcels[from].source], results[from:to])
		} else {
			err = d.ingest(ctx, parcels[from:to], people[parcels[from].source], results[from:to])
		}
		if err != nil {
			return nil, err
		}
		from = to
	}
	return results, nil
}

func (p *parcel) isMark() bool { return p.Type == FeedbackGiven }

// open checks what can be said of an item alone.
func open(p authz.Principal, it Item) (parcel, error) {
	out := parcel{Item: it, by: p.Person, source: p.Source}
	switch {
	case it.SpecVersion != "1.0":
		return out, fault.New(fault.Invalid, "spec_version", "specversion must be 1.0.")
	case it.ID == "" || len(it.ID) > 512:
		return out, fault.New(fault.Invalid, "bad_id", "id must have 1 to 512 bytes.")
	case !slices.Contains(Types(), it.Type):
		if _, ours := event.Lookup(event.Type(it.Type)); ours || strings.HasPrefix(it.Type, "rl.") {
			return out, fault.New(fault.Forbidden, "type_not_taken", "Events of this type are made here and never taken in.")
		}
		return out, fault.New(fault.Invalid, "unknown_type", "The door takes %s.", strings.Join(Types(), ", "))
	}
	if out.source == "" || p.Has(authz.ScopeAdmin) && it.Source != "" { // an operator may speak for any platform
		out.source = it.Source
	}
	if out.source == "" || len(out.source) > 64 {
		return out, fault.New(fault.Invalid, "source_missing", "Use a token that names the platform it speaks for.")
	}
	if err := json.Unmarshal(it.Data, &out.data); err != nil {
		return out, fault.New(fault.Invalid, "bad_data", "data is not of the form of its type.")
	}
	if w := out.data.Who; w != nil && (len(w.Person) > 200 || !utf8.ValidString(w.Person) || strings.ContainsRune(w.Person, 0)) {
		return out, fault.New(fault.Invalid, "bad_data", "who.person is at most 200 bytes of text.")
	}
	if it.Time != "" {
		at, err := time.Parse(time.RFC3339Nano, it.Time)
		if err != nil {
			return out, fault.New(fault.Invalid, "bad_time", "time must be of the form 2006-01-02T15:04:05Z.")
		}
		out.at = at.UnixMicro()
	}
	return out, nil
}

func (d *Door) ingest(ctx context.Context, parcels []parcel, people map[string]event.PersonID, results []Result) error {
	items := make([]chat.Ingested, len(parcels))
	for i, p := range parcels {
		items[i] = chat.Ingested{Type: p.Type, ID: p.ID, At: p.at, Room: p.data.Room, Agents: p.data.Agents, Agent: p.data.Agent,
			Message: p.data.Message, ReplyTo: p.data.ReplyTo, Text: p.data.Text, Emoji: p.data.Emoji, Consent: p.data.Consent}
		if w := p.data.Who; w != nil && w.Agent != "" {
			items[i].Who = event.Member{Kind: event.KindAgent, AgentID: w.Agent}
		} else if w != nil {
			items[i].Who = event.Member{Kind: event.KindPerson, PersonID: people[w.Person]}
		}
	}
	done, err := d.talk.Ingest(ctx, parcels[0].source, items)
	if err != nil {
		return err
	}
	for i, r := range done {
		switch {
		case r.Err != nil:
			results[i].refuse(r.Err)
		case r.Duplicate:
			results[i].Status = Duplicate
		default:
			results[i].Status = Accepted
		}
	}
	return nil
}

var feedbackFate = map[string]string{feedback.Stored: Accepted, feedback.Waiting: Waiting, feedback.Duplicate: Duplicate}

func (d *Door) giveAll(ctx context.Context, parcels []parcel, people map[string]event.PersonID, results []Result) error {
	marks := make([]feedback.Given, 0, len(parcels))
	at := make([]int, 0, len(parcels)) // each mark's place in results
	for i, p := range parcels {
		g, err := p.given(people)
		if err != nil {
			results[i].refuse(err)
			continue
		}
		marks = append(marks, g)
		at = append(at, i)
	}
	done, err := d.marks.GiveAll(ctx, marks)
	if err != nil {
		return err
	}
	for k, r := range done {
		if r.Status == feedback.Refused {
			results[at[k]].refuse(r.Err)
			continue
		}
		results[at[k]].Status = feedbackFate[r.Status]
	}
	return nil
}

// given is what a feedback.given says in feedback's words.
func (p *parcel) given(people map[string]event.PersonID) (feedback.Given, error) {
	g := feedback.Given{FeedbackID: feedback.MarkID(p.source, p.ID), OccurredAt: p.at}
	d := &p.data
	if d.Who != nil && d.Who.Person != "" {
		g.RaterID = people[d.Who.Person]
	}
	if d.Press != "" {
		g.Press, g.Comment, g.VouchedBy = true, d.Comment, p.by
		g.Mark = map[string]int{"up": 1, "down": -1}[d.Press]
		if g.RaterID == "" && d.Who == nil {
			g.RaterID = p.by // their own program says so
		}
	} else if d.Mark != nil {
		g.Mark = *d.Mark
	}
	switch {
	case g.RaterID == "" || (d.Press == "") == (d.Mark == nil) || g.Press && g.Mark == 0 || (d.Message == "") == (d.Decision == "") || !g.Press && d.Decision != "":
		return g, fault.New(fault.Invalid, "bad_data", "feedback.given needs message, who.person and mark; or message or decision, who.person and press, which is up or down.")
	case d.Message != "":
		g.MessageID = chat.ForeignMessage(p.source, d.Message)
	default:
		g.DecisionID = d.Decision
	}
	return g, nil
}

func (r *Result) refuse(err error) {
	r.Status, r.err = Refused, err
	p := httpapi.ProblemOf(err)
	r.Reason, r.Detail = p.Code, p.Detail
	if f, ok := errors.AsType[*fault.Error](err); ok && f.RetryAfter > 0 {
		r.RetryAfter = int((f.RetryAfter + time.Second - 1) / time.Second)
	}
}
