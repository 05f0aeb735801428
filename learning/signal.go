package learning

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/reward"
	"rapport/learning/wire"
	"rapport/policy"
)

// Event is one signal in the normalised form that the reward takes: agentId,
// personId, actionType, contextTags, feedbackScore, engagementScore, timestamp.
type Event = reward.Event

// Signal is what one live feedback was counted as.
type Signal struct {
	Event
	Channel string

	Detector string // of a behaviour, with its version

	Reward  int64 // formula v1, millionths
	Session string
	Rated   bool // of a session: somebody gave it a level
	Good    bool // and that was good or better
	Places  []place
}

// place is an episode in the list.
type place struct {
	At event.Micros
	ID string
}

// The formats: with a detector, as behaviour has, and without.
const (
	signalFormat    = 1
	behaviourFormat = 2
)

// append encodes the signal but its agent and time, which stand beside it.
func (s *Signal) append(b []byte) []byte {
	if s.Detector == "" {
		b = append(b, signalFormat)
	} else {
		b = wire.AppendText(append(b, behaviourFormat), s.Detector)
	}
	for _, score := range [...]*float64{s.FeedbackScore, s.EngagementScore} {
		if b = wire.AppendBool(b, score != nil); score != nil {
			b = wire.AppendMicro(b, *score)
		}
	}
	b = wire.AppendInt64(b, s.Reward)
	b = wire.AppendBool(wire.AppendBool(b, s.Rated), s.Good)
	b = wire.AppendID(wire.AppendID(b, s.PersonID), s.Session)
	b = wire.AppendText(wire.AppendText(b, s.ActionType), s.Channel)
	b = binary.AppendUvarint(b, uint64(len(s.ContextTags)))
	for _, tag := range s.ContextTags {
		b = wire.AppendText(b, tag)
	}
	for _, p := range s.Places {
		b = wire.AppendID(wire.AppendInt64(b, p.At), p.ID)
	}
	return b
}

func readSignal(agent string, at event.Micros, body []byte) (*Signal, error) {
	s, r := &Signal{Event: Event{AgentID: agent, Timestamp: at}}, wire.Reader{B: body}
	switch r.Byte() {
	case signalFormat:
	case behaviourFormat:
		s.Detector = r.Text()
	default:
		return nil, errSignal
	}
	for _, score := range [...]**float64{&s.FeedbackScore, &s.EngagementScore} {
		if r.Bool() {
			v := r.Micro()
			*score = &v
		}
	}
	s.Reward = r.Int64()
	s.Rated, s.Good = r.Bool(), r.Bool()
	s.PersonID, s.Session = r.ID(), r.ID()
	s.ActionType, s.Channel = r.Text(), r.Text()
	for n := r.Length(); n > 0; n-- {
		s.ContextTags = append(s.ContextTags, r.Text())
	}
	for len(r.B) > 0 {
		s.Places = append(s.Places, place{r.Int64(), r.ID()})
	}
	if r.Bad {
		return nil, errSignal
	}
	return s, nil
}

var errSignal = errors.New("not a signal as it was counted")

// signalOf reads a feedback for the projections.
func signalOf(p *event.FeedbackCreated, at event.Micros) *Signal {
	s := &Signal{Channel: p.Channel, Session: string(p.SessionID),
		Event: Event{AgentID: string(p.AgentID), PersonID: string(p.RaterID), ActionType: actionOf(p), ContextTags: slices.Clone(p.Tags), Timestamp: at}}
	if p.Channel == event.ChannelBehaviour {
		s.Detector = p.Signal
	}
	behaviour := reward.Behaviour{}
	switch {
	case p.Channel == event.ChannelBehaviour && isEngagement(p):
		e := wire.Micro(min(1, max(0, p.Score)))
		s.EngagementScore = &e
	case p.Channel == event.ChannelBehaviour:
		behaviour = behaviourOf(p)
	case !isWish(p):
		v := wire.Micro(reward.Score(reward.V1, p.Channel, p.Level, p.Score))
		s.FeedbackScore = &v
		if p.Channel == event.ChannelSession {
			s.Rated, s.Good = true, v >= .5
		}
	}
	s.Reward = int64(math.Round(reward.Of(s.Event, behaviour).Value * 1e6))
	for _, share := range p.Shares {
		s.Places = append(s.Places, place{share.Start, string(share.EpisodeID)})
	}
	return s
}

// isWish says that a feedback has a direction only, and no score.
func isWish(p *event.FeedbackCreated) bool {
	return p.Channel == event.ChannelTone || p.Channel == event.ChannelReason || p.Channel == event.ChannelCorrected
}

func isEngagement(p *event.FeedbackCreated) bool {
	name, _, _ := strings.Cut(p.Signal, "/")
	return name == "engagement"
}

// behaviourOf reads a behaviour for formula v1: a talk that lasted counts when it
// sounded pleased, a room when most of it took part.
func behaviourOf(p *event.FeedbackCreated) reward.Behaviour {
	b := reward.BehaviourOf(p.Signal)
	if fusion.SourceOf(p.Signal) == fusion.Stayed {
		b.LongPositive = p.Sentiment != nil && *p.Sentiment > 0
	}
	b.EngagedRoom = b.EngagedRoom && p.Score >= .5
	return b
}

// actionOf is the kind of action that a feedback is about.
func actionOf(p *event.FeedbackCreated) string {
	switch {
	case p.Channel == event.ChannelCheckIn:
		return "check_in"
	case p.Channel == event.ChannelReview:
		return "review"
	case p.MessageID != "" || p.DecisionID != "":
		return "reply"
	}
	return "session"
}

// doubtOf is how often what a signal counts for was halved.
func doubtOf(p *event.FeedbackCreated) (n uint8) {
	for w := p.Weight; w > 0 && w < 1 && n < fold.MaxDoubt; w *= 2 {
		n++
	}
	return n
}

// contributionOf reads a feedback for the fold; false when it has no source that
// the fold knows.
func contributionOf(p *event.FeedbackCreated, at event.Micros, share float64) fold.Contribution {
	c := fold.Contribution{
		Feedback: string(p.FeedbackID), Rater: string(p.RaterID), At: at, Owner: p.Role == event.RoleOwner,
		CheckIn: p.Channel == event.ChannelCheckIn, Protected: p.Protected,
		Value: wire.Micro(reward.Score(reward.V2, p.Channel, p.Level, p.Score)),
		Share: wire.Micro(min(1, max(0, share))), Doubt: doubtOf(p),
	}
	switch p.Channel {
	case event.ChannelSession, event.ChannelCheckIn:
		c.Source = fusion.OwnerRating
	case event.ChannelThumb, event.ChannelMoreLess:
		c.Source = fusion.OwnerThumb
	case event.ChannelReview:
		c.Source = fusion.Review
	case event.ChannelBehaviour:
		if c.Source = fusion.SourceOf(p.Signal); p.Noise > 0 && c.Source.Usual() > 0 {
			c.Extra = wire.Micro(min(1, p.Noise) - c.Source.Usual())
		}
	default:
		c.Source = fusion.Guest
	}
	if !c.Owner && c.Source <= fusion.OwnerThumb {
		c.Source = fusion.Guest
	}
	if d := p.Direction; d != nil {
		if t, ok := policy.ParseTrait(d.Trait); ok {
			c.Trait, c.Toward = t, int8(cmp.Compare(d.Sign, 0))
		}
	}
	if isWish(p) && c.Toward == 0 {
		c.Share = 0 // a wish for nothing
	}
	if m := p.Measured; m != nil {
		for j := range policy.NTraits {
			if v, ok := m.Levels[policy.Trait(j).String()]; ok && v >= 0 && v <= 1 {
				c.Measured |= 1 << j
				c.Levels[j] = wire.Micro(v)
			}
		}
	}
	return c
}

// tally is the row of rl_feedback_projection: whole numbers, so that the order of
// addition does not matter.
type tally struct {
	Revision, Positive, Negative, ScoreSum, ScoreCount, EngagementSum, EngagementCount, RewardSum, RewardCount, LastAt int64

	Topics map[string][2]int64 // by tag: sum of explicit scores, count
}

// count adds a signal, or with sign −1 takes it away.
func (t *tally) count(s *Signal, sign int64) {
	if v := s.FeedbackScore; v != nil {
		m := int64(math.Round(*v * 1e6))
		switch {
		case m > 0:
			t.Positive += sign
		case m < 0:
			t.Negative += sign
		}
		t.ScoreSum += sign * m
		t.ScoreCount += sign
		for _, tag := range s.ContextTags {
			if t.Topics == nil {
				t.Topics = map[string][2]int64{}
			}
			n := t.Topics[tag]
			n[0], n[1] = n[0]+sign*m, n[1]+sign
			if n[1] == 0 {
				delete(t.Topics, tag)
			} else {
				t.Topics[tag] = n
			}
		}
	}
	if v := s.EngagementScore; v != nil {
		t.EngagementSum += sign * int64(math.Round(*v*1e6))
		t.EngagementCount += sign
	}
	t.RewardSum += sign * s.Reward
	t.RewardCount += sign
	if sign > 0 {
		t.LastAt = max(t.LastAt, s.Timestamp)
	}
}

func (t *tally) topics() string {
	if len(t.Topics) == 0 {
		return "{}"
	}
	b, _ := json.Marshal(t.Topics) // sorted by key
	return string(b)
}
