package event

import (
	"reflect"
	"slices"
)

// Topics are by key kind, so that everything about one agent, room or person
// lies in one order.
const (
	TopicAgents   = "agents"
	TopicRooms    = "rooms"
	TopicPeople   = "people"
	TopicPlatform = "platform"
)

// Topics lists them.
func Topics() []string { return []string{TopicAgents, TopicRooms, TopicPeople, TopicPlatform} }

// Registration is what is known of one event type.
type Registration struct {
	Type    Type
	Version int    // the newest schema version
	Topic   string // where it lies on the log
	Emitter string // the context that emits it
	Says    string // one line for docs/events.md
	Payload reflect.Type
}

var registry = map[Type]Registration{}

func register[T Payload](emitter, topic, says string) {
	var p T
	t := p.EventType()
	if _, twice := registry[t]; twice {
		panic("event type registered twice: " + string(t))
	}
	registry[t] = Registration{Type: t, Version: 1, Topic: topic, Emitter: emitter, Says: says, Payload: reflect.TypeFor[T]()}
}

// Lookup gives the registration of a type.
func Lookup(t Type) (Registration, bool) {
	r, ok := registry[t]
	return r, ok
}

// Registered lists every type by name.
func Registered() []Registration {
	out := make([]Registration, 0, len(registry))
	for _, r := range registry {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Registration) int {
		if a.Type < b.Type {
			return -1
		}
		return 1
	})
	return out
}
