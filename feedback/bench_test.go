package feedback

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rapport/event"
	"rapport/policy"
)

// Thumbs over HTTP by 32 connections, each durable before its answer.
func BenchmarkGiveHTTP(b *testing.B) {
	w := newWorld(b, Options{Rate: 1 << 30})
	w.scene()
	const decisions = 2000
	var said []event.Event
	for i := range decisions {
		said = append(said, event.New("gateway", fmt.Sprint("b", i), w.now().UnixMicro(), decision(fmt.Sprint("b", i), "e1", 100, policy.Neutral())))
	}
	if err := deliver(w.s, w.db, said...); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(w.api())
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	var n atomic.Int64
	b.ResetTimer()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for {
				i := n.Add(1)
				if i > int64(b.N) {
					return
				}
				kind := []string{`"thumb","value":"up"`, `"more_less","value":"more"`, `"tone","value":"shorter"`}[i/decisions%3]
				req, _ := http.NewRequest("POST", server.URL+"/v1/feedback", strings.NewReader(fmt.Sprintf(`{"kind":%s,"decisionId":"b%d"}`, kind, i%decisions)))
				req.Header.Set("X-Person", "ann")
				req.Header.Set("Content-Type", "application/json")
				resp, err := client.Do(req)
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 201 {
					b.Error(resp.Status)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "given/s")
}

// Marks of an import: batches of 1,000, eight a message, by 200 reviewers.
func BenchmarkGiveAll(b *testing.B) {
	w := newWorld(b, Options{})
	w.scene()
	messages := b.N*MaxBatch/8 + 1
	var said []event.Payload
	for i := range messages {
		m := agentSays(event.HashID("message", fmt.Sprint(i)), int64(10+i), "")
		m.Imported = true
		said = append(said, m)
	}
	for len(said) > 0 {
		n := min(500, len(said))
		var events []event.Event
		for _, p := range said[:n] {
			w.n++
			events = append(events, event.New("chat", fmt.Sprint("b", w.n), w.now().UnixMicro(), p))
		}
		if err := deliver(w.s, w.db, events...); err != nil {
			b.Fatal(err)
		}
		said = said[n:]
	}
	b.ResetTimer()
	k := 0
	for range b.N {
		batch := make([]Given, MaxBatch)
		for i := range batch {
			m := event.MessageID(event.HashID("message", fmt.Sprint(k/8)))
			batch[i] = Given{FeedbackID: MarkID("bench", fmt.Sprintf("%s/%08d", m, k)), RaterID: event.PersonID(event.HashID("rater", fmt.Sprint(k%200))),
				MessageID: m, Mark: k%3 - 1}
			k++
		}
		results, err := w.s.GiveAll(b.Context(), batch)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range results {
			if r.Status != Stored {
				b.Fatalf("%+v", r)
			}
		}
	}
	b.ReportMetric(float64(k)/b.Elapsed().Seconds(), "marks/s")
}

// Messages of an import, as the consumer takes them.
func BenchmarkHandleMessages(b *testing.B) {
	w := newWorld(b, Options{})
	w.scene()
	k := 0
	for b.Loop() {
		var events []event.Event
		for range 256 {
			k++
			m := personSays(fmt.Sprint("message-with-a-long-id-", k), fmt.Sprint("person", k%50), int64(10+k), "")
			if k%2 == 0 {
				m = agentSays(fmt.Sprint("message-with-a-long-id-", k), int64(10+k), "")
			}
			m.Imported = true
			events = append(events, event.New("chat", fmt.Sprint("b", k), day0.UnixMicro(), m))
		}
		if err := deliver(w.s, w.db, events...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(k)/b.Elapsed().Seconds(), "messages/s")
}
