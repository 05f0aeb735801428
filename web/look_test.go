package web

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast: texts stand out from what is behind them by 4.5 and edges of fields
// by 3, in light and in dark. Source: WCAG 2.2, 1.4.3 and 1.4.11.
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := assetFiles.ReadFile("assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(string(css), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d sets of colours, want light and dark", len(blocks))
	}
	for i, scheme := range []string{"light", "dark"} {
		colour := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{3,6});`).FindAllStringSubmatch(blocks[i][1], -1) {
			colour[m[1]] = luminance(t, m[2])
		}
		for _, c := range []struct {
			over, on string
			atLeast  float64
		}{
			{"ink", "paper card mine", 4.5}, {"soft", "paper card mine", 4.5}, {"accent", "paper card mine", 4.5}, {"on", "accent", 4.5},
			{"warn", "paper card warn-paper", 4.5}, {"danger", "paper card", 4.5}, {"good", "paper card", 4.5}, {"tried", "paper card", 4.5},
			{"edge", "paper card", 3}, {"accent", "paper card", 3},
		} {
			for _, on := range strings.Fields(c.on) {
				a, okA := colour[c.over]
				b, okB := colour[on]
				if ratio := (max(a, b) + .05) / (min(a, b) + .05); !okA || !okB || ratio < c.atLeast {
					t.Errorf("%s: %s on %s has %.2f, below %.1f", scheme, c.over, on, ratio, c.atLeast)
				}
			}
		}
	}
}

// luminance is how light a colour is, from 0 to 1, as WCAG 2.2 defines it.
func luminance(t *testing.T, hex string) float64 {
	if len(hex) == 3 {
		hex = strings.Repeat(hex[:1], 2) + strings.Repeat(hex[1:2], 2) + strings.Repeat(hex[2:], 2)
	}
	v, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(shift int) float64 {
		x := float64(v>>shift&255) / 255
		if x <= .04045 {
			return x / 12.92
		}
		return math.Pow((x+.055)/1.055, 2.4)
	}
	return .2126*part(16) + .7152*part(8) + .0722*part(0)
}

// TestHeadings: every page has one first heading, and none skips a level.
func TestHeadings(t *testing.T) {
	t.Parallel()
	h := handler("Luna")
	hidden := regexp.MustCompile(`(?s)<template.*?</template>|<dialog.*?</dialog>`)
	for _, path := range pages {
		page := hidden.ReplaceAllString(get(h, path, "ada").Body.String(), "")
		last := 0
		for i, m := range regexp.MustCompile(`<h([1-6])`).FindAllStringSubmatch(page, -1) {
			level := int(m[1][0] - '0')
			if level > last+1 || level == 1 && i > 0 {
				t.Errorf("%s: a heading of level %d after one of level %d", path, level, last)
			}
			last = level
		}
		if last == 0 {
			t.Errorf("%s has no heading", path)
		}
	}
}
