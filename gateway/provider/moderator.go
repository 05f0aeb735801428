package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Moderator asks a server whether a text may be said: OpenAI's moderations, and every
// server that does as it.
type Moderator struct {
	c     *Client
	model string
}

// NewModerator makes a moderator. model may be empty: the server's own. Of c's times
// only Total counts, 3 s when 0. It refuses the base URLs that NewClient refuses.
func NewModerator(c Config, model string) (*Moderator, error) {
	if c.Total == 0 {
		c.Total = 3 * time.Second
	}
	client, err := NewClient(c, nil)
	if err != nil {
		return nil, err
	}
	return &Moderator{client, model}, nil
}

// maxVerdict is what is read of an answer at most.
const maxVerdict = 1 << 20

// Flagged says whether the server objects to a text. Its error is an *Error, and holds
// nothing of the text or of what the server said.
func (m *Moderator) Flagged(ctx context.Context, text string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, m.c.cfg.Total)
	defer cancel()
	body, err := json.Marshal(struct {
		Model string `json:"model,omitempty"`
		Input string `json:"input"`
	}{m.model, text})
	if err != nil {
		return false, &Error{Code: CodeRefused, Provider: m.c.cfg.Name}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.c.url("moderations"), bytes.NewReader(body))
	if err != nil {
		return false, &Error{Code: CodeRefused, Provider: m.c.cfg.Name}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "rapport")
	if m.c.cfg.Key != "" {
		req.Header.Set("Authorization", "Bearer "+m.c.cfg.Key)
	}
	resp, err := m.c.http.RoundTrip(req)
	if err != nil {
		return false, m.c.broken(ctx, err, false, CodeUnreachable)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, m.c.refused(resp.StatusCode, resp.Header, Refusal{})
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxVerdict))
	if err != nil {
		return false, m.c.broken(ctx, err, false, CodeBroken)
	}
	var doc struct {
		Results []struct {
			Flagged *bool `json:"flagged"`
		} `json:"results"`
	}
	if json.Unmarshal(raw, &doc) != nil || len(doc.Results) == 0 {
		return false, &Error{Code: CodeBroken, Provider: m.c.cfg.Name}
	}
	flagged := false
	for _, r := range doc.Results {
		if r.Flagged == nil {
			return false, &Error{Code: CodeBroken, Provider: m.c.cfg.Name}
		}
		flagged = flagged || *r.Flagged
	}
	return flagged, nil
}
