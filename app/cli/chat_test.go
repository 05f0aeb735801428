package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/app/client"
	"rapport/internal/fault"
)

// A talk misses no answer: it follows the room from where that was when the talk was
// opened, however late the stream is, and after the stream ended from what it saw. A
// message that changes later is no second answer.
func TestATalkMissesNoAnswer(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after := r.URL.Query().Get("after")
		asked <- after
		w.Header().Set("Content-Type", "text/event-stream")
		say := func(change int, id string) {
			fmt.Fprintf(w, "id: %d\nevent: message\ndata: {\"id\":%q,\"text\":\"hm\",\"decisionId\":\"d\",\"author\":{\"agentId\":\"nova\"}}\n\n", change, id)
		}
		switch after { // the answer was there before anybody listened
		case "7":
			say(8, "first")
		case "8":
			say(9, "first")
			say(10, "second")
		}
	}))
	t.Cleanup(server.Close)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	k := &talk{g: &globals{JSON: true}, c: &client.Client{Base: server.URL}, agent: client.Agent{ID: "nova"}, room: "r", seen: "7", replies: make(chan said, 16)}
	go k.listen(ctx)
	for _, want := range []string{"first", "second"} {
		select {
		case got := <-k.replies:
			if got.MessageID != want {
				t.Errorf("%s came, want %s", got.MessageID, want)
			}
		case <-ctx.Done():
			t.Fatalf("%s never came", want)
		}
	}
	for _, want := range []string{"7", "8", "10"} {
		if got := <-asked; got != want {
			t.Errorf("followed after %s, want %s", got, want)
		}
	}
}

// What an agent began is no answer, an answer is to what was said, and a model that
// fails is told at once.
func TestATalkKnowsWhatIsAnAnswer(t *testing.T) {
	t.Parallel()
	frames := make(chan string, 10)
	posted := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/stream"):
			w.Header().Set("Content-Type", "text/event-stream")
			for {
				_ = http.NewResponseController(w).Flush()
				select {
				case f := <-frames:
					fmt.Fprint(w, f)
				case <-r.Context().Done():
					return
				}
			}
		case strings.HasSuffix(r.URL.Path, "/messages"):
			posted++
			switch fmt.Fprintf(w, `{"id":"m%d"}`, posted); posted {
			case 1:
				frames <- "event: message\ndata: {\"id\":\"a1\",\"text\":\"Tides are fine.\",\"decisionId\":\"d2\",\"replyTo\":\"m1\",\"author\":{\"agentId\":\"nova\"}}\n\n"
			case 2:
				frames <- "event: trouble\ndata: {\"agentId\":\"nova\",\"messageId\":\"m2\",\"says\":\"its model takes no more requests now\",\"wait\":2}\n\n"
				frames <- "event: trouble\ndata: {\"agentId\":\"nova\",\"messageId\":\"m2\",\"says\":\"its model is not set up\"}\n\n"
			}
		default:
			fmt.Fprint(w, `{"sessionId":"s"}`)
		}
	}))
	t.Cleanup(server.Close)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	var out bytes.Buffer
	k := &talk{g: &globals{out: &together{w: &out}}, c: &client.Client{Base: server.URL}, agent: client.Agent{ID: "nova", Name: "Nova"}, room: "r", seen: "7", replies: make(chan said, 16)}
	frames <- "event: message\ndata: {\"id\":\"a0\",\"text\":\"Welcome.\",\"decisionId\":\"d1\",\"author\":{\"agentId\":\"nova\"}}\n\n"
	var listening sync.WaitGroup
	listening.Go(func() { k.listen(ctx) })
	if err := k.say(ctx, "and tides?"); err != nil || k.last.Text != "Tides are fine." || k.last.SessionID != "s" {
		t.Errorf("%v, last %+v", err, k.last)
	}
	if err := k.say(ctx, "and now?"); !fault.Is(err, "no_reply") || !strings.Contains(err.Error(), "its model is not set up") || k.last.MessageID != "a1" {
		t.Errorf("%v, last %+v", err, k.last)
	}
	stop()
	listening.Wait()
	if got, want := out.String(), "\nnova> Welcome.\nnova> Tides are fine.\n· Nova answers later: its model takes no more requests now; it is tried again in 2 s\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
