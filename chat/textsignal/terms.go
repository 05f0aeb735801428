package textsignal

import "strings"

// term is a content word without its ending.
func term(w string) string {
	w, _, _ = strings.Cut(w, "'")
	w, _, _ = strings.Cut(w, "’")
	for _, end := range [...]string{"ingly", "edly", "ing", "ied", "ies", "ed", "es", "ly", "er", "s", "e"} {
		if stem, ok := strings.CutSuffix(w, end); ok && len(stem) >= 3 {
			if n := len(stem); n > 3 && stem[n-1] == stem[n-2] && (end == "ing" || end == "ed" || end == "er") {
				stem = stem[:n-1]
			}
			return strings.TrimSuffix(stem, "e")
		}
	}
	return w
}

// terms lists the content words of a scanned text, each once.
func terms(t scanned) []string {
	var out []string
	seen := map[string]bool{}
	for _, tok := range t.tokens {
		if tok.kind != word || len(tok.text) < 2 || stopWord[tok.text] {
			continue
		}
		if s := term(tok.text); !seen[s] && !stopWord[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// stopWord holds words that say nothing of the topic.
var stopWord = set(`a an the and or but if then so of to in on at by for with from as is are was were be been being am it its it's that this
	these those there here i me my mine you your yours u he him his she her hers we us our they them their what which who whom whose when
	where why how do does did done doing have has had having will would can could shall should may might must not no nor yes yeah yep ok okay
	just very really too also about into out up down over off again more most some any all each every other than like well oh hi hello hey lol
	haha wow im i'm i've i'll i'd you're you've don't dont doesn't didn't can't cant isn't that's thats what's there's let's ive id ill
	get got go going know think want one much many now only even still yet because`)
