// Package journal keeps rows on the disk from when they are answered for until they
// are stored elsewhere.
//
// Owns: two files of a directory, journal-0 and journal-1.
//
// Invariants: a row is durable when Append returns; rows are read in order, each
// whole or not at all; what comes after a row that was torn by a crash was never
// answered for. A row is written over only once Trim has released it.
//
// Why not a database: one write and one sync of bytes that the file has already are
// all that a row costs. A row lies in the file as
//
//	length uint32 · checksum uint32 · number uint64 · bytes
//
// little-endian, the checksum CRC-32C of number and bytes. Rows follow each other with
// numbers that grow by one, so that what is left of older ones ends the reading.
//
// Start reading at Open.
package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Segment is how long each of the files is, and more only while rows wait for long.
const Segment = 4 << 20

const header = 16

// MaxRow bounds a row's bytes.
const MaxRow = 1 << 30

// Row is one row of the journal.
type Row struct {
	N    int64
	Data []byte
}

// ErrBroken is the answer after the disk failed: what it holds is not known then, and
// is read again by Open.
var ErrBroken = errors.New("the journal could not be written; look to the disk, then start the program again")

// Journal is an open journal. Its methods may be called from many goroutines.
type Journal struct {
	mu      sync.Mutex
	files   [2]*os.File
	length  [2]int64 // of the files
	newest  [2]int64 // rows in them, 0 for none
	current int      // the file that is written to
	at      int64    // where
	stored  int64    // rows up to here are needed no more
	buffer  []byte
	broken  error
}

// Open opens the journal of a directory, or makes it, and gives the rows that it holds
// in order, also those that were released.
func Open(dir string) (j *Journal, rows []Row, err error) {
	j = &Journal{}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	for i := range j.files {
		if j.files[i], err = open(filepath.Join(dir, fmt.Sprint("journal-", i))); err != nil {
			return j, nil, err
		}
		found, end, length, err := read(j.files[i])
		if err != nil {
			return j, nil, err
		}
		j.length[i] = length
		if len(found) == 0 {
			continue
		}
		if j.newest[i] = found[len(found)-1].N; j.newest[i] > j.newest[1-i] {
			j.current, j.at = i, end
		}
		rows = append(rows, found...)
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.N, b.N) })
	if err := allocate(dir, j.files, &j.length); err != nil {
		return j, nil, err
	}
	return j, rows, nil
}

func open(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) }

// allocate gives the files their bytes, so that a row changes nothing but these.
func allocate(dir string, files [2]*os.File, length *[2]int64) error {
	for i, f := range files {
		if length[i] >= Segment {
			continue
		}
		if _, err := f.WriteAt(make([]byte, Segment-length[i]), length[i]); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		length[i] = Segment
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// read gives the rows at the beginning of a file, and where they end.
func read(f *os.File) (rows []Row, end, length int64, err error) {
	raw, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		return nil, 0, 0, err
	}
	left := raw
	for {
		n, data, ok := parse(left)
		if !ok || len(rows) > 0 && n != rows[len(rows)-1].N+1 {
			return rows, int64(len(raw) - len(left)), int64(len(raw)), nil
		}
		rows = append(rows, Row{n, slices.Clone(data)})
		left = left[header+len(data):]
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func parse(b []byte) (n int64, data []byte, ok bool) {
	if len(b) < header {
		return 0, nil, false
	}
	length := int64(binary.LittleEndian.Uint32(b))
	if length > MaxRow || int64(len(b)) < header+length {
		return 0, nil, false
	}
	body := b[8 : header+length]
	n = int64(binary.LittleEndian.Uint64(body))
	return n, body[8:], n > 0 && crc32.Checksum(body, castagnoli) == binary.LittleEndian.Uint32(b[4:])
}

// Append makes a row durable. Its number is one more than the last one's, or anything
// greater than 0 in a journal that is empty or released as a whole; other numbers, and
// data longer than MaxRow, are an error. After ErrBroken nothing is appended any more.
func (j *Journal) Append(n int64, data []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	last := max(j.newest[0], j.newest[1])
	if last == 0 { // scrubbed, or new
		last = n - 1
	}
	if n <= 0 || n <= last || n != last+1 && j.stored < last || len(data) > MaxRow {
		return fmt.Errorf("row %d of %d bytes after row %d", n, len(data), last)
	}
	need := int64(header + len(data))
	if other := 1 - j.current; (n != last+1 || j.at+need > j.length[j.current]) && j.newest[other] <= j.stored {
		j.current, j.at, j.newest[other] = other, 0, 0 // else the one grows
	}
	b := binary.LittleEndian.AppendUint32(j.buffer[:0], uint32(len(data)))
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	b = append(b, data...)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], castagnoli))
	if j.buffer = b; cap(b) > 1<<20 {
		j.buffer = nil
	}
	f := j.files[j.current]
	_, err := f.WriteAt(b, j.at)
	if err == nil {
		err = datasync(f)
	}
	if err != nil {
		j.broken = errors.Join(ErrBroken, err)
		return j.broken
	}
	j.at += need
	j.length[j.current] = max(j.length[j.current], j.at)
	j.newest[j.current] = n
	return nil
}

// Trim releases the rows up to one.
func (j *Journal) Trim(stored int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stored = max(j.stored, stored)
}

// Scrub overwrites what was released with zeros, durably. false when a row still waits:
// try again later.
func (j *Journal) Scrub() (done bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil || max(j.newest[0], j.newest[1]) > j.stored {
		return false, j.broken
	}
	for i, f := range j.files {
		_, err := f.WriteAt(make([]byte, j.length[i]), 0)
		if err == nil {
			err = f.Sync()
		}
		if err == nil && j.length[i] > Segment {
			err = f.Truncate(Segment)
		}
		if err != nil {
			j.broken = errors.Join(ErrBroken, err)
			return false, j.broken
		}
		j.length[i] = Segment
	}
	j.newest, j.current, j.at = [2]int64{}, 0, 0
	return true, nil
}

// Close closes the files.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = os.ErrClosed
	var errs []error
	for _, f := range j.files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
