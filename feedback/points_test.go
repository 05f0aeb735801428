package feedback

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/sqldb"
)

// TestLedger: whatever is earned, taken back and spent in whatever order, with whatever
// clock, nobody ever owes points, no day brings more than the cap, and doing something
// again changes nothing.
func TestLedger(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		who := event.PersonID(fmt.Sprintf("person-%d", n))
		byDay := map[int64]int64{}
		at := day0
		for step := range rapid.IntRange(1, 25).Draw(r, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(-30, 30).Draw(r, "hours")) * time.Hour)
			review := event.FeedbackID(fmt.Sprintf("%s/%d", who, rapid.IntRange(0, 9).Draw(r, "review")))
			what := rapid.IntRange(0, 3).Draw(r, "what")
			err := d.db.Write(context.Background(), func(tx *sqldb.Tx) (err error) {
				switch what {
				case 0:
					err = d.s.earn(tx, who, earnedReview, review, 1, at.UnixMicro())
				case 1:
					err = d.s.earn(tx, who, earnedHelpful, review, 3, at.UnixMicro())
				case 2:
					err = d.s.takeBack(tx, who, review, at.UnixMicro())
				case 3:
					if _, err = d.s.buy(tx, who, Purchase{Item: event.ItemReplies}, at.UnixMicro()); fault.Is(err, "not_enough_points") {
						err = nil
					}
				}
				return err
			})
			if err != nil {
				r.Fatal(step, err)
			}
			sum := int64(0)
			clear(byDay)
			err = d.db.Read(context.Background(), func(tx *sqldb.Tx) error {
				rows, err := tx.Query(`select kind, amount, day from points where person_id = $1 order by entry_id`, who)
				if err != nil {
					return err
				}
				defer rows.Close()
				for rows.Next() {
					var kind string
					var amount, day int64
					if err := rows.Scan(&kind, &amount, &day); err != nil {
						return err
					}
					if sum += amount; kind == earnedReview || kind == earnedHelpful {
						byDay[day] += amount
					}
				}
				return rows.Err()
			})
			if err != nil || sum < 0 {
				r.Fatalf("step %d: %d points, %v", step, sum, err)
			}
			for day, earned := range byDay {
				if earned > d.s.reviews.Prices.Cap {
					r.Fatalf("day %d brought %d", day, earned)
				}
			}
		}
	})
}
