// Package chart draws curves with their intervals as SVG or PNG.
//
// Owns: Chart, Line. One layout (layout.go) is drawn by two pens: svg.go writes
// SVG, png.go sets pixels, with letters made of strokes (letters.go).
//
// Invariants: standard library only; equal charts give equal bytes. Colours are
// those of Okabe and Ito, told apart by colour-blind people too; every line has
// its name at its end, so that none rests on colour alone.
//
// Start reading at chart.go, then layout.go.
package chart

import (
	"errors"
	"fmt"
)

// Line is one curve.
type Line struct {
	Name string
	Y    []float64 // one value for each X of the chart
	Half []float64 // half the width of the interval around each; nil for none
}

// Chart is curves over common places.
type Chart struct {
	Title, Note    string // Note is a second, smaller line
	XTitle, YTitle string
	X              []float64 // at least two, increasing
	Lines          []Line    // the first stands out
}

// ErrShape is the error of a chart that cannot be drawn; the text says why.
var ErrShape = errors.New("cannot be drawn")

func (c *Chart) check() error {
	if len(c.X) < 2 || len(c.Lines) == 0 {
		return fmt.Errorf("%w: %d places and %d lines, want at least two and one", ErrShape, len(c.X), len(c.Lines))
	}
	for i, x := range c.X {
		if x-x != 0 || i > 0 && !(x > c.X[i-1]) {
			return fmt.Errorf("%w: places must be finite and increasing, place %d is %v", ErrShape, i, x)
		}
	}
	for _, l := range c.Lines {
		if len(l.Y) != len(c.X) || l.Half != nil && len(l.Half) != len(c.X) {
			return fmt.Errorf("%w: line %q has %d values and %d intervals for %d places", ErrShape, l.Name, len(l.Y), len(l.Half), len(c.X))
		}
		for i, y := range l.Y {
			if y-y != 0 || l.Half != nil && !(l.Half[i] >= 0 && l.Half[i]-l.Half[i] == 0) {
				return fmt.Errorf("%w: line %q has no finite value at place %d", ErrShape, l.Name, i)
			}
		}
	}
	return nil
}
