package mentor

import (
	"cmp"
	"slices"
	"strconv"

	"rapport/event"
)

// Candidate is an exchange that a reviewer may be given.
type Candidate struct {
	Message event.MessageID
	Agent   event.AgentID
	Owner   event.PersonID
	Room    event.RoomID
	Session event.SessionID
	Given   int // reviewers who have it or had it
}

// MaxReviewers is how many people one exchange is given to.
const MaxReviewers = 3

// Order puts candidates in the order in which a reviewer gets them on a day: those
// given to the fewest first, and by chance among those, which is a hash of the seed,
// the reviewer, the day and the exchange. Equal arguments give an equal order,
// whatever the order of the candidates; those given to MaxReviewers, and those of an
// owner in partners, are left out.
func Order(seed string, reviewer event.PersonID, day int64, all []Candidate, partners map[event.PersonID]bool) []Candidate {
	type drawn struct {
		Candidate
		lot string
	}
	var lots []drawn
	for _, c := range all {
		if c.Given >= MaxReviewers || c.Owner == reviewer || partners[c.Owner] {
			continue
		}
		lots = append(lots, drawn{c, event.HashID("review", seed, string(reviewer), strconv.FormatInt(day, 10), string(c.Message))})
	}
	slices.SortFunc(lots, func(a, b drawn) int {
		return cmp.Or(cmp.Compare(a.Given, b.Given), cmp.Compare(a.lot, b.lot), cmp.Compare(a.Message, b.Message))
	})
	out := make([]Candidate, len(lots))
	for i, l := range lots {
		out[i] = l.Candidate
	}
	return out
}
