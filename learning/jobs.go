package learning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// Jobs compute what all agents share, at night: what each source of signals tells,
// what each rater counts for, the prior of the population. Each publishes a version
// and changes nothing else; then every living agent adopts the newest versions.
//
// A run is a row (name, due). The row is the lease, so that of several processes
// one runs it; it is also the run's identity: what a run emits has ids that follow
// from its due time, so that a run begun again after a crash emits nothing twice.

// job is one kind of run.
type job struct {
	name  string
	after string // the job whose run of the same due must be over first
	says  string
	run   func(s *Service, ctx context.Context, due event.Micros) (done, error)
}

// done is what came of a run.
type done struct {
	outcome string
	note    string
}

// The outcomes of a run.
const (
	RunChanged   = "changed"   // a version was published, agents adopted one
	RunUnchanged = "unchanged" // nothing new
	RunRefused   = "refused"   // what was found must not be used; the last good version stays
	RunFailed    = "failed"    // it is tried again while it is the newest due
)

// lease is how long a run that says nothing is believed to be alive.
const lease = 15 * time.Minute

var jobs = []job{
	{"calibrate", "", "learns what each source of signals tells about satisfaction", (*Service).calibrate},
	{"reputation", "calibrate", "learns what the judgements of guests and reviewers count for", (*Service).reputation},
	{"refit", "reputation", "learns from all agents what a fresh one may believe", (*Service).refit},
	{"adopt", "refit", "lets every agent use the newest of these", (*Service).adoptAll},
	{"guard", "adopt", "freezes updates where engagement rises while check-ins fall", (*Service).guard},
	{"release", "guard", "tries other starts for fresh agents, and adopts or reverts them", (*Service).release},
}

// Run is what is known of a job and its newest run.
type Run struct {
	Name    string       `json:"name"`
	Says    string       `json:"says"`
	Due     event.Micros `json:"due"` // 0 when it never ran
	DoneAt  event.Micros `json:"doneAt"`
	Outcome string       `json:"outcome"`
	Note    string       `json:"note"`
}

// Jobs lists the jobs in the order in which they run, each with its newest run.
func (s *Service) Jobs(ctx context.Context) (out []Run, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		for _, j := range jobs {
			r := Run{Name: j.name, Says: j.says}
			_, err := tx.Get(`select due, done_at, outcome, note from rl_jobs where name = $1 order by due desc limit 1`, []any{j.name}, &r.Due, &r.DoneAt, &r.Outcome, &r.Note)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

// RunJob runs one job now. Faults job_unknown, and job_running when a run of it is
// under way.
func (s *Service) RunJob(ctx context.Context, name string, now event.Micros) (Run, error) {
	for i := range jobs {
		j := &jobs[i]
		if j.name != name {
			continue
		}
		held, err := s.busy(ctx, name, now)
		if err == nil && !held {
			held, err = s.claim(ctx, name, now, now)
			held = !held
		}
		if err != nil {
			return Run{}, err
		}
		if held {
			return Run{}, fault.New(fault.Conflict, "job_running", "The job %s is running already; wait for it.", name)
		}
		return s.perform(ctx, j, now)
	}
	return Run{}, fault.New(fault.NotFound, "job_unknown", "There is no job %q; `rapport jobs` lists them.", name)
}

// RunJobs runs each job once for every due time, which come every so often from the
// beginning of the day (UTC) on, until ctx ends.
func (s *Service) RunJobs(ctx context.Context, now func() time.Time, every time.Duration) error {
	tick := time.NewTicker(min(time.Minute, every))
	defer tick.Stop()
	for {
		if _, err := s.RunDue(ctx, now().UnixMicro(), every); err != nil && ctx.Err() == nil {
			slog.ErrorContext(ctx, "a job of learning failed; it is tried again", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// RunDue runs what is due and gives how many runs it made. A run that another
// process has, or that is done, is passed over, and so are those that come after it
// until it is over. After one that failed here the others go on, with the last good
// versions; the error is all of theirs, joined.
func (s *Service) RunDue(ctx context.Context, now event.Micros, every time.Duration) (ran int, err error) {
	due := now - now%every.Microseconds()
	failed := map[string]error{}
	for i := range jobs {
		j := &jobs[i]
		over := j.after == "" || failed[j.after] != nil
		if !over {
			var asked error
			if over, asked = s.over(ctx, j.after, due); asked != nil {
				return ran, errors.Join(err, asked)
			}
		}
		if !over {
			break
		}
		mine, claimed := s.claim(ctx, j.name, due, now)
		if claimed != nil {
			return ran, errors.Join(err, claimed)
		}
		if !mine {
			continue
		}
		if _, f := s.perform(ctx, j, due); f != nil {
			failed[j.name], err = f, errors.Join(err, f)
			continue
		}
		ran++
	}
	return ran, err
}

// over says whether a run ended, however.
func (s *Service) over(ctx context.Context, name string, due event.Micros) (over bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		over, err = tx.Get(`select 1 from rl_jobs where name = $1 and due = $2 and done_at > 0`, []any{name, due}, new(int))
		return err
	})
	return over, err
}

// busy says whether any run of a job is under way.
func (s *Service) busy(ctx context.Context, name string, now event.Micros) (busy bool, err error) {
	err = s.db.Read(ctx, func(tx *sqldb.Tx) error {
		busy, err = tx.Get(`select 1 from rl_jobs where name = $1 and done_at = 0 and lease_until >= $2 limit 1`, []any{name, now}, new(int))
		return err
	})
	return busy, err
}

// claim takes a run, unless somebody has it or it is done.
func (s *Service) claim(ctx context.Context, name string, due, now event.Micros) (mine bool, err error) {
	err = s.db.Write(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`insert into rl_jobs (name, due, holder, lease_until, done_at, outcome, note) values ($1, $2, $3, $4, 0, '', '')
			on conflict (name, due) do update set holder = excluded.holder, lease_until = excluded.lease_until
			where rl_jobs.done_at = 0 and rl_jobs.lease_until < $5`, name, due, s.holder, now+lease.Microseconds(), now)
		mine = n == 1
		return err
	})
	return mine, err
}

// perform makes a claimed run and writes down what came of it. A run that failed
// gives its lease back.
func (s *Service) perform(ctx context.Context, j *job, due event.Micros) (Run, error) {
	d, failed := j.run(s, ctx, due)
	r := Run{Name: j.name, Says: j.says, Due: due, DoneAt: due, Outcome: d.outcome, Note: d.note}
	if failed != nil {
		r.DoneAt, r.Outcome, r.Note = 0, RunFailed, "It failed; the log says why."
	}
	write := context.WithoutCancel(ctx) // what happened is written down also when the process ends
	err := s.db.Write(write, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`update rl_jobs set done_at = $1, lease_until = 0, outcome = $2, note = $3 where name = $4 and due = $5 and holder = $6`,
			r.DoneAt, r.Outcome, r.Note, j.name, due, s.holder)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "job_lost", "The run of %s took longer than its lease, and another process has it.", j.name)
		}
		return err
	})
	if s.o.Ran != nil {
		s.o.Ran(r)
	}
	if failed != nil {
		failed = fmt.Errorf("job %s: %w", j.name, failed)
	}
	return r, errors.Join(failed, err)
}
