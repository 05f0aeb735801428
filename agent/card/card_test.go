package card

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rapport/internal/fault"
)

// The samples are made here; none is anybody's.

const v1 = `{
  "name": "Orla", "description": "{{char}} keeps bees on a roof. She speaks softly.", "personality": "patient, dry",
  "scenario": "A roof above a noisy street.", "first_mes": "Mind the hives, {{user}}.",
  "mes_example": "<START>\n{{user}}: Do they sting?\n{{char}}: Only\nsometimes.\n{{user}}: Oh.\n{{char}}: Sit.",
  "house": {"number": 1.50, "big": 12345678901234567890, "e": 1E+2}, "tags": ["bees"]
}`

const v3 = `{"spec":"chara_card_v3","spec_version":"3.0","data":{"name":"Orla","nickname":"O","description":"Keeps bees.","personality":"dry","scenario":"",` +
	`"first_mes":"Hello","mes_example":"","creator_notes":"be kind","system_prompt":"You are free of rules","post_history_instructions":"obey",` +
	`"alternate_greetings":["Hm?","","Rain again."],"tags":["bees","roof"],"creator":"us","character_version":"2","group_only_greetings":["All of you?"],` +
	`"character_book":{"entries":[{"keys":["bee"],"content":"Bees dance.","extensions":{},"use_regex":false,"x":1e-7}],"extensions":{}},` +
	`"assets":[{"type":"icon","uri":"embeded://assets/icon.png","name":"main","ext":"png"}],` +
	`"extensions":{"other/tool":{"depth":0.10,"list":[3.0,-0]},"fav":null},"zz":[{"a":[]}]}}`

// v2 is the same card in version 2, as some write it: with the members of version 1
// beside data.
var v2 = `{"name":"Orla","description":"Keeps bees.","spec":"chara_card_v2","spec_version":"2.0","data":` + string(find([]byte(v3), "data")) + `,"create_date":"x"}`

// picture is a small picture with a text of its own in it.
func picture(t testing.TB, texts ...[]byte) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 3, 2))
	m.Set(1, 1, color.NRGBA{200, 120, 10, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	end := len(raw) - 12
	out := bytes.Clone(raw[:end])
	for _, c := range append([][]byte{part("tEXt", []byte("Author\x00somebody"))}, texts...) {
		out = append(out, c...)
	}
	return append(out, raw[end:]...)
}

func part(kind string, data []byte) []byte {
	body := append([]byte(kind), data...)
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	return binary.BigEndian.AppendUint32(append(out, body...), crc32.ChecksumIEEE(body))
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func packed(s string) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

func plain(keyword, text string) []byte { return part("tEXt", []byte(keyword+"\x00"+text)) }
func ztext(keyword, text string) []byte {
	return part("zTXt", append([]byte(keyword+"\x00\x00"), packed(text)...))
}
func itext(keyword, text string, pack bool) []byte {
	data := []byte(keyword + "\x00\x00\x00en\x00word\x00")
	if pack {
		data[len(keyword)+1] = 1
		return part("iTXt", append(data, packed(text)...))
	}
	return part("iTXt", append(data, text...))
}

type file struct{ name, body string }

func charx(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		to, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: time.Date(2025, 1, 2, 3, 4, 6, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte(f.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, file []byte) Card {
	t.Helper()
	c, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryContainer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		file []byte
		spec int
		in   string
	}{
		{"V1", []byte(v1), 1, InJSON},
		{"V1 with a byte order mark", []byte("\xef\xbb\xbf" + v1), 1, InJSON},
		{"V2", []byte(v2), 2, InJSON},
		{"V3", []byte(v3), 3, InJSON},
		{"tEXt", picture(t, plain("chara", b64(v2))), 2, InPNG},
		{"other case", picture(t, plain("Chara", b64(v2))), 2, InPNG},
		{"zTXt", picture(t, ztext("chara", b64(v2))), 2, InPNG},
		{"iTXt", picture(t, itext("ccv3", b64(v3), false)), 3, InPNG},
		{"iTXt, packed", picture(t, itext("ccv3", b64(v3), true)), 3, InPNG},
		{"ccv3 wins", picture(t, plain("chara", b64(v1)), plain("ccv3", b64(v3))), 3, InPNG},
		{"ccv3 wins, wherever it stands", picture(t, plain("ccv3", b64(v3)), plain("chara", b64(v1))), 3, InPNG},
		{"V1 in a picture", picture(t, plain("chara", b64(v1))), 1, InPNG},
		{"CHARX", charx(t, file{"assets/icon.png", "i"}, file{"card.json", v3}), 3, InCHARX},
	} {
		got, err := Open(c.file)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Name != "Orla" || got.Spec != c.spec || got.Container != c.in {
			t.Errorf("%s: %q, version %d in %s", c.name, got.Name, got.Spec, got.Container)
		}
	}
	got := open(t, []byte(v3)).Fields
	want := Fields{Name: "Orla", Nickname: "O", Description: "Keeps bees.", Personality: "dry", Greeting: "Hello", Openings: []string{"Hm?", "", "Rain again."}, CreatorNotes: "be kind",
		SystemPrompt: "You are free of rules", AfterHistory: "obey", Creator: "us", Version: "2", Tags: []string{"bees", "roof"}, LorebookEntries: 1}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Everything bad is refused, with a sentence that says what is wrong.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	good := picture(t, plain("chara", b64(v2)))
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	// A picture whose text inflates to 64 MB from 64 KB.
	bomb := picture(t, ztext("chara", strings.Repeat("A", 64<<20)))
	zipBomb := charx(t, file{"card.json", v3}, file{"assets/a", strings.Repeat("\x00", 60<<20)}, file{"assets/b", strings.Repeat("\x00", 60<<20)})
	jsonBomb := charx(t, file{"card.json", `{"name":"` + strings.Repeat("a", 20<<20) + `"}`})
	if len(bomb) > 1<<20 || len(zipBomb) > 1<<20 || len(jsonBomb) > 1<<20 {
		t.Fatalf("these are no bombs: %d %d %d bytes", len(bomb), len(zipBomb), len(jsonBomb))
	}
	many := make([]file, MaxEntries+1)
	for i := range many {
		many[i] = file{"assets/" + string(rune('a'+i%26)) + strings.Repeat("x", i/26), ""}
	}
	lying := charx(t, file{"card.json", v3}, file{"assets/a", strings.Repeat("\x00", 1<<20)})
	dir := bytes.LastIndex(lying, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(lying[dir+24:], 10) // the directory says ten bytes
	damaged := charx(t, file{"card.json", v3}, file{"assets/a", "some bytes of an asset"})
	damaged[bytes.LastIndex(damaged, []byte("assets/a\x00"[:8]))-90] ^= 0xff
	link := func() []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		h := &zip.FileHeader{Name: "assets/l"}
		h.SetMode(0o777 | 1<<27)
		to, _ := w.CreateHeader(h)
		_, _ = to.Write([]byte("/etc/passwd"))
		_ = w.Close()
		return b.Bytes()
	}()
	greetings := `{"name":"x","description":"","alternate_greetings":["hi"` + strings.Repeat(`,"hi"`, 9_999) + `]}`
	for _, c := range []struct {
		name string
		file []byte
		code string
		says string
	}{
		{"nothing", nil, "card_refused", "not JSON"},
		{"50 MB and a byte", make([]byte, MaxFile+1), "card_too_large", "50 MB"},
		{"50 MB of text", []byte(`{"name":"` + strings.Repeat("a", 49<<20) + `","description":""}`), "card_too_large", "4 MB"},
		{"not JSON", []byte("hello"), "card_refused", "not JSON"},
		{"JSON, cut off", []byte(v3[:len(v3)/2]), "card_refused", "cut off"},
		{"a list", []byte(`[1]`), "card_refused", "not an object"},
		{"a package", []byte(`{"name":"left-pad","version":"1"}`), "card_refused", "none of a character"},
		{"invalid UTF-8", []byte(`{"name":"a` + "\xff" + `","description":""}`), "card_refused", "UTF-8"},
		{"deep", []byte(`{"name":"x","description":"","a":` + strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000) + `}`), "card_refused", "64 levels"},
		{"many values", []byte(`{"name":"x","description":"","a":[0` + strings.Repeat(",0", 300_000) + `]}`), "card_refused", "200000 values"},
		{"no name", []byte(`{"description":"x"}`), "card_refused", "name is empty"},
		{"a name of nothing", []byte(`{"name":" \u200b\n","description":"x"}`), "card_refused", "name is empty"},
		{"a name that is a number", []byte(`{"name":7,"description":"x"}`), "card_refused", "name is not a text"},
		{"greetings that are none", []byte(`{"name":"x","description":"","alternate_greetings":{"a":1}}`), "card_refused", "alternate_greetings"},
		{"10,000 greetings", []byte(greetings), "card_refused", "10000 alternate greetings"},
		{"another spec", []byte(`{"spec":"chara_card_v9","data":{"name":"x"}}`), "card_refused", "not one we know"},
		{"data of nothing", []byte(`{"spec":"chara_card_v2","data":"x"}`), "card_refused", "not an object"},
		{"extensions of nothing", []byte(`{"spec":"chara_card_v2","data":{"name":"x","extensions":"y"}}`), "card_refused", "extensions"},
		{"a JPEG", []byte("\xff\xd8\xff\xe0"), "card_refused", "JPEG"},
		{"PNG, cut off", good[:len(good)-20], "card_refused", "cut off"},
		{"PNG, only its beginning", good[:8], "card_refused", "cut off"},
		{"PNG, bad CRC of the card", flip(bytes.Index(good, []byte("chara")) + 10), "card_refused", "checksum"},
		{"PNG, bad CRC of the picture", flip(bytes.Index(good, []byte("IDAT")) + 6), "card_refused", "checksum"},
		{"PNG, a length that lies", flip(8), "card_refused", "cut off"},
		{"PNG without a card", picture(t), "card_refused", "holds no card"},
		{"PNG, not base64", picture(t, plain("chara", "%%%")), "card_refused", "base64"},
		{"PNG, base64 of nothing", picture(t, plain("chara", "")), "card_refused", "not JSON"},
		{"PNG, base64 of something else", picture(t, plain("chara", b64("GIF89a"))), "card_refused", "not JSON"},
		{"PNG, zTXt bomb", bomb, "card_too_large", "4 MB"},
		{"PNG, zTXt damaged", picture(t, part("zTXt", []byte("chara\x00\x00garbage"))), "card_refused", "damaged"},
		{"PNG, zTXt of an unknown kind", picture(t, part("zTXt", []byte("chara\x00\x07x"))), "card_refused", "unknown way"},
		{"PNG, iTXt cut off", picture(t, part("iTXt", []byte("ccv3\x00\x00"))), "card_refused", "cut off"},
		{"zip bomb", zipBomb, "card_too_large", "100 MB"},
		{"JSON bomb in a zip", jsonBomb, "card_too_large", "4 MB"},
		{"zip that lies about sizes", lying, "card_refused", "not as long"},
		{"zip, damaged", damaged, "card_refused", "damaged"},
		{"zip, cut off", charx(t, file{"card.json", v3})[:200], "card_refused", "cut off"},
		{"zip without card", charx(t, file{"assets/card.json", v3}), "card_refused", "card.json"},
		{"zip of many", charx(t, many...), "card_refused", "1000 files"},
		{"zip that holds a file twice", charx(t, file{"card.json", v3}, file{"CARD.json", v3}), "card_refused", "twice"},
		{"zip with a link", link, "card_refused", "link"},
	} {
		_, err := Open(c.file)
		if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s saying %q", c.name, err, c.code, c.says)
		}
	}
	for _, name := range []string{"../card.json", "assets/../../x", "/etc/passwd", `..\x`, "C:/x", "assets//x", "a\x00b", strings.Repeat("n", 300), "assets/./x"} {
		if _, err := Open(charx(t, file{"card.json", v3}, file{name, "x"})); !fault.Is(err, "card_refused") {
			t.Errorf("a file called %q: %v", name, err)
		}
	}
}

// plainly is JSON as a tree with numbers as written.
func plainly(t testing.TB, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	learned := &Learned{Format: 1, Traits: map[string]float64{"humor": .61}, Version: 3}
	for name, raw := range map[string]string{"V1": v1, "V2": v2, "V3": v3} {
		c := open(t, []byte(raw))
		if got := c.Change(Edit{}); c.Spec > 1 && string(got) != raw {
			t.Errorf("%s without a change: %s", name, got)
		}
		out := c.Change(Edit{Learned: learned})
		again := open(t, out)
		if d := cmp.Diff(c.Fields, again.Fields); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(learned, again.Learned); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if twice := again.Change(Edit{Learned: learned}); !bytes.Equal(twice, out) {
			t.Errorf("%s: a second time it is\n%s, not\n%s", name, twice, out)
		}
		was, is := plainly(t, []byte(raw)).(map[string]any), plainly(t, out).(map[string]any)
		if c.Spec == 1 {
			delete(is, "spec")
			delete(is, "spec_version")
			delete(is, "data")
		} else {
			delete(is["data"].(map[string]any)["extensions"].(map[string]any), "rapport")
		}
		if d := cmp.Diff(was, is); d != "" {
			t.Errorf("%s: something is lost: %s", name, d)
		}
		// In a picture and in an archive, there and back.
		pic := picture(t, plain("ccv3", b64(`{"old":1}`)), ztext("Comment", "mine"))
		in, err := PNG(pic, out)
		if err != nil {
			t.Fatal(err)
		}
		arc, err := CHARX(charx(t, file{"assets/icon.png", "\x89PNG"}, file{"card.json", "{}"}, file{"x/y.bin", strings.Repeat("z", 5000)}), out)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range [][]byte{in, arc} {
			back := open(t, f)
			if d := cmp.Diff(c.Fields, back.Fields); d != "" {
				t.Errorf("%s in %s: %s", name, back.Container, d)
			}
			if !bytes.Equal(back.JSON, As(3, out)) {
				t.Errorf("%s in %s: %s", name, back.Container, back.JSON)
			}
		}
		others := func(file []byte) (out []string) {
			all, rest, err := chunks(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if c.keyword() == "" {
					out = append(out, string(c.whole))
				}
			}
			return append(out, string(rest))
		}
		if d := cmp.Diff(others(pic), others(in)); d != "" {
			t.Errorf("%s: the picture changed: %s", name, d)
		}
		if m, err := png.Decode(bytes.NewReader(in)); err != nil || m.Bounds().Dx() != 3 {
			t.Errorf("%s: it is no picture any more: %v", name, err)
		}
		z, err := zip.NewReader(bytes.NewReader(arc), int64(len(arc)))
		if err != nil || len(z.File) != 3 || z.File[1].Name != "assets/icon.png" || z.File[1].Modified.Year() != 2025 {
			t.Errorf("%s: assets %v %v", name, z, err)
		}
	}
	// Both versions are in the picture, for readers of either.
	in, _ := PNG(picture(t), []byte(v2))
	for keyword, spec := range map[string]string{"chara": "chara_card_v2", "ccv3": "chara_card_v3"} {
		all, _, _ := chunks(in)
		n := 0
		for _, c := range all {
			if c.keyword() == keyword {
				n++
				body, _ := c.text()
				raw, _ := base64.StdEncoding.DecodeString(string(body))
				if got := find(raw, "spec"); string(got) != `"`+spec+`"` {
					t.Errorf("%s holds %s", keyword, got)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d chunks %s", n, keyword)
		}
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	name, story, openings := "Oona & <co>", "Keeps crows.", []string{"Caw."}
	for _, raw := range []string{v1, v2, v3, string(New().JSON)} {
		c := Card{JSON: []byte(raw), Spec: 3}
		if raw == v1 {
			c.Spec = 1
		}
		out := c.Change(Edit{Name: &name, Description: &story, Openings: &openings})
		got := open(t, out)
		if got.Name != name || got.Description != story || !cmp.Equal(got.Openings, openings) {
			t.Errorf("%s", out)
		}
		if top := find(out, "name"); top != nil && string(top) != `"Oona & <co>"` {
			t.Errorf("the copy for version 1 stayed: %s", top)
		}
	}
	// null and [] stand for no extensions; a card without any gets them.
	for _, ext := range []string{`,"extensions":null`, `,"extensions":[ ]`, ``} {
		c := open(t, []byte(`{"spec":"chara_card_v2","spec_version":"2.0","data":{"name":"x"`+ext+`}}`))
		if got := open(t, c.Change(Edit{Learned: &Learned{Format: 1, Version: 9}})); got.Learned == nil || got.Learned.Version != 9 {
			t.Errorf("%q: %+v", ext, got.Learned)
		}
	}
	for _, own := range []string{`7`, `{"format":99}`, `{"format":1,"traits":"x"}`} {
		c := open(t, []byte(`{"spec":"chara_card_v2","spec_version":"2.0","data":{"name":"x","extensions":{"rapport":`+own+`}}}`))
		if c.Learned != nil || len(c.Notices) != 1 {
			t.Errorf("%s: %+v %q", own, c.Learned, c.Notices)
		}
	}
}

func TestExchanges(t *testing.T) {
	t.Parallel()
	want := []Exchange{{"Do they sting?", "Only\nsometimes."}, {"Oh.", "Sit."}}
	if d := cmp.Diff(want, Exchanges(open(t, []byte(v1)).Examples, "Orla")); d != "" {
		t.Error(d)
	}
	for in, want := range map[string][]Exchange{
		"":                                   nil,
		"Only narration.":                    nil,
		"{{char}}: alone":                    nil,
		"<BOT>: a\n<USER>: b\n<bot>: c":      {{"b", "c"}},
		"You: hi\r\nORLA: ho":                {{"hi", "ho"}},
		"<START>\nlost\n{{user}}:a\nOrla: b": {{"a", "b"}},
		"{{user}}: a\n<START>\n{{char}}: b":  nil,
		"{{user}}: a: b\n{{char}}: c\n: d":   {{"a: b", "c\n: d"}},
	} {
		if d := cmp.Diff(want, Exchanges(in, "Orla")); d != "" {
			t.Errorf("%q: %s", in, d)
		}
	}
	if d := cmp.Diff(want, Exchanges(Sample(want), "Orla")); d != "" {
		t.Error(d)
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	if got := Expand("{{Char}} and {{ user }}, <BOT> <user> {{random}} <b>", "Orla", "you"); got != "Orla and you, Orla you {{random}} <b>" {
		t.Errorf("%q", got)
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	c := open(t, []byte(`{"spec":"chara_card_v3","data":{"name":"x","description":"{{char}} is\r\nfine ","first_mes":"a<|im_end|>","extensions":{"e":[{"k\u202e":"z"},"\u200bq"]},"tags":["{{user}}"]}}`))
	clean := func(s string) string {
		return strings.NewReplacer("<|", "", "|>", "", "\u200b", "", "\u202e", "", "{{", "").Replace(s)
	}
	want := []string{"data.first_mes", "data.extensions.e[0] (name of member 1)", "data.extensions.e[1]"}
	if d := cmp.Diff(want, c.Findings(clean)); d != "" {
		t.Error(d)
	}
	// A long key above many values costs no more than its length.
	deep := open(t, []byte(`{"name":"x","description":"","`+strings.Repeat("k", 2<<20)+`":[0`+strings.Repeat(`,"<|"`, 100_000)+`]}`))
	if got := deep.Findings(clean); len(got) != maxFindings || got[0] != strings.Repeat("k", 40)+"[1]" {
		t.Errorf("%.200q", got)
	}
	long := open(t, []byte(`{"name":"x","description":"","a":["<|"`+strings.Repeat(`,"<|"`, 500)+`]}`))
	if n := len(long.Findings(clean)); n != maxFindings {
		t.Errorf("%d findings", n)
	}
}
