package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// sample has what can go wrong: names that would lie on one another, more lines
// than inks, a name with markup in it, an interval that leaves the paper.
func sample() *Chart {
	c := &Chart{Title: "Regret, summed up to a session", Note: "12 agents, 2 populations, seed 7; bands are 95 % intervals", XTitle: "session", YTitle: "regret"}
	names := []string{"ours 28.8 ±.9", "static", "plain", "linucb", "<lints & co>", "squarecb", "es", "exec:python3 mine.py"}
	for i, name := range names {
		c.Lines = append(c.Lines, Line{Name: name})
		l := &c.Lines[i]
		for n := 1; n <= 40; n++ {
			if i == 0 {
				c.X = append(c.X, float64(5*n))
			}
			l.Y = append(l.Y, float64(5*n)/(3+float64(min(i, 4)))+5)
			if i < 2 {
				l.Half = append(l.Half, .02*float64(n)+float64(i))
			}
		}
	}
	return c
}

func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func TestSVG(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := sample().SVG(&b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(golden(t, "sample.svg", b.Bytes())), b.String()); d != "" {
		t.Errorf("the picture is another one (-update when that is wanted):\n%s", d)
	}
	for dec := xml.NewDecoder(&b); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPNG(t *testing.T) {
	t.Parallel()
	for name, dark := range map[string]bool{"sample.png": false, "sample-dark.png": true} {
		var b bytes.Buffer
		if err := sample().PNG(&b, dark); err != nil {
			t.Fatal(err)
		}
		want, err := png.Decode(bytes.NewReader(golden(t, name, b.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(&b)
		if err != nil || got.Bounds() != image.Rect(0, 0, width*fine, height*fine) || want.Bounds() != got.Bounds() {
			t.Fatal(err, got.Bounds())
		}
		was, is := want.(*image.RGBA).Pix, got.(*image.RGBA).Pix
		for i := range was { // processors may round a last bit otherwise
			if d := int(was[i]) - int(is[i]); d < -2 || d > 2 {
				t.Fatalf("%s: byte %d, at pixel %d,%d, is %d, was %d (-update when that is wanted)", name, i, i/4%(width*fine), i/4/(width*fine), is[i], was[i])
			}
		}
	}
}

func TestNamesKeepApart(t *testing.T) {
	t.Parallel()
	c := sample()
	var curves [][]point
	for range 20 {
		curves = append(curves, []point{{0, 0}, {100, 300}})
	}
	y := c.apart(curves)
	for i := range y {
		if y[i] < 0 || y[i] > height {
			t.Errorf("name %d stands at %v, off the paper", i, y[i])
		}
		for k := range i {
			if math.Abs(y[i]-y[k]) < .9*labelGap {
				t.Errorf("names %d and %d stand at %v and %v", i, k, y[i], y[k])
			}
		}
	}
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lo, hi float64
		n      int
		want   []float64
	}{
		{0, 66.7, 6, []float64{0, 20, 40, 60, 80}},
		{1, 200, 8, []float64{0, 25, 50, 75, 100, 125, 150, 175, 200}},
		{.6, .95, 6, []float64{.6, .7, .8, .9, 1}},
		{3, 3, 6, []float64{3}},
	} {
		if d := cmp.Diff(c.want, ticks(c.lo, c.hi, c.n), cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })); d != "" {
			t.Errorf("ticks of %v to %v: %s", c.lo, c.hi, d)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for says, spoil := range map[string]func(*Chart){
		"1 places":        func(c *Chart) { c.X = c.X[:1] },
		"0 lines":         func(c *Chart) { c.Lines = nil },
		"increasing":      func(c *Chart) { c.X[3] = c.X[2] },
		`"static" has 39`: func(c *Chart) { c.Lines[1].Y = c.Lines[1].Y[1:] },
		"no finite value": func(c *Chart) { c.Lines[2].Y[5] = math.NaN() },
		"at place 7":      func(c *Chart) { c.Lines[0].Half[7] = math.Inf(1) },
	} {
		c := sample()
		spoil(c)
		var b bytes.Buffer
		for _, err := range []error{c.SVG(&b), c.PNG(&b, false)} {
			if !errors.Is(err, ErrShape) || !strings.Contains(err.Error(), says) {
				t.Errorf("want a refusal that says %q, got %v", says, err)
			}
		}
		if b.Len() > 0 {
			t.Errorf("%s: something was drawn all the same", says)
		}
	}
}
