package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"rapport/app"
	"rapport/app/client"
	"rapport/internal/fault"
)

// session is a client with what ends it: nothing, or the server that was started
// for it.
type session struct {
	*client.Client
	close func() error
	own   bool // the server ends with the command, and what it does beside with it
}

// connect finds or starts a server on the configured data directory.
func connect(ctx context.Context, cfg app.Config) (*session, error) {
	if base, ok := app.Running(cfg.Data); ok {
		token, err := os.ReadFile(filepath.Join(cfg.Data, app.TokenFile))
		if err != nil {
			return nil, fault.New(fault.Unavailable, "no_local_token", "A server runs on %s, but its token file cannot be read: are you the user who started it?", cfg.Data).Because(err)
		}
		return &session{&client.Client{Base: base, Token: strings.TrimSpace(string(token))}, func() error { return nil }, false}, nil
	}
	cfg.Listen = "127.0.0.1:0"
	cfg.Learning.Jobs = 0 // a command is over before a night is
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := a.Start(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return &session{&client.Client{Base: a.URL(), Token: a.LocalToken()}, a.Close, true}, nil
}
