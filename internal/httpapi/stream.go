package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Stream is a server-sent event stream that is being answered.
type Stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// OpenStream starts answering with server-sent events.
func OpenStream(w http.ResponseWriter) *Stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	s := &Stream{w: w, c: http.NewResponseController(w)}
	_ = s.c.Flush()
	return s
}

// Send writes one event with v as JSON data; id and name may be empty.
func (s *Stream) Send(id, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if id != "" {
		fmt.Fprintf(s.w, "id: %s\n", id)
	}
	if name != "" {
		fmt.Fprintf(s.w, "event: %s\n", name)
	}
	if _, err := fmt.Fprintf(s.w, "data: %s\n\n", data); err != nil {
		return err
	}
	return s.c.Flush()
}

// Ping writes a comment, so that proxies and peers see a live connection.
func (s *Stream) Ping() error {
	_ = s.c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprint(s.w, ": ping\n\n"); err != nil {
		return err
	}
	return s.c.Flush()
}
