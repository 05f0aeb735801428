package meter

import "math"

// Brevity is the level of a length:
//
//	1 − ln(words/5)/ln(40), clipped to [0,1]: 5 words → 1, 200 → 0
func Brevity(words float64) float64 {
	return min(1, max(0, 1-math.Log(max(1, words)/5)/math.Log(40)))
}

// Curiosity is the level of a number of questions:
//
//	(questions + ¼)/(questions + 1): none → .25, one → .625
func Curiosity(questions int) float64 {
	q := float64(max(0, questions))
	return (q + .25) / (q + 1)
}
