package fusion

// shared is the share of the noise in a behaviour that everything which the same
// person does in the same talk has in common: their mood, how much time they have. A
// guess on the cautious side: engagement and quickness of one talk say nearly the same.
const shared = .75

// Shown is what one person showed in one talk without saying it. Its signals are not
// independent: of their noises a share of .75 is common. With Σ the sum of their
// precisions and m the greatest,
//
//	1/Π = .75/m + .25/Σ
//
// the precision under one common factor with the noise .75/m: a single signal counts
// fully, no number of signals for more than 4/3 of the strongest. Source: the variance
// of a mean of equicorrelated values (Kish 1965, Survey Sampling, 5.4). The zero Shown
// is nothing.
type Shown struct {
	sum  Evidence
	most float64
	many bool
}

// Add takes in one signal.
func (s *Shown) Add(e Evidence) {
	s.many = s.many || s.sum.Pi > 0
	s.sum.Add(e)
	s.most = max(s.most, e.Pi)
}

// Together is the evidence of them all.
func (s *Shown) Together() Evidence {
	e := s.sum
	if s.many && s.most > 0 {
		e.Cap(1 / (shared/s.most + (1-shared)/e.Pi))
	}
	return e
}
