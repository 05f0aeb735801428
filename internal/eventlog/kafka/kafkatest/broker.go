package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"rapport/internal/eventlog/kafka"
)

// Broker is a real Apache Kafka in a process of its own, which ends with this
// one. It makes no topics by itself. Whoever comes without a name may do
// everything; the user of SASL may do what rights say.
type Broker struct {
	dir    string
	addr   string // for anybody
	locked string // for users
	java   string
	jars   string
	life   io.Writer // a line to it, or the end of this process, ends the broker's
	ended  chan struct{}
}

// The user that a broker knows.
const User, Password = "ada", "ada-secret"

// prefixes of the logs that tests have on one broker.
var prefixes atomic.Int64

// shared is the broker of this process' tests.
var shared = sync.OnceValues(func() (*Broker, error) {
	jars, java, err := installed()
	if err != nil {
		return nil, err
	}
	return start(jars, java)
})

// errAbsent: Kafka or Java is not here.
var errAbsent = errors.New("no Apache Kafka is here, so nothing is tested on it: internal/eventlog/kafka/kafkatest/install.sh fetches it (Java 17, Maven)")

// Real gives the broker that all tests of this process share: none of them stops
// it. It skips with -short and where Kafka is not installed, which is an error
// where CI is set.
func Real(t testing.TB) *Broker {
	t.Helper()
	return present(t, shared)
}

// Own starts a broker that ends with the test, and may be killed by it before.
func Own(t testing.TB) *Broker {
	t.Helper()
	b := present(t, func() (*Broker, error) {
		jars, java, err := installed()
		if err != nil {
			return nil, err
		}
		return start(jars, java)
	})
	t.Cleanup(func() {
		b.Kill()
		os.RemoveAll(b.dir)
	})
	return b
}

func present(t testing.TB, start func() (*Broker, error)) *Broker {
	t.Helper()
	if testing.Short() {
		t.Skip("a real Kafka takes seconds to start")
	}
	b, err := start()
	if errors.Is(err, errAbsent) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// installed finds the jars and Java.
func installed() (jars, java string, err error) {
	home := os.Getenv("RAPPORT_KAFKA_HOME")
	if home == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", "", errAbsent
		}
		home = filepath.Join(cache, "rapport-kafka")
	}
	jars = filepath.Join(home, "libs")
	if found, _ := filepath.Glob(filepath.Join(jars, "kafka_2.13-*.jar")); len(found) == 0 {
		return "", "", errAbsent
	}
	if java, err = exec.LookPath("java"); err != nil {
		return "", "", errAbsent
	}
	return jars, java, nil
}

// properties of a broker that is its own controller, in a folder, on three ports.
const properties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:%[4]d
listeners=ANYBODY://127.0.0.1:%[2]d,USERS://127.0.0.1:%[3]d,CONTROLLER://127.0.0.1:%[4]d
listener.security.protocol.map=ANYBODY:PLAINTEXT,USERS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=ANYBODY
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.users.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs=%[1]s/data
log.index.size.max.bytes=262144
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=100
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=100
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
log.initial.task.delay.ms=500
`

// start makes a broker and waits until it answers.
func start(jars, java string) (*Broker, error) {
	memory := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		memory = "/dev/shm"
	}
	dir, err := os.MkdirTemp(memory, "rapport-kafka")
	if err != nil {
		return nil, err
	}
	b := &Broker{dir: dir, java: java, jars: jars}
	ports, err := free(3)
	if err != nil {
		return nil, err
	}
	b.addr, b.locked = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	if err := os.WriteFile(b.settings(), fmt.Appendf(nil, properties, dir, ports[0], ports[1], ports[2]), 0o600); err != nil {
		return nil, err
	}
	format := exec.Command(java, b.run("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", b.settings(),
		"--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", User, Password))...)
	if out, err := format.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("formatting the storage of Kafka: %w\n%s", err, out)
	}
	if err := b.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return b, nil
}

// free gives ports that nobody listens on.
func free(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (b *Broker) settings() string { return filepath.Join(b.dir, "server.properties") }

// run are the arguments of Java for a program of Kafka.
func (b *Broker) run(class string, args ...string) []string {
	return append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
		"-cp", filepath.Join(b.jars, "*"), class}, args...)
}

// supervise runs the command in its arguments, in the folder $0, and kills it when
// a line comes on the standard input or that ends, as it does with the process
// that started it. Then the folder goes, too.
const supervise = `trap '' INT
"$@" >>"$0/log" 2>&1 & pid=$!
exec 3<&0
{ read line; kill -9 $pid; [ "$line" = keep ] || while ! rm -rf "$0"; do sleep .2; done; } <&3 &
wait $pid`

// Start starts the broker again after Kill, where it was and with what it had.
func (b *Broker) Start() error {
	cmd := exec.Command("/bin/sh", append([]string{"-c", supervise, b.dir, b.java}, b.run("kafka.Kafka", b.settings())...)...)
	var err error
	if b.life, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	b.ended = ended
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	late := time.After(time.Minute)
	for {
		err := b.answers()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
			continue
		case <-ended:
		case <-late:
			b.Kill()
		}
		log, _ := os.ReadFile(filepath.Join(b.dir, "log"))
		return fmt.Errorf("the broker does not start: %w\n%s", err, log)
	}
}

// answers says whether the broker does what it is asked.
func (b *Broker) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.Ping(ctx)
}

// Kill ends the broker's process with signal 9.
func (b *Broker) Kill() {
	fmt.Fprintln(b.life, "keep")
	<-b.ended
}

// Options lead a log of its own to the broker.
func (b *Broker) Options() kafka.Options {
	return kafka.Options{
		Brokers: []string{b.addr}, Prefix: fmt.Sprint("t", prefixes.Add(1), "."), Partitions: 3, Replication: 1,
		Client: append(Quick(), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond })), // it starts on the same processors
	}
}

// AsUser changes options to the broker's user, who may do nothing that nobody
// allowed.
func (b *Broker) AsUser(o kafka.Options) kafka.Options {
	o.Brokers, o.User, o.Password = []string{b.locked}, User, Password
	return o
}

// Admin asks the broker for anything.
func (b *Broker) Admin(t testing.TB) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}
