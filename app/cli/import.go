package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"rapport/app/door"
	"rapport/app/intake"
)

type importCmd struct {
	Files []string `arg:"" help:"Files to import; the format is found by looking." type:"existingfile"`
}

func (importCmd) Help() string {
	return `Known formats: dialogue-breakdown JSON lines (plain or gzip: each system's bot becomes an agent of yours, each rater a reviewer)
and IRC days ([12:18] <nick> text).

Importing again changes nothing, so an import that was interrupted is simply run again. Lines that cannot be read are reported with
their number and listed in import-rejects.ndjson in the data directory.`
}

func (c importCmd) Run(ctx context.Context, g *globals) error {
	cfg, err := g.config()
	if err != nil {
		return err
	}
	return g.with(ctx, func(cl *session) error {
		done, err := intake.Import(ctx, cl.Client, c.Files, g.bar)
		if err != nil {
			return err
		}
		if err := writeRejects(filepath.Join(cfg.Data, "import-rejects.ndjson"), done.Bad); err != nil {
			return err
		}
		if g.JSON {
			return g.print(done)
		}
		n := done.Counts
		g.say("%d conversations, %d messages, %d labels (%d other lines) in %.1f s", n.Conversations, n.Messages, n.Labels, n.Other, done.Seconds)
		g.say("%d new, %d were here before, %d refused", done.Fates[door.Accepted]+done.Fates[door.Waiting], done.Fates[door.Duplicate], done.Fates[door.Refused])
		for reason, n := range done.Refusals {
			g.say("  refused %d: %s", n, reason)
		}
		for _, b := range done.Bad {
			g.say("  set aside %s line %d: %s", b.File, b.Line, b.Reason)
		}
		return nil
	})
}

func writeRejects(path string, bad []intake.Bad) error {
	if len(bad) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	e := json.NewEncoder(f)
	for _, b := range bad {
		if err := e.Encode(b); err != nil {
			f.Close()
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return f.Close()
}
