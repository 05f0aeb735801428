package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// What a secret is for shows in its first letters, so that scanners find leaked
// ones.
const (
	tokenPrefix   = "rpt_"
	sessionPrefix = "rps_"
	linkPrefix    = "rpl_"
	receiptPrefix = "rpe_"
)

// newSecret makes a secret of 256 random bits and what is stored of it. Against
// that much randomness a plain SHA-256 is enough.
func newSecret(prefix string) (secret, stored string) {
	var b [32]byte
	rand.Read(b[:]) // never fails
	secret = prefix + base64.RawURLEncoding.EncodeToString(b[:])
	return secret, storedForm(sha256.Sum256([]byte(secret)))
}

func storedForm(sum [32]byte) string { return hex.EncodeToString(sum[:]) }

func hashOf(secret string) string { return storedForm(sha256.Sum256([]byte(secret))) }
