package textsignal

import (
	"slices"
	"strings"
)

// emojiValence holds the emoji whose meaning is plain; all others are 0.
var emojiValence = func() map[rune]float64 {
	m := map[rune]float64{}
	for v, list := range map[float64]string{
		2.5:  "😍🥰😘❤💕💖💗💙💚💛💜🧡🥳🤩🎉",
		2:    "😀😃😄😁😆😂🤣😊😇😻👍👏🙌💯😎🤗☺",
		1:    "🙂😉😋🔥✨👌🙏💪😌",
		-1:   "😐😑🙄😕😒😬😟🙁☹😓😴",
		-2:   "😞😔😢😣😖😫😩😠😤👎💔😰😨😱",
		-2.5: "😭😡🤬🤮🤢",
	} {
		for _, r := range list {
			m[r] = v
		}
	}
	return m
}()

var emoticonValence = map[string]float64{
	":)": 1.5, ":-)": 1.5, ":d": 2, ":-d": 2, ";)": 1, ";-)": 1, "=)": 1.5, "=d": 2, "<3": 2.5, "xd": 2, ":p": 1, ":-p": 1, "^^": 1.5, "^_^": 1.5,
	":(": -1.5, ":-(": -1.5, ":'(": -2, ":/": -1, ":-/": -1, ":|": -0.5, "=(": -1.5, ">:(": -2, "</3": -2.5,
}

// emoticons are tried the longest first.
var emoticons = func() []string {
	var list []string
	for e := range emoticonValence {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return list
}()

// everydayWord marks the words that give a language away: e English, f German,
// French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Polish, Turkish,
// Indonesian. Words of both are absent.
var everydayWord = func() map[string]byte {
	m := map[string]byte{}
	for w := range set(`the and of to is it that you for was on are with as this have from or by not but what all were when we your can said
		there use each which she do how their if will up other about out many then them these so some her would make like him has
		two more go see way could my than been its who did get i i'm it's don't
		i've i'll i'd you're you've we're they're he's she's that's there's isn't wasn't can't won't didn't doesn't couldn't wouldn't haven't
		a am be being had does doing done they us our at after again always another any anything because before both come every everything
		few find first give given going got here into just keep know last let little long look made may maybe might most much must never new next
		nothing off often one only over own people put right same say should since something still such take tell thing things think those though
		three through time today tomorrow too try under until very want well went where while why without work year years yesterday yet
		day days night really even ever around away back down since dont im cant thats whats youre ok okay yes yeah hey hello please thanks
		big small old buy bought product movie book phone game food home life world house money school friend friends family man men woman women
		oh ha haha lol yay wow hi woo woohoo congrats via rt fun
		watch watching listen listening read reading talk talking eat eating sleep play playing love hate good great bad nice happy sad
		morning evening week month weekend water music job car city guy guys girl boy kid kids someone nobody everyone anyone lot lots`) {
		m[w] = 'e'
	}
	for w := range set(`der die das und ich nicht ist ein eine zu mit auf für wie wir ihr sie dem den von aber auch nur noch wenn dass sehr kein
		mir dich mich bin hast habe haben wird sind schon doch mal gut danke bitte heute oder über
		le la les des une est et je tu nous vous pas que qui dans pour avec sur mais très ce cette c'est j'ai il elle merci oui bien
		el los las una y es gusta nada hay hoy por para con pero muy como más mi yo esto esta qué lo gracias está soy eres bueno hoy también
		il che di non sono per una ma molto questo della anche grazie sei
		o os um uma não com mas muito isso você obrigado
		het een en van niet ik je dat maar zijn voor op
		och det är inte jag att som på med för til og ikke jeg av
		nie się na że jak ale jest co dziękuję
		bir bu ve için çok ama ben sen biz siz değil var yok gibi daha kadar nasıl ne mi mı şey teşekkürler
		yang dan ini itu tidak saya kamu aku apa ada untuk dengan`) {
		if m[w] == 0 {
			m[w] = 'f'
		}
	}
	return m
}()

// homograph holds words of the sentiment lexicon that are common words, with
// another sense, in other languages. They are no evidence of English.
var homograph = set(`die gift hell no war bad sin fatal mal sensible rot fast brave grave funk well peste hug safe sucker dick fad`)

func set(list string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		m[w] = true
	}
	return m
}
