package provider

import (
	"io"
	"net/http"
	"slices"
	"testing"
)

// plainly is a dialect whose events are the text.
type plainly struct{}

func (plainly) Request(Request, Learned) (string, any) { return "x", struct{}{} }
func (plainly) Authorize(http.Header, string)          {}
func (plainly) Refusal([]byte) Refusal                 { return Refusal{} }
func (plainly) Read(data []byte, _ bool, a *Answer) error {
	switch string(data) {
	case "end":
		a.End()
	case "broken":
		return a.Garbled()
	default:
		return a.Say(string(data))
	}
	return nil
}

type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Pieces that arrived together are passed on together, and none waits for the next
// to arrive. What came before a failure is passed on before it is told.
func TestPiecesArePassedOnAsTheyArrive(t *testing.T) {
	t.Parallel()
	for last, code := range map[string]string{"data: f\n\ndata: end\n\n": "", "data: f\n\ndata: broken\n\n": CodeBroken, "data: f\n\n": CodeBroken} {
		out, in := io.Pipe()
		c, err := NewClient(Config{Name: "p", BaseURL: "http://p.test", Transport: answering(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: out}, nil
		})}, plainly{})
		if err != nil {
			t.Fatal(err)
		}
		arrivals := []string{"data: a\n\ndata: b\n\ndata: c\n\n", "data: d", "\n\nda", "ta: e\r\n: a comment\n", last}
		came := make(chan struct{}, len(arrivals))
		go func() {
			for i, s := range arrivals {
				if _, err := io.WriteString(in, s); err != nil {
					return
				}
				if i != 1 { // half an event
					<-came // waits for nothing that comes later
				}
			}
			in.Close()
		}()
		var got []string
		_, err = c.Stream(t.Context(), Request{Model: "m", Messages: []Message{{RoleUser, "hi"}}}, func(s string) error {
			got = append(got, s)
			came <- struct{}{}
			return nil
		})
		in.Close()
		if (err != nil) != (code != "") || err != nil && CodeOf(err) != code {
			t.Errorf("%v, want %q", err, code)
		}
		if want := []string{"abc", "d", "e", "f"}; !slices.Equal(got, want) {
			t.Errorf("emitted %q, want %q", got, want)
		}
	}
}
