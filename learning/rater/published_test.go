package rater

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestPublishedIsReadAsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,12}`), 0, 20, rapid.ID[string]).Draw(rt, "ids")
		var w []Weight
		for _, id := range ids {
			w = append(w, Weight{id, rapid.Float64Range(0, 1).Draw(rt, "agreement"), rapid.Float64Range(0, 1).Draw(rt, "abuse"), rapid.Bool().Draw(rt, "excluded")})
		}
		p, err := Publish(7, w)
		if err != nil {
			rt.Fatal(err)
		}
		slices.Reverse(w)
		q, err := Publish(7, w)
		if err != nil {
			rt.Fatal(err)
		}
		b := p.Append(nil)
		if !bytes.Equal(b, q.Append(nil)) {
			rt.Fatal("another order gives other bytes")
		}
		back, err := ReadPublished(b)
		if err != nil {
			rt.Fatal(err)
		}
		if d := cmp.Diff(p.Weights(), back.Weights()); d != "" || back.Number != 7 {
			rt.Fatalf("read back %d: %s", back.Number, d)
		}
		for _, x := range w {
			if got := back.Of(x.Rater); math.Abs(got.Agreement-x.Agreement) > 5.1e-5 || got.Excluded != x.Excluded {
				rt.Fatalf("%+v, want %+v", got, x)
			}
		}
		if got := back.Of("nobody of this id"); got != Unknown("nobody of this id") {
			rt.Fatalf("an unnamed rater has %+v", got)
		}
		for cut := range b {
			if _, err := ReadPublished(b[:cut]); !errors.Is(err, ErrPublished) {
				rt.Fatalf("%d of %d bytes were read", cut, len(b))
			}
		}
	})
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	for _, w := range [][]Weight{
		{{Rater: ""}}, {{Rater: string(make([]byte, 256))}}, {{Rater: "a"}, {Rater: "a"}},
		{{Rater: "a", Agreement: math.NaN()}}, {{Rater: "a", Abuse: 1.01}}, {{Rater: "a", Abuse: math.Inf(1)}}, {{Rater: "a", Agreement: -.1}},
	} {
		if _, err := Publish(1, w); !errors.Is(err, ErrPublished) {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func FuzzReadPublished(f *testing.F) {
	p, err := Publish(3, []Weight{{"a", .5, .25, true}, {"b", 1, 0, false}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ReadPublished(b)
		if err == nil && !bytes.Equal(p.Append(nil), b) {
			t.Error("bytes that were read are not written again")
		}
	})
}

func TestPublishedBytesAreFixed(t *testing.T) {
	t.Parallel()
	p, err := Publish(258, []Weight{{"b", 1, 0, false}, {"a", .5, .99996, true}})
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{1, 2, 1, 0, 0, 2, 0, 0, 0, 1, 'a', 0x88, 0x13, 0x10, 0x27, 1, 1, 'b', 0x10, 0x27, 0, 0, 0}
	if got := p.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x, want % x", got, want)
	}
}
