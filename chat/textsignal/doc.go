// Package textsignal measures a message: length, sentences, questions,
// sentiment, topic tags, and whom it mentions. It is pure: the same text gives
// the same numbers on every machine, and nothing of the text can be read back
// from them.
//
// Owns: Version, Measure, SentimentOf, Mentions, Tags. A change of any number that Measure
// gives is a new Version, so that stored features stay comparable.
//
// Limits, to be known by whoever weighs these numbers: sentiment and tags know
// English and emoji only; text in another language has sentiment from its emoji
// alone, else unknown, and the tag "other". Irony, quotes and what came before
// are not understood. Topic tags are cue words. These are weak signals: their
// loading is learned against explicit ratings, never assumed.
//
// Start reading at Measure.
package textsignal
