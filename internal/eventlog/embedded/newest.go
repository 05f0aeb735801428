package embedded

import (
	"cmp"
	"slices"

	"rapport/internal/eventlog"
)

// newest are the last records of a topic as they were appended: readers at its end
// share them, and ask the file for nothing. They go when all have read them.
type newest struct {
	after   eventlog.Position // every record of the topic beyond it is here
	records []eventlog.Record // in order; given to readers, so what is there is never changed
	bytes   int
	asked   map[*reader]eventlog.Position // how far readers were when they last asked
}

// newestBytes are kept of a topic at most: about three thousand records. Who lags
// behind them reads the file until it catches up.
const newestBytes = 8 << 20

func newestAfter(p eventlog.Position) *newest {
	return &newest{after: p, asked: map[*reader]eventlog.Position{}}
}

// add takes in the topic's next record. When there are too many, the older half goes.
func (n *newest) add(r eventlog.Record) {
	n.records = append(n.records, r)
	if n.bytes += size(&r); n.bytes > newestBytes {
		n.drop(len(n.records) - len(n.records)/2)
	}
}

// next gives a reader up to most records beyond a position; false when the file has to
// be asked.
func (n *newest) next(r *reader, after eventlog.Position, most int) ([]eventlog.Record, bool) {
	n.asked[r] = after
	all := after
	for _, p := range n.asked {
		all = min(all, p)
	}
	if read := n.beyond(all); read > len(n.records)/2 {
		n.drop(read)
	}
	if after < n.after {
		return nil, false
	}
	i := n.beyond(after)
	end := min(i+most, len(n.records))
	return n.records[i:end:end], true
}

// beyond is where the records beyond a position begin.
func (n *newest) beyond(p eventlog.Position) int {
	i, _ := slices.BinarySearchFunc(n.records, p+1, func(r eventlog.Record, p eventlog.Position) int { return cmp.Compare(r.Position, p) })
	return i
}

// drop leaves the first records to the file.
func (n *newest) drop(first int) {
	for i := range n.records[:first] {
		n.bytes -= size(&n.records[i])
	}
	n.after = n.records[first-1].Position
	n.records = slices.Clone(n.records[first:])
}

// size is what a record takes, with as much again for what its readers find out.
func size(r *eventlog.Record) int { return 2 * (150 + len(r.Value) + len(r.ID) + len(r.Key)) }
