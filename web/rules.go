package web

import (
	"context"
	"fmt"
	"time"
)

// Ruling lists the versions of the mapping rules, newest first; forbidden to anybody
// but operators.
type Ruling interface {
	MappingRules(ctx context.Context) ([]Rules, error)
}

// Rules is one version of the mapping rules: in which words a level of a trait reaches
// a model.
type Rules struct {
	Version  int64
	Status   string // proposed, tried, published, withdrawn, refused, reverted
	InForce  bool
	Since    time.Time // it has its status
	Base     int64     // the version it was made from, 0 for none
	By       string
	Note     string
	Outcome  string
	Measured bool     // it was put to the persona test set
	Effects  []string // what came of that, in sentences
	Changes  []Change // since its base, while it is open
	Trial    *Trial
}

// Change is a line that a version says otherwise.
type Change struct{ Place, Was, Now string }

// Trial is how a version does on a share of the sessions.
type Trial struct {
	Share         float64
	With, Without int     // sessions
	Lo, Hi        float64 // how much better those with it are rated, from −1 to 1
}

// Says is where a trial stands, in plain words.
func (t Trial) Says() string {
	said := fmt.Sprintf("Tried on %.0f %% of the talks that begin: %d with it, %d without.", 100*t.Share, t.With, t.Without)
	switch {
	case t.With == 0 || t.Without == 0:
		return said + " Nothing can be said yet."
	case t.Lo > 0:
		return said + " Talks with it are rated better."
	case t.Hi < 0:
		return said + " Talks with it are rated worse."
	}
	return said + fmt.Sprintf(" Talks with it are rated between %.2f worse and %.2f better; that is too early to decide.", -t.Lo, t.Hi)
}

// Says is the state in plain words.
func (r Rules) Says() string {
	if r.InForce {
		return "in force"
	}
	return map[string]string{"proposed": "waits for your word", "tried": "on trial", "published": "was in force", "withdrawn": "was in force, taken back", "refused": "refused", "reverted": "its trial ended"}[r.Status]
}

// Open says whether there is something to decide about it.
func (r Rules) Open() bool { return r.Status == "proposed" || r.Status == "tried" }

// Former says whether one can go back to it.
func (r Rules) Former() bool {
	return !r.InForce && (r.Status == "published" || r.Status == "withdrawn")
}
