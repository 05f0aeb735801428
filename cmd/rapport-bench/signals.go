package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"rapport/chat"
	"rapport/event"
	"rapport/feedback"
	"rapport/feedback/signal"
	"rapport/internal/eventlog"
	"rapport/internal/eventlog/embedded"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/policy"
)

// The rooms of signals-throughput: of two, where everything is certain; small groups
// with two agents; large ones with three. Of a hundred happenings about eighty-five are
// messages, twelve reactions, the rest people who come and go and talks that end.
const (
	sigRooms  = 400
	sigEvents = 20_000
	sigBatch  = 1000
	sigAgents = 120
)

// signalsThroughput sends room events through chat and feedback, with every detector on: from the
// call of Ingest, durable in chat's database, by way of the log, until feedback has
// stored what the detectors found, durable too. All of it on SQLite. Learning does not listen.
func signalsThroughput(ctx context.Context) (metrics, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	w, err := newSignalWorld(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.relay.Run(run) }()
	if err := w.relay.Idle(ctx); err != nil {
		return nil, err
	}
	seed := rand.Uint64N(1 << 32)
	crowd := newCrowdOf(seed)
	for _, items := range crowd.come() {
		if err := w.ingest(ctx, items); err != nil {
			return nil, err
		}
	}
	if err := w.relay.Idle(ctx); err != nil {
		return nil, err
	}
	batches := crowd.talk(sigEvents)
	if path := os.Getenv("RAPPORT_PROFILE"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
	}
	start, chatAlone, used := time.Now(), 0., processor()
	for i, items := range batches {
		if err := w.ingest(ctx, items); err != nil {
			return nil, err
		}
		if i%20 == 19 {
			fmt.Fprintf(os.Stderr, "  %d of %d room events in chat after %.1f s\n", (i+1)*sigBatch, sigEvents, since(start))
		}
	}
	chatAlone = since(start)
	if err := w.relay.Idle(ctx); err != nil {
		return nil, err
	}
	seconds := since(start)
	used = processor() - used
	pprof.StopCPUProfile()
	stop()
	<-ended
	found, err := w.found(ctx)
	if err != nil {
		return nil, err
	}
	if found.kinds < 9 { // pauses, staying, leaving and bringing back need our own clock and invitations
		return nil, fmt.Errorf("only %d detectors found anything", found.kinds)
	}
	own, err := ownSignals(ctx)
	if err != nil {
		return nil, err
	}
	m := metrics{"events_per_second": sigEvents / seconds, "seconds": seconds, "chat_seconds": chatAlone, "processor_us_per_event": 1e6 * used / sigEvents,
		"signals_per_event": float64(found.total) / sigEvents, "detectors_heard": found.kinds, "seed": seed,
		"mix": "rooms of two, small and large groups; 85 % messages, 12 % reactions; imported, so that pauses tell nothing; SQLite, durable, chat and feedback, without learning"}
	for k, v := range own {
		m["feedback_alone_"+k] = v
	}
	return m, nil
}

// processor is the time of all cores that this process has used, in seconds.
func processor() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// ownSignals times feedback alone, from the log, with what only happens in rooms of our own: pauses by
// our clock, decisions, stays and invitations, so that every detector finds something.
func ownSignals(ctx context.Context) (metrics, error) {
	dir, clean, err := scratchDir()
	if err != nil {
		return nil, err
	}
	defer clean()
	w, err := newSignalWorld(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
	n := 0
	for k := 0; n < sigEvents; k++ {
		events := ownTalk(k)
		for _, e := range events {
			if e.Topic() == event.TopicRooms {
				n++
			}
		}
		if err := fill(ctx, w.log, events); err != nil {
			return nil, err
		}
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	start, used := time.Now(), processor()
	go func() { ended <- w.relay.Run(run) }()
	if err := w.relay.Idle(ctx); err != nil {
		return nil, err
	}
	seconds := since(start)
	used = processor() - used
	stop()
	<-ended
	found, err := w.found(ctx)
	if err != nil {
		return nil, err
	}
	if all := len(signal.Detectors()); found.kinds != all {
		return nil, fmt.Errorf("%d detectors found something, there are %d", found.kinds, all)
	}
	return metrics{"events_per_second": float64(n) / seconds, "processor_us_per_event": 1e6 * used / float64(n), "detectors_heard": found.kinds, "signals_per_event": float64(found.total) / float64(n)}, nil
}

// ownTalk is a talk of three people and an agent, forty messages and four reactions.
func ownTalk(k int) (out []event.Event) {
	id := func(what string, i int) string { return event.HashID("own", what, fmt.Sprint(k), fmt.Sprint(i)) }
	room, session, agent := event.RoomID(id("room", 0)), event.SessionID(id("session", 0)), sigAgent(k%sigAgents)
	at := int64(1_800_000_000_000_000) + int64(k)*3_600_000_000
	person := func(i int) event.PersonID { return event.PersonID(event.HashID("person", fmt.Sprint((k%50)*3+i%3))) }
	tell := func(p event.Payload) {
		at += 20_000_000
		out = append(out, event.New("bench", event.NewID(), at, p))
	}
	tell(event.SessionStarted{SessionID: session, AgentID: agent, RoomID: room, StartedBy: person(0)})
	levels := policy.Neutral()
	stamps := []event.MessageSession{{AgentID: agent, SessionID: session}}
	var last event.MessageID
	for i := range 20 {
		decision := event.DecisionID(id("decision", i))
		last = event.MessageID(id("agent", i))
		tell(event.ReplyGenerated{DecisionID: decision, AgentID: agent, PersonID: person(i), RoomID: room, SessionID: session, EpisodeID: event.EpisodeID(session), EpisodeStart: at, Action: "reply",
			Context: event.ContextGroupSmall, X: levels[:], Rendered: levels[:], Consent: true})
		tell(event.MessageCreated{RoomID: room, MessageID: last, Author: event.Member{Kind: event.KindAgent, AgentID: agent}, Sequence: int64(2*i + 1), Sessions: stamps, DecisionID: decision,
			Features: event.Features{Detector: 2, Words: 12, Chars: 60, Variance: .055}, People: 3, Members: 4, Consent: true})
		if k > 300 && i == 13 {
			at += 2_000_000_000 // slow
		}
		f, t := event.Features{Detector: 2, Words: 9, Chars: 40, Questions: i % 2, Sentiment: .3, Variance: .07}, event.Turn{Detector: 1, To: agent, Chance: 1, About: last, First: true, Next: i%5 != 0, Named: i%5 == 0, Trouble: .45}
		if i%4 == 3 {
			t.Shift = .6
		}
		tell(event.MessageCreated{RoomID: room, MessageID: event.MessageID(id("person", i)), Author: event.Member{Kind: event.KindPerson, PersonID: person(i)}, Sequence: int64(2*i + 2), Sessions: stamps,
			Features: f, Turn: &t, People: 3, Members: 4, Consent: true})
		if i%5 == 4 {
			tell(event.ReactionAdded{RoomID: room, MessageID: last, PersonID: person(i + 1), Emoji: []string{"👍", "🙄", "😂", "❤"}[i/5], Consent: true})
		}
	}
	parts := []event.SessionPerson{{Turns: 7, With: 6, WithMilli: 400_000, Heard: true, Answer: last}, {Turns: 7, With: 5, Answer: last, Others: 3}, {Turns: 6, With: 5, Answer: last, Stood: 40_000_000, Spoken: 1}}
	for i := range parts {
		parts[i].PersonID, parts[i].MedianChars, parts[i].LatencyMilli, parts[i].Consent = person(i), 40, 20_000, true
	}
	parts[1].LeftAfter, parts[1].Gone = true, true
	tell(event.SessionEnded{SessionID: session, AgentID: agent, RoomID: room, StartedBy: person(0), AgentMessages: 20, Messages: 40, People: parts})
	tell(event.AgentInvited{AgentID: agent, RoomID: room, By: person(0), Again: true, Consent: true})
	return out
}

// signalWorld is chat and feedback with a log between them.
type signalWorld struct {
	chat     *chat.Service
	chatDB   *sqldb.DB
	db       *sqldb.DB
	log      eventlog.Log
	relay    *relay.Relay
	closings []func() error
}

// anybody knows everyone.
type anybody struct{}

func (anybody) Names(_ context.Context, people []event.PersonID) (map[event.PersonID]string, error) {
	out := map[event.PersonID]string{}
	for _, p := range people {
		out[p] = "Person" + string(p[len(p)-3:])
	}
	return out, nil
}

func (anybody) AgentNames(_ context.Context, agents []event.AgentID) (map[event.AgentID]string, error) {
	out := map[event.AgentID]string{}
	for _, a := range agents {
		out[a] = "Agent" + string(a[len(a)-3:])
	}
	return out, nil
}

func newSignalWorld(ctx context.Context, dir string) (w *signalWorld, err error) {
	w = &signalWorld{}
	open := func(name string) (*sqldb.DB, error) {
		db, err := sqldb.Open(ctx, sqldb.Options{Path: filepath.Join(dir, name+".db"), Name: name})
		if err == nil {
			w.closings = append(w.closings, db.Close)
		}
		return db, err
	}
	if w.chatDB, err = open("chat"); err != nil {
		return nil, err
	}
	if w.db, err = open("feedback"); err != nil {
		return nil, err
	}
	if w.chat, err = chat.New(ctx, w.chatDB, chat.Options{People: anybody{}, Agents: anybody{}}); err != nil {
		return nil, err
	}
	f, err := feedback.New(ctx, w.db, feedback.Options{})
	if err != nil {
		return nil, err
	}
	if w.log, err = embedded.Open(ctx, filepath.Join(dir, "log.db")); err != nil {
		return nil, err
	}
	w.closings = append(w.closings, w.log.Close)
	w.relay = relay.New(w.log)
	w.relay.AddOutbox("chat", w.chatDB)
	w.relay.AddOutbox("feedback", w.db)
	w.relay.AddConsumer(w.chat.Consumer())
	w.relay.AddConsumer(f.Consumer())
	var made []event.Event
	for i := range sigAgents {
		doc, err := json.Marshal(policy.Default(string(sigAgent(i))))
		if err != nil {
			return nil, err
		}
		made = append(made, event.New("agent", event.NewID(), time.Now().UnixMicro(), event.AgentCreated{AgentState: event.AgentState{
			AgentID: sigAgent(i), OwnerID: event.PersonID(event.HashID("owner", fmt.Sprint(i))), Version: 1, Policy: doc, Learning: true, Alive: true}}))
	}
	return w, fill(ctx, w.log, made)
}

func (w *signalWorld) close() {
	for i := len(w.closings) - 1; i >= 0; i-- {
		_ = w.closings[i]()
	}
}

func (w *signalWorld) ingest(ctx context.Context, items []chat.Ingested) error {
	results, err := w.chat.Ingest(ctx, "bench", items)
	if err != nil {
		return err
	}
	for i, r := range results {
		if r.Err != nil {
			return fmt.Errorf("%s: %w", items[i].Type, r.Err)
		}
	}
	return nil
}

type signalsFound struct{ total, kinds int }

func (w *signalWorld) found(ctx context.Context) (f signalsFound, err error) {
	err = w.db.Read(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Get(`select count(*), count(distinct signal) from feedback_events where signal <> ''`, nil, &f.total, &f.kinds)
		return err
	})
	return f, err
}

func sigAgent(i int) event.AgentID { return event.AgentID(event.HashID("agent", fmt.Sprint(i))) }

// crowdOf is who is in which room, and what they say.
type crowdOf struct {
	r     *rand.Rand
	rooms []sigRoom
	n     int
}

type sigRoom struct {
	name   string
	people []event.PersonID
	agents []event.AgentID
	said   []string // newest last, at most 20
	by     []bool   // an agent said it
	next   int
}

func newCrowdOf(seed uint64) *crowdOf {
	c := &crowdOf{r: rand.New(rand.NewPCG(seed, 1))}
	for i := range sigRooms {
		room := sigRoom{name: fmt.Sprint("room", i)}
		people, agents := 1, 1
		switch {
		case i%10 >= 9:
			people, agents = 20, 3
		case i%10 >= 6:
			people, agents = 4, 2
		}
		for k := range people {
			room.people = append(room.people, event.PersonID(event.HashID("person", fmt.Sprint((i*7+k*13)%2000))))
		}
		for k := range agents {
			room.agents = append(room.agents, sigAgent((i*3+k)%sigAgents))
		}
		c.rooms = append(c.rooms, room)
	}
	return c
}

func (c *crowdOf) id() string { c.n++; return fmt.Sprint("i", c.n) }

// come lets everybody in, and say yes.
func (c *crowdOf) come() (batches [][]chat.Ingested) {
	yes := true
	for i := range c.rooms {
		room := &c.rooms[i]
		items := []chat.Ingested{{Type: chat.ItemRoomCreated, ID: c.id(), Room: room.name, Agents: room.agents}}
		for _, p := range room.people {
			items = append(items, chat.Ingested{Type: chat.ItemRoomJoined, ID: c.id(), Room: room.name, Who: event.Member{PersonID: p}, Consent: &yes})
		}
		batches = append(batches, items)
	}
	return batches
}

func (c *crowdOf) talk(n int) (batches [][]chat.Ingested) {
	for len(batches)*sigBatch < n {
		items := make([]chat.Ingested, 0, sigBatch)
		for len(items) < sigBatch {
			room := &c.rooms[c.r.IntN(len(c.rooms))]
			for range min(1+c.r.IntN(6), sigBatch-len(items)) { // talks come in bursts
				items = append(items, c.happens(room))
			}
		}
		batches = append(batches, items)
	}
	return batches
}

func (c *crowdOf) happens(room *sigRoom) chat.Ingested {
	it := chat.Ingested{ID: c.id(), Room: room.name}
	who := room.people[c.r.IntN(len(room.people))]
	switch p := c.r.Float64(); {
	case p < .12 && len(room.said) > 0:
		it.Type, it.Who, it.Message = chat.ItemReaction, event.Member{PersonID: who}, room.said[c.r.IntN(len(room.said))]
		it.Emoji = []string{"👍", "❤", "😂", "🎉", "👎", "🔥", "💀"}[c.r.IntN(7)]
		return it
	case p < .135 && len(room.said) > 6:
		it.Type, it.Agent = chat.ItemSessionStarted, room.agents[c.r.IntN(len(room.agents))] // ends the one before
		return it
	case p < .145 && len(room.people) > 4:
		it.Type, it.Who = chat.ItemRoomLeft, event.Member{PersonID: who} // comes back with their next word
		return it
	}
	it.Type, it.Message, it.Text = chat.ItemMessage, it.ID, c.sentence()
	room.next++
	agent := room.next%2 == 0 || len(room.people) > 1 && c.r.Float64() < .2
	if agent {
		it.Who = event.Member{AgentID: room.agents[c.r.IntN(len(room.agents))]}
	} else {
		it.Who = event.Member{PersonID: who}
		if p := c.r.Float64(); len(room.people) > 1 && p < .08 {
			it.Text = "@agent" + string(room.agents[0][len(room.agents[0])-3:]) + " " + it.Text
		}
	}
	if len(room.people) > 1 && len(room.said) > 0 && c.r.Float64() < .4 { // answers something by a link
		it.ReplyTo = room.said[max(0, len(room.said)-1-c.r.IntN(3))]
	}
	room.said, room.by = append(room.said, it.Message), append(room.by, agent)
	if len(room.said) > 20 {
		room.said, room.by = room.said[1:], room.by[1:]
	}
	return it
}

var sigWords = strings.Fields(`i you we the a it that this and but so not is was have like love hate think know want need try go make say great good bad wrong nice sorry thanks please really very
	music kitchen bread mountain garden river book story dog cat coffee train city winter summer morning friend family work idea plan question answer code picture game school money house
	yesterday tomorrow maybe never always again again because when where how what why which about with for from into over`)

func (c *crowdOf) sentence() string {
	var b strings.Builder
	for range 1 + c.r.IntN(2) {
		for k := range 3 + c.r.IntN(9) {
			if k > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(sigWords[c.r.IntN(len(sigWords))])
		}
		b.WriteString([]string{". ", "? ", "! ", ". "}[c.r.IntN(4)])
	}
	return strings.TrimSpace(b.String())
}
