package evaluate

import "rapport/policy"

// Judgement is what a log of sessions says of one target, or why it says nothing.
type Judgement struct {
	Sessions int            `json:"sessions"` // given
	Width    float64        `json:"width"`    // how far the target varies around its levels
	LeftOut  map[string]int `json:"leftOut"`  // of them, by the code of why they say nothing of the target
	Refusal  *Refusal       `json:"refusal,omitempty"`

	Report      *Report   `json:"report,omitempty"`      // the target's own reward; absent when refused
	Improvement *Estimate `json:"improvement,omitempty"` // over what was done: Improvement with the log as the reference
}

// folds of cross-fitting: q̂ of a session comes from the other folds only.
const folds = 5

// Judge evaluates a target on sessions of an agent, or of several that are each
// moved to a target of their own over the same traits. Sessions whose mixture cannot
// tell of it are left out; that choice looks at what they were drawn from only,
// never at what was drawn or came of it, so the rest stays unbiased. With fewer
// than the limits ask for it refuses, by the reason why most were left out when
// that is what is missing.
//
// A target without a Width gets DefaultWidth, or when too few sessions reach that
// far half of it: it is a policy that varies less, judged from less.
func Judge(sessions []Session, target func(*Session) Target, l Limits, o Options) Judgement {
	j := Judgement{Sessions: len(sessions)}
	var rows [][]Observation
	var kept []Session
	var left leftOut
	for _, width := range [...]float64{DefaultWidth, DefaultWidth / 2} {
		rows, kept, left = observe(sessions, func(s *Session) Target {
			t := target(s)
			if t.Width == 0 {
				t.Width = width
			}
			j.Width = t.Width
			return t
		})
		if len(kept) >= l.MinN || left.counts[Unreachable] == 0 {
			break
		}
	}
	j.LeftOut = left.counts
	if len(kept) < l.MinN && left.most() >= l.MinN {
		j.Refusal = left.why
		return j
	}
	r, err := Evaluate(rows[0], o)
	if err != nil {
		j.Refusal = asRefusal(err)
		return j
	}
	if j.Refusal = l.Refuse(r); j.Refusal != nil {
		return j
	}
	done := make([]Observation, len(kept))
	for i := range kept {
		done[i] = Observation{Reward: kept[i].Reward}
	}
	better, err := Improvement(rows[0], done, o)
	if err != nil {
		j.Refusal = asRefusal(err)
		return j
	}
	j.Report, j.Improvement = &r, &better
	return j
}

// asRefusal reads the error of an estimator, which is always one.
func asRefusal(err error) *Refusal {
	r, _ := err.(*Refusal)
	return r
}

// leftOut counts sessions that were left out, and keeps the reason that most had.
type leftOut struct {
	counts map[string]int
	why    *Refusal
}

func (l *leftOut) add(no *Refusal) {
	l.counts[no.Code]++
	if l.why == nil || l.counts[no.Code] >= l.counts[l.why.Code] {
		l.why = no
	}
}

func (l *leftOut) most() int {
	if l.why == nil {
		return 0
	}
	return l.counts[l.why.Code]
}

// observe turns the sessions that say something of all targets into one list of
// observations per target, the same sessions in each.
func observe(sessions []Session, targets ...func(*Session) Target) ([][]Observation, []Session, leftOut) {
	left := leftOut{counts: map[string]int{}}
	out := make([][]Observation, len(targets))
	var kept []Session
	row := make([]Observation, len(targets))
	var of policy.Mask
next:
	for i := range sessions {
		s := &sessions[i]
		for k, target := range targets {
			logged, density, no := target(s).LogWeights(s)
			if no == nil && s.Reward-s.Reward != 0 {
				no = refuse(NotANumber, "A session has a reward that is no number.")
			}
			if no != nil {
				left.add(no)
				continue next
			}
			row[k] = Observation{Reward: s.Reward, Logged: logged, Target: density}
		}
		of = targets[0](s).Of
		for k := range targets {
			out[k] = append(out[k], row[k])
		}
		kept = append(kept, *s)
	}
	var phi []float64
	for f := range folds {
		beta := fit(kept, of, func(i int) bool { return i%folds != f })
		for i := f; i < len(kept); i += folds {
			for k, target := range targets {
				phi = features(phi, &kept[i].X, of)
				out[k][i].Q = dot(beta, phi)
				phi = target(&kept[i]).predicted(phi, kept[i].Drawn)
				out[k][i].V = dot(beta, phi)
			}
		}
	}
	return out, kept, left
}
