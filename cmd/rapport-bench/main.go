// Command rapport-bench measures the product. It is a program of its own so that
// the product stays lean.
//
//	rapport-bench list            the benches and what each measures
//	rapport-bench NAME [--json]   run one
//
// Benches on real data read what lies under $RAPPORT_DATA (default
// ../shared/data) and say so when there is nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"sort"
	"strings"

	"rapport/app"
	"rapport/app/cli"
)

// bench measures something and gives its metrics by their keys.
type bench struct {
	what string
	run  func(ctx context.Context) (metrics, error)
}

type metrics map[string]any

var benches = map[string]bench{
	"hot-path":           {"learning, embedded: feedback events folded with the full learner step, durable", hotPath},
	"ingest":             {"feedback over HTTP, one a request, durable when answered, 32 connections, then kill -9", ingest},
	"thumb-to-policy":    {"tone press until the next compile uses it; thumb until the gateway has the new revision", thumbToPolicy},
	"compile":            {"policy to behaviour with a cached profile, one core", compileBench},
	"gateway-overhead":   {"what the gateway adds to a model that answers at once: time alone, requests/s beside a 40-line pass-through", gatewayOverhead},
	"gateway-stream":     {"what the gateway adds to a whole stream of 22 chunks", gatewayStream},
	"gateway-peers":      {"Portkey's open gateway and ours before the same model: requests/s and added time (bench/gateway/install.sh first)", gatewayPeers},
	"policy-visible":     {"an owner's change of a policy until a reply is made with it; embedded, and on PostgreSQL and Kafka", policyVisible},
	"should-reply":       {"to answer or to stay silent, without a model, 2,000 times a second whether the last has ended or not", shouldReply},
	"store":              {"the learner's commit on PostgreSQL against the same statements by the driver alone", store},
	"start":              {"empty directory until the first request is served; resident memory after the demo", start},
	"pages":              {"server's time for each page, looked at by somebody with 1,000 agents; weight of the talk page with all it loads", pages},
	"live":               {"a message sent until it is in the stream of another connection", live},
	"off-policy":         {"off-policy estimators against reference values of logged bandit feedback (real data)", offPolicy},
	"reviewers":          {"what many people's answers say together: accuracy of the plurality, Dawid-Skene and ours on 8 sets (real data)", reviewersBench},
	"asking":             {"prompts that heavy users see (20 talks a day, 6 agents, 4 weeks), and what they answer at a rate of 30 %", askingBench},
	"influence":          {"1,000 events from one account through HTTP, learner and agent: how far they move somebody else's agent, and the cap", influence},
	"abuse":              {"raters who answer without looking, mixed into real crowds: how surely they are found, and who is wronged (real data)", abuseBench},
	"sentiment":          {"sentiment of a text against what people said of it, and what it says of other languages (real data)", sentimentBench},
	"addressee":          {"what a line in a real room answers, and what a wrong addressee costs (real data)", addressee},
	"topic-change":       {"turns that change the topic of a talk: F1 and Pk beside never and always (real data)", topicChange},
	"breakdown":          {"how badly a machine's turn went, from the turn that answers it (real data)", breakdown},
	"signals-throughput": {"room events through chat and feedback with every detector on, until all signals are durable (SQLite)", signalsThroughput},
	"latency":            {"ordinary pauses before an answer that are called slow, in a real room and in bursts (real data)", latency},
	"per-person":         {"what a person answers later, from 3 to 40 own answers and what others said (real data)", perPerson},
	"action-blocks":      {"simulated: action weights in separate blocks against one joint block: regret, time, state", actionBlocks},
	"refit":              {"the population prior from 10,000 agents, the number of kinds by evidence", refit},
	"peers":              {"regret of learners made with Vowpal Wabbit and MABWiser beside ours, same people (bench/peers/install.sh first)", peers},
	"learner-cost":       {"one step of the learner on one core: an entry folded, 1,000 entries folded again, a draw with its density", learnerCost},
	"import":             {"recorded conversations with labels, file to learner (real data)", importBench},
	"main-world":         {"simulated: regret of ours, of ours without a population prior, of an evolution strategy, of standing still", mainWorld},
	"fresh-populations":  {"simulated: in how many populations each built-in learner is beaten", fresh},
	"new-cohort":         {"simulated: agents that begin with what another cohort taught", newCohort},
	"no-effect":          {"simulated: agents that move though no trait matters, by pace", noEffect},
	"good-start":         {"simulated: starts within .1 of the ideal, against standing still", goodStart},
	"half-start":         {"simulated: starts within .2 of the ideal, against standing still", halfStart},
	"drift":              {"simulated: satisfaction 50 sessions after a taste jumped", drift},
	"delay":              {"simulated: signals are heard of 30 sessions later", delay},
	"no-archetypes":      {"simulated: tastes without kinds, against no prior", noKinds},
	"silent-owner":       {"simulated: nearly silent owners, 30 % of agents brigaded by directional votes", silentOwner},
	"tone-buttons":       {"simulated: regret with tone buttons, right and by coin flips, relative to none", toneButtons},
	"shapes":             {"simulated: satisfaction of other shapes than the learner believes", shapes},
	"null-results":       {"simulated: coverage of the 80 % intervals, canaries of a release that changes nothing", nullResults},
}

// errNoData: the bench needs files that are not there.
var errNoData = errors.New("no data: put the files under $RAPPORT_DATA or ../shared/data")

func main() {
	app.Tune() // as the product does
	if len(os.Args) < 2 || slices.Contains(os.Args, "--help") || slices.Contains(os.Args, "-h") {
		fmt.Fprintln(os.Stderr, "usage: rapport-bench list | rapport-bench NAME [--json]")
		os.Exit(2)
	}
	if os.Args[1] == childIngest { // a server to be killed, see ingest.go
		os.Exit(serveChild(os.Args[2:]))
	}
	if os.Args[1] == childPass { // see gatewaymock.go
		os.Exit(passThrough(os.Args[2:]))
	}
	if os.Args[1] == childDemo {
		os.Exit(cli.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if os.Args[1] == "list" {
		list(slices.Contains(os.Args, "--names"))
		return
	}
	b, ok := benches[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "rapport-bench: there is no bench %q; rapport-bench list names them\n", os.Args[1])
		os.Exit(2)
	}
	m, err := b.run(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "rapport-bench %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	report(os.Args[1], m, slices.Contains(os.Args, "--json"))
}

func list(namesOnly bool) {
	for _, name := range sortedKeys(benches) {
		if namesOnly {
			fmt.Println(name)
			continue
		}
		fmt.Printf("%-18s %s\n", name, benches[name].what)
	}
}

func report(name string, m metrics, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(os.Stdout).Encode(map[string]any{"bench": name, "metrics": m, "machine": machine(), "commit": commit()})
		return
	}
	fmt.Printf("%s  (%s)\n", name, machine())
	for _, k := range sortedKeys(m) {
		switch v := m[k].(type) {
		case float64:
			fmt.Printf("  %-28s %.4g\n", k, v)
		case map[string]map[string]float64: // of others beside ours
			for _, name := range sortedKeys(v) {
				fmt.Printf("  %s\n", name)
				for _, k := range sortedKeys(v[name]) {
					fmt.Printf("    %-26s %.4g\n", k, v[name][k])
				}
			}
		default:
			fmt.Printf("  %-28s %v\n", k, v)
		}
	}
}

func machine() string {
	return fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
