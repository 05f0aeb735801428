package kafka

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"rapport/internal/eventlog"
	"rapport/internal/fault"
)

// unreachable is what Open says of brokers that it cannot join.
func (o Options) unreachable(err error) error {
	where := strings.Join(o.Brokers, ", ")
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fault.New(fault.Invalid, "kafka_login", "Kafka at %s refuses kafka.user with kafka.password; set both as the brokers know them.", where).Because(err)
	case errors.Is(err, kerr.IllegalSaslState):
		return fault.New(fault.Invalid, "kafka_login", "Kafka at %s wants no login there; leave kafka.user and kafka.password empty, or correct the port in kafka.brokers.", where).Because(err)
	}
	return fault.New(fault.Unavailable, "kafka_unreachable", "Kafka does not answer at %s; start it, or correct kafka.brokers, kafka.tls and kafka.user.", where).Because(err)
}

// why is an error of the client in our words.
func (l *Log) why(ctx context.Context, err error) error {
	switch {
	case l.isClosed():
		return eventlog.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return l.trouble(err)
}

// trouble is one that passes, or that an operator ends: kafka_rights,
// kafka_topic_missing, kafka_login, kafka_unreachable or kafka_unavailable, all of
// kind unavailable.
func (l *Log) trouble(err error) error {
	code, say := "kafka_unavailable", "Kafka did not do what it was asked; look at its brokers and at the settings kafka.*."
	var dial *net.OpError
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		code, say = "kafka_rights", l.rights()
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		code, say = "kafka_login", "Kafka refuses kafka.user with kafka.password; set both as the brokers know them."
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		code, say = "kafka_topic_missing", "A topic whose name begins with "+l.o.Prefix+" is gone from Kafka: bring it back with what was in it. What was read of it cannot be read again."
	case errors.As(err, &dial) && dial.Op == "dial":
		code, say = "kafka_unreachable", "A broker of Kafka does not answer; start it. If it runs, it tells another address than this machine can reach: see its advertised.listeners and kafka.brokers."
	}
	return fault.New(fault.Unavailable, code, "%s", say).Because(err)
}

// rights are what the program needs to be allowed.
func (l *Log) rights() string {
	who := "kafka.user " + l.o.User
	if l.o.User == "" {
		who = "anybody (kafka.user is empty)"
	}
	return "Kafka does not allow " + who + " what is needed. For names that begin with " + l.o.Prefix + " (kafka.prefix) it takes Read, Write and Create on topics, and Read on groups."
}

// unmade is why a topic could not be made.
func (l *Log) unmade(ctx context.Context, topic string, err error) error {
	switch name := l.name(topic); {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return fault.New(fault.Unavailable, "kafka_topic_missing",
			"The topic %s is not on Kafka, and kafka.user may not make it: allow it to, or make the topic with %d partitions, retention.ms=-1 and retention.bytes=-1.", name, l.o.Partitions).Because(err)
	case errors.Is(err, kerr.InvalidReplicationFactor):
		return fault.New(fault.Invalid, "invalid_setting", "Kafka cannot keep %d copies of the topic %s; set kafka.replication to no more than there are brokers.", l.o.Replication, name).Because(err)
	case errors.Is(err, kerr.InvalidPartitions), errors.Is(err, kerr.PolicyViolation), errors.Is(err, kerr.InvalidConfig), errors.Is(err, kerr.InvalidTopicException):
		return fault.New(fault.Invalid, "invalid_setting",
			"Kafka does not make the topic %s with kafka.partitions %d and kafka.replication %d, or not one that keeps everything; change these settings, or make it by hand.", name, l.o.Partitions, l.o.Replication).Because(err)
	}
	return l.why(ctx, err)
}

// forgot is a position before what the brokers still have.
func (l *Log) forgot(p eventlog.Partition, err error) error {
	return fault.New(fault.Conflict, "position_lost",
		"Kafka has forgotten what was to be read next of %s: the topic's retention.ms or retention.bytes let it. Set both to -1, and bring the topic back from a copy that has everything, or begin anew with an empty database and another kafka.prefix.",
		l.name(p.Topic)).Because(err)
}

// tooShort is a position behind the end of the log.
func (l *Log) tooShort(p eventlog.Partition, err error) error {
	return fault.New(fault.Conflict, "position_lost",
		"More was read of %s than Kafka holds: kafka.brokers or kafka.prefix lead to another log, or the topic was made anew. Correct these settings, or bring the topic back from a copy that has everything.",
		l.name(p.Topic)).Because(err)
}
