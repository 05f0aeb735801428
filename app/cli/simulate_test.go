package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"rapport/simulate/gym"
	"rapport/simulate/league"
)

// What is not said of the world is the yardstick's.
func TestTheDefaultWorldIsTheYardstick(t *testing.T) {
	t.Parallel()
	var c struct{ worldCmd }
	if _, err := kong.Must(&c).Parse(nil); err != nil {
		t.Fatal(err)
	}
	c.sized()
	if c.world() != gym.Main() || c.Agents < 2 || c.Sessions != 200 || c.Seed == nil {
		t.Errorf("%+v", c)
	}
	help := must(t, "", "simulate", "--help").out
	for _, e := range league.Entrants() {
		if !strings.Contains(help, e.Name) {
			t.Errorf("the help does not name %s", e.Name)
		}
	}
}

func TestSimulate(t *testing.T) {
	t.Parallel()
	svg, pixels := filepath.Join(t.TempDir(), "a.svg"), filepath.Join(t.TempDir(), "a.png")
	small := []string{"simulate", "-l", "static", "-l", "plain", "--agents", "4", "--populations", "2", "--sessions", "30", "--seed", "7"}
	r := must(t, "", append(small, "--svg", svg, "--png", pixels, "--dark", "--drift", "1", "--start", "0.2")...)
	for _, says := range []string{"regret@20", "regret@30", "against static", "plain", "2 populations of 4 agents (seeds 7 to 8), 30 sessions each"} {
		if !strings.Contains(r.out, says) {
			t.Errorf("no %q in\n%s", says, r.out)
		}
	}
	if !strings.Contains(r.err, "100%") {
		t.Errorf("progress: %q", r.err)
	}
	drawn, err := os.ReadFile(svg)
	if err != nil || !bytes.Contains(drawn, []byte("plain")) {
		t.Errorf("svg: %v", err)
	}
	f, err := os.Open(pixels)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	r = must(t, "", append(small, "--json")...)
	var report league.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || len(report.Learners) != 2 || report.Seed != 7 || report.Learners[0].Regret20 == nil || r.err != "" {
		t.Errorf("%v %s %q", err, r.out, r.err)
	}
}

func TestSimulateRefuses(t *testing.T) {
	t.Parallel()
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"-l best":                                {1, `there is no learner "best", only ours, static`},
		"-l static --agents=-3":                  {1, "agents is -3, want at least 1"},
		"-l static --drift 2":                    {1, "drift is 2, want a number from 0 to 1"},
		"-l static --drift NaN":                  {1, "drift is NaN"},
		"-l static --shape round":                {2, "--shape"},
		"-l static -l static":                    {1, "static plays twice"},
		"-l static --seed -1":                    {2, "--seed"},
		"--protocol --through-pipeline":          {2, "--protocol"},
		"-l static -l exec:/no/such/program":     {1, "cannot be started"},
		"-l static --svg /no/such/dir/x.svg":     {1, "cannot be written"},
		"--through-pipeline --delay 14":          {1, "13"},
		"--protocol -l static --agents 2":        {1, "output ended where line 1"},
		"-l static -l exec:cat --agents 2":       {1, "line 1"},
		"-l static --sessions 1 --png /dev/null": {1, "at least two"},
	} {
		r := command("", append([]string{"simulate", "--populations", "1"}, strings.Fields(args)...)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("rapport simulate %s: exit %d, says %q; want %d and %q", args, r.code, r.err, c.code, c.says)
		}
	}
}

// A program at our standard input and output plays, and gets the result.
func TestSimulateByLines(t *testing.T) {
	t.Parallel()
	in, say := io.Pipe()
	hear, out := io.Pipe()
	ended := make(chan ran, 1)
	go func() {
		var errOut bytes.Buffer
		code := Main([]string{"simulate", "--protocol", "-l", "static", "--agents", "3", "--populations", "2", "--sessions", "20", "--seed", "1"}, in, out, &errOut)
		out.Close()
		ended <- ran{code: code, err: errOut.String()}
	}()
	var result league.Report
	lines := bufio.NewScanner(hear)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Act    any
			Result *league.Report
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		if l.Act != nil {
			io.WriteString(say, `{"x":[0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5]}`+"\n")
		}
		if l.Result != nil {
			result = *l.Result
		}
	}
	if r := <-ended; r.code != 0 || !strings.Contains(r.err, "against you") {
		t.Errorf("exit %d\n%s", r.code, r.err)
	}
	if len(result.Learners) != 2 || result.Learners[0].Learner != "you" || result.Learners[0].Regret != result.Learners[1].Regret {
		t.Errorf("standing still beside static: %+v", result)
	}
}

// The same people, at the doors of the product.
func TestSimulateThroughThePipeline(t *testing.T) {
	t.Parallel()
	r := must(t, "", "simulate", "--through-pipeline", "--agents", "2", "--sessions", "6", "--raters", "3", "--seed", "3", "--press", "1", "--review", "1",
		"--start", "0.2", "--delay", "1", "--thumbs", "1.5", "--json")
	var report league.Report
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || len(report.Learners) != 3 || report.Learners[0].Learner != "product" {
		t.Fatalf("%v %s", err, r.out)
	}
	product, static := report.Learners[0], report.Learners[2]
	if product.Regret <= 0 || product.Regret == static.Regret {
		t.Errorf("regret of the product %v, of standing still %v", product.Regret, static.Regret)
	}
}
