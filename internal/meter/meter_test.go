package meter

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"rapport/policy"
)

// labelled are sentences that have much or little of what a meter reads. Who wrote
// them also wrote the words that are counted, so they say that a meter reads what it
// is named after, and not how often it does on strangers' texts: for that see
// TestRealTexts.
var labelled = map[Meter]struct{ much, little []string }{
	Humor: {[]string{
		"Haha, my cactus and I have the same social life.", "I told my oven a joke. It didn't rise to it. 😄", "Why did the printer cross the road? Paper jam on this side, lol.",
		"They say money talks; mine only ever says goodbye.", "Plot twist: the cat was the landlord all along.", "I'm not lazy, I'm on energy saving mode 😂",
		"Knock knock. Who's there? Monday. Please leave.", "My diet plan is hilarious, mostly because it involves cake.", "A comma walks into a bar, pauses, and leaves.",
		"If sleep were an Olympic sport I would hold the world record, and I'd accept the medal lying down.", "Just kidding, I have no idea how taxes work either.", "That pun was so bad the dog left the room.",
	}, []string{
		"The train leaves at nine from platform four.", "You can restart the router by holding the button for ten seconds.", "Rain is expected in the north tomorrow.",
		"Save the file before you close the program.", "The museum is closed on Mondays.", "I would begin with the first chapter and take notes.",
		"Your sister may need some time.", "Both options cost about the same.", "It depends on how much time you have.", "Water the plant twice a week.",
		"That must have been hard for you.", "The results will be ready on Friday.",
	}},
	Warmth: {[]string{
		"I'm so sorry, that sounds like a really heavy week.", "It's okay to feel lost for a while; I'm here.", "I am proud of you for even trying.",
		"That must have hurt. Do you want to tell me more?", "Take your time, there's no rush at all.", "You're not alone in this, and I care about how it goes.",
		"Your feelings make complete sense to me.", "I'm really glad you told me about it.", "Be gentle with yourself today.", "Thank you for sharing that with me, it means a lot.",
		"I understand, and I hope you can rest tonight.", "Sending you a big hug, dear.",
	}, []string{
		"The train leaves at nine from platform four.", "Fill in form B and sign it.", "Wrong. The capital is Canberra.", "Use a smaller font.", "There are three ways to do it.",
		"Prices rose by two percent.", "A binary search halves the range at each step.", "Cut the onion first.", "That is not what the contract says.",
		"Why would anybody do that?", "Send the report by noon.", "The second option is cheaper.",
	}},
	Irony: {[]string{
		"Oh great, another meeting. Just what the day was missing.", "Sure, because that has always worked so well.", "Wow, what a surprise, it's late again.",
		"Of course the printer works when nobody needs it.", "Oh wonderful, more paperwork.", "Yeah right, and my cat pays the rent.",
		"How delightful, a parking ticket.", "Nothing says holiday like unread mail.", "I can hardly contain my excitement about the spreadsheet.", "Obviously, skipping sleep is the secret to health.",
		"Bravo, you found the one wrong door.", "What could possibly go wrong?",
	}, []string{
		"The train leaves at nine from platform four.", "I think the second option is better.", "I'm glad it went well.", "Water the plant twice a week.", "Prices rose by two percent.",
		"That sounds hard.", "You can restart it by holding the button.", "I like the blue one.", "Let's begin with the first chapter.", "What made you think of that?",
		"The soup needs salt.", "She plays the piano in the evening.",
	}},
	Direct: {[]string{
		"No. Sell the car.", "Stop waiting and call her.", "Do it today.", "Your plan is wrong, and you must drop it.", "Write the first page now, edit later.",
		"Bad idea. Leave it.", "Choose the cheaper one.", "Cut the introduction. Nothing else matters.", "Quit the job.", "The answer is no.",
		"Take the early train.", "You need to apologise to him.",
	}, []string{
		"Perhaps you might consider the cheaper one, if you like.", "I wonder whether a walk could help a little.", "It seems there may be another way to see it.", "Maybe it's worth a look, just a thought.",
		"You might want to wait a bit before you decide.", "It could be that he was sort of tired.", "I suppose it depends on what you wish for.", "If that helps, one could possibly start small.",
		"You may want to think it over, no pressure.", "To some extent both seem fine.", "Feel free to leave it as it is, whenever you like.", "I would suggest that it might be kind of early.",
	}},
	Formality: {[]string{
		"Good evening, sir. How may I be of assistance?", "I would kindly request that you provide the required documents.", "It is therefore advisable to postpone the decision.", "We appreciate your patience in this matter.",
		"Furthermore, the committee does not recommend this approach.", "Please permit me to clarify the circumstances.", "One might argue that the evidence is insufficient.", "I shall respond at your convenience.",
		"The proposal is, however, subject to approval.", "With pleasure. Allow me to elaborate upon the principle.", "Regarding your inquiry, additional information will be provided.", "Certainly; it is indeed a considerable achievement.",
	}, []string{
		"hey, what's up dude", "Yeah, that's totally cool, no worries.", "gonna grab some stuff, u want anything?", "Nah, I'd skip it tbh, it's kinda dull.", "omg that's awesome lol",
		"Yep, sure thing, lemme check.", "Dunno, man, you'll figure it out.", "Wanna hang out later? I'm so bored.", "It's no biggie, we've all been there.", "Oops, didn't see that, my bad.",
		"Hi guys, how's it going?", "You're gonna love this, it's super good.",
	}},
	Questions: {[]string{
		"What happened next?", "How did she take it? Were you there?", "Do you want to try it?", "Why the blue one?", "Where did you learn that? I never did.", "And then?",
		"Who else knows?", "What would you like to happen?", "Is it far?", "Which one did you pick in the end?", "Can you say more about that?", "That is good. How do you feel now?",
	}, []string{
		"The train leaves at nine from platform four.", "Tell me more.", "I wonder what happened.", "It works like that.", "Nobody asked.", "Here is how it goes.",
		"What a day!", "That's how she does it.", "I know why.", "He asked a question.", "Rain is expected tomorrow.", "You can do it.",
	}},
	Length: {[]string{
		strings.Repeat("There is a lot to say about gardens in the autumn. ", 6), strings.Repeat("First the leaves, then the soil, then the tools. ", 4),
		"One way to look at it is to ask what you want from the next year, and then to work backwards from there to what has to be true in spring.",
		strings.Repeat("And so it went on and on. ", 8),
	}, []string{"Yes.", "Not today.", "Tea, please.", "I would wait."}},
	Assurance: {[]string{
		"This will work, trust me.", "It is definitely the left one.", "I know exactly what happened, and I'm certain of it.", "There is no doubt about it.", "You must never give in.",
		"He is clearly the best candidate.", "I guarantee it.", "Absolutely, I insist.", "The truth is that they always pay.", "The only way is up.",
		"Mark my words, it will rain.", "It certainly is.",
	}, []string{
		"I think it might work, but I'm not sure.", "Maybe the left one, I guess.", "I could be wrong, though.", "Perhaps he is, it's hard to say.", "It seems fine to me, if you don't mind.",
		"Sorry, I don't know, probably not.", "I suppose one may try.", "In my opinion it's possibly too early.", "I wonder, who knows.", "Hopefully it helps, just a thought.",
		"As far as I know they might pay.", "I believe so, but I may be wrong.",
	}},
}

// auc is how often one of much reads higher than one of little, ties counting half.
func auc(m Meter, much, little []string) float64 {
	read := func(texts []string) (out []float64) {
		for _, s := range texts {
			out = append(out, Read(s)[m])
		}
		return out
	}
	won, b := 0., read(little)
	for _, x := range read(much) {
		for _, y := range b {
			switch {
			case x > y:
				won++
			case x == y:
				won += .5
			}
		}
	}
	return won / float64(len(much)*len(little))
}

// What people would call funny, warm … reads higher than what they would not.
func TestMetersOnLabelledSentences(t *testing.T) {
	t.Parallel()
	for m := range Meter(NMeters) {
		x, ok := labelled[m]
		if !ok {
			t.Fatalf("no sentences for %s", m)
		}
		got := auc(m, x.much, x.little)
		t.Logf("%-15s %.3f", m, got)
		if got < .9 {
			t.Errorf("%s: %.3f of the pairs are told apart, want .9", m, got)
			for _, s := range x.much {
				t.Logf("  much %.2f %s", Read(s)[m], s)
			}
			for _, s := range x.little {
				t.Logf("little %.2f %s", Read(s)[m], s)
			}
		}
	}
}

// A meter reads its own thing: what another is labelled by moves it less. (Directness
// and assurance share words, as they do in people.)
func TestMetersAreNotOneAndTheSame(t *testing.T) {
	t.Parallel()
	for m := range Meter(NMeters) {
		own := auc(m, labelled[m].much, labelled[m].little)
		for o := range Meter(NMeters) {
			if o == m {
				continue
			}
			if other := auc(m, labelled[o].much, labelled[o].little); other >= own+1e-9 {
				t.Errorf("%s tells sentences labelled by %s apart (%.2f) as well as its own (%.2f)", m, o, other, own)
			}
		}
	}
}

func TestReadings(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "   \n", "!!! ...", "😄"} {
		if got := Read(s); got != (Reading{}) {
			t.Errorf("%q reads %v", s, got)
		}
	}
	r := Read("Is it 3.5 or four? It's \"four.\" Yes!")
	if r[Questions] != 1./3 {
		t.Errorf("one of three sentences asks, read %v", r[Questions])
	}
	if got := Read("one two three")[Length]; got != math.Log(4) {
		t.Errorf("three words read %v", got)
	}
	if a, b := Read("Haha, that is funny. 😄")[Humor], Read("Haha haha haha haha, lol lol lol. 😄")[Humor]; a < 1 || b > 3 {
		t.Errorf("markers read %v and %v", a, b)
	}
	for tr := range policy.NTraits {
		if m, sign := Of(policy.Trait(tr)); int(m) >= NMeters || sign*sign != 1 {
			t.Errorf("%s is heard in %v by %v", policy.Trait(tr), m, sign)
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	if Brevity(5) != 1 || Brevity(0) != 1 || math.Abs(Brevity(200)) > 1e-12 || Brevity(1e9) != 0 {
		t.Error("brevity", Brevity(5), Brevity(200))
	}
	if Curiosity(0) != .25 || Curiosity(1) != .625 || Curiosity(-3) != .25 {
		t.Error("curiosity", Curiosity(0), Curiosity(1))
	}
}

// Any bytes give finite readings, the same twice.
func TestAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) })).Draw(t, "text")
		a := Read(s)
		if a != Read(s) {
			t.Fatal("equal texts, other readings")
		}
		for m, v := range a {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%s of %q (valid %v) is %v", Meter(m), s, utf8.ValidString(s), v)
			}
		}
	})
	if got := Read(strings.Repeat("a ", 1<<20))[Length]; got > math.Log(1+maxText) {
		t.Errorf("a text of 2 MB reads %v", got)
	}
}
