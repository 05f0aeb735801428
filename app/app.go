// Package app joins the contexts into one program: configuration, the data
// directory, who asks whom, the HTTP server and the loops.
//
// Owns: Config, App, the flow table (flow.go), the questions between contexts
// (ask.go), the operator's routes (admin.go). Nothing imports it but the command
// line.
//
// Start reading at Open.
package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rapport/app/door"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/telemetry"
	"rapport/policy"
)

// Version is the program's.
const Version = "0.1.0"

// App is the whole program as a value: the same in production, tests and the
// demo.
type App struct {
	cfg  Config
	lock *os.File
	dbs  map[string]*sqldb.DB
	log  eventlog.Log
	held *relay.Claim // on the databases of a server; nil for files

	parts
	Relay *relay.Relay
	API   *httpapi.API

	consumers []relay.Consumer
	token     string
	link      string
	listener  net.Listener
	server    *http.Server
	stop      context.CancelFunc
	loops     sync.WaitGroup
	failed    chan error
	away      away
	erasing   chan struct{}        // somebody was erased
	numbers   *prometheus.Registry // of replies
	telemetry *telemetry.Telemetry
}

// Open takes the data directory and makes every part, without running anything.
// data_dir_in_use when another process has it; newer_schema when a newer program
// made it; other_engine when its databases are files and the setting postgres is
// there, or the other way round; database_in_use when another process serves those
// of a server; another_log when its databases belong to a log elsewhere.
func Open(ctx context.Context, cfg Config) (*App, error) {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	setLogLevel(cfg.LogConf.Level)
	lock, err := lockDir(cfg.Data)
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, lock: lock, dbs: map[string]*sqldb.DB{}, failed: make(chan error, 8), erasing: make(chan struct{}, 1)}
	if err := a.open(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

func (a *App) open(ctx context.Context) (err error) {
	if err := a.sameEngine(); err != nil {
		return err
	}
	if a.log, err = a.openLog(ctx); err != nil {
		return err
	}
	for _, name := range contexts {
		if a.dbs[name], err = sqldb.Open(ctx, sqldb.Options{Path: a.path(name + ".db"), DSN: a.cfg.Postgres, Name: name}); err != nil {
			return err
		}
	}
	key, err := a.serverKey()
	if err != nil {
		return err
	}
	owner, err := a.claimDatabases(ctx, key)
	if err != nil {
		return err
	}
	if err := a.joinLog(ctx, owner); err != nil {
		return err
	}
	runs, ran := countRuns()
	a.ran, a.erased = ran, func() {
		select {
		case a.erasing <- struct{}{}:
		default:
		}
	}
	if err := a.openJournal(ctx); err != nil {
		return err
	}
	if err := a.makeContexts(ctx, key); err != nil {
		return err
	}
	a.Relay = relay.New(a.log)
	for _, name := range contexts {
		a.Relay.AddOutbox(name, a.dbs[name])
	}
	a.consumers = a.listeners()
	for _, c := range a.consumers {
		a.Relay.AddConsumer(c)
	}
	a.API = httpapi.New(Version, a.Accounts)
	a.API.Metrics().MustRegister(runs, a.numbers)
	httpapi.Written[policy.Traits, map[string]float64](a.API)
	a.Accounts.Routes(a.API)
	a.Agents.Routes(a.API)
	a.Chat.Routes(a.API)
	a.Feedback.Routes(a.API)
	a.Learning.Routes(a.API, a.cfg.Clock)
	a.Gateway.Routes(a.API)
	door.New(a.Accounts, a.Chat, a.Feedback, a.cfg.keys()).Routes(a.API)
	a.evaluationRoutes()
	a.adminRoutes()
	a.rulesRoutes()
	a.myDataRoutes()
	a.webRoutes()
	return a.firstRun(ctx)
}

// firstRun makes the operator on an empty directory, and the token of this
// machine's command line on any.
func (a *App) firstRun(ctx context.Context) (err error) {
	if a.link, err = a.Accounts.Bootstrap(ctx); err != nil {
		return err
	}
	path := a.path(TokenFile)
	if old, err := os.ReadFile(path); err == nil && a.Accounts.Valid(ctx, strings.TrimSpace(string(old))) {
		a.token = strings.TrimSpace(string(old))
		return nil
	}
	if a.token, err = a.Accounts.LocalToken(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(a.token+"\n"), 0o600); err != nil {
		return fault.New(fault.Invalid, "token_file", "%s cannot be written, and the command line needs it: remove what lies there.", path).Because(err)
	}
	return nil
}

// serverKey is the secret that seeds the draws of variations, made once.
func (a *App) serverKey() ([]byte, error) {
	path := a.path(keyFile)
	key, err := os.ReadFile(path)
	if err == nil && len(key) == 32 {
		return key, nil
	}
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Invalid, "server_key", "%s is not a key of 32 bytes; restore it from a backup.", path).Because(err)
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, key, 0o600)
}

// claimDatabases gives the identity of the databases. Those of a server are claimed
// for the life of the process: the contexts remember things of them, and the data
// directory's lock is on one machine only. Fault database_in_use.
func (a *App) claimDatabases(ctx context.Context, key []byte) (identity string, err error) {
	db := a.dbs[contexts[0]]
	if err := relay.Migrate(ctx, db); err != nil {
		return "", err
	}
	if a.cfg.Postgres != "" {
		if a.held, err = relay.Take(ctx, db, a.whoami(key)); err != nil {
			return "", err
		}
	}
	return relay.Identity(ctx, db)
}

// whoami names this data directory among those of all machines, for people too.
func (a *App) whoami(key []byte) string {
	host, _ := os.Hostname()
	dir, err := filepath.Abs(a.cfg.Data)
	if err != nil {
		dir = a.cfg.Data
	}
	sum := sha256.Sum256(key)
	return fmt.Sprintf("%s:%s, directory %x", host, dir, sum[:4])
}

func (a *App) path(name string) string { return filepath.Join(a.cfg.Data, name) }

// Start listens and runs the loops. They end with Close.
func (a *App) Start(ctx context.Context) error {
	l, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return fault.New(fault.Unavailable, "cannot_listen", "Cannot listen on %s; choose another address with --listen.", a.cfg.Listen).Because(err)
	}
	a.listener = l
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stop = stop
	a.loop(func() error { return a.Relay.Run(run) })
	a.loop(func() error { return a.Chat.Run(run) })
	a.loop(func() error { return a.Gateway.Run(run) })
	a.loop(func() error { return a.erase(run) })
	if every := a.cfg.Learning.Jobs; every > 0 {
		a.loop(func() error { return a.Learning.RunJobs(run, a.cfg.Clock, every) })
	}
	if a.held != nil {
		a.loop(func() error { return a.held.Keep(run) })
	}
	if a.cfg.Kafka.Brokers != "" {
		a.loop(func() error { return a.watchLog(run) })
	}
	a.server = &http.Server{Handler: a.API.Handler(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return run }}
	a.loop(func() error { return a.server.Serve(l) })
	return writeRun(a.cfg.Data, a.URL())
}

func (a *App) loop(f func() error) {
	a.loops.Go(func() {
		if err := f(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
			a.failed <- err
		}
	})
}

// Wait returns when ctx ends, or with the error of a loop that could not go on.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// Close stops the loops and releases everything. What was acknowledged is kept.
func (a *App) Close() error {
	var errs []error
	if a.server != nil {
		_ = os.Remove(a.path(runFile))
		if a.stop != nil {
			a.stop() // ends event streams, which would keep Shutdown waiting
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := a.server.Shutdown(ctx); err != nil {
			errs = append(errs, a.server.Close())
		}
		cancel()
	}
	if a.stop != nil {
		a.stop()
	}
	a.loops.Wait()
	if a.held != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		errs = append(errs, a.held.Release(ctx))
		cancel()
	}
	for _, name := range contexts {
		if db := a.dbs[name]; db != nil {
			errs = append(errs, db.Close())
		}
	}
	if a.journal.close != nil {
		errs = append(errs, a.journal.close())
	}
	if a.log != nil {
		errs = append(errs, a.log.Close())
	}
	if a.telemetry != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		a.telemetry.Close(ctx)
		cancel()
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}

// URL is where this machine reaches the server.
func (a *App) URL() string {
	at := *a.listener.Addr().(*net.TCPAddr)
	if at.IP.IsUnspecified() {
		at.IP = net.IPv4(127, 0, 0, 1)
	}
	return "http://" + at.String()
}

// DataDir is where everything lies.
func (a *App) DataDir() string { return a.cfg.Data }

// LocalToken commands this server from this machine.
func (a *App) LocalToken() string { return a.token }

// FirstLink logs the operator in once; empty unless the directory was new.
func (a *App) FirstLink() string { return a.link }

// ModelNote says what makes the replies.
func (a *App) ModelNote() string { return a.Gateway.ModelNote() }

func setLogLevel(level string) {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // checked by the configuration
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})))
}
