package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"rapport/app"
	"rapport/internal/fault"
)

type traceCmd struct {
	Event string `arg:"" help:"Id of an event, a decision, a message or a piece of feedback."`
}

func (c traceCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var steps []app.TraceStep
		if err := cl.Do(ctx, http.MethodGet, "/v1/admin/trace/"+url.PathEscape(c.Event), nil, &steps); err != nil {
			return err
		}
		if g.JSON {
			return g.print(steps)
		}
		for _, s := range steps {
			g.say("%*s%s  %-26s %s  %s", 2*s.Depth, "", s.Time, s.Type, s.ID, s.Note)
		}
		return nil
	})
}

type lettersCmd struct {
	Replay string `help:"Replay this dead letter; with a parked key, everything that waits behind it." placeholder:"GROUP/ID"`
}

func (c lettersCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		if c.Replay != "" {
			return cl.Do(ctx, http.MethodPost, "/v1/admin/dead-letters/"+c.Replay+"/replay", nil, nil)
		}
		var letters []app.Letter
		if err := cl.Do(ctx, http.MethodGet, "/v1/admin/dead-letters", nil, &letters); err != nil {
			return err
		}
		if g.JSON {
			return g.print(letters)
		}
		if len(letters) == 0 {
			g.say("no dead letters")
		}
		for _, l := range letters {
			g.say("%s/%s  %s %s  %s", l.Group, l.ID, l.Type, l.Subject, l.Reason)
		}
		return nil
	})
}

type rebuildCmd struct {
	Check bool `help:"Compare only: rebuild beside the live state and say whether the bytes are equal."`
}

func (rebuildCmd) Help() string {
	return "Projections are folds of the log. This replays the log from its beginning into fresh tables and, without --check, puts them in the place of the live ones."
}

func (c rebuildCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var results []app.Rebuilt
		if err := cl.Do(ctx, http.MethodPost, "/v1/admin/rebuild", map[string]bool{"check": c.Check}, &results); err != nil {
			return err
		}
		if g.JSON {
			if err := g.print(results); err != nil {
				return err
			}
		}
		differ := 0
		for _, r := range results {
			verdict := "equal"
			if !r.Equal {
				verdict = "DIFFERS"
				differ++
			}
			if !g.JSON {
				g.say("%-10s %-36s %8d rows  %s", r.Context, r.Table, r.Rows, verdict)
			}
		}
		if differ > 0 && c.Check {
			return fault.New(fault.Conflict, "rebuild_differs", "%d projections differ from a replay of the log; `rapport rebuild` puts the replayed ones in place.", differ)
		}
		return nil
	})
}

type exportCmd struct {
	Dir string `arg:"" help:"Directory to write to; made when absent." type:"path"`
}

func (exportCmd) Help() string {
	return "Writes one file of JSON lines for each kind of record and one for the log's events; docs/export.md says what is in each. Secrets, learner states and exploration centres stay inside."
}

func (c exportCmd) Run(ctx context.Context, g *globals) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	return g.with(ctx, func(cl *session) error {
		var files []string
		if err := cl.Do(ctx, http.MethodGet, "/v1/admin/export", nil, &files); err != nil {
			return err
		}
		sizes := map[string]int64{}
		for i, name := range files {
			n, err := c.fetch(ctx, cl, name)
			if err != nil {
				return err
			}
			sizes[name] = n
			g.bar("export", int64(i+1), int64(len(files)))
		}
		if g.JSON {
			return g.print(map[string]any{"dir": c.Dir, "bytes": sizes})
		}
		g.say("%d files in %s", len(files), c.Dir)
		return nil
	})
}

func (c exportCmd) fetch(ctx context.Context, cl *session, name string) (int64, error) {
	resp, err := cl.Send(ctx, http.MethodGet, "/v1/admin/export/"+url.PathEscape(name), "", nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	f, err := os.OpenFile(filepath.Join(c.Dir, name+".ndjson"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, resp.Body)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return n, err
}

type backupCmd struct {
	Dir string `arg:"" help:"Directory to write to; must be absent or empty." type:"path"`
}

func (c backupCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var done app.BackupDone
		if err := cl.Do(ctx, http.MethodPost, "/v1/admin/backup", map[string]string{"dir": c.Dir}, &done); err != nil {
			return err
		}
		if g.JSON {
			return g.print(done)
		}
		g.say("backup of %d files, %.1f MB, in %s", len(done.Files), float64(done.Bytes)/1e6, c.Dir)
		return nil
	})
}

type restoreCmd struct {
	Dir string `arg:"" help:"Directory of a backup." type:"existingdir"`
}

func (restoreCmd) Help() string {
	return "The data directory (--data) must be absent or empty: nothing is ever written over."
}

func (c restoreCmd) Run(ctx context.Context, g *globals) error {
	cfg, err := g.config()
	if err != nil {
		return err
	}
	if err := app.Restore(ctx, c.Dir, cfg); err != nil {
		return err
	}
	if g.JSON {
		return g.print(map[string]string{"data": cfg.Data, "from": c.Dir})
	}
	fmt.Fprintf(g.out, "restored into %s\n", cfg.Data)
	return nil
}
