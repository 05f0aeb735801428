package chart

import (
	"math"
	"slices"
	"strconv"
)

// The paper, in units that are pixels of an SVG at its natural size.
const (
	width, height = 960, 560
	left, top     = 64, 78
	bottom        = height - 56
	labelSize     = 14
	titleSize     = 18
	tickSize      = 13
	labelGap      = 18 // least distance between the names of two lines
)

type point struct{ x, y float64 }

type anchor int

const (
	atStart anchor = iota
	atMiddle
	atEnd
)

// ink names a colour; what it looks like depends on the paper, light or dark.
type ink int

const (
	paper ink = iota
	text
	soft
	grid
	firstLine
)

// A line is drawn in one of seven inks, those after the seventh dashed.
const nLines = 7

func inkOf(line int) (colour ink, dashed bool) { return firstLine + ink(line%nLines), line >= nLines }

// look is what an ink is on light and on dark paper, as 0xRRGGBB.
var look = [firstLine + nLines][2]uint32{
	paper: {0xffffff, 0x141918}, text: {0x1f2726, 0xe7ecea}, soft: {0x5c6866, 0xa2aeab}, grid: {0xdcdfda, 0x35403e},
	firstLine:     {0x1f2726, 0xf4f6f5},
	firstLine + 1: {0x0072b2, 0x4ba3dc},
	firstLine + 2: {0xd55e00, 0xf08a3c},
	firstLine + 3: {0x009e73, 0x2cc79a},
	firstLine + 4: {0xcc79a7, 0xdc94bd},
	firstLine + 5: {0x56b4e9, 0x86cbf2},
	firstLine + 6: {0xe69f00, 0xf2b836},
}

// pen draws.
type pen interface {
	// band fills between two curves over the same places.
	band(upper, lower []point, c ink)
	line(at []point, c ink, thick float64, dashed bool)
	// write puts a text; upright ones run from bottom to top.
	write(at point, s string, size float64, c ink, a anchor, upright bool)
}

// draw puts the chart on paper.
func (c *Chart) draw(p pen) {
	right := float64(width - 24)
	longest := 0
	for _, l := range c.Lines {
		longest = max(longest, len([]rune(l.Name)))
	}
	right -= min(float64(longest)*labelSize*.58, 260) + 14

	lo, hi := c.Lines[0].Y[0], c.Lines[0].Y[0]
	for _, l := range c.Lines {
		for i, y := range l.Y {
			lo, hi = min(lo, y-half(l, i)), max(hi, y+half(l, i))
		}
	}
	if lo > 0 && lo < .5*hi {
		lo = 0
	}
	ys := ticks(lo, hi, 6)
	xs := ticks(c.X[0], c.X[len(c.X)-1], 8)
	lo, hi = min(lo, ys[0]), max(hi, ys[len(ys)-1])
	if lo == hi {
		lo, hi = lo-.5, hi+.5
	}
	x0, x1 := c.X[0], c.X[len(c.X)-1]
	place := func(x, y float64) point {
		return point{left + (x-x0)/(x1-x0)*(right-left), bottom - (y-lo)/(hi-lo)*(bottom-top)}
	}

	p.write(point{left, 32}, c.Title, titleSize, text, atStart, false)
	p.write(point{left, 54}, c.Note, tickSize, soft, atStart, false)
	for _, y := range ys {
		at := place(x0, y)
		p.line([]point{{left, at.y}, {right, at.y}}, grid, 1, false)
		p.write(point{left - 8, at.y + tickSize*.36}, number(y), tickSize, soft, atEnd, false)
	}
	for _, x := range xs {
		if x < x0 || x > x1 {
			continue
		}
		at := place(x, lo)
		p.line([]point{{at.x, bottom}, {at.x, bottom + 5}}, soft, 1, false)
		p.write(point{at.x, bottom + 21}, number(x), tickSize, soft, atMiddle, false)
	}
	p.line([]point{{left, bottom}, {right, bottom}}, soft, 1, false)
	p.write(point{(left + right) / 2, height - 14}, c.XTitle, tickSize, text, atMiddle, false)
	p.write(point{20, (top + bottom) / 2}, c.YTitle, tickSize, text, atMiddle, true)

	curves := make([][]point, len(c.Lines))
	for i, l := range c.Lines {
		var upper, lower []point
		for k, y := range l.Y {
			curves[i] = append(curves[i], place(c.X[k], y))
			upper = append(upper, place(c.X[k], min(y+half(l, k), hi)))
			lower = append(lower, place(c.X[k], max(y-half(l, k), lo)))
		}
		if l.Half != nil {
			colour, _ := inkOf(i)
			p.band(upper, lower, colour)
		}
	}
	for i := len(c.Lines) - 1; i >= 0; i-- { // the first on top
		colour, dashed := inkOf(i)
		p.line(curves[i], colour, thickness(i), dashed)
	}
	for i, y := range c.apart(curves) {
		colour, dashed := inkOf(i)
		end := curves[i][len(curves[i])-1]
		if math.Abs(end.y-y) > 2 {
			p.line([]point{{end.x + 2, end.y}, {end.x + 12, y}}, colour, 1, false)
		}
		p.line([]point{{end.x + 13, y}, {end.x + 25, y}}, colour, thickness(i), dashed)
		p.write(point{end.x + 30, y + labelSize*.36}, c.Lines[i].Name, labelSize, text, atStart, false)
	}
}

func thickness(line int) float64 {
	if line == 0 {
		return 3
	}
	return 1.8
}

func half(l Line, i int) float64 {
	if l.Half == nil {
		return 0
	}
	return l.Half[i]
}

// apart gives each line the height of its name: that of its end, moved as little
// as needed so that no two names touch and all are on the paper.
func (c *Chart) apart(curves [][]point) []float64 {
	order := make([]int, len(curves))
	y := make([]float64, len(curves))
	for i, at := range curves {
		order[i], y[i] = i, at[len(at)-1].y
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case y[a] < y[b]:
			return -1
		case y[a] > y[b]:
			return 1
		}
		return 0
	})
	gap := min(labelGap, float64(height-70)/float64(len(order)))
	for range 200 { // relax: two that touch part by the same amount
		for k := 1; k < len(order); k++ {
			a, b := order[k-1], order[k]
			if short := gap - (y[b] - y[a]); short > 0 {
				y[a], y[b] = y[a]-short/2, y[b]+short/2
			}
		}
		first, last := order[0], order[len(order)-1]
		y[first], y[last] = max(y[first], 60), min(y[last], height-10)
	}
	return y
}

// ticks are round numbers from at or below lo to at or above hi, about n of them.
func ticks(lo, hi float64, n int) []float64 {
	if !(hi > lo) {
		return []float64{lo}
	}
	raw := (hi - lo) / float64(n)
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * unit
	for _, m := range []float64{1, 2, 2.5, 5} {
		if raw <= m*unit*1.0001 {
			step = m * unit
			break
		}
	}
	var out []float64
	for k := math.Floor(lo/step + 1e-9); k <= math.Ceil(hi/step-1e-9); k++ {
		out = append(out, k*step)
	}
	return out
}

func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
}
