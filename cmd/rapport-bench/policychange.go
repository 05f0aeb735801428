package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"rapport/app/client"
	"rapport/internal/eventlog/kafka/kafkatest"
	"rapport/internal/sqldb/scratchpg"
)

const policyChanges = 300

// policyVisible changes an agent's policy as its owner does, and asks the agent
// again and again until a reply was made with the new version: from the sending of
// the change to the sending of that question. Embedded; and, where PostgreSQL is,
// with every database there and the log on Kafka (the one of $RAPPORT_KAFKA_BROKERS,
// else one played in this process), the server in a process of its own.
func policyVisible(ctx context.Context) (metrics, error) {
	embedded, err := changes(ctx)
	if err != nil {
		return nil, err
	}
	out := metrics{"p50_ms": quantile(embedded, .5), "p99_ms": quantile(embedded, .99), "changes": len(embedded)}
	settings, stop, err := elsewhere()
	if errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintln(os.Stderr, "no PostgreSQL is here (apt-get install postgresql, or name a database in RAPPORT_POSTGRES): embedded only")
		return out, nil
	} else if err != nil {
		return nil, err
	}
	defer stop()
	far, err := changes(ctx, settings...)
	if err != nil {
		return nil, err
	}
	out["distributed_p50_ms"], out["distributed_p99_ms"] = quantile(far, .5), quantile(far, .99)
	return out, nil
}

// elsewhere gives the settings for databases and log that are not in the server's
// directory.
func elsewhere() (settings []string, stop func(), err error) {
	dsn, brokers := os.Getenv("RAPPORT_POSTGRES"), os.Getenv("RAPPORT_KAFKA_BROKERS")
	var stops []func()
	stop = func() {
		for _, s := range stops {
			s()
		}
	}
	if dsn == "" {
		server, err := scratchpg.Start(true)
		if err != nil {
			return nil, nil, err
		}
		stops, dsn = append(stops, server.Stop), server.DSN("test")
	}
	if brokers == "" {
		cluster, err := kafkatest.Play()
		if err != nil {
			stop()
			return nil, nil, err
		}
		stops, brokers = append(stops, cluster.Close), strings.Join(cluster.ListenAddrs(), ",")
	}
	return []string{"postgres=" + dsn, "kafka.brokers=" + brokers, fmt.Sprintf("kafka.prefix=bench%d.", time.Now().UnixNano())}, stop, nil
}

// changes gives the milliseconds of each.
func changes(ctx context.Context, settings ...string) (took []float64, err error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	server, err := startChildWith(ctx, dir, nil, settings...)
	if err != nil {
		return nil, err
	}
	defer server.kill()
	var a client.Agent
	if err := server.Do(ctx, http.MethodPost, "/v1/agents", map[string]string{"name": "Bench"}, &a); err != nil {
		return nil, err
	}
	if err := server.Settle(ctx, nil); err != nil {
		return nil, err
	}
	before, err := spokenWith(ctx, server, a)
	if err != nil {
		return nil, err
	}
	for i := range policyChanges {
		begun := time.Now()
		if err := server.Do(ctx, http.MethodPut, "/v1/agents/"+a.ID+"/traits", map[string]any{"traits": map[string]float64{"humor": .3 + .4*float64(i%2)}}, nil); err != nil {
			return nil, err
		}
		for now := before; ; {
			asked := time.Now()
			if now, err = spokenWith(ctx, server, a); err != nil {
				return nil, err
			}
			if now != before {
				took, before = append(took, float64(asked.Sub(begun).Microseconds())/1e3), now
				break
			}
			if since(begun) > 10 {
				return nil, errors.New("no reply with the new policy within 10 s")
			}
		}
	}
	return took, nil
}

// spokenWith is the version of the policy that a reply is made with now.
func spokenWith(ctx context.Context, server *child, a client.Agent) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.Base+"/v1/chat/completions",
		strings.NewReader(`{"model":"agent/`+a.Slug+`","messages":[{"role":"user","content":"How do tides work?"}]}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+server.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := server.HTTP.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("asking the agent: status %d", resp.StatusCode)
	}
	return resp.Header.Get("x-policy-version"), nil
}
