package card

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"io"
	"path"
	"strings"
	"unicode/utf8"
)

// cardName is the file of a CHARX that holds the card.
const cardName = "card.json"

// archive opens a CHARX and checks all of it: how many files, their names, their
// sizes inflated, their checksums.
func archive(file []byte) (*zip.Reader, error) {
	// Counted before the directory is read: reading takes memory for each entry.
	if n := bytes.Count(file, []byte("PK\x01\x02")); n > MaxEntries {
		return nil, refused("the archive has more than %d files", MaxEntries)
	}
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil && z == nil {
		return nil, refused("the archive is damaged or cut off")
	}
	z.RegisterDecompressor(zip.Deflate, func(r io.Reader) io.ReadCloser { return flate.NewReader(r) })
	var total uint64
	seen := map[string]bool{}
	for _, f := range z.File {
		if err := decent(f); err != nil {
			return nil, err
		}
		name := strings.ToLower(f.Name)
		if seen[name] {
			return nil, refused("the archive holds a file twice")
		}
		seen[name] = true
		if total += f.UncompressedSize64; f.UncompressedSize64 > MaxInflated || total > MaxInflated {
			return nil, tooLarge("the archive is over %d MB when it is unpacked", MaxInflated>>20)
		}
	}
	for _, f := range z.File { // the sizes above are what it says; see whether it is true
		if _, err := inflate(f, io.Discard); err != nil {
			return nil, err
		}
	}
	return z, nil
}

// decent refuses entries that no card has: names that lead elsewhere, links,
// encrypted ones, unknown packing.
func decent(f *zip.File) error {
	n := f.Name
	switch {
	case len(n) == 0 || len(n) > MaxPath || !utf8.ValidString(n) || strings.ContainsFunc(n, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return refused("the archive holds a file whose name is empty, too long or not text")
	case strings.HasPrefix(n, "/") || strings.Contains(n, `\`) || strings.Contains(n, ":") || path.Clean(n) != strings.TrimSuffix(n, "/") || strings.HasPrefix(n, ".."):
		return refused("the archive holds a file whose name leads out of it")
	case !f.Mode().IsRegular() && !f.Mode().IsDir():
		return refused("the archive holds a link or a device")
	case f.Flags&1 != 0:
		return refused("the archive is encrypted")
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return refused("the archive is packed in a way we do not read; pack it with deflate")
	}
	return nil
}

// inflate unpacks an entry, as long as it is no longer than it says.
func inflate(f *zip.File, to io.Writer) (int64, error) {
	r, err := f.Open()
	if err != nil {
		return 0, refused("a file in the archive is damaged")
	}
	defer r.Close()
	n, err := io.Copy(to, io.LimitReader(r, int64(f.UncompressedSize64)+1))
	if err != nil || n != int64(f.UncompressedSize64) {
		return n, refused("a file in the archive is damaged, or is not as long as it says")
	}
	return n, nil
}

func openCHARX(file []byte) (Card, error) {
	z, err := archive(file)
	if err != nil {
		return Card{}, err
	}
	for _, f := range z.File {
		if f.Name != cardName {
			continue
		}
		if f.UncompressedSize64 > MaxJSON {
			return Card{}, tooLarge("the card's text is over %d MB", MaxJSON>>20)
		}
		var raw bytes.Buffer
		if _, err := inflate(f, &raw); err != nil {
			return Card{}, err
		}
		c, err := Parse(raw.Bytes())
		c.Container = InCHARX
		return c, err
	}
	return Card{}, refused("the archive holds no %s; a CHARX has it at its top", cardName)
}

// CHARX gives an archive with a card in it, as version 3, in place of the one
// that it holds; an archive of the card alone when old is nil. Every other file
// stays as it is packed. raw is the JSON of a card of version 2 or 3.
func CHARX(old, raw []byte) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	to, err := w.Create(cardName)
	if err != nil {
		return nil, err
	}
	if _, err := to.Write(As(3, raw)); err != nil {
		return nil, err
	}
	if old != nil {
		z, err := archive(old)
		if err != nil {
			return nil, err
		}
		for _, f := range z.File {
			if f.Name == cardName {
				continue
			}
			if err := w.Copy(f); err != nil {
				return nil, err
			}
		}
		if err := w.SetComment(z.Comment); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
