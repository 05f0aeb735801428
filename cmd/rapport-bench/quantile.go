package main

import (
	"math"
	"slices"
)

// quantile is the smallest value that at least a share p of the values does not
// exceed.
func quantile(values []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[max(0, int(math.Ceil(p*float64(len(s))))-1)]
}
