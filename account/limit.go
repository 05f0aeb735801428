package account

import (
	"net/netip"
	"sync"
	"time"

	"rapport/internal/fault"
)

// rate is a token bucket: so many attempts at once, then one each so often.
type rate struct {
	burst int
	every time.Duration
}

// The limits of attempts to log in. The first stops guessing from one place
// without locking the person out elsewhere; the second stops trying many handles
// from one place; the third stops trying one handle from many.
var (
	perPair    = rate{5, time.Minute}
	perAddress = rate{30, 6 * time.Second}
	perHandle  = rate{60, 30 * time.Second}
)

const maxBuckets = 50_000

// limiter counts attempts by key. It keeps when a bucket will be full again: an
// empty bucket's is burst × every ahead, a full one's has passed.
type limiter struct {
	mu   sync.Mutex
	full map[string]time.Time
}

// attempt is one attempt that was counted.
type attempt struct {
	l    *limiter
	keys map[string]rate
}

// perTaker is how often a person may take their data away.
var perTaker = rate{2, 10 * time.Minute}

// take counts an attempt under all keys, or refuses with fault too_many_logins and
// counts none.
func (l *limiter) take(now time.Time, keys map[string]rate) (attempt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(k string) time.Time {
		if t, ok := l.full[k]; ok && t.After(now) {
			return t
		}
		return now
	}
	var wait time.Duration
	for k, r := range keys {
		wait = max(wait, at(k).Sub(now)-time.Duration(r.burst-1)*r.every)
	}
	if wait > 0 {
		f := fault.New(fault.RateLimited, "too_many_logins", "Too many attempts to log in; wait before the next one.")
		f.RetryAfter = wait
		return attempt{}, f
	}
	l.sweep(now)
	for k, r := range keys {
		l.full[k] = at(k).Add(r.every)
	}
	return attempt{l, keys}, nil
}

// forgive takes a counted attempt back: it succeeded.
func (a attempt) forgive() {
	a.l.mu.Lock()
	defer a.l.mu.Unlock()
	for k, r := range a.keys {
		a.l.full[k] = a.l.full[k].Add(-r.every)
	}
}

// sweep keeps memory bounded: full buckets go first, then any.
func (l *limiter) sweep(now time.Time) {
	if len(l.full) < maxBuckets {
		return
	}
	for k, at := range l.full {
		if !at.After(now) {
			delete(l.full, k)
		}
	}
	for k := range l.full {
		if len(l.full) < maxBuckets {
			return
		}
		delete(l.full, k)
	}
}

// network is what one party holds of an address: an IPv6 /64, an IPv4 address.
func network(peer string) string {
	a, err := netip.ParseAddr(peer)
	if err != nil {
		return peer
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64)
	return p.String()
}
