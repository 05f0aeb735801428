package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"

	"rapport/event"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/fault"
)

// copied is a log that a backup holds.
type copied interface {
	Backup(ctx context.Context, path string) error
}

// logFile is the log inside the data directory; logMark names the one that is
// elsewhere.
const (
	logFile = "log.db"
	logMark = "log.kafka"
)

// openLog opens the log that the settings name. One on Kafka is tried before anything
// is made in the data directory, so that a broker that does not answer leaves nothing
// there. Fault another_log when what lies in the data directory came from another log,
// whose positions mean nothing here.
func (a *App) openLog(ctx context.Context) (eventlog.Log, error) {
	k := a.cfg.Kafka
	mark, err := os.ReadFile(a.path(logMark))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if k.Brokers == "" {
		if mark != nil {
			return nil, fault.New(fault.Conflict, "another_log", "%s belongs to the log on Kafka %s; set kafka.brokers, or choose another --data.", a.cfg.Data, mark)
		}
		return nil, nil // in the data directory, when the databases are there
	}
	if _, err := os.Stat(a.path(logFile)); err == nil {
		return nil, fault.New(fault.Conflict, "another_log", "%s has a log of its own, and kafka.brokers names another; choose another --data, or leave kafka.brokers empty.", a.cfg.Data)
	}
	o := kafka.Options{Brokers: strings.Split(k.Brokers, ","), Prefix: k.Prefix, User: k.User, Password: k.Password, Partitions: k.Partitions, Replication: k.Replication}
	if k.TLS {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	l, err := kafka.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	name, err := l.Name(ctx)
	if err == nil && mark != nil && name != string(mark) {
		err = fault.New(fault.Conflict, "another_log", "%s belongs to the log on Kafka %s, and kafka.brokers and kafka.prefix lead to %s.", a.cfg.Data, mark, name)
	}
	for _, topic := range event.Topics() { // are there, or are made, or cannot be
		if err == nil {
			_, err = l.Partitions(ctx, topic)
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// joinLog ties the log and the databases of owner to each other, and opens the log of
// the data directory when it is there. Fault another_log when the log on Kafka is
// another owner's.
func (a *App) joinLog(ctx context.Context, owner string) (err error) {
	onKafka, ok := a.log.(*kafka.Log)
	if !ok {
		l, err := embedded.Open(ctx, a.path(logFile))
		if err == nil {
			a.log = l
		}
		return err
	}
	if err := onKafka.Belong(ctx, event.TopicAgents, owner); err != nil {
		return err
	}
	name, err := onKafka.Name(ctx)
	if err != nil {
		return err
	}
	return os.WriteFile(a.path(logMark), []byte(name), 0o600)
}

// eachEvent gives every event of the log, topic by topic, those of a key in order.
// Events that cannot be decoded are passed over; one that lies on the log twice
// comes twice.
func (a *App) eachEvent(ctx context.Context, wanted func(eventlog.Record) bool, take func(event.Event) error) error {
	for _, topic := range event.Topics() {
		left, err := a.log.Partitions(ctx, topic)
		if err != nil {
			return err
		}
		for p, end := range left {
			if end == 0 {
				delete(left, p)
			}
		}
		if len(left) == 0 {
			continue
		}
		r, err := a.log.Read(ctx, "scan-"+event.NewID(), []string{topic}, func(context.Context, eventlog.Partition) (eventlog.Position, error) { return 0, nil })
		if err == nil {
			err = errors.Join(scan(ctx, r, left, wanted, take), r.Close())
		}
		if errors.Is(err, eventlog.ErrPositionLost) {
			return fault.New(fault.Conflict, "log_forgot", "The log no longer has its beginning; let its topics keep everything.").Because(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scan reads each partition up to its place in left.
func scan(ctx context.Context, r eventlog.Reader, left map[eventlog.Partition]eventlog.Position, wanted func(eventlog.Record) bool, take func(event.Event) error) error {
	for len(left) > 0 {
		records, err := r.Next(ctx, 1000)
		if err != nil {
			return err
		}
		for _, rec := range records {
			p := eventlog.Partition{Topic: rec.Topic, Index: rec.Partition}
			end, has := left[p]
			if rec.Position >= end {
				delete(left, p)
			}
			if !has || rec.Position > end || !wanted(rec) {
				continue
			}
			var e event.Event
			if json.Unmarshal(rec.Value, &e) != nil {
				continue
			}
			if err := take(e); err != nil {
				return err
			}
		}
	}
	return nil
}
