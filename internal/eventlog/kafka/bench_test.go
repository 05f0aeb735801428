package kafka_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/kafka/kafkatest"
)

func batch(from, n int) []eventlog.Record {
	out := make([]eventlog.Record, n)
	for i := range out {
		out[i] = eventlog.Record{Topic: "agents", Key: fmt.Sprint("agent-", i%100), ID: fmt.Sprintf("%032d", from+i), Type: "feedback.rating.given", Value: bytes.Repeat([]byte{byte(i)}, 500)}
	}
	return out
}

// Brokers in this process share its processors: what remains is the client's work
// and theirs together. Records have 500 bytes.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			o := kafkatest.New(b).Options()
			o.Partitions = 8
			l := open(b, o)
			put(b, l, batch(0, 1)...) // makes the topic
			n := 0
			for b.Loop() {
				b.StopTimer()
				records := batch(n, size)
				n += size
				b.StartTimer()
				put(b, l, records...)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	const n = 200_000
	o := kafkatest.New(b).Options()
	o.Partitions = 8
	o.Client = append(o.Client, kgo.MaxBufferedRecords(n))
	l := open(b, o)
	for i := 0; i < n; i += 5000 {
		put(b, l, batch(i, 5000)...)
	}
	group := 0
	for b.Loop() {
		group++
		r := read(b, l, fmt.Sprint("g", group), fromStart)
		for left := n; left > 0; {
			records, err := r.Next(b.Context(), 1000)
			if err != nil {
				b.Fatal(err)
			}
			left -= len(records)
		}
		r.Close()
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
