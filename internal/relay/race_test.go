//go:build race

package relay

// The race detector makes the database ten times slower: every ninth crash point.
func init() { crashStep, lives = 9, 3 }
