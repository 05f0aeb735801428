package card

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
)

var pngMagic = []byte("\x89PNG\r\n\x1a\n")

// The keywords of the chunks that hold a card: the base64 of its JSON. The
// second wins.
const (
	chunkV2 = "chara"
	chunkV3 = "ccv3"
)

// maxEncoded is how long the base64 of a card's text may be.
const maxEncoded = MaxJSON/3*4 + 4096

// chunk is one chunk of a PNG; whole is all of its bytes.
type chunk struct {
	kind        string
	data, whole []byte
}

// chunks splits a PNG, checking every length and every CRC. rest is what stands
// behind its end.
func chunks(file []byte) (all []chunk, rest []byte, err error) {
	if !bytes.HasPrefix(file, pngMagic) {
		return nil, nil, refused("the picture is not a PNG")
	}
	for at := len(pngMagic); ; {
		if len(file)-at < 12 {
			return nil, nil, refused("the PNG is cut off")
		}
		n := uint64(binary.BigEndian.Uint32(file[at:]))
		if n > 1<<31-1 || n+12 > uint64(len(file)-at) {
			return nil, nil, refused("the PNG is cut off, or a length in it is wrong")
		}
		end := at + 12 + int(n)
		c := chunk{kind: string(file[at+4 : at+8]), data: file[at+8 : end-4], whole: file[at:end]}
		if crc32.ChecksumIEEE(file[at+4:end-4]) != binary.BigEndian.Uint32(file[end-4:end]) {
			return nil, nil, refused("the PNG is damaged: a checksum in it is wrong")
		}
		if first := len(all) == 0; first != (c.kind == "IHDR") || first && n != 13 {
			return nil, nil, refused("the PNG does not begin as one, or begins twice")
		}
		if all = append(all, c); len(all) > MaxChunks {
			return nil, nil, refused("the PNG has more than %d parts", MaxChunks)
		}
		if at = end; c.kind == "IEND" {
			return all, file[at:], nil
		}
	}
}

// keyword is which card a chunk holds, empty for all other chunks.
func (c chunk) keyword() string {
	if c.kind != "tEXt" && c.kind != "zTXt" && c.kind != "iTXt" {
		return ""
	}
	word, _, ok := bytes.Cut(c.data, []byte{0})
	if !ok {
		return ""
	}
	for _, k := range []string{chunkV2, chunkV3} {
		if strings.EqualFold(string(word), k) {
			return k
		}
	}
	return ""
}

// text gives what a text chunk says, inflated, at most maxEncoded of it.
func (c chunk) text() ([]byte, error) {
	_, rest, _ := bytes.Cut(c.data, []byte{0})
	packed := c.kind == "zTXt"
	if c.kind == "iTXt" {
		if len(rest) < 2 {
			return nil, refused("a text in the PNG is cut off")
		}
		packed = rest[0] == 1
		if rest[0] > 1 || rest[1] != 0 {
			return nil, refused("a text in the PNG is packed in an unknown way")
		}
		rest = rest[2:]
		for range 2 { // language, translated keyword
			var ok bool
			if _, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
				return nil, refused("a text in the PNG is cut off")
			}
		}
	} else if packed {
		if len(rest) < 1 || rest[0] != 0 {
			return nil, refused("a text in the PNG is packed in an unknown way")
		}
		rest = rest[1:]
	}
	if packed {
		z, err := zlib.NewReader(bytes.NewReader(rest))
		if err != nil {
			return nil, refused("a packed text in the PNG is damaged")
		}
		if rest, err = io.ReadAll(io.LimitReader(z, maxEncoded+1)); err != nil {
			return nil, refused("a packed text in the PNG is damaged")
		}
	}
	if len(rest) > maxEncoded {
		return nil, tooLarge("the card's text is over %d MB", MaxJSON>>20)
	}
	return rest, nil
}

func openPNG(file []byte) (Card, error) {
	all, rest, err := chunks(file)
	if err != nil {
		return Card{}, err
	}
	found := map[string]chunk{}
	twice := false
	for _, c := range all {
		if k := c.keyword(); k != "" {
			if _, there := found[k]; there {
				twice = true
				continue
			}
			found[k] = c
		}
	}
	c, ok := found[chunkV3]
	if !ok {
		if c, ok = found[chunkV2]; !ok {
			return Card{}, refused("the PNG holds no card: there is neither a chunk chara nor ccv3 in it; some sites and programs drop them from pictures")
		}
	}
	encoded, err := c.text()
	if err != nil {
		return Card{}, err
	}
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(encoded)))
	if err != nil {
		return Card{}, refused("the card in the PNG is not base64, or is cut off")
	}
	out, err := Parse(raw)
	if err != nil {
		return Card{}, err
	}
	out.Container = InPNG
	if twice {
		out.Notices = append(out.Notices, "the PNG holds more than one card of a kind; the first was taken, the others are not written again")
	}
	if len(rest) > 0 {
		out.Notices = append(out.Notices, "there is something behind the picture's end; it is kept")
	}
	return out, nil
}

// PNG gives a picture with a card in it, as version 2 (chara) and 3 (ccv3), in
// place of any card that it holds. Every other byte of the picture stays. raw is
// the JSON of a card of version 2 or 3. Fault card_refused when the picture is no
// PNG, or a damaged one.
func PNG(picture, raw []byte) ([]byte, error) {
	all, rest, err := chunks(picture)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(append(make([]byte, 0, len(picture)+3*len(raw)), pngMagic...))
	for _, c := range all {
		if c.kind == "IEND" {
			writeText(out, chunkV2, As(2, raw))
			writeText(out, chunkV3, As(3, raw))
		}
		if c.keyword() == "" {
			out.Write(c.whole)
		}
	}
	out.Write(rest)
	return out.Bytes(), nil
}

func writeText(out *bytes.Buffer, keyword string, raw []byte) {
	data := append([]byte("tEXt"+keyword+"\x00"), base64.StdEncoding.EncodeToString(raw)...)
	out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(data)-4)))
	out.Write(data)
	out.Write(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)))
}
