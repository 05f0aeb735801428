package chat

import (
	"context"
	"time"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// An evening is a room with a theme for more people than other rooms hold, where
// nothing can be said any more after its end. A pass opens one; passes are bought with
// mentor points.
const (
	EveningLength = 6 * time.Hour
	MaxEvening    = 500 // members
	MaxTheme      = 60  // characters
)

// NewEvening makes a new group an evening.
type NewEvening struct {
	Pass  string `json:"pass" maxLength:"64" doc:"The spendId of an evening bought at POST /v1/points/spend; it opens one room."`
	Theme string `json:"theme" maxLength:"60" doc:"What the evening is about."`
}

// Evening is what an evening's members see of it.
type Evening struct {
	Theme  string    `json:"theme"`
	EndsAt time.Time `json:"endsAt" doc:"Nothing can be said there any more from then on; what was said stays to be read."`
	Over   bool      `json:"over"`
}

var errOver = fault.New(fault.Forbidden, "room_over", "This evening is over; what was said stays to be read.")

// over says whether a room's evening has ended.
func (r *room) over(now event.Micros) bool { return r.endsAt > 0 && now >= r.endsAt }

// holds is how many members a room takes.
func (r *room) holds() int {
	if r.endsAt > 0 {
		return MaxEvening
	}
	return MaxMembers
}

func (r *room) evening(now event.Micros) *Evening {
	if r.endsAt == 0 {
		return nil
	}
	return &Evening{Theme: r.theme, EndsAt: when(r.endsAt), Over: r.over(now)}
}

// check refuses a theme that is none: faults theme_missing, theme_too_long,
// text_not_utf8, text_has_nul.
func (e *NewEvening) check() error {
	if isBlank(e.Theme) {
		return fault.New(fault.Invalid, "theme_missing", "Say in theme what the evening is about.")
	}
	if utf8.RuneCountInString(e.Theme) > MaxTheme {
		return fault.New(fault.Invalid, "theme_too_long", "A theme has at most %d characters.", MaxTheme)
	}
	return checkTitle(e.Theme)
}

// begin makes a fresh room the evening that a pass opens. Faults: pass_unknown for one
// that is not the person's, pass_used.
func (e *NewEvening) begin(a *act, r *room, person event.PersonID) error {
	if mine, err := a.tx.Get(`select 1 from passes where pass = $1 and person_id = $2`, []any{e.Pass, person}, new(int)); err != nil || !mine {
		if err == nil {
			err = errPass
		}
		return err
	}
	if used, err := a.tx.Get(`select 1 from rooms where pass = $1`, []any{e.Pass}, new(int)); err != nil || used {
		if err == nil {
			err = fault.New(fault.Conflict, "pass_used", "This pass has opened its room already.")
		}
		return err
	}
	r.theme, r.pass, r.endsAt = e.Theme, e.Pass, a.at+EveningLength.Microseconds()
	return nil
}

var errPass = fault.New(fault.NotFound, "pass_unknown", "This is no pass of yours; mentor points buy one.")

// awaitPass waits a moment for a pass that was just bought.
func (s *Service) awaitPass(ctx context.Context, pass string) error {
	for range 100 {
		known := false
		err := s.db.Read(ctx, func(tx *sqldb.Tx) (err error) {
			known, err = tx.Get(`select 1 from passes where pass = $1`, []any{pass}, new(int))
			return err
		})
		if known || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errPass
}

// bought takes a pass in.
func bought(tx *sqldb.Tx, p event.PointsSpent) error {
	if p.Item != event.ItemEvening {
		return nil
	}
	_, err := tx.Exec(`insert into passes (pass, person_id) values ($1, $2) on conflict do nothing`, p.SpendID, p.PersonID)
	return err
}
