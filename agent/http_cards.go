package agent

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"rapport/agent/card"
	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/fault"
	"rapport/internal/httpapi"
)

// uploadTimeout is how long a client may take to send a card.
const uploadTimeout = 2 * time.Minute

// maxUpload is a card with what a form puts around it.
const maxUpload = card.MaxFile + 64<<10

// CardForm is a card as browsers send a file.
type CardForm struct {
	Card string `json:"card" format:"binary" doc:"The file as it is."`
}

// mediaTypes of the containers.
var mediaTypes = map[string]string{card.InJSON: "application/json", card.InPNG: "image/png", card.InCHARX: "application/zip"}

// personaRoutes adds cards, suggestions and the platform's agents.
func (s *Service) personaRoutes(api *httpapi.API) {
	const conflict = http.StatusConflict
	op := func(summary string, errors ...int) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "agent", Scope: authz.ScopeAgents, Errors: errors}
	}

	take := op("Make an agent from a character card", conflict)
	take.Status, take.MaxBody, take.Gives = http.StatusCreated, maxUpload, Imported{}
	take.Takes = map[string]any{"application/json": map[string]any{}, "image/png": "", "application/zip": "", "application/octet-stream": "",
		"multipart/form-data": CardForm{}}
	api.Handle("POST /v1/agents/import", take, http.HandlerFunc(s.postCard), func(o *httpapi.Operation) {
		o.Description = "The body is the file as it is: a card of version 1, 2 or 3 as JSON, in a PNG or as CHARX, found by its first bytes; or a form with it in a field card. At most 50 MB. " +
			"Idempotency-Key makes a repeat harmless."
	})
	httpapi.Get(api, "/v1/agents/{agent}/card", op("Show what the card said that an agent was imported from"), func(ctx context.Context, in *AgentPath) (CardNote, error) {
		return s.Card(ctx, in.Agent)
	})
	api.Handle("GET /v1/agents/{agent}/card/{format}", op("Take an agent away as a character card: json, png or charx", conflict), http.HandlerFunc(s.getCard), nil)

	suggest := op("Ask for a suggestion of what to fill in", conflict, http.StatusTooManyRequests)
	suggest.Status = http.StatusCreated
	httpapi.Post(api, "/v1/agents/{agent}/enrichment", suggest, func(ctx context.Context, in *struct {
		AgentPath
		Body struct {
			Fields []string `json:"fields,omitempty" maxItems:"40" doc:"What to suggest: description, backstory, style, examples, appearance, traits.humor …; all that is missing when left out."`
		}
	}) (Enrichment, error) {
		return s.Enrich(ctx, in.Agent, in.Body.Fields)
	})
	httpapi.Get(api, "/v1/agents/{agent}/enrichment", op("Show the newest suggestion, with what it would change"), func(ctx context.Context, in *AgentPath) (Enrichment, error) {
		return s.Enrichment(ctx, in.Agent)
	})
	httpapi.Post(api, "/v1/agents/{agent}/enrichment/accept", op("Accept fields of the suggestion; the others are dropped", conflict), func(ctx context.Context, in *posted[struct {
		ID     string   `json:"id,omitempty" maxLength:"64" doc:"The suggestion you saw; 409 when there is a newer one. Left out: whichever waits."`
		Fields []string `json:"fields" minItems:"1" maxItems:"40"`
	}]) (Agent, error) {
		return s.AcceptEnrichment(ctx, in.ref(), in.Body.ID, in.Body.Fields)
	})
	httpapi.Post(api, "/v1/agents/{agent}/enrichment/refuse", op("Say no to the suggestion", conflict), func(ctx context.Context, in *ActOn) (Enrichment, error) {
		return s.RefuseEnrichment(ctx, in.ref(), "")
	})

	create := op("Make an agent of the platform", conflict)
	create.Scope, create.Status = authz.ScopeAdmin, http.StatusCreated
	httpapi.Post(api, "/v1/natives", create, func(ctx context.Context, in *struct {
		httpapi.IdempotencyHeader
		Body struct {
			TextsBody
			Kind   string             `json:"kind" enum:"featured,story_character,mentor,group_moderator,event_personality,premium"`
			Traits map[string]float64 `json:"traits,omitempty" doc:"Levels by trait; the middle where absent."`
		}
	}) (Native, error) {
		d := Draft{Traits: in.Body.Traits, Key: in.IdempotencyKey}
		in.Body.change(&d.Texts)
		return s.CreateNative(ctx, in.Body.Kind, d)
	})
	listing := op("List the platform's agents in the order an editor gave them")
	listing.Scope = ""
	httpapi.Get(api, "/v1/natives", listing, func(ctx context.Context, in *struct {
		Kind string `query:"kind" enum:"featured,story_character,mentor,group_moderator,event_personality,premium"`
	}) (list[Native], error) {
		return listOf(s.ListNatives(ctx, in.Kind))
	})
	order := op("Put the platform's agents in an order")
	order.Scope = authz.ScopeAdmin
	httpapi.Put(api, "/v1/natives/order", order, func(ctx context.Context, in *struct {
		Body struct {
			Order []event.AgentID `json:"order" doc:"Each of the platform's agents once."`
		}
	}) (list[Native], error) {
		return listOf(s.OrderNatives(ctx, in.Body.Order))
	})
	adopt := op("Adopt a copy of one of the platform's agents, which is yours and grows with you", conflict)
	adopt.Status = http.StatusCreated
	httpapi.Post(api, "/v1/natives/{agent}/adopt", adopt, func(ctx context.Context, in *struct {
		AgentPath
		httpapi.IdempotencyHeader
	}) (Agent, error) {
		return s.Adopt(ctx, in.Agent, in.IdempotencyKey)
	})
}

func (s *Service) postCard(w http.ResponseWriter, r *http.Request) {
	out, err := s.upload(w, r)
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	httpapi.WriteJSON(w, http.StatusCreated, out)
}

// upload reads a card and imports it. What says that it is too large is refused
// before a byte of it is read.
func (s *Service) upload(w http.ResponseWriter, r *http.Request) (Imported, error) {
	tooLarge := fault.New(fault.TooLarge, "card_too_large", "This card cannot be taken: the file is over %d MB.", card.MaxFile>>20)
	if r.ContentLength > maxUpload {
		return Imported{}, tooLarge
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 255 {
		return Imported{}, fault.New(fault.Invalid, "invalid_request", "An Idempotency-Key has at most 255 characters.")
	}
	who := "upload of " + string(authz.From(r.Context()).Person)
	if !s.begin(who) {
		return Imported{}, fault.New(fault.Conflict, "card_busy", "You are sending a card already; wait until it is here.")
	}
	defer s.end(who)
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-r.Context().Done():
		return Imported{}, fault.New(fault.Unavailable, "busy", "Other cards are being read; send it again in a moment.")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTimeout))
	file, err := fileOf(r)
	if _, over := errors.AsType[*http.MaxBytesError](err); over || len(file) > card.MaxFile {
		return Imported{}, tooLarge
	}
	if err != nil {
		return Imported{}, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return s.Import(r.Context(), file, key)
}

// fileOf gives the body, or of a form the first field called card or file.
func fileOf(r *http.Request) (file []byte, err error) {
	defer func() {
		if _, over := errors.AsType[*http.MaxBytesError](err); err != nil && !over {
			err = fault.New(fault.Invalid, "body_unreadable", "The body cannot be read; send the card's file as it is, or a form with it in a field card.")
		}
	}()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/form-data" {
		return io.ReadAll(r.Body)
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		p, err := form.NextPart()
		if err != nil {
			return nil, err
		}
		if name := p.FormName(); name == "card" || name == "file" {
			return io.ReadAll(p)
		}
	}
}

func (s *Service) getCard(w http.ResponseWriter, r *http.Request) {
	format := r.PathValue("format")
	file, slug, err := s.Export(r.Context(), r.PathValue("agent"), format)
	if err != nil {
		httpapi.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", mediaTypes[format])
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": slug + "." + format}))
	_, _ = w.Write(file)
}
