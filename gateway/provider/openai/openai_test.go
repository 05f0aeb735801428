package openai

import (
	"net/http"
	"testing"

	"rapport/gateway/provider"
	"rapport/gateway/provider/providertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T, u providertest.Under) provider.Provider {
		c, err := New(Config{Name: "test", BaseURL: u.BaseURL, Key: u.Key, FirstByte: u.FirstByte, Idle: u.Idle, Sleep: u.Sleep})
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "ftp://x/v1", "http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://u:p@host/v1", "http://metadata.google.internal/v1", "http://0.0.0.0/v1", "://"} {
		if _, err := New(Config{Name: "x", BaseURL: bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, good := range []string{"http://127.0.0.1:11434/v1", "https://api.example.com/v1/"} {
		if _, err := New(Config{Name: "x", BaseURL: good}); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, date, want string }{
		{"retry-after", "3", "", "3s"}, {"retry-after-ms", "250", "", "250ms"}, {"retry-after", "0.5", "", "500ms"},
		{"retry-after", "Mon, 23 Nov 2026 00:00:07 GMT", "Mon, 23 Nov 2026 00:00:00 GMT", "7s"},
		{"retry-after", "nonsense", "", "0s"}, {"retry-after", "-4", "", "0s"}, {"retry-after", "NaN", "", "0s"},
	} {
		h := http.Header{}
		h.Set(c.name, c.value)
		h.Set("Date", c.date)
		if got := retryAfter(h); got.String() != c.want {
			t.Errorf("%s %s: %v, want %s", c.name, c.value, got, c.want)
		}
	}
}
