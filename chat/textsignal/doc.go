// Package textsignal measures a message: length, sentences, questions,
// sentiment, topic tags, whom it mentions; and a message in its talk: what it
// answers, whether it changes the topic, whether the turn before went badly. It is pure: the same text gives
// the same numbers on every machine, and nothing of the text can be read back
// from them.
//
// Owns: Version, Measure, SentimentOf, Mentions, Tags, Talk, Shift, Trouble. A change of any number that Measure
// gives is a new Version, so that stored features stay comparable.
//
// Limits, to be known by whoever weighs these numbers: sentiment and tags know
// English and emoji only; text in another language has sentiment from its emoji
// alone, else unknown, and the tag "other". Irony, quotes and what came before
// are not understood, and the measures of a talk know English only, by words and turns alone. Topic tags are cue words. These are weak signals: their
// loading is learned against explicit ratings, never assumed.
//
// Start reading at Measure.
package textsignal
