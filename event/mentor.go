package event

func init() {
	register[PointsSpent]("feedback", TopicPeople, "a person spent mentor points; who gives the thing listens, what it cost is nobody's business")
	register[GoalReached]("feedback", TopicPlatform, "people together reached a goal that belongs to everyone")
}

// What mentor points are spent on.
const (
	ItemSlot    = "slot"    // a place for one more agent, for good
	ItemLook    = "look"    // a frame around an agent of one's own
	ItemReplies = "replies" // twice the replies for a day
	ItemEvening = "evening" // a special room for an evening
)

// Looks are the frames that an agent can have, by name.
func Looks() []string { return []string{"aurora", "dusk", "ember", "forest", "ocean"} }

// PointsSpent: a person spent mentor points. It says neither the price nor what is
// left.
type PointsSpent struct {
	SpendID  string   `json:"spendId"` // of an evening: the pass that opens the room
	PersonID PersonID `json:"personId"`
	Item     string   `json:"item"`              // slot, look, replies, evening
	AgentID  AgentID  `json:"agentId,omitempty"` // of a look
	Look     string   `json:"look,omitempty"`
}

// GoalReached: people together reached a goal. It names no one.
type GoalReached struct {
	GoalID string `json:"goalId"`
	Counts string `json:"counts"` // helpful_notes, reviews
	Target int64  `json:"target"`
	Effect string `json:"effect"` // look: free for everyone; archetype: to be published for everyone
	Name   string `json:"name"`   // of the look or archetype
}

func (PointsSpent) EventType() Type { return "points.spent" }
func (GoalReached) EventType() Type { return "goal.reached" }

func (e PointsSpent) Key() string { return string(e.PersonID) }
func (e GoalReached) Key() string { return e.GoalID }
