package provider

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// nothing is a dialect that only has a path.
type nothing struct{ path string }

func (n nothing) Request(Request, Learned) (string, any) { return n.path, "x" }
func (nothing) Authorize(h http.Header, key string)      { h.Set("key", key) }
func (nothing) Read(_ []byte, _ bool, a *Answer) error   { a.End(); return a.Say("ok") }
func (nothing) Refusal([]byte) Refusal                   { return Refusal{} }
func dial(url string) (*Client, error) {
	return NewClient(Config{Name: "x", BaseURL: url}, nothing{"p"})
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "ftp://x/v1", "http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://[fe80::1%25eth0]/v1", "http://u:p@host/v1",
		"http://metadata.google.internal/v1", "http://METADATA.google.internal./v1", "http://0.0.0.0/v1", "http://[::]/v1", "http://[::ffff:169.254.169.254]/v1",
		"http://[fd00:ec2::254]/latest", "http://100.100.100.200/v1", "http://224.0.0.1/v1", "http://:8080/v1", "://"} {
		if _, err := dial(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%v tells the password", err)
		}
	}
	for _, good := range []string{"http://127.0.0.1:11434/v1", "https://api.example.com/v1/", "http://10.0.0.7:8000", "http://[::1]:8000/v1"} {
		if _, err := dial(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// A name may point anywhere: what it points at is looked at before anything is
// sent there.
func TestForbiddenAddressesAreNotConnectedTo(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{"169.254.169.254:80": false, "[::ffff:169.254.169.254]:80": false, "[fe80::1%lo]:80": false, "0.0.0.0:80": false,
		"127.0.0.1:80": true, "10.1.2.3:443": true, "[2001:db8::1]:443": true, "nonsense": false} {
		if err := allowed("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	_, err := newTransport().dial(t.Context(), "tcp", "169.254.169.254:80")
	if op, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(op, errForbidden) {
		t.Errorf("connected: %v", err)
	}
}

func TestAddressesAreJoined(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"https://x/v1", "chat/completions", "https://x/v1/chat/completions"},
		{"https://x/v1/", "m:go?alt=sse", "https://x/v1/m:go?alt=sse"},
		{"https://x/openai/deployments/d?api-version=2024-10-21", "chat/completions", "https://x/openai/deployments/d/chat/completions?api-version=2024-10-21"},
		{"https://x/v1?a=b", "m:go?alt=sse", "https://x/v1/m:go?a=b&alt=sse"},
	} {
		client, err := dial(c[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := client.url(c[1]); got != c[2] {
			t.Errorf("%s + %s: %s", c[0], c[1], got)
		}
	}
}

// A real connection: the client of one's own does not follow, and closes what it
// does not read.
func TestOverTheNetwork(t *testing.T) {
	t.Parallel()
	var elsewhere int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/p":
			_, _ = w.Write([]byte("data: x\n\ndata: y\n\n"))
		case "/moved/p":
			http.Redirect(w, r, "/elsewhere", http.StatusPermanentRedirect)
		default:
			elsewhere++
		}
	}))
	defer s.Close()
	for path, code := range map[string]string{"/v1": "", "/moved": CodeMoved} {
		c, err := NewClient(Config{Name: "x", BaseURL: s.URL + path, Key: " k\n"}, nothing{"p"})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		if _, err = c.Stream(t.Context(), Request{}, func(s string) error { text += s; return nil }); err != nil && CodeOf(err) != code || err == nil && (code != "" || text != "ok") {
			t.Errorf("%s: %q %v", path, text, err)
		}
	}
	if elsewhere > 0 {
		t.Error("it was followed")
	}
}
