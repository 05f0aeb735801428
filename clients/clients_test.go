// Package clients holds no code, only tests of the program as it is built, between
// what stands on both sides of it: client libraries that people have, and a real
// language model.
//
// Start reading at TestClients, then a script in testdata; then at TestAModel.
package clients

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/gateway/provider/providertest"
)

// TestClients runs a script per client library. Every script lists its steps as
// it passes them, so that one that ends early is seen.
func TestClients(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("talks through real client libraries; cut for -short")
	}
	dir := fetched(t, "RAPPORT_CLIENTS", "rapport-clients", ".")
	program := build(t)
	scripts := t.TempDir() // beside the modules, as in a project of their own
	if err := os.CopyFS(scripts, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(scripts, "node_modules")); err != nil {
		t.Fatal(err)
	}

	// A model whose connection breaks in every answer.
	var cut []providertest.Step
	for range 32 {
		cut = append(cut, providertest.Step{Reply: strings.SplitAfter(strings.Repeat("It rains and rains. ", 20), " "), DieAfter: 60})
	}
	broken := providertest.NewFake(t, cut...)

	whole := start(t, program, "RAPPORT_PROVIDER_OFFLINE=true")
	env := append(environment(), "AGENT=agent/mira", "SILENT=agent/otto", "URL="+whole.url, "TOKEN="+whole.owner())

	steps := []string{"models", "chat", "stream", "refusals", "broken", "feedback", "session"}
	for _, c := range []struct {
		name, command, script string
		steps                 []string
	}{
		{"openai-python", filepath.Join(dir, "venv", "bin", "python"), "openai_python.py", steps},
		{"openai-node", "node", "openai_node.mjs", steps},
		{"langchain", "node", "langchain.mjs", steps[1:]}, // it has no list of models
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			frail := start(t, program, "RAPPORT_PROVIDER_BASE_URL="+broken.URL, "RAPPORT_PROVIDER_MODEL=llama-test") // one each: it leaves a model alone that fails again and again
			cmd := exec.CommandContext(t.Context(), c.command, filepath.Join(scripts, c.script))
			cmd.Env = append(slices.Clone(env), "FRAIL_URL="+frail.url, "FRAIL_TOKEN="+frail.owner())
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, &errs)
			}
			want := "ok " + strings.Join(c.steps, "\nok ") + "\n"
			if diff := cmp.Diff(want, string(out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// build makes the program. The cache of test results goes by the folders and files
// that a test opens, not by what go build reads, so all folders are opened.
func build(t *testing.T) string {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != ".." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "rapport")
	if out, err := exec.Command("go", "build", "-o", program, "rapport/cmd/rapport").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// fetched gives what the install.sh of a folder fetched: $variable, else name in
// the cache of the person who runs this. Without the versions that are pinned the
// test skips, in CI it fails.
func fetched(t *testing.T, variable, name, folder string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				t.Fatal(err)
			}
			cache = filepath.Join(home, ".cache")
		}
		dir = filepath.Join(cache, name)
	}
	for _, pins := range []string{"requirements.txt", "package-lock.json"} {
		want, err := os.ReadFile(filepath.Join(folder, pins))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, pins))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			missing := t.Skipf
			if os.Getenv("CI") != "" {
				missing = t.Fatalf
			}
			missing("%s is not there; %s fetches it (it needs Python 3 and Node)", dir, filepath.Join("clients", folder, "install.sh"))
		}
	}
	return dir
}

// environment is this process's without what would lead the program or a client
// elsewhere.
func environment() (env []string) {
	for _, v := range os.Environ() {
		name := strings.ToUpper(v)
		if !strings.HasPrefix(name, "RAPPORT_") && !strings.HasPrefix(name, "OPENAI_") && !strings.HasPrefix(name, "LANGCHAIN_") && !strings.HasPrefix(name, "LANGSMITH_") {
			env = append(env, v)
		}
	}
	return append(env, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
}

// server is a running program on a directory of its own.
type server struct {
	t     *testing.T
	url   string
	token string // the operator's
}

func start(t *testing.T, program string, env ...string) *server {
	t.Helper()
	data := t.TempDir()
	cmd := exec.Command(program, "--data", data, "--listen", "127.0.0.1:0", "serve")
	cmd.Env = append(environment(), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		late := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v\n%s", err, &errs)
		}
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("the program's first line is %q\n%s", line, &errs)
	}
	token, err := os.ReadFile(filepath.Join(data, "local-token"))
	if err != nil {
		t.Fatal(err)
	}
	return &server{t, url, strings.TrimSpace(string(token))}
}

// owner makes somebody with two agents, of which one is killed, and gives a token
// of theirs.
func (s *server) owner() string {
	s.t.Helper()
	var person struct{ ID string }
	s.post(s.token, "/v1/people", map[string]any{"handle": "ann", "name": "Ann"}, &person)
	var token struct{ Token string }
	s.post(s.token, "/v1/tokens", map[string]any{"person": person.ID, "name": "clients", "scopes": []string{"chat", "feedback", "agents"}}, &token)
	s.post(token.Token, "/v1/agents", map[string]any{"name": "Mira"}, nil)
	s.post(token.Token, "/v1/agents", map[string]any{"name": "Otto"}, nil)
	s.post(token.Token, "/v1/agents/otto/kill", map[string]any{}, nil)
	return token.Token
}

func (s *server) post(token, path string, body, out any) {
	s.t.Helper()
	s.do(token, http.MethodPost, path, body, out)
}

// do sends a request that has to succeed.
func (s *server) do(token, method, path string, body, out any) {
	s.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(data))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		why, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("%s %s: %s %s", method, path, resp.Status, why)
	}
	if out != nil {
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
			s.t.Fatal(fmt.Errorf("%s %s: %w", method, path, err))
		}
	}
}
