package feedback

import (
	"context"
	"slices"
	"strings"

	"rapport/event"
	"rapport/feedback/mentor"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/visible"
)

// What a goal counts.
const (
	goalHelpful = "helpful_notes"
	goalReviews = "reviews"
)

// The effects of a goal.
const (
	effectLook      = "look"      // is free for everyone from then on
	effectArchetype = "archetype" // is to be published for everyone
)

// GoalDraft is a goal for everyone together.
type GoalDraft struct {
	Title    string       `json:"title" minLength:"1" maxLength:"200" doc:"As everybody reads it: together, 500 helpful notes this week."`
	Counts   string       `json:"counts" enum:"helpful_notes,reviews"`
	Target   int64        `json:"target" minimum:"5" maximum:"1000000"`
	StartsAt event.Micros `json:"startsAt,omitempty" doc:"Now when left out."`
	EndsAt   event.Micros `json:"endsAt"`
	Effect   string       `json:"effect" enum:"look,archetype" doc:"look: free for everyone once it is reached. archetype: named in the event goal.reached, to be published."`
	Name     string       `json:"name" maxLength:"64" doc:"Of the look or archetype."`
}

// Goal is one that belongs to everyone. It holds one common number and no one's part.
type Goal struct {
	GoalID    string       `json:"goalId"`
	Title     string       `json:"title"`
	Counts    string       `json:"counts" enum:"helpful_notes,reviews"`
	Target    int64        `json:"target"`
	Together  *int64       `json:"together,omitempty" doc:"What everyone did together, rounded down to fives; absent below five people."`
	StartsAt  event.Micros `json:"startsAt"`
	EndsAt    event.Micros `json:"endsAt"`
	Effect    string       `json:"effect" enum:"look,archetype"`
	Name      string       `json:"name"`
	ReachedAt event.Micros `json:"reachedAt,omitempty"`
}

// CreateGoal makes a goal. For operators, and noted. Faults: invalid goal_refused.
func (s *Service) CreateGoal(ctx context.Context, p authz.Principal, d GoalDraft) (Goal, error) {
	if err := p.Check(authz.Goal, authz.Create); err != nil {
		return Goal{}, err
	}
	now := s.now()
	if d.StartsAt == 0 {
		d.StartsAt = now
	}
	if err := d.check(now); err != nil {
		return Goal{}, err
	}
	g := Goal{GoalID: event.NewID(), Title: d.Title, Counts: d.Counts, Target: d.Target, StartsAt: d.StartsAt, EndsAt: d.EndsAt, Effect: d.Effect, Name: d.Name}
	if err := s.note(ctx, p, "create goal", g.GoalID); err != nil {
		return Goal{}, err
	}
	return g, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`insert into goals (goal_id, title, counts, target, starts_at, ends_at, effect, name, created_at, reached_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)`,
			g.GoalID, g.Title, g.Counts, g.Target, g.StartsAt, g.EndsAt, g.Effect, g.Name, now)
		return err
	})
}

func (d GoalDraft) check(now event.Micros) error {
	refused := func(why string, args ...any) error { return fault.New(fault.Invalid, "goal_refused", why, args...) }
	switch {
	case !visible.Name(d.Title):
		return refused("A goal needs a title that everybody understands.")
	case d.Counts != goalHelpful && d.Counts != goalReviews:
		return refused("counts must be helpful_notes or reviews.")
	case d.Target < mentor.MinTogether || d.Target > 1e6:
		return refused("target goes from %d to 1,000,000: it is for many together.", mentor.MinTogether)
	case d.EndsAt <= d.StartsAt || d.EndsAt <= now:
		return refused("A goal must end after it starts, and later than now.")
	case d.EndsAt-d.StartsAt > mentor.Year:
		return refused("A goal lasts a year at most.")
	case d.Effect == effectLook && !slices.Contains(event.Looks(), d.Name):
		return refused("name must be one of %s.", strings.Join(event.Looks(), ", "))
	case d.Effect == effectArchetype && strings.TrimSpace(d.Name) == "":
		return refused("Name the archetype.")
	case d.Effect != effectLook && d.Effect != effectArchetype:
		return refused("effect must be look or archetype.")
	}
	for text, most := range map[string]int{d.Title: 200, d.Name: 64} {
		if err := checkWords(text, most); err != nil {
			return err
		}
	}
	return nil
}

// Goals lists those that are under way or were, by end and id, newest end first, at most
// a hundred.
func (s *Service) Goals(ctx context.Context, p authz.Principal) ([]Goal, error) {
	if err := p.Check(authz.Goal, authz.List); err != nil {
		return nil, err
	}
	out := []Goal{}
	err := s.db.Read(ctx, func(tx *sqldb.Tx) error {
		all, err := goalsWhere(tx, `1 = 1 order by ends_at desc, goal_id limit 100`)
		for _, g := range all {
			count, people, err := g.progress(tx)
			if err != nil {
				return err
			}
			if shown, visible := mentor.Together(count, g.Target, people, g.ReachedAt > 0); visible {
				g.Together = &shown
			}
			out = append(out, g)
		}
		return err
	})
	return out, err
}

// EndGoal takes a goal away that was not reached. For operators, and noted. Again is
// harmless. Faults: not_found, conflict goal_reached.
func (s *Service) EndGoal(ctx context.Context, p authz.Principal, id string) error {
	if err := p.Check(authz.Goal, authz.Erase); err != nil {
		return err
	}
	if err := s.note(ctx, p, "end goal", id); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		found, err := goalsWhere(tx, `goal_id = $1`, id)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return errNotFound
		case found[0].ReachedAt > 0:
			return fault.New(fault.Conflict, "goal_reached", "This goal was reached; what it brought stays everyone's.")
		}
		_, err = tx.Exec(`delete from goals where goal_id = $1`, id)
		return err
	})
}

func goalsWhere(tx *sqldb.Tx, where string, args ...any) ([]Goal, error) {
	rows, err := tx.Query(`select goal_id, title, counts, target, starts_at, ends_at, effect, name, reached_at from goals where `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Goal
	for rows.Next() {
		var g Goal
		if err := rows.Scan(&g.GoalID, &g.Title, &g.Counts, &g.Target, &g.StartsAt, &g.EndsAt, &g.Effect, &g.Name, &g.ReachedAt); err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

// progress counts what everyone did together and how many they are.
func (g Goal) progress(tx *sqldb.Tx) (count int64, people int, err error) {
	at := "at"
	if g.Counts == goalHelpful {
		at = "found_helpful"
	}
	_, err = tx.Get(`select count(*), count(distinct reviewer_id) from reviews where state = 'counted' and `+at+` >= $1 and `+at+` < $2`, []any{g.StartsAt, g.EndsAt}, &count, &people)
	return count, people, err
}

// towardsGoals sees whether something that was just done reaches a goal: the target,
// by five people and more.
func (s *Service) towardsGoals(tx *sqldb.Tx, counts string, now event.Micros) error {
	open, err := goalsWhere(tx, `counts = $1 and reached_at = 0 and starts_at <= $2 and ends_at > $3 order by goal_id`, counts, now, now)
	if err != nil {
		return err
	}
	for _, g := range open {
		count, people, err := g.progress(tx)
		if err != nil {
			return err
		}
		if count < g.Target || people < mentor.MinTogether {
			continue
		}
		if _, err := tx.Exec(`update goals set reached_at = $1 where goal_id = $2`, max(1, now), g.GoalID); err != nil {
			return err
		}
		p := event.GoalReached{GoalID: g.GoalID, Counts: g.Counts, Target: g.Target, Effect: g.Effect, Name: g.Name}
		if err := relay.Emit(tx, event.New("feedback", event.DerivedID("feedback", 1, g.GoalID, p.EventType(), g.GoalID, 0), now, p)); err != nil {
			return err
		}
	}
	return nil
}

// freeLooks are the looks that goals made everyone's.
func freeLooks(tx *sqldb.Tx) (map[string]bool, error) {
	reached, err := goalsWhere(tx, `effect = 'look' and reached_at > 0`)
	out := map[string]bool{}
	for _, g := range reached {
		out[g.Name] = true
	}
	return out, err
}
