package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config is one server. All of it is the administrator's; nothing comes from a
// request.
type Config struct {
	Name    string // as in errors
	BaseURL string // up to and with the version, as https://api.openai.com/v1
	Key     string // empty for none
	KeyName string // where the key was configured, as OPENAI_API_KEY, for messages
	NeedKey bool   // refuse to ask without a key

	FirstByte time.Duration     // until the first line of an answer, 60 s when 0
	Idle      time.Duration     // between two lines, 30 s when 0
	Total     time.Duration     // for one try, 180 s when 0
	MaxText   int               // bytes of one reply, 1 MB when 0; a longer one ends there
	Transport http.RoundTripper // one of its own when nil
	Clock     func() time.Time
}

// Dialect is how a vendor's API is spoken. Its methods depend on their arguments
// only and may be called from many goroutines.
type Dialect interface {
	// Request gives the path below the base URL, '' for a model whose name is none,
	// and what to post as JSON, with streaming asked for. A body may be an Appender.
	Request(r Request, known Learned) (path string, body any)
	// Authorize puts the key where the vendor looks for it.
	Authorize(h http.Header, key string)
	// Read takes one event of the answer, or all of it when the server does not
	// stream, and tells a what it says. Its error ends the answer.
	Read(data []byte, whole bool, a *Answer) error
	// Refusal reads an error document, as much of it as is there.
	Refusal(document []byte) Refusal
}

// Appender appends itself as encoding/json writes it with signs of HTML as they are,
// but sooner; false when it has something that it leaves to encoding/json.
type Appender interface {
	AppendJSON(b []byte) ([]byte, bool)
}

// Client asks one server, once a call but for what heals.
type Client struct {
	cfg     Config
	base    *url.URL
	dialect Dialect
	header  http.Header       // of every request; not changed
	http    http.RoundTripper // follows nobody elsewhere with the key
	memory  memory
}

var _ Provider = (*Client)(nil)

// NewClient makes a client. It refuses base URLs that are no http(s) address or
// lead to link-local and metadata addresses; those it does not connect to either.
func NewClient(cfg Config, d Dialect) (*Client, error) {
	base, err := parseBase(cfg.Name, cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.FirstByte, 60*time.Second)
	def(&cfg.Idle, 30*time.Second)
	def(&cfg.Total, 180*time.Second)
	if cfg.MaxText == 0 {
		cfg.MaxText = 1 << 20
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport()
	}
	cfg.Key = strings.TrimSpace(cfg.Key)
	c := &Client{cfg: cfg, base: base, dialect: d, http: cfg.Transport, memory: memory{clock: cfg.Clock, known: map[string]recalled{}}}
	c.header = http.Header{"Content-Type": {"application/json"}, "Accept": {"text/event-stream"}, "User-Agent": {"rapport"}}
	if cfg.Key != "" && d != nil { // a Moderator needs none
		d.Authorize(c.header, cfg.Key)
	}
	return c, nil
}

// heals bounds the tries of one call: each takes one parameter away.
const heals = 10

// Stream asks for one reply. A refusal that names a parameter of ours is answered
// by asking again without it, and the model is remembered for a day. Anything else
// that fails is the caller's to try again.
func (c *Client) Stream(ctx context.Context, r Request, emit func(string) error) (Result, error) {
	if hint := c.Lacks(); hint != "" {
		return Result{}, &Error{Code: CodeUnauthorized, Provider: c.cfg.Name, Hint: hint}
	}
	total := ctx
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > c.cfg.Total {
		var cancel func()
		total, cancel = context.WithTimeout(ctx, c.cfg.Total)
		defer cancel()
	}
	for heal := 0; ; heal++ {
		known := c.memory.of(r.Model)
		sent := known.apply(r)
		res, limit, err := c.once(total, sent, known, emit)
		res.Dropped = dropped(r, sent)
		if err == nil {
			return res, nil
		}
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return res, err // of emit
		}
		if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return res, &Error{Code: CodeCancelled, Provider: c.cfg.Name, Started: e.Started, Err: ctx.Err()}
		}
		if e.Started || e.Code != CodeRefused || heal >= heals || !c.memory.learn(r, e.Param, limit) {
			return res, e
		}
	}
}

// Lacks says what the administrator must set before the provider can be asked; empty for
// nothing.
func (c *Client) Lacks() string {
	if c.cfg.NeedKey && c.cfg.Key == "" {
		return c.keyHint()
	}
	return ""
}

func (c *Client) keyName() string {
	if c.cfg.KeyName == "" {
		return "the key"
	}
	return c.cfg.KeyName
}

func (c *Client) keyHint() string {
	if c.cfg.Key == "" {
		return "set " + c.keyName()
	}
	return "check " + c.keyName()
}

var errTimeout = errors.New("timeout")

// once is one request. limit is how many tokens a refusal would have accepted.
func (c *Client) once(ctx context.Context, r Request, known Learned, emit func(string) error) (res Result, limit int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(c.cfg.FirstByte, func() { cancel(errTimeout) })
	defer watch.Stop()

	req, err := c.request(ctx, r, known)
	if err != nil {
		return res, 0, err
	}
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return res, 0, c.broken(ctx, err, false, CodeUnreachable)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		f := c.dialect.Refusal(raw)
		if (resp.StatusCode == 400 || resp.StatusCode == 403) && filtered.MatchString(f.Kind+" "+f.Message) {
			return Result{Finish: FinishFilter}, 0, nil
		}
		return res, f.limit(), c.refused(resp.StatusCode, resp.Header, f)
	}
	a := &Answer{c: c, ctx: ctx, watch: watch, emit: emit, request: &r}
	err = a.read(resp)
	return a.Result, 0, err
}

func (c *Client) request(ctx context.Context, r Request, known Learned) (*http.Request, error) {
	path, body := c.dialect.Request(r, known)
	if path == "" {
		return nil, &Error{Code: CodeNoModel, Provider: c.cfg.Name}
	}
	raw, err := encode(body)
	if err != nil {
		return nil, &Error{Code: CodeRefused, Provider: c.cfg.Name}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(path), bytes.NewReader(raw))
	if err != nil {
		return nil, &Error{Code: CodeRefused, Provider: c.cfg.Name}
	}
	req.Header = c.header
	return req, nil
}

func encode(body any) ([]byte, error) {
	if a, ok := body.(Appender); ok {
		if b, ok := a.AppendJSON(nil); ok {
			return b, nil
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(body)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// url joins the base with a path that may have a query, as the base may.
func (c *Client) url(path string) string {
	u := *c.base
	path, query, _ := strings.Cut(path, "?")
	if u.RawQuery != "" && query != "" {
		query = u.RawQuery + "&" + query
	} else if query == "" {
		query = u.RawQuery
	}
	u.RawQuery = ""
	return strings.TrimRight(u.String(), "/") + "/" + path + map[bool]string{true: "?"}[query != ""] + query
}

// broken names why a connection ended: by a time limit of ours, or by itself.
func (c *Client) broken(ctx context.Context, cause error, started bool, code string) *Error {
	e := &Error{Code: code, Provider: c.cfg.Name, Started: started, Retry: !started, Err: ctx.Err()}
	switch {
	case context.Cause(ctx) == errTimeout || errors.Is(ctx.Err(), context.DeadlineExceeded):
		e.Code, e.Retry, e.Err = CodeTimeout, false, context.DeadlineExceeded
	case errors.Is(cause, errForbidden):
		e.Code, e.Retry, e.Hint = CodeRefused, false, "its base URL leads to a link-local or metadata address"
	}
	return e
}

// isDocument says whether an answer is one JSON document instead of a stream.
func isDocument(h http.Header) bool {
	said := h.Get("Content-Type")
	if said == "text/event-stream" {
		return false
	}
	kind, _, _ := mime.ParseMediaType(said)
	return kind == "application/json"
}

// NewSchema makes a Schema of a Go value, which must be JSON already or encode to
// it.
func NewSchema(name string, schema any) (*Schema, error) {
	raw, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return &Schema{Name: name, JSON: raw}, nil
}
