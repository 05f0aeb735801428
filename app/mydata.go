package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
	"rapport/internal/sqldb"
)

// MyData is all that is held of a person, as it is written: the manifest, a list of
// rows for each of its tables, and at the end how many there were of each, so that
// half of it cannot pass for the whole.
type MyData struct {
	Manifest Manifest         `json:"manifest"`
	Data     map[string][]any `json:"data" doc:"Rows by table, as docs/export.md describes their columns."`
	End      struct {
		Rows map[string]int `json:"rows"`
	} `json:"end"`
}

// Manifest says what MyData holds.
type Manifest struct {
	Format string            `json:"format"`
	Person event.PersonID    `json:"person"`
	At     time.Time         `json:"at"`
	Tables map[string]string `json:"tables"`
}

const myDataFormat = "rapport-my-data/1"

// owning is a context that holds something of people.
type owning interface{ Mine() []sqldb.Share }

// mine lists what of which table belongs to a person.
func (p *parts) mine() []ownShare {
	var out []ownShare
	for _, c := range []struct {
		name string
		owning
	}{{"account", p.Accounts}, {"agent", p.Agents}, {"chat", p.Chat}, {"feedback", p.Feedback}, {"gateway", p.Gateway}, {"learning", p.Learning}} {
		for _, x := range c.Mine() {
			out = append(out, ownShare{c.name, x})
		}
	}
	return out
}

type ownShare struct {
	context string
	sqldb.Share
}

func (x ownShare) name() string { return x.context + "." + x.Table }

func (a *App) myDataRoutes() {
	a.API.Handle("GET /v1/me/export", httpapi.Op{Summary: "Take all that is held of you away, as one JSON document", Tag: "account", Gives: MyData{}, Errors: []int{http.StatusTooManyRequests}},
		http.HandlerFunc(a.serveMyData), nil)
}

func (a *App) serveMyData(w http.ResponseWriter, r *http.Request) {
	p := authz.From(r.Context())
	if err := a.Accounts.TakeAway(r.Context(), p); err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="my-data.json"`)
	out := bufio.NewWriter(w)
	if err := a.writeMyData(r.Context(), out, p.Person); err != nil {
		panic(http.ErrAbortHandler) // the answer is under way: a cut is all we can say
	}
	_ = out.Flush()
}

// writeMyData writes a MyData row by row, each table in a snapshot of its own.
func (a *App) writeMyData(ctx context.Context, out *bufio.Writer, person event.PersonID) error {
	all := a.mine()
	m := Manifest{Format: myDataFormat, Person: person, At: a.cfg.Clock().UTC(), Tables: map[string]string{}}
	for _, x := range all {
		m.Tables[x.name()] = x.Says
	}
	head, err := json.Marshal(m)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `{"manifest":%s,"data":{`, head)
	rows := map[string]int{}
	for i, x := range all {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(out, "\n%q:[", x.name())
		n := 0
		if err := a.dbs[x.context].EachOf(ctx, x.Share, string(person), func(object []byte) error {
			if n++; n > 1 {
				out.WriteByte(',')
			}
			out.WriteByte('\n')
			_, err := out.Write(object)
			return err
		}); err != nil {
			return err
		}
		rows[x.name()] = n
		out.WriteByte(']')
	}
	end, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "},\n\"end\":{\"rows\":%s}}\n", end)
	return err
}
