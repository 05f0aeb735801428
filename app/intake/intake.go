// Package intake reads recorded conversations and turns them into door items.
//
// Owns: the file formats. Two are known, found by looking at the file:
//
//   - dbdc3: one JSON object a line (plain or gzip), {set, id, turns:[{s:"S"|"U",
//     u:text, a:[[rater,label],…]}]}; each set's bot is an agent, each rater a
//     reviewer, the labels O/T/X marks +1/0/−1 on the bot's turn;
//   - irc: a day of one channel, [hh:mm] <nick> text; other lines (joins,
//     leaves, actions) are counted and passed over.
//
// A line that cannot be read is reported with its number and set aside, never
// guessed. Reading is a pure function of the file, so importing again sends the
// same ids again.
//
// Start reading at Read.
package intake

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"rapport/app/door"
	"rapport/event"
)

// Bad is a line that was set aside.
type Bad struct {
	File   string `json:"file"`
	Line   int    `json:"line"` // from 1
	Reason string `json:"reason"`
}

// Counts is what was found in the files.
type Counts struct {
	Conversations int `json:"conversations"` // rooms: a conversation, or a day of a channel
	Messages      int `json:"messages"`
	Labels        int `json:"labels"`
	Other         int `json:"other"` // lines that are no message: joins, leaves, actions, blanks
	Bad           int `json:"bad"`
}

// Reading is one file, read.
type Reading struct {
	Format  string
	Source  string // the items' source: the ids' namespace
	Agents  []string
	Counts  Counts
	Bad     []Bad
	Talk    []door.Item // rooms and messages
	Marks   []door.Item // feedback on them
	pending map[string]event.AgentID
}

// Format finds out what a file is: dbdc3, irc, or an error that says what was
// expected.
func Format(head []byte) (string, error) {
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, "\ufeff \t\r\n"), []byte("\n"))
	switch {
	case len(line) > 0 && line[0] == '{' && bytes.Contains(line, []byte(`"turns"`)):
		return "dbdc3", nil
	case ircLine.Match(line) || bytes.HasPrefix(line, []byte("=== ")):
		return "irc", nil
	}
	return "", errors.New("not a format this program reads; it reads JSON lines with \"turns\" (dbdc3) and lines as [12:18] <nick> text (IRC)")
}

// Read reads a file. agent gives the id of the agent that stands for a bot, by
// the bot's name; it is called once per name. An error means that nothing of
// the file can be used.
func Read(path string, agent func(name string) (event.AgentID, error)) (*Reading, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		in = bufio.NewReaderSize(z, 1<<16)
	}
	head, err := in.Peek(1 << 16)
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	format, err := Format(head)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &Reading{Format: format, pending: map[string]event.AgentID{}}
	name := filepath.Base(path)
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), 1<<24)
	take := r.dbdc3
	r.Source = "dbdc3"
	if format == "irc" {
		r.Source = "irc"
		day := ircDay(name)
		r.Counts.Conversations = 1
		r.room(day, nil)
		take = func(n int, line []byte, _ func(string) (event.AgentID, error)) error { return r.irc(day, n, line) }
	}
	for n := 1; lines.Scan(); n++ {
		if err := take(n, lines.Bytes(), agent); err != nil {
			bad, ok := err.(badLine)
			if !ok {
				return nil, fmt.Errorf("%s line %d: %w", path, n, err)
			}
			r.Bad = append(r.Bad, Bad{name, n, string(bad)})
			r.Counts.Bad++
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// badLine is the reason why one line is set aside.
type badLine string

func (b badLine) Error() string { return string(b) }

type conversation struct {
	Set   string `json:"set"`
	ID    string `json:"id"`
	Turns []struct {
		S string      `json:"s"`
		U string      `json:"u"`
		A [][2]string `json:"a"`
	} `json:"turns"`
}

var marks = map[string]int{"O": 1, "T": 0, "X": -1}

func (r *Reading) dbdc3(_ int, line []byte, agent func(string) (event.AgentID, error)) error {
	if len(bytes.TrimSpace(line)) == 0 {
		r.Counts.Other++
		return nil
	}
	var c conversation
	if err := json.Unmarshal(line, &c); err != nil {
		return badLine("not a JSON object of the expected form")
	}
	if c.ID == "" || c.Set == "" || len(c.Turns) == 0 {
		return badLine("id, set and turns must not be empty")
	}
	for _, t := range c.Turns {
		if t.S != "S" && t.S != "U" {
			return badLine("a turn's speaker is neither S nor U")
		}
		for _, a := range t.A {
			if _, ok := marks[a[1]]; !ok || a[0] == "" {
				return badLine("a label is none of O, T and X, or has no rater")
			}
		}
	}
	bot, ok := r.pending[c.Set]
	if !ok {
		var err error
		if bot, err = agent(botName(c.Set)); err != nil {
			return err
		}
		r.pending[c.Set] = bot
		r.Agents = append(r.Agents, botName(c.Set))
	}
	room := c.Set + "/" + c.ID
	r.Counts.Conversations++
	r.room(room, []event.AgentID{bot})
	for i, t := range c.Turns {
		message := room + "/" + strconv.Itoa(i)
		who := door.Who{Agent: bot}
		if t.S == "U" {
			who = door.Who{Person: "user of " + room}
		}
		r.Counts.Messages++
		r.say(door.Data{Room: room, Message: message, Who: &who, Text: t.U}, "")
		for _, a := range t.A {
			mark := marks[a[1]]
			r.Counts.Labels++
			r.Marks = append(r.Marks, item(r.Source, "mark/"+message+"/"+a[0], door.FeedbackGiven, "",
				door.Data{Message: message, Who: &door.Who{Person: "rater " + a[0]}, Mark: &mark}))
		}
	}
	r.Talk = append(r.Talk, item(r.Source, "end/"+room, door.SessionEnded, "", door.Data{Room: room, Agent: bot}))
	return nil
}

// botName is the name of the agent that stands for a set's system: CIC_115 is
// the system CIC on 115 conversations.
func botName(set string) string {
	name, _, _ := strings.Cut(set, "_")
	return strings.ToLower(name)
}

var (
	ircLine = regexp.MustCompile(`^\[(\d\d:\d\d)\] <([^>]+)>(.*)$`)
	ircTime = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)`)
)

func ircDay(file string) string { return strings.TrimSuffix(strings.TrimSuffix(file, ".txt"), ".raw") }

func (r *Reading) irc(day string, n int, line []byte) error {
	m := ircLine.FindSubmatch(line)
	if m == nil {
		r.Counts.Other++
		return nil
	}
	text := strings.TrimSpace(string(m[3]))
	if text == "" {
		return badLine("a message without a text")
	}
	at := ""
	if d := ircTime.FindString(day); d != "" {
		at = d + "T" + string(m[1]) + ":00Z"
	}
	r.Counts.Messages++
	r.say(door.Data{Room: day, Message: day + "/" + strconv.Itoa(n), Who: &door.Who{Person: strings.TrimSpace(string(m[2]))}, Text: strings.ToValidUTF8(text, "\ufffd")}, at)
	return nil
}

func (r *Reading) room(room string, agents []event.AgentID) {
	r.Talk = append(r.Talk, item(r.Source, "room/"+room, door.RoomCreated, "", door.Data{Room: room, Agents: agents}))
}

func (r *Reading) say(d door.Data, at string) {
	r.Talk = append(r.Talk, item(r.Source, "message/"+d.Message, door.MessageIngest, at, d))
}

func item(source, id, typ, at string, d door.Data) door.Item {
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return door.Item{SpecVersion: "1.0", ID: id, Source: source, Type: typ, Time: at, Data: data}
}
