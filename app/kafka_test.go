package app

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"rapport/event"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
	"rapport/internal/fault"
	"rapport/policy"
)

// kafkaAt sets a log of its own on brokers, played or real.
func kafkaAt(c interface{ Options() kafka.Options }) func(*Config) {
	o := c.Options()
	return func(cfg *Config) {
		cfg.Kafka.Brokers = strings.Join(o.Brokers, ",")
		cfg.Kafka.Prefix, cfg.Kafka.Partitions, cfg.Kafka.Replication = o.Prefix, 3, 1
	}
}

// sameOnRebuild replays the log and wants the tables that are there.
func (r *rig) sameOnRebuild() {
	r.t.Helper()
	tables, err := r.Rebuild(context.Background(), true)
	if err != nil || len(tables) == 0 {
		r.t.Fatal(tables, err)
	}
	for _, table := range tables {
		if !table.Equal {
			r.t.Errorf("a rebuild of %s.%s differs", table.Context, table.Table)
		}
	}
}

// The short loop with the log on Kafka, over several partitions and a restart.
func TestTheLoopOnKafka(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t)
	dir := t.TempDir()
	r := run(t, dir, kafkaAt(c))
	ada, bob := r.person("Ada"), r.person("Bob")
	luna, max := ada.make("Luna", nil), bob.make("Max", nil)
	first := luna.say(question)
	press := ada.give("tone", "shorter", "messageId", string(first.ID))
	second := luna.say(question)
	if got := second.x(policy.Brevity); second.Cause != "tone_button" || math.Abs(got-.65) > 1e-9 || len(second.Text) >= len(first.Text) {
		t.Errorf("after shorter: cause %q, brevity %v, %d bytes after %d", second.Cause, got, len(second.Text), len(first.Text))
	}
	ada.give("thumb", "up", "messageId", string(second.ID))
	bob.give("session", "good", "sessionId", string(max.say(question).SessionID))
	used := false
	for _, one := range luna.explanation().Ratings {
		used = used || one.FeedbackID == press.FeedbackID && one.Used
	}
	if !used {
		t.Error("the press is not among what Luna learned from")
	}
	r.sameOnRebuild()

	steps, err := r.Trace(context.Background(), string(press.FeedbackID))
	if err != nil || len(steps) < 2 || steps[0].Depth != 0 {
		t.Errorf("the trace of the press: %+v, %v", steps, err)
	}
	subjects, ids := map[string]bool{}, map[string]bool{}
	if err := r.eachEvent(context.Background(), every, func(e event.Event) error {
		subjects[e.Subject], ids[e.ID] = true, true
		return nil
	}); err != nil || !subjects[string(luna.ID)] || !subjects[string(max.ID)] || len(ids) < 20 {
		t.Errorf("%d events about %v, %v", len(ids), subjects, err)
	}

	if _, err := r.Backup(context.Background(), filepath.Join(t.TempDir(), "copy")); !fault.Is(err, "log_elsewhere") {
		t.Errorf("a backup: %v", err)
	}
	opens := func(dir string, change func(*Config)) error {
		cfg := testConfig(t, dir)
		kafkaAt(c)(&cfg)
		change(&cfg)
		a, err := Open(context.Background(), cfg)
		if err == nil {
			a.Close()
		}
		return err
	}
	if err := opens(dir, func(*Config) {}); !fault.Is(err, "data_dir_in_use") {
		t.Errorf("a second process: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := opens(dir, func(cfg *Config) { cfg.Kafka.Brokers = "" }); !fault.Is(err, "another_log") {
		t.Errorf("without Kafka: %v", err)
	}
	if err := opens(dir, func(cfg *Config) { cfg.Kafka.Prefix = "other." }); !fault.Is(err, "another_log") {
		t.Errorf("with another prefix: %v", err)
	}
	here := t.TempDir()
	openApp(t, here).Close()
	if err := opens(here, func(*Config) {}); !fault.Is(err, "another_log") {
		t.Errorf("with a log in the directory: %v", err)
	}
	if err := opens(t.TempDir(), func(*Config) {}); !fault.Is(err, "another_log") || !strings.Contains(err.Error(), "kafka.prefix") {
		t.Errorf("other databases on the same log: %v", err)
	}
	unreached := t.TempDir()
	if err := opens(unreached, func(cfg *Config) { cfg.Kafka.Brokers = "127.0.0.1:1" }); !fault.Is(err, "kafka_unreachable") || !strings.Contains(err.Error(), "kafka.brokers") {
		t.Errorf("without brokers: %v", err)
	}
	if made, _ := filepath.Glob(filepath.Join(unreached, "*.db")); len(made) != 0 {
		t.Errorf("a broker that does not answer left %v", made)
	}

	r2 := run(t, dir, kafkaAt(c))
	r2.clock.advance(r.clock.Now().Sub(r2.clock.Now()))
	luna.p = r2.as(ada.ID, ada.Token)
	if again := luna.say(question); again.SessionID != first.SessionID || again.Cause != "tone_button" {
		t.Errorf("after a restart the press is forgotten: cause %q", again.Cause)
	}
	r2.sameOnRebuild()
}

func TestKafkaSettings(t *testing.T) {
	t.Parallel()
	for what, set := range map[string]map[string]any{
		"kafka.brokers":     {"kafka.brokers": "localhost"},
		"kafka.prefix":      {"kafka.brokers": "localhost:9092", "kafka.prefix": "a b"},
		"kafka.partitions":  {"kafka.brokers": "localhost:9092", "kafka.partitions": 0},
		"kafka.replication": {"kafka.brokers": "localhost:9092", "kafka.replication": -1},
		"kafka.user":        {"kafka.brokers": "localhost:9092", "kafka.user": "ada"},
	} {
		set["data"] = t.TempDir()
		if _, err := LoadConfig(set); !fault.Is(err, "invalid_setting") || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	cfg, err := LoadConfig(map[string]any{"data": t.TempDir(), "kafka.brokers": "localhost:9092", "kafka.user": "ada", "kafka.password": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range cfg.Effective() {
		if e.Value == nil || e.Value == "secret" {
			t.Errorf("%s shows %v", e.Key, e.Value)
		}
	}
}
