package door

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// Keys are what platforms sign their requests with; a platform without one is heard
// with an ingest token only.
type Keys struct {
	Slack    string           // signing secret
	Discord  string           // the application's public key, hexadecimal
	Telegram string           // secret_token of setWebhook
	Clock    func() time.Time // time.Now when nil
}

// dialect is how one platform tells of feedback.
type dialect struct {
	takes string // for a refusal: what is taken
	read  func(payload) ([]Item, error)
	// sound checks the platform's own signature with the key set for it; nil where it has none that can
	// be checked here. False: there is none on the request.
	sound  func(key string, r payload, now time.Time) (signed bool, err error)
	key    func(Keys) string
	hello  func(payload) any                         // the answer to a question whether somebody is here; nil: no such question
	thanks func(w http.ResponseWriter, items []Item) // what a platform that signed expects for an answer
}

// payload is a request as it came.
type payload struct {
	body   []byte
	header http.Header
}

var platforms = map[string]dialect{
	"slack": {
		takes: "interactive block_actions with feedback_buttons or buttons, and the events reaction_added and reaction_removed",
		read:  readSlack, sound: soundSlack, key: func(k Keys) string { return k.Slack }, hello: helloSlack, thanks: empty,
	},
	"teams": {
		takes: "the invoke message/submitAction of the feedback loop, and messageReaction",
		read:  readTeams, thanks: empty,
	},
	"discord": {
		takes: "component interactions of buttons, and MESSAGE_REACTION_ADD and MESSAGE_REACTION_REMOVE of the gateway",
		read:  readDiscord, sound: soundDiscord, key: func(k Keys) string { return k.Discord }, hello: helloDiscord, thanks: deferDiscord,
	},
	"telegram": {
		takes: "the updates message_reaction and callback_query",
		read:  readTelegram, sound: soundTelegram, key: func(k Keys) string { return k.Telegram }, thanks: empty,
	},
	"openai": {
		takes: "an object with id (of the completion), rating (up or down), and comment and user when there are such",
		read:  readOpenAI, thanks: empty,
	},
}

// Platforms lists the names that /v1/ingest takes, with cloudevents.
func Platforms() []string {
	return slices.Sorted(maps.Keys(platforms))
}

// platformRoutes adds POST /v1/ingest/{platform}: one payload as the platform sends
// it. It becomes items of the door.
func (d *Door) platformRoutes(api *httpapi.API) {
	op := httpapi.Op{Summary: "Bring in feedback in the form of another platform", Tag: "door", Public: true, Also: []int{http.StatusAccepted}, MaxBody: 1 << 20,
		Errors: []int{401, 403, 404, 409, 429}, Takes: map[string]any{"application/json": map[string]any{}, "application/x-www-form-urlencoded": map[string]any{}}, Gives: []Result{}}
	api.Handle("POST /v1/ingest/{platform}", op, http.HandlerFunc(d.bring), func(o *httpapi.Operation) {
		o.Security = []map[string][]string{{"bearer": {}}, {}}
		var list []string
		for _, name := range Platforms() {
			list = append(list, name+": "+platforms[name].takes)
		}
		o.Description = "With an ingest token, whose source names the platform here, or with the platform's own signature (slack, discord, telegram) where its key is set: " +
			"then the source is the platform's name. " + strings.Join(list, "; ") + ". Sending a payload again changes nothing. " +
			"With a token the answer lists the fate of what was in it, with a signature it is what the platform expects."
	})
}

func (d *Door) bring(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("platform")
	pf, known := platforms[name]
	if p := authz.From(r.Context()); !known && p.Anonymous() {
		httpapi.WriteError(w, r, errNobody)
		return
	}
	if !known {
		httpapi.WriteError(w, r, fault.New(fault.NotFound, "platform_unknown", "There is no platform of this name; there are %s. Everything else comes as CloudEvents to /v1/events.", strings.Join(Platforms(), ", ")))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	in := payload{body, r.Header}
	p, signed, err := d.whoBrings(name, pf, in, authz.From(r.Context()))
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	if pf.hello != nil {
		if answer := pf.hello(in); answer != nil {
			httpapi.WriteJSON(w, http.StatusOK, answer)
			return
		}
	}
	items, err := pf.read(in)
	if err != nil {
		httpapi.WriteError(w, r, fault.New(fault.Invalid, "unknown_payload", "From %s these are taken: %s.", name, pf.takes))
		return
	}
	results, err := d.Take(r.Context(), p, items)
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	for _, one := range results {
		// A platform asks again for some time when it is told so.
		if again := one.RetryAfter > 0; one.Status == Refused && (again && signed || len(results) == 1 && !signed) {
			httpapi.WriteError(w, r, one.err)
			return
		}
	}
	if signed {
		for _, one := range results {
			if one.Status == Refused {
				slog.InfoContext(r.Context(), "what a platform sent was not taken", "platform", name, "reason", one.Reason)
			}
		}
		pf.thanks(w, items)
		return
	}
	status := http.StatusOK
	if slices.ContainsFunc(results, func(r Result) bool { return r.Status == Waiting }) {
		status = http.StatusAccepted
	}
	httpapi.WriteJSON(w, status, results)
}

// whoBrings says for whom a payload speaks: for the token's source, or for the
// platform itself when it signed. A signature that is there must be right, with a
// token too.
func (d *Door) whoBrings(name string, pf dialect, in payload, p authz.Principal) (authz.Principal, bool, error) {
	signed := false
	if pf.sound != nil && pf.key(d.keys) != "" {
		now := time.Now
		if d.keys.Clock != nil {
			now = d.keys.Clock
		}
		var err error
		if signed, err = pf.sound(pf.key(d.keys), in, now()); err != nil {
			return p, false, err
		}
	}
	switch {
	case p.Has(authz.ScopeIngest):
		return p, false, nil
	case signed:
		return authz.Principal{Source: name, Scopes: []authz.Scope{authz.ScopeIngest}}, true, nil
	case p.Anonymous() && pf.sound != nil:
		return p, false, fault.New(fault.Unauthenticated, "login_required", "Send an ingest token in the Authorization header, or set the key of %s that the platform signs with.", name)
	case p.Anonymous():
		return p, false, errNobody
	}
	return p, false, fault.New(fault.Forbidden, "scope_missing", "This token lacks the scope %q.", authz.ScopeIngest)
}

var errNobody = fault.New(fault.Unauthenticated, "login_required", "Send an ingest token in the Authorization header.")

var errSignature = fault.New(fault.Unauthenticated, "signature_invalid", "The signature is not the platform's, or older than five minutes.")

// fresh is how old a signed request may be.
const fresh = 5 * time.Minute

func stale(at int64, now time.Time) bool {
	age := now.Unix() - at
	return age > int64(fresh/time.Second) || age < -int64(fresh/time.Second)
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// errPayload is the error of a payload that is not taken; nothing of it is told.
var errPayload = errors.New("a payload that is not taken")

func empty(w http.ResponseWriter, _ []Item) { w.WriteHeader(http.StatusOK) }

// made makes an item. at is a time over there in microseconds, 0 for none.
func made(typ, id string, at event.Micros, data Data) Item {
	body, err := json.Marshal(data)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	it := Item{SpecVersion: "1.0", ID: id, Type: typ, Data: body}
	if at > 0 {
		it.Time = time.UnixMicro(at).UTC().Format(time.RFC3339Nano)
	}
	return it
}

// upWords and downWords are what buttons may carry as their value.
var (
	upWords   = []string{"up", "good", "like", "positive", "positive_feedback", "good_feedback", "thumbs_up", "thumbsup"}
	downWords = []string{"down", "bad", "dislike", "negative", "negative_feedback", "bad_feedback", "thumbs_down", "thumbsdown"}
)

// pressOf reads a button's value: a word, also as rapport:word, and the decision
// behind the answer, when it is another program that posts it, after a colon.
func pressOf(value string) (press string, decision event.DecisionID, ok bool) {
	word, id, _ := strings.Cut(strings.TrimPrefix(value, "rapport:"), ":")
	switch word = strings.ToLower(word); {
	case slices.Contains(upWords, word):
		press = "up"
	case slices.Contains(downWords, word):
		press = "down"
	}
	return press, event.DecisionID(id), press != ""
}

// pressed makes the item of a button that was pressed on a message, or, where the
// button names it, on the decision.
func pressed(id string, at event.Micros, who, message, value, comment string) (Item, bool) {
	press, decision, ok := pressOf(value)
	d := Data{Who: &Who{Person: who}, Press: press, Comment: comment, Decision: decision}
	if decision == "" {
		d.Message = message
	}
	return made(FeedbackGiven, "press/"+id, at, d), ok
}
