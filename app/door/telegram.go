package door

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Telegram: updates of a bot, by webhook or forwarded. A room is the chat, a message
// CHAT/ID, a person the user's id. The header X-Telegram-Bot-Api-Secret-Token is the one given to
// setWebhook; it proves who sends, not when: every update has an id and counts once.

type telegramUpdate struct {
	ID       int64 `json:"update_id"`
	Reaction *struct {
		Chat    struct{ ID int64 }
		Message int64 `json:"message_id"`
		User    *telegramUser
		Date    int64
		Old     []telegramEmoji `json:"old_reaction"`
		New     []telegramEmoji `json:"new_reaction"`
	} `json:"message_reaction"`
	Callback *struct {
		ID      string
		From    telegramUser
		Message *struct {
			ID   int64 `json:"message_id"`
			Chat struct{ ID int64 }
		}
		Data string
	} `json:"callback_query"`
}

type telegramUser struct {
	ID  int64
	Bot bool `json:"is_bot"`
}

type telegramEmoji struct{ Type, Emoji string }

func readTelegram(in payload) ([]Item, error) {
	var u telegramUpdate
	if json.Unmarshal(in.body, &u) != nil || u.ID == 0 {
		return nil, errPayload
	}
	id := strconv.FormatInt(u.ID, 10)
	switch {
	case u.Reaction != nil && u.Reaction.Chat.ID != 0 && u.Reaction.Message != 0:
		r := u.Reaction
		if r.User == nil || r.User.Bot {
			return []Item{}, nil // nobody: for a whole chat, or unnamed
		}
		room := strconv.FormatInt(r.Chat.ID, 10)
		d := Data{Room: room, Message: room + "/" + strconv.FormatInt(r.Message, 10), Who: &Who{Person: strconv.FormatInt(r.User.ID, 10)}}
		items := []Item{}
		change := func(typ string, from, but []telegramEmoji) {
			for _, e := range from {
				if e.Type == "emoji" && !slices.Contains(but, e) { // custom and paid ones say nothing
					d.Emoji = e.Emoji
					items = append(items, made(typ, "update/"+id+"/"+typ+"/"+e.Emoji, r.Date*1e6, d))
				}
			}
		}
		change(ReactionGone, r.Old, r.New)
		change(ReactionAdded, r.New, r.Old)
		return items, nil
	case u.Callback != nil && u.Callback.Message != nil && u.Callback.From.ID != 0:
		c := u.Callback
		message := strconv.FormatInt(c.Message.Chat.ID, 10) + "/" + strconv.FormatInt(c.Message.ID, 10)
		if it, ok := pressed("update/"+id, 0, strconv.FormatInt(c.From.ID, 10), message, c.Data, ""); ok {
			return []Item{it}, nil
		}
	}
	return nil, errPayload
}

func soundTelegram(secret string, in payload, _ time.Time) (bool, error) {
	given := in.header.Get("X-Telegram-Bot-Api-Secret-Token")
	if given == "" {
		return false, nil
	}
	if !equal(given, secret) {
		return false, errSignature
	}
	return true, nil
}
