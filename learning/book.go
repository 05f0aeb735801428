package learning

import (
	"math"
	"slices"

	"rapport/event"
	"rapport/learning/fold"
)

// chunkSize is how many entries lie in one chunk, and between two checkpoints.
const chunkSize = 32

// beforeNewest is the place of the state before the newest entry.
const beforeNewest = -1

// book is the end of an agent's list in memory: from the newest entry, or from
// the chunk in which something changes. What is stored of it is a function of the
// list alone: entries in chunks of 32, the newest apart, the state before each
// chunk and before the newest entry.
type book struct {
	stored int // entries in the database
	base   int // number of the first slot
	slots  []slot
	known  map[int][]byte // stored states by place
	from   int            // the first place at which something changed
}

// slot is one entry, decoded when somebody looks at it.
type slot struct {
	raw []byte
	e   *fold.Entry
}

func (s *slot) entry() (*fold.Entry, error) {
	if s.e == nil {
		e, err := fold.ReadEntry(s.raw)
		if err != nil {
			return nil, err
		}
		s.e = e
	}
	return s.e, nil
}

// bytes encodes an entry that was changed.
func (s *slot) bytes() []byte {
	if s.raw == nil {
		s.raw = s.e.Append(nil)
	}
	return s.raw
}

// split cuts a chunk into slots.
func split(chunk []byte) ([]slot, error) {
	var out []slot
	for len(chunk) > 0 {
		n, err := fold.Length(chunk)
		if err != nil {
			return nil, err
		}
		out = append(out, slot{raw: chunk[:n:n]})
		chunk = chunk[n:]
	}
	return out, nil
}

func (b *book) count() int { return b.base + len(b.slots) }

func (b *book) changed() bool { return b.from < math.MaxInt }

// find gives the place among the slots of the entry with the key, or where it
// would be. It looks from the end, where most things happen.
func (b *book) find(at event.Micros, id string) (int, bool, error) {
	for i := len(b.slots) - 1; i >= 0; i-- {
		e, err := b.slots[i].entry()
		if err != nil {
			return 0, false, err
		}
		switch c := fold.Compare(at, id, e.At, e.ID); {
		case c == 0:
			return i, true, nil
		case c > 0:
			return i + 1, false, nil
		}
	}
	return 0, false, nil
}

// edit changes the episode with the key, which it makes when there is none; an
// episode of which nothing is left goes. It says whether anything changed.
func (b *book) edit(at event.Micros, id string, change func(*fold.Episode) bool) (bool, error) {
	i, found, err := b.find(at, id)
	if err != nil {
		return false, err
	}
	e := &fold.Entry{At: at, ID: id}
	if found {
		e = b.slots[i].e
		if e.Act != nil {
			return false, nil // an id that is both: no episode of ours
		}
	}
	if !change(&e.About) {
		return false, nil
	}
	switch {
	case !found:
		b.slots = slices.Insert(b.slots, i, slot{e: e})
	case e.Hollow():
		b.slots = slices.Delete(b.slots, i, i+1)
	default:
		b.slots[i].raw = nil
	}
	b.from = min(b.from, b.base+i)
	return true, nil
}

// enact adds an act; a second one with the same key changes nothing.
func (b *book) enact(e *fold.Entry) error {
	i, found, err := b.find(e.At, e.ID)
	if err != nil || found {
		return err
	}
	b.slots = slices.Insert(b.slots, i, slot{e: e})
	b.from = min(b.from, b.base+i)
	return nil
}

// page is what of a book has to be written: rows of three tables.
type page struct {
	checkpoints []checkpoint // state nil: delete
	chunks      []chunkRow   // entries nil: delete
}

type checkpoint struct {
	place int
	state []byte
}

type chunkRow struct {
	chunk   int
	firstAt event.Micros
	entries []byte
}

// fold computes the state after the newest entry. What differs from what is
// stored comes back as a page.
func (b *book) fold(f *fold.Folder) (fold.State, page, error) {
	var p page
	n, last := b.count(), b.count()-1
	place, s := 0, fold.New()
	for at, state := range b.known {
		if at >= place && at <= min(b.from, last) {
			var read fold.State
			if read.Read(state) {
				place, s = at, read
			}
		}
	}
	if place < b.base {
		return s, p, fold.ErrEntry // nothing to start from: the caller loads the whole list
	}
	oldNewest := b.stored - 1
	for i := place; i < n; i++ {
		if i > 0 && i%chunkSize == 0 && (i > b.from || i >= b.stored) {
			p.checkpoints = append(p.checkpoints, checkpoint{i, s.Append(make([]byte, 0, fold.Size))})
		}
		if i > 0 && i == last && (i > b.from || i != oldNewest) {
			p.checkpoints = append(p.checkpoints, checkpoint{beforeNewest, s.Append(make([]byte, 0, fold.Size))})
		}
		e, err := b.slots[i-b.base].entry()
		if err != nil {
			return s, p, err
		}
		if err := f.Apply(&s, e); err != nil {
			return s, p, err
		}
	}
	if !b.changed() {
		return s, p, nil
	}
	if oldNewest > 0 && last <= 0 {
		p.checkpoints = append(p.checkpoints, checkpoint{place: beforeNewest})
	}
	for i := max(chunkSize, (last+chunkSize)/chunkSize*chunkSize); i <= oldNewest; i += chunkSize {
		p.checkpoints = append(p.checkpoints, checkpoint{place: i})
	}
	if n > 0 {
		b.slots[n-1-b.base].bytes() // here, where many work side by side
	}
	// chunks hold all but the newest: with another count the old newest moved in or out
	first, end := b.from, last
	if n != b.stored {
		first, end = min(first, max(0, oldNewest), max(0, last)), max(last, oldNewest)
	}
	for k := first / chunkSize; first < end && k*chunkSize < end; k++ {
		from, to := k*chunkSize, min(k*chunkSize+chunkSize, last)
		row := chunkRow{chunk: k}
		if from < to {
			e, err := b.slots[from-b.base].entry()
			if err != nil {
				return s, p, err
			}
			row.firstAt, row.entries = e.At, make([]byte, 0, 256*(to-from))
			for i := from; i < to; i++ {
				row.entries = append(row.entries, b.slots[i-b.base].bytes()...)
			}
		}
		p.chunks = append(p.chunks, row)
	}
	return s, p, nil
}

// list decodes the whole book.
func (b *book) list() ([]*fold.Entry, error) {
	out := make([]*fold.Entry, len(b.slots))
	for i := range b.slots {
		e, err := b.slots[i].entry()
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}
