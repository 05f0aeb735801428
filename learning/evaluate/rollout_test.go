package evaluate

import (
	"math/rand/v2"
	"testing"

	"rapport/internal/sequential"
	"rapport/policy"
)

func TestRollout(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(31, 32))
	c := crowd{r, .16}
	from, ideal := policy.Neutral(), policy.Traits{.9, .3, .3, .3, .3, .3, .3, .3}
	to := from
	to[policy.Humor] = .55
	sessions := c.sessions(400, from, ideal, policy.Traits{1.2, .5, .5, .5, .5, .5, .5, .5})
	o := NewRollout(from, to, sequential.NewCanary(.5, -1, 1, .05))
	o.Watch(DefaultGate(), sessions[:100])
	if o.Stage != InShadow || o.Decision.Waits == nil || o.Decision.Waits.Code != Few {
		t.Fatalf("%+v", o)
	}
	for range 100 {
		if o.Gets(key(r)) {
			t.Fatal("somebody got what is only in the shadow")
		}
	}
	if err := o.Heard(true, -1); err != nil || o.Canary.With.N != 0 {
		t.Fatal("the shadow listens")
	}
	o.Watch(DefaultGate(), sessions)
	if o.Stage != InCanary {
		t.Fatalf("%+v %v", o, o.Decision.Waits)
	}
	back := o
	for range 300 {
		_, _ = o.Heard(true, 1), o.Heard(false, -1)
		_, _ = back.Heard(true, -1), back.Heard(false, 1)
	}
	if o.Stage != IsAdopted || back.Stage != IsReverted || !o.Gets(key(r)) || back.Gets(key(r)) {
		t.Errorf("%s, %s", o.Stage, back.Stage)
	}
	o.Watch(DefaultGate(), nil)
	if o.Stage != IsAdopted {
		t.Error("an adopted release went back to the shadow")
	}
}
