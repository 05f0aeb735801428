package feedback

import (
	"database/sql"
	"maps"
	"math"
	"slices"

	"rapport/event"
	"rapport/feedback/signal"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
)

// Meter measures a text: what a correction is compared by.
type Meter interface {
	Measure(text string) event.Features
}

// apart is how far two measured levels lie apart before one is called more than the
// other: a tenth of the range, the least step that an answer shows.
const apart = .1

// compare makes of a correction what it says in numbers: for each trait that the
// text meter reads, more or less where the corrected text lies apart from what was
// said. Each is a row of its own, part of the correction, and an event; the text is
// in neither. What an earlier correction of the same answer said, and this one does
// not, is taken back.
func (s *Service) compare(tx *sqldb.Tx, whole *record) error {
	if s.meter != nil && whole.features != nil {
		was, should := signal.Measure(*whole.features).Levels, signal.Measure(s.meter.Measure(whole.Correction)).Levels
		for _, trait := range slices.Sorted(maps.Keys(should)) {
			more := should[trait] - was[trait]
			if math.Abs(more) < apart {
				continue
			}
			part := *whole
			part.partOf, part.supersedes, part.score = whole.ID, "", nil
			part.ID = event.FeedbackID(event.HashID("feedback", "correction", string(whole.ID), trait))
			part.Channel, part.Signal, part.Value, part.Comment, part.Correction = event.ChannelCorrected, signal.TextMeter, "", "", ""
			part.trait, part.sign = trait, 1
			if more < 0 {
				part.sign = -1
			}
			part.slot = slot(whole.aim(), whole.Rater, event.ChannelCorrected, trait)
			status, err := part.insert(tx)
			if err != nil {
				return err
			}
			if status == Stored {
				if err := relay.Emit(tx, part.event()); err != nil {
					return err
				}
			}
		}
	}
	if whole.supersedes == "" {
		return nil
	}
	return takeParts(tx, whole.supersedes, whole.Created, nil)
}

// takeParts takes back what still stands of a feedback's parts.
func takeParts(tx *sqldb.Tx, whole event.FeedbackID, now event.Micros, cause *event.Event) error {
	rows, err := tx.Query(`select feedback_id from feedback_events where part_of = $1 and live order by feedback_id`, whole)
	if err != nil {
		return err
	}
	parts, err := ids(rows)
	if err != nil {
		return err
	}
	for _, id := range parts {
		if err := retract(tx, id, now, cause); err != nil {
			return err
		}
	}
	return nil
}

// ids reads a column of feedback ids.
func ids(rows *sql.Rows) (out []event.FeedbackID, err error) {
	defer rows.Close()
	for rows.Next() {
		var id event.FeedbackID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}
