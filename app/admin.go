package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"rapport/account"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/eventlog"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/learning"
)

// Lag is how far the effects are behind what was said.
type Lag struct {
	Behind int64            `json:"behind" doc:"Events not yet handled, everywhere; 0: everything said so far took effect."`
	Groups map[string]int64 `json:"groups" doc:"The same by reader and partition, and by outbox."`
}

// Letter is an event that a reader could not handle.
type Letter struct {
	Group   string     `json:"group"`
	ID      string     `json:"id"`
	Type    event.Type `json:"type"`
	Subject string     `json:"subject"`
	Reason  string     `json:"reason"`
	Parked  bool       `json:"parked"`
	At      string     `json:"at"`
}

// Rebuilt is the verdict on one projection table.
type Rebuilt struct {
	Context string `json:"context"`
	Table   string `json:"table"`
	Rows    int    `json:"rows"`
	Equal   bool   `json:"equal"` // the replay gave the bytes that were live
}

// TraceStep is one event of a chain of causes.
type TraceStep struct {
	ID      string          `json:"id"`
	Type    event.Type      `json:"type"`
	Time    string          `json:"time"`
	Subject string          `json:"subject"`
	Cause   string          `json:"cause,omitempty"`
	Depth   int             `json:"depth"` // 0 for the first
	Note    string          `json:"note"`
	Data    json.RawMessage `json:"data"`
}

// BackupDone is what a backup wrote.
type BackupDone struct {
	Dir   string   `json:"dir"`
	Files []string `json:"files"`
	Bytes int64    `json:"bytes"`
}

type none struct{}

func (a *App) adminRoutes() {
	api := a.API
	op := func(summary string) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "admin", Scope: authz.ScopeAdmin}
	}
	api.Handle("GET /healthz", httpapi.Op{Summary: "Say that the server is up, and what it waits for", Tag: "admin", Public: true, Gives: Health{}}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		httpapi.WriteJSON(w, http.StatusOK, a.Health())
	}), nil)
	api.Handle("GET /openapi.json", httpapi.Op{Summary: "Describe this API (OpenAPI 3.1)", Tag: "admin", Public: true}, http.HandlerFunc(a.serveOpenAPI), nil)
	api.Handle("GET /metrics", httpapi.Op{Summary: "Metrics in Prometheus' text form", Tag: "admin", Public: true}, a.API.MetricsHandler(), nil)
	httpapi.Get(api, "/v1/admin/lag", op("Say how far effects are behind"), func(ctx context.Context, _ *none) (Lag, error) { return a.Lag(ctx) })
	httpapi.Get(api, "/v1/admin/dead-letters", op("List events that could not be handled"), func(ctx context.Context, _ *none) ([]Letter, error) { return a.Letters(ctx) })
	httpapi.Post(api, "/v1/admin/dead-letters/{group}/{id}/replay", op("Hand a dead letter to its reader again"), func(ctx context.Context, in *struct {
		Group string `path:"group"`
		ID    string `path:"id"`
	}) (map[string]string, error) {
		if err := a.Accounts.Note(ctx, authz.From(ctx), "replay", in.Group+"/"+in.ID); err != nil {
			return nil, err
		}
		if in.Group == neverJoined {
			stored, err := a.Feedback.Replay(ctx, event.FeedbackID(in.ID))
			return map[string]string{"status": map[bool]string{true: "replayed", false: "waiting"}[stored]}, err
		}
		return map[string]string{"status": "replayed"}, a.Relay.Replay(ctx, in.Group, in.ID)
	})
	httpapi.Post(api, "/v1/admin/rebuild", op("Make projections anew from the log, or check that they equal it"), func(ctx context.Context, in *struct {
		Body struct {
			Check bool `json:"check" doc:"compare only, change nothing"`
		}
	}) ([]Rebuilt, error) {
		if err := a.Accounts.Note(ctx, authz.From(ctx), "rebuild", map[bool]string{true: "check", false: "replace"}[in.Body.Check]); err != nil {
			return nil, err
		}
		return a.Rebuild(ctx, in.Body.Check)
	})
	httpapi.Post(api, "/v1/admin/backup", op("Copy a consistent state to a directory of this machine"), func(ctx context.Context, in *struct {
		Body struct {
			Dir string `json:"dir" minLength:"1"`
		}
	}) (BackupDone, error) {
		if err := a.Accounts.Note(ctx, authz.From(ctx), "backup", in.Body.Dir); err != nil {
			return BackupDone{}, err
		}
		return a.Backup(ctx, in.Body.Dir)
	})
	httpapi.Get(api, "/v1/admin/jobs", op("List the jobs that learn from all agents, each with its newest run"), func(ctx context.Context, _ *none) ([]learning.Run, error) { return a.Learning.Jobs(ctx) })
	job := op("Run a job now")
	job.Errors = []int{http.StatusConflict}
	httpapi.Post(api, "/v1/admin/jobs/{name}", job, func(ctx context.Context, in *struct {
		Name string `path:"name" maxLength:"32"`
	}) (learning.Run, error) {
		if err := a.Accounts.Note(ctx, authz.From(ctx), "job", in.Name); err != nil {
			return learning.Run{}, err
		}
		return a.Learning.RunJob(ctx, in.Name, a.cfg.Clock().UnixMicro())
	})
	httpapi.Get(api, "/v1/admin/releases", op("List releases of the start that fresh agents get, newest first"), func(ctx context.Context, _ *none) ([]learning.Release, error) { return a.Learning.Releases(ctx) })
	propose := op("Propose another start for fresh agents")
	propose.Status, propose.Errors = http.StatusCreated, []int{http.StatusConflict}
	httpapi.Post(api, "/v1/admin/releases", propose, func(ctx context.Context, in *struct {
		Body struct {
			Traits    map[string]float64 `json:"traits" minProperties:"1" doc:"Levels, each within .05 of where such agents start today."`
			Archetype int                `json:"archetype,omitempty" minimum:"1" doc:"Id of an archetype whose start it is; absent for that of agents made for none."`
		}
	}) (learning.Release, error) {
		if err := a.Accounts.Note(ctx, authz.From(ctx), "propose", "release"); err != nil {
			return learning.Release{}, err
		}
		return a.Learning.ProposeRelease(ctx, in.Body.Archetype, in.Body.Traits, a.cfg.Clock().UnixMicro())
	})
	revert := op("Take a release back: fresh agents start as before it")
	revert.Errors = []int{http.StatusConflict}
	httpapi.Post(api, "/v1/admin/releases/{release}/revert", revert, func(ctx context.Context, in *struct {
		Release string `path:"release" maxLength:"64"`
	}) (learning.Release, error) {
		if err := a.Accounts.Note(ctx, authz.From(ctx), "revert", in.Release); err != nil {
			return learning.Release{}, err
		}
		return a.Learning.RevertRelease(ctx, in.Release, a.cfg.Clock().UnixMicro())
	})
	httpapi.Get(api, "/v1/admin/trace/{event}", op("Follow one event through everything it caused"), func(ctx context.Context, in *struct {
		Event string `path:"event"`
	}) ([]TraceStep, error) {
		if err := a.Accounts.Note(ctx, authz.From(ctx), "trace", in.Event); err != nil {
			return nil, err
		}
		return a.Trace(ctx, in.Event)
	})
	httpapi.Get(api, "/v1/admin/audit", op("List what operators did that reaches other people's things, newest first"), func(ctx context.Context, in *struct {
		Before string `query:"before" maxLength:"64" doc:"Id of an act: those before it."`
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}) ([]account.Act, error) {
		return a.Accounts.Acts(ctx, in.Before, in.Limit)
	})
	httpapi.Get(api, "/v1/admin/export", op("List what can be exported"), func(context.Context, *none) ([]string, error) { return a.exportNames(), nil })
	api.Handle("GET /v1/admin/export/{name}", op("Export one kind of record as JSON lines"), http.HandlerFunc(a.serveExport), nil)
}

func (a *App) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	doc, err := a.API.OpenAPI()
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(doc)
}

// Lag counts what is said but not yet in effect: outboxes, and what each reader
// has still to read.
func (a *App) Lag(ctx context.Context) (Lag, error) {
	if err := a.away.now(); err != nil {
		return Lag{}, err
	}
	groups, err := a.Relay.Lag(ctx)
	if err != nil {
		return Lag{}, err
	}
	l := Lag{Groups: groups}
	for _, n := range groups {
		l.Behind += n
	}
	l.Behind += int64(a.Gateway.Unsettled())
	if l.Behind == 0 { // people wait for this to be zero: it must be true
		still, err := a.Relay.Still(ctx)
		if err != nil {
			return Lag{}, err
		}
		if !still {
			l.Behind = 1
		}
	}
	return l, nil
}

// neverJoined is the group of feedback that found nothing it is about.
const neverJoined = "feedback-waiting"

// Letters lists the dead letters of every reader, oldest first, and then feedback
// that waited an hour for what it is about or was refused when that came.
func (a *App) Letters(ctx context.Context) ([]Letter, error) {
	out := []Letter{}
	for _, c := range a.consumers {
		ls, err := a.Relay.DeadLetters(ctx, c.Group)
		if err != nil {
			return nil, err
		}
		for _, l := range ls {
			out = append(out, Letter{l.Group, l.ID, l.Event.Type, l.Event.Subject, l.Reason, l.Parked, stamp(l.At)})
		}
	}
	lost, err := a.Feedback.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range lost {
		reason := l.Reason
		if reason == "" {
			reason = "never_arrived"
		}
		out = append(out, Letter{neverJoined, string(l.FeedbackID), event.FeedbackCreated{}.EventType(), l.Awaits, reason, false, stamp(l.CreatedAt)})
	}
	return out, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func stamp(at event.Micros) string { return time.UnixMicro(at).UTC().Format(time.RFC3339) }

// Rebuild replays the log into fresh tables and compares them with the live
// ones. Unless check is true, tables that differ are replaced, each context's in
// one transaction.
func (a *App) Rebuild(ctx context.Context, check bool) ([]Rebuilt, error) {
	if err := a.Relay.Idle(ctx); err != nil {
		return nil, err
	}
	out := []Rebuilt{}
	for _, c := range a.consumers {
		rs, err := a.rebuild(ctx, c, check)
		if err != nil {
			return nil, fmt.Errorf("rebuild %s: %w", c.Group, err)
		}
		out = append(out, rs...)
	}
	return out, nil
}

func (a *App) rebuild(ctx context.Context, live relay.Consumer, check bool) ([]Rebuilt, error) {
	dir, err := os.MkdirTemp(a.cfg.Data, "rebuild-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	fresh, err := sqldb.Open(ctx, sqldb.Options{Path: filepath.Join(dir, live.Group+".db"), Name: live.Group})
	if err != nil {
		return nil, err
	}
	defer fresh.Close()
	c, tables, err := a.scratch(ctx, live.Group, fresh)
	if err != nil {
		return nil, err
	}
	if err := relay.Rebuild(ctx, a.log, c, live.DB, fresh, nil); err != nil {
		return nil, err
	}
	var out []Rebuilt
	differ := false
	for _, table := range tables {
		want, err := fresh.Dump(ctx, table)
		if err != nil {
			return nil, err
		}
		have, err := live.DB.Dump(ctx, table)
		if err != nil {
			return nil, err
		}
		equal := bytes.Equal(want, have)
		differ = differ || !equal
		out = append(out, Rebuilt{live.Group, table, bytes.Count(want, []byte("\n")) - 1, equal})
	}
	if differ && !check {
		return out, live.DB.CopyTables(ctx, fresh, tables)
	}
	return out, nil
}

// Backup copies the contexts' databases first and the log last, so that no state
// is ahead of the log it came from. dir must be absent or empty. Fault
// log_elsewhere when the log is not in the data directory.
func (a *App) Backup(ctx context.Context, dir string) (BackupDone, error) {
	log, here := a.log.(copied)
	if !here {
		return BackupDone{}, fault.New(fault.Conflict, "log_elsewhere", "The log is on Kafka and cannot be copied from here: stop the program, copy %s, and let Kafka keep its topics.", a.cfg.Data)
	}
	if err := a.cfg.onPostgres(); err != nil {
		return BackupDone{}, err
	}
	if err := emptyDir(dir); err != nil {
		return BackupDone{}, err
	}
	if err := a.Gateway.Settle(ctx); err != nil { // the journal is not copied
		return BackupDone{}, err
	}
	done := BackupDone{Dir: dir}
	for _, name := range contexts {
		if err := a.dbs[name].Backup(ctx, filepath.Join(dir, name+".db")); err != nil {
			return BackupDone{}, err
		}
	}
	if err := log.Backup(ctx, filepath.Join(dir, logFile)); err != nil {
		return BackupDone{}, err
	}
	key, err := os.ReadFile(a.path(keyFile))
	if err != nil {
		return BackupDone{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, keyFile), key, 0o600); err != nil {
		return BackupDone{}, err
	}
	for _, name := range backupFiles() {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return BackupDone{}, err
		}
		done.Files, done.Bytes = append(done.Files, name), done.Bytes+info.Size()
	}
	return done, nil
}

func backupFiles() []string {
	var out []string
	for _, name := range contexts {
		out = append(out, name+".db")
	}
	return append(out, logFile, keyFile)
}

// Restore makes the data directory of cfg from a backup and opens it once to
// see that it is whole. The directory must be absent or empty.
func Restore(ctx context.Context, from string, cfg Config) error {
	if err := cfg.onPostgres(); err != nil {
		return err
	}
	for _, name := range backupFiles() {
		if _, err := os.Stat(filepath.Join(from, name)); err != nil {
			return fault.New(fault.Invalid, "not_a_backup", "%s holds no backup: %s is missing.", from, name)
		}
	}
	if err := emptyDir(cfg.Data); err != nil {
		return err
	}
	for _, name := range backupFiles() {
		if err := copyFile(filepath.Join(from, name), filepath.Join(cfg.Data, name)); err != nil {
			return err
		}
	}
	a, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	return a.Close()
}

func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.New(fault.Invalid, "bad_directory", "%s cannot be made.", dir).Because(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fault.New(fault.Invalid, "bad_directory", "%s cannot be read.", dir).Because(err)
	}
	if len(entries) > 0 {
		return fault.New(fault.Conflict, "directory_not_empty", "%s is not empty, and nothing is ever written over; choose another directory.", dir)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// Trace gives the whole chain an event belongs to: everything with the same
// first event, in causal order. The id may be an event's, or anything that an
// event speaks of (a decision, a message, a piece of feedback). not_found when
// no event names it.
func (a *App) Trace(ctx context.Context, id string) ([]TraceStep, error) {
	if err := a.Relay.Idle(ctx); err != nil {
		return nil, err
	}
	roots := map[string]bool{}
	needle := []byte(`"` + id + `"`)
	err := a.eachEvent(ctx, func(r eventlog.Record) bool { return bytes.Contains(r.Value, needle) }, func(e event.Event) error {
		if e.Root != "" {
			roots[e.Root] = true
		}
		roots[e.ID] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(roots) == 0 {
		return nil, fault.New(fault.NotFound, "unknown_event", "No event on the log names %s.", id)
	}
	var chain []event.Event
	err = a.eachEvent(ctx, func(r eventlog.Record) bool { return true }, func(e event.Event) error {
		if roots[e.Root] || roots[e.ID] {
			chain = append(chain, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return causalOrder(chain), nil
}

// causalOrder puts effects behind their causes, by time among equals.
func causalOrder(events []event.Event) []TraceStep {
	children := map[string][]event.Event{}
	known := map[string]bool{}
	for _, e := range events {
		known[e.ID] = true
	}
	slices.SortStableFunc(events, func(x, y event.Event) int { return int(x.Time - y.Time) })
	var first []event.Event
	for _, e := range events {
		if e.Cause == "" || !known[e.Cause] {
			first = append(first, e)
			continue
		}
		children[e.Cause] = append(children[e.Cause], e)
	}
	out := []TraceStep{}
	var walk func(e event.Event, depth int)
	walk = func(e event.Event, depth int) {
		if !known[e.ID] {
			return
		}
		known[e.ID] = false
		out = append(out, TraceStep{e.ID, e.Type, stamp(e.Time), e.Subject, e.Cause, depth, note(e), redact(e)})
		for _, c := range children[e.ID] {
			walk(c, depth+1)
		}
	}
	for _, e := range first {
		walk(e, 0)
	}
	return out
}

// redact keeps the taste profile of an owner inside the system.
func redact(e event.Event) json.RawMessage {
	if e.Type == (event.ExplorationUpdated{}).EventType() {
		return nil
	}
	return e.Data
}

func (a *App) exportNames() []string {
	out := []string{"events"}
	for _, x := range a.exports() {
		out = append(out, x.name())
	}
	return out
}

func (a *App) serveExport(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if err := a.Accounts.Note(r.Context(), authz.From(r.Context()), "export", name); err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if name == "events" {
		out := bufio.NewWriter(w)
		defer out.Flush()
		private := (event.ExplorationUpdated{}).EventType()
		err := a.eachEvent(r.Context(), func(rec eventlog.Record) bool { return rec.Type != string(private) }, func(e event.Event) error {
			line, err := json.Marshal(e)
			if err != nil {
				return err
			}
			_, err = out.Write(append(line, '\n'))
			return err
		})
		if err != nil {
			panic(http.ErrAbortHandler) // the answer is under way: a cut is all we can say
		}
		return
	}
	for _, x := range a.exports() {
		if x.name() != name {
			continue
		}
		if err := a.dbs[x.context].WriteJSON(r.Context(), x.Export, w); err != nil {
			panic(http.ErrAbortHandler)
		}
		return
	}
	httpapi.WriteError(w, r, fault.New(fault.NotFound, "unknown_export", "There is no export %q; GET /v1/admin/export lists them.", name))
}
