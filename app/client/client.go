// Package client speaks the HTTP API of a rapport server.
//
// Owns: Client and how it waits. It knows no context, only the API. Start reading
// at Client.Do.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// Client is a server and a token for it.
type Client struct {
	Base  string // as http://127.0.0.1:8080
	Token string
	HTTP  *http.Client // http.DefaultClient when nil
}

// Do sends a request with a JSON body (nil for none) and reads the JSON answer
// into out (nil to drop it). A refusal comes back as *httpapi.Problem.
func (c *Client) Do(ctx context.Context, method, path string, body, out any) error {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(data)
	}
	resp, err := c.Send(ctx, method, path, "application/json", in)
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

// Send sends a request with a body of any type; the caller closes the answer. A
// refusal comes back as *httpapi.Problem.
func (c *Client) Send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http().Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "no_answer", "The server at %s does not answer.", c.Base).Because(err)
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

// NotFound says whether the server knows no such thing.
func NotFound(err error) bool {
	p, ok := errors.AsType[*httpapi.Problem](err)
	return ok && p.Status == http.StatusNotFound
}

func (c *Client) http() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	return http.DefaultClient
}

// Frame is one server-sent event.
type Frame struct {
	ID, Name string
	Data     []byte
}

// Follow reads a stream of server-sent events until take says stop, the stream
// ends or ctx does.
func (c *Client) Follow(ctx context.Context, path string, take func(Frame) (stop bool)) error {
	resp, err := c.Send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 1<<16), 1<<22)
	var f Frame
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			if f.Data != nil && take(f) {
				return nil
			}
			f = Frame{}
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

// Agent is the public part of an agent.
type Agent struct {
	ID   string `json:"id"`
	Slug string `json:"slug"`
	Name string `json:"name"`
}

// Agent finds an agent by slug or id.
func (c *Client) Agent(ctx context.Context, ref string) (Agent, error) {
	var a Agent
	err := c.Do(ctx, http.MethodGet, "/v1/agents/"+url.PathEscape(ref), nil, &a)
	return a, err
}

// Settle waits until everything said so far has taken effect everywhere.
func (c *Client) Settle(ctx context.Context, progress func(behind int64)) error {
	for {
		var lag struct {
			Behind int64 `json:"behind"`
		}
		if err := c.Do(ctx, http.MethodGet, "/v1/admin/lag", nil, &lag); err != nil {
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
