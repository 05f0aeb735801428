package door

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rapport/event"
)

// Slack: interactive payloads come as a form with one field, events as JSON. A room is
// TEAM/CHANNEL over there, a message ROOM/TS, a person TEAM/USER.
//
// Signature: v0=HMAC-SHA256(secret, "v0:timestamp:body"), not older than five
// minutes (docs.slack.dev, "Verifying requests from Slack").

type slackAction struct {
	Type  string `json:"type"`
	Value string `json:"value"`
	At    string `json:"action_ts"`
}

type slackPayload struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`

	// of block_actions
	Team    struct{ ID string }
	User    struct{ ID string }
	Channel struct{ ID string }
	Message struct {
		TS string `json:"ts"`
	}
	Container struct {
		Channel string `json:"channel_id"`
		TS      string `json:"message_ts"`
	}
	Actions []slackAction

	// of event_callback
	TeamID  string `json:"team_id"`
	EventID string `json:"event_id"`
	Event   struct {
		Type     string
		User     string
		Reaction string
		Item     struct{ Type, Channel, TS string }
		At       string `json:"event_ts"`
	}
}

func slackJSON(in payload) (p slackPayload, err error) {
	body := in.body
	if form, err := url.ParseQuery(string(body)); err == nil && form.Has("payload") {
		body = []byte(form.Get("payload"))
	}
	if json.Unmarshal(body, &p) != nil {
		return p, errPayload
	}
	return p, nil
}

func helloSlack(in payload) any {
	if p, err := slackJSON(in); err == nil && p.Type == "url_verification" && p.Challenge != "" {
		return map[string]string{"challenge": p.Challenge}
	}
	return nil
}

func readSlack(in payload) ([]Item, error) {
	p, err := slackJSON(in)
	if err != nil {
		return nil, err
	}
	switch p.Type {
	case "block_actions":
		return p.buttons()
	case "event_callback":
		return p.reaction()
	}
	return nil, errPayload
}

func (p *slackPayload) buttons() (items []Item, err error) {
	channel, ts := p.Channel.ID, p.Message.TS
	if channel == "" {
		channel = p.Container.Channel
	}
	if ts == "" {
		ts = p.Container.TS
	}
	if p.Team.ID == "" || p.User.ID == "" || channel == "" || ts == "" {
		return nil, errPayload
	}
	message := p.Team.ID + "/" + channel + "/" + ts
	for _, a := range p.Actions {
		if a.Type != "feedback_buttons" && a.Type != "button" {
			continue
		}
		it, ok := pressed(message+"/"+p.User.ID+"/"+a.At, slackTime(a.At), p.Team.ID+"/"+p.User.ID, message, a.Value, "")
		if ok {
			items = append(items, it)
		}
	}
	if len(items) == 0 {
		return nil, errPayload
	}
	return items, nil
}

func (p *slackPayload) reaction() ([]Item, error) {
	e := p.Event
	typ := map[string]string{"reaction_added": ReactionAdded, "reaction_removed": ReactionGone}[e.Type]
	if typ == "" || p.TeamID == "" || e.User == "" || e.Item.Type != "message" || e.Item.Channel == "" || e.Item.TS == "" || p.EventID == "" {
		return nil, errPayload
	}
	name, _, _ := strings.Cut(e.Reaction, "::") // the skin tone
	room := p.TeamID + "/" + e.Item.Channel
	return []Item{made(typ, "event/"+p.EventID, slackTime(e.At), Data{Room: room, Message: room + "/" + e.Item.TS, Who: &Who{Person: p.TeamID + "/" + e.User}, Emoji: name})}, nil
}

// slackTime reads seconds with a fraction; 0 for anything else.
func slackTime(ts string) event.Micros {
	s, err := strconv.ParseFloat(ts, 64)
	if err != nil || !(s > 0 && s < 1e11) {
		return 0
	}
	return event.Micros(math.Round(s * 1e6))
}

func soundSlack(secret string, in payload, now time.Time) (bool, error) {
	given, stamp := in.header.Get("X-Slack-Signature"), in.header.Get("X-Slack-Request-Timestamp")
	if given == "" && stamp == "" {
		return false, nil
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || stale(at, now) {
		return false, errSignature
	}
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("v0:" + stamp + ":"))
	h.Write(in.body)
	if !equal(given, "v0="+hex.EncodeToString(h.Sum(nil))) {
		return false, errSignature
	}
	return true, nil
}
