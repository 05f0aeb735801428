package embedded

import (
	"cmp"
	"slices"

	"rapport/internal/eventlog"
)

// newest are the last records of a topic as they were appended: readers at its end
// share them, and ask the file for nothing.
type newest struct {
	after   eventlog.Position // every record of the topic beyond it is here
	records []eventlog.Record // in order; given to readers, so what is there is never changed
	bytes   int
}

// newestBytes are kept of a topic at most: about three thousand records. Who lags
// behind them reads the file until it catches up.
const newestBytes = 8 << 20

// add takes in the topic's next record. When there are too many, the older half goes.
func (n *newest) add(r eventlog.Record) {
	n.records = append(n.records, r)
	if n.bytes += size(&r); n.bytes <= newestBytes {
		return
	}
	from := len(n.records) - len(n.records)/2
	n.after = n.records[from-1].Position
	n.records = slices.Clone(n.records[from:])
	n.bytes = 0
	for i := range n.records {
		n.bytes += size(&n.records[i])
	}
}

// next gives up to most records beyond a position; false when the file has to be
// asked.
func (n *newest) next(after eventlog.Position, most int) ([]eventlog.Record, bool) {
	if n == nil || after < n.after {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(n.records, after+1, func(r eventlog.Record, p eventlog.Position) int { return cmp.Compare(r.Position, p) })
	end := min(i+most, len(n.records))
	return n.records[i:end:end], true
}

// size is what a record takes, with as much again for what its readers find out.
func size(r *eventlog.Record) int { return 2 * (150 + len(r.Value) + len(r.ID) + len(r.Key)) }
