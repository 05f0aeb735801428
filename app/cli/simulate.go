package cli

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"

	"rapport/internal/fault"
	"rapport/simulate/chart"
	"rapport/simulate/gym"
	"rapport/simulate/league"
	"rapport/simulate/outside"
)

type worldCmd struct {
	Learner     []string `help:"Who plays: ours, static, plain, plain-tuned, es, ekf, linucb, lints, squarecb, bayes, or exec:COMMAND for a program of yours. Again for more; the first is what the others are compared with. All that are built in by default." short:"l" sep:"none" placeholder:"NAME"`
	Agents      int      `help:"Agents of a population, each with an owner (75; 5 through the pipeline)." placeholder:"N"`
	Populations int      `help:"Populations, each of its own tastes (8; 1 through the pipeline)." placeholder:"N"`
	Sessions    int      `help:"Sessions of each agent (200; 40 through the pipeline)." placeholder:"N"`
	Seed        *uint64  `help:"Seed of the first population; drawn, and printed, by default." placeholder:"N"`

	SVG  string `help:"Draw the learning curves into this file." name:"svg" placeholder:"FILE"`
	PNG  string `help:"The same as pixels." name:"png" placeholder:"FILE"`
	Dark bool   `help:"Pixels on dark paper (an SVG follows its reader)."`

	Protocol        bool `help:"Your program is at our standard input and output: play with it by lines of JSON." xor:"mode"`
	ThroughPipeline bool `help:"Play through the whole product, in virtual time: people who talk, press and rate." xor:"mode"`

	Kinds    int     `help:"Kinds of owners; 0: every one is their own." default:"4" group:"The world"`
	Shape    string  `help:"How satisfaction falls with the distance from the ideal: quadratic, interaction, absolute, plateau, no-effect." enum:"quadratic,interaction,absolute,plateau,no-effect" default:"quadratic" group:"The world"`
	Start    float64 `help:"Agents start this far (sd) from their owner's ideal; 0: in the middle." default:"0" group:"The world"`
	Drift    float64 `help:"Share of owners whose taste jumps once, in sessions 80 to 119." default:"0.15" group:"The world"`
	Raters   int     `help:"People who are not the owner (300; 12 through the pipeline)." placeholder:"N" group:"The world"`
	Bad      float64 `help:"Share of them who are hostile." default:"0.1" group:"The world"`
	Attack   string  `help:"What the hostile do: down, or directional (they want more sarcasm)." enum:"down,directional" default:"down" group:"The world"`
	Brigaded float64 `help:"Share of agents that the hostile seek out." default:"0" group:"The world"`
	Brigade  float64 `help:"Share of opinions there that are theirs." default:"0" group:"The world"`
	Rating   float64 `help:"Share of sessions the owner rates." default:"0.2" group:"The world"`
	Thumbs   float64 `help:"Mean number of thumbs in a session." default:"0.45" group:"The world"`
	Quiet    float64 `help:"Share of the owner's thumbs that are not given." default:"0" group:"The world"`
	Review   float64 `help:"Share of sessions that get a review." default:"0.04" group:"The world"`
	Press    float64 `help:"Share of sessions with the owner in which a tone button is pressed." default:"0" group:"The world"`
	Right    float64 `help:"Share of presses in the right direction; 0.5 is a coin." default:"0.85" group:"The world"`
	Delay    int     `help:"Sessions until a learner hears of one." default:"0" group:"The world"`
}

func (worldCmd) Help() string {
	return `Simulated owners have a hidden ideal of how their agent should be, and let little of it be known: noisy ratings, a thumb now
and then, behaviour, hostile strangers. Learners play side by side, with the same people in the same moods. What counts is
regret: the satisfaction that was missed, summed over sessions; experiments are charged like everything else.

  rapport simulate                                    everybody that is built in: about a minute
  rapport simulate -l ours -l es --drift 1            two, in a world where every taste jumps
  rapport simulate -l ours -l linucb --svg out.svg    with learning curves
  rapport simulate -l ours -l 'exec:python3 mine.py'  your own learner beside ours
  rapport simulate --through-pipeline                 the same people at the doors of the real product

docs/simulate.md says what the world is and how a program plays.`
}

// lateForTheProduct is how many days late an opinion may be there.
const lateForTheProduct = 13

// world is what the options say.
func (c *worldCmd) world() gym.World {
	w := gym.World{
		Kinds: c.Kinds, Start: c.Start, Drift: c.Drift, Raters: c.Raters, Bad: c.Bad, Brigaded: c.Brigaded, Brigade: c.Brigade,
		Rating: c.Rating, Thumbs: c.Thumbs, Quiet: c.Quiet, Review: c.Review, Press: c.Press, Right: c.Right, Delay: c.Delay,
	}
	if c.Shape != "quadratic" {
		w.Shape = gym.Shape(c.Shape)
	}
	if c.Attack != "down" {
		w.Attack = gym.Attack(c.Attack)
	}
	return w
}

// sized fills in the sizes that were not given.
func (c *worldCmd) sized() {
	or := func(v *int, direct, through int) {
		if *v == 0 {
			if *v = direct; c.ThroughPipeline {
				*v = through
			}
		}
	}
	or(&c.Agents, 75, 5)
	or(&c.Populations, 8, 1)
	or(&c.Sessions, 200, 40)
	or(&c.Raters, gym.Main().Raters, 12)
	if c.Seed == nil {
		seed := rand.Uint64N(1 << 32)
		c.Seed = &seed
	}
}

func (c worldCmd) Run(ctx context.Context, g *globals) error {
	c.sized()
	g.err = &oneByOne{w: g.err} // progress, and what programs say
	o := league.Options{World: c.world(), Populations: c.Populations, Agents: c.Agents, Sessions: c.Sessions, Seed: *c.Seed,
		Progress: func(done, total int) { g.bar("plays", int64(done), int64(total)) }}
	talk := outside.NewTalk(g.in, g.out)
	switch {
	case c.Protocol:
		o.Entrants = append(o.Entrants, league.Talking("you", talk))
	case c.ThroughPipeline && c.Delay > lateForTheProduct:
		return fault.New(fault.Invalid, "bad_options", "The product takes opinions for 14 days; through the pipeline a delay is at most %d.", lateForTheProduct)
	case c.ThroughPipeline:
		o.Entrants = append(o.Entrants, g.product(c.Raters, c.Sessions))
		if len(c.Learner) == 0 {
			c.Learner = []string{league.Ours, "static"}
		}
	case len(c.Learner) == 0:
		o.Entrants = league.Entrants()
	}
	for _, name := range c.Learner {
		e, err := league.Named(name, g.err)
		if err != nil {
			return badOptions(err)
		}
		o.Entrants = append(o.Entrants, e)
	}
	result, err := playing(ctx, o)
	if err != nil {
		return badOptions(err)
	}
	if err := c.draw(result); err != nil {
		return badOptions(err)
	}
	switch {
	case c.Protocol:
		result.Table(g.err)
		return talk.End(result.Report(false))
	case g.JSON:
		return g.print(result.Report(true))
	}
	result.Table(g.out)
	return nil
}

// playing plays, and does not wait for a program that says nothing when it is time
// to go.
func playing(ctx context.Context, o league.Options) (*league.Result, error) {
	type end struct {
		r   *league.Result
		err error
	}
	ended := make(chan end, 1)
	go func() {
		r, err := league.Play(ctx, o)
		ended <- end{r, err}
	}()
	select {
	case e := <-ended:
		return e.r, e.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// oneByOne lets several write.
type oneByOne struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneByOne) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(b)
}

// draw writes the curves where they are wanted.
func (c *worldCmd) draw(r *league.Result) error {
	curves := r.Chart()
	return errors.Join(
		intoFile(c.SVG, curves.SVG),
		intoFile(c.PNG, func(w io.Writer) error { return curves.PNG(w, c.Dark) }))
}

func intoFile(name string, write func(io.Writer) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return fault.New(fault.Invalid, "no_such_file", "The curves cannot be written to %s.", name).Because(err)
	}
	return errors.Join(write(f), f.Close())
}

// badOptions says what of the options is wrong, in one sentence.
func badOptions(err error) error {
	if errors.Is(err, league.ErrOptions) {
		return fault.New(fault.Invalid, "bad_options", "%s.", strings.TrimPrefix(err.Error(), league.ErrOptions.Error()+": "))
	}
	if errors.Is(err, outside.ErrCommand) || errors.Is(err, chart.ErrShape) {
		return fault.New(fault.Invalid, "bad_options", "%v.", err)
	}
	if errors.Is(err, outside.ErrProtocol) {
		return fault.New(fault.Invalid, "broken_protocol", "%v. docs/simulate.md has the protocol.", err)
	}
	return err
}
