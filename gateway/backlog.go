package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/journal"
	"rapport/internal/sqldb"
)

// A decision is durable once it is in the journal: a row for all that come together,
// which nothing else writes to. From there decisions, and their outcomes with them, are
// stored in the tables many at a time. What the journal has and the tables have not is
// stored when the program starts.

// entry is what the tables get of a decision beside its body. It stands for itself:
// what an earlier entry has that may not be stored yet, it has too.
type entry struct {
	Decision event.DecisionID `json:"decision"`
	Agent    event.AgentID    `json:"agent"`
	Session  event.SessionID  `json:"session"`
	At       event.Micros     `json:"at"`
	Turn     string           `json:"turn,omitempty"`
	Lease    int64            `json:"lease,omitempty"`
	Silence  bool             `json:"silence,omitempty"`
	Unasked  bool             `json:"unasked,omitempty"`
	Counts   event.PersonID   `json:"counts,omitempty"` // among the replies that they get
	Caller   string           `json:"caller,omitempty"` // spoke in the session
	Cause    *cause           `json:"cause,omitempty"`  // of a silence
	Episode  *episodeRow      `json:"episode,omitempty"`

	Tried      bool  `json:"tried,omitempty"` // the session is on one side of a trial of mapping rules
	RulesTried int64 `json:"rules_tried,omitempty"`
	RulesGot   bool  `json:"rules_got,omitempty"`
}

// cause is what an event keeps of the one that led to it.
type cause struct {
	ID          string `json:"id"`
	Root        string `json:"root,omitempty"`
	TraceParent string `json:"trace,omitempty"`
}

// noted is a decision on its way to the tables.
type noted struct {
	entry
	reply   event.ReplyGenerated
	head    string   // entry, once it is written
	body    string   // reply, too
	episode *episode // that Episode is of; nil for none
	row     int64    // of the journal
	end     *ending  // its outcome, when that came first
	wanted  bool     // somebody waits for it to be durable; the backlog's
	said    chan said
}

// said is what who waits for a decision to be durable hears.
type said struct {
	lead bool // to write it
	err  error
}

// write writes the entry and the reply.
func (n *noted) write() error {
	head, err := json.Marshal(&n.entry)
	body, err2 := json.Marshal(&n.reply)
	n.head, n.body = string(head), string(body)
	return errors.Join(err, err2)
}

// kept is a decision with its outcome, as they were at a moment.
type kept struct {
	*noted
	end *ending
}

const (
	maxWaiting = 8192                   // decisions and outcomes on their way; after that more wait
	manyAtOnce = 2048                   // are stored without waiting for more
	maxRow     = 512                    // decisions in a row of the journal
	siblings   = 4                      // callers beside whom a row waits for more decisions:
	linger     = 250 * time.Microsecond // so long, while their models are being asked
	gather     = 50 * time.Millisecond  // what fewer wait for: nobody is in a hurry, and a commit costs more than its contents
	gatherBusy = 200 * time.Millisecond // the same while callers are at work: the more come together, the less each costs
)

// backlog is what is on its way to the tables.
type backlog struct {
	journal Journal
	slots   chan struct{} // one for each
	asking  atomic.Int64  // callers at work
	now     chan struct{} // has something when what waits is not to wait for more

	mu        sync.Mutex
	unwritten []*noted // not durable yet
	writing   bool
	lines     bytes.Buffer // of who writes
	waiting   []*noted     // durable, in the order of the journal
	by        map[event.DecisionID]*noted
	ends      []ending // outcomes of what is stored
	storing   bool
	row       int64 // the newest of the journal
	stored    int64 // the newest of which everything is stored

	store func(context.Context) error // what waits
}

// newBacklog goes on after a row. store stores what waits, and takes it out.
func newBacklog(j Journal, row int64, store func(context.Context) error) *backlog {
	return &backlog{journal: j, row: row, stored: row, slots: make(chan struct{}, maxWaiting), now: make(chan struct{}, 1),
		by: map[event.DecisionID]*noted{}, store: store}
}

// parse gives the decisions of a row.
func parse(r journal.Row) (all []kept, err error) {
	for lines := string(r.Data); lines != ""; {
		n := &noted{row: r.N}
		n.head, lines, _ = strings.Cut(lines, "\n")
		n.body, lines, _ = strings.Cut(lines, "\n")
		if err := json.Unmarshal([]byte(n.head), &n.entry); err != nil {
			return nil, fmt.Errorf("row %d of the journal: %w", r.N, err)
		}
		all = append(all, kept{n, nil})
	}
	return all, nil
}

// add takes in a decision that is to become durable.
func (b *backlog) add(ctx context.Context, n *noted) error {
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unwritten = append(b.unwritten, n)
	return nil
}

// commit makes a decision durable, with all others that are there. It is called once
// for each. While somebody writes, others wait, and the first of them writes next.
func (b *backlog) commit(n *noted) error {
	b.mu.Lock()
	n.wanted = true
	lead := !b.writing && slices.Contains(b.unwritten, n)
	b.writing = b.writing || lead
	b.mu.Unlock()
	for {
		if lead {
			b.write()
		}
		said := <-n.said
		if lead = said.lead; !lead {
			return said.err
		}
	}
}

// write writes one row, and lets the next write.
func (b *backlog) write() {
	if b.asking.Load() > siblings {
		time.Sleep(linger)
	}
	b.mu.Lock()
	group := b.unwritten[:min(len(b.unwritten), maxRow)]
	b.unwritten = b.unwritten[len(group):]
	b.mu.Unlock()
	b.writeRow(group)
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.unwritten, func(n *noted) bool { return n.wanted })
	if b.writing = i >= 0; b.writing {
		b.unwritten[i].said <- said{lead: true}
	}
}

// writeRow makes decisions durable and lets them be stored.
func (b *backlog) writeRow(group []*noted) {
	failed := func(n *noted, err error) {
		<-b.slots
		n.said <- said{err: err}
	}
	group = slices.DeleteFunc(slices.Clone(group), func(n *noted) bool {
		err := n.write()
		if err != nil {
			failed(n, err)
		}
		return err != nil
	})
	b.mu.Lock()
	row := b.row + 1
	b.mu.Unlock()
	if err := b.append(row, group); err != nil {
		for _, n := range group {
			failed(n, err)
		}
		return
	}
	b.mu.Lock()
	b.row = row
	b.waiting = append(b.waiting, group...)
	for _, n := range group {
		n.row, b.by[n.Decision] = row, n
	}
	b.begin()
	b.mu.Unlock()
	for _, n := range group {
		n.said <- said{}
	}
}

// append writes a row of the journal.
func (b *backlog) append(row int64, group []*noted) error {
	b.lines.Reset()
	for _, n := range group {
		b.lines.WriteString(n.head)
		b.lines.WriteByte('\n')
		b.lines.WriteString(n.body)
		b.lines.WriteByte('\n')
	}
	err := b.journal.Append(row, b.lines.Bytes())
	if _, is := errors.AsType[*fault.Error](err); err == nil || is {
		return err
	}
	return fault.New(fault.Unavailable, "journal_unavailable", "Decisions cannot be written down now, so nothing is answered: see that the disk has space and is writable, then start the program again.").Because(err)
}

// trim lets the journal forget what is stored.
func (b *backlog) trim() {
	b.mu.Lock()
	stored := b.stored
	b.mu.Unlock()
	b.journal.Trim(stored)
}

// ended lets an outcome be stored, with its decision where that waits too.
func (b *backlog) ended(e ending) {
	b.mu.Lock()
	if n := b.by[e.body.DecisionID]; n != nil && n.end == nil {
		n.end = &e
		b.mu.Unlock()
		return
	}
	b.mu.Unlock()
	b.slots <- struct{}{}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ends = append(b.ends, e)
	b.begin()
}

// len is how much is on its way.
func (b *backlog) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) + len(b.ends)
}

// begin lets what waits be stored soon. The caller has the lock.
func (b *backlog) begin() {
	if !b.storing {
		b.storing = true
		go b.run()
	}
	if len(b.waiting)+len(b.ends) >= manyAtOnce {
		select {
		case b.now <- struct{}{}:
		default:
		}
	}
}

// run stores what waits until nothing does.
func (b *backlog) run() {
	for more := true; more; {
		wait := gather
		if b.asking.Load() > siblings {
			wait = gatherBusy
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-b.now:
		}
		t.Stop()
		err := b.store(context.Background())
		b.trim()
		over := errors.Is(err, sqldb.ErrClosed) || errors.Is(err, sqldb.ErrCrashed) // the next process finds it in the journal
		if err != nil && !over {
			slog.Error("decisions wait to be stored", "n", b.len(), "err", err)
			time.Sleep(10 * gather)
		}
		b.mu.Lock()
		more = len(b.waiting)+len(b.ends) > 0 && !over
		b.storing = more
		b.mu.Unlock()
	}
}

// newest is the row of the last of decisions; 0 when none is of a row.
func newest(decisions []kept) (row int64) {
	for _, k := range decisions {
		row = max(row, k.row)
	}
	return row
}

// reached takes in that everything up to a row is stored.
func (b *backlog) reached(row int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stored = max(b.stored, row)
}

// all gives what waits.
func (b *backlog) all() (decisions []kept, ends []ending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.waiting {
		decisions = append(decisions, kept{n, n.end})
	}
	return decisions, slices.Clone(b.ends)
}

// drop takes out what has been stored. An outcome that came meanwhile stays.
func (b *backlog) drop(decisions []kept, ends []ending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := map[event.DecisionID]bool{}
	for _, e := range ends {
		gone[e.body.DecisionID] = true
	}
	left := len(b.waiting) + len(b.ends)
	b.ends = slices.DeleteFunc(b.ends, func(e ending) bool { return gone[e.body.DecisionID] })
	for _, k := range decisions {
		if b.by[k.Decision] != k.noted {
			continue
		}
		delete(b.by, k.Decision)
		if k.noted.end != k.end {
			b.ends = append(b.ends, *k.noted.end)
		}
	}
	b.waiting = slices.DeleteFunc(b.waiting, func(n *noted) bool { return b.by[n.Decision] != n })
	for range left - len(b.waiting) - len(b.ends) {
		<-b.slots
	}
}
