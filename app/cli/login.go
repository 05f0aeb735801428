package cli

import (
	"context"
	"net/http"
	"net/url"

	"rapport/app"
	"rapport/app/client"
	"rapport/internal/fault"
)

type loginCmd struct {
	Person string `arg:"" optional:"" help:"Id of the person to log in; yourself without."`
}

func (loginCmd) Help() string {
	return "The link works once, for 15 minutes, in a browser that can reach the running server."
}

func (c loginCmd) Run(ctx context.Context, g *globals) error {
	cfg, err := g.config()
	if err != nil {
		return err
	}
	if _, ok := app.Running(cfg.Data); !ok {
		return fault.New(fault.Unavailable, "not_running", "No server runs on %s that a link could lead to; start it with: rapport", cfg.Data)
	}
	return g.with(ctx, func(s *session) error {
		link, err := mintLink(ctx, s.Client, c.Person, "")
		if err != nil {
			return err
		}
		if g.JSON {
			return g.print(map[string]string{"url": link})
		}
		g.say("%s", link)
		return nil
	})
}

// mintLink gives the address that logs a person in once and then shows a page.
func mintLink(ctx context.Context, c *client.Client, person, page string) (string, error) {
	var link struct {
		Link string `json:"link"`
	}
	err := c.Do(ctx, http.MethodPost, "/v1/admin/links", map[string]string{"person": person}, &link)
	return loginURL(c.Base, link.Link, page), err
}

// loginURL is where a one-time link's secret is used. It stands behind the #, which
// is sent to nobody.
func loginURL(base, secret, page string) string {
	to := base + "/login"
	if page != "" {
		to += "?next=" + url.QueryEscape(page)
	}
	return to + "#" + secret
}
