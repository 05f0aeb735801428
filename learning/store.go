package learning

import (
	"database/sql"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"rapport/event"
	"rapport/internal/sqldb"
	"rapport/learning/fold"
)

// in runs a query with "in (…)" over ids, in portions of a few fixed sizes so that
// the statements can be kept; a short portion repeats its last id.
func in(tx *sqldb.Tx, before string, ids []string, after string, row func(*sql.Rows) error) error {
	for len(ids) > 0 {
		size := 1
		for _, s := range [...]int{100, 10} {
			if len(ids) >= s || s == 10 && len(ids) > 1 {
				size = s
				break
			}
		}
		n := min(size, len(ids))
		args := make([]any, size)
		for i := range args {
			args[i] = ids[min(i, n-1)]
		}
		ids = ids[n:]
		rows, err := tx.Query(before+" in "+places(1, size)+after, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			if err := row(rows); err != nil {
				rows.Close()
				return err
			}
		}
		if err := rows.Err(); err != nil {
			rows.Close()
			return err
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

// places is ($from, …) of n placeholders.
func places(from, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString([]string{"(", ","}[min(i, 1)] + "$" + strconv.Itoa(from+i))
	}
	b.WriteByte(')')
	return b.String()
}

// loadHeads reads the hot ends of the learners, the canonical states, tallies and
// withdrawn feedback of the agents.
func loadHeads(tx *sqldb.Tx, ids []string, of map[string]*work) error {
	err := in(tx, `select l.agent_id, l.entries, l.merged, l.newest, c.state from rl_learners l
		left join rl_checkpoints c on c.agent_id = l.agent_id and c.place = -1
		where l.agent_id`, ids, ``, func(rows *sql.Rows) error {
		var id string
		var n, merged int
		var newest, state []byte
		if err := rows.Scan(&id, &n, &merged, &newest, &state); err != nil {
			return err
		}
		of[id].book = newBook(n, merged, newest, state)
		return nil
	})
	if err != nil {
		return err
	}
	if err := loadCanons(tx, ids, of); err != nil {
		return err
	}
	err = in(tx, `select agent_id, revision, positive_count, negative_count, score_sum, score_count, engagement_sum, engagement_count,
		reward_sum, reward_count, last_feedback_at, topics from rl_feedback_projection where agent_id`, ids, ``, func(rows *sql.Rows) error {
		var id, topics string
		var t tally
		if err := rows.Scan(&id, &t.Revision, &t.Positive, &t.Negative, &t.ScoreSum, &t.ScoreCount, &t.EngagementSum, &t.EngagementCount,
			&t.RewardSum, &t.RewardCount, &t.LastAt, &topics); err != nil {
			return err
		}
		of[id].tally = t
		if topics != "{}" {
			return json.Unmarshal([]byte(topics), &of[id].tally.Topics)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return in(tx, `select agent_id, feedback_id, at from rl_withdrawn where agent_id`, ids, ``, func(rows *sql.Rows) error {
		var id, feedback string
		var at event.Micros
		if err := rows.Scan(&id, &feedback, &at); err != nil {
			return err
		}
		of[id].tombstone(feedback, at)
		return nil
	})
}

// loadCanons reads what is known of the agents' canonical states.
func loadCanons(tx *sqldb.Tx, ids []string, of map[string]*work) error {
	return in(tx, `select agent_id, version, retired, canon from rl_agent_projection where agent_id`, ids, ``, func(rows *sql.Rows) error {
		var id string
		var b []byte
		c := &canon{}
		if err := rows.Scan(&id, &c.Version, &c.Retired, &b); err != nil {
			return err
		}
		if !c.Retired {
			if err := c.read(b); err != nil {
				return err
			}
		}
		of[id].canon = c
		return nil
	})
}

// column reads one column of texts.
func column(tx *sqldb.Tx, query string, args ...any) (out []string, err error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// loadPolicies reads the canonical documents of the agents that propose another.
func loadPolicies(tx *sqldb.Tx, works []*work, of map[string]*work) error {
	var ids []string
	for _, w := range works {
		if w.wish != nil && w.doc == nil {
			ids = append(ids, w.agent)
		}
	}
	return in(tx, `select agent_id, policy from rl_agent_projection where agent_id`, ids, ``, func(rows *sql.Rows) error {
		var id string
		var policy []byte
		if err := rows.Scan(&id, &policy); err != nil {
			return err
		}
		of[id].policy = policy
		return nil
	})
}

func newBook(stored, merged int, newest, before []byte) book {
	b := book{stored: stored, merged: merged, sealed: merged, base: max(0, stored-1), known: map[int][]byte{}, from: math.MaxInt, bare: -1}
	if stored > 0 {
		b.slots = []slot{{raw: newest}}
		if before != nil {
			b.known[stored-1] = before
		}
	}
	return b
}

// loadChunks extends a book down to the chunk that holds entries from at on, and
// so many chunks further back.
func loadChunks(tx *sqldb.Tx, agent string, b *book, at event.Micros, back int) error {
	first := 0
	if _, err := tx.Get(`select coalesce(max(chunk), 0) from rl_entries where agent_id = $1 and first_at < $2`, []any{agent, at}, &first); err != nil {
		return err
	}
	return loadFrom(tx, agent, b, first-back, true)
}

// loadFirsts reads when the stored chunks begin.
func loadFirsts(tx *sqldb.Tx, agent string, b *book) error {
	rows, err := tx.Query(`select chunk, first_at from rl_entries where agent_id = $1`, agent)
	if err != nil {
		return err
	}
	defer rows.Close()
	b.firsts = map[int]event.Micros{}
	for rows.Next() {
		var chunk int
		var at event.Micros
		if err := rows.Scan(&chunk, &at); err != nil {
			return err
		}
		b.firsts[chunk] = at
	}
	return rows.Err()
}

// loadFrom extends a book down to a chunk, with the states between when something
// before the newest entry is to change.
func loadFrom(tx *sqldb.Tx, agent string, b *book, first int, states bool) error {
	newest := b.slots[len(b.slots)-1]
	first = max(first, b.merged/chunkSize)
	b.base, b.slots = first*chunkSize, nil
	rows, err := tx.Query(`select entries from rl_entries where agent_id = $1 and chunk >= $2 order by chunk`, agent, first)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var chunk []byte
		if err := rows.Scan(&chunk); err != nil {
			return err
		}
		slots, err := split(chunk)
		if err != nil {
			return err
		}
		b.slots = append(b.slots, slots...)
	}
	if err := rows.Close(); err != nil {
		return err
	}
	b.slots = append(b.slots, newest)
	if b.count() != b.stored {
		return unreadable(fold.ErrEntry)
	}
	if !states {
		return nil
	}
	rows, err = tx.Query(`select place, state from rl_checkpoints where agent_id = $1 and place >= $2`, agent, b.base)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at int
		var state []byte
		if err := rows.Scan(&at, &state); err != nil {
			return err
		}
		b.known[at] = state
	}
	return rows.Close()
}

// storePage writes what changed of an agent's list.
func storePage(tx *sqldb.Tx, agent string, b *book, p *page) error {
	for _, c := range p.checkpoints {
		var err error
		if c.state == nil {
			_, err = tx.Exec(`delete from rl_checkpoints where agent_id = $1 and place = $2`, agent, c.place)
		} else {
			_, err = tx.Exec(`insert into rl_checkpoints (agent_id, place, state) values ($1, $2, $3)
				on conflict (agent_id, place) do update set state = excluded.state`, agent, c.place, c.state)
		}
		if err != nil {
			return err
		}
	}
	for _, c := range p.chunks {
		var err error
		if c.entries == nil {
			_, err = tx.Exec(`delete from rl_entries where agent_id = $1 and chunk = $2`, agent, c.chunk)
		} else {
			_, err = tx.Exec(`insert into rl_entries (agent_id, chunk, first_at, entries) values ($1, $2, $3, $4)
				on conflict (agent_id, chunk) do update set first_at = excluded.first_at, entries = excluded.entries`, agent, c.chunk, c.firstAt, c.entries)
		}
		if err != nil {
			return err
		}
	}
	if p.sealed > 0 {
		if _, err := tx.Exec(`delete from rl_entries where agent_id = $1 and chunk < $2`, agent, p.sealed/chunkSize); err != nil {
			return err
		}
		if _, err := tx.Exec(`delete from rl_checkpoints where agent_id = $1 and place >= 0 and place < $2`, agent, p.sealed); err != nil {
			return err
		}
		if _, err := tx.Exec(`delete from rl_signals where agent_id = $1 and at < $2`, agent, p.since); err != nil {
			return err
		}
		if _, err := tx.Exec(`delete from rl_withdrawn where agent_id = $1 and at > 0 and at < $2`, agent, p.since); err != nil {
			return err
		}
	}
	if b.count() == 0 {
		_, err := tx.Exec(`delete from rl_learners where agent_id = $1`, agent)
		return err
	}
	_, err := tx.Exec(`insert into rl_learners (agent_id, entries, merged, newest) values ($1, $2, $3, $4)
		on conflict (agent_id) do update set entries = excluded.entries, merged = excluded.merged, newest = excluded.newest`,
		agent, b.count(), b.sealed, b.slots[len(b.slots)-1].bytes())
	return err
}

func storeTally(tx *sqldb.Tx, agent string, t *tally) error {
	_, err := tx.Exec(`insert into rl_feedback_projection (agent_id, revision, positive_count, negative_count, score_sum, score_count,
		engagement_sum, engagement_count, reward_sum, reward_count, last_feedback_at, topics)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		on conflict (agent_id) do update set revision = excluded.revision, positive_count = excluded.positive_count, negative_count = excluded.negative_count,
		score_sum = excluded.score_sum, score_count = excluded.score_count, engagement_sum = excluded.engagement_sum,
		engagement_count = excluded.engagement_count, reward_sum = excluded.reward_sum, reward_count = excluded.reward_count,
		last_feedback_at = excluded.last_feedback_at, topics = excluded.topics`,
		agent, t.Revision, t.Positive, t.Negative, t.ScoreSum, t.ScoreCount, t.EngagementSum, t.EngagementCount, t.RewardSum, t.RewardCount, t.LastAt, t.topics())
	return err
}

// signalRow is one row of rl_signals.
type signalRow struct {
	agent, feedback string
	at              int64
	signal          *Signal
	body            []byte
}

// storeSignals inserts rows, sixteen in a statement.
func storeSignals(tx *sqldb.Tx, rows []signalRow) error {
	const most = 16
	for len(rows) > 0 {
		n := 1
		if len(rows) >= most {
			n = most
		}
		args := make([]any, 0, 4*n)
		for _, r := range rows[:n] {
			args = append(args, r.agent, r.feedback, r.at, r.body)
		}
		rows = rows[n:]
		if _, err := tx.Exec(insertSignals[n == most], args...); err != nil {
			return err
		}
	}
	return nil
}

var insertSignals = map[bool]string{false: insertRows(1), true: insertRows(16)}

func insertRows(n int) string {
	q := `insert into rl_signals (agent_id, feedback_id, at, body) values `
	for i := range n {
		if i > 0 {
			q += ", "
		}
		q += places(4*i+1, 4)
	}
	return q + ` on conflict (agent_id, feedback_id) do update set at = excluded.at, body = excluded.body`
}

// loadSignal reads what a feedback was counted as; nil when it was not.
func loadSignal(tx *sqldb.Tx, agent, feedback string) (*Signal, error) {
	var at int64
	var body []byte
	found, err := tx.Get(`select at, body from rl_signals where agent_id = $1 and feedback_id = $2`, []any{agent, feedback}, &at, &body)
	if err != nil || !found {
		return nil, err
	}
	s, err := readSignal(agent, at, body)
	return s, unreadable(err)
}
