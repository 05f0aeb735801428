package learning

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"slices"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/wire"
	"rapport/policy"
)

// list is the whole list of an agent.
type list struct {
	begin   fold.State // after what was merged
	merged  int
	entries []*fold.Entry
	lib     *library // with what they adopted
}

// readList reads a list, and the parameters that it was folded under.
func (s *Service) readList(tx *sqldb.Tx, agent string) (l list, err error) {
	l.begin, l.lib = fold.New(), s.library()
	var n int
	var newest []byte
	found, err := tx.Get(`select entries, merged, newest from rl_learners where agent_id = $1`, []any{agent}, &n, &l.merged, &newest)
	if err != nil || !found {
		return l, err
	}
	b := newBook(n, l.merged, newest, nil)
	if err := loadFrom(tx, agent, &b, 0, false); err != nil {
		return l, err
	}
	if l.merged > 0 {
		var state []byte
		if _, err := tx.Get(`select state from rl_checkpoints where agent_id = $1 and place = $2`, []any{agent, l.merged}, &state); err != nil {
			return l, err
		}
		if !l.begin.Read(state) { // of another generation: the next event folds it again
			l.begin.Entries = uint32(l.merged)
		}
	}
	if l.entries, err = b.list(); err != nil {
		return l, err
	}
	need := []fold.Versions{l.begin.Adopted}
	for _, e := range l.entries {
		if e.Adopt != nil {
			need = append(need, *e.Adopt)
		}
	}
	for _, v := range need {
		if err := l.lib.need(tx, v); err != nil {
			return l, err
		}
	}
	return l, nil
}

// horizon is the first time of which the list can be taken apart; 0 for always.
func (l *list) horizon() event.Micros {
	if l.merged == 0 || len(l.entries) == 0 {
		return 0
	}
	return l.entries[0].At
}

// Mean is a sum of rewards (formula v1) and how many there were.
type Mean struct {
	RewardSum float64 `json:"rewardSum"`
	Count     int64   `json:"count"`
}

// AgentRLProjection is what is known of an agent's learning in numbers, for its
// owner. What other people did without saying is in it only once five of them
// have; what they are to the agent only as a word.
type AgentRLProjection struct {
	AgentID           event.AgentID      `json:"agentId"`
	OwnerID           event.PersonID     `json:"ownerId"`
	PersonalityTraits policy.Traits      `json:"personalityTraits"`
	ToneWeights       policy.ToneWeights `json:"toneWeights"`
	AutonomyLevel     int                `json:"autonomyLevel"`
	CurrentMood       event.Mood         `json:"currentMood"`

	TotalInteractions int64             `json:"totalInteractions"` // ended sessions
	AvgReward         float64           `json:"avgReward"`         // formula v1, [-1,1]
	LastRewardAt      event.Micros      `json:"lastRewardAt"`      // 0 before the first
	TraitScores       map[string]Mean   `json:"traitScores"`       // rewardSum: Σ reward · rendered level
	ActionStats       map[string]Mean   `json:"actionStats"`       // by what the feedback was about
	RelationshipStats RelationshipStats `json:"relationshipStats"`
	Relationships     []Relationship    `json:"relationships"` // by person

	PositiveCount           int64           `json:"positiveCount"`
	NegativeCount           int64           `json:"negativeCount"`
	Avg                     float64         `json:"avg"` // of explicit scores
	LastFeedbackAt          event.Micros    `json:"lastFeedbackAt"`
	EngagementScore         *float64        `json:"engagementScore"`         // null: nothing, or too few people
	ConversationSuccessRate *float64        `json:"conversationSuccessRate"` // null before the first rated or ended session
	TopicPreferences        map[string]Mean `json:"topicPreferences"`        // by context tag, explicit scores

	LastNActions     []action           `json:"lastNActions"`
	Distribution     map[string]int64   `json:"distribution"`
	SuccessPerAction map[string]float64 `json:"successPerAction"` // share of explicit scores above 0

	Holdout Comparison `json:"holdout"` // better than when you began?
}

// RelationshipStats is the owner's own relationship with the agent.
type RelationshipStats struct {
	Interactions int64        `json:"interactions"`
	AvgReward    float64      `json:"avgReward"`
	LastSeenAt   event.Micros `json:"lastSeenAt"`
	Strength     float64      `json:"strength"` // [0,1), as of now
}

// Relationship is how close somebody is, as a word; who they are stays with them.
type Relationship struct {
	By    string `json:"by"`    // you, a guest
	Level string `json:"level"` // new, familiar, close, dear
}

// crowd is how many people an aggregate of what they did must have.
const crowd = 5

// OwnerOf says whose agent it is; not_found when there is none.
func (s *Service) OwnerOf(ctx context.Context, agent event.AgentID) (owner event.PersonID, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		found, err := tx.Get(`select owner_id from rl_agent_projection where agent_id = $1 and not retired`, []any{agent}, &owner)
		if err == nil && !found {
			err = unknownAgent(agent)
		}
		return err
	})
	return owner, err
}

func unknownAgent(agent event.AgentID) error {
	return fault.New(fault.NotFound, "agent_unknown", "There is no agent %q whose learning could be shown.", agent)
}

// Learning gives the projection of an agent as of now; not_found when there is no
// such agent. Relationships fade by now, nothing else depends on it.
func (s *Service) Learning(ctx context.Context, agent event.AgentID, now event.Micros) (*AgentRLProjection, error) {
	p := &AgentRLProjection{AgentID: agent, TraitScores: map[string]Mean{}, ActionStats: map[string]Mean{}, TopicPreferences: map[string]Mean{},
		Relationships: []Relationship{}, LastNActions: []action{}, Distribution: map[string]int64{}, SuccessPerAction: map[string]float64{}}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error { return p.read(s, tx, string(agent), now) })
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *AgentRLProjection) read(s *Service, tx *sqldb.Tx, agent string, now event.Micros) error {
	var traits, tones, mood string
	found, err := tx.Get(`select owner_id, autonomy_level, personality_traits, tone_weights, current_mood from rl_agent_projection where agent_id = $1 and not retired`,
		[]any{agent}, &p.OwnerID, &p.AutonomyLevel, &traits, &tones, &mood)
	if err != nil {
		return err
	}
	if !found {
		return unknownAgent(event.AgentID(agent))
	}
	for text, into := range map[string]any{traits: &p.PersonalityTraits, tones: &p.ToneWeights, mood: &p.CurrentMood} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return err
		}
	}
	work := map[string]*work{agent: {agent: agent}}
	if err := loadHeads(tx, []string{agent}, work); err != nil {
		return err
	}
	t := work[agent].tally
	p.PositiveCount, p.NegativeCount, p.LastFeedbackAt = t.Positive, t.Negative, t.LastAt
	p.Avg = ratio(t.ScoreSum, t.ScoreCount)
	for tag, n := range t.Topics {
		p.TopicPreferences[tag] = Mean{float64(n[0]) / 1e6, n[1]}
	}
	if err := loadActions(tx, []string{agent}, work); err != nil {
		return err
	}
	if err := work[agent].actions.unpack(); err != nil {
		return err
	}
	if a := work[agent].actions; a.Last != nil {
		p.LastNActions, p.Distribution = a.Last, a.Distribution
	}
	if err := p.readBonds(tx, agent, now); err != nil {
		return err
	}
	l, err := s.readList(tx, agent)
	if err != nil {
		return err
	}
	signals, err := readSignals(tx, agent)
	if err != nil {
		return err
	}
	ended, err := readSessions(tx, agent)
	if err != nil {
		return err
	}
	p.sum(signals, l.entries, ended)
	sides, err := readSides(tx, agent)
	if err != nil {
		return err
	}
	p.Holdout, err = compare(l.entries, sides)
	return err
}

func ratio(sum, count int64) float64 {
	if count == 0 {
		return 0
	}
	return wire.Micro(float64(sum) / 1e6 / float64(count))
}

func (p *AgentRLProjection) readBonds(tx *sqldb.Tx, agent string, now event.Micros) error {
	rows, err := tx.Query(`select person_id, interactions, warmth, at, last_seen_at from rl_relationships where agent_id = $1 order by person_id`, agent)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var person event.PersonID
		var b bond
		if err := rows.Scan(&person, &b.Interactions, &b.Warmth, &b.At, &b.LastSeen); err != nil {
			return err
		}
		strength := b.strengthAt(now)
		by := "a guest"
		if person == p.OwnerID {
			by = "you"
			p.RelationshipStats = RelationshipStats{Interactions: b.Interactions, LastSeenAt: b.LastSeen, Strength: wire.Micro(strength)}
		}
		p.Relationships = append(p.Relationships, Relationship{by, levelOf(strength)})
	}
	return rows.Err()
}

// Strength is how close a person and an agent are now, s = 1 − exp(−I/8) in
// [0,1): for the person it is about.
func (s *Service) Strength(ctx context.Context, agent event.AgentID, person event.PersonID, now event.Micros) (strength float64, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		var b bond
		_, err := tx.Get(`select warmth, at from rl_relationships where agent_id = $1 and person_id = $2`, []any{agent, person}, &b.Warmth, &b.At)
		strength = b.strengthAt(now)
		return err
	})
	return strength, err
}

func readSignals(tx *sqldb.Tx, agent string) (map[string]*Signal, error) {
	out := map[string]*Signal{}
	rows, err := tx.Query(`select feedback_id, at, body from rl_signals where agent_id = $1`, agent)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var at int64
		var body sql.RawBytes
		if err := rows.Scan(&id, &at, &body); err != nil {
			return nil, err
		}
		s, err := readSignal(agent, at, body)
		if err != nil {
			return nil, unreadable(err)
		}
		out[id] = s
	}
	return out, rows.Err()
}

// readSessions says of every ended session whether it was abandoned.
func readSessions(tx *sqldb.Tx, agent string) (map[string]bool, error) {
	out := map[string]bool{}
	rows, err := tx.Query(`select session_id, abandoned from rl_sessions where agent_id = $1`, agent)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var abandoned bool
		if err := rows.Scan(&id, &abandoned); err != nil {
			return nil, err
		}
		out[id] = abandoned
	}
	return out, rows.Err()
}

// sum computes what follows from the signals. All sums are whole millionths, so
// that their order does not matter.
func (p *AgentRLProjection) sum(signals map[string]*Signal, entries []*fold.Entry, ended map[string]bool) {
	others := map[string]bool{}
	for _, s := range signals {
		if s.Channel == event.ChannelBehaviour && s.PersonID != string(p.OwnerID) {
			others[s.PersonID] = true
		}
	}
	levels := map[place]*policy.Traits{}
	for _, e := range entries {
		if e.About.Decided {
			levels[place{e.At, e.ID}] = &e.About.Rendered
		}
	}
	type sums struct{ sum, n int64 }
	add := func(m map[string]sums, key string, v int64) { m[key] = sums{m[key].sum + v, m[key].n + 1} }
	all, own, engaged := sums{}, sums{}, sums{}
	actions, traits, scored, liked := map[string]sums{}, map[string]sums{}, map[string]sums{}, map[string]sums{}
	rated, engagement := map[string]sums{}, map[string]sums{}
	for _, s := range signals {
		mine := s.PersonID == string(p.OwnerID)
		if s.Channel == event.ChannelBehaviour && !mine && len(others) < crowd {
			continue
		}
		p.LastRewardAt = max(p.LastRewardAt, s.Timestamp)
		all = sums{all.sum + s.Reward, all.n + 1}
		if mine {
			own = sums{own.sum + s.Reward, own.n + 1}
		}
		add(actions, s.ActionType, s.Reward)
		for _, at := range s.Places {
			if x := levels[at]; x != nil {
				for j := range x {
					add(traits, policy.Trait(j).String(), int64(math.Round(float64(s.Reward)*x[j])))
				}
			}
		}
		if v := s.FeedbackScore; v != nil {
			good := int64(0)
			if *v > 0 {
				good = 1e6
			}
			add(liked, s.ActionType, good)
			add(scored, s.ActionType, int64(math.Round(*v*1e6)))
		}
		if v := s.EngagementScore; v != nil {
			e := int64(math.Round(*v * 1e6))
			engaged = sums{engaged.sum + e, engaged.n + 1}
			add(engagement, s.Session, e)
		}
		if s.Rated && s.Session != "" {
			good := int64(0)
			if s.Good {
				good = 1
			}
			add(rated, s.Session, good)
		}
	}
	p.AvgReward = ratio(all.sum, all.n)
	p.RelationshipStats.AvgReward = ratio(own.sum, own.n)
	for key, s := range actions {
		p.ActionStats[key] = Mean{float64(s.sum) / 1e6, s.n}
	}
	for key, s := range traits {
		p.TraitScores[key] = Mean{float64(s.sum) / 1e6, s.n}
	}
	for key, s := range liked {
		p.SuccessPerAction[key] = ratio(s.sum, s.n)
	}
	if engaged.n > 0 {
		v := ratio(engaged.sum, engaged.n)
		p.EngagementScore = &v
	}
	// a session is a success when it was rated good or better, or, unrated, when
	// e ≥ .6 and nobody abandoned it
	success, known := 0, 0
	p.TotalInteractions = int64(len(ended))
	for id := range rated {
		if _, over := ended[id]; !over {
			ended[id] = false
		}
	}
	for id, abandoned := range ended {
		known++
		if r, ok := rated[id]; ok {
			if r.sum == r.n {
				success++
			}
		} else if e := engagement[id]; e.n > 0 && ratio(e.sum, e.n) >= .6 && !abandoned {
			success++
		}
	}
	if known > 0 {
		v := wire.Micro(float64(success) / float64(known))
		p.ConversationSuccessRate = &v
	}
}

// newest lists feedback ids, the newest first, at most n.
func newest(signals map[string]*Signal, n int) []string {
	ids := make([]string, 0, len(signals))
	for id := range signals {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return fold.Compare(signals[b].Timestamp, b, signals[a].Timestamp, a) })
	return ids[:min(n, len(ids))]
}
