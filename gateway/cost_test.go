package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/openai"
	"rapport/internal/httpapi"
)

// BenchmarkReplyOverHTTP is a whole request with its answer, whole and in 22 pieces,
// from the handler to a model at the other end of a connection, which answers at once.
func BenchmarkReplyOverHTTP(b *testing.B) {
	event := func(rest string) string {
		return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m",` + rest + "}\n\n"
	}
	for pieces, body := range map[int]string{1: hi, 22: `{"stream":true,` + hi[1:]} {
		b.Run(fmt.Sprintf("pieces-%d", pieces), func(b *testing.B) {
			model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for range pieces {
					fmt.Fprint(w, event(`"choices":[{"index":0,"delta":{"content":"a word "},"finish_reason":null}]`))
					if pieces > 1 {
						w.(http.Flusher).Flush()
					}
				}
				fmt.Fprint(w, event(`"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9}`)+"data: [DONE]\n\n")
			}))
			defer model.Close()
			real, err := openai.New(provider.Config{Name: "test", BaseURL: model.URL, Key: "k"})
			if err != nil {
				b.Fatal(err)
			}
			w := newWorld(b, func(o *Options) {
				m := compile.Model{Provider: "test", ID: "m", Vendor: compile.VendorCompatible}
				o.Models.Registry.Default, o.Models.Registry.Providers = []compile.Model{m}, map[string]compile.Model{"test": m}
				o.Use = map[string]provider.Provider{"test": real}
			})
			w.meet(mira)
			api := httpapi.New("test", people{})
			w.s.Routes(api)
			h := api.Handler()
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer ann")
				rec := httptest.NewRecorder()
				if h.ServeHTTP(rec, r); rec.Code != 200 || !strings.Contains(rec.Body.String(), "a word") {
					b.Fatal(rec.Body.String())
				}
			}
			w.settle()
		})
	}
}
