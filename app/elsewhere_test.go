package app

import (
	"bufio"
	"bytes"
	"context"
	"math"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
	"rapport/internal/fault"
	"rapport/internal/sqldb/sqldbtest"
	"rapport/policy"
)

// brokers are a real Kafka, with -short a played one.
func brokers(t *testing.T) interface{ Options() kafka.Options } {
	t.Helper()
	if testing.Short() {
		return kafkatest.New(t)
	}
	return kafkatest.Real(t)
}

// bothAt sets databases on PostgreSQL and a log on Kafka, both new.
func bothAt(t *testing.T, c interface{ Options() kafka.Options }) func(*Config) {
	t.Helper()
	onKafka, dsn := kafkaAt(c), sqldbtest.DSN(t)
	return func(cfg *Config) {
		onKafka(cfg)
		cfg.Postgres = dsn
	}
}

// The whole product with nothing but its key in its directory: talk, press, the
// next reply and its prompt differ, it is still so after a start, a rebuild equals
// the log, and nobody else may serve it.
func TestTheLoopElsewhere(t *testing.T) {
	t.Parallel()
	both, dir := bothAt(t, brokers(t)), t.TempDir()
	r := run(t, dir, both)
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	first := luna.say(question)
	press := ada.give("tone", "shorter", "messageId", string(first.ID))
	second := luna.say(question)
	if got := second.x(policy.Brevity); second.Cause != "tone_button" || math.Abs(got-.65) > 1e-9 || len(second.Text) >= len(first.Text) {
		t.Errorf("after shorter: cause %q, brevity %v, %d bytes after %d", second.Cause, got, len(second.Text), len(first.Text))
	}
	if first.Body.CompileHash == second.Body.CompileHash {
		t.Error("the prompt is the same")
	}
	ada.give("thumb", "up", "messageId", string(second.ID))
	ada.give("session", "good", "sessionId", string(second.SessionID))
	r.settle()
	used := false
	for _, one := range luna.explanation().Ratings {
		used = used || one.FeedbackID == press.FeedbackID && one.Used
	}
	if !used {
		t.Error("the press is not among what Luna learned from")
	}
	r.sameOnRebuild()
	sound(t, r)
	if h := r.Health(); h.Status != "ok" || len(h.Why) > 0 {
		t.Errorf("healthy: %+v", h)
	}

	cfg := testConfig(t, t.TempDir())
	both(&cfg)
	began := time.Now()
	if _, err := Open(context.Background(), cfg); !fault.Is(err, "database_in_use") || !strings.Contains(err.Error(), "postgres") {
		t.Errorf("a second process: %v", err)
	}
	t.Logf("a second process was refused after %v", time.Since(began).Round(100*time.Millisecond))
	cfg.Postgres = sqldbtest.DSN(t)
	if _, err := Open(context.Background(), cfg); !fault.Is(err, "another_log") {
		t.Errorf("other databases on the same log: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	r2 := run(t, dir, both)
	r2.clock.advance(r.clock.Now().Sub(r2.clock.Now()))
	luna.p = r2.as(ada.ID, ada.Token)
	if again := luna.say(question); again.SessionID != first.SessionID || again.Cause != "tone_button" {
		t.Errorf("after a restart the press is forgotten: cause %q", again.Cause)
	}
	r2.sameOnRebuild()
}

// A process that has everything elsewhere is killed at any moment.
func TestKillElsewhere(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes on a real broker: on the stand-in readers were seen to stay without a partition")
	}
	killed(t, t.TempDir(), bothAt(t, brokers(t)))
}

// A process stands still, another one takes everything over, and what the first
// does when it wakes up is refused.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits until a process counts as dead")
	}
	both := bothAt(t, brokers(t))
	cfg := testConfig(t, t.TempDir())
	both(&cfg)
	late := exec.Command(os.Args[0])
	late.Env = append(elsewhere(cfg), childEnv+"="+cfg.Data)
	var complaints bytes.Buffer
	late.Stderr = &complaints
	out, err := late.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Start(); err != nil {
		t.Fatal(err)
	}
	defer late.Process.Kill()
	if lines := bufio.NewScanner(out); !lines.Scan() {
		t.Fatalf("the process did not start: %s", complaints.String())
	}
	time.Sleep(time.Second) // so that it reads
	if err := late.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r := run(t, t.TempDir(), both, func(c *Config) { c.Clock = nil })
	t.Logf("taken over after %v", time.Since(began).Round(100*time.Millisecond))
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	first := luna.say(question)
	ada.give("tone", "shorter", "messageId", string(first.ID))
	if err := late.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if second := luna.say(question); second.Cause != "tone_button" {
		t.Errorf("the next answer's cause is %q", second.Cause)
	}
	if err := late.Wait(); err == nil || !strings.Contains(complaints.String(), "database_in_use") {
		t.Errorf("the late one ends with %v: %s", err, complaints.String())
	}
	sound(t, r)
}

// A broker is killed and comes back: the product says so, keeps what it is told,
// and goes on by itself.
func TestTheLogGoesAway(t *testing.T) {
	t.Parallel()
	b := kafkatest.Own(t)
	r := run(t, t.TempDir(), kafkaAt(b), func(c *Config) { c.Clock = nil })
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	first := luna.say(question)
	health := func() (h Health) {
		r.as("", "").must("GET", "/healthz", nil, &h)
		return h
	}
	if h := health(); h.Status != "ok" {
		t.Errorf("before: %+v", h)
	}
	b.Kill()
	ada.give("tone", "shorter", "messageId", string(first.ID))
	began := time.Now()
	r.ask("the product says that the log is away", func() bool { return health().Status == "waiting" })
	t.Logf("said after %v: %v", time.Since(began).Round(100*time.Millisecond), health().Why)
	if why := strings.Join(health().Why, " "); !strings.Contains(why, "kafka.brokers") {
		t.Errorf("it says %q", why)
	}
	ada.give("thumb", "up", "messageId", string(first.ID))
	at := luna.tell(question)
	if a := r.admin.raw("GET", "/v1/admin/lag", nil); a.status != 503 {
		t.Errorf("the lag is %d %s", a.status, a.body)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	r.ask("Luna answers what was said meanwhile", func() bool {
		var page roomPage
		ada.must("GET", "/v1/rooms/"+luna.room+"/messages?after="+itoa(at), nil, &page)
		return len(page.Messages) > 0
	})
	t.Logf("answered %v after the broker was back", time.Since(began).Round(100*time.Millisecond))
	r.ask("the product says that all is well", func() bool { return health().Status == "ok" })
	sound(t, r)
}
