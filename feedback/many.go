package feedback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"time"

	"rapport/event"
	"rapport/internal/sqldb"
)

// One person behind many accounts is not found out here, and nobody is excluded:
// what looks like it counts for less. An owner always counts fully, whatever is said;
// marks that a platform brings in bulk are weighed by learning instead, which sees
// all of them.

const (
	newFor    = event.Micros(14 * 24 * time.Hour / time.Microsecond) // an account is new for so long
	burst     = event.Micros(time.Hour / time.Microsecond)
	burstFrom = 5 // new accounts that say the same of an agent within it
	stepFrom  = 4 // messages that two new accounts reacted to alike, and to none unlike
	crowdFrom = 2 // others that came from where this came from
)

// worth is what a judgement counts for: 1, halved for each of these signs.
//
//   - The account is new: it came within the last 14 days.
//   - It came from where the agent's owner, or from a new account where two others
//     who judged the agent, came from in the same two weeks.
//   - A new account is the fifth or later that says the same of the agent within an hour.
//   - Two new accounts reacted alike to four of the agent's messages, unlike to none.
//
// So it is never below 1/16, and 1/2 is the worst of an account of two weeks.
func (s *Service) worth(tx *sqldb.Tx, r *record) (float64, error) {
	if r.role == event.RoleOwner || r.Brought || r.Channel == event.ChannelBehaviour || r.score == nil || *r.score == 0 {
		return 1, nil
	}
	isNew, err := s.arrivedLately(tx, r.Rater, r.Created)
	if err != nil {
		return 0, err
	}
	signs := []func(*sqldb.Tx, *record, bool) (bool, error){sharesOrigin}
	weight := 1.
	if isNew {
		weight = .5
		signs = append(signs, inBurst, inStep)
	}
	for _, sign := range signs {
		yes, err := sign(tx, r, isNew)
		if err != nil {
			return 0, err
		}
		if yes {
			weight /= 2
		}
	}
	return weight, nil
}

// arrivedLately says whether an account is new. Of one whose arrival is not known
// here, because it is too recent or from before that was noted, the oldest feedback
// tells.
func (s *Service) arrivedLately(tx *sqldb.Tx, rater event.PersonID, now event.Micros) (bool, error) {
	var at event.Micros
	known, err := tx.Get(`select at from arrivals where person_id = $1`, []any{rater}, &at)
	if err == nil && !known {
		known, err = tx.Get(`select created_at from feedback_events where rater_id = $1 order by created_at limit 1`, []any{rater}, &at)
	}
	return !known || now-at < newFor, err
}

// sharesOrigin says whether others judged the agent from where this came from: the
// owner, or of a new account two more. Where a signal itself does not tell, the
// rater's newest that does.
func sharesOrigin(tx *sqldb.Tx, r *record, isNew bool) (bool, error) {
	origin := r.Origin
	if origin == "" {
		if _, err := tx.Get(`select origin from feedback_events where rater_id = $1 and created_at > $2 and origin <> '' order by created_at desc limit 1`,
			[]any{r.Rater, r.Created - newFor}, &origin); err != nil || origin == "" {
			return false, err
		}
	}
	var others int
	var owner bool
	_, err := tx.Get(`select count(distinct rater_id), coalesce(max(case when rater_id = $1 then 1 else 0 end), 0) = 1 from feedback_events
		where agent_id = $2 and created_at > $3 and origin = $4 and rater_id <> $5`, []any{r.owner, r.agent, r.Created - newFor, origin, r.Rater}, &others, &owner)
	return owner || isNew && others >= crowdFrom, err
}

func inBurst(tx *sqldb.Tx, r *record, _ bool) (bool, error) {
	var others int
	_, err := tx.Get(`select count(distinct f.rater_id) from feedback_events f left join arrivals a on a.person_id = f.rater_id
		where f.agent_id = $1 and f.created_at > $2 and f.live and f.role <> 'owner' and f.channel <> 'behaviour' and f.rater_id <> $3
			and f.score * $4 > 0 and (a.at is null or a.at > $5)`,
		[]any{r.agent, r.Created - burst, r.Rater, *r.score, r.Created - newFor}, &others)
	return others >= burstFrom-1, err
}

func inStep(tx *sqldb.Tx, r *record, _ bool) (bool, error) {
	if r.Channel != event.ChannelReaction {
		return false, nil
	}
	return tx.Get(`select 1 from feedback_events mine join feedback_events theirs on theirs.message_id = mine.message_id and theirs.channel = 'reaction'
			and theirs.live and theirs.agent_id = mine.agent_id and theirs.rater_id <> mine.rater_id
		left join arrivals a on a.person_id = theirs.rater_id
		where mine.rater_id = $1 and mine.agent_id = $2 and mine.created_at > $3 and mine.channel = 'reaction' and mine.live and (a.at is null or a.at > $4)
		group by theirs.rater_id having count(distinct mine.message_id) >= $5 and min(mine.score * theirs.score) > 0 limit 1`,
		[]any{r.Rater, r.agent, r.Created - newFor, r.Created - newFor, stepFrom}, new(int))
}

// origin is the bucket of the network that feedback came from: of its address the
// first 24 bits (48 of IPv6) under the server's key, cut to 32 bits. It changes every two weeks,
// so that nobody is followed for longer, and tells nothing to who lacks the key.
// Empty for addresses that tell nothing: of this machine and of private networks.
func (s *Service) origin(a netip.Addr, now event.Micros) string {
	if len(s.key) == 0 || !a.IsGlobalUnicast() || a.IsPrivate() {
		return ""
	}
	bits := 24
	if a.Is6() {
		bits = 48
	}
	net, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte("feedback origin|" + strconv.FormatInt(now/newFor, 10) + "|" + net.String()))
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// arrived notes since when a person has an account.
func arrived(tx *sqldb.Tx, person event.PersonID, at event.Micros) error {
	_, err := tx.Exec(`insert into arrivals (person_id, at) select $1, cast($2 as bigint) where not exists (select 1 from erased where person_id = $3) on conflict do nothing`, person, at, person)
	return err
}
