package chart

import (
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
)

const (
	dashOn, dashOff = 6, 3
	fine            = 2 // pixels for each unit of the layout
)

// PNG writes the chart as pixels, 1920 × 1120, on light or dark paper. ErrShape
// when it cannot be drawn.
func (c *Chart) PNG(w io.Writer, dark bool) error {
	if err := c.check(); err != nil {
		return err
	}
	p := &pixels{img: image.NewRGBA(image.Rect(0, 0, width*fine, height*fine)), cover: make([]float32, width*fine*height*fine)}
	if dark {
		p.side = 1
	}
	for i := range p.cover {
		p.cover[i] = 1
	}
	p.touched = p.img.Rect
	p.blend(paper, 1)
	c.draw(p)
	return png.Encode(w, p.img)
}

// pixels is a pen. A shape first collects how much of each pixel it covers, and
// is then laid over the picture at once, so that a line that crosses itself is
// not darker there.
type pixels struct {
	img     *image.RGBA
	side    int // 0 light, 1 dark
	cover   []float32
	touched image.Rectangle
}

func (p *pixels) blend(c ink, opacity float32) {
	v := look[c][p.side]
	over := [3]float32{float32(v >> 16), float32(v >> 8 & 255), float32(v & 255)}
	for y := p.touched.Min.Y; y < p.touched.Max.Y; y++ {
		for x := p.touched.Min.X; x < p.touched.Max.X; x++ {
			k := y*width*fine + x
			if a := p.cover[k] * opacity; a > 0 {
				under := p.img.RGBAAt(x, y)
				mix := func(u uint8, o float32) uint8 { return uint8(float32(u)*(1-a) + o*a + .5) }
				p.img.SetRGBA(x, y, color.RGBA{mix(under.R, over[0]), mix(under.G, over[1]), mix(under.B, over[2]), 255})
			}
			p.cover[k] = 0
		}
	}
	p.touched = image.Rectangle{}
}

// reach gives the pixels of an area that are on the paper, and remembers them.
func (p *pixels) reach(x0, y0, x1, y1 float64) image.Rectangle {
	r := image.Rect(int(math.Floor(x0)), int(math.Floor(y0)), int(math.Ceil(x1))+1, int(math.Ceil(y1))+1).Intersect(p.img.Rect)
	p.touched = p.touched.Union(r)
	return r
}

// segment covers what is within half of thick of the stretch from a to b, with
// round ends; all in pixels.
func (p *pixels) segment(a, b point, thick float64) {
	h := thick / 2
	r := p.reach(min(a.x, b.x)-h-1, min(a.y, b.y)-h-1, max(a.x, b.x)+h+1, max(a.y, b.y)+h+1)
	dx, dy := b.x-a.x, b.y-a.y
	long := dx*dx + dy*dy
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			ex, ey := float64(x)+.5-a.x, float64(y)+.5-a.y
			t := 0.
			if long > 0 {
				t = min(1, max(0, (ex*dx+ey*dy)/long))
			}
			if c := float32(min(1, h+.5-math.Hypot(ex-t*dx, ey-t*dy))); c > 0 {
				k := y*width*fine + x
				p.cover[k] = max(p.cover[k], c)
			}
		}
	}
}

func (p *pixels) line(at []point, c ink, thick float64, dashed bool) {
	gone := 0. // length so far, for the dashes
	for i := 1; i < len(at); i++ {
		a, b := at[i-1], at[i]
		long := math.Hypot(b.x-a.x, b.y-a.y)
		if !dashed {
			p.segment(scaled(a), scaled(b), thick*fine)
			continue
		}
		for s := 0.; s < long; {
			phase := math.Mod(gone+s, dashOn+dashOff)
			e := min(long, s+dashOn+dashOff-phase)
			if phase < dashOn {
				e = min(long, s+dashOn-phase)
				p.segment(scaled(between(a, b, s/long)), scaled(between(a, b, e/long)), thick*fine)
			}
			s = max(e, s+1e-6)
		}
		gone += long
	}
	p.blend(c, 1)
}

func scaled(a point) point { return point{a.x * fine, a.y * fine} }

func between(a, b point, t float64) point { return point{a.x + t*(b.x-a.x), a.y + t*(b.y-a.y)} }

// band covers each column of pixels between the heights of the two curves there.
func (p *pixels) band(upper, lower []point, c ink) {
	for i := 1; i < len(upper); i++ {
		x0, x1 := upper[i-1].x*fine, upper[i].x*fine
		for x := math.Ceil(x0 - .5); x+.5 < x1; x++ {
			t := (x + .5 - x0) / (x1 - x0)
			hi, lo := between(upper[i-1], upper[i], t).y*fine, between(lower[i-1], lower[i], t).y*fine
			r := p.reach(x, hi, x, lo)
			for y := r.Min.Y; y < r.Max.Y; y++ {
				if part := min(float64(y)+1, lo) - max(float64(y), hi); part > 0 {
					p.cover[y*width*fine+int(x)] = float32(part)
				}
			}
		}
	}
	p.blend(c, .16)
}

func (p *pixels) write(at point, s string, size float64, c ink, a anchor, upright bool) {
	unit := size / 8.4 // a unit of the letters' grid
	back := measure(s) * unit * [...]float64{0, .5, 1}[a]
	pen := 0.
	for _, r := range s {
		strokes, wide := letter(r)
		for _, stroke := range strokes {
			var turned []point
			for _, q := range stroke {
				q = point{pen + q.x*unit - back, -(q.y - baseline) * unit}
				if upright {
					q = point{q.y, -q.x}
				}
				turned = append(turned, scaled(point{at.x + q.x, at.y + q.y}))
			}
			if len(turned) == 1 {
				turned = append(turned, turned[0])
			}
			for i := 1; i < len(turned); i++ {
				p.segment(turned[i-1], turned[i], size*fine*.095)
			}
		}
		pen += wide * unit
	}
	p.blend(c, 1)
}
