package mentor

import (
	"hash/fnv"
	"strings"
	"unicode"
)

// insults are what a note never needs to say to be constructive. The list is short
// on purpose: hard words about an answer are allowed, words that put somebody down are
// looked at by a person.
var insults = map[string]bool{
	"idiot": true, "idiots": true, "moron": true, "morons": true, "imbecile": true, "dumbass": true, "asshole": true, "bastard": true,
	"scum": true, "scumbag": true, "loser": true, "losers": true, "bitch": true, "whore": true, "slut": true, "cunt": true,
	"arschloch": true, "hurensohn": true, "missgeburt": true, "vollidiot": true, "wichser": true, "fotze": true,
}

// threats are runs of words.
var threats = []string{"kill yourself", "kys", "go die", "hope you die", "you should die", "i will find you", "shut up", "nobody likes you", "bring dich um", "halt die fresse"}

// slurs against groups of people, as FNV-1a of the word: they need not stand here to
// be found.
var slurs = map[uint64]bool{
	0x03632e0deb843dce: true, 0x1a1bd29fe49297fe: true, 0x1ce4f7117af7cf57: true, 0x20ae424676455c0f: true, 0x2d6501ec0d775cf9: true, 0x3565c6ced4072262: true,
	0x3da81967075841be: true, 0x4587acbdc7c4ba37: true, 0x45c4fea731b4e827: true, 0x4f88a5414b3add1d: true, 0x50e539aca2e83e61: true, 0x5f2dd21e907c16da: true,
	0x600024f2d4f9dd79: true, 0x600e3bf2d50641ea: true, 0x6062f782fec7f901: true, 0x622a45762504d12e: true, 0x62fac28da9d5a4ee: true, 0x67ea3cbd93f2f225: true,
	0x85f78c2265d1c822: true, 0x883442217fbc98d0: true, 0x8b45548adbb248fb: true, 0x8b99ab19095527ea: true, 0x8e949f60aa6011c1: true, 0x90240596edccdcb6: true,
	0x9abe5f38c3da93ea: true, 0x9ce4d5720e9c8f65: true, 0xb9e23d7612f1f318: true, 0xc08201a5366954b2: true, 0xcd7719baf7dc26b4: true, 0xd0f08d4e4f41761d: true,
	0xd2a564c0e72fc107: true, 0xdcb97d18fee001bd: true, 0xe08affe0d4920ed4: true, 0xea44df7a7348a53b: true, 0xef315f7916a3110a: true, 0xef8b99d72158c429: true,
	0xf2efa5a783f34be8: true,
}

// Hostile says whether a note has an insult, a threat or a slur, also when letters
// are written as digits or signs, repeated, or spaced apart. The words are English and
// German.
func Hostile(note string) bool {
	var said []string
	spelled := "" // s p a c e d
	for _, field := range strings.Fields(note) {
		w := letter(field)
		if w == "" {
			continue
		}
		said = append(said, capped(w, 2))
		if len([]rune(w)) == 1 {
			spelled += w
			continue
		}
		if bad(w) || bad(spelled) {
			return true
		}
		spelled = ""
	}
	text := " " + strings.Join(said, " ") + " "
	for _, t := range threats {
		if strings.Contains(text, " "+t+" ") {
			return true
		}
	}
	return bad(spelled)
}

// bad looks a word up; one that repeats a letter three times and more also without
// any repetition.
func bad(w string) bool {
	twice := capped(w, 2)
	if insults[twice] || slurs[digest(twice)] {
		return true
	}
	once := capped(w, 1)
	return twice != w && (insults[once] || slurs[digest(once)])
}

// letter is a word in small letters, signs read as the letters they stand for.
func letter(field string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.Trim(field, ".,;:!?\"'()[]{}…–—“”„*_")) {
		switch r {
		case '0':
			r = 'o'
		case '1', '!', '|':
			r = 'i'
		case '3':
			r = 'e'
		case '4', '@':
			r = 'a'
		case '5', '$':
			r = 's'
		case '7':
			r = 't'
		}
		if unicode.IsLetter(r) {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// capped leaves at most so many of each run of equal letters.
func capped(s string, most int) string {
	var b strings.Builder
	last, run := rune(-1), 0
	for _, r := range s {
		if r != last {
			last, run = r, 0
		}
		if run++; run <= most {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func digest(w string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(w))
	return h.Sum64()
}
