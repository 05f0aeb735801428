package account

import (
	"context"
	"errors"

	"rapport/internal/authz"
	"rapport/internal/fault"
)

// TakeAway lets a person take away all that is held of them, and writes down that
// they did: logged in, twice and then once in ten minutes. Faults login_required,
// login_needed, too_many_exports.
func (s *Service) TakeAway(ctx context.Context, p authz.Principal) error {
	if err := personally(p); err != nil {
		return err
	}
	if _, err := s.limits.take(s.clock(), map[string]rate{"export " + string(p.Person): perTaker}); err != nil {
		many := fault.New(fault.RateLimited, "too_many_exports", "You took your data just now; wait before the next time.")
		if f, ok := errors.AsType[*fault.Error](err); ok {
			many.RetryAfter = f.RetryAfter
		}
		return many
	}
	return s.Note(ctx, p, "take away", "own data")
}
