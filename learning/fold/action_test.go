package fold

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"rapport/learning/fusion"
	"rapport/learning/safety"
	"rapport/policy"
)

// TestABlockIsARegression: mean and variance of a difference are those of the
// textbook's matrices, as far as 32 bits go.
func TestABlockIsARegression(t *testing.T) {
	t.Parallel()
	r := policy.NewStream([32]byte{1})
	var b Block
	b.set(.7)
	const noise, scale = .2, .3
	s, h := mat.NewSymDense(3, nil), mat.NewVecDense(3, nil)
	for range 40 {
		v, y, w := r.Float64(), r.Normal(), 2*r.Float64()
		b.observe(v, y, w)
		z, keep := 2*v-1, 1-blockForget*min(w, 1)
		phi := []float64{1, z, z * z}
		for i := range 3 {
			h.SetVec(i, keep*h.AtVec(i)+w*y*phi[i])
			for j := range i + 1 {
				s.SetSym(i, j, keep*s.At(i, j)+w*phi[i]*phi[j])
			}
		}
	}
	mean := []float64{0, .35 * .4, -.35}
	for i, sd := range []float64{.3, .35, .25} {
		p := noise / (sd * sd)
		s.SetSym(i, i, s.At(i, i)+p)
		h.SetVec(i, h.AtVec(i)+p*mean[i])
	}
	var chol mat.Cholesky
	if !chol.Factorize(s) {
		t.Fatal("not positive definite")
	}
	var m, x mat.VecDense
	if err := chol.SolveVecTo(&m, h); err != nil {
		t.Fatal(err)
	}
	from, to := .3, .45
	z0, z1 := 2*from-1, 2*to-1
	d := mat.NewVecDense(3, []float64{0, z1 - z0, z1*z1 - z0*z0})
	if err := chol.SolveVecTo(&x, d); err != nil {
		t.Fatal(err)
	}
	gotMean, gotVariance := b.Difference(noise, scale, from, to)
	if math.Abs(gotMean-mat.Dot(d, &m)) > 1e-5 || math.Abs(gotVariance-scale*mat.Dot(d, &x)) > 1e-6 {
		t.Errorf("difference %v ± %v, want %v ± %v", gotMean, gotVariance, mat.Dot(d, &m), scale*mat.Dot(d, &x))
	}
}

// TestAnActionFollowsWhatTraitsDoNotExplain: an owner who is happier the less the
// agent says unasked in small groups.
func TestAnActionFollowsWhatTraitsDoNotExplain(t *testing.T) {
	t.Parallel()
	start := Actions{.9, .6, .7, .4, .15, .03, .02}
	list := []*Entry{{At: 1, ID: "a", Act: &Act{Kind: Created, Levels: policy.Neutral(), Baseline: policy.Neutral(), Hi: ones(), Learning: true, Alive: true,
		Pace: PaceOf(safety.Normal), Actions: start}}}
	r := policy.NewStream([32]byte{2})
	for k := range 120 {
		v := .3 + .6*r.Float64()
		e := &Entry{At: int64(k + 2), ID: fmt.Sprintf("e%03d", k), About: Episode{Decided: true, Consent: true, Rendered: policy.Neutral(), Did: byte(ReplyGroupSmall) + 1, Weight: v}}
		e.About.Put(Contribution{Feedback: "f", Rater: "o", Owner: true, Source: fusion.OwnerRating, Value: .9 - 1.5*v + .1*r.Normal(), Share: 1})
		e.About.Put(Contribution{Feedback: "g", Rater: "o", Owner: true, Source: fusion.Engagement, Value: .7, Share: 1})
		list = append(list, e)
	}
	s := of(t, list)
	if b := s.Actions[ReplyGroupSmall]; b.Level > .4 || b.Episodes != 120 || b.Start != .7 {
		t.Errorf("the weight is %v after %d episodes, started at %v", b.Level, b.Episodes, b.Start)
	}
	for k, b := range s.Actions {
		if Action(k) != ReplyGroupSmall && (b.Level != float32(start[k]) || b.Episodes != 0) {
			t.Errorf("%s moved to %v", Action(k), b.Level)
		}
	}
	before := of(t, list[:60])
	for k := range list[60:] {
		after := of(t, list[:61+k])
		if d := after.Actions[ReplyGroupSmall].Level - before.Actions[ReplyGroupSmall].Level; math.Abs(float64(d)) > .02+1e-6 {
			t.Fatalf("moved by %v on one episode", d)
		}
		before = after
	}
	// what the owner sets holds for ten closed episodes
	act := *list[0].Act
	act.Kind, act.Set, act.Actions[ReplyGroupSmall] = Settings, 1<<ReplyGroupSmall, .8
	list = append(list, &Entry{At: 500, ID: "set", Act: &act})
	for k := range 12 {
		e := *list[1+k]
		e.At, e.ID = int64(501+k), fmt.Sprintf("n%02d", k)
		list = append(list, &e)
		if got := of(t, list).Actions[ReplyGroupSmall].Level; k < 10 && got != .8 {
			t.Fatalf("held, it moved to %v after %d episodes", got, k+1)
		}
	}
	if of(t, list).Actions[ReplyGroupSmall].Level >= .8 {
		t.Error("after the hold nothing moved")
	}
}

// TestBeyondALeanAllMustBeSureTogether: a weight near its start follows its own gate;
// farther it goes only with more evidence, and only while all that are so far are an
// improvement together. The way back is free.
func TestBeyondALeanAllMustBeSureTogether(t *testing.T) {
	t.Parallel()
	gate, together := safety.GateOf(safety.Normal, false), safety.Together(safety.Normal)
	const noise = .2
	push := func(b *Block, start float64, slope float64, n int) {
		b.set(start)
		for k := range n {
			v := start + .16*(float64(k%2)-.5)
			b.observe(v, slope*(v-start), .5)
		}
	}
	walk := func(s *State, k Action) float64 {
		for range 60 {
			s.moveAction(k, noise, gate, together)
		}
		return math.Abs(float64(s.Actions[k].Level - s.Actions[k].Start))
	}
	fresh := func() State { s := New(); s.A, s.B = 10, 2; return s }

	s := fresh()
	push(&s.Actions[Post], .9, -1, 12) // leans, but nobody is sure
	if far := walk(&s, Post); math.Abs(far-lean) > 1e-6 {
		t.Errorf("with weak evidence it goes %v, want the lean %v", far, lean)
	}
	s = fresh()
	push(&s.Actions[Post], .6, -3, 300)
	if far := walk(&s, Post); far < 2*lean {
		t.Errorf("with strong evidence it goes %v", far)
	}
	sure := s.Actions[Post]
	sure.Episodes = farEpisodes - 1
	sure.Level = sure.Start
	s.Actions[Post] = sure
	if far := walk(&s, Post); far > lean+1e-6 {
		t.Errorf("after %d episodes it goes %v", sure.Episodes, far)
	}
	s.Actions[Post].Episodes = 300
	bad := &s.Actions[Invite] // one that is far and was a mistake speaks against all
	push(bad, .2, -8, 300)
	bad.Level = .9
	if far := walk(&s, Post); far > lean+1e-6 {
		t.Errorf("beside one that is far and worse it goes %v", far)
	}
	before := bad.Level
	if s.moveAction(Invite, noise, gate, together); bad.Level >= before {
		t.Errorf("the mistake is not taken back: %v", bad.Level)
	}
	if far := walk(&s, Invite); bad.Level > .2 {
		t.Errorf("it stays at %v, %v from its start", bad.Level, far)
	}
	if far := walk(&s, Post); far < 2*lean {
		t.Errorf("after that was taken back the other goes %v", far)
	}
}

func ones() (x policy.Traits) {
	for j := range x {
		x[j] = 1
	}
	return x
}

func TestActionsAreThoseOfAPolicy(t *testing.T) {
	t.Parallel()
	d := policy.Default("a")
	a := ActionsOf(&d.ActionPolicy)
	for k := range a {
		a[k] += .01
	}
	next := d
	a.Put(&next.ActionPolicy)
	delta := policy.Diff(d, next).ActionPolicyDelta
	if len(delta) != int(NActions) {
		t.Errorf("changed %v", delta)
	}
	for name := range delta {
		if k, ok := ParseAction(name); !ok || k.String() != name {
			t.Errorf("%s is no action", name)
		}
	}
	if k, ok := Answering("groupSmall"); !ok || k != ReplyGroupSmall {
		t.Errorf("answering in a small group is %v", k)
	}
	if _, ok := Answering("elsewhere"); ok {
		t.Error("answering elsewhere is an action")
	}
}
