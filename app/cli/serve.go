package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"rapport/app"
)

type serveCmd struct{}

func (serveCmd) Help() string {
	return "The first line on standard output is the address. Stop with Ctrl-C; what was acknowledged is kept whatever happens."
}

func (serveCmd) Run(ctx context.Context, g *globals) error {
	cfg, err := g.config()
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Start(ctx); err != nil {
		return err
	}
	g.announce(a)
	return a.Wait(ctx)
}

// announce says where the server is and what to do next. Its first line is for
// scripts.
func (g *globals) announce(a *app.App) {
	g.say("listening on %s", a.URL())
	fmt.Fprintf(g.err, "data in %s\n%s\n", a.DataDir(), a.ModelNote())
	if link := a.FirstLink(); link != "" {
		fmt.Fprintf(g.err, "open this, it logs you in once and within 15 minutes: %s\n", loginURL(a.URL(), link, ""))
	} else {
		fmt.Fprintf(g.err, "open %s; rapport login prints a link that logs you in\n", a.URL())
	}
	fmt.Fprintf(g.err, "or in another terminal: rapport chat luna\n")
}

type versionCmd struct{}

func (versionCmd) Run(g *globals) error {
	if g.JSON {
		return g.print(map[string]string{"version": app.Version, "commit": commit()})
	}
	g.say("rapport %s %s", app.Version, commit())
	return nil
}

func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

type configCmd struct{}

func (configCmd) Run(g *globals) error {
	cfg, err := g.config()
	if err != nil {
		return err
	}
	if len(cfg.Unknown) > 0 {
		fmt.Fprintf(g.err, "no settings, ignored: %s\n", strings.Join(cfg.Unknown, ", "))
	}
	if g.JSON {
		return g.print(cfg.Effective())
	}
	for _, e := range cfg.Effective() {
		g.say("%-20s %-24v %s\n%20s   %s", e.Key, e.Value, e.Origin, "", e.Doc)
	}
	return nil
}
