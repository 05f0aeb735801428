package door

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"rapport/event"
)

// Discord: interactions come by HTTP and are signed; reactions come to a bot by the
// gateway, which forwards them with an ingest token, whole or only what is in d. A
// room is the channel, a message CHANNEL/ID, a person the user's id.
//
// Signature: Ed25519 over timestamp and body (docs.discord.com, "Validating security
// request headers").
//
// A reaction of the gateway has neither an id nor a time. Sent again at once it changes nothing; a bot that
// sends old ones again sends an Idempotency-Key with each.

type discordPayload struct {
	// of an interaction
	ID   string
	Type json.RawMessage // a number; in d of the gateway's reactions too
	Data struct {
		CustomID string `json:"custom_id"`
	}
	Member  struct{ User discordUser }
	User    discordUser
	Message struct {
		ID      string
		Channel string `json:"channel_id"`
	}

	// of the gateway
	T string
	D json.RawMessage
}

type discordUser struct {
	ID  string
	Bot bool
}

type discordReaction struct {
	User    string `json:"user_id"`
	Channel string `json:"channel_id"`
	Message string `json:"message_id"`
	Member  struct{ User discordUser }
	Emoji   struct {
		ID   *string // of a custom one
		Name string
	}
}

// kinds of interactions.
const (
	discordPing      = "1"
	discordComponent = "3"
)

func helloDiscord(in payload) any {
	var p discordPayload
	if json.Unmarshal(in.body, &p) == nil && string(p.Type) == discordPing && p.T == "" {
		return map[string]int{"type": 1}
	}
	return nil
}

// deferDiscord says that the message stays as it is.
func deferDiscord(w http.ResponseWriter, _ []Item) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"type":6}`))
}

func readDiscord(in payload) ([]Item, error) {
	var p discordPayload
	if json.Unmarshal(in.body, &p) != nil {
		return nil, errPayload
	}
	switch p.T {
	case "MESSAGE_REACTION_ADD":
		return p.reaction(ReactionAdded, in.header.Get("Idempotency-Key"))
	case "MESSAGE_REACTION_REMOVE":
		return p.reaction(ReactionGone, in.header.Get("Idempotency-Key"))
	}
	who := p.Member.User.ID
	if who == "" {
		who = p.User.ID
	}
	if p.T != "" || string(p.Type) != discordComponent || p.ID == "" || who == "" || p.Message.ID == "" || p.Message.Channel == "" {
		return nil, errPayload
	}
	it, ok := pressed(p.ID, snowflake(p.ID), who, p.Message.Channel+"/"+p.Message.ID, p.Data.CustomID, "")
	if !ok {
		return nil, errPayload
	}
	return []Item{it}, nil
}

func (p *discordPayload) reaction(typ, key string) ([]Item, error) {
	var d discordReaction
	if json.Unmarshal(p.D, &d) != nil || d.User == "" || d.Channel == "" || d.Message == "" {
		return nil, errPayload
	}
	if d.Emoji.ID != nil || d.Member.User.Bot {
		return []Item{}, nil // one that only their server knows says nothing
	}
	if key == "" {
		key = event.NewID()
	}
	return []Item{made(typ, typ+"/"+key, 0, Data{Room: d.Channel, Message: d.Channel + "/" + d.Message, Who: &Who{Person: d.User}, Emoji: d.Emoji.Name})}, nil
}

// snowflake is when an id was made: milliseconds since 2015 in its first 42 bits.
func snowflake(id string) event.Micros {
	n, err := strconv.ParseUint(id, 10, 63)
	if err != nil || n>>22 == 0 {
		return 0
	}
	return event.Micros(n>>22+1420070400000) * 1000
}

func soundDiscord(key string, in payload, now time.Time) (bool, error) {
	given, stamp := in.header.Get("X-Signature-Ed25519"), in.header.Get("X-Signature-Timestamp")
	if given == "" && stamp == "" {
		return false, nil
	}
	public, err := hex.DecodeString(key)
	sig, bad := hex.DecodeString(given)
	at, none := strconv.ParseInt(stamp, 10, 64)
	if err != nil || bad != nil || none != nil || stale(at, now) || len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, append([]byte(stamp), in.body...), sig) {
		return false, errSignature
	}
	return true, nil
}
