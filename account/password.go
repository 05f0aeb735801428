package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"rapport/internal/fault"
)

// argon2id at the first choice of OWASP's password storage cheat sheet.
const (
	argonMemory = 19 << 10 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonKey    = 32

	hashersAtOnce  = 2  // 19 MiB and a core each
	hashersWaiting = 16 // more are refused
)

const (
	minPassword = 10
	maxPassword = 256
)

// hasher makes and checks password hashes, two at once.
type hasher struct {
	queue chan struct{} // running and waiting
	slots chan struct{} // running
	key   func(password, salt []byte, time, memory uint32, lanes uint8, length uint32) []byte
}

func newHasher() *hasher {
	return &hasher{queue: make(chan struct{}, hashersAtOnce+hashersWaiting), slots: make(chan struct{}, hashersAtOnce), key: argon2.IDKey}
}

// enter waits for a slot. Fault login_busy when too many wait already.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.queue <- struct{}{}:
	default:
		f := fault.New(fault.Unavailable, "login_busy", "Many people log in right now; try again in a moment.")
		f.RetryAfter = time.Second
		return nil, f
	}
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots; <-h.queue }, nil
	case <-ctx.Done():
		<-h.queue
		return nil, ctx.Err()
	}
}

// hash gives the PHC string to store: $argon2id$v=19$m=…,t=…,p=…$salt$key.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	var salt [16]byte
	rand.Read(salt[:])
	return phc(salt[:], h.key([]byte(password), salt[:], argonTime, argonMemory, argonLanes, argonKey)), nil
}

func phc(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// nobodys is checked where there is no hash, so that it takes as long.
var nobodys = phc(make([]byte, 16), make([]byte, argonKey))

// verify says whether a password belongs to a stored hash; an empty one takes as
// long and belongs to none.
func (h *hasher) verify(ctx context.Context, stored, password string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	real := stored != ""
	if !real {
		stored = nobodys
	}
	var version, memory, time, lanes int
	parts := strings.Split(stored, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, fmt.Errorf("a stored password is no argon2id PHC string")
	}
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &memory, &time, &lanes); err != nil ||
		version != argon2.Version || memory < 8 || memory > 1<<20 || time < 1 || time > 100 || lanes < 1 || lanes > 16 {
		return false, fmt.Errorf("a stored password has parameters out of range")
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(key) < 16 {
		return false, fmt.Errorf("a stored password is damaged")
	}
	got := h.key([]byte(password), salt, uint32(time), uint32(memory), uint8(lanes), uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1 && real, nil
}

func checkPassword(password, handle string) error {
	switch {
	case utf8.RuneCountInString(password) < minPassword || len(password) > maxPassword:
		return fault.New(fault.Invalid, "password_length", "Take a password of at least %d characters and at most %d bytes.", minPassword, maxPassword)
	case strings.EqualFold(password, handle):
		return fault.New(fault.Invalid, "password_weak", "Take a password other than the handle.")
	}
	return nil
}
