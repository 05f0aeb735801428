package rater

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mark is one person's answer to one question about one thing.
type Mark struct {
	Item   string
	Rater  string
	Answer int // 0 … answers−1; for Tastes the answers are ordered
}

// Table is a set of marks of one kind of question. It does not change once it is
// made; it may be shared.
type Table struct {
	answers int
	items   []string    // sorted
	raters  []string    // sorted
	marks   []mark      // by item, then rater
	starts  []int       // of each item in marks, and the end
	of      [][]int     // marks of each rater, as places in marks
	given   [][]float64 // how often each rater gave each answer
}

// mark is a Mark by places.
type mark struct{ item, rater, answer int }

// MaxAnswers is how many answers a question may have.
const MaxAnswers = 32

// ErrTable is the error of marks that make no table; the text says why.
var ErrTable = errors.New("marks refused")

// NewTable takes marks in any order. The error is ErrTable: no marks, fewer than two
// or more than MaxAnswers answers, an answer outside 0 … answers−1, an empty id, two
// marks of one person on one item.
func NewTable(marks []Mark, answers int) (*Table, error) {
	if answers < 2 || answers > MaxAnswers {
		return nil, fmt.Errorf("%w: %d answers, want 2 to %d", ErrTable, answers, MaxAnswers)
	}
	if len(marks) == 0 {
		return nil, fmt.Errorf("%w: there are none", ErrTable)
	}
	t := &Table{answers: answers, items: make([]string, len(marks)), raters: make([]string, len(marks)), marks: make([]mark, len(marks))}
	for i, m := range marks {
		if m.Item == "" || m.Rater == "" {
			return nil, fmt.Errorf("%w: one is without item or rater", ErrTable)
		}
		if m.Answer < 0 || m.Answer >= answers {
			return nil, fmt.Errorf("%w: the answer %d is not in 0 to %d", ErrTable, m.Answer, answers-1)
		}
		t.items[i], t.raters[i] = m.Item, m.Rater
	}
	t.items, t.raters = distinct(t.items), distinct(t.raters)
	for i, m := range marks {
		t.marks[i] = mark{place(t.items, m.Item), place(t.raters, m.Rater), m.Answer}
	}
	slices.SortFunc(t.marks, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.item, b.item), cmp.Compare(a.rater, b.rater))
	})
	t.starts = make([]int, len(t.items)+1)
	t.of = make([][]int, len(t.raters))
	t.given = grid(len(t.raters), answers)
	for k, m := range t.marks {
		if k > 0 && t.marks[k-1].item == m.item && t.marks[k-1].rater == m.rater {
			return nil, fmt.Errorf("%w: two of one person on one item", ErrTable)
		}
		t.starts[m.item+1] = k + 1
		t.of[m.rater] = append(t.of[m.rater], k)
		t.given[m.rater][m.answer]++
	}
	return t, nil
}

func distinct(ids []string) []string {
	slices.Sort(ids)
	return slices.Clip(slices.Compact(ids))
}

// place is where an id stands in a sorted list, −1 when it does not.
func place(ids []string, id string) int {
	i, ok := slices.BinarySearchFunc(ids, id, strings.Compare)
	if !ok {
		return -1
	}
	return i
}

// on are the marks on an item.
func (t *Table) on(item int) []mark { return t.marks[t.starts[item]:t.starts[item+1]] }
