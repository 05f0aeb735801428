package compile

import (
	"rapport/event"
	"rapport/policy"
)

// Situation is what the decision to speak depends on.
type Situation struct {
	Place         string  // one of event's Context constants
	Direct        bool    // one person and one agent
	Addressed     bool    // the message names the agent or answers it
	AuthorIsAgent bool    // the message to answer is another agent's
	AgentTurns    int     // messages of agents at the end of the talk, that one included, no person between
	FloorShare    float64 // the agent's share of the last ten messages, [0,1]
	Autonomous    int     // what the agent did today without a person asking
	Quiet         bool    // quiet hours
	Killed        bool    // the kill switch is on
	Spent         bool    // the person has had the day's replies
	Protected     bool    // somebody in the room is protected
	Begins        string  // what the agent would begin, one of event's Begins constants; '' for an answer
	Paused        bool    // learning is paused: the owner wants no news of the agent
	Unwelcome     bool    // not everybody in the room allows it
	Draw          float64 // a uniform number in [0,1), a function of message and agent
}

// MaxAgentTurns is how many messages of agents may follow each other without a
// person: then every agent is silent until a person speaks.
const MaxAgentTurns = 3

// The reasons of a decision to speak or not.
const (
	ReasonKilled     = "killed"
	ReasonLimit      = "replies_spent"
	ReasonAgentTurns = "agent_turns"
	ReasonDirect     = "direct"
	ReasonAddressed  = "addressed"
	ReasonProtected  = "protected"
	ReasonAutonomy   = "autonomy"
	ReasonQuiet      = "quiet_hours"
	ReasonDailyCap   = "daily_cap"
	ReasonFrequency  = "reply_frequency"
	ReasonFloor      = "floor_share"
	ReasonPaused     = "paused"
	ReasonUnwelcome  = "no_consent"
)

// ActionController decides whether to speak.
type ActionController struct {
	Policy   policy.ActionPolicy
	Autonomy int
}

var (
	frequencyOnly  = []string{ReasonFrequency}
	frequencyFloor = []string{ReasonFrequency, ReasonFloor}
	single         = func() map[string][]string {
		m := map[string][]string{}
		for _, r := range []string{ReasonKilled, ReasonLimit, ReasonAgentTurns, ReasonDirect, ReasonAddressed, ReasonProtected, ReasonAutonomy, ReasonQuiet, ReasonDailyCap,
			ReasonPaused, ReasonUnwelcome, event.BeginsOpening, event.BeginsPost, event.BeginsInvite, event.BeginsThread} {
			m[r] = []string{r}
		}
		return m
	}()
)

// ShouldReply gives the decision, its probability and the reasons, in this order:
// killed, the person's replies of the day spent: no. Three agent turns without a person: no. A person in a direct room,
// or one who addresses the agent: yes. From here on nobody asked: a protected
// room, autonomy 0, quiet hours, and towards other agents the daily cap: no. An
// agent that addressed it: yes. Else with the reply frequency of the place, less
// when the agent already holds more than half of the floor.
func (a ActionController) ShouldReply(s Situation) (bool, float64, []string) {
	no := func(r string) (bool, float64, []string) { return false, 0, single[r] }
	if s.Begins != "" {
		return a.mayBegin(s)
	}
	switch {
	case s.Killed:
		return no(ReasonKilled)
	case s.Spent:
		return no(ReasonLimit)
	case s.AuthorIsAgent && s.AgentTurns >= MaxAgentTurns:
		return no(ReasonAgentTurns)
	case !s.AuthorIsAgent && s.Direct:
		return true, 1, single[ReasonDirect]
	case !s.AuthorIsAgent && s.Addressed:
		return true, 1, single[ReasonAddressed]
	case s.Protected:
		return no(ReasonProtected)
	case a.Autonomy < 1 && !s.Addressed:
		return no(ReasonAutonomy)
	case s.Quiet:
		return no(ReasonQuiet)
	case s.AuthorIsAgent && s.Autonomous >= a.Policy.MaxAutonomousActionsPerDay:
		return no(ReasonDailyCap)
	case s.Addressed:
		return true, 1, single[ReasonAddressed]
	}
	p, reasons := a.frequency(s.Place), frequencyOnly
	if s.FloorShare > .5 {
		p, reasons = p*2*(1-min(s.FloorShare, 1)), frequencyFloor
	}
	p = clamp(p, 0, 1)
	return s.Draw < p, p, reasons
}

// mayBegin gives the decision on what nobody's message asks for. The first words in a
// room that somebody opened: yes, unless killed. All else, in this order: killed,
// paused, a protected room, autonomy below 2 (below 3 for a thread), not everybody
// there allows it, quiet hours, the daily cap: no. Else with the policy's probability;
// the reason is then what would be begun, also of a no.
func (a ActionController) mayBegin(s Situation) (bool, float64, []string) {
	no := func(r string) (bool, float64, []string) { return false, 0, single[r] }
	autonomy, p := 2, 0.
	switch s.Begins {
	case event.BeginsPost:
		p = a.Policy.PostProbability
	case event.BeginsInvite:
		p = a.Policy.InviteProbability
	case event.BeginsThread:
		autonomy, p = 3, a.Policy.StartThreadProbability
	}
	switch {
	case s.Killed:
		return no(ReasonKilled)
	case s.Begins == event.BeginsOpening:
		return true, 1, single[event.BeginsOpening]
	case s.Paused:
		return no(ReasonPaused)
	case s.Protected:
		return no(ReasonProtected)
	case a.Autonomy < autonomy:
		return no(ReasonAutonomy)
	case s.Unwelcome:
		return no(ReasonUnwelcome)
	case s.Quiet:
		return no(ReasonQuiet)
	case s.Autonomous >= a.Policy.MaxAutonomousActionsPerDay:
		return no(ReasonDailyCap)
	}
	p = clamp(p, 0, 1)
	return s.Draw < p, p, single[s.Begins]
}

func (a ActionController) frequency(place string) float64 {
	f := a.Policy.ReplyFrequency
	switch place {
	case event.ContextDMWithOwner:
		return f.DMWithOwner
	case event.ContextDMWithOthers:
		return f.DMWithOthers
	case event.ContextGroupSmall:
		return f.GroupSmall
	case event.ContextGroupLarge:
		return f.GroupLarge
	}
	return 0
}
