package learning

import (
	"fmt"
	"slices"
	"sync"

	"rapport/internal/sqldb"
	"rapport/learning/fold"
	"rapport/learning/fusion"
	"rapport/learning/step"
)

// A fold asks for the versions of parameters that its list adopted, of which there
// may be hundreds. Decoding one costs more than folding many entries, and a reputation
// names every rater, so that some are kept for the next who asks, and not all.

// shelves are the versions that were asked for last, of each kind.
type shelves struct {
	priors      shelf[*step.Prior]
	loadings    shelf[*Calibration]
	reputations shelf[fold.Reputation]
}

// library is what one operation has read of rl_parameters: its fold.Library.
// Whatever the shelves lose, the operation keeps.
type library struct {
	*shelves
	mu          sync.RWMutex
	priors      map[uint32]*step.Prior
	loadings    map[uint32]*Calibration
	reputations map[uint32]fold.Reputation
}

// library begins an operation that folds.
func (s *Service) library() *library {
	d := fold.Defaults()
	return &library{shelves: &s.shelves, priors: map[uint32]*step.Prior{0: d.Prior(0)}, loadings: map[uint32]*Calibration{0: {*d.Calibration(0), d.Asking(0)}},
		reputations: map[uint32]fold.Reputation{0: d.Reputation(0)}}
}

// Prior gives a prior; nil when it was not read.
func (l *library) Prior(v uint32) *step.Prior {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.priors[v]
}

// Calibration gives loadings; nil when they were not read.
func (l *library) Calibration(v uint32) *fusion.Loadings {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if c := l.loadings[v]; c != nil {
		return &c.Loadings
	}
	return nil
}

// Asking gives how reliable presses are, by the calibration's version.
func (l *library) Asking(v uint32) float64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if c := l.loadings[v]; c != nil {
		return c.Asking
	}
	return 0
}

// Reputation gives what raters count for; nil when it was not read.
func (l *library) Reputation(v uint32) fold.Reputation {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.reputations[v]
}

// need reads versions that were not read yet. The error is errParameters when there
// is no such version, or none that can be used.
func (l *library) need(tx *sqldb.Tx, v fold.Versions) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := fetch(tx, l.priors, &l.shelves.priors, kindPrior, v.Prior, func(b []byte) (*step.Prior, error) {
		if older(b) {
			return step.DefaultPrior(), nil
		}
		p, err := readPrior(b)
		return p.Prior, err
	}); err != nil {
		return err
	}
	if err := fetch(tx, l.loadings, &l.shelves.loadings, kindCalibration, v.Calibration, func(b []byte) (*Calibration, error) {
		c, err := readCalibration(b)
		return &c, err
	}); err != nil {
		return err
	}
	return fetch(tx, l.reputations, &l.shelves.reputations, kindReputation, v.Reputation, func(b []byte) (fold.Reputation, error) {
		r, err := readReputation(b)
		if err != nil {
			return nil, err
		}
		return regards(r), nil
	})
}

// fetch takes a version from the shelf, or reads it.
func fetch[T any](tx *sqldb.Tx, have map[uint32]T, s *shelf[T], kind string, version uint32, read func([]byte) (T, error)) error {
	if _, ok := have[version]; ok {
		return nil
	}
	if v, ok := s.get(version); ok {
		have[version] = v
		return nil
	}
	var body []byte
	found, err := tx.Get(`select body from rl_parameters where kind = $1 and version = $2`, []any{kind, version}, &body)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: there is no %s of version %d here", errParameters, kind, version)
	}
	v, err := read(body)
	if err != nil {
		return fmt.Errorf("%s %d: %w", kind, version, err)
	}
	have[version] = v
	s.put(version, v)
	return nil
}

// shelf keeps so many versions, those that were asked for last.
type shelf[T any] struct {
	mu   sync.Mutex
	of   map[uint32]T
	last []uint32 // the one asked for last at the end
}

// shelved is how many versions of a kind are kept. Agents use the newest few.
const shelved = 8

func (s *shelf[T]) get(version uint32) (v T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok = s.of[version]; ok {
		s.touch(version)
	}
	return v, ok
}

func (s *shelf[T]) put(version uint32, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[uint32]T{}
	}
	s.of[version] = v
	s.touch(version)
	for len(s.last) > shelved {
		delete(s.of, s.last[0])
		s.last = slices.Delete(s.last, 0, 1)
	}
}

func (s *shelf[T]) touch(version uint32) {
	s.last = append(slices.DeleteFunc(s.last, func(v uint32) bool { return v == version }), version)
}
