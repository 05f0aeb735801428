// Package fold is the learner of an agent as a function of a list: its episodes,
// its owner's acts, and the parameters that it adopted.
//
// Owns: State, Entry with its kinds (Episode, Act, adopted Versions), their order
// and encodings, Of and Folder, Library, the blocks of action weights (Block).
//
// Use: Of folds a whole list. A Folder keeps a state up to date without
// allocating: give it the entries in order (Apply), and ask for the belief
// (Believe) and the exploration centres (State.Centres); the levels are
// State.Theta.
//
//	f, s := fold.Folder{Library: fold.Fixed(prior, loadings, nil)}, fold.Started(levels)
//	f.Apply(&s, &fold.Entry{At: at, ID: "…", About: fold.Episode{Decided: true, Consent: true, Rendered: x, Contributions: …}})
//
// A folder that applies a list in which raters become excluded is told the newest
// adoption before (Folder.Newest): exclusion reaches back, all else that is adopted
// holds from its entry on.
//
// Invariants: pure, standard library only; equal lists and parameters give equal
// bytes on one numeric profile. Products are rounded before they are added, so
// that no processor may fuse them. A pinned level never moves, a level moves by at
// most the step bound on one entry, and nobody's influence exceeds its bound.
//
// Start reading at Entry, then Folder.Apply.
package fold
