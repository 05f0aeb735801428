package population

import (
	"bytes"
	"errors"
	"testing"

	"rapport/learning/step"
)

func FuzzReadVersion(f *testing.F) {
	all, _ := newWorld(1, 4).agents(120, 60)
	r, err := Fit(all, nil, 1)
	if err != nil || r.Report.K == 0 {
		f.Fatal(err, r.Report)
	}
	none := Version{Formula: Formula, Prior: step.DefaultPrior(), NextID: 1}
	f.Add(r.Version.Append(nil))
	f.Add(none.Append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ReadVersion(b)
		if err != nil {
			if !errors.Is(err, ErrVersion) && !errors.Is(err, ErrFormula) && !errors.Is(err, step.ErrPrior) {
				t.Fatalf("error without a name: %v", err)
			}
			return
		}
		if !bytes.Equal(v.Append(nil), b) {
			t.Fatal("what was read is written differently")
		}
	})
}

func TestVersionsAreReadWhole(t *testing.T) {
	t.Parallel()
	all, _ := newWorld(1, 4).agents(120, 60)
	b := mustFit(t, all, nil).Version.Append(nil)
	for cut := range len(b) {
		if _, err := ReadVersion(b[:cut]); err == nil {
			t.Fatalf("%d of %d bytes were taken for a version", cut, len(b))
		}
	}
	b[0]++
	if _, err := ReadVersion(b); !errors.Is(err, ErrFormula) {
		t.Errorf("another formula version: %v", err)
	}
}
