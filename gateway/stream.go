package gateway

import (
	"context"
	"encoding/json"
	"fmt"
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
	ready   []byte // not sent yet
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
		if time.Since(e.last) >= every {
			e.begin()
			e.ready = append(e.ready, ": still here\n\n"...)
			_ = e.send()
		}
		e.mu.Unlock()
	}
}

// begin makes the headers and the role ready, once.
func (e *events) begin() {
	if e.started {
		return
	}
	e.started = true
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	e.w.WriteHeader(http.StatusOK)
	empty := ""
	e.chunk(choice{Delta: &answerMessage{Role: "assistant", Content: &empty}})
}

// chunk makes a chunk ready.
func (e *events) chunk(of ...choice) {
	e.head.Choices = of
	e.ready = append(e.head.append(append(e.ready, "data: "...), true), "\n\n"...)
}

// say sends a piece of the text.
func (e *events) say(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin()
	e.chunk(choice{Delta: &answerMessage{Content: &text}})
	return e.send()
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
	data, err := json.Marshal(doc)
	if err != nil {
		return
	}
	e.ready = fmt.Appendf(e.ready, "data: %s\n\n", data)
	_ = e.send()
}

// end ends the answer well. The usage comes once, as clients add up what comes: with
// the finish reason, or when it is asked for in a chunk of its own.
func (e *events) end(out outcome, includeUsage bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begin()
	if !includeUsage {
		e.head.Usage = usageOf(out)
	}
	e.chunk(choice{Delta: &answerMessage{}, Finish: &out.finish})
	if includeUsage {
		e.head.Usage = usageOf(out)
		e.chunk()
	}
	e.ready = append(e.ready, "data: [DONE]\n\n"...)
	_, _ = e.w.Write(e.ready) // and leaves with the end of the response
}

// send sends what is ready.
func (e *events) send() error {
	e.last = time.Now()
	_ = e.control.SetWriteDeadline(e.last.Add(peerPatience))
	_, err := e.w.Write(e.ready)
	if e.ready = e.ready[:0]; err != nil {
		return err
	}
	return e.control.Flush()
}
