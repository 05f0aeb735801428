package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// events answers with server-sent events: the role, the texts, the finish reason, the
// usage, [DONE]. While a model says nothing for long a comment says that the answer is
// on its way, so that nobody between here and the caller cuts the line.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	mu      sync.Mutex // of what follows
	head    completionAnswer
	started bool
	last    time.Time // when something was sent
}

// peerPatience is how long a caller may leave a chunk untaken.
const peerPatience = 30 * time.Second

// keepAlive is how long a stream stays silent.
const keepAlive = 15 * time.Second

func newEvents(w http.ResponseWriter, head completionAnswer) *events {
	head.Object = "chat.completion.chunk"
	return &events{w: w, control: http.NewResponseController(w), head: head, last: time.Now()}
}

// beat keeps the stream alive until ctx ends. Nothing is sent before may says so.
func (e *events) beat(ctx context.Context, every time.Duration, may func() error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if may() != nil {
			return
		}
		e.mu.Lock()
		if time.Since(e.last) >= every && e.begin() == nil {
			_ = e.write(": still here\n\n")
		}
		e.mu.Unlock()
	}
}

// begin sends the headers and the role, once.
func (e *events) begin() error {
	if e.started {
		return nil
	}
	e.started = true
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	e.w.WriteHeader(http.StatusOK)
	empty := ""
	e.head.Choices = []choice{{Delta: &answerMessage{Role: "assistant", Content: &empty}}}
	return e.send(e.head)
}

// say sends a piece of the text.
func (e *events) say(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.begin(); err != nil {
		return err
	}
	e.head.Choices = []choice{{Delta: &answerMessage{Content: &text}}}
	return e.send(e.head)
}

// fail ends the answer with an error: an ordinary one when nothing was sent, else a
// chunk, and no [DONE].
func (e *events) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.started {
		writeOpenAI(e.w, err)
		return
	}
	_, doc := openAIError(err)
	_ = e.send(doc)
}

// end ends the answer well. The usage comes once, as clients add up what comes: with
// the finish reason, or when it is asked for in a chunk of its own.
func (e *events) end(out outcome, includeUsage bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begin() != nil {
		return
	}
	e.head.Choices = []choice{{Delta: &answerMessage{}, Finish: &out.finish}}
	if !includeUsage {
		e.head.Usage = usageOf(out)
	}
	if e.send(e.head) != nil {
		return
	}
	if includeUsage {
		e.head.Choices, e.head.Usage = []choice{}, usageOf(out)
		if e.send(e.head) != nil {
			return
		}
	}
	_ = e.write("data: [DONE]\n\n")
}

func (e *events) send(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.write(fmt.Sprintf("data: %s\n\n", data))
}

func (e *events) write(s string) error {
	_ = e.control.SetWriteDeadline(time.Now().Add(peerPatience))
	if _, err := io.WriteString(e.w, s); err != nil {
		return err
	}
	e.last = time.Now()
	return e.control.Flush()
}
