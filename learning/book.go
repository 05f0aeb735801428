package learning

import (
	"errors"
	"math"
	"slices"

	"rapport/event"
	"rapport/learning/fold"
	"rapport/learning/wire"
)

// chunkSize is how many entries lie in one chunk, and between two checkpoints.
const chunkSize = 32

// beforeNewest is the place of the state before the newest entry.
const beforeNewest = -1

// horizon is how much of a list can be taken apart. Entries beyond it are merged,
// whole chunks at a time, into the state before the first entry kept; by the times
// of the entries alone, never by now.
type horizon struct {
	age     event.Micros // before the newest entry
	entries int          // kept at least
}

var usual = horizon{age: 400 * day, entries: 5000}

// errMerged is the error of a change to what was merged.
var errMerged = errors.New("merged: it cannot be taken apart any more")

// book is the end of an agent's list in memory: from the newest entry, or from
// the chunk in which something changes. What is stored of it is a function of the
// list alone: entries in chunks of 32, the newest apart, the state before each
// chunk and before the newest entry.
type book struct {
	stored int // entries in the database, with those that are merged
	merged int // of them, without entries any more
	sealed int // to be merged
	base   int // number of the first slot
	slots  []slot
	known  map[int][]byte       // stored states by place
	firsts map[int]event.Micros // stored first entries by chunk, when it may come to merging
	from   int                  // the first place at which something changed
	bare   int                  // the place whose state keeps only what the owner said; -1 for none
	seals  []seal               // of this batch, in order
	begin  *fold.State          // instead of a state at merged that nobody can read
}

// seal is a place before which all is merged, the time of the entry there, and the
// newest adoption when that was decided: a later exclusion does not reach what is
// before.
type seal struct {
	place  int
	at     event.Micros
	newest fold.Versions
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
			return nil, unreadable(err)
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
			return nil, unreadable(err)
		}
		out = append(out, slot{raw: chunk[:n:n]})
		chunk = chunk[n:]
	}
	return out, nil
}

func (b *book) count() int { return b.base + len(b.slots) }

func (b *book) changed() bool { return b.from < math.MaxInt }

// find gives the place among the slots of the entry with the key, or where it
// would be. It looks from the end, where most things happen. errMerged when that
// is before the first entry kept.
func (b *book) find(at event.Micros, id string) (int, bool, error) {
	kept := max(0, b.sealed-b.base)
	for i := len(b.slots) - 1; i >= kept; i-- {
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
	if b.sealed > 0 {
		return 0, false, errMerged
	}
	return 0, false, nil
}

// edit changes the episode with the key, which it makes when there is none; an
// episode of which nothing is left goes. It says whether anything changed.
// errMerged when it cannot be changed any more.
func (b *book) edit(at event.Micros, id string, change func(*fold.Episode) bool) (bool, error) {
	i, found, err := b.find(at, id)
	if err != nil {
		return false, err
	}
	e := &fold.Entry{At: at, ID: id}
	if found {
		e = b.slots[i].e
		if !e.Episodic() {
			return false, nil // an id that is both: no episode of ours
		}
	}
	if !change(&e.About) {
		return false, nil
	}
	switch {
	case !found:
		b.slots = slices.Insert(b.slots, i, slot{e: e})
	case e.Hollow() && (b.sealed == 0 || b.count() > b.sealed+1): // of a list that begins with merged entries, one stays
		b.slots = slices.Delete(b.slots, i, i+1)
	default:
		b.slots[i].raw = nil
	}
	b.from = min(b.from, b.base+i)
	return true, nil
}

// enact adds an act or adoption; a second one with the same key changes nothing.
func (b *book) enact(e *fold.Entry) error {
	i, found, err := b.find(e.At, e.ID)
	if errors.Is(err, errMerged) {
		return nil // later than anything may come
	}
	if err != nil || found {
		return err
	}
	b.slots = slices.Insert(b.slots, i, slot{e: e})
	b.from = min(b.from, b.base+i)
	return nil
}

// adopted is the newest adoption of the list.
func (b *book) adopted() fold.Versions {
	for i := len(b.slots) - 1; i >= 0; i-- {
		s := &b.slots[i]
		if s.e != nil && s.e.Adopt != nil {
			return *s.e.Adopt
		}
		if s.e == nil {
			if v, ok := fold.AdoptionIn(s.raw); ok {
				return v
			}
		}
	}
	v, ok := fold.AdoptedIn(b.known[b.stored-1])
	if !ok && b.begin != nil {
		v = b.begin.Adopted
	}
	return v
}

// refold folds again what somebody contributed to.
func (b *book) refold(rater string) error {
	id := wire.AppendID(nil, rater)
	for i := max(0, b.sealed-b.base); i < len(b.slots) && b.base+i < b.from; i++ {
		s := &b.slots[i]
		if s.raw != nil && !fold.Mentions(s.raw, id) {
			continue
		}
		e, err := s.entry()
		if err != nil {
			return err
		}
		if slices.ContainsFunc(e.About.Contributions, func(c fold.Contribution) bool { return c.Rater == rater && !c.Owner }) {
			b.from = b.base + i
		}
	}
	return nil
}

// drop takes away what is known of the merged entries, but what the owner said.
// The caller has loaded the whole list.
func (b *book) drop() {
	b.bare = b.sealed
	b.from = min(b.from, b.sealed)
}

// seal decides what is to be merged, after an event that lengthened the list from
// before: it looks when a chunk has become full.
func (b *book) seal(h horizon, before int) error {
	n := b.count()
	if (n-1)/chunkSize <= (before-1)/chunkSize || n <= chunkSize {
		return nil
	}
	newest, err := b.slots[len(b.slots)-1].entry()
	if err != nil {
		return err
	}
	for next := b.sealed + chunkSize; next <= n-chunkSize; next += chunkSize {
		at, known := b.firsts[next/chunkSize]
		if i := next - b.base; i >= 0 {
			e, err := b.slots[i].entry()
			if err != nil {
				return err
			}
			at, known = e.At, true
		}
		if n-next < h.entries && (!known || newest.At-at <= h.age) {
			return nil
		}
		b.sealed = next
		b.seals = append(b.seals, seal{next, at, b.adopted()})
	}
	return nil
}

// since is when the first entry kept began, if that changed in this batch; else 0.
func (b *book) since() event.Micros {
	if len(b.seals) == 0 {
		return 0
	}
	return b.seals[len(b.seals)-1].at
}

// newest is the adoption that says who is excluded from the entry at a place.
func (b *book) newest(place int, last fold.Versions) fold.Versions {
	for _, s := range b.seals {
		if place < s.place {
			return s.newest
		}
	}
	return last
}

// page is what of a book has to be written: rows of three tables.
type page struct {
	checkpoints []checkpoint // state nil: delete
	chunks      []chunkRow   // entries nil: delete
	sealed      int          // what is stored before is deleted,
	since       event.Micros // and what was said before
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

// start is the newest state known before anything changed, and its place.
func (b *book) start() (place int, s fold.State, err error) {
	if place, s = b.merged, fold.New(); b.begin != nil {
		s = *b.begin
	}
	last, found := b.count()-1, b.merged == 0 || b.begin != nil
	for at, state := range b.known {
		if at >= place && at <= min(b.from, last) && (at > place || !found) {
			var read fold.State
			if read.Read(state) {
				place, s, found = at, read, true
			}
		}
	}
	if !found || place < b.base {
		return place, s, unreadable(fold.ErrEntry) // nothing to start from: the caller loads the whole list
	}
	return place, s, nil
}

// fold computes the state after the newest entry. What differs from what is
// stored comes back as a page.
func (b *book) fold(f *fold.Folder) (fold.State, page, error) {
	var p page
	n, last := b.count(), b.count()-1
	place, s, err := b.start()
	if err != nil {
		return s, p, err
	}
	newest := b.adopted()
	oldNewest := b.stored - 1
	for i := place; i < n; i++ {
		rewrite := i > b.from || i == b.bare || i == b.merged && b.begin != nil
		if i == b.bare {
			s = s.Bare()
		}
		if i > 0 && i%chunkSize == 0 && (rewrite || i >= b.stored) {
			p.checkpoints = append(p.checkpoints, checkpoint{i, s.Append(make([]byte, 0, fold.Size))})
		}
		if i > 0 && i == last && (rewrite || i != oldNewest) {
			p.checkpoints = append(p.checkpoints, checkpoint{beforeNewest, s.Append(make([]byte, 0, fold.Size))})
		}
		e, err := b.slots[i-b.base].entry()
		if err != nil {
			return s, p, err
		}
		f.Newest = b.newest(i, newest)
		if err := f.Apply(&s, e); err != nil {
			return s, p, err
		}
	}
	f.Newest = newest
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
	for k := max(first, b.sealed) / chunkSize; first < end && k*chunkSize < end; k++ {
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
	if b.sealed > b.merged {
		p.sealed, p.since = b.sealed, b.since()
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
