package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
)

// SVG writes the chart as a picture that follows the reader's light or dark
// setting. ErrShape when it cannot be drawn.
func (c *Chart) SVG(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	var p svg
	fmt.Fprintf(&p, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" font-family="system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif">`+"\n", width, height, width, height)
	fmt.Fprintf(&p, "<title>%s</title>\n<style>\n", escaped(c.Title))
	for dark := range 2 {
		if dark == 1 {
			p.WriteString("@media (prefers-color-scheme: dark) {\n")
		}
		for i, l := range look {
			fmt.Fprintf(&p, ".f%d{fill:#%06x}.s%d{stroke:#%06x}\n", i, l[dark], i, l[dark])
		}
	}
	p.WriteString("}\npath{fill:none;stroke-linejoin:round}\n.b{fill-opacity:.16;stroke:none}\n</style>\n")
	fmt.Fprintf(&p, `<rect class="f%d" width="%d" height="%d"/>`+"\n", paper, width, height)
	c.draw(&p)
	p.WriteString("</svg>\n")
	_, err := w.Write(p.Bytes())
	return err
}

// svg is a pen.
type svg struct{ bytes.Buffer }

func (p *svg) places(at []point) {
	for i, q := range at {
		if i > 0 {
			p.WriteByte(' ')
		}
		fmt.Fprintf(p, "%.1f,%.1f", q.x, q.y)
	}
}

func (p *svg) band(upper, lower []point, c ink) {
	fmt.Fprintf(p, `<polygon class="f%d b" points="`, c)
	p.places(upper)
	for i := len(lower) - 1; i >= 0; i-- {
		fmt.Fprintf(p, " %.1f,%.1f", lower[i].x, lower[i].y)
	}
	p.WriteString("\"/>\n")
}

func (p *svg) line(at []point, c ink, thick float64, dashed bool) {
	fmt.Fprintf(p, `<path class="s%d" stroke-width="%g"`, c, thick)
	if dashed {
		fmt.Fprintf(p, ` stroke-dasharray="%d %d"`, dashOn, dashOff)
	}
	p.WriteString(` d="M`)
	p.places(at)
	p.WriteString("\"/>\n")
}

func (p *svg) write(at point, s string, size float64, c ink, a anchor, upright bool) {
	if s == "" {
		return
	}
	fmt.Fprintf(p, `<text class="f%d" x="%.1f" y="%.1f" font-size="%g" text-anchor="%s"`, c, at.x, at.y, size, [...]string{"start", "middle", "end"}[a])
	if upright {
		fmt.Fprintf(p, ` transform="rotate(-90 %.1f %.1f)"`, at.x, at.y)
	}
	fmt.Fprintf(p, ">%s</text>\n", escaped(s))
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}
