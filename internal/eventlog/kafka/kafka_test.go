package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"rapport/internal/eventlog"
	"rapport/internal/eventlog/eventlogtest"
	"rapport/internal/eventlog/kafka"
	"rapport/internal/eventlog/kafka/kafkatest"
	"rapport/internal/fault"
)

func TestContract(t *testing.T) {
	t.Parallel()
	eventlogtest.Run(t, func(t testing.TB) eventlogtest.Place {
		c := kafkatest.New(t)
		return func(ctx context.Context) (eventlog.Log, error) { return kafka.Open(ctx, c.Options()) }
	})
}

func open(t testing.TB, o kafka.Options) *kafka.Log {
	t.Helper()
	l, err := kafka.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func put(t testing.TB, l eventlog.Log, records ...eventlog.Record) {
	t.Helper()
	if err := l.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// some gives the records from to to of topic agents over seven keys.
func some(from, to int) (out []eventlog.Record) {
	for i := from; i < to; i++ {
		out = append(out, eventlog.Record{Topic: "agents", Key: fmt.Sprint("key", i%7), ID: fmt.Sprintf("%05d", i), Type: "t", Value: []byte("{}")})
	}
	return out
}

func fromStart(context.Context, eventlog.Partition) (eventlog.Position, error) { return 0, nil }

// read joins a group that leaves with the test.
func read(t testing.TB, l eventlog.Log, group string, from func(context.Context, eventlog.Partition) (eventlog.Position, error)) eventlog.Reader {
	t.Helper()
	r, err := l.Read(t.Context(), group, []string{"agents"}, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// soon ends what should have come long ago.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// take reads n records or more, through troubles that pass.
func take(t testing.TB, r eventlog.Reader, n int) (out []eventlog.Record) {
	t.Helper()
	for ctx := soon(t); len(out) < n; {
		records, err := r.Next(ctx, 10)
		if err != nil && fault.KindOf(err) != fault.Unavailable {
			t.Fatalf("after %d of %d records: %v", len(out), n, err)
		}
		out = append(out, records...)
	}
	return out
}

// firsts reads until n records have come, and gives each where it came first: a
// group that begins anew asks from again, and these readers know nothing.
func firsts(t testing.TB, r eventlog.Reader, n int) (out []eventlog.Record) {
	t.Helper()
	for seen := map[string]bool{}; len(out) < n; {
		for _, rec := range take(t, r, 1) {
			if !seen[rec.ID] {
				out = append(out, rec)
			}
			seen[rec.ID] = true
		}
	}
	return out
}

// inOrder expects each key's ids from 0 to n, each once.
func inOrder(t testing.TB, got []eventlog.Record, n int) {
	t.Helper()
	next := map[string]int{}
	for i := range 7 {
		next[fmt.Sprint("key", i)] = i
	}
	for _, r := range got {
		if want := fmt.Sprintf("%05d", next[r.Key]); r.ID != want {
			t.Fatalf("%s: %s came, want %s", r.Key, r.ID, want)
		}
		next[r.Key] += 7
	}
	if len(got) != n {
		t.Errorf("%d records, want %d", len(got), n)
	}
}

// Keys lie where Java's clients put them. The hashes are those of Kafka's own
// test of its murmur2.
func TestKeysLieWhereJavaPutsThem(t *testing.T) {
	t.Parallel()
	o := kafkatest.New(t).Options()
	o.Partitions = 8
	l := open(t, o)
	hashes := map[string]int32{"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107}
	for key := range hashes {
		put(t, l, eventlog.Record{Topic: "agents", Key: key, ID: key})
	}
	r := read(t, l, "g", fromStart)
	for _, rec := range take(t, r, len(hashes)) {
		if want := int(hashes[rec.Key]&0x7fffffff) % 8; rec.Partition != want {
			t.Errorf("%s is in partition %d, want %d", rec.Key, rec.Partition, want)
		}
	}
}

func TestTopics(t *testing.T) {
	t.Parallel()
	c := kafkatest.New(t, kfake.SeedTopics(5, "test.rooms"))
	l := open(t, c.Options())
	for topic, want := range map[string]int{"agents": 3, "rooms": 5} { // made, and there before
		ends, err := l.Partitions(t.Context(), topic)
		if err != nil || len(ends) != want {
			t.Errorf("%s has %d partitions, want %d: %v", topic, len(ends), want, err)
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(t.Context(), "test.agents")
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, config := range configs {
		for _, c := range config.Configs {
			if (c.Key == "retention.ms" || c.Key == "retention.bytes") && c.MaybeValue() == "-1" {
				kept++
			}
		}
	}
	if kept != 2 {
		t.Errorf("a topic that was made forgets: %+v", configs)
	}
	name, err := l.Name(t.Context())
	if err != nil || !strings.HasSuffix(name, "/test.") || len(name) < 8 {
		t.Errorf("the log's name is %q, %v", name, err)
	}
}

// A log belongs to who called it its own first.
func TestBelong(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]func(t *testing.T) kafka.Options{
		"played": func(t *testing.T) kafka.Options { return kafkatest.New(t).Options() },
		"real":   func(t *testing.T) kafka.Options { return kafkatest.Real(t).Options() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := o(t)
			for range 2 {
				if err := open(t, o).Belong(t.Context(), "agents", "ada"); err != nil {
					t.Fatal(err)
				}
			}
			if err := open(t, o).Belong(t.Context(), "agents", "bob"); !fault.Is(err, "another_log") || !strings.Contains(err.Error(), "kafka.prefix") {
				t.Errorf("another owner: %v", err)
			}
			o.Prefix += "other."
			if err := open(t, o).Belong(t.Context(), "agents", "bob"); err != nil {
				t.Errorf("with another prefix: %v", err)
			}
		})
	}
}

func TestRefusedRecords(t *testing.T) {
	t.Parallel()
	l := open(t, kafkatest.New(t).Options())
	for code, bad := range map[string]eventlog.Record{
		"record_incomplete": {Topic: "agents"},
		"record_too_large":  {Topic: "agents", ID: "1", Value: make([]byte, 1<<20)},
	} {
		if err := l.Append(t.Context(), append(some(0, 3), bad)); !fault.Is(err, code) {
			t.Errorf("%s: %v", code, err)
		}
	}
	put(t, l, eventlog.Record{Topic: "agents", Key: "key0", ID: "large", Value: make([]byte, 980_000)})
	if got := take(t, read(t, l, "g", fromStart), 1); len(got) != 1 || len(got[0].Value) != 980_000 {
		t.Errorf("%d records came, something refused among them", len(got))
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	nobody := kafka.Options{Brokers: []string{"127.0.0.1:1"}}
	if _, err := kafka.Open(t.Context(), nobody); !fault.Is(err, "kafka_unreachable") || fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "kafka.brokers") {
		t.Error("nobody there:", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := kafka.Open(ended, nobody); !errors.Is(err, context.Canceled) {
		t.Error("an ended context:", err)
	}
	if _, err := kafka.Open(t.Context(), kafka.Options{}); !fault.Is(err, "invalid_setting") {
		t.Error("no brokers:", err)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	for mechanism, encrypted := range map[string]bool{"SCRAM-SHA-512": false, "SCRAM-SHA-256": true, "PLAIN": true} {
		opts := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser(mechanism, "ada", "secret")}
		if encrypted {
			opts = append(opts, kfake.TLS(server))
		}
		o := kafkatest.New(t, opts...).Options()
		o.User, o.Password = "ada", "secret"
		if encrypted {
			o.TLS = client
		}
		put(t, open(t, o), some(0, 10)...)
		o.Password = "other"
		if _, err := kafka.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "kafka.user") || strings.Contains(err.Error(), "other") {
			t.Errorf("%s with a wrong password: %v", mechanism, err)
		}
		if encrypted {
			o.TLS = nil
			if _, err := kafka.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "kafka.tls") {
				t.Errorf("%s not encrypted: %v", mechanism, err)
			}
		}
	}
	plain := kafkatest.New(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "ada", "secret")).Options()
	plain.User, plain.Password = "ada", "secret"
	if _, err := kafka.Open(t.Context(), plain); err == nil {
		t.Error("a password went over the wire as it is")
	}
}

// certificate gives both sides' settings for 127.0.0.1.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
}
