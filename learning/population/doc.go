// Package population learns from many agents what to believe of one before it has
// evidence of its own: the refit of the prior.
//
// Model: the coefficients β_i of agent i are normal with a mean and a precision
// that belong to one of K kinds of owners (step.Component); the refit finds the
// kinds by expectation and maximisation (Dempster, Laird and Rubin 1977) and K by
// the evidence of agents that were held out.
//
// Owns: Statistics (all that leaves an agent), Version (a prior with its
// archetypes), Result and Report, Fit.
//
// Invariants: pure; the result is a function of the set of statistics, the previous
// version and the seed, whatever the order, the partition or the number of cores;
// one owner is one vote however many agents; no agent moves a number by more than
// its stated bound; a refit that cannot be trusted is an error with its reason, and
// the result then holds the previous version.
//
// Start reading at Fit.
package population
