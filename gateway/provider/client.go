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

	FirstByte time.Duration // until the first line of an answer, 60 s when 0
	Idle      time.Duration // between two lines, 30 s when 0
	Total     time.Duration // for one try, 180 s when 0
	MaxText   int           // bytes of one reply, 1 MB when 0; a longer one ends there
	Client    *http.Client  // one of its own when nil
	Clock     func() time.Time
}

// Dialect is how a vendor's API is spoken. Its methods depend on their arguments
// only and may be called from many goroutines.
type Dialect interface {
	// Request gives the path below the base URL, '' for a model whose name is none,
	// and what to post as JSON, with streaming asked for.
	Request(r Request, known Learned) (path string, body any)
	// Authorize puts the key where the vendor looks for it.
	Authorize(h http.Header, key string)
	// Read takes one event of the answer, or all of it when the server does not
	// stream, and tells a what it says. Its error ends the answer.
	Read(data []byte, whole bool, a *Answer) error
	// Refusal reads an error document, as much of it as is there.
	Refusal(document []byte) Refusal
}

// Client asks one server, once a call but for what heals.
type Client struct {
	cfg     Config
	base    *url.URL
	dialect Dialect
	http    *http.Client
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
	if cfg.Client == nil {
		cfg.Client = newHTTPClient()
	}
	cfg.Key = strings.TrimSpace(cfg.Key)
	return &Client{cfg: cfg, base: base, dialect: d, http: stay(cfg.Client), memory: memory{clock: cfg.Clock, known: map[string]recalled{}}}, nil
}

// heals bounds the tries of one call: each takes one parameter away.
const heals = 10

// Stream asks for one reply. A refusal that names a parameter of ours is answered
// by asking again without it, and the model is remembered for a day. Anything else
// that fails is the caller's to try again.
func (c *Client) Stream(ctx context.Context, r Request, emit func(string) error) (Result, error) {
	if c.cfg.NeedKey && c.cfg.Key == "" {
		return Result{}, &Error{Code: CodeUnauthorized, Provider: c.cfg.Name, Hint: c.keyHint()}
	}
	total, cancel := context.WithTimeout(ctx, c.cfg.Total)
	defer cancel()
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
	resp, err := c.http.Do(req)
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
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		return nil, &Error{Code: CodeRefused, Provider: c.cfg.Name}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(path), &b)
	if err != nil {
		return nil, &Error{Code: CodeRefused, Provider: c.cfg.Name}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("User-Agent", "rapport")
	if c.cfg.Key != "" {
		c.dialect.Authorize(req.Header, c.cfg.Key)
	}
	return req, nil
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
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
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
