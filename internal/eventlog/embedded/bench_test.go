package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
)

func open(t testing.TB) *embedded.Log {
	t.Helper()
	l, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func batch(n, from int, ids string) []eventlog.Record {
	rnd := rand.New(rand.NewPCG(1, uint64(from)))
	out := make([]eventlog.Record, n)
	for i := range out {
		id := fmt.Sprintf("%016x-%016x", rnd.Uint64(), rnd.Uint64())
		if ids == "rising" {
			id = fmt.Sprintf("%016x-%016x", from+i, rnd.Uint64())
		}
		out[i] = eventlog.Record{
			Topic: "agents", Key: fmt.Sprintf("agent-%d", i%100), ID: id,
			Type: "feedback.rating.given", Value: bytes.Repeat([]byte{byte(i)}, 500),
		}
	}
	return out
}

func fromStart(context.Context, eventlog.Partition) (eventlog.Position, error) { return 0, nil }

// A durable append of records of 500 bytes: ids that rise (new events) touch the
// end of the unique index, random ones (derived events) a page each.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		ids  string
		size int
	}{{"rising", 1}, {"rising", 100}, {"rising", 1000}, {"random", 1000}} {
		b.Run(fmt.Sprintf("ids=%s/batch=%d", c.ids, c.size), func(b *testing.B) {
			size := c.size
			l := open(b)
			n := 0
			for b.Loop() {
				b.StopTimer()
				records := batch(size, n, c.ids)
				n += size
				b.StartTimer()
				if err := l.Append(b.Context(), records); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	l := open(b)
	const n = 100_000
	for i := 0; i < n; i += 1000 {
		if err := l.Append(b.Context(), batch(1000, i, "random")); err != nil {
			b.Fatal(err)
		}
	}
	r, err := l.Read(b.Context(), "g", []string{"agents"}, fromStart)
	if err != nil {
		b.Fatal(err)
	}
	read := 0
	for b.Loop() {
		records, err := r.Next(b.Context(), 1000)
		if err != nil {
			b.Fatal(err)
		}
		if read += len(records); read%n == 0 {
			r.Seek(eventlog.Partition{Topic: "agents"}, 0)
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "records/s")
}
