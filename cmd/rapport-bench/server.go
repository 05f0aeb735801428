package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rapport/app"
	"rapport/app/client"
)

// childIngest as the first argument makes this program a plain server: one that
// can be killed, and whose memory is its own.
const childIngest = "serve-child"

// childDemo as the first argument makes it the product's own command line.
const childDemo = "product"

func serveChild(args []string) int {
	settings := map[string]any{"data": args[0], "listen": "127.0.0.1:0", "provider.offline": true, "log.level": "error", "agents.places": 0, "agents.replies": 0}
	for _, more := range args[1:] {
		key, value, _ := strings.Cut(more, "=")
		settings[key] = value
	}
	cfg, err := app.LoadConfig(settings)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	a, err := app.Open(ctx, cfg)
	if err == nil {
		err = a.Start(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening on " + a.URL())
	if err := a.Wait(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

// child is a server in a process of its own.
type child struct {
	*client.Client
	cmd *exec.Cmd
	dir string
}

// startChild starts a server on a directory and waits for its address.
func startChild(ctx context.Context, dir string) (*child, error) {
	return startChildWith(ctx, dir, nil)
}

// startChildWith is startChild with more in the environment, and with settings as
// key=value.
func startChildWith(ctx context.Context, dir string, environment []string, settings ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{childIngest, dir}, settings...)...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	base := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	token, err := os.ReadFile(filepath.Join(dir, app.TokenFile))
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &child{&client.Client{Base: base, Token: strings.TrimSpace(string(token)), HTTP: &http.Client{Transport: transport}}, cmd, dir}, nil
}

// kill ends the server without any warning.
func (c *child) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	_ = c.cmd.Wait()
}

// residentMB is the memory the server has in RAM.
func (c *child) residentMB() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			return kb / 1024, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS in /proc/%d/status", c.cmd.Process.Pid)
}

// startDemo lives the demo's world in a process of its own and waits for its end;
// the server stays up.
func startDemo(ctx context.Context, dir string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, childDemo, "demo", "--json", "--data", dir, "--listen", "127.0.0.1:0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("the demo ended early: %w", err)
		}
		if strings.TrimSpace(line) == "}" { // the end of the summary
			return &child{cmd: cmd, dir: dir}, nil
		}
	}
}

// scratchDir is a directory that is gone afterwards.
func scratchDir() (string, func(), error) {
	dir, err := os.MkdirTemp("", "rapport-bench-")
	return dir, func() { os.RemoveAll(dir) }, err
}

func since(t time.Time) float64 { return time.Since(t).Seconds() }
