package chat

import "rapport/event"

// together counts, for each person of a session, what they and the agent had to do
// with one another. A message of the agent is an answer to whom it replies to; without
// that, to who spoke to the agent last before it.
//
//   - With, WithMilli: messages that surely speak to the agent, from the first to the last.
//   - Answer: the agent's last answer to the person. Heard: they spoke to the agent
//     after it; Others: what they said after it to others; Stood: how long it was there
//     until the session ended, waited after its last message.
//   - Spoken: messages of the agent after the person's last.
//
// What agents say to each other is none of it.
func together(lines []line, agent event.AgentID, people []event.SessionPerson, left map[event.PersonID]bool, waited event.Micros) {
	type part struct {
		*event.SessionPerson
		first, last, answered event.Micros
	}
	parts := map[string]*part{}
	for i := range people {
		_, gone := left[people[i].PersonID]
		people[i].Gone = gone
		parts[string(people[i].PersonID)] = &part{SessionPerson: &people[i]}
	}
	author := map[event.MessageID]string{}
	speaker, end := "", event.Micros(0) // who spoke to the agent last
	for _, l := range lines {
		if l.aside {
			continue
		}
		author[l.id], end = l.author, max(end, l.heard)
		if l.kind == event.KindPerson {
			p := parts[l.author]
			p.Spoken = 0
			if l.to != agent {
				p.Others++
				continue
			}
			if p.With == 0 {
				p.first = l.heard
			}
			p.With, p.last, speaker = p.With+1, l.heard, l.author
			p.Heard = p.Answer != ""
			continue
		}
		if l.author != string(agent) {
			continue
		}
		for _, p := range parts {
			p.Spoken++
		}
		to := speaker
		if l.replyTo != "" {
			to = author[l.replyTo]
		}
		if p := parts[to]; p != nil {
			p.Answer, p.answered, p.Heard, p.Others = l.id, l.heard, false, 0
		}
	}
	for _, p := range parts {
		p.WithMilli = max(0, (p.last-p.first)/1000)
		if p.Answer == "" {
			p.Others = 0
			continue
		}
		p.Stood = max(0, (end-p.answered+waited)/1000)
	}
}
