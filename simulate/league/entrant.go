package league

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"rapport/policy"
	"rapport/simulate/gym"
	"rapport/simulate/outside"
	"rapport/simulate/rival"
)

// Entrant is a learner that plays.
type Entrant struct {
	Name   string
	What   string // in one line
	enter  func(context.Context, seat) (gym.Learner, func(*gym.Run) error, error)
	inTurn bool // plays one population after the other
}

// seat is what an entrant learns of the population it is to play for.
type seat struct {
	Population, Populations, Agents, Sessions int
	Starts                                    []policy.Traits
	Seed                                      uint64
}

func (s seat) hello() outside.Hello {
	return outside.Hello{Population: s.Population, Populations: s.Populations, Agents: s.Agents, Sessions: s.Sessions, Seed: s.Seed, Starts: s.Starts}
}

// Of is an entrant that a maker makes.
func Of(name, what string, make gym.Maker) Entrant {
	return Entrant{Name: name, What: what, enter: func(_ context.Context, s seat) (gym.Learner, func(*gym.Run) error, error) {
		return make(s.Starts, s.Seed), func(*gym.Run) error { return nil }, nil
	}}
}

// Program is an entrant that runs a command for each population and speaks the
// line protocol with it. What the command writes on its standard error goes to
// errOut.
func Program(name, command string, errOut io.Writer) (Entrant, error) {
	if _, err := outside.Split(command); err != nil {
		return Entrant{}, err
	}
	return Entrant{Name: name, What: "an outside learner", enter: func(ctx context.Context, s seat) (gym.Learner, func(*gym.Run) error, error) {
		p, err := outside.Start(ctx, command, errOut)
		if err != nil {
			return nil, nil, err
		}
		return p.Hello(s.hello()), func(run *gym.Run) error {
			if p.Err() == nil {
				_ = p.End(summaryOf(run, s.Sessions)) // Close tells of it
			}
			return p.Close()
		}, nil
	}}, nil
}

// Talking is an entrant over a conversation that goes on from population to
// population. The caller ends it.
func Talking(name string, t *outside.Talk) Entrant {
	return Entrant{Name: name, What: "an outside learner", inTurn: true, enter: func(_ context.Context, s seat) (gym.Learner, func(*gym.Run) error, error) {
		return t.Hello(s.hello()), func(*gym.Run) error { return t.Err() }, nil
	}}
}

// Staged is an entrant that takes some setting up for each population, one after
// the other, and can fail. end is called when a population was played, and says
// what went wrong on the way.
func Staged(name, what string, enter func(ctx context.Context, starts []policy.Traits) (l gym.Learner, end func() error, err error)) Entrant {
	return Entrant{Name: name, What: what, inTurn: true, enter: func(ctx context.Context, s seat) (gym.Learner, func(*gym.Run) error, error) {
		l, end, err := enter(ctx, s.Starts)
		if err != nil {
			return nil, nil, err
		}
		return l, func(*gym.Run) error { return end() }, nil
	}}
}

// Ours is the name of the product's learner.
const Ours = "ours"

// Entrants lists those that are built in.
func Entrants() []Entrant {
	all := []Entrant{Of(Ours, "the product's learner", gym.Ours(gym.Options{}))}
	for _, r := range rival.All {
		all = append(all, Of(r.Name, r.What, r.Make))
	}
	return all
}

// prefix is what a program as a learner begins with.
const prefix = "exec:"

// Named gives an entrant by what a person would write: a built-in's name, or
// exec:COMMAND. ErrOptions with the names there are.
func Named(name string, errOut io.Writer) (Entrant, error) {
	if command, ok := strings.CutPrefix(name, prefix); ok {
		e, err := Program(name, command, errOut)
		if err != nil {
			return e, fmt.Errorf("%w: the learner %s: %w", ErrOptions, name, err)
		}
		return e, nil
	}
	all := Entrants()
	if i := slices.IndexFunc(all, func(e Entrant) bool { return e.Name == name }); i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name)
	}
	return Entrant{}, fmt.Errorf("%w: there is no learner %q, only %s, and %sCOMMAND", ErrOptions, name, strings.Join(names, ", "), prefix)
}
