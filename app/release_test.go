package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning"
	"rapport/learning/evaluate"
	"rapport/learning/fusion"
	"rapport/learning/population"
	"rapport/learning/step"
)

// night runs all jobs and gives their outcomes.
func (r *rig) night() map[string]learning.Run {
	r.t.Helper()
	var jobs []learning.Run
	r.admin.must("GET", "/v1/admin/jobs", nil, &jobs)
	out := map[string]learning.Run{}
	for _, j := range jobs {
		var run learning.Run
		r.clock.advance(time.Second)
		r.admin.must("POST", "/v1/admin/jobs/"+j.Name, nil, &run)
		out[j.Name] = run
	}
	r.settle()
	return out
}

// rebuilt checks that a replay of the log gives the projections that are there.
func (r *rig) rebuilt() {
	r.t.Helper()
	var tables []Rebuilt
	r.admin.must("POST", "/v1/admin/rebuild", map[string]bool{"check": true}, &tables)
	if len(tables) == 0 {
		r.t.Error("nothing was compared")
	}
	for _, table := range tables {
		if !table.Equal {
			r.t.Errorf("%s.%s is not what the log says", table.Context, table.Table)
		}
	}
}

// Agents go on with what a night found; a replay of the log gives the same bytes, and
// so does a restart.
func TestANightInTheProduct(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := run(t, dir)
	ann := r.person("Ann")
	mira := r.quietly(ann)
	word := func(s reply) string {
		if s.x(0) > .5 {
			return "loved"
		}
		return "not_great"
	}
	for range 6 {
		mira.rate(word)
	}
	if runs := r.night(); len(runs) != 6 || runs["adopt"].Outcome != learning.RunUnchanged || runs["refit"].Outcome != learning.RunUnchanged {
		t.Errorf("one agent teaches nobody: %+v", runs)
	}
	// what such a night finds with more agents
	c := step.DefaultPrior().Components[0]
	c.Weight, c.Mean[1] = 1, .5
	prior, err := step.NewPrior(.15, []step.Component{c})
	if err != nil {
		t.Fatal(err)
	}
	loadings := *fusion.Defaults()
	loadings[fusion.OwnerThumb].V = .4
	for _, content := range []learning.Content{learning.Prior{Version: population.Version{Formula: population.Formula, Prior: prior, NextID: 1}}, learning.Calibration{Loadings: loadings}} {
		if _, err := r.Learning.Publish(context.Background(), r.clock.Now().UnixMicro(), content, "for a test"); err != nil {
			t.Fatal(err)
		}
	}
	if runs := r.night(); runs["adopt"].Outcome != learning.RunChanged {
		t.Errorf("adopt: %+v", runs["adopt"])
	}
	for range 3 {
		mira.rate(word)
	}
	r.quietly(r.person("Bob")).rate(word) // made after the night: it adopts at once
	r.clock.advance(time.Second)
	if a := r.admin.raw("POST", "/v1/admin/jobs/adopt", []byte("{}")); a.status != 200 || !strings.Contains(string(a.body), learning.RunUnchanged) {
		t.Errorf("adopt: %d %s", a.status, a.body)
	}
	r.rebuilt()

	metrics := string(r.admin.raw("GET", "/metrics", nil).body)
	for _, line := range []string{`rapport_job_runs_total{job="adopt",outcome="changed"} 1`, `rapport_job_runs_total{job="guard",outcome="unchanged"} `} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics without %s", line)
		}
	}
	if a := r.admin.raw("POST", "/v1/admin/jobs/dream", []byte("{}")); a.status != 404 || a.problem().Code != "job_unknown" {
		t.Errorf("an unknown job: %d %s", a.status, a.body)
	}
	if a := ann.raw("POST", "/v1/admin/jobs/refit", []byte("{}")); a.status != 403 {
		t.Errorf("somebody who is no operator: %d", a.status)
	}

	before, explained := ann.raw("GET", mira.path("/learning"), nil).body, ann.raw("GET", mira.path("/explanation"), nil).body
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again := run(t, dir)
	again.clock.advance(time.Hour)
	ann = again.as(ann.ID, ann.Token)
	if after := ann.raw("GET", mira.path("/explanation"), nil).body; string(after) != string(explained) {
		t.Errorf("after a restart\n%s\nbefore\n%s", after, explained)
	}
	var a, b learning.AgentRLProjection
	if json.Unmarshal(before, &a) != nil || json.Unmarshal(ann.raw("GET", mira.path("/learning"), nil).body, &b) != nil || a.AvgReward != b.AvgReward || a.PositiveCount != b.PositiveCount {
		t.Errorf("after a restart %+v, before %+v", b, a)
	}
	again.rebuilt()
	if runs := again.night(); runs["adopt"].Outcome != learning.RunUnchanged {
		t.Errorf("adopted twice: %+v", runs["adopt"])
	}
}

// A release goes through the product: operators propose and revert it, fresh agents
// start by it, and its stages lie on the log.
func TestReleases(t *testing.T) {
	t.Parallel()
	r := run(t, t.TempDir())
	ann := r.person("Ann")
	mira := r.quietly(ann)
	mira.rate(func(reply) string { return "good" })
	if a := ann.send("POST", "/v1/admin/releases", map[string]any{"traits": map[string]float64{"humor": .55}}); a.status != 403 {
		t.Errorf("somebody who is no operator: %d %s", a.status, a.body)
	}
	if a := r.admin.send("POST", "/v1/admin/releases", map[string]any{"traits": map[string]float64{"humor": .7}}); a.status != 422 || a.problem().Code != "release_refused" {
		t.Errorf("too far: %d %s", a.status, a.body)
	}
	for path, body := range map[string]map[string]any{
		"/v1/admin/releases": {"traits": map[string]float64{"humor": .55}, "archetype": 9}, "/v1/agents": {"name": "Nobody", "archetype": 9},
	} {
		if a := r.admin.send("POST", path, body); a.status != 422 || a.problem().Code != "archetype_unknown" {
			t.Errorf("an archetype that is none: %s %d %s", path, a.status, a.body)
		}
	}
	var release learning.Release
	r.admin.must("POST", "/v1/admin/releases", map[string]any{"traits": map[string]float64{"humor": .55}}, &release)
	if a := r.admin.send("POST", "/v1/admin/releases", map[string]any{"traits": map[string]float64{"brevity": .55}}); a.status != 409 || a.problem().Code != "release_open" {
		t.Errorf("two at once: %d %s", a.status, a.body)
	}
	if run := r.night()["release"]; run.Outcome != learning.RunUnchanged || !strings.HasPrefix(run.Note, "in the shadow: 1 sessions") {
		t.Errorf("%+v", run)
	}
	humor := func(p *person, name string, traits map[string]float64) float64 {
		var a struct {
			Profile struct{ BasePersonality map[string]float64 }
		}
		p.must("POST", "/v1/agents", map[string]any{"name": name, "traits": traits}, &a)
		return a.Profile.BasePersonality["humor"]
	}
	if v := humor(ann, "Early", nil); v != .5 {
		t.Errorf("in the shadow an agent starts at %v", v)
	}

	// as if the gate had opened
	if err := r.dbs["learning"].Write(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`update rl_releases set stage = $1`, evaluate.InCanary)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var got []float64
	for i := range 12 {
		p := r.person(fmt.Sprintf("Fresh%d", i))
		v := humor(p, "First", nil)
		if second := humor(p, "Second", nil); second != v {
			t.Errorf("an owner's agents start at %v and %v", v, second)
		}
		if v := humor(p, "Chosen", map[string]float64{"humor": .3}); v != .3 {
			t.Errorf("an owner chose .3 and gets %v", v)
		}
		got = append(got, v)
	}
	if !slices.Contains(got, .55) || !slices.Contains(got, .5) {
		t.Errorf("fresh agents start at %v", got)
	}
	r.settle()
	if run := r.night()["release"]; run.Outcome != learning.RunUnchanged || !strings.HasPrefix(run.Note, "tried: 0 owners") {
		t.Errorf("%+v", run)
	}
	r.admin.must("POST", "/v1/admin/releases/"+release.ID+"/revert", nil, &release)
	if release.Stage != evaluate.IsReverted || release.Reason == "" {
		t.Errorf("%+v", release)
	}
	if a := r.admin.send("POST", "/v1/admin/releases/"+release.ID+"/revert", nil); a.status != 409 || a.problem().Code != "release_over" {
		t.Errorf("twice: %d %s", a.status, a.body)
	}
	if v := humor(r.person("Late"), "Late", nil); v != .5 {
		t.Errorf("after the revert an agent starts at %v", v)
	}
	var all []learning.Release
	r.admin.must("GET", "/v1/admin/releases", nil, &all)
	if len(all) != 1 || all[0].ID != release.ID || all[0].Better != nil {
		t.Errorf("%+v", all)
	}
	r.settle()
	var stages []string
	if err := r.eachEvent(context.Background(), every, func(e event.Event) error {
		if e.Type == (event.ReleaseUpdated{}).EventType() {
			p, err := event.As[event.ReleaseUpdated](e)
			stages = append(stages, p.Stage)
			return err
		}
		return nil
	}); err != nil || strings.Join(stages, " ") != "shadow reverted" {
		t.Errorf("on the log %v, %v", stages, err)
	}
	r.rebuilt()
}
