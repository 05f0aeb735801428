package door

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"rapport/event"
)

// Microsoft Teams: activities of the Bot Framework, forwarded by the bot that they
// come to. A room is the conversation without its thread, a message ROOM/ID, a
// person the account's id.
//
// The framework's bearer token is not checked here, since a bot that forwards has
// checked it, and sends an ingest token of ours instead.

type teamsActivity struct {
	Type         string
	Name         string
	ID           string
	Timestamp    string
	From         struct{ ID string }
	Conversation struct{ ID string }
	ReplyToID    string `json:"replyToId"`
	Value        struct {
		ActionName  string `json:"actionName"`
		ActionValue struct {
			Reaction string
			Feedback json.RawMessage
		} `json:"actionValue"`
	}
	Added   []struct{ Type string } `json:"reactionsAdded"`
	Removed []struct{ Type string } `json:"reactionsRemoved"`
}

// teamsEmoji are the reactions that have names of their own.
var teamsEmoji = map[string]string{"like": "👍", "heart": "❤", "laugh": "😆", "surprised": "😮", "sad": "😢", "angry": "😡"}

func readTeams(in payload) ([]Item, error) {
	var a teamsActivity
	if json.Unmarshal(in.body, &a) != nil || a.From.ID == "" || a.Conversation.ID == "" || a.ReplyToID == "" || a.ID == "" {
		return nil, errPayload
	}
	room, _, _ := strings.Cut(a.Conversation.ID, ";")
	message := room + "/" + a.ReplyToID
	var at event.Micros
	if t, err := time.Parse(time.RFC3339Nano, a.Timestamp); err == nil {
		at = t.UnixMicro()
	}
	id := room + "/" + a.ID
	switch {
	case a.Type == "invoke" && a.Name == "message/submitAction" && a.Value.ActionName == "feedback":
		if it, ok := pressed(id, at, a.From.ID, message, a.Value.ActionValue.Reaction, teamsComment(a.Value.ActionValue.Feedback)); ok {
			return []Item{it}, nil
		}
	case a.Type == "messageReaction" && len(a.Added)+len(a.Removed) > 0:
		items := []Item{} // what is no emoji known to all says nothing
		for typ, list := range map[string][]struct{ Type string }{ReactionAdded: a.Added, ReactionGone: a.Removed} {
			for _, one := range list {
				if emoji := teamsEmoji[one.Type]; emoji != "" {
					items = append(items, made(typ, typ+"/"+id+"/"+one.Type, at, Data{Room: room, Message: message, Who: &Who{Person: a.From.ID}, Emoji: emoji}))
				}
			}
		}
		slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.ID, b.ID) })
		return items, nil
	}
	return nil, errPayload
}

// teamsComment reads what was written in the form: {"feedbackText": …}, that as a
// string, or a plain string.
func teamsComment(raw json.RawMessage) string {
	var form struct {
		Text string `json:"feedbackText"`
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if json.Unmarshal([]byte(text), &form) != nil {
			return strings.TrimSpace(text)
		}
	} else if json.Unmarshal(raw, &form) != nil {
		return ""
	}
	return strings.TrimSpace(form.Text)
}
