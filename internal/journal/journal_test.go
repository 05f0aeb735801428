package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"rapport/internal/sqldb/sqldbtest"
)

func TestMain(m *testing.M) {
	write := func(forever bool) func(string, func(int)) error {
		return func(dir string, ack func(int)) error {
			j, rows, err := Open(dir)
			if err != nil {
				return err
			}
			n := int64(0)
			if len(rows) > 0 {
				n = rows[len(rows)-1].N
			}
			ack(0)
			for last := n + 20; forever || n < last; {
				n++
				if err := j.Append(n, fill(n)); err != nil {
					return err
				}
				ack(int(n))
				j.Trim(n - 3)
			}
			return j.Close()
		}
	}
	sqldbtest.HelperMain(m, map[string]func(string, func(int)) error{
		"twenty":  write(false),
		"forever": write(true),
		"early": func(dir string, ack func(int)) error { // answers before the sync
			j, _, err := Open(dir)
			if err != nil {
				return err
			}
			ack(0)
			for n := range 20 {
				if _, err := j.files[0].WriteAt(fill(9), int64(100*n)); err != nil {
					return err
				}
				ack(n + 1)
				if err := datasync(j.files[0]); err != nil {
					return err
				}
			}
			return j.Close()
		},
	})
}

// fill is what row n holds: of any length.
func fill(n int64) []byte {
	return bytes.Repeat([]byte(fmt.Sprint(n, "\n")), int(n*7919%2500))
}

func TestAnswersAfterTheSync(t *testing.T) {
	t.Parallel()
	t.Run("as it is", func(t *testing.T) { t.Parallel(); sqldbtest.Trace(t, "twenty", false) })
	t.Run("early", func(t *testing.T) { t.Parallel(); sqldbtest.Trace(t, "early", true) })
}

// Killed in the middle of its work again and again, it has every row that was answered
// for.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	last := int64(0)
	for range 8 {
		acked := int64(sqldbtest.Kill(t, rnd, "forever", dir))
		j, rows, err := Open(dir)
		if err != nil || j.Close() != nil {
			t.Fatal(err)
		}
		if err := whole(rows, acked-3, acked); err != nil {
			t.Fatalf("seed %d, %d answered: %v", seed, acked, err)
		}
		if n := rows[len(rows)-1].N; acked <= last || n < acked {
			t.Fatalf("seed %d: row %d is the last, %d were answered, %d before", seed, n, acked, last)
		}
		last = acked
	}
}

// whole says whether rows hold all after stored up to last.
func whole(rows []Row, stored, last int64) error {
	by := map[int64][]byte{}
	for _, r := range rows {
		by[r.N] = r.Data
	}
	for n := max(1, stored+1); n <= last; n++ {
		if data, ok := by[n]; !ok || !bytes.Equal(data, fill(n)) {
			return fmt.Errorf("row %d is there: %v, with %d bytes of %d", n, ok, len(data), len(fill(n)))
		}
	}
	return nil
}

// Whatever is appended, released, scrubbed and torn: what was answered for and not
// released is there after the next opening.
func TestAnything(t *testing.T) {
	t.Parallel()
	dirs := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(dirs, fmt.Sprint(runs))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		j, rows, err := Open(dir)
		if err != nil || len(rows) != 0 {
			t.Fatal(rows, err)
		}
		defer func() { _ = j.Close() }()
		last, stored := int64(0), int64(0)
		steps := map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(t, "rows") {
					last++
					if err := j.Append(last, fill(last)); err != nil {
						t.Fatal(err)
					}
				}
			},
			"release": func(t *rapid.T) {
				stored = rapid.Int64Range(stored, last).Draw(t, "stored")
				j.Trim(stored)
			},
			"scrub": func(t *rapid.T) {
				done, err := j.Scrub()
				if err != nil || done != (stored == last) {
					t.Fatal(done, err)
				}
			},
			"open again": func(t *rapid.T) {
				name, at := j.files[j.current].Name(), j.at
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, "torn") { // a row that was being written
					f, err := os.OpenFile(name, os.O_RDWR, 0)
					if err != nil {
						t.Fatal(err)
					}
					row := append(binary.LittleEndian.AppendUint32(nil, 100), 0, 0, 0, 0)
					row = append(binary.LittleEndian.AppendUint64(row, uint64(last+1)), bytes.Repeat([]byte{255}, 100)...)
					binary.LittleEndian.PutUint32(row[4:], crc32.Checksum(row[8:], castagnoli))
					if _, err := f.WriteAt(row[:rapid.IntRange(0, len(row)-1).Draw(t, "bytes")], at); err != nil {
						t.Fatal(err)
					}
					f.Close()
				}
				var rows []Row
				if j, rows, err = Open(dir); err != nil {
					t.Fatal(err)
				}
				if err := whole(rows, stored, last); err != nil {
					t.Fatal(err)
				}
				if n := len(rows); n > 0 && rows[n-1].N > last {
					t.Fatalf("row %d, and %d is the last", rows[n-1].N, last)
				}
				j.Trim(stored)
			},
		}
		t.Repeat(steps)
	})
}

// Two files take turns; the one that is written to grows while the other is needed.
func TestTurns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	big := make([]byte, Segment/4)
	n, files := int64(0), map[int]int{}
	for range 40 {
		n++
		if err := j.Append(n, big); err != nil {
			t.Fatal(err)
		}
		files[j.current]++
		j.Trim(n - 1)
	}
	if files[0] < 15 || files[1] < 15 || j.length != [2]int64{Segment, Segment} {
		t.Errorf("rows of the files: %v, lengths %v", files, j.length)
	}
	for range 20 { // nothing is released
		n++
		if err := j.Append(n, big); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j, rows, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for i := n - 19; i <= n; i++ {
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.N == i && len(r.Data) == len(big) }) {
			t.Errorf("row %d is lost", i)
		}
	}
	if err := j.Append(n+2, nil); err == nil {
		t.Error("a number was left out")
	}
	j.Trim(n)
	if err := j.Append(n+2, []byte("after what was released")); err != nil {
		t.Error(err)
	}
	if err := j.Append(n+2, nil); err == nil {
		t.Error("a number came twice")
	}
}

// What was scrubbed is not in the files.
func TestScrub(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for n := range int64(9) {
		if err := j.Append(n+1, bytes.Repeat([]byte("secret"), Segment/20)); err != nil {
			t.Fatal(err)
		}
		j.Trim(n)
	}
	if done, err := j.Scrub(); done || err != nil {
		t.Error("scrubbed while a row waits", err)
	}
	j.Trim(9)
	if done, err := j.Scrub(); !done || err != nil {
		t.Error(done, err)
	}
	for i := range 2 {
		raw, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("journal-", i)))
		if err != nil || bytes.Contains(raw, []byte("secret")) || len(raw) != Segment {
			t.Error(i, len(raw), err)
		}
	}
	if err := j.Append(10, []byte("more")); err != nil {
		t.Error(err)
	}
}

// Once the disk failed nothing is answered for.
func TestBroken(t *testing.T) {
	t.Parallel()
	j, _, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append(1, []byte("a")); err != nil {
		t.Fatal(err)
	}
	_ = j.files[0].Close()
	for range 2 {
		if err := j.Append(2, []byte("b")); err == nil {
			t.Error("a row on a file that is closed")
		}
	}
	_ = j.Close()
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, data, ok := parse(b); ok && (n <= 0 || len(data) > len(b)-header) {
			t.Errorf("%d, %d bytes of %d", n, len(data), len(b))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	j, _, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	row := make([]byte, 1500)
	for n := int64(1); b.Loop(); n++ {
		if err := j.Append(n, row); err != nil {
			b.Fatal(err)
		}
		j.Trim(n)
	}
}
