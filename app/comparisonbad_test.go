package app

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBadExamples: what the walk has to refuse, one thing wrong in each.
func TestBadExamples(t *testing.T) {
	t.Parallel()
	route := func(path, rest string) string { return `{"paths":{"` + path + `":{"get":{` + rest + `}}}}` }
	answer := func(schema string) string {
		return route("/v1/x", `"responses":{"200":{"content":{"application/json":{"schema":`+schema+`}}}}`)
	}
	rows := func(properties string) string {
		return answer(`{"type":"array","items":{"type":"object","properties":{` + properties + `}}}`)
	}
	for name, doc := range map[string]string{
		"a leaderboard":            route("/v1/agents/leaderboard", ``),
		"top agents":               route("/v1/agents/top", ``),
		"a summary":                route("/v1/agents", `"summary":"List the most popular agents"`),
		"an order by score":        route("/v1/agents", `"parameters":[{"name":"sort","in":"query","schema":{"type":"string","enum":["name","score"]}}]`),
		"an order by anything":     route("/v1/agents", `"parameters":[{"name":"orderBy","in":"query","schema":{"type":"string"}}]`),
		"a threshold":              route("/v1/agents", `"parameters":[{"name":"minScore","in":"query","schema":{"type":"number"}}]`),
		"a rank":                   answer(`{"type":"object","properties":{"rank":{"type":"integer"}}}`),
		"a rank inside":            answer(`{"type":"object","properties":{"mine":{"type":"object","properties":{"agent_rank":{"type":"integer"}}}}}`),
		"agents with ratings":      rows(`"agentId":{"type":"string"},"rating":{"type":"number"}`),
		"agents by name":           rows(`"id":{"type":"string"},"name":{"type":"string"},"followers":{"type":"integer"}`),
		"people with a nested one": rows(`"personId":{"type":"string"},"stats":{"type":"object","properties":{"avg":{"type":"number"}}}`),
		"people with a list":       rows(`"person":{"type":"string"},"levels":{"type":"array","items":{"type":"number"}}`),
		"owners, optional":         rows(`"ownerId":{"type":"string"},"level":{"type":["number","null"]}`),
		"a number by person":       answer(`{"type":"object","properties":{"people":{"type":"object","additionalProperties":{"type":"number"}}}}`),
		"rows by key":              answer(`{"type":"object","additionalProperties":{"type":"object","properties":{"agentId":{"type":"string"},"likes":{"type":"integer"}}}}`),
		"rows inside a page":       answer(`{"type":"object","properties":{"items":{"type":"array","items":{"type":"object","properties":{"slug":{"type":"string"},"strength":{"type":"number"}}}}}}`),
		"rows behind a reference":  `{"components":{"schemas":{"R":{"type":"object","properties":{"agentId":{"type":"string"},"s":{"type":"number"}}}}},` + answer(`{"type":"array","items":{"$ref":"#/components/schemas/R"}}`)[1:],
	} {
		var root map[string]any
		if err := json.Unmarshal([]byte(doc), &root); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(comparing(root)) == 0 {
			t.Errorf("%s passes: %s", name, doc)
		}
	}
	for name, doc := range map[string]string{
		"one's own numbers":  answer(`{"type":"object","properties":{"agentId":{"type":"string"},"level":{"type":"number"}}}`),
		"a list of messages": rows(`"id":{"type":"string"},"at":{"type":"integer"},"sequence":{"type":"integer"}`),
		"agents with times":  rows(`"agentId":{"type":"string"},"name":{"type":"string"},"createdAt":{"type":"integer"},"version":{"type":"integer"}`),
		"traits by name":     answer(`{"type":"object","properties":{"traits":{"type":"object","additionalProperties":{"type":"number"}}}}`),
		"an order by name":   route("/v1/agents", `"parameters":[{"name":"sort","in":"query","schema":{"type":"string","enum":["name","created"]}}]`),
		"the word stop":      route("/v1/agents/stop", `"summary":"Stop one"`),
	} {
		var root map[string]any
		if err := json.Unmarshal([]byte(doc), &root); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if f := comparing(root); len(f) > 0 {
			t.Errorf("%s is refused: %q", name, f)
		}
	}
	for text, wrong := range map[string]bool{
		`rapport_replies_total{agent="luna"} 4`: true, `rapport_agent_rank 3`: true, `rapport_x{who="0197a000-0000-7000-8000-0000000000a1"} 1`: true,
		`rapport_x{person_id="1"} 1`: true, `rapport_http_requests_total{route="/v1/agents/{agent}",method="GET",status="2xx"} 7`: false, `go_goroutines 8`: false,
	} {
		if got := len(metricsComparing(text)) > 0; got != wrong {
			t.Errorf("metric %s: %v, want %v", text, got, wrong)
		}
	}
	for columns, wrong := range map[string]bool{"agent_id score_sum": true, "person_id points": true, "agent_id rank": true, "agent_id at": false, "day score_sum": false} {
		if got := len(columnsComparing("x", strings.Fields(columns))) > 0; got != wrong {
			t.Errorf("export with %s: %v, want %v", columns, got, wrong)
		}
	}
	bad := `{"components":{"messages":{"week.ended":{}},"schemas":{"week.ended":{"type":"object","properties":{"agents":{"type":"array","items":{"type":"object","properties":{"agentId":{"type":"string"},"mean":{"type":"number"}}}}}}}}}`
	var root map[string]any
	if err := json.Unmarshal([]byte(bad), &root); err != nil || len(eventsComparing(root)) == 0 {
		t.Errorf("an event with a table of agents passes: %v", err)
	}
}
