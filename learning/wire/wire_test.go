package wire

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"rapport/policy"
)

func TestUUIDsArePackedAndComeBack(t *testing.T) {
	t.Parallel()
	for id, length := range map[string]int{"": 1, "a": 2, "01234567-89ab-cdef-0123-456789abcdef": 17,
		"01234567-89AB-cdef-0123-456789abcdef": 37, "01234567-89ab-cdef-0123-456789abcdeg": 37, strings.Repeat("x", 200): 201} {
		b := AppendID(nil, id)
		r := Reader{B: b}
		if got := r.ID(); got != id || !r.Done() || len(b) != length {
			t.Errorf("%q reads back as %q from %d bytes, want %d", id, got, len(b), length)
		}
	}
	if r := (Reader{B: AppendID(nil, strings.Repeat("y", 300))}); len(r.ID()) != MaxID {
		t.Error("a long id is not cut")
	}
}

func TestWhatIsOutOfRangeIsBad(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]struct {
		bytes []byte
		read  func(*Reader)
	}{
		"nothing":      {nil, func(r *Reader) { r.Int64() }},
		"NaN":          {AppendFloat(nil, math.NaN()), func(r *Reader) { r.Float() }},
		"infinity":     {AppendSingle(nil, float32(math.Inf(1))), func(r *Reader) { r.Single() }},
		"a bool of 2":  {[]byte{2}, func(r *Reader) { r.Bool() }},
		"no trait":     {AppendMask(nil, policy.AllTraits+1), func(r *Reader) { r.Mask() }},
		"above 1":      {AppendMicro(nil, 1.1), func(r *Reader) { r.Micro() }},
		"below 0":      {AppendLevels(nil, []float64{-.1}), func(r *Reader) { r.Levels(make([]float64, 1)) }},
		"a plain UUID": {append([]byte{37}, "01234567-89ab-cdef-0123-456789abcdef"...), func(r *Reader) { r.ID() }},
		"a long text":  {AppendLength(nil, 1<<40), func(r *Reader) { _ = r.Text() }},
	} {
		r := Reader{B: read.bytes}
		if read.read(&r); !r.Bad {
			t.Errorf("%s was read", name)
		}
	}
}

func TestNumbersComeBack(t *testing.T) {
	t.Parallel()
	var b []byte
	b = AppendText(AppendBool(AppendUint16(AppendUint32(AppendInt64(b, -7), 8), 9), true), "word")
	b = AppendMicro(AppendMask(AppendSingle(AppendFloat(b, math.Pi), 1.5), policy.MaskOf(policy.Humor)), -.25)
	r := Reader{B: bytes.Clone(b)}
	if r.Int64() != -7 || r.Uint32() != 8 || r.Uint16() != 9 || !r.Bool() || r.Text() != "word" || r.Float() != math.Pi || r.Single() != 1.5 ||
		r.Mask() != policy.MaskOf(policy.Humor) || r.Micro() != -.25 || !r.Done() {
		t.Error("another value came back")
	}
}
