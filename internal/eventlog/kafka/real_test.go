package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/eventlogtest"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
	"rapport/internal/fault"
)

func TestContractOnRealBroker(t *testing.T) {
	t.Parallel()
	b := kafkatest.Real(t)
	eventlogtest.Run(t, func(testing.TB) eventlogtest.Place {
		o := b.Options()
		return func(ctx context.Context) (eventlog.Log, error) { return kafka.Open(ctx, o) }
	})
}

// A broker is killed while records are appended and read, and comes back: nothing
// that was acknowledged is lost, a key's order stays, and who waited goes on.
func TestRealBrokerIsKilled(t *testing.T) {
	t.Parallel()
	b := kafkatest.Own(t)
	o := b.Options()
	o.Client = append(o.Client, kgo.SessionTimeout(2*time.Second))
	l := open(t, o)
	put(t, l, some(0, 70)...)
	r := read(t, l, "g", fromStart)
	take(t, r, 70)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	n, appended := 70, make(chan error, 1)
	go func() {
		for ; ctx.Err() == nil; n += 7 {
			if err := l.Append(context.Background(), some(n, n+7)); err != nil {
				appended <- fmt.Errorf("at %d: %w", n, err)
				return
			}
		}
		appended <- nil
	}()
	for range 2 {
		time.Sleep(200 * time.Millisecond) // so that it is killed in the middle of something
		b.Kill()
		time.Sleep(200 * time.Millisecond)
		if _, err := l.Partitions(brief(t), "agents"); err == nil {
			t.Error("a broker that was killed answers")
		}
		if err := b.Start(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	stop()
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	inOrder(t, firsts(t, read(t, l, "again", fromStart), n), n)
	firsts(t, r, n-70)
	t.Logf("%d records through two kills", n)
}

// brief ends what does not answer at once.
func brief(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// What the brokers forget by their own settings stops who has not read it.
func TestRealRetention(t *testing.T) {
	t.Parallel()
	b := kafkatest.Real(t)
	o := b.Options()
	o.Partitions = 1
	l := open(t, o)
	put(t, l, some(0, 50)...)
	adm, name := b.Admin(t), o.Prefix+"agents"
	set := func(key, value string) {
		t.Helper()
		if _, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, name); err != nil {
			t.Fatal(err)
		}
	}
	kept := read(t, l, "kept", fromStart)
	take(t, kept, 50)
	set("retention.ms", "1")
	for ctx := soon(t); ; time.Sleep(50 * time.Millisecond) {
		first, err := adm.ListStartOffsets(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := first.Lookup(name, 0); o.Offset == 50 {
			break
		}
	}
	late := read(t, l, "late", fromStart)
	for range 2 {
		_, err := late.Next(soon(t), 10)
		if !errors.Is(err, eventlog.ErrPositionLost) || !fault.Is(err, "position_lost") {
			t.Fatal(err)
		}
		for _, word := range []string{name, "retention.ms", "retention.bytes"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not name %s", err, word)
			}
		}
	}
	put(t, l, some(50, 60)...)
	take(t, kept, 10)
	kept.Seek(eventlog.Partition{Topic: "agents"}, 20)
	if _, err := kept.Next(soon(t), 10); !fault.Is(err, "position_lost") || !strings.Contains(err.Error(), "retention.ms") {
		t.Errorf("behind the beginning: %v", err)
	}

	said := listen(t)
	open(t, o).Partitions(t.Context(), "agents")
	if !strings.Contains(said(), "retention.ms=1") {
		t.Errorf("nobody warns of a topic that forgets: %s", said())
	}
	set("cleanup.policy", "compact")
	if err := open(t, o).Append(t.Context(), some(60, 61)); !fault.Is(err, "kafka_topic_compacted") || !strings.Contains(err.Error(), "cleanup.policy") {
		t.Errorf("a topic that keeps one record of a key: %v", err)
	}
}

// A topic that disappears, and one that is made anew with less in it.
func TestRealTopicIsGone(t *testing.T) {
	t.Parallel()
	b := kafkatest.Real(t)
	o := kafkatest.Hasty(b.Options())
	o.Partitions = 1
	l := open(t, o)
	put(t, l, some(0, 20)...)
	if _, err := b.Admin(t).DeleteTopics(t.Context(), o.Prefix+"agents"); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), some(20, 30)); !fault.Is(err, "kafka_topic_missing") || fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), o.Prefix) {
		t.Errorf("to a topic that is gone: %v", err)
	}
	again := open(t, o)
	put(t, again, some(0, 5)...)
	_, err := read(t, again, "g", func(context.Context, eventlog.Partition) (eventlog.Position, error) { return 20, nil }).Next(soon(t), 10)
	if !fault.Is(err, "position_lost") || !strings.Contains(err.Error(), "kafka.prefix") {
		t.Errorf("after 20 of 5: %v", err)
	}
}

// What a user may do decides, and what is missing is said.
func TestRealRights(t *testing.T) {
	t.Parallel()
	b := kafkatest.Real(t)
	o := b.AsUser(b.Options())
	adm := b.Admin(t)
	allow := func(on *kadm.ACLBuilder, ops ...kadm.ACLOperation) {
		t.Helper()
		if _, err := adm.CreateACLs(t.Context(), on.Allow("User:"+kafkatest.User).AllowHosts().Operations(ops...).ResourcePatternType(kadm.ACLPatternPrefixed)); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error, code string, words ...string) {
		t.Helper()
		if !fault.Is(err, code) || fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("want %s: %v", code, err)
		}
		for _, word := range append(words, "kafka.user") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not name %s", err, word)
			}
		}
	}
	eventually := func(want string, try func() error) {
		t.Helper()
		var err error
		for ctx := soon(t); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if err = try(); want == "" && err == nil || want != "" && fault.Is(err, want) {
				return
			}
		}
		t.Fatalf("want %q: %v", want, err)
	}
	l := open(t, o)
	refused(l.Append(t.Context(), some(0, 1)), "kafka_rights", o.Prefix, "Read, Write and Create")
	allow(kadm.NewACLs().Topics(o.Prefix), kadm.OpDescribe)
	eventually("kafka_topic_missing", func() error { return l.Append(t.Context(), some(0, 1)) })
	refused(l.Append(t.Context(), some(0, 1)), "kafka_topic_missing", o.Prefix+"agents", "3 partitions")
	allow(kadm.NewACLs().Topics(o.Prefix), kadm.OpCreate)
	eventually("kafka_rights", func() error { return l.Append(t.Context(), some(0, 1)) })
	allow(kadm.NewACLs().Topics(o.Prefix), kadm.OpWrite)
	eventually("", func() error { return l.Append(t.Context(), some(0, 1)) })
	r := read(t, l, "g", fromStart)
	next := func() error {
		_, err := r.Next(soon(t), 10)
		return err
	}
	refused(next(), "kafka_rights", "Read on groups")
	allow(kadm.NewACLs().Groups(o.Prefix), kadm.OpRead)
	allow(kadm.NewACLs().Topics(o.Prefix), kadm.OpRead)
	eventually("", next)

	o.Password = "wrong"
	if _, err := kafka.Open(t.Context(), o); !fault.Is(err, "kafka_login") || !strings.Contains(err.Error(), "kafka.password") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong password: %v", err)
	}
	o.Brokers = b.Options().Brokers
	if _, err := kafka.Open(t.Context(), o); !strings.Contains(fmt.Sprint(err), "kafka.user") {
		t.Errorf("a login where there is none: %v", err)
	}
	o = b.AsUser(b.Options())
	o.User, o.Password = "", ""
	if _, err := kafka.Open(t.Context(), o); !fault.Is(err, "kafka_unreachable") || !strings.Contains(err.Error(), "kafka.user") {
		t.Errorf("no login where there is one: %v", err)
	}
}

// Topics that cannot be made as the settings say.
func TestRealReplication(t *testing.T) {
	t.Parallel()
	o := kafkatest.Real(t).Options()
	o.Replication = 3
	if err := open(t, o).Append(t.Context(), some(0, 1)); !fault.Is(err, "invalid_setting") || !strings.Contains(err.Error(), "kafka.replication") {
		t.Errorf("three copies on one broker: %v", err)
	}
}

// What answers at the address is no Kafka, or names an address that nobody reaches.
func TestWrongAddresses(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	if _, err := kafka.Open(t.Context(), kafkatest.Hasty(kafka.Options{Brokers: []string{web.Listener.Addr().String()}})); !fault.Is(err, "kafka_unreachable") || !strings.Contains(err.Error(), "kafka.brokers") {
		t.Errorf("a web server: %v", err)
	}
	if _, err := kafka.Open(t.Context(), kafka.Options{Brokers: []string{"kafka.invalid:9092"}}); !fault.Is(err, "kafka_unreachable") || !strings.Contains(err.Error(), "kafka.invalid:9092") {
		t.Errorf("a name that nobody has: %v", err)
	}
	c := kafkatest.New(t)
	o := c.Options()
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, asked := range req.(*kmsg.MetadataRequest).Topics {
			resp.Topics = append(resp.Topics, kmsg.MetadataResponseTopic{Topic: asked.Topic, ErrorCode: kerr.UnknownTopicOrPartition.Code})
		}
		resp.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: "127.0.0.1", Port: 1}}
		resp.ControllerID = 1
		return resp, nil, true
	})
	if _, err := open(t, o).Partitions(t.Context(), "agents"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "advertised.listeners") {
		t.Errorf("brokers that tell another address: %v", err)
	}
}

// Somebody who listens at the address and never answers.
func TestSilentAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := kafka.Open(t.Context(), kafkatest.Hasty(kafka.Options{Brokers: []string{l.Addr().String()}})); !fault.Is(err, "kafka_unreachable") {
		t.Error(err)
	}
}

var listening sync.Mutex

// listen gives what is logged from now on.
func listen(t *testing.T) func() string {
	listening.Lock()
	old := slog.Default()
	buf := &lockedBuffer{}
	slog.SetDefault(slog.New(slog.NewTextHandler(buf, nil)))
	t.Cleanup(func() {
		slog.SetDefault(old)
		listening.Unlock()
	})
	return buf.String
}

type lockedBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.String()
}
