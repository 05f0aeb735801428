package sqldb

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// groupMax bounds the functions that share a commit.
const groupMax = 256

// call is one Write.
type call struct {
	tx       Tx
	fn       func(*Tx) error
	err      error
	panicked string
	undone   bool      // its part was undone, or never ran
	wake     chan bool // true: lead the next group; false: answered
	leads    bool      // it has the lead, or has been passed it; under the queue's lock
}

// queue is the line of writers. One of them leads: it runs the functions of all
// who wait, its own first, commits once, passes the lead to the first who came
// meanwhile, and answers. Without rivals a Write never leaves its goroutine.
type queue struct {
	sync.Mutex
	busy    bool
	waiting []*call
}

// join runs fn in the next group.
func (db *DB) join(ctx context.Context, fn func(*Tx) error) error {
	c := &call{fn: fn, wake: make(chan bool, 1)}
	c.tx = Tx{db: db, ctx: ctx}
	q := &db.queue
	q.Lock()
	q.waiting = append(q.waiting, c)
	lead := !q.busy
	c.leads, q.busy = lead, true
	q.Unlock()

	if !lead {
		select {
		case lead = <-c.wake:
		case <-ctx.Done():
			if q.leave(c) {
				return ctx.Err()
			}
			lead = <-c.wake
		}
	}
	if lead {
		db.lead()
	}
	if c.panicked != "" {
		panic(c.panicked)
	}
	return c.err
}

// leave takes a call out of the line; false when its turn has come.
func (q *queue) leave(c *call) bool {
	q.Lock()
	defer q.Unlock()
	i := slices.Index(q.waiting, c)
	if i < 0 || c.leads {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// lead runs one group: the caller's function and those that wait behind it.
func (db *DB) lead() {
	q := &db.queue
	q.Lock()
	n := min(len(q.waiting), groupMax)
	group := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.Unlock()

	finished := false
	defer func() {
		if !finished { // a function ended the goroutine
			db.writer.exec("rollback")
			fail(group, db.unavailable(errors.New("a function of the group ended its goroutine")))
		}
		q.Lock()
		if len(q.waiting) > 0 {
			q.waiting[0].leads = true
			q.waiting[0].wake <- true
		} else {
			q.busy = false
		}
		q.Unlock()
		for _, c := range group[1:] {
			c.wake <- false
		}
	}()
	db.transact(group)
	finished = true
}

// transact runs the functions of a group in one transaction.
func (db *DB) transact(group []*call) {
	var w *conn
	lost := func(err error) {
		if w != nil {
			w.exec("rollback") // the engine may have done it already
		}
		if !errors.Is(err, ErrCrashed) {
			err = db.unavailable(err)
		}
		fail(group, err)
	}
	db.mu.Lock()
	dead := db.dead
	db.mu.Unlock()
	if dead {
		fail(group, ErrCrashed)
		return
	}
	w, err := db.begin()
	if err != nil {
		lost(err)
		return
	}
	alone, kept := len(group) == 1, 0
	for _, c := range group {
		if c.err = c.tx.ctx.Err(); c.err != nil {
			c.undone = true
			continue
		}
		if !alone {
			if err := w.exec("savepoint one"); err != nil {
				lost(err)
				return
			}
		}
		c.tx.conn = w
		c.panicked, c.err = c.tx.run(c.fn)
		if c.tx.outage != nil {
			lost(c.tx.outage)
			return
		}
		c.undone = c.err != nil || c.panicked != ""
		if !c.undone {
			kept++
		}
		if alone {
			continue
		}
		if c.undone {
			if err := w.exec("rollback to one"); err != nil {
				lost(err)
				return
			}
		}
		if err := w.exec("release one"); err != nil {
			lost(err)
			return
		}
	}
	if kept == 0 {
		w.exec("rollback")
		return
	}
	if err := db.at("commit"); err != nil {
		lost(err)
		return
	}
	if err := db.engine.commit(w); err != nil {
		lost(err)
		return
	}
	if err := db.at("committed"); err != nil {
		fail(group, err)
		return
	}
	for _, c := range group {
		if !c.undone {
			c.committed()
		}
	}
}

// begin gives the writer with a transaction begun, on a new connection when the
// old one was cut since the last.
func (db *DB) begin() (*conn, error) {
	if db.writer != nil {
		db.writer.trim()
		err := db.engine.begin(db.writer)
		if err == nil || db.writer.usable() {
			return db.writer, err
		}
		db.writer.close()
		db.writer = nil
	}
	c, err := db.engine.connect(context.Background(), true)
	if err != nil {
		return nil, err
	}
	db.writer = c
	return c, db.engine.begin(c)
}

// fail answers err to all whose function had not failed by itself.
func fail(group []*call, err error) {
	for _, c := range group {
		if c.err == nil && c.panicked == "" || errors.Is(err, ErrCrashed) {
			c.err = err
		}
		c.undone = true
	}
}

// committed calls what waited for the commit.
func (c *call) committed() {
	c.panicked, _ = c.tx.run(func(tx *Tx) error {
		for _, f := range tx.onCommit {
			f()
		}
		return nil
	})
}
