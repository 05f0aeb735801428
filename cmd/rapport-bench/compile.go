package main

import (
	"context"
	"runtime"
	"testing"

	"rapport/event"
	"rapport/gateway/compile"
	"rapport/gateway/rule"
	"rapport/policy"
)

// compileBench compiles a variation with a cached profile on one core, as the
// gateway does for every reply.
func compileBench(context.Context) (metrics, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	doc := policy.Default("bench")
	p := compile.Prepare(compile.Input{
		Policy: doc, Rules: rule.BuiltIn(),
		Persona:  compile.Persona{Name: "Mira", Description: "A lighthouse keeper who collects stories.", Style: "Sea metaphors.", Backstory: "Grew up on an island."},
		Registry: compile.Registry{Default: []compile.Model{{Provider: "local", ID: "llama3.2", Vendor: compile.VendorOllama}}},
	})
	x := policy.Traits{.9, .9, .1, .9, .1, .8, .7, .3}
	moment := compile.Moment{Situation: compile.Situation{Place: event.ContextDMWithOwner, Direct: true, Addressed: true}}
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = p.Compile(x, moment)
		}
	})
	return metrics{"ns_op": float64(r.NsPerOp()), "allocs_op": r.AllocsPerOp(), "bytes_op": r.AllocedBytesPerOp()}, nil
}
