package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"rapport/agent"
	"rapport/agent/card"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

type cardCmd struct {
	Import cardImportCmd `cmd:"" help:"Make an agent of yours from a character card."`
	Export cardExportCmd `cmd:"" help:"Take an agent away as a character card."`
	Show   cardShowCmd   `cmd:"" help:"Show what the card said that an agent was imported from, used or not."`
}

func (cardCmd) Help() string {
	return `Character cards of version 1, 2 and 3 are read from JSON, from PNG pictures and from CHARX archives; the form is found by looking. What
a card holds and Rapport does not use is kept and given back on export, byte for byte; a card's own system prompt is kept and never
used. docs/cards.md tells all of it.`
}

type cardImportCmd struct {
	File string `arg:"" help:"The card." type:"existingfile"`
}

func (c cardImportCmd) Run(ctx context.Context, g *globals) error {
	file, err := readCard(c.File)
	if err != nil {
		return err
	}
	return g.with(ctx, func(s *session) error {
		resp, err := s.Send(ctx, http.MethodPost, "/v1/agents/import", "application/octet-stream", bytes.NewReader(file))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var in agent.Imported
		if err := json.NewDecoder(resp.Body).Decode(&in); err != nil {
			return err
		}
		if g.JSON {
			return g.print(in)
		}
		g.say("%s is yours: rapport chat %s", in.Agent.Name, in.Agent.Slug)
		g.sayCard(in.Card)
		return nil
	})
}

// readCard reads a file that is no larger than a card may be.
func readCard(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, card.MaxFile+1))
	if err == nil && len(file) > card.MaxFile {
		err = fault.New(fault.TooLarge, "card_too_large", "This card cannot be taken: the file is over %d MB.", card.MaxFile>>20)
	}
	return file, err
}

type cardShowCmd struct {
	Agent string `arg:"" help:"Name or id of an agent of yours."`
}

func (c cardShowCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		var n agent.CardNote
		if err := s.Do(ctx, http.MethodGet, "/v1/agents/"+url.PathEscape(c.Agent)+"/card", nil, &n); err != nil {
			return err
		}
		if g.JSON {
			return g.print(n)
		}
		g.sayCard(n)
		for _, t := range []struct{ what, text string }{{"notes of its creator", n.CreatorNotes}, {"system prompt (never used)", n.SystemPrompt}, {"instructions after the talk (never used)", n.AfterHistory}} {
			if t.text != "" {
				g.say("── %s\n%s", t.what, visible(t.text))
			}
		}
		return nil
	})
}

func (g *globals) sayCard(n agent.CardNote) {
	g.say("a card of version %d (%s)", n.Spec, n.Container)
	for _, t := range n.Notices {
		g.say("  %s", t)
	}
	for _, at := range n.Findings {
		g.say("  hidden characters or control tokens, which no model will see: %s", at)
	}
	for _, k := range []struct {
		is   bool
		what string
	}{{n.SystemPrompt != "", "its own system prompt"}, {n.AfterHistory != "", "its instructions after the talk"}, {n.CreatorNotes != "", "notes of its creator"}, {n.LorebookEntries > 0, "its lorebook"}} {
		if k.is {
			g.say("  kept, not used: %s", k.what)
		}
	}
}

// visible keeps what may be printed on a terminal.
func visible(s string) string {
	return string(bytes.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069) {
			return -1
		}
		return r
	}, []byte(s)))
}

type cardExportCmd struct {
	Agent string `arg:"" help:"Name or id of an agent of yours."`
	PNG   string `name:"png" help:"Write a PNG: into the picture that FILE is, else the one it was imported with, else a plain one." placeholder:"FILE" type:"path"`
	CHARX string `name:"charx" help:"Write a CHARX archive." placeholder:"FILE" type:"path"`
}

func (cardExportCmd) Help() string {
	return `Without --png and --charx the card's JSON is printed. The levels that the agent learned and how they came about are in it, under
extensions.rapport; nothing about who talked with it is.`
}

func (c cardExportCmd) Run(ctx context.Context, g *globals) error {
	return g.with(ctx, func(s *session) error {
		if c.PNG == "" && c.CHARX == "" {
			raw, err := takeCard(ctx, s, c.Agent, card.InJSON)
			if err == nil {
				_, err = g.out.Write(append(raw, '\n'))
			}
			return err
		}
		if c.CHARX != "" {
			file, err := takeCard(ctx, s, c.Agent, card.InCHARX)
			if err != nil {
				return err
			}
			if err := g.write(c.CHARX, file); err != nil {
				return err
			}
		}
		if c.PNG == "" {
			return nil
		}
		file, err := c.picture(ctx, s)
		if err != nil {
			return err
		}
		return g.write(c.PNG, file)
	})
}

// picture gives the card in a picture.
func (c cardExportCmd) picture(ctx context.Context, s *session) ([]byte, error) {
	old, err := readCard(c.PNG)
	if errors.Is(err, os.ErrNotExist) {
		file, err := takeCard(ctx, s, c.Agent, card.InPNG)
		if p, ok := errors.AsType[*httpapi.Problem](err); !ok || p.Code != "no_picture" {
			return file, err
		}
		if old, err = plain(); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	raw, err := takeCard(ctx, s, c.Agent, card.InJSON)
	if err != nil {
		return nil, err
	}
	return card.PNG(old, raw)
}

// plain is a picture of nothing, for a card that has none.
func plain() ([]byte, error) {
	m := image.NewPaletted(image.Rect(0, 0, 400, 600), color.Palette{color.RGBA{0x2f, 0x4f, 0x5f, 0xff}})
	var b bytes.Buffer
	err := png.Encode(&b, m)
	return b.Bytes(), err
}

func takeCard(ctx context.Context, s *session, ref, format string) ([]byte, error) {
	resp, err := s.Send(ctx, http.MethodGet, "/v1/agents/"+url.PathEscape(ref)+"/card/"+format, "", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// write puts a file in place whole, or not at all.
func (g *globals) write(path string, file []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".card-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(file)
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if !g.JSON {
		g.say("written: %s (%d bytes)", path, len(file))
	}
	return nil
}
