package anthropic

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
	providertest.Run(t, compile.VendorAnthropic, client)
}

func TestBrokenAdaptersAreRejected(t *testing.T) {
	t.Parallel()
	providertest.RunBroken(t, compile.VendorAnthropic, client)
}

func TestModels(t *testing.T) {
	t.Parallel()
	providertest.Golden(t, compile.VendorAnthropic, client, *update)
}
