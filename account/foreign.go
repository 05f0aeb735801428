package account

import (
	"context"
	"strings"
	"sync"
	"unicode/utf8"

	"rapport/event"
	"rapport/internal/fault"
	"rapport/internal/relay"
	"rapport/internal/sqldb"
	"rapport/internal/visible"
)

// Foreign is a person as a foreign platform knows them.
type Foreign struct {
	ID   string // theirs, at most 200 bytes
	Name string // may be empty; cut to what a name may be
}

// PersonFor gives who a foreign platform's person is here: a random pseudonym,
// made at the first asking, the same ever after, until they are erased. A name
// that is given replaces the one before. Emits account.created for new ones. Fault
// foreign_invalid.
func (s *Service) PersonFor(ctx context.Context, source, externalID, displayName string) (event.PersonID, error) {
	ids, err := s.PeopleFor(ctx, source, []Foreign{{externalID, displayName}})
	if err != nil {
		return "", err
	}
	return ids[0], nil
}

// PeopleFor is PersonFor for many, in their order, in one transaction; who is
// known costs none.
func (s *Service) PeopleFor(ctx context.Context, source string, people []Foreign) ([]event.PersonID, error) {
	if source == "" || len(source) > 64 {
		return nil, fault.New(fault.Invalid, "foreign_invalid", "Name the platform that the people come from.")
	}
	out := make([]event.PersonID, len(people))
	var missing []int
	for i := range people {
		f := &people[i]
		if f.ID == "" || len(f.ID) > 200 || !utf8.ValidString(f.ID) || strings.ContainsRune(f.ID, 0) {
			return nil, fault.New(fault.Invalid, "foreign_invalid", "A foreign person's id is 1 to 200 bytes of text.")
		}
		if out[i] = s.foreign.get(source, f.ID, f.Name); out[i] == "" {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	err := s.db.Write(ctx, func(tx *sqldb.Tx) error {
		var made []event.Event
		for _, i := range missing {
			name := cutName(people[i].Name)
			id, created, err := s.foreigner(tx, source, people[i].ID, name)
			if err != nil {
				return err
			}
			if created {
				made = append(made, event.New("account", event.NewID(), s.now(), event.AccountCreated{PersonID: id}))
			}
			out[i] = id
		}
		tx.OnCommit(func() {
			for _, i := range missing {
				s.foreign.put(source, people[i].ID, people[i].Name, out[i])
			}
		})
		return relay.Emit(tx, made...)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *Service) foreigner(tx *sqldb.Tx, source, externalID, name string) (id event.PersonID, created bool, err error) {
	id = event.PersonID(event.NewID())
	// The claim comes first: on PostgreSQL a second one waits here for the first.
	n, err := tx.Exec(`insert into foreign_people (source, external_id, person_id) values ($1, $2, $3) on conflict do nothing`, source, externalID, id)
	if err != nil {
		return "", false, err
	}
	if n == 0 {
		if _, err = tx.Get(`select person_id from foreign_people where source = $1 and external_id = $2`, []any{source, externalID}, &id); err != nil || name == "" {
			return id, false, err
		}
		_, err = tx.Exec(`update people set name = $1 where person_id = $2 and name <> $3`, name, id, name)
		return id, false, err
	}
	_, err = tx.Exec(`insert into people (person_id, handle, name, password, operator, created, entered, protected, protected_until, protected_by)
		values ($1, null, $2, '', false, $3, 0, false, 0, '')`, id, name, s.now())
	return id, true, err
}

// cutName makes of any text what a name may be, or nothing.
func cutName(name string) string {
	name = strings.Map(func(r rune) rune {
		if visible.Tricks(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if r := []rune(strings.TrimSpace(name)); len(r) > maxName {
		name = string(r[:maxName])
	}
	if visible.Empty(name) {
		return ""
	}
	return strings.TrimSpace(name)
}

// knownPeople remembers who foreign people are and what they were last called.
type knownPeople struct {
	mu      sync.RWMutex
	entries map[foreignKey]knownPerson
}

type foreignKey struct{ source, id string }

type knownPerson struct {
	id   event.PersonID
	name string
}

func newKnownPeople() *knownPeople { return &knownPeople{entries: map[foreignKey]knownPerson{}} }

// get is empty for who is unknown or goes by another name now.
func (k *knownPeople) get(source, id, name string) event.PersonID {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e := k.entries[foreignKey{source, id}]
	if name != "" && name != e.name {
		return ""
	}
	return e.id
}

func (k *knownPeople) put(source, id, name string, person event.PersonID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.entries) >= knownAtAll {
		clear(k.entries)
	}
	key := foreignKey{source, id}
	if name == "" {
		name = k.entries[key].name
	}
	k.entries[key] = knownPerson{person, name}
}

func (k *knownPeople) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.entries)
}
