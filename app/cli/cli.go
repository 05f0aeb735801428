// Package cli is the command line of rapport. Every command that reports or
// changes something speaks the HTTP API: to the server that runs on the data
// directory, else to one that lives as long as the command.
//
// Start reading at commands, then the file of a command.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"rapport/app"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// globals hold for every command.
type globals struct {
	Data     string `help:"Directory that holds everything." placeholder:"DIR"`
	Listen   string `help:"Address to serve on; port 0 picks one." placeholder:"ADDR"`
	Postgres string `help:"PostgreSQL database for everything but the log; better in RAPPORT_POSTGRES, since others on the machine see a command's arguments." placeholder:"DSN"`
	Kafka    string `help:"Kafka brokers that hold the log, as HOST:PORT,HOST:PORT; RAPPORT_KAFKA_BROKERS is the same." placeholder:"BROKERS"`
	JSON     bool   `help:"Print JSON for programs instead of text for people."`

	out io.Writer
	in  io.Reader
	err io.Writer
}

type commands struct {
	globals

	Serve    serveCmd      `cmd:"" default:"withargs" help:"Serve everything (what plain 'rapport' does)."`
	Demo     demoCmd       `cmd:"" help:"Fill a directory with a small living world, then serve it."`
	World    worldCmd      `cmd:"" name:"simulate" help:"Let learners play for simulated people with hidden tastes, side by side."`
	Login    loginCmd      `cmd:"" help:"Print a one-time link that logs you in to the pages."`
	Chat     chatCmd       `cmd:"" help:"Talk with an agent and raise it."`
	Feedback feedbackCmd   `cmd:"" help:"Say why somebody is asked what they think, or is not."`
	Review   reviewCmd     `cmd:"" help:"Invite reviewers, look at reviews that were set aside, set goals for everyone."`
	Explain  explainCmd    `cmd:"" help:"Say what each rating did to an agent."`
	Evaluate evaluateCmd   `cmd:"" help:"Say from the log how good other levels would have been."`
	Compile  compileCmd    `cmd:"" help:"Show the prompt and parameters an agent's policy becomes."`
	Import   importCmd     `cmd:"" help:"Pour recorded conversations in."`
	Jobs     jobsCmd       `cmd:"" help:"List or run what learns from all agents together."`
	Kinds    archetypesCmd `cmd:"" name:"archetypes" help:"Show the kinds of owners that emerged."`
	Releases releasesCmd   `cmd:"" help:"List, propose or revert other starts for fresh agents."`
	Rules    rulesCmd      `cmd:"" help:"List, change, try or take back the rules that turn levels into words and numbers."`
	Card     cardCmd       `cmd:"" help:"Bring a character card in as an agent, or take an agent away as one."`
	Enrich   enrichCmd     `cmd:"" help:"Let a model suggest what is missing of an agent, and accept what you like."`
	Adopt    adoptCmd      `cmd:"" help:"List the platform's agents, or adopt a copy of one that grows with you."`
	Trace    traceCmd      `cmd:"" help:"Follow one event through everything it caused."`
	Letters  lettersCmd    `cmd:"" name:"dead-letters" help:"List events that could not be handled, or replay one."`
	Rebuild  rebuildCmd    `cmd:"" help:"Make the projections anew from the log, or check that they equal it."`
	Export   exportCmd     `cmd:"" help:"Write everything to files in documented formats."`
	MyData   myDataCmd     `cmd:"" name:"my-data" help:"Write all that is held of one person to a file."`
	Erase    eraseCmd      `cmd:"" help:"Erase a person who cannot do it themselves."`
	Erasures erasuresCmd   `cmd:"" help:"Show the proofs of erasures."`
	Backup   backupCmd     `cmd:"" help:"Copy a consistent state to a directory."`
	Restore  restoreCmd    `cmd:"" help:"Make a data directory from a backup."`
	Config   configCmd     `cmd:"" help:"List every setting, its value and where that comes from."`
	Version  versionCmd    `cmd:"" help:"Print the version."`
}

const about = `Rapport: agents that get better for their people from how they react.

Start with:
  rapport                  serve on http://127.0.0.1:8080, data in ./rapport-data
  rapport login            a one-time link to its pages
  rapport chat luna        talk with an agent called luna; she is made when she is not there
  rapport explain luna     what each of your ratings did
  rapport demo             a small world that is already alive

Every command works beside a running server, or without one.`

// Main runs the command line and gives the exit status: 0 done, 1 refused or
// failed, 2 wrong usage.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	app.Tune()
	c := commands{globals: globals{in: in, out: out, err: errOut}}
	exit := -1
	parser := kong.Must(&c, kong.Name("rapport"), kong.Description(about), kong.Writers(out, errOut),
		kong.Exit(func(code int) { exit = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k, err := parser.Parse(args)
	if exit >= 0 {
		return exit // help was asked for and given
	}
	if err != nil {
		fmt.Fprintf(errOut, "rapport: %v\nTry 'rapport --help'.\n", err)
		return 2
	}
	k.BindTo(ctx, (*context.Context)(nil))
	k.Bind(&c.globals)
	if err := k.Run(); err != nil {
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return 0
		}
		report(errOut, c.JSON, err)
		return 1
	}
	return 0
}

// report prints an error for a person, or as its problem document.
func report(w io.Writer, asJSON bool, err error) {
	p := httpapi.ProblemOf(err)
	if asJSON {
		_ = json.NewEncoder(w).Encode(p)
		return
	}
	text := p.Detail
	if p.Status == 500 { // not ours to hide on a person's own machine
		text = err.Error()
	}
	fmt.Fprintf(w, "rapport: %s\n", text)
	for _, e := range p.Errors {
		fmt.Fprintf(w, "  %s\n", e)
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Err != nil {
		fmt.Fprintf(w, "  (%v)\n", f.Err)
	}
}

// config merges the global flags with everything else.
func (g *globals) config() (app.Config, error) {
	flags := map[string]any{}
	if g.Data != "" {
		flags["data"] = g.Data
	}
	if g.Listen != "" {
		flags["listen"] = g.Listen
	}
	if g.Postgres != "" {
		flags["postgres"] = g.Postgres
	}
	if g.Kafka != "" {
		flags["kafka.brokers"] = g.Kafka
	}
	return app.LoadConfig(flags)
}

// with runs a command against a server.
func (g *globals) with(ctx context.Context, fn func(*session) error) error {
	cfg, err := g.config()
	if err != nil {
		return err
	}
	c, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(fn(c), c.close())
}

// print writes v as indented JSON.
func (g *globals) print(v any) error {
	e := json.NewEncoder(g.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (g *globals) say(format string, args ...any) { fmt.Fprintf(g.out, format+"\n", args...) }

// bar draws progress on the error stream, one line that is written over.
func (g *globals) bar(what string, done, total int64) {
	if g.JSON || total <= 0 {
		return
	}
	const width = 30
	n := int(min(done, total) * width / total)
	fmt.Fprintf(g.err, "\r%s [%s%s] %3d%%", what, strings.Repeat("█", n), strings.Repeat("·", width-n), min(done, total)*100/total)
	if done >= total {
		fmt.Fprintln(g.err)
	}
}
