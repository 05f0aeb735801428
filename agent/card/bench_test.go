package card

import (
	"strings"
	"testing"
)

// BenchmarkOpen is a card of everyday size in a picture.
func BenchmarkOpen(b *testing.B) {
	file := picture(b, plain("chara", b64(v2)))
	b.ReportAllocs()
	for b.Loop() {
		open(b, file)
	}
}

// BenchmarkWorst is a card at its limits: 4 MB of small members, read, searched for
// hidden characters and written.
func BenchmarkWorst(b *testing.B) {
	raw := []byte(`{"name":"x","description":"","a":{` + strings.Repeat(`"k":["<|","y"],`, 48_000) + `"z":"` + strings.Repeat("é", 1_500_000) + `"}}`)
	keep := func(s string) string { return s }
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		c := open(b, raw)
		c.Findings(keep)
		c.Change(Edit{Learned: &Learned{Format: 1}})
	}
}
