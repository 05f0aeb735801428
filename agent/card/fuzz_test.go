package card

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rapport/internal/fault"
)

// FuzzOpen: whatever comes in, it is a card or a refusal; a card that was taken
// can be changed, put into containers, and read again as what it was.
func FuzzOpen(f *testing.F) {
	for _, seed := range [][]byte{[]byte(v1), []byte(v2), []byte(v3), picture(f, plain("chara", b64(v2))), picture(f, ztext("chara", b64(v1))),
		picture(f, itext("ccv3", b64(v3), true)), charx(f, file{"card.json", v3}, file{"assets/a.png", "x"})} {
		f.Add(seed)
	}
	pic := picture(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := Open(in)
		if err != nil {
			if !fault.Is(err, "card_refused") && !fault.Is(err, "card_too_large") {
				t.Fatalf("%v", err)
			}
			if !utf8.ValidString(err.Error()) {
				t.Fatalf("%q", err)
			}
			return
		}
		out := c.Change(Edit{Learned: &Learned{Format: LearnedFormat}})
		again, err := Parse(out)
		if err != nil {
			if len(out) > MaxJSON || len(c.JSON) > MaxJSON/2 {
				return
			}
			t.Fatalf("what was taken is refused when it comes again: %v\n%s", err, out)
		}
		if d := cmp.Diff(c.Fields, again.Fields); d != "" {
			t.Fatal(d)
		}
		if twice := again.Change(Edit{Learned: again.Learned}); !bytes.Equal(twice, out) {
			t.Fatalf("the second time it is another:\n%q\n%q", out, twice)
		}
		in, err = PNG(pic, out)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Open(in); err != nil || cmp.Diff(c.Fields, back.Fields) != "" {
			t.Fatalf("from the picture: %v", err)
		}
		c.Findings(strings.ToUpper)
		Exchanges(c.Examples, c.Name)
	})
}

// FuzzChunk: the same for what stands in a text chunk, whose checksum a fuzzer
// would never hit.
func FuzzChunk(f *testing.F) {
	f.Add("tEXt", []byte("chara\x00"+b64(v2)))
	f.Add("zTXt", append([]byte("ccv3\x00\x00"), packed(b64(v3))...))
	f.Add("iTXt", append([]byte("ccv3\x00\x01\x00en\x00\x00"), packed(b64(v3))...))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		if len(kind) != 4 || kind == "IHDR" || kind == "IEND" {
			return
		}
		in := picture(t, part(kind, data))
		c, err := Open(in)
		if err != nil && !fault.Is(err, "card_refused") && !fault.Is(err, "card_too_large") {
			t.Fatal(err)
		}
		out, err := PNG(in, []byte(v3))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := Open(out); err != nil || string(back.JSON) != v3 {
			t.Fatalf("in place of %q: %v", c.Name, err)
		}
	})
}

// FuzzArchive: the same for what stands in an archive beside the card, whatever it
// is called and however long it says it is.
func FuzzArchive(f *testing.F) {
	f.Add("assets/icon.png", []byte("x"), uint32(1))
	f.Add("../x", []byte("xyz"), uint32(0))
	f.Add("assets/big", bytes.Repeat([]byte{0}, 9000), uint32(1<<31))
	f.Fuzz(func(t *testing.T, name string, body []byte, says uint32) {
		if strings.HasSuffix(name, "/") || len(name) > 1000 {
			return // what the writer takes for a folder, or not at all
		}
		in := charx(t, file{"card.json", v3}, file{name, string(body)})
		dir := bytes.LastIndex(in, []byte("PK\x01\x02"))
		if says%2 == 0 {
			binary.LittleEndian.PutUint32(in[dir+24:], says)
		}
		c, err := Open(in)
		if err != nil {
			if !fault.Is(err, "card_refused") && !fault.Is(err, "card_too_large") {
				t.Fatal(err)
			}
			return
		}
		for _, part := range strings.Split(name, "/") {
			if part == ".." || strings.Contains(part, `\`) {
				t.Fatalf("%q is taken", name)
			}
		}
		out, err := CHARX(in, c.JSON)
		if err != nil {
			t.Fatal(err)
		}
		z, err := archive(out)
		if err != nil || len(z.File) != 2 || z.File[1].Name != name || z.File[1].UncompressedSize64 != uint64(len(body)) {
			t.Fatalf("%q: %v", name, err)
		}
	})
}

// FuzzJSON: what the scanner takes for the members of an object is what
// encoding/json takes for them.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{v1, v3, `{}`, ` { "a" : [ ] , "a":{"b" : "}\"" } } `, `{"\u0061":-1e5,"b":null}`} {
		f.Add([]byte(seed), "a")
	}
	f.Fuzz(func(t *testing.T, raw []byte, key string) {
		if check(raw) != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		got := object(raw)
		if len(got) != len(want) {
			t.Fatalf("%d members, want %d", len(got), len(want))
		}
		for k, v := range want {
			if !bytes.Equal(got[k], v) {
				t.Fatalf("%q is %q, want %q", k, got[k], v)
			}
		}
		key = strings.ToValidUTF8(key, "")
		out := set(raw, key, []byte(`{"new":[1]}`))
		if !json.Valid(out) || string(find(out, key)) != `{"new":[1]}` {
			t.Fatalf("set %q: %q", key, out)
		}
		for k, v := range object(out) {
			if k != key && !bytes.Equal(v, want[k]) {
				t.Fatalf("setting %q changed %q", key, k)
			}
		}
		walk(raw, nil, func([]string, string) {})
	})
}

// value draws any JSON, with numbers and strings written in unusual ways.
func value(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kinds := 5
		if depth > 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "word")
		case 1:
			return rapid.SampledFrom([]string{"0", "-0", "1.50", "1E+2", "1e-7", "12345678901234567890", "0.1000"}).Draw(t, "number")
		case 2:
			return new(big.Int).SetUint64(rapid.Uint64().Draw(t, "integer")).String()
		case 3:
			return rapid.SampledFrom([]string{`"\u0041"`, `"\/"`, `"\ud83d\ude00"`, `"a\"}],{"`, `"\\"`, `""`}).Draw(t, "escaped")
		case 4:
			return strconv.Quote(rapid.StringMatching(`[a-zäß ]{0,12}`).Draw(t, "text"))
		case 5:
			return "[" + strings.Join(rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "list"), " ,\n") + "]"
		}
		return "{" + strings.Join(rapid.SliceOfNDistinct(pair(depth-1), 0, 4, func(s string) string { k, _, _ := strings.Cut(s, ":"); return k }).Draw(t, "object"), ",\t") + " }"
	})
}

func pair(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strconv.Quote("x_"+rapid.StringMatching(`[a-z/.]{0,6}`).Draw(t, "key")) + ": " + value(depth).Draw(t, "value")
	})
}

// Whatever unknown things a card holds, exporting and importing gives them back,
// in their order and as they were written.
func TestExportAfterImportIsIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		distinct := func(s string) string { k, _, _ := strings.Cut(s, ":"); return k }
		more := func(label string) string {
			var b strings.Builder
			for _, p := range rapid.SliceOfNDistinct(pair(3), 0, 5, distinct).Draw(t, label) {
				b.WriteString(", " + p)
			}
			return b.String()
		}
		ext := rapid.SampledFrom([]string{``, `,"extensions": {"theirs":1.0` + more("in extensions") + `}`, `,"extensions":{}`}).Draw(t, "extensions")
		spec := rapid.SampledFrom([]string{`"chara_card_v2","spec_version":"2.0"`, `"chara_card_v3","spec_version":"3.0"`}).Draw(t, "spec")
		raw := `{"spec":` + spec + more("at the top") + `,"data":{"name":"Orla","first_mes":` + strconv.Quote(rapid.StringMatching(`[a-z{}<>&\n]{0,20}`).Draw(t, "greeting")) + ext + more("in data") + `}}`
		c, err := Open([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if string(c.Change(Edit{})) != raw {
			t.Fatal("no change is a change")
		}
		l := &Learned{Format: 1, Traits: map[string]float64{"humor": rapid.Float64Range(0, 1).Draw(t, "humor")}, Version: rapid.Int64Min(1).Draw(t, "version")}
		out := c.Change(Edit{Learned: l})
		again, err := Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(l, again.Learned); d != "" {
			t.Fatal(d)
		}
		// Without what we added, it is the same to the byte.
		added := []byte(`"rapport":` + string(quote(l)))
		rest := bytes.Replace(out, append([]byte(","), added...), nil, 1)
		rest = bytes.Replace(rest, added, nil, 1)
		if ext == "" {
			rest = bytes.Replace(rest, []byte(`,"extensions":{}`), nil, 1)
		}
		if string(rest) != raw {
			t.Fatalf("%s\nbecame\n%s", raw, out)
		}
	})
}
