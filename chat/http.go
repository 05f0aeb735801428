package chat

import (
	"context"
	"net/http"
	"strconv"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

type inRoom struct {
	Room event.RoomID `path:"room"`
}

type inMessage struct {
	Room    event.RoomID    `path:"room"`
	Message event.MessageID `path:"message"`
}

type inReaction struct {
	Room    event.RoomID    `path:"room"`
	Message event.MessageID `path:"message"`
	Emoji   string          `path:"emoji" doc:"The emoji, percent-encoded, or the shortcode of a common one."`
}

type nothing struct{}

// Routes adds the context's routes.
func (s *Service) Routes(api *httpapi.API) {
	op := func(summary string, status int, errors ...int) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "chat", Scope: authz.ScopeChat, Status: status, Errors: errors}
	}

	httpapi.Post(api, "/v1/rooms", op("Make a group of people and agents", 201, 404, 409),
		func(ctx context.Context, in *struct {
			httpapi.IdempotencyHeader
			Body NewRoom
		}) (Room, error) {
			return s.CreateRoom(ctx, in.Body, in.IdempotencyKey)
		})

	type rooms struct {
		Rooms []Room `json:"rooms"`
	}
	httpapi.Get(api, "/v1/rooms", op("List your rooms by id", 200),
		func(ctx context.Context, in *struct {
			After event.RoomID `query:"after" doc:"Rooms after this id."`
			Limit int          `query:"limit" doc:"At most so many, 50 when absent, up to 200."`
		}) (rooms, error) {
			list, err := s.Rooms(ctx, in.After, in.Limit)
			return rooms{list}, err
		})

	httpapi.Get(api, "/v1/rooms/{room}", op("Show a room of yours", 200),
		func(ctx context.Context, in *inRoom) (Room, error) { return s.Room(ctx, in.Room) })

	httpapi.Post(api, "/v1/agents/{agent}/talk", op("Open your direct room with an agent, made when absent", 200, 503),
		func(ctx context.Context, in *struct {
			Agent event.AgentID `path:"agent"`
		}) (Room, error) {
			return s.Talk(ctx, in.Agent)
		})

	httpapi.Post(api, "/v1/rooms/{room}/members", op("Bring an agent or a person into a group", 200, 409, 503),
		func(ctx context.Context, in *struct {
			Room event.RoomID `path:"room"`
			Body struct {
				AgentID  event.AgentID  `json:"agentId,omitempty"`
				PersonID event.PersonID `json:"personId,omitempty"`
			}
		}) (Room, error) {
			return s.Invite(ctx, in.Room, event.Member{AgentID: in.Body.AgentID, PersonID: in.Body.PersonID})
		})

	httpapi.Delete(api, "/v1/rooms/{room}/members/{member}", op("Leave a room, or take somebody out", 204),
		func(ctx context.Context, in *struct {
			Room   event.RoomID `path:"room"`
			Member string       `path:"member"`
		}) (nothing, error) {
			return nothing{}, s.Remove(ctx, in.Room, in.Member)
		})

	httpapi.Post(api, "/v1/rooms/{room}/link", op("Make your link into a group; the one before it ends", 201, 409),
		func(ctx context.Context, in *inRoom) (Link, error) { return s.MakeLink(ctx, in.Room) })

	httpapi.Delete(api, "/v1/rooms/{room}/link", op("End your link into a group", 204),
		func(ctx context.Context, in *inRoom) (nothing, error) { return nothing{}, s.EndLink(ctx, in.Room) })

	httpapi.Post(api, "/v1/rooms/join", op("Come into a group by a link", 200, 404, 409),
		func(ctx context.Context, in *struct{ Body NewMember }) (Room, error) { return s.Join(ctx, in.Body) })

	httpapi.Put(api, "/v1/rooms/{room}/consent", op("Allow or forbid signals from what you do in a room", 204),
		func(ctx context.Context, in *struct {
			Room event.RoomID `path:"room"`
			Body struct {
				Consent bool `json:"consent"`
			}
		}) (nothing, error) {
			return nothing{}, s.SetConsent(ctx, in.Room, in.Body.Consent)
		})

	httpapi.Post(api, "/v1/rooms/{room}/messages", op("Say something", 201, 409),
		func(ctx context.Context, in *struct {
			httpapi.IdempotencyHeader
			Room event.RoomID `path:"room"`
			Body NewMessage
		}) (Message, error) {
			return s.Post(ctx, in.Room, in.Body, in.IdempotencyKey)
		})

	httpapi.Get(api, "/v1/rooms/{room}/messages", op("Read messages in their order; the newest without after or before", 200),
		func(ctx context.Context, in *struct {
			Room   event.RoomID `path:"room"`
			After  int64        `query:"after" doc:"The first ones after this sequence number."`
			Before int64        `query:"before" doc:"The last ones before this sequence number."`
			Limit  int          `query:"limit" doc:"At most so many, 50 when absent, up to 200."`
		}) (Page, error) {
			return s.Messages(ctx, in.Room, in.After, in.Before, in.Limit)
		})

	httpapi.Patch(api, "/v1/rooms/{room}/messages/{message}", op("Give a message of yours another text", 200),
		func(ctx context.Context, in *struct {
			Room    event.RoomID    `path:"room"`
			Message event.MessageID `path:"message"`
			Body    struct {
				Text string `json:"text"`
			}
		}) (Message, error) {
			return s.Edit(ctx, in.Room, in.Message, in.Body.Text)
		})

	httpapi.Delete(api, "/v1/rooms/{room}/messages/{message}", op("Delete a message of yours", 204),
		func(ctx context.Context, in *inMessage) (nothing, error) {
			return nothing{}, s.Delete(ctx, in.Room, in.Message)
		})

	httpapi.Put(api, "/v1/rooms/{room}/messages/{message}/reactions/{emoji}", op("React to a message", 204, 409),
		func(ctx context.Context, in *inReaction) (nothing, error) {
			return nothing{}, s.React(ctx, in.Room, in.Message, in.Emoji)
		})

	httpapi.Delete(api, "/v1/rooms/{room}/messages/{message}/reactions/{emoji}", op("Take a reaction back", 204),
		func(ctx context.Context, in *inReaction) (nothing, error) {
			return nothing{}, s.Unreact(ctx, in.Room, in.Message, in.Emoji)
		})

	type ended struct {
		Ended []event.SessionID `json:"ended"`
	}
	httpapi.Post(api, "/v1/rooms/{room}/end", op("End the talk: its live sessions", 200),
		func(ctx context.Context, in *inRoom) (ended, error) {
			ids, err := s.End(ctx, in.Room)
			return ended{ids}, err
		})

	stream := op("Follow a room as server-sent events; Last-Event-ID or ?after= goes on after a change", 200)
	api.Handle("GET /v1/rooms/{room}/stream", stream, http.HandlerFunc(s.stream), nil)
}

// stream answers with a room's changes. Events: message, room, typing, delta, trouble, gone.
func (s *Service) stream(w http.ResponseWriter, r *http.Request) {
	after := int64(-1)
	last := r.Header.Get("Last-Event-ID")
	if last == "" {
		last = r.URL.Query().Get("after")
	}
	if last != "" {
		n, err := strconv.ParseInt(last, 10, 64)
		if err != nil || n < 0 {
			httpapi.WriteError(w, r, fault.New(fault.Invalid, "event_id_invalid", "The last event id is the number of a change."))
			return
		}
		after = n
	}
	var out *httpapi.Stream
	err := s.Follow(r.Context(), event.RoomID(r.PathValue("room")), after, func(f Frame) error {
		if out == nil {
			out = httpapi.OpenStream(w)
		}
		if f.Name == "" {
			return out.Ping()
		}
		return out.Send(f.ID, f.Name, f.Data)
	})
	if err != nil && out == nil {
		httpapi.WriteError(w, r, err)
	}
}
