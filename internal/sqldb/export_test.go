package sqldb

import (
	"context"
	"runtime"
	"strconv"
)

// WaitForWriters returns when n calls of Write wait for the one that runs.
func WaitForWriters(db *DB, n int) {
	for {
		db.queue.Lock()
		waiting := len(db.queue.waiting)
		db.queue.Unlock()
		if waiting >= n {
			return
		}
		runtime.Gosched()
	}
}

// OpenSmall opens with room for a number of pages.
func OpenSmall(o Options, pages int) (*DB, error) {
	o.maxPages = pages
	return openSQLite(context.Background(), o)
}

// OpenSynced opens with another setting of synchronous.
func OpenSynced(o Options, synchronous string) (*DB, error) {
	o.synchronous = synchronous
	return openSQLite(context.Background(), o)
}

// SetRoom changes the room.
func SetRoom(db *DB, pages int) error {
	db.queue.Lock()
	defer db.queue.Unlock()
	return db.writer.exec("pragma max_page_count = " + strconv.Itoa(pages))
}

// Unnamed is unnamed.
var Unnamed = unnamed
