package sequential

import "rapport/policy"

// Canary tries a release on a share of sessions and decides by confidence
// sequences of the rewards on both sides, which may be looked at after every
// session. A decision, once made, stays.
type Canary struct {
	Share   float64  `json:"share"`   // of sessions that get the release, (0,1)
	Margin  float64  `json:"margin"`  // so much worse is not worth a revert, units of the reward
	With    Sequence `json:"with"`    // sessions with the release
	Without Sequence `json:"without"` // all others
	Decided string   `json:"decided"` // Keep until it is Revert or Adopt
}

// What a canary says.
const (
	Keep   = "keep"   // go on
	Revert = "revert" // it is worse: the interval of the difference lies below 0
	Adopt  = "adopt"  // it is not worse by the margin or more: its interval lies above −Margin
)

// DefaultMargin is how much worse, per session in units of a rating from −1 to 1,
// an adopted release may be at most.
const DefaultMargin = .05

// NewCanary starts one for rewards in [lo,hi]. Both sequences have level alpha,
// so that the wrong ends of both together err with at most alpha: a release that
// is no worse is reverted with probability ≤ alpha in all time, one that is worse
// by the margin is adopted with probability ≤ alpha.
func NewCanary(share, lo, hi, alpha float64) Canary {
	return Canary{Share: share, Margin: DefaultMargin, With: NewSequence(lo, hi, alpha), Without: NewSequence(lo, hi, alpha), Decided: Keep}
}

// Gets says whether the session with this key gets the release: the same answer
// for equal keys. After a revert none does, after adoption all do.
func (c *Canary) Gets(key [32]byte) bool {
	r := policy.NewStream(key)
	switch c.Decided {
	case Revert:
		return false
	case Adopt:
		return true
	}
	return r.Float64() < c.Share
}

// Add takes in a session's reward and decides: keep, revert or adopt. The error
// is that of Sequence.Add.
func (c *Canary) Add(with bool, reward float64) (string, error) {
	side := &c.Without
	if with {
		side = &c.With
	}
	if c.Decided != Keep {
		return c.Decided, nil
	}
	if err := side.Add(reward); err != nil {
		return c.Decided, err
	}
	switch lo, hi := c.Difference(); {
	case hi < 0:
		c.Decided = Revert
	case lo > -c.Margin:
		c.Decided = Adopt
	}
	return c.Decided, nil
}

// Difference is the interval of how much better sessions with the release are.
func (c *Canary) Difference() (lo, hi float64) {
	wl, wh := c.With.Interval()
	ol, oh := c.Without.Interval()
	return wl - oh, wh - ol
}
