package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// errNoPortkey: somebody else's gateway is not there.
var errNoPortkey = errors.New("no other gateway: bench/gateway/install.sh fetches Portkey's (needs Node 20 with npm)")

// gatewayPeers puts Portkey's open gateway and ours before the same model that
// answers at once, in one run: calls by turns, then windows of 16 callers that
// alternate. Portkey runs as its package starts it, one process without its console,
// and is told the model's address as its custom host. Ours has everything on.
func gatewayPeers(ctx context.Context) (metrics, error) {
	m := newMock("A short answer, as people give it in a talk.")
	defer m.Close()
	theirs, stop, err := startPortkey(ctx, m)
	if err != nil {
		return nil, err
	}
	defer stop()
	g, err := startGateway(ctx, m, overheadAgents)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	direct := target{name: "model", url: m.URL, headers: map[string]string{"Authorization": "Bearer x"}}
	alone, err := byTurns(ctx, overheadCalls, overheadWarm, once, direct, theirs, g.target)
	if err != nil {
		return nil, err
	}
	portkeyAdds, adds := quantile(alone[1], .5)-quantile(alone[0], .5), quantile(alone[2], .5)-quantile(alone[0], .5)
	var of, ours, ratios []float64
	for pair := range overheadPairs + 1 {
		runtime.GC()
		a, _, err := window(ctx, overheadWindow, overheadAtOnce, theirs)
		if err != nil {
			return nil, err
		}
		b, _, err := window(ctx, overheadWindow, overheadAtOnce, g.target)
		if err != nil {
			return nil, err
		}
		if err := g.server.Settle(ctx, nil); err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "Portkey %.0f/s, gateway %.0f/s\n", a, b)
		if pair > 0 {
			of, ours, ratios = append(of, a), append(ours, b), append(ratios, b/a)
		}
	}
	dropped, err := g.dropped(ctx)
	return metrics{
		"throughput_ratio_portkey": quantile(ratios, .5), "added_p50_ratio_portkey": adds / portkeyAdds,
		"requests_per_second_c16": quantile(ours, .5), "portkey_requests_per_second_c16": quantile(of, .5),
		"added_p50_ms": adds, "portkey_added_p50_ms": portkeyAdds, "dropped": dropped,
	}, err
}

// startPortkey starts it on a free port and waits until it answers.
func startPortkey(ctx context.Context, m *mock) (t target, stop func(), err error) {
	dir, err := filepath.Abs(filepath.Join("bench", "gateway"))
	if err != nil {
		return t, nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return t, nil, errNoPortkey
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", ".installed")); err != nil {
		return t, nil, errNoPortkey
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return t, nil, err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	cmd := exec.CommandContext(ctx, node, filepath.Join(dir, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js"), "--port="+port, "--headless")
	cmd.Env = append(os.Environ(), "NODE_ENV=production")
	if err := cmd.Start(); err != nil {
		return t, nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	base := "http://127.0.0.1:" + port
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(base)
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(end) {
			stop()
			return t, nil, fmt.Errorf("the gateway of Portkey did not start: %w", err)
		}
	}
	return target{name: "Portkey", url: base + "/v1", headers: map[string]string{
		"Authorization": "Bearer x", "x-portkey-provider": "openai", "x-portkey-custom-host": m.URL,
	}}, stop, nil
}
