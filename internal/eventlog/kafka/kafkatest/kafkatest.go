// Package kafkatest is a Kafka for tests, in this process: brokers that speak the
// protocol, keep everything in a folder, and can fail, stop and come back.
//
// Start reading at New.
package kafkatest

import (
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"rapport/internal/eventlog/kafka"
)

// Cluster is a running Kafka. Its embedded methods inject errors and ask what is
// there; they are those of the cluster that runs now.
type Cluster struct {
	*kfake.Cluster
	opts  []kfake.Opt
	ports []int
}

// New starts two brokers that stop with the test; opts are added.
func New(t testing.TB, opts ...kfake.Opt) *Cluster {
	t.Helper()
	c, err := Play(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Cluster.Close() })
	return c
}

// Play starts two brokers for whoever closes them.
func Play(opts ...kfake.Opt) (*Cluster, error) {
	c := &Cluster{opts: append([]kfake.Opt{kfake.NumBrokers(2), kfake.GroupMinSessionTimeout(100 * time.Millisecond)}, opts...)}
	if err := c.Start(); err != nil {
		return nil, err
	}
	for _, addr := range c.ListenAddrs() {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		c.ports = append(c.ports, n)
	}
	return c, nil
}

// Durable makes a cluster that finds its records again when it is started after
// Close.
func Durable(t testing.TB) *Cluster { return New(t, kfake.DataDir(t.TempDir())) }

// Start starts the brokers again, where they were.
func (c *Cluster) Start() (err error) {
	opts := c.opts
	if len(c.ports) > 0 {
		opts = append(opts[:len(opts):len(opts)], kfake.Ports(c.ports...))
	}
	c.Cluster, err = kfake.NewCluster(opts...)
	return err
}

// Options lead a log to the cluster. Its readers notice each other in
// milliseconds.
func (c *Cluster) Options() kafka.Options {
	return kafka.Options{
		Brokers: c.ListenAddrs(), Prefix: "test.", Partitions: 3, Replication: 1,
		Client: Quick(),
	}
}

// Quick are a client's intervals for tests.
func Quick() []kgo.Opt {
	return []kgo.Opt{
		kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }),
		kgo.HeartbeatInterval(20 * time.Millisecond),
		kgo.FetchMaxWait(50 * time.Millisecond),
	}
}

// Hasty makes options that give up soon on brokers that do not answer.
func Hasty(o kafka.Options) kafka.Options {
	o.Client = append(o.Client[:len(o.Client):len(o.Client)], kgo.RecordDeliveryTimeout(2*time.Second), kgo.RequestTimeoutOverhead(time.Second))
	return o
}
