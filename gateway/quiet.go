package gateway

import (
	"time"
	_ "time/tzdata" // owners' time zones, also where the machine has none

	"rapport/event"
)

// quiet are hours of a clock, from the first on until the second; equal for none.
type quiet struct {
	zone     *time.Location
	from, to int
}

// night is when nothing is begun for an owner who set no hours.
var night = quiet{time.UTC, 22, 8}

// quietOf reads the hours an owner set; false when there are none that can be read.
func quietOf(q *event.Quiet) (quiet, bool) {
	if q == nil {
		return quiet{}, false
	}
	zone, err := time.LoadLocation(q.Zone)
	return quiet{zone, q.From, q.To}, err == nil
}

// left is how long it stays quiet from now on, 0 when it is not. Where clocks change,
// the hours are those that the clock on the wall shows.
func (q quiet) left(now event.Micros) time.Duration {
	local := time.UnixMicro(now).In(q.zone)
	hour := local.Hour()
	within := q.from <= hour && hour < q.to
	if q.from > q.to {
		within = hour >= q.from || hour < q.to
	}
	if !within {
		return 0
	}
	end := time.Date(local.Year(), local.Month(), local.Day(), q.to, 0, 0, 0, q.zone)
	if !end.After(local) {
		end = time.Date(local.Year(), local.Month(), local.Day()+1, q.to, 0, 0, 0, q.zone)
	}
	return max(end.Sub(local), time.Second)
}

// hushed is how long nobody is answered unasked: by the owner's hours, or the
// platform's.
func (s *Service) hushed(v *view, now event.Micros) time.Duration {
	if v.quiet != nil {
		return v.quiet.left(now)
	}
	return quiet{time.UTC, s.o.QuietFrom, s.o.QuietTo}.left(now)
}

// asleep is how long an agent begins nothing: by the owner's hours, or at night.
func (v *view) asleep(now event.Micros) time.Duration {
	if v.quiet != nil {
		return v.quiet.left(now)
	}
	return night.left(now)
}
