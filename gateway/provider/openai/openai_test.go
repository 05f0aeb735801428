package openai

import (
	"flag"
	"testing"

	"rapport/gateway/compile"
	"rapport/gateway/provider"
	"rapport/gateway/provider/providertest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func client(t testing.TB, cfg provider.Config) provider.Provider {
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, vendor := range []string{compile.VendorOpenAI, compile.VendorCompatible, compile.VendorOllama, compile.VendorVLLM, compile.VendorLlamaCPP} {
		t.Run(vendor, func(t *testing.T) { providertest.Run(t, vendor, client) })
	}
}

func TestBrokenAdaptersAreRejected(t *testing.T) {
	t.Parallel()
	providertest.RunBroken(t, compile.VendorOpenAI, client)
}

func TestModels(t *testing.T) {
	t.Parallel()
	for _, vendor := range []string{compile.VendorOpenAI, compile.VendorCompatible, compile.VendorOllama, compile.VendorVLLM, compile.VendorLlamaCPP} {
		providertest.Golden(t, vendor, client, *update)
	}
}
