package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"rapport/event"
	"rapport/policy"
)

// Pipeline is what a world needs of the system. Every call is what the person
// named would do, and returns when it is durable.
type Pipeline interface {
	AddPerson(ctx context.Context, name string) (event.PersonID, error)
	AddAgent(ctx context.Context, owner event.PersonID, name string) (event.AgentID, error)
	// Talk says something in the direct room of the two and waits for the answer.
	Talk(ctx context.Context, person event.PersonID, agent event.AgentID, text string) (Reply, error)
	Rate(ctx context.Context, person event.PersonID, session event.SessionID, level string) error
	Thumb(ctx context.Context, person event.PersonID, message event.MessageID, up bool) error
	// Tone presses the button that asks for more (+1) or less (−1) of a trait.
	Tone(ctx context.Context, person event.PersonID, message event.MessageID, t policy.Trait, sign int) error
	End(ctx context.Context, person event.PersonID, agent event.AgentID) error
	// Settle waits until everything done has taken effect.
	Settle(ctx context.Context) error
	// Advance moves the world's clock.
	Advance(d time.Duration)
}

// Reply is an agent's answer, with the behaviour that reached the model.
type Reply struct {
	Message  event.MessageID
	Session  event.SessionID
	Rendered policy.Traits
}

// Options size a world.
type Options struct {
	Seed     uint64
	Agents   int // 5 when 0; each has an owner
	People   int // 20 when 0; owners included, the others are guests
	Sessions int // rounds of sessions, 30 when 0; one a virtual day
	Progress func(done, total int)
}

// Companion is one agent of a world, with its owner's hidden taste.
type Companion struct {
	Agent event.AgentID
	Name  string
	Owner event.PersonID
	Taste Taste
	First float64 // the owner's satisfaction with the first session
	Last  float64 // mean over the last five sessions

	recent []float64
	rand   *rand.Rand
}

// Counts is what happened.
type Counts struct {
	Sessions, Messages, Ratings, Thumbs, Presses int
}

// World is a cast that talks.
type World struct {
	Companions []*Companion
	Guests     []event.PersonID
	Counts     Counts

	tastes  []Taste // of guests
	rand    *rand.Rand
	options Options
	pipe    Pipeline
	mu      sync.Mutex
}

var names = []string{"Luna", "Bob", "Mira", "Otto", "Sunny", "Faye", "Nico", "Ada", "Kai", "Rosa"}

// New makes the cast in the system.
func New(ctx context.Context, p Pipeline, o Options) (*World, error) {
	o.Agents, o.People, o.Sessions = orElse(o.Agents, 5), orElse(o.People, 20), orElse(o.Sessions, 30)
	if o.People < o.Agents {
		return nil, fmt.Errorf("%d people cannot own %d agents", o.People, o.Agents)
	}
	w := &World{options: o, pipe: p, rand: rand.New(rand.NewPCG(o.Seed, 1))}
	for i := range o.People {
		name := fmt.Sprintf("person-%02d", i+1)
		person, err := p.AddPerson(ctx, name)
		if err != nil {
			return nil, err
		}
		taste := NewTaste(w.rand)
		if i >= o.Agents {
			w.Guests, w.tastes = append(w.Guests, person), append(w.tastes, taste)
			continue
		}
		c := &Companion{Name: names[i%len(names)], Owner: person, Taste: taste, rand: rand.New(rand.NewPCG(o.Seed, uint64(i)+2))}
		if i >= len(names) {
			c.Name = fmt.Sprintf("%s %d", c.Name, i/len(names)+1)
		}
		if c.Agent, err = p.AddAgent(ctx, person, c.Name); err != nil {
			return nil, err
		}
		w.Companions = append(w.Companions, c)
	}
	return w, nil
}

// Live runs the rounds: in each, every owner has a session with their agent and
// a guest drops in on some of them; then a day passes.
func (w *World) Live(ctx context.Context) error {
	for round := range w.options.Sessions {
		if err := w.round(ctx); err != nil {
			return err
		}
		if w.options.Progress != nil {
			w.options.Progress(round+1, w.options.Sessions)
		}
	}
	return w.pipe.Settle(ctx)
}

func (w *World) round(ctx context.Context) error {
	guests := map[*Companion]int{}
	for _, c := range w.Companions {
		if len(w.Guests) > 0 && w.rand.Float64() < .3 {
			guests[c] = w.rand.IntN(len(w.Guests))
		}
	}
	var group sync.WaitGroup
	errs := make([]error, len(w.Companions))
	for i, c := range w.Companions {
		group.Go(func() {
			errs[i] = w.session(ctx, c, c.Owner, c.Taste, true)
			if g, ok := guests[c]; ok && errs[i] == nil {
				errs[i] = w.session(ctx, c, w.Guests[g], w.tastes[g], false)
			}
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if err := w.pipe.Settle(ctx); err != nil {
		return err
	}
	w.pipe.Advance(24 * time.Hour)
	return nil
}

// session is one talk: a few messages, maybe thumbs and a tone button, mostly a
// rating by the owner.
func (w *World) session(ctx context.Context, c *Companion, person event.PersonID, taste Taste, owner bool) error {
	mood := .08 * c.rand.NormFloat64()
	turns := 2 + c.rand.IntN(3)
	var last Reply
	u := 0.0
	for range turns {
		reply, err := w.pipe.Talk(ctx, person, c.Agent, lines[c.rand.IntN(len(lines))])
		if err != nil {
			return fmt.Errorf("%s talks with %s: %w", person, c.Name, err)
		}
		w.pipe.Advance(time.Minute + time.Duration(c.rand.IntN(60))*time.Second)
		last, u = reply, clamp(taste.Satisfaction(reply.Rendered)+mood, 0, 1)
		if owner && c.rand.Float64() < .25 {
			if err := w.pipe.Thumb(ctx, person, reply.Message, taste.Thumb(u, c.rand)); err != nil {
				return err
			}
			w.count(func(n *Counts) { n.Thumbs++ })
		}
	}
	if owner && c.rand.Float64() < .3 {
		if t, sign, ok := taste.Press(last.Rendered, c.rand); ok {
			if err := w.pipe.Tone(ctx, person, last.Message, t, sign); err != nil {
				return err
			}
			w.count(func(n *Counts) { n.Presses++ })
		}
	}
	if owner && c.rand.Float64() < .6 {
		if err := w.pipe.Rate(ctx, person, last.Session, taste.Level(u, c.rand)); err != nil {
			return err
		}
		w.count(func(n *Counts) { n.Ratings++ })
	}
	if err := w.pipe.End(ctx, person, c.Agent); err != nil {
		return err
	}
	w.count(func(n *Counts) { n.Sessions++; n.Messages += 2 * turns })
	if owner {
		c.saw(taste.Satisfaction(last.Rendered))
	}
	return nil
}

func (w *World) count(f func(*Counts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.Counts)
}

func (c *Companion) saw(s float64) {
	if c.recent == nil {
		c.First = s
	}
	c.recent = append(c.recent, s)
	if len(c.recent) > 5 {
		c.recent = c.recent[1:]
	}
	c.Last = 0
	for _, v := range c.recent {
		c.Last += v / float64(len(c.recent))
	}
}

func orElse(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

var lines = []string{
	"Hi! How has your day been?", "I had a long meeting and I am tired.", "Can you explain how rainbows work?",
	"What should I cook tonight?", "Tell me a story about a lighthouse.", "I am planning a weekend trip, any ideas?",
	"I am a bit nervous about tomorrow.", "What do you think about learning the piano?", "My cat did something silly today.",
	"Help me plan my week, please.", "Why is the sky dark at night?", "I finished the book you know about.",
}
