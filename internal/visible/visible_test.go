package visible

import "testing"

func TestName(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"Ann", "Łukasz Żółć", "李小龍", "می\u200cخواهم", "श्री", "👩\u200d👩\u200d👧", "☀\ufe0f", "葛\U000e0100城", "שלום\u200e 2", "<script>", "a b", "é", "e\u0301"} {
		if !Name(s) || Empty(s) {
			t.Errorf("%q is no name", s)
		}
	}
	for _, s := range []string{"", "  ", "\u200b", "\u200d\u200d", "\u3164", "\u2800 \u2800", "\ufe0f", "\u0301"} {
		if Name(s) || !Empty(s) {
			t.Errorf("%q can be seen", s)
		}
	}
	for _, s := range []string{"a\u202eb", "a\u2066b", "a\u200bb", "a\ufeffb", "a\u00adb", "a\U000e0041", "a\nb", "a\u2028b", "a\x07b", "a\u3164b", "a\ue000"} {
		if Name(s) || Empty(s) {
			t.Errorf("%q is a name", s)
		}
	}
}
