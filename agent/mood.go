package agent

import (
	"math"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// Mood is how an agent feels at the time it is read, each in [-1,1].
type Mood struct {
	Valence         float64 `json:"valence"` // unpleasant … pleasant
	Arousal         float64 `json:"arousal"` // calm … stirred
	BaselineValence float64 `json:"baselineValence"`
	BaselineArousal float64 `json:"baselineArousal"`
	Off             bool    `json:"off"`
}

const (
	moodHalfLife = float64(6 * time.Hour / time.Microsecond)
	moodNudge    = .1 // the most one session does
	moodDeaf     = .2 // a sentiment nearer to 0 says nothing
)

// talks is what an agent's sessions left: how many there were, and how far the
// mood was from its baseline at a time. The distance halves every six hours and
// is computed at reading; no job changes it.
type talks struct {
	sessions         int64
	valence, arousal float64
	at               event.Micros
}

// faded is the distance left at a time.
func (t talks) faded(at event.Micros) (valence, arousal float64) {
	left := math.Exp2(-float64(max(0, at-t.at)) / moodHalfLife)
	return float64(t.valence * left), float64(t.arousal * left)
}

// after gives the talks with one more session, and whether it moved the mood.
// With s the sentiment of the people who allow signals, weighted by their turns,
// valence moves by .1·s and arousal by .1·|s|; nothing moves for |s| < .2, for
// protected and for imported sessions.
func (t talks) after(e event.SessionEnded, at event.Micros) (talks, bool) {
	at = max(at, t.at)
	next := talks{sessions: t.sessions + 1, at: at}
	next.valence, next.arousal = t.faded(at)
	var sum, turns float64
	for _, p := range e.People {
		if p.Consent && p.Turns > 0 {
			sum += float64(clamp(p.Sentiment) * float64(p.Turns))
			turns += float64(p.Turns)
		}
	}
	if turns == 0 || e.Protected || e.Imported || math.Abs(sum/turns) < moodDeaf {
		return next, false
	}
	s := sum / turns
	next.valence = clamp(next.valence + float64(moodNudge*s))
	next.arousal = clamp(next.arousal + float64(moodNudge*math.Abs(s)))
	return next, true
}

func clamp(v float64) float64 { return min(1, max(-1, v)) }

// mood is how the agent feels at a time.
func (a *record) mood(t talks, at event.Micros) Mood {
	m := Mood{Valence: a.moodValence, Arousal: a.moodArousal, BaselineValence: a.moodValence, BaselineArousal: a.moodArousal, Off: a.moodOff}
	if !a.moodOff {
		v, r := t.faded(at)
		m.Valence, m.Arousal = clamp(m.Valence+v), clamp(m.Arousal+r)
	}
	return m
}

func talksOf(tx *sqldb.Tx, id event.AgentID) (t talks, err error) {
	_, err = tx.Get(`select sessions, valence, arousal, at from talks where agent_id = $1`, []any{id}, &t.sessions, &t.valence, &t.arousal, &t.at)
	return t, err
}

func putTalks(tx *sqldb.Tx, id event.AgentID, t talks) error {
	_, err := tx.Exec(`insert into talks (agent_id, sessions, valence, arousal, at) values ($1, $2, $3, $4, $5)
		on conflict (agent_id) do update set sessions = excluded.sessions, valence = excluded.valence, arousal = excluded.arousal, at = excluded.at`,
		id, t.sessions, t.valence, t.arousal, t.at)
	return err
}
