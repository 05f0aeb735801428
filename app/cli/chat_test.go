package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"rapport/app/client"
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
