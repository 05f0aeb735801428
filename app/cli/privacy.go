package cli

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"rapport/account"
	"rapport/app/client"
	"rapport/event"
	"rapport/internal/fault"
)

type myDataCmd struct {
	File string `arg:"" help:"File to write, which must not exist." type:"path"`
	Link string `help:"A one-time link to log in with, as 'rapport login PERSON' prints it; your own data without." placeholder:"LINK"`
}

func (myDataCmd) Help() string {
	return "Writes all that is held of one person as one JSON document; docs/privacy.md says what is in it. Somebody else's can only be had logged in as them."
}

func (c myDataCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		from := cl.Client
		if c.Link != "" {
			secret := c.Link
			if u, err := url.Parse(c.Link); err == nil && u.Fragment != "" {
				secret = u.Fragment
			}
			var s account.Session
			if err := (&client.Client{Base: cl.Base}).Do(ctx, http.MethodPost, "/v1/login", map[string]string{"link": secret}, &s); err != nil {
				return err
			}
			from = &client.Client{Base: cl.Base, Token: s.Token}
			defer func() { _ = from.Do(context.WithoutCancel(ctx), http.MethodPost, "/v1/logout", nil, nil) }()
		}
		resp, err := from.Send(ctx, http.MethodGet, "/v1/me/export", "", nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fault.New(fault.Conflict, "file_exists", "%s cannot be made; name a file that does not exist yet.", c.File).Because(err)
		}
		n, err := io.Copy(f, resp.Body)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		if g.JSON {
			return g.print(map[string]any{"file": c.File, "bytes": n})
		}
		g.say("%d bytes in %s", n, c.File)
		return nil
	})
}

type eraseCmd struct {
	Person string `arg:"" help:"Id of the person."`
	Sure   bool   `help:"Needed: nothing brings an erased person back."`
}

func (c eraseCmd) Run(ctx context.Context, g *globals) error {
	if !c.Sure {
		return fault.New(fault.Invalid, "not_sure", "This erases %s everywhere and for good; say so with --sure.", c.Person)
	}
	return g.with(ctx, func(cl *session) error {
		var e account.Erasure
		if err := cl.Do(ctx, http.MethodDelete, "/v1/people/"+url.PathEscape(c.Person), nil, &e); err != nil {
			return err
		}
		receipt := e.Receipt
		for e.State == "under_way" {
			if err := cl.Do(ctx, http.MethodGet, "/v1/erasures/"+receipt, nil, &e); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
		if g.JSON {
			return g.print(e)
		}
		g.proof(e)
		g.say("receipt %s", receipt)
		return nil
	})
}

type erasuresCmd struct {
	Receipt string `arg:"" optional:"" help:"Show the proof that this receipt stands for; all without."`
}

func (c erasuresCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(cl *session) error {
		var list []account.Erasure
		var err error
		if c.Receipt != "" {
			list = make([]account.Erasure, 1)
			err = cl.Do(ctx, http.MethodGet, "/v1/erasures/"+url.PathEscape(c.Receipt), nil, &list[0])
		} else {
			err = cl.Do(ctx, http.MethodGet, "/v1/admin/erasures", nil, &list)
		}
		if err != nil {
			return err
		}
		if g.JSON {
			return g.print(list)
		}
		if len(list) == 0 {
			g.say("nobody was erased")
		}
		for _, e := range list {
			g.proof(e)
		}
		return nil
	})
}

// proof prints one erasure.
func (g *globals) proof(e account.Erasure) {
	at := func(t event.Micros) string { return time.UnixMicro(t).UTC().Format(time.RFC3339) }
	if e.State == "under_way" {
		g.say("%s  erased %s, under way", e.Person, at(e.ErasedAt))
		return
	}
	n := int64(0)
	for _, tables := range e.Rows {
		for _, rows := range tables {
			n += rows
		}
	}
	g.say("%s  erased %s, finished %s, %d rows, sha256 %s", e.Person, at(e.ErasedAt), at(e.FinishedAt), n, e.Hash)
}
