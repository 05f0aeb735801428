package plainjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// document is read in both ways. Names that come twice are as encoding/json takes
// them: the last text, the last list from its beginning.
type document struct {
	Name  string          `json:"name"`
	Count int             `json:"count"`
	Is    bool            `json:"is"`
	Rest  json.RawMessage `json:"rest"`
	Inner *struct {
		Text *string `json:"text"`
	} `json:"inner"`
	List []string `json:"list"`
}

func (d *document) read(data []byte) bool {
	r := New(data)
	if r.Null() {
		return r.Done()
	}
	r.Object(func(name []byte) {
		switch string(name) {
		case "name":
			if !r.Null() {
				d.Name = r.Text("like")
			}
		case "count":
			if !r.Null() {
				d.Count = r.Int()
			}
		case "is":
			if !r.Null() {
				d.Is = r.Bool()
			}
		case "rest":
			d.Rest = bytes.Clone(r.Raw())
		case "inner":
			if r.Null() {
				d.Inner = nil
				return
			}
			if d.Inner == nil {
				d.Inner = &struct {
					Text *string `json:"text"`
				}{}
			}
			r.Object(func(name []byte) {
				switch {
				case string(name) != "text":
					r.Raw()
				case r.Null():
					d.Inner.Text = nil
				default:
					s := r.Text("")
					d.Inner.Text = &s
				}
			})
		case "list":
			if d.List != nil {
				r.Refuse()
				return
			}
			d.List = []string{}
			r.Array(func() {
				if !r.Null() {
					d.List = append(d.List, r.Text(""))
					return
				}
				d.List = append(d.List, "")
			})
		default:
			r.Raw()
		}
	})
	return r.Done()
}

var seeds = []string{
	`{}`, `{"name":"a","count":3,"is":true,"rest":{"x":[1,2.5e-3,-0,{"y":null}]},"inner":{"text":"t","more":1},"list":["a","b"]}`, ` { "name" : "like" , "list" : [ ] } `,
	`{"name":"a\n\"\u00e9\ud83d\ude00 é"}`, `{"name":"\ud800"}`, "{\"name\":\"\xff\"}", "{\"name\":\"a\x01\"}", `{"Name":"a"}`, `{"na\u006de":"a"}`, `{"naſe":"a"}`, `{"name":null,"inner":null,"list":[null],"is":null}`,
	`{"name":"a","name":"b","inner":{"text":"x"},"inner":{},"list":["a"],"list":[]}`, `{"count":1.0}`, `{"count":01}`, `{"count":-1}`, `{"count":9223372036854775808}`, `{"count":-9223372036854775808}`, `{"count":1e2}`,
	`{"x":tru}`, `{"x":1.}`, `{"x":.5}`, `{"x":+1}`, `{"x":1e}`, `{"x":"\x"}`, `{"x":"\u12g4"}`, `{"x":"`, `{"x":[1,]}`, `{"x":[,1]}`, `{"x":1,}`, `{,}`, `{"x"}`, `{"x":}`, `{} {}`, `[]`, `null`, `1`, ``, `{"":1}`, `{"x":nul}`,
	`{"rest":[[[[[[[[]]]]]]]]}`, `{"x":{"a b":1,"a\n":2}}`, `{"is":"true"}`, `{"name":1}`, `{"list":{}}`, `{"rest" : "a" , "x":1}`,
}

// What is read is what encoding/json reads.
func FuzzReader(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want document
		if !got.read(data) {
			return
		}
		if err := json.Unmarshal(data, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("reading %q\n got %+v\nwant %+v, %v", data, got, want, err)
		}
	})
}

// What is usual is read, and what is not is refused.
func TestReaderTakesTheUsualForm(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]bool{
		seeds[0]: true, seeds[1]: true, seeds[2]: true, seeds[3]: true, `{"x":{"A":"\u0041"}}`: true, `{"name":"Größe"}`: true, `{"Name":"a"}`: false, `{"count":1.5}`: false, `{"x":1`: false,
	} {
		if got := new(document).read([]byte(data)); got != want {
			t.Errorf("%s: read %v, want %v", data, got, want)
		}
	}
	deep := bytes.Repeat([]byte("["), maxDeep+2)
	if new(document).read(append(append([]byte(`{"x":`), append(deep, bytes.Repeat([]byte("]"), maxDeep+2)...)...), '}')) {
		t.Error("too deep, and read")
	}
}

func FuzzAppendText(f *testing.F) {
	for _, s := range []string{"", "plain", "a\"b\\c/\n\r\t\b\f\x00\x1f\x7f", "<&>", "Größe 😀", "\u2028\u2029", "a\xffb", "\xed\xa0\x80", "�"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, html := range []bool{true, false} {
			var want bytes.Buffer
			enc := json.NewEncoder(&want)
			enc.SetEscapeHTML(html)
			if err := enc.Encode(s); err != nil {
				t.Fatal(err)
			}
			if got := AppendText([]byte("x"), s, html); string(got)+"\n" != "x"+want.String() {
				t.Errorf("%q with html %v is %s, want %s", s, html, got[1:], want.Bytes())
			}
		}
	})
}
