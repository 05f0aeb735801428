package textsignal

import (
	"slices"
	"strings"
)

// The lexicon is our own: everyday words of chat, each with a valence in -3…3,
// written down by level. Endings are taken off by valenceOf.
var valence = func() map[string]float64 {
	m := map[string]float64{}
	for v, list := range map[float64]string{
		3: `adore amazing awesome beautiful best bliss blissful brilliant delight delighted delightful ecstatic excellent
			extraordinary fabulous fantastic flawless gorgeous heavenly hilarious incredible joy joyful love loveliest magnificent
			marvellous marvelous masterpiece outstanding overjoyed perfect perfection phenomenal spectacular stellar stunning
			sublime superb terrific thrilled treasure triumph wonderful`,
		2: `accomplish admire adorable affection amuse amused amusing appreciate appreciated astonishing attractive bless blessed blessing
			bravo celebrate charm charming cheer cheerful classy congrats congratulation congratulations creative cute darling dream
			elegant encourage encouraging energetic enjoy enjoyable enjoyed enthusiastic epic excite excited exciting favorite
			favourite friendly fun funny generous genius gift glad glorious good grateful gratitude great haha hahaha happiness
			happy heartfelt helpful hero honest hooray hug humor humour impress impressed impressive inspire inspired inspiring
			kind kindness laugh lmao lmfao lol lovely loyal lucky merry nice optimistic passion paradise peaceful playful pleasant
			please pleased pleasure praise pretty proud refreshing rejoice relaxing remarkable rofl romantic satisfied satisfy
			smart smile smiling splendid success successful sunshine super supportive sweet talented thank thankful thanks thanx thoughtful
			thx tranquil trust trustworthy truthful useful valuable victory warm welcome win winner winning witty won wow yay yum
			yummy`,
		1: `accept accurate advantage agree agreed alive benefit better bold brave bright calm capable care careful
			caring clean clear clever comfort comfortable comfy confident convenient cool correct curious dear decent deserve
			durable easy effective efficient fair faith fancy fascinating fine fit free fresh friend gain gentle genuine
			gracious handy healthy help hope hopeful ideal improve improved improvement improving inexpensive interest interested
			interesting keen like likely lively neat okay patient peace play polite popular positive powerful precious prefer
			productive promise promising quality ready recommend recommended relax relieve relieved reliable reward rich safe secure sleek smooth solid
			solve special sturdy strong sure surprise surprised sympathy tasty tender true understand
			value warmth wealth wise worth worthy yes young`,
		-1: `alas alone argue argument awkward blame block blurry bored boring break broke broken bug bulky cheap clumsy cold complain complaint
			complicated concern concerned confuse confused confusing costly crash crazy critic cut damage deny difficult dirty
			disagree disturb doubt drop dull dumb error exhausted expensive expire fail fault faulty fear flaw flimsy forget
			forgot fuzzy gone grim hard hesitate hide ignore ignored impossible inconvenient issue jam lack late leave limited
			lonely lose lost loud mess messy miss missed missing mistake mixed nervous noise noisy odd old overpriced
			poor pressure problem puzzled question refuse regret restless rough scratch shame shock shortage slow silly sorry
			stop strange stress strict stuck struggle suspicious tense tired tough trouble trick uncertain
			uncomfortable unclear uneasy unfortunate unfortunately unsure upset useless warn waste weak weird wonky worried worry
			wrong`,
		-2: `abandon abuse ache afraid aggressive alarm anger angry annoy annoyed annoying anxiety anxious arrogant ashamed attack bad
			betray bitter bother burden cancer cheat cheated cranky creepy cried crime crisis cruel cry crying damn danger
			dangerous dead death defeat defective depress depressed depressing depression despair destroy destroyed die died
			disappoint disappointed disappointing disappointment dislike distress dread dreadful embarrass embarrassed embarrassing
			enemy evil failure fake fed-up fight filthy fool foolish fraud freak frighten frightened frustrate frustrated
			frustrating frustration furious garbage gloomy greed grief gross guilt guilty harm harmful harsh hate-mail headache heartache
			hell helpless hopeless horrid hostile hurt idiot ill inferior insane insult insulting irritate irritated irritating jealous jerk
			junk kill lame liar lie lousy mad malfunction mean miserable misery moron murder nasty negative negativity nonsense
			pain painful panic pathetic pity poison problematic punish rage reject rejected ridiculous rip-off rotten rubbish rude ruin ruined
			sad sadly sadness scam scare scared scary scream selfish sick sob sorrow stink stinks stolen stupid suck
			suffer terrified threat threaten tragedy tragic ugly unacceptable unfair unhappy unhelpful unpleasant unreliable
			victim violent war weep whine wicked worse worthless wreck yell`,
		-3: `abysmal agony appalling atrocious awful bullshit catastrophe catastrophic despicable devastated devastating disaster
			disastrous disgust disgusted disgusting fuck fucking hate hated hateful hatred heartbreaking heartbroken hideous horrible
			horrific horrify horrifying nightmare rape repulsive shit shitty suicidal suicide terrible torture traumatic
			unbearable vile wtf worst`,
	} {
		for w := range strings.FieldsSeq(list) {
			if _, twice := m[w]; twice {
				panic("word with two valences: " + w)
			}
			m[w] = v
		}
	}
	return m
}()

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

var intensifies = set(`very really so too extremely absolutely totally completely incredibly super truly deeply highly such quite damn fucking
	especially insanely utterly`)

var softens = set(`slightly somewhat kinda kind sorta rather little bit fairly partly mildly almost`)

// functionWord marks the little words that give a language away: e English, f
// German, French, Spanish, Italian, Portuguese, Dutch. Words of both are absent.
var functionWord = func() map[string]byte {
	m := map[string]byte{}
	for w := range set(`the and of to is it that you for was on are with as this have from or by not but what all were when we your can said
		there use each which she do how their if will up other about out many then them these so some her would make like him has
		two more go see no way could my than been its who did get i i'm it's don't`) {
		m[w] = 'e'
	}
	for w := range set(`der die das und ich nicht ist ein eine zu mit auf für wie wir ihr sie dem den von aber auch nur noch wenn dass sehr kein
		le la les des une est et je tu nous vous pas que qui dans pour avec sur mais très ce cette c'est j'ai
		el los las una y es por para con pero muy como más mi yo esto esta qué lo
		il che di non sono per una ma molto questo della anche
		o os um uma não com mas muito isso você
		het een en van niet ik je dat maar zijn voor op`) {
		if m[w] == 0 {
			m[w] = 'f'
		}
	}
	return m
}()

func set(list string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		m[w] = true
	}
	return m
}
