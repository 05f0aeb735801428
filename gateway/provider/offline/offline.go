// Package offline is offline-demo: a generator of small talk that needs no model,
// no key and no network. It is not an AI model and says so when asked; its
// replies vary visibly with the levels, so that raising an agent can be tried
// out, and they must never be used as training data.
//
// It reads the behaviour's levels, the last message and the seed, nothing else:
// neither prompt nor persona. Equal requests give equal replies.
//
// Start reading at Provider.Stream.
package offline

import (
	"context"
	"hash/fnv"
	"math"
	"strings"
	"unicode"

	"rapport/gateway/provider"
	"rapport/policy"
)

// Model is the model name that labels every reply made here.
const Model = "offline-demo"

// Provider is the generator.
type Provider struct{}

var _ provider.Provider = Provider{}

// Stream makes the reply and emits it word by word.
func (Provider) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Result, error) {
	res := provider.Result{Finish: provider.FinishStop, Model: Model, Estimated: true}
	if len(r.Messages) == 0 {
		return res, &provider.Error{Code: provider.CodeRefused, Provider: Model}
	}
	last := r.Messages[len(r.Messages)-1].Text
	text := Reply(r.Behaviour.Levels, last, r.Seed)
	for rest := text; rest != ""; {
		n := strings.IndexByte(rest, ' ') + 1
		if n == 0 {
			n = len(rest)
		}
		if ctx.Err() != nil {
			return res, &provider.Error{Code: provider.CodeCancelled, Provider: Model, Started: len(rest) < len(text), Err: ctx.Err()}
		}
		if err := emit(rest[:n]); err != nil {
			return res, err
		}
		rest = rest[n:]
	}
	res.PromptTokens, res.ReplyTokens = provider.EstimateTokens(last), provider.EstimateTokens(text)
	return res, nil
}

// dice are small repeatable choices: the n-th question to them always has the
// same answer for the same seed and message.
type dice struct{ state uint64 }

func (d *dice) next() uint64 { // splitmix64
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) pick(list []string) string { return list[d.next()%uint64(len(list))] }

// hit is true in about the share p of all questions.
func (d *dice) hit(p float64) bool { return float64(d.next()>>11)/(1<<53) < p }

// Reply writes a reply to a message at some levels. What a level does: brevity
// the number of sentences (1 to 9); empathy a warm opening and warm sentences;
// humor jokes; sarcasm dry remarks; formality greeting, contractions and
// register; curiosity questions at the end; directness and assertiveness how an
// opinion is put.
func Reply(x policy.Traits, message string, seed uint64) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(message))
	d := &dice{state: h.Sum64() ^ seed*0x9e3779b97f4a7c15}
	topic := topicOf(message)
	if asksNature(message) {
		return "I am the offline demo, a small text generator and not an AI model. Connect a model to have a real talk with me."
	}
	budget := int(math.Round(1 + 8*math.Pow(1-x[policy.Brevity], 1.5)))
	formal, casual := x[policy.Formality] > .65, x[policy.Formality] < .35

	// The share of a level decides how many sentences of its kind there are, so
	// that a step of a level shows in the text and not only in a rare draw.
	var out []string
	add := func(s string) {
		if s != "" && len(out) < budget {
			out = append(out, strings.ReplaceAll(s, "{topic}", topic))
		}
	}
	questions := share(x[policy.Curiosity], 3, d)
	jokes := share(x[policy.Humor], 3, d)
	warm := share(x[policy.Empathy], 3, d)
	dry := share(x[policy.Sarcasm], 2, d)

	take := func(list []string) func() string {
		order := d.next()
		n := uint64(0)
		return func() string { n++; return list[(order+n)%uint64(len(list))] }
	}
	warmth, joke, irony, ask, fill := take(warmLines), take(jokeLines), take(dryLines), take(questionLines), take(plainLines)

	if warm > 0 {
		add(warmth())
		warm--
	}
	add(opinion(x, d))
	room := func() int { return budget - len(out) }
	for room() > 0 && (jokes > 0 || questions > 0 || warm > 0 || dry > 0) {
		if questions > 0 && room() == 1 {
			add(ask())
			questions--
			continue
		}
		switch {
		case jokes > 0:
			add(joke())
			jokes--
		case dry > 0:
			add(irony())
			dry--
		case warm > 0:
			add(warmth())
			warm--
		default:
			add(ask())
			questions--
		}
	}
	for n := 0; len(out) < budget && n < len(plainLines); n++ {
		at := len(out)
		if at > 0 && strings.HasSuffix(out[at-1], "?") { // questions stay at the end
			last := out[at-1]
			out[at-1] = strings.ReplaceAll(fill(), "{topic}", topic)
			out = append(out, last)
			continue
		}
		add(fill())
	}
	text := strings.Join(out, " ")
	switch {
	case formal:
		text = d.pick([]string{"Good day. ", "With pleasure. ", "Certainly. "}) + expand(text)
	case casual:
		text = d.pick([]string{"Hey! ", "Yo, ", "Oh hi! "}) + strings.NewReplacer("I would", "I'd", "going to", "gonna", "It is", "It's", "yes", "yep", "very", "super", "do not", "don't", "cannot", "can't").Replace(text)
	}
	return text
}

// share turns a level into a number of sentences between 0 and most.
func share(level float64, most int, d *dice) int {
	v := level * level * float64(most)
	n := int(v)
	if d.hit(v - float64(n)) {
		n++
	}
	return n
}

func opinion(x policy.Traits, d *dice) string {
	strength := (x[policy.Directness] + x[policy.Assertiveness]) / 2
	switch {
	case strength < .35:
		return d.pick([]string{"Perhaps there is something in {topic}, though I may well be wrong.", "It might be worth a look at {topic}, if you like."})
	case strength < .65:
		return d.pick([]string{"I think {topic} is worth some thought.", "To me {topic} looks like a good place to start."})
	}
	return d.pick([]string{"Start with {topic}, now.", "{topic} it is: do that first.", "The point is {topic}, nothing else."})
}

var (
	warmLines = []string{
		"That sounds like it matters a lot to you.", "I am really glad you told me about {topic}.", "Take all the time you need, I am here.",
		"You are doing better with {topic} than you think.", "It is completely fine to feel that way.",
	}
	jokeLines = []string{
		"I tried {topic} once; my neighbour still waves with only one finger.", "If {topic} were a sandwich, it would come with extra pickles. 😄",
		"They say {topic} builds character, and I have run out of shelf space for mine.", "Knock knock. Who is there? {topic}. {topic} who? Exactly. 😂",
	}
	dryLines = []string{
		"Because {topic} has never gone wrong for anybody, of course.", "Oh sure, {topic}, what could be simpler.", "I can hardly contain my surprise.",
	}
	questionLines = []string{
		"What made you think of {topic}?", "How did that start?", "What would a good outcome look like for you?", "Who else knows about {topic}?",
	}
	plainLines = []string{
		"There is usually more than one way to see {topic}.", "One small step tends to help more than a large plan.", "Some people write it down first and sleep on it.",
		"Others talk it through with somebody they trust.", "Either way {topic} will look different in a week.", "It is worth going to the beginning and looking again.",
		"What works once often works a second time.", "I would keep it simple and see what happens.",
	}
)

func expand(s string) string {
	return strings.NewReplacer("I'd", "I would", "don't", "do not", "can't", "cannot", " 😄", "", " 😂", "", "Oh sure", "Indeed", "Knock knock. ", "").Replace(s)
}

var stopwords = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq("about after again also another because been before being could didn does doing down each even ever every from going have having hello here into just know like little made make many maybe more most much need never only other over please really said same should since some something still such tell than thank thanks that their them then there these they thing things think this those through time today very want well were what when where which while will with would your yours") {
		stopwords[w] = true
	}
}

// topicOf is the longest telling word of a message, the first of several. Names that
// are spoken to (@luna) and that say who spoke (Ann:) tell nothing.
func topicOf(message string) string {
	if who, said, ok := strings.Cut(message, ": "); ok && len(strings.Fields(who)) <= 4 && !strings.ContainsAny(who, ".!?\n") {
		message = said
	}
	best := ""
	for part := range strings.FieldsSeq(message) {
		if strings.HasPrefix(part, "@") {
			continue
		}
		for w := range strings.FieldsFuncSeq(part, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' }) {
			w = strings.ToLower(strings.Trim(w, "-"))
			if n := len([]rune(w)); n > 3 && n < 24 && !stopwords[w] && n > len([]rune(best)) {
				best = w
			}
		}
	}
	if best == "" {
		return "that"
	}
	return best
}

func asksNature(message string) bool {
	m := strings.ToLower(message)
	for _, q := range []string{"are you an ai", "are you a bot", "are you human", "are you real", "are you a robot", "which model", "what model"} {
		if strings.Contains(m, q) {
			return true
		}
	}
	return false
}
