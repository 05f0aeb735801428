package cli

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rapport/learning"
)

type releasesCmd struct {
	List    releasesListCmd    `cmd:"" default:"withargs" help:"List the releases, newest first."`
	Propose releasesProposeCmd `cmd:"" help:"Propose another start for fresh agents, or for those made for an archetype."`
	Revert  releasesRevertCmd  `cmd:"" help:"Take a release back: fresh agents start as before it."`
}

func (releasesCmd) Help() string {
	return `Where an agent starts whose owner says nothing of its levels is shared by all, and so is where agents start that are made for one of
"rapport archetypes". Both change by releases only, one at a time each. A release is first judged in the shadow, on what agents with today's
start tried; when that says better it is a canary: half of the owners who make such an agent get it, and the first sessions on both sides
decide, whenever they are looked at. It is adopted when it is not worse, and reverted by itself when it is worse. Agents that are there
already never change.`
}

type releasesListCmd struct{}

func (releasesListCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var all []learning.Release
		if err := cl.Do(ctx, http.MethodGet, "/v1/admin/releases", nil, &all); err != nil {
			return err
		}
		if g.JSON {
			return g.print(all)
		}
		if len(all) == 0 {
			g.say("none yet: fresh agents start in the middle")
		}
		for _, r := range all {
			g.sayRelease(r)
		}
		return nil
	})
}

type releasesProposeCmd struct {
	Trait     map[string]float64 `arg:"" help:"Levels, as humor=0.55; each within .05 of where such agents start today."`
	Archetype int                `help:"Id of an archetype: of the agents that are made for it. 0: of those made for none."`
}

func (c releasesProposeCmd) Run(ctx context.Context, g *globals) error {
	body := map[string]any{"traits": c.Trait}
	if c.Archetype != 0 {
		body["archetype"] = c.Archetype
	}
	return g.release(ctx, "/v1/admin/releases", body)
}

type releasesRevertCmd struct {
	Release string `arg:"" help:"Id of the release."`
}

func (c releasesRevertCmd) Run(ctx context.Context, g *globals) error {
	return g.release(ctx, "/v1/admin/releases/"+url.PathEscape(c.Release)+"/revert", nil)
}

func (g *globals) release(ctx context.Context, path string, body any) error {
	return g.with(ctx, func(cl *session) error {
		var r learning.Release
		if err := cl.Do(ctx, http.MethodPost, path, body, &r); err != nil {
			return err
		}
		if g.JSON {
			return g.print(r)
		}
		g.sayRelease(r)
		return nil
	})
}

func (g *globals) sayRelease(r learning.Release) {
	var parts []string
	for _, t := range slices.Sorted(maps.Keys(r.To)) {
		parts = append(parts, fmt.Sprintf("%s %.2f → %.2f", t, r.From[t], r.To[t]))
	}
	whose := ""
	if r.Archetype != 0 {
		whose = fmt.Sprintf("archetype %d: ", r.Archetype)
	}
	g.say("%s  %-8s  since %s  %s%s  (%s)", r.ID, r.Stage, when(r.ChangedAt), whose, strings.Join(parts, ", "), r.Reason)
	if r.Better != nil {
		g.say("   first sessions of %d owners with it against %d without: between %+.3f and %+.3f ratings better", r.With, r.Without, r.Better[0], r.Better[1])
	}
}
