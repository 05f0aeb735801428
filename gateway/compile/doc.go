// Package compile is the BehaviorCompiler: a policy and a persona in, the
// behaviour of one reply out.
//
// Owns: Profile (the BehaviorProfile), its four makers PromptEngineer,
// ParamsMapper, Router and ActionController, and the capability table.
//
// Invariants: pure and deterministic, equal inputs give equal bytes; no model is
// asked; the policy's JSON never reaches a prompt, only words do; what a person
// wrote stands as quoted data between our own lines, and rules that cannot be
// negotiated come after it. Every line and number is traced to the trait and rule
// it comes from; Rendered says which levels really reached the model.
//
// Start reading at Prepare, then Prepared.Compile.
package compile
