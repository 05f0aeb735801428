package gateway

import (
	"math"
	"strconv"
	"sync"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// desk is what decisions are made from beside the view of their agent: what the tables
// say, and what decisions say that are not in the tables yet. What is not on it was
// last used so long ago that it is in the tables.
type desk struct {
	mu       sync.Mutex
	callers  lately[string, session]
	episodes lately[talk, *episode] // the newest; nil for none
	unasked  lately[event.AgentID, tally]
	replies  lately[event.PersonID, allowance]
}

// talk names a session of an agent.
type talk struct {
	agent   event.AgentID
	session event.SessionID
}

// session is where a caller that named none is.
type session struct {
	id     event.SessionID
	last   event.Micros // when the caller spoke last
	stored event.Micros // the last that is in the table
}

// silence ends a caller's session.
const silence = event.Micros(20 * time.Minute / time.Microsecond)

// stamp is how exactly it is stored when a caller spoke last.
const stamp = event.Micros(time.Minute / time.Microsecond)

// tally counts what was done on a day, UTC.
type tally struct {
	day event.Micros
	n   int
}

func (t tally) on(today event.Micros) int {
	if t.day != today {
		return 0
	}
	return t.n
}

// allowance is how many replies a person got, and when they last bought more.
type allowance struct {
	tally
	boost event.Micros // 0 for never
}

// remembered is how many of anything are kept in memory at least, once they were used.
// It must be more than maxWaiting.
const remembered = 10000

const _ = uint(remembered - maxWaiting - 1) // does not compile otherwise

// lately remembers what was used: the newest of it, twice remembered at most.
type lately[K comparable, V any] struct{ young, old map[K]V }

func (l *lately[K, V]) get(k K) (v V, ok bool) {
	if v, ok = l.young[k]; ok {
		return v, true
	}
	if v, ok = l.old[k]; ok {
		l.put(k, v)
	}
	return v, ok
}

func (l *lately[K, V]) put(k K, v V) {
	if l.young == nil || len(l.young) >= remembered {
		l.young, l.old = map[K]V{}, l.young
	}
	l.young[k] = v
}

// add is put for what was read: what is there already is newer.
func (l *lately[K, V]) add(k K, v V) {
	if _, ok := l.get(k); !ok {
		l.put(k, v)
	}
}

func (l *lately[K, V]) forget(k K) {
	delete(l.young, k)
	delete(l.old, k)
}

func (l *lately[K, V]) drop(gone func(K) bool) {
	for _, m := range []map[K]V{l.young, l.old} {
		for k := range m {
			if gone(k) {
				delete(m, k)
			}
		}
	}
}

// sight is what of a room counts for the decision to speak.
type sight struct {
	said, mine int // of the last ten messages
	unbroken   int // of agents, at the end
}

// lacking is what the desk has not of what a decision needs.
type lacking struct{ caller, episode, replies, unasked, room bool }

// lacks says what a decision needs that is not there, and what never is: the end of
// the room.
func (s *Service) lacks(q question, now event.Micros) (l lacking) {
	d := &s.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	has := true
	if q.caller != "" {
		_, has = d.callers.get(q.caller)
		l.caller = !has
	}
	_, has = d.episodes.get(talk{q.agent, d.sessionOf(q, now)})
	l.episode = !has || l.caller
	if s.limited(q) {
		_, has = d.replies.get(q.person)
		l.replies = !has
	}
	if !q.asked() {
		_, has = d.unasked.get(q.agent)
		l.unasked = !has
		l.room = q.begins == ""
	}
	return l
}

// look puts what is lacking on the desk. What is there already stays: it is newer.
func (s *Service) look(tx *sqldb.Tx, q question, now event.Micros, l lacking) (seen sight, err error) {
	d := &s.desk
	if l.caller {
		var is session
		if _, err := tx.Get(`select session_id, last_at from callers where caller = $1`, []any{q.caller}, &is.id, &is.last); err != nil {
			return seen, err
		}
		is.stored = is.last
		d.mu.Lock()
		d.callers.add(q.caller, is)
		d.mu.Unlock()
	}
	if l.episode {
		d.mu.Lock()
		of := talk{q.agent, d.sessionOf(q, now)}
		d.mu.Unlock()
		e, err := latest(tx, of)
		if err != nil {
			return seen, err
		}
		d.mu.Lock()
		d.episodes.add(of, e)
		d.mu.Unlock()
	}
	if l.replies {
		a, err := allowanceOf(tx, q.person, now)
		if err != nil {
			return seen, err
		}
		d.mu.Lock()
		d.replies.add(q.person, a)
		d.mu.Unlock()
	}
	if l.unasked {
		t := tally{day: now / day}
		if _, err := tx.Get(`select count(*) from decisions where agent_id = $1 and unasked and at >= $2`, []any{q.agent, t.day * day}, &t.n); err != nil {
			return seen, err
		}
		d.mu.Lock()
		d.unasked.add(q.agent, t)
		d.mu.Unlock()
	}
	if l.room {
		err = seen.room(tx, q)
	}
	return seen, err
}

// asked: a person speaks to the agent alone, and is answered whatever the rest says.
func (q question) asked() bool { return q.begins == "" && q.direct && !q.fromAgent }

// limited: the reply counts among what a person gets in a day.
func (s *Service) limited(q question) bool {
	return q.begins == "" && q.person != "" && s.o.Replies > 0
}

// room reads the end of the room.
func (seen *sight) room(tx *sqldb.Tx, q question) error {
	until := q.seq
	if q.fromAgent { // agents that answer at the same time count each other
		until = math.MaxInt64
	}
	rows, err := tx.Query(`select kind, author_id from tail where room_id = $1 and seq <= $2 order by seq desc limit 10`, q.room, until)
	if err != nil {
		return err
	}
	defer rows.Close()
	unbroken := true
	for rows.Next() {
		var kind, author string
		if err := rows.Scan(&kind, &author); err != nil {
			return err
		}
		seen.said++
		if author == string(q.agent) {
			seen.mine++
		}
		if unbroken = unbroken && kind == event.KindAgent; unbroken {
			seen.unbroken++
		}
	}
	return rows.Err()
}

// sessionOf gives the session of a question; of a caller that named none the last one,
// until it was silent for twenty minutes; after a restart it may be a minute less.
func (d *desk) sessionOf(q question, now event.Micros) event.SessionID {
	if q.caller == "" {
		return q.session
	}
	if is, _ := d.callers.get(q.caller); is.id != "" && now-is.last <= silence {
		return is.id
	}
	return event.SessionID(event.HashID("gateway", "session", q.caller, strconv.FormatInt(now, 10)))
}

// spoke notes that the caller of a question speaks in a session, and says whether that
// is to be stored.
func (d *desk) spoke(q question, now event.Micros) (store bool) {
	if q.caller == "" {
		return false
	}
	is, _ := d.callers.get(q.caller)
	if is.id != q.session {
		is = session{id: q.session}
	}
	is.last = max(now, is.last)
	d.callers.put(q.caller, is)
	return is.last-is.stored > stamp
}

// stored takes in what has been stored.
func (d *desk) stored(all []kept) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range all {
		if n.Caller != "" {
			if is, ok := d.callers.get(n.Caller); ok && is.id == n.Session {
				is.stored = max(is.stored, n.At)
				d.callers.put(n.Caller, is)
			}
		}
		if n.episode != nil {
			n.episode.stored = true
		}
	}
}

// boosted takes in that somebody bought more replies.
func (d *desk) boosted(person event.PersonID, at event.Micros) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a, ok := d.replies.get(person); ok {
		a.boost = max(a.boost, at)
		d.replies.put(person, a)
	}
}

// forgetTurn forgets what another process may have changed by its turns.
func (d *desk) forgetTurn(q question) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.episodes.forget(talk{q.agent, q.session})
	d.unasked.forget(q.agent)
}

func (d *desk) forgetPerson(person event.PersonID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replies.forget(person)
}

func (d *desk) forgetAgent(agent event.AgentID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.episodes.drop(func(of talk) bool { return of.agent == agent })
	d.unasked.forget(agent)
}
