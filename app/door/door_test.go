package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/account"
	"rapport/chat"
	"rapport/event"
	"rapport/feedback"
	"rapport/internal/authz"
	"rapport/internal/fault"
)

// world is account, chat and feedback as the door sees them: it notes who was
// asked what, and answers as told.
type world struct {
	asked []string
	fail  error
	talk  chat.Result
	mark  feedback.Result
	items []chat.Ingested
	marks []feedback.Given
}

func (w *world) PeopleFor(_ context.Context, source string, people []account.Foreign) ([]event.PersonID, error) {
	var out []event.PersonID
	for _, p := range people {
		out = append(out, event.PersonID("pseudonym of "+p.ID+" on "+source))
	}
	w.asked = append(w.asked, fmt.Sprint("people of ", source, ": ", len(people)))
	return out, w.fail
}

func (w *world) Ingest(_ context.Context, source string, items []chat.Ingested) ([]chat.Result, error) {
	w.asked = append(w.asked, fmt.Sprint("talk of ", source, ": ", len(items)))
	w.items = append(w.items, items...)
	out := make([]chat.Result, len(items))
	for i := range out {
		out[i] = w.talk
	}
	return out, w.fail
}

func (w *world) GiveAll(_ context.Context, marks []feedback.Given) ([]feedback.Result, error) {
	w.asked = append(w.asked, fmt.Sprint("marks: ", len(marks)))
	w.marks = append(w.marks, marks...)
	out := make([]feedback.Result, len(marks))
	for i := range out {
		out[i] = w.mark
	}
	return out, w.fail
}

func item(typ, id string, d Data) Item {
	data, _ := json.Marshal(d)
	return Item{SpecVersion: "1.0", ID: id, Source: "claimed", Type: typ, Data: data}
}

var (
	one      = 1
	bob      = &Who{Person: "bob"}
	platform = authz.Principal{Token: "t", Source: "forum", Scopes: []authz.Scope{authz.ScopeIngest}}
)

func statuses(rs []Result) (out []string) {
	for _, r := range rs {
		out = append(out, r.Status)
	}
	return out
}

// TestOrder: items go to their context in runs, in the order given, and the fates
// come back in it.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := &world{mark: feedback.Result{Status: feedback.Waiting}}
	d := New(w, w, w, Keys{})
	rs, err := d.Take(t.Context(), platform, []Item{
		item(RoomCreated, "1", Data{Room: "r"}),
		item("weather.changed", "2", Data{}),
		item(MessageIngest, "3", Data{Room: "r", Message: "m", Who: bob}),
		item(FeedbackGiven, "4", Data{Message: "m", Who: bob, Mark: &one}),
		item(FeedbackGiven, "5", Data{Message: "m", Who: bob}),
		item(SessionEnded, "6", Data{Room: "r"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{Accepted, Refused, Accepted, Waiting, Refused, Accepted}, statuses(rs)); diff != "" {
		t.Errorf("fates (-want +got):\n%s", diff)
	}
	for i, id := range []string{"1", "2", "3", "4", "5", "6"} {
		if rs[i].ID != id || rs[i].Status == Refused && (rs[i].Reason == "" || rs[i].Detail == "") {
			t.Errorf("result %d: %+v", i, rs[i])
		}
	}
	if diff := cmp.Diff([]string{"people of forum: 1", "talk of forum: 1", "talk of forum: 1", "marks: 1", "talk of forum: 1"}, w.asked); diff != "" {
		t.Errorf("who was asked what (-want +got):\n%s", diff)
	}
	if got := w.items[1].Who.PersonID; got != "pseudonym of bob on forum" {
		t.Errorf("Bob speaks as %q", got)
	}
	if m := w.marks[0]; m.RaterID != "pseudonym of bob on forum" || m.Mark != 1 || m.MessageID != chat.ForeignMessage("forum", "m") {
		t.Errorf("the mark: %+v", m)
	}
}

// TestSource: a token's own platform wins over what an item claims; only an
// operator may speak for any.
func TestSource(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    authz.Principal
		want string
	}{
		{platform, "talk of forum: 1"},
		{authz.Principal{Scopes: []authz.Scope{authz.ScopeIngest, authz.ScopeAdmin}}, "talk of claimed: 1"},
		{authz.Principal{Source: "forum", Scopes: []authz.Scope{authz.ScopeAdmin}}, "talk of claimed: 1"},
	} {
		w := &world{}
		if _, err := New(w, w, w, Keys{}).Take(t.Context(), c.p, []Item{item(RoomCreated, "1", Data{Room: "r"})}); err != nil || w.asked[0] != c.want {
			t.Errorf("%v %v, want %s", err, w.asked, c.want)
		}
	}
}

// TestAgain: the same item has the same ids, whoever's hands it went through; the
// same id of another platform has others.
func TestAgain(t *testing.T) {
	t.Parallel()
	w := &world{}
	d := New(w, w, w, Keys{})
	mark := []Item{item(FeedbackGiven, "1", Data{Message: "m", Who: bob, Mark: &one})}
	other := platform
	other.Source = "elsewhere"
	for _, p := range []authz.Principal{platform, platform, other} {
		if _, err := d.Take(t.Context(), p, mark); err != nil {
			t.Fatal(err)
		}
	}
	if w.marks[0].FeedbackID != w.marks[1].FeedbackID || w.marks[0].FeedbackID == w.marks[2].FeedbackID || len(w.marks[0].FeedbackID) > 64 {
		t.Errorf("ids %s, %s, %s", w.marks[0].FeedbackID, w.marks[1].FeedbackID, w.marks[2].FeedbackID)
	}
}

func TestFates(t *testing.T) {
	t.Parallel()
	w := &world{talk: chat.Result{Duplicate: true}, mark: feedback.Result{Status: feedback.Duplicate}}
	items := []Item{item(MessageIngest, "1", Data{Room: "r", Message: "m", Who: bob}), item(FeedbackGiven, "2", Data{Message: "m", Who: bob, Mark: &one})}
	rs, err := New(w, w, w, Keys{}).Take(t.Context(), platform, items)
	if err != nil || !cmp.Equal(statuses(rs), []string{Duplicate, Duplicate}) {
		t.Errorf("%v %v", err, rs)
	}
	no := fault.New(fault.Conflict, "id_conflict", "It was taken before.")
	w = &world{talk: chat.Result{Err: no}, mark: feedback.Result{Status: feedback.Refused, Err: no}}
	rs, err = New(w, w, w, Keys{}).Take(t.Context(), platform, items)
	if err != nil || rs[0].Reason != "id_conflict" || rs[1].Reason != "id_conflict" || rs[0].Detail != no.Message {
		t.Errorf("%v %+v", err, rs)
	}
	w = &world{fail: errors.New("no disk")}
	if _, err := New(w, w, w, Keys{}).Take(t.Context(), platform, items); err == nil {
		t.Error("a batch that failed has fates")
	}
}

// TestForm: what the API describes is what is taken.
func TestForm(t *testing.T) {
	t.Parallel()
	said, _ := reflect.TypeFor[form]().FieldByName("Type")
	if got := strings.Split(said.Tag.Get("enum"), ","); !cmp.Equal(got, Types()) {
		t.Errorf("described types %v, taken %v", got, Types())
	}
	names := func(t reflect.Type) (out []string) {
		for _, f := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				out = append(out, name)
			}
		}
		return out
	}
	if a, b := names(reflect.TypeFor[form]()), names(reflect.TypeFor[Item]()); !cmp.Equal(a, b) {
		t.Errorf("described fields %v, taken %v", a, b)
	}
}
