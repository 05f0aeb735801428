package signal

// Half-saturation of a person about whom nothing is known.
const (
	usualTurns = 4.
	usualChars = 60.
)

// EngagementOf is a person's engagement in one session, e ∈ [0,1]: the mean of
//
//	turns/(turns + h)     h = 4, or the person's own mean turns
//	chars/(chars + l)     median length; l = 60, or the person's own mean
//	1 − z(pause) in [0,1] median pause before answering the agent, see Quickness
//
// own values once Known sessions exist, so that a laconic person at their usual
// stands at ½. The pause is left out when they never answered (0). Without a turn
// there is no engagement: false.
func EngagementOf(turns, medianChars int, pauseMilli int64, b Baseline) (float64, bool) {
	if turns <= 0 {
		return 0, false
	}
	h, l := usualTurns, usualChars
	if b.Sessions >= Known {
		h = max(.5, float64(b.Turns)/float64(b.Sessions))
		l = max(1, float64(b.Chars)/float64(b.Sessions))
	}
	t, c := float64(turns), float64(max(0, medianChars))
	sum, n := t/(t+h)+c/(c+l), 2.
	if pauseMilli > 0 {
		sum += b.Pauses.Quickness(pauseMilli)
		n++
	}
	return round(sum / n), true
}

// LeftAfterScore is the score of leaving right after the agent spoke.
const LeftAfterScore = -.4

// ReplyScore is the score of a reply in [.5,1]: ½ for answering and ½ times how
// quick it was against the person's own replies.
func ReplyScore(pauseMilli int64, b Baseline) float64 {
	return round(.5 + float64(.5*b.Replies.Quickness(pauseMilli)))
}
