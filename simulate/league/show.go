package league

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"rapport/simulate/chart"
	"rapport/simulate/gym"
)

// Summary is a standing as JSON. Intervals are half widths of 95 %, over agents
// where not said otherwise; what was not reached or cannot be said is absent.
type Summary struct {
	Learner           string   `json:"learner,omitempty"`
	Regret20          *float64 `json:"regret20,omitempty"`
	Regret50          *float64 `json:"regret50,omitempty"`
	Regret100         *float64 `json:"regret100,omitempty"`
	Regret200         *float64 `json:"regret200,omitempty"`
	CI200             *float64 `json:"ci200,omitempty"`
	Regret            float64  `json:"regret"` // after the last session, at most the 200th
	CI                float64  `json:"ci"`
	FinalSatisfaction float64  `json:"final_satisfaction"`
	EverWorseShare    float64  `json:"ever_worse_share"`
	EverWorseUpper    float64  `json:"ever_worse_upper"`        // of its 95 % interval (Wilson)
	Against           *float64 `json:"against_first,omitempty"` // regret more than the first learner's
	AgainstCI         *float64 `json:"against_first_ci,omitempty"`
	Beaten            *int     `json:"populations_beaten,omitempty"` // in which the first learner was better
	Micros            float64  `json:"us_per_session,omitempty"`

	Curve   []float64 `json:"curve,omitempty"` // mean regret up to and with each session
	CurveCI []float64 `json:"curve_ci,omitempty"`
}

func summaryOf(run *gym.Run, sessions int) Summary {
	s := run.Summary()
	end := run.RegretAt(gym.Marks[len(gym.Marks)-1]) // repeats the last when not reached
	out := Summary{Regret: end.Mean, FinalSatisfaction: s.Final, EverWorseShare: s.EverWorse.Share, EverWorseUpper: s.EverWorse.Hi}
	if finite(end.Half) {
		out.CI = end.Half
	}
	for i, v := range []struct {
		mean float64
		into **float64
	}{{s.Regret20, &out.Regret20}, {s.Regret50, &out.Regret50}, {s.Regret100, &out.Regret100}, {s.Regret200, &out.Regret200}} {
		if gym.Marks[i] <= sessions {
			*v.into = &v.mean
		}
	}
	if out.Regret200 != nil {
		out.CI200 = &out.CI
	}
	return out
}

// Report is a result as JSON.
type Report struct {
	Seed        uint64    `json:"seed"`
	Populations int       `json:"populations"` // of seeds seed, seed+1, …
	Agents      int       `json:"agents"`
	Sessions    int       `json:"sessions"`
	World       gym.World `json:"world"`
	Learners    []Summary `json:"learners"`
}

// Report gives the result as JSON, with the curves when wanted.
func (r *Result) Report(curves bool) Report {
	o := &r.Options
	out := Report{o.Seed, o.Populations, o.Agents, o.Sessions, o.World, nil}
	for i := range r.Standings {
		st := &r.Standings[i]
		s := summaryOf(st.Run, o.Sessions)
		s.Learner, s.Micros = st.Name, st.Micros
		if i > 0 {
			d, n := r.Against(i), r.Beaten(i)
			s.Against, s.Beaten = &d.Mean, &n
			if finite(d.Half) {
				s.AgainstCI = &d.Half
			}
		}
		if curves {
			for _, v := range st.Run.Curve() {
				s.Curve, s.CurveCI = append(s.Curve, v.Mean), append(s.CurveCI, v.Half)
			}
		}
		out.Learners = append(out.Learners, s)
	}
	return out
}

// Table writes the result for people.
func (r *Result) Table(w io.Writer) {
	head := []string{"learner"}
	for _, m := range r.marks() {
		head = append(head, fmt.Sprintf("regret@%d", m))
	}
	head = append(head, "satisfied", "ever worse", "against "+r.Standings[0].Name, "µs")
	rows := [][]string{head}
	for i := range r.Standings {
		st := &r.Standings[i]
		row := []string{cut(st.Name)}
		for _, m := range r.marks() {
			v := st.regret(m)
			row = append(row, fmt.Sprintf("%.1f ±%.1f", v.Mean, v.Half))
		}
		s := st.Run.Summary()
		against := "–"
		if i > 0 {
			d := r.Against(i)
			against = fmt.Sprintf("%+.1f ±%.1f, %d/%d", d.Mean, d.Half, r.Beaten(i), r.Options.Populations)
		}
		row = append(row, fmt.Sprintf("%.3f", s.Final), fmt.Sprintf("%.1f %% (≤ %.1f)", 100*s.EverWorse.Share, 100*s.EverWorse.Hi), against, fmt.Sprintf("%.3g", st.Micros))
		rows = append(rows, row)
	}
	wide := make([]int, len(head))
	for _, row := range rows {
		for k, cell := range row {
			wide[k] = max(wide[k], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for k, cell := range row {
			pad := strings.Repeat(" ", wide[k]-utf8.RuneCountInString(cell))
			if k == 0 {
				line.WriteString(cell + pad)
				continue
			}
			line.WriteString("  " + pad + cell)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	o := &r.Options
	people := fmt.Sprintf("%d populations of %d agents (seeds %d to %d)", o.Populations, o.Agents, o.Seed, o.Seed+uint64(o.Populations)-1)
	if o.Populations == 1 {
		people = fmt.Sprintf("one population of %d agents (seed %d)", o.Agents, o.Seed)
	}
	fmt.Fprintf(w, "\n%s, %d sessions each.\n", people, o.Sessions)
	fmt.Fprintln(w, `regret: satisfaction missed so far, summed over sessions, with 95 % over agents. satisfied: with the policy at the end.
ever worse: share of agents whose policy was ever more than .05 below the start, with the upper end of its 95 %.`)
	if len(r.Standings) > 1 {
		over := "over populations"
		if o.Populations == 1 {
			over = "over agents"
		}
		fmt.Fprintf(w, "against %s: regret more than it on the same people, with 95 %% %s; in how many populations it was more.\n", r.Standings[0].Name, over)
	}
}

// cut shortens the name of a program.
func cut(name string) string {
	const most = 28
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

// Chart gives the learning curves with their intervals. Fails to draw for fewer
// than two sessions.
func (r *Result) Chart() *chart.Chart {
	o := &r.Options
	c := &chart.Chart{
		Title:  "Satisfaction missed, summed over sessions",
		Note:   fmt.Sprintf("simulated owners with hidden tastes: %d populations of %d agents, seed %d; bands are 95 %% over agents", o.Populations, o.Agents, o.Seed),
		XTitle: "session of an agent", YTitle: "regret",
	}
	for n := range o.Sessions {
		c.X = append(c.X, float64(n+1))
	}
	for i := range r.Standings {
		st := &r.Standings[i]
		line := chart.Line{}
		for _, v := range st.Run.Curve() {
			line.Y, line.Half = append(line.Y, v.Mean), append(line.Half, v.Half)
		}
		line.Name = fmt.Sprintf("%s  %.1f", cut(st.Name), line.Y[len(line.Y)-1])
		c.Lines = append(c.Lines, line)
	}
	return c
}
