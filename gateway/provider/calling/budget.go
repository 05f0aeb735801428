package calling

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rapport/gateway/provider"
)

// Amount is what is spent: tokens, and millionths of the unit that prices are in.
type Amount struct{ Tokens, Cost int64 }

func (a Amount) plus(b Amount) Amount { return Amount{a.Tokens + b.Tokens, a.Cost + b.Cost} }

// Budget says who may spend how much.
type Budget interface {
	// Reserve sets most aside for a call that counts on an owner and an agent, or
	// gives the error CodeBudget. settle must be called once with what was spent.
	Reserve(owner, agent string, most Amount) (settle func(spent Amount), err error)
}

// Price is what a million tokens cost.
type Price struct{ In, Out float64 }

// Prices are by the beginning of a model's name, the longest that fits. What is
// not in it costs nothing.
type Prices map[string]Price

// Cost is the price of a reply in millionths: tokens times the price of a million.
func (p Prices) Cost(model string, prompt, reply int) int64 {
	best := ""
	for prefix := range p {
		if strings.HasPrefix(model, prefix) && len(prefix) >= len(best) {
			best = prefix
		}
	}
	return int64(float64(prompt)*p[best].In + float64(reply)*p[best].Out + .5)
}

// Limits are what one owner, and one agent, may spend in a day; 0 for no limit.
type Limits struct{ Owner, Agent Amount }

// Account is one that pays.
type Account struct {
	Kind string // owner or agent
	ID   string
}

// The kinds of accounts.
const (
	Owner = "owner"
	Agent = "agent"
)

// Daily is a Budget that begins anew every day at midnight UTC. It is kept in
// memory; who stores it loads what was spent today before the first call.
type Daily struct {
	limits Limits
	clock  func() time.Time
	mu     sync.Mutex
	day    string
	spent  map[Account]Amount
	aside  map[Account]Amount
}

var _ Budget = (*Daily)(nil)

// NewDaily makes one. clock is time.Now when nil.
func NewDaily(limits Limits, clock func() time.Time) *Daily {
	if clock == nil {
		clock = time.Now
	}
	return &Daily{limits: limits, clock: clock, spent: map[Account]Amount{}, aside: map[Account]Amount{}}
}

// Day is the day of a time, as budgets count them.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Load tells what an account spent today before this process.
func (d *Daily) Load(a Account, spent Amount) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn()
	d.spent[a] = spent
}

// Spent is what an account spent today.
func (d *Daily) Spent(a Account) Amount {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn()
	return d.spent[a]
}

// turn begins a new day.
func (d *Daily) turn() {
	if today := Day(d.clock()); today > d.day { // clocks that go back do not give a day twice
		d.day = today
		clear(d.spent)
	}
}

// Reserve says no when what was spent, what others have set aside and most pass a
// limit.
func (d *Daily) Reserve(owner, agent string, most Amount) (func(Amount), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.turn()
	accounts := []Account{{Owner, owner}, {Agent, agent}}
	accounts = slices.DeleteFunc(accounts, func(a Account) bool { return a.ID == "" })
	for _, a := range accounts {
		limit := d.limits.Owner
		if a.Kind == Agent {
			limit = d.limits.Agent
		}
		if limit.Tokens > 0 && most.Tokens > limit.Tokens || limit.Cost > 0 && most.Cost > limit.Cost {
			return nil, &provider.Error{Code: provider.CodeBudget, Hint: fmt.Sprintf("the %s's budget of a day is less than this one reply may need, %d tokens; the administrator has to raise it", a.Kind, most.Tokens)}
		}
		would := d.spent[a].plus(d.aside[a]).plus(most)
		if limit.Tokens > 0 && would.Tokens > limit.Tokens || limit.Cost > 0 && would.Cost > limit.Cost {
			now := d.clock().UTC()
			return nil, &provider.Error{Code: provider.CodeBudget, RetryAfter: now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now),
				Hint: "the " + a.Kind + "'s budget for today is spent; it begins anew at midnight UTC"}
		}
	}
	for _, a := range accounts {
		d.aside[a] = d.aside[a].plus(most)
	}
	return func(spent Amount) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.turn()
		for _, a := range accounts {
			left := d.aside[a].plus(Amount{-most.Tokens, -most.Cost})
			if d.aside[a] = left; left == (Amount{}) {
				delete(d.aside, a)
			}
			if spent != (Amount{}) {
				d.spent[a] = d.spent[a].plus(spent)
			}
		}
	}, nil
}
