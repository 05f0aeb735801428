package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rapport/app"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// client speaks the HTTP API: to the server that runs on the data directory, or
// to one started in this process for the length of one command.
type client struct {
	base  string
	token string
	close func() error
}

// connect finds or starts a server on the configured data directory.
func connect(ctx context.Context, cfg app.Config) (*client, error) {
	if base, ok := app.Running(cfg.Data); ok {
		token, err := os.ReadFile(filepath.Join(cfg.Data, app.TokenFile))
		if err != nil {
			return nil, fault.New(fault.Unavailable, "no_local_token", "A server runs on %s, but its token file cannot be read: are you the user who started it?", cfg.Data).Because(err)
		}
		return &client{base: base, token: strings.TrimSpace(string(token)), close: func() error { return nil }}, nil
	}
	cfg.Listen = "127.0.0.1:0"
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := a.Start(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return &client{base: a.URL(), token: a.LocalToken(), close: a.Close}, nil
}

// do sends a request with a JSON body (nil for none) and reads the JSON answer
// into out (nil to drop it). A refusal comes back as *httpapi.Problem.
func (c *client) do(ctx context.Context, method, path string, body, out any) error {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(data)
	}
	resp, err := c.send(ctx, method, path, "application/json", in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (c *client) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "no_answer", "The server at %s does not answer.", c.base).Because(err)
	}
	if resp.StatusCode >= 400 {
		defer resp.Body.Close()
		p := &httpapi.Problem{}
		if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(p); err != nil || p.Status == 0 {
			p = &httpapi.Problem{Status: resp.StatusCode, Code: "http_" + fmt.Sprint(resp.StatusCode), Detail: http.StatusText(resp.StatusCode)}
		}
		return nil, p
	}
	return resp, nil
}

// frame is one server-sent event.
type frame struct {
	ID, Name string
	Data     []byte
}

// follow reads a stream of server-sent events until take says stop, the stream
// ends or ctx does.
func (c *client) follow(ctx context.Context, path string, take func(frame) (stop bool)) error {
	resp, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 1<<16), 1<<22)
	var f frame
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			if f.Data != nil && take(f) {
				return nil
			}
			f = frame{}
		case strings.HasPrefix(line, "id: "):
			f.ID = line[4:]
		case strings.HasPrefix(line, "event: "):
			f.Name = line[7:]
		case strings.HasPrefix(line, "data: "):
			f.Data = append(f.Data, line[6:]...)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return lines.Err()
}

// agentFace is the public part of an agent.
type agentFace struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// agent finds an agent by slug or id.
func (c *client) agent(ctx context.Context, ref string) (agentFace, error) {
	var a agentFace
	err := c.do(ctx, http.MethodGet, "/v1/agents/"+url.PathEscape(ref), nil, &a)
	return a, err
}

// settle waits until everything said so far has taken effect everywhere.
func (c *client) settle(ctx context.Context, progress func(behind int64)) error {
	for {
		var lag struct {
			Behind int64 `json:"behind"`
		}
		if err := c.do(ctx, http.MethodGet, "/v1/admin/lag", nil, &lag); err != nil {
			return err
		}
		if lag.Behind == 0 {
			return nil
		}
		if progress != nil {
			progress(lag.Behind)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
