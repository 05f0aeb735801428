package outside

import (
	"encoding/json"

	"rapport/policy"
	"rapport/simulate/gym"
)

// Protocol is the number of the line protocol.
const Protocol = 1

// line is one of ours: exactly one field is there.
type line struct {
	Hello  *Hello `json:"hello,omitempty"`
	Act    *Act   `json:"act,omitempty"`
	Learn  *Learn `json:"learn,omitempty"`
	Result any    `json:"result,omitempty"`
}

// Hello begins a population. Nothing learned of one is of use in another.
type Hello struct {
	Protocol    int             `json:"protocol"`
	Traits      []string        `json:"traits"` // names, in the order of every vector
	Population  int             `json:"population"`
	Populations int             `json:"populations"`
	Agents      int             `json:"agents"`
	Sessions    int             `json:"sessions"` // of each agent
	Seed        uint64          `json:"seed"`     // for the learner's own chance
	Starts      []policy.Traits `json:"-"`        // levels each agent starts with
}

// MarshalJSON writes starts as arrays.
func (h Hello) MarshalJSON() ([]byte, error) {
	type bare Hello
	starts := make([][policy.NTraits]float64, len(h.Starts))
	for i, s := range h.Starts {
		starts[i] = s
	}
	return json.Marshal(struct {
		bare
		Starts [][policy.NTraits]float64 `json:"starts"`
	}{bare(h), starts})
}

// Act asks for the levels to use in a session; {"x":[…]} is the answer, with
// "policy" where the policy without exploration is another.
type Act struct {
	Agent   int    `json:"agent"`
	Session int    `json:"session"`
	Place   string `json:"place"` // with_owner, with_other, small_room, large_room
}

var places = [...]string{gym.WithOwner: "with_owner", gym.WithOther: "with_other", gym.SmallRoom: "small_room", gym.LargeRoom: "large_room"}

// Learn tells what people let be known of a session; there is no answer.
type Learn struct {
	Agent   int                     `json:"agent"`
	Session int                     `json:"session"`
	X       [policy.NTraits]float64 `json:"x"` // the levels that were used
	Signals []Signal                `json:"signals"`
}

// Signal is one thing people let be known.
type Signal struct {
	Source string  `json:"source"` // owner_rating, owner_thumb, guest_thumb, implicit, review, tone_press
	Rater  int     `json:"rater"`  // −1 the owner, else a number in the population
	Value  float64 `json:"value"`
	Trait  string  `json:"trait,omitempty"`  // of a press
	Toward int8    `json:"toward,omitempty"` // of a press: 1 more, −1 less
}

var sources = [...]string{
	gym.OwnerRating: "owner_rating", gym.OwnerThumb: "owner_thumb", gym.GuestThumb: "guest_thumb",
	gym.Implicit: "implicit", gym.Review: "review", gym.TonePress: "tone_press",
}

func signalOf(s gym.Signal) Signal {
	out := Signal{Source: sources[s.Source], Rater: s.Rater, Value: s.Value}
	if s.Source == gym.TonePress {
		out.Trait, out.Toward = s.Trait.String(), s.Toward
	}
	return out
}
