package embedded

import (
	"testing"

	"rapport/internal/eventlog"
)

// Memory holds what somebody has not read, and of that a bounded part.
func TestNewest(t *testing.T) {
	t.Parallel()
	n := newestAfter(10)
	put := func(from, to eventlog.Position, bytes int) {
		for p := from; p <= to; p++ {
			n.add(eventlog.Record{Position: p, Value: make([]byte, bytes)})
		}
	}
	reads := func(r *reader, after eventlog.Position, most, want int, here bool) {
		t.Helper()
		got, is := n.next(r, after, most)
		if len(got) != want || is != here || want > 0 && got[0].Position != after+1 {
			t.Errorf("after %d: %d records, %v; want %d, %v", after, len(got), is, want, here)
		}
	}
	keeps := func(want int) {
		t.Helper()
		bytes := 0
		for i := range n.records {
			bytes += size(&n.records[i])
		}
		if len(n.records) != want || n.bytes != bytes {
			t.Errorf("%d records are kept, want %d; %d bytes, counted %d", len(n.records), want, bytes, n.bytes)
		}
	}
	fast, slow := &reader{}, &reader{}
	reads(fast, 10, 5, 0, true)
	reads(slow, 9, 5, 0, false) // the file has one more
	put(11, 30, 10)
	reads(fast, 10, 50, 20, true)
	reads(slow, 10, 5, 5, true)
	reads(fast, 30, 50, 0, true)
	keeps(20)
	reads(slow, 15, 10, 10, true)
	keeps(20) // less than half is read by both
	reads(slow, 25, 10, 5, true)
	keeps(5)
	reads(slow, 30, 10, 0, true)
	keeps(0)
	reads(slow, 15, 10, 0, false) // sought back
	put(31, 40, newestBytes/20)
	keeps(5)
	reads(slow, 30, 10, 0, false)
	reads(fast, 35, 10, 5, true)
}
