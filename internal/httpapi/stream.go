package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Stream is a server-sent event stream that is being answered.
type Stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// sendTimeout is how long a peer may leave an event untaken before the stream
// is given up.
const sendTimeout = 10 * time.Second

// OpenStream starts answering with server-sent events. Send and Ping fail when
// the peer is gone or takes nothing for ten seconds: the handler then returns.
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

// Send writes one event with v as JSON data; id and name may be empty and hold
// no line breaks.
func (s *Stream) Send(id, name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", oneLine.Replace(id))
	}
	if name != "" {
		fmt.Fprintf(&b, "event: %s\n", oneLine.Replace(name))
	}
	fmt.Fprintf(&b, "data: %s\n\n", data)
	return s.write(b.Bytes())
}

// Ping writes a comment, so that proxies and peers see a live connection.
func (s *Stream) Ping() error { return s.write([]byte(": ping\n\n")) }

var oneLine = strings.NewReplacer("\n", "", "\r", "", "\x00", "")

func (s *Stream) write(b []byte) error {
	_ = s.c.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.c.Flush()
}
