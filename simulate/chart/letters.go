package chart

import (
	"strings"
	"unicode"
)

// baseline is the height of the line that letters stand on.
const baseline = 2

// squeeze makes the grid of letters narrower than it is high.
const squeeze = .75

// letters are drawn with strokes on a grid: points as two digits, x and y, with y
// upwards from the descenders; capitals stand from 2 to 8, small letters from 2
// to 6. A stroke ends at a blank; one of a single point is a dot.
var letters = map[rune]string{
	'A': "022842 1434", 'B': "02083847463505 3544433202", 'C': "4738180703123243", 'D': "02082846442202", 'E': "48080242 0535",
	'F': "480802 0535", 'G': "47381807031232434525", 'H': "0208 4248 0545", 'I': "0208", 'J': "4843321203", 'K': "0208 480542",
	'L': "080242", 'M': "0208346862", 'N': "02084248", 'O': "183847433212030718", 'P': "02083847463505",
	'Q': "183847433212030718 2442", 'R': "02083847463505 2542", 'S': "473818070615354443321203", 'T': "0848 2228",
	'U': "080312324348", 'V': "082248", 'W': "0812365268", 'X': "0842 0248", 'Y': "082548 2522", 'Z': "08480242",
	'a': "4642 4536160503123243", 'b': "0802 0516364543321203", 'c': "4536160503123243", 'd': "4842 4536160503123243",
	'e': "044445361605031242", 'f': "38281712 0636", 'g': "4641301001 4536160503123243", 'h': "0802 0516364542", 'i': "0206 08",
	'j': "161100 18", 'k': "0802 460442", 'l': "0802", 'm': "0602 0516263532 3546566562", 'n': "0602 0516364542",
	'o': "163645433212030516", 'p': "0600 0516364543321203", 'q': "4640 4536160503123243", 'r': "0602 051636",
	's': "4616051434433202", 't': "18132232 0636", 'u': "0603123243 4642", 'v': "062246", 'w': "0612355266", 'x': "0642 0246",
	'y': "0622 4610", 'z': "06460242",
	'0': "183847433212030718", '1': "172822", '2': "07183847460242", '3': "07183847463515 354443321203", '4': "32380444",
	'5': "4808053544433202", '6': "4738180703123243443505", '7': "084812", '8': "183847463515060718 1504031232434435",
	'9': "0312324347381807061545",
	' ': "", '.': "02", ',': "1201", ':': "02 05", ';': "15 1201", '-': "0434", '–': "0444", '−': "0444", '+': "0444 2226", '=': "0343 0545",
	'/': "0238", '%': "0248 08 42", '(': "19070311", ')': "09171301", '±': "0646 2428 0242", '_': "0141", '<': "460442", '>': "064402",
	'\'': "0807", '"': "0807 2827", '@': "333515134347381807031232", '?': "07183847462524 22", '!': "0804 02", '#': "1218 3238 0444 0646",
	'*': "0347 0743 2228", '[': "18080212", ']': "08181202", '|': "0109", '~': "04153445", '·': "04", '…': "02 22 42", '×': "0336 0633",
	'ε': "453616051434 1403123243", '≤': "470543 0242",
}

// letter gives the strokes of a letter and how far the next one stands, in units
// of the grid. A letter that is not known is a box.
func letter(r rune) (strokes [][]point, wide float64) {
	drawn, known := letters[r]
	if !known {
		drawn = "0208484202"
	}
	switch {
	case r == ' ':
		wide = 2
	case unicode.IsDigit(r):
		wide = 4
	}
	for s := range strings.FieldsSeq(drawn) {
		var stroke []point
		for i := 0; i < len(s); i += 2 {
			x := float64(s[i] - '0')
			wide = max(wide, x)
			stroke = append(stroke, point{x * squeeze, float64(s[i+1] - '0')})
		}
		strokes = append(strokes, stroke)
	}
	return strokes, (wide + 2.2) * squeeze
}

// measure is how far a text reaches.
func measure(s string) (wide float64) {
	for _, r := range s {
		_, w := letter(r)
		wide += w
	}
	return wide
}
