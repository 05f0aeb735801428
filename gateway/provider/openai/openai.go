// Package openai speaks to any OpenAI-compatible server over plain net/http:
// OpenAI, Ollama, llama.cpp, vLLM, OpenRouter and others.
//
// Start reading at New, then Client.Stream.
package openai

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
)

// Config is one server. BaseURL comes from the administrator's configuration,
// never from a request.
type Config struct {
	Name    string // as in errors
	BaseURL string // up to and with /v1
	Key     string // sent as a bearer token; empty for none

	FirstByte time.Duration // until the first byte of an answer, 60 s when 0
	Idle      time.Duration // between two pieces, 30 s when 0
	Total     time.Duration // for one reply with its retries, 180 s when 0
	MaxWait   time.Duration // longest retry-after that is waited for, 10 s when 0
	Client    *http.Client  // one of its own when nil

	// Sleep waits between tries; the real one when nil.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Client is a provider.Provider.
type Client struct {
	cfg     Config
	url     string
	http    *http.Client
	mu      sync.Mutex
	refused map[string][]string // by model: parameters it named in a refusal
}

var _ provider.Provider = (*Client)(nil)

// New makes a client. It refuses addresses that are no http(s) URL and
// link-local or metadata addresses.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, fmt.Errorf("provider %s: the base URL must be http(s)://host[:port]/path without a password", cfg.Name)
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && (ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsMulticast() || ip.IsUnspecified()) ||
		strings.EqualFold(u.Hostname(), "metadata.google.internal") {
		return nil, fmt.Errorf("provider %s: link-local and metadata addresses are not allowed as base URL", cfg.Name)
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.FirstByte, 60*time.Second)
	def(&cfg.Idle, 30*time.Second)
	def(&cfg.Total, 180*time.Second)
	def(&cfg.MaxWait, 10*time.Second)
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	c := &Client{cfg: cfg, url: strings.TrimRight(cfg.BaseURL, "/") + "/chat/completions", http: cfg.Client, refused: map[string][]string{}}
	if c.http == nil {
		c.http = &http.Client{
			Transport: &http.Transport{
				Proxy:       http.ProxyFromEnvironment,
				DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
				MaxIdleConns: 64, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// The number of tries after the first, all before the first piece of text.
const retries = 2

// Stream asks for one reply. A connection that fails, 408, 409, 429 and 5xx are
// tried again twice, waiting as retry-after says. A 400 that names a parameter
// of ours is tried again without it, once per parameter, and the model is
// remembered for it.
func (c *Client) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
	total, cancel := context.WithTimeout(ctx, c.cfg.Total)
	defer cancel()
	for try := 0; ; try++ {
		drop := c.remembered(r.Model)
		res, err := c.once(total, r, drop, emit)
		res.Dropped = drop
		if err == nil {
			return res, nil
		}
		var e *provider.Error
		if !errors.As(err, &e) {
			return res, err // of emit
		}
		if ctx.Err() != nil {
			return res, c.fail(provider.CodeCancelled, e.Started, ctx.Err())
		}
		if e.Started {
			return res, e
		}
		if e.Code == provider.CodeRefused && c.learn(r, e.Param) {
			try--
			continue
		}
		if try >= retries || !again(e) || e.RetryAfter > c.cfg.MaxWait {
			return res, e
		}
		wait := e.RetryAfter
		if wait == 0 {
			wait = 500 * time.Millisecond << try
		}
		if err := c.cfg.Sleep(total, wait); err != nil {
			return res, e
		}
	}
}

func again(e *provider.Error) bool {
	switch e.Status {
	case 0:
		return e.Code == provider.CodeUnreachable || e.Code == provider.CodeBroken
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500
}

func (c *Client) fail(code string, started bool, err error) *provider.Error {
	return &provider.Error{Code: code, Provider: c.cfg.Name, Started: started, Err: err}
}

func (c *Client) remembered(model string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[model]
}

// learn remembers a refused parameter; false when it is none that we send or
// may leave out.
func (c *Client) learn(r provider.Request, param string) bool {
	if !sends(r.Params, param) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.refused[r.Model]
	for _, p := range old {
		if p == param {
			return false
		}
	}
	if len(c.refused) > 1000 {
		clear(c.refused)
	}
	c.refused[r.Model] = append(old[:len(old):len(old)], param)
	return true
}

func sends(p compile.Params, param string) bool {
	switch param {
	case "temperature":
		return p.Temperature.Set()
	case "top_p":
		return p.TopP.Set()
	case "presence_penalty":
		return p.PresencePenalty.Set()
	case "frequency_penalty":
		return p.FrequencyPenalty.Set()
	case "reasoning_effort":
		return p.Effort != ""
	case "verbosity":
		return p.Verbosity != ""
	case "stream_options", "max_tokens", "max_completion_tokens":
		return true
	}
	return false
}

// body writes the request. A refused token field is replaced by the other one.
func body(r provider.Request, drop []string) []byte {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	ms := make([]message, 0, len(r.Messages)+1)
	if r.System != "" {
		ms = append(ms, message{"system", r.System})
	}
	for _, m := range r.Messages {
		ms = append(ms, message{m.Role, m.Text})
	}
	m := map[string]any{"model": r.Model, "messages": ms, "stream": true, "stream_options": map[string]bool{"include_usage": true}}
	p := r.Params
	number := func(name string, n compile.Number) {
		if n.Set() {
			m[name] = float64(n)
		}
	}
	number("temperature", p.Temperature)
	number("top_p", p.TopP)
	number("presence_penalty", p.PresencePenalty)
	number("frequency_penalty", p.FrequencyPenalty)
	if p.Effort != "" {
		m["reasoning_effort"] = p.Effort
	}
	if p.Verbosity != "" {
		m["verbosity"] = p.Verbosity
	}
	if p.MaxTokens > 0 {
		field := p.TokensField
		for _, d := range drop {
			if d == field {
				field = map[string]string{"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[field]
			}
		}
		if field != "" {
			m[field] = p.MaxTokens
			drop = without(drop, field)
		}
	}
	for _, d := range drop {
		delete(m, d)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		panic(err) // strings and numbers only
	}
	return b.Bytes()
}

func without(list []string, name string) []string {
	var out []string
	for _, v := range list {
		if v != name {
			out = append(out, v)
		}
	}
	return out
}

// once is one try.
func (c *Client) once(ctx context.Context, r provider.Request, drop []string, emit func(string) error) (provider.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(c.cfg.FirstByte, func() { cancel(errTimeout) })
	defer watch.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body(r, drop)))
	if err != nil {
		return provider.Result{}, c.fail(provider.CodeRefused, false, nil)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	if c.cfg.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return provider.Result{}, c.broken(ctx, false, provider.CodeUnreachable)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return provider.Result{}, c.refusal(resp)
	}
	s := stream{c: c, ctx: ctx, watch: watch, emit: emit, request: r}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return s.whole(resp.Body)
	}
	return s.read(resp.Body)
}

var errTimeout = errors.New("timeout")

// broken names why a connection ended: by a time limit of ours, or by itself.
func (c *Client) broken(ctx context.Context, started bool, code string) *provider.Error {
	if context.Cause(ctx) == errTimeout || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return c.fail(provider.CodeTimeout, started, context.DeadlineExceeded)
	}
	return c.fail(code, started, ctx.Err())
}

var named = []*regexp.Regexp{
	regexp.MustCompile(`(?i)unsupported (?:value|parameter): '(\w+)'`),
	regexp.MustCompile("`(\\w+)` is deprecated for this model"),
	regexp.MustCompile("`(?:temperature)` and `(top_p)` cannot both be specified"),
	regexp.MustCompile(`(?i)unrecognized request argument(?:s)? supplied: (\w+)`),
	regexp.MustCompile(`(?i)(?:unknown|extra|invalid) (?:parameter|field|argument):? ['"\x60]?(\w+)`),
}

// refusal reads an error answer: its kind and the parameter it names, nothing
// else of its text.
func (c *Client) refusal(resp *http.Response) *provider.Error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	e := &provider.Error{Provider: c.cfg.Name, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	var doc struct {
		Error struct {
			Message string  `json:"message"`
			Param   *string `json:"param"`
		} `json:"error"`
	}
	_ = json.Unmarshal(raw, &doc)
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Code = provider.CodeUnauthorized
	case http.StatusNotFound:
		e.Code = provider.CodeNoModel
	case http.StatusTooManyRequests:
		e.Code = provider.CodeRateLimited
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		e.Code = provider.CodeRefused
		if doc.Error.Param != nil && word.MatchString(*doc.Error.Param) {
			e.Param = *doc.Error.Param
		}
		for _, re := range named {
			if m := re.FindStringSubmatch(doc.Error.Message); m != nil && e.Param == "" {
				e.Param = m[1]
			}
		}
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		e.Code = provider.CodeTimeout
	default:
		e.Code = provider.CodeUpstream
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusConflict {
			e.Code = provider.CodeRefused
		}
	}
	return e
}

var word = regexp.MustCompile(`^\w{1,40}$`)

func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("retry-after-ms"), 64); err == nil && ms > 0 && ms < 1e8 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("retry-after")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		if now, err := http.ParseTime(h.Get("Date")); err == nil && at.After(now) {
			return at.Sub(now)
		}
	}
	return 0
}

// stream reads one answer.
type stream struct {
	c       *Client
	ctx     context.Context
	watch   *time.Timer
	emit    func(string) error
	request provider.Request
	res     provider.Result
	bytes   int
	started bool
}

type chunk struct {
	ID      string `json:"id"`
	Model   string `json:"model"`
	Choices []struct {
		Delta        content `json:"delta"`
		Message      content `json:"message"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type content struct {
	Content *string `json:"content"`
	Refusal *string `json:"refusal"`
}

func (s *stream) fail(code string, err error) *provider.Error {
	return s.c.fail(code, s.started, err)
}

// read follows server-sent events until [DONE], or until the end when the reply
// was finished before it.
func (s *stream) read(r io.Reader) (provider.Result, error) {
	in := bufio.NewReaderSize(r, 16<<10)
	for {
		line, err := readLine(in)
		if err != nil && len(line) == 0 {
			if s.res.Finish != "" && err == io.EOF {
				return s.end()
			}
			if errors.Is(err, errLong) {
				return s.res, s.fail(provider.CodeUpstream, nil)
			}
			return s.res, s.c.broken(s.ctx, s.started, provider.CodeBroken)
		}
		s.watch.Reset(s.c.cfg.Idle)
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			continue // comments, event names, blank lines
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			return s.end()
		}
		if len(data) == 0 {
			continue
		}
		if err := s.take(data, false); err != nil {
			return s.res, err
		}
	}
}

var errLong = errors.New("line too long")

// readLine reads one line of at most 4 MB.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line) == 0 && err == nil {
			return bytes.TrimRight(part, "\r\n"), nil
		}
		line = append(line, part...)
		if len(line) > 4<<20 {
			return nil, errLong
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimRight(line, "\r\n"), err
		}
	}
}

// whole reads an answer of a server that does not stream.
func (s *stream) whole(r io.Reader) (provider.Result, error) {
	raw, err := io.ReadAll(io.LimitReader(r, 8<<20))
	if err != nil {
		return s.res, s.c.broken(s.ctx, false, provider.CodeBroken)
	}
	if err := s.take(raw, true); err != nil {
		return s.res, err
	}
	return s.end()
}

func (s *stream) take(data []byte, whole bool) error {
	var ch chunk
	if err := json.Unmarshal(data, &ch); err != nil {
		return s.fail(provider.CodeBroken, nil)
	}
	if len(ch.Error) > 0 && string(ch.Error) != "null" {
		return s.fail(provider.CodeUpstream, nil)
	}
	if ch.ID != "" {
		s.res.UpstreamID = ch.ID
	}
	if ch.Model != "" {
		s.res.Model = ch.Model
	}
	if ch.Usage != nil {
		s.res.PromptTokens, s.res.ReplyTokens = ch.Usage.Prompt, ch.Usage.Completion
	}
	if len(ch.Choices) == 0 {
		return nil
	}
	choice := ch.Choices[0]
	part := choice.Delta
	if whole {
		part = choice.Message
	}
	if part.Refusal != nil && *part.Refusal != "" {
		s.res.Finish = provider.FinishFilter
	}
	if choice.FinishReason != nil && s.res.Finish != provider.FinishFilter {
		s.res.Finish = finish(*choice.FinishReason)
	}
	if part.Content == nil || *part.Content == "" {
		return nil
	}
	// encoding/json has made broken bytes into U+FFFD: valid, and visible.
	s.bytes += len(*part.Content)
	s.started = true
	return s.emit(*part.Content)
}

// finish unifies the reasons; an unknown one counts as a plain end.
func finish(reason string) string {
	switch reason {
	case "length", "max_tokens":
		return provider.FinishLength
	case "content_filter", "refusal", "safety":
		return provider.FinishFilter
	}
	return provider.FinishStop
}

func (s *stream) end() (provider.Result, error) {
	if s.bytes == 0 && s.res.Finish != provider.FinishFilter {
		return s.res, s.fail(provider.CodeEmpty, nil)
	}
	if s.res.Finish == "" {
		s.res.Finish = provider.FinishStop
	}
	if s.res.ReplyTokens == 0 {
		s.res.Estimated = true
		s.res.ReplyTokens = (s.bytes + 3) / 4
		s.res.PromptTokens = provider.EstimateTokens(s.request.System)
		for _, m := range s.request.Messages {
			s.res.PromptTokens += provider.EstimateTokens(m.Text)
		}
	}
	return s.res, nil
}
