package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"rapport/app/client"
	"rapport/event"
)

const childEnv = "RAPPORT_TEST_CHILD"

// child is the whole product on a directory, until it is killed. It says where it
// listens on its first line.
func child(dir string) int {
	cfg, err := LoadConfig(map[string]any{"data": dir, "listen": "127.0.0.1:0", "provider.offline": true})
	if err == nil {
		var a *App
		if a, err = Open(context.Background(), cfg); err == nil {
			if err = a.Start(context.Background()); err == nil {
				fmt.Println(a.URL())
				err = a.Wait(context.Background())
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// sound holds a settled product to what must be true of any: no dead letters, and
// every projection what a replay of the log gives.
func sound(t testing.TB, r *rig) {
	t.Helper()
	r.settle()
	var letters []Letter
	r.admin.must("GET", "/v1/admin/dead-letters", nil, &letters)
	if len(letters) > 0 {
		t.Errorf("dead letters: %+v", letters)
	}
	var verdicts []Rebuilt
	r.admin.must("POST", "/v1/admin/rebuild", map[string]bool{"check": true}, &verdicts)
	if len(verdicts) < 15 {
		t.Errorf("only %d projections were compared", len(verdicts))
	}
	for _, v := range verdicts {
		if !v.Equal {
			t.Errorf("%s.%s differs from a replay of the log", v.Context, v.Table)
		}
	}
}

// TestKill gives feedback over several connections to a process that is killed at
// any moment, again and again. What was acknowledged is there once, in feedback
// and in what learning counts.
func TestKill(t *testing.T) {
	t.Parallel()
	killed(t, t.TempDir(), func(*Config) {})
}

// elsewhere is the environment of a process with the settings of cfg.
func elsewhere(cfg Config) []string {
	return append(os.Environ(), envPrefix+"POSTGRES="+cfg.Postgres, envPrefix+"KAFKA_BROKERS="+cfg.Kafka.Brokers, envPrefix+"KAFKA_PREFIX="+cfg.Kafka.Prefix)
}

// completed asks for an answer and gives its decision.
func completed(c *client.Client, slug string) (event.DecisionID, error) {
	resp, err := c.Send(context.Background(), "POST", "/v1/chat/completions", "application/json", strings.NewReader(`{"model":"agent/`+slug+`","messages":[{"role":"user","content":"How do tides work?"}]}`))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct{ ID event.DecisionID }
	return answer.ID, json.NewDecoder(resp.Body).Decode(&answer)
}

func killed(t *testing.T, dir string, change func(*Config)) {
	rounds, ratings := 6, 8
	if testing.Short() {
		rounds = 2
	}
	seed := uint64(20260302)
	random := rand.New(rand.NewPCG(seed, 1))

	// Everybody has a session with Luna to rate, made in peace.
	r := run(t, dir, func(c *Config) { c.Clock = nil }, change)
	cfg := r.cfg
	ada := r.person("Ada")
	luna := ada.make("Luna", nil)
	type rater struct {
		*person
		session event.SessionID
		message event.MessageID
	}
	raters := make([]rater, ratings)
	for i := range raters {
		p := r.person(fmt.Sprint("Guest", i))
		one := luna.with(p)
		at := one.tell("Hello!")
		raters[i] = rater{person: p}
		r.ask("Luna answers", func() bool {
			var page roomPage
			p.must("GET", fmt.Sprintf("/v1/rooms/%s/messages?after=%d", one.room, at), nil, &page)
			if len(page.Messages) == 0 {
				return false
			}
			var d struct {
				SessionID event.SessionID
				Action    string
			}
			p.must("GET", "/v1/decisions/"+string(page.Messages[0].DecisionID), nil, &d)
			raters[i].session, raters[i].message = d.SessionID, page.Messages[0].ID
			return d.Action != ""
		})
	}
	r.settle()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	var mu sync.Mutex
	acknowledged, answered := map[event.FeedbackID]bool{}, map[event.DecisionID]bool{}
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(elsewhere(cfg), childEnv+"="+dir)
		var complaints bytes.Buffer
		cmd.Stderr = &complaints
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("round %d: the process did not start: %s", round, complaints.String())
		}
		base := lines.Text()
		go io.Copy(io.Discard, out)
		given := make(chan struct{}, 1<<16)
		var wg sync.WaitGroup
		for _, p := range raters {
			c := &client.Client{Base: base, Token: p.Token, HTTP: &http.Client{Transport: &http.Transport{}}}
			wg.Go(func() {
				for n := 0; ; n++ {
					if n%3 == 0 { // an answer, whose decision was durable before it left
						id, err := completed(c, luna.Slug)
						if err != nil {
							return
						}
						mu.Lock()
						answered[id] = true
						mu.Unlock()
						given <- struct{}{}
					}
					body, _ := json.Marshal(map[string]string{"kind": "session", "value": []string{"loved", "good", "meh", "not_great"}[n%4], "sessionId": string(p.session)})
					resp, err := c.Send(context.Background(), "POST", "/v1/feedback", "application/json", bytes.NewReader(body))
					if err != nil {
						if problemCode(err) == "too_much_feedback" {
							time.Sleep(time.Millisecond)
							given <- struct{}{}
							continue
						}
						return // killed
					}
					var f receipt
					err = json.NewDecoder(resp.Body).Decode(&f)
					resp.Body.Close()
					if err != nil {
						return // killed within the answer: nobody was told
					}
					mu.Lock()
					acknowledged[f.FeedbackID] = true
					mu.Unlock()
					given <- struct{}{}
				}
			})
		}
		for range 5 + random.IntN(250) { // the moment, counted in answers
			<-given
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		go func() {
			for range given {
			}
		}()
		wg.Wait()
		close(given)
		_ = cmd.Wait()
	}
	if len(answered) < rounds {
		t.Fatalf("only %d were answered", len(answered))
	}
	if len(acknowledged) < rounds*5 {
		t.Fatalf("only %d were acknowledged", len(acknowledged))
	}

	r = run(t, dir, func(c *Config) { c.Clock = nil }, change)
	r.settle()
	decided := map[event.DecisionID]int{}
	for line := range bytes.Lines(dump(t, r.App, "gateway", "decisions")) {
		if rest, ok := bytes.CutPrefix(line, []byte(`decision_id="`)); ok {
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			decided[event.DecisionID(id)]++
		}
	}
	for id := range answered {
		if decided[id] != 1 {
			t.Errorf("decision %s was answered with and is stored %d times", id, decided[id])
		}
	}
	stored, live := map[event.FeedbackID]int{}, 0
	for line := range bytes.Lines(dump(t, r.App, "feedback", "feedback_events")) {
		if rest, ok := bytes.CutPrefix(line, []byte(`feedback_id="`)); ok {
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			stored[event.FeedbackID(id)]++
			if bytes.Contains(line, []byte(" live=true ")) {
				live++
			}
		}
	}
	for id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("seed %d: %s was acknowledged and is there %d times", seed, id, stored[id])
		}
	}
	if live != len(raters) {
		t.Errorf("seed %d: %d ratings are live, want one of each of %d people", seed, live, len(raters))
	}
	if counted := fmt.Sprintf(" score_count=%d ", live); !bytes.Contains(dump(t, r.App, "learning", "rl_feedback_projection"), []byte(counted)) {
		t.Errorf("seed %d: learning does not count the %d ratings that are live", seed, live)
	}
	told := map[string]int{}
	if err := r.eachEvent(context.Background(), every, func(e event.Event) error {
		if e.Type == (event.FeedbackCreated{}).EventType() {
			told[e.ID]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for id := range stored {
		if n := told[string(id)]; n < 1 || n > 1 && cfg.Kafka.Brokers == "" { // on Kafka it may lie twice
			t.Errorf("seed %d: the log tells %d times of %s", seed, told[string(id)], id)
		}
	}
	sound(t, r)
	t.Logf("%d ratings acknowledged over %d kills, %d stored", len(acknowledged), rounds, len(stored))
}
