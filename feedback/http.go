package feedback

import (
	"context"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
)

type giveRequest struct {
	httpapi.IdempotencyHeader
	Body Opinion
}

type listRequest struct {
	Agent  event.AgentID `query:"agent" maxLength:"64" doc:"Only on this agent; its owner sees what others said too."`
	Mine   bool          `query:"mine" doc:"Only my own."`
	Cursor string        `query:"cursor" maxLength:"128"`
}

type oneRequest struct {
	Feedback event.FeedbackID `path:"feedback" maxLength:"64"`
}

type promptRequest struct {
	Agent   event.AgentID   `query:"agent" maxLength:"64" doc:"About this agent; left out: about any of yours, when you just come by."`
	Message event.MessageID `query:"message" maxLength:"64" doc:"The agent's answer that is on the screen: are its thumbs emphasised?"`
	Session event.SessionID `query:"session" maxLength:"64" doc:"The talk that just ended: is there a sheet?"`
}

type onePrompt struct {
	Prompt event.PromptID `path:"prompt" maxLength:"64"`
}

type whyRequest struct {
	Person event.PersonID `query:"person" maxLength:"64" doc:"Yourself when left out; operators may name anybody, which is noted."`
	Agent  event.AgentID  `query:"agent" required:"true" maxLength:"64"`
}

type meaningRequest struct {
	Body EmojiMeaning
}

type budgetRequest struct {
	Body AskBudget
}

// Routes adds the context's routes.
func (s *Service) Routes(api *httpapi.API) {
	op := func(summary string) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "feedback", Scope: authz.ScopeFeedback}
	}
	give := op("Give feedback on an agent")
	give.AnySite = true // who talks with an agent from another site's page gives feedback there, too
	give.Status, give.Also, give.MaxBody, give.Errors = 201, []int{202}, 64<<10, []int{404, 409, 429}
	httpapi.Post(api, "/v1/feedback", give, func(ctx context.Context, in *giveRequest) (Receipt, error) {
		return s.Give(ctx, authz.From(ctx), in.IdempotencyKey, in.Body)
	})
	httpapi.Get(api, "/v1/feedback", op("List feedback you gave, or got on your agent"), func(ctx context.Context, in *listRequest) (Page, error) {
		return s.List(ctx, authz.From(ctx), in.Agent, in.Cursor, in.Mine)
	})
	httpapi.Get(api, "/v1/feedback/{feedback}", op("Read one piece of feedback"), func(ctx context.Context, in *oneRequest) (Item, error) {
		return s.Get(ctx, authz.From(ctx), in.Feedback)
	})
	httpapi.Delete(api, "/v1/feedback/{feedback}", op("Take your feedback back"), func(ctx context.Context, in *oneRequest) (Receipt, error) {
		return s.Retract(ctx, authz.From(ctx), in.Feedback)
	})
	httpapi.Get(api, "/v1/prompts", op("Say what to ask the person now, and why not"), func(ctx context.Context, in *promptRequest) (Prompt, error) {
		return s.Prompt(ctx, authz.From(ctx), Screen{in.Agent, in.Message, in.Session})
	})
	step := func(summary string) httpapi.Op {
		o := op(summary)
		o.Errors = []int{409}
		return o
	}
	httpapi.Post(api, "/v1/prompts/{prompt}/shown", step("Say that a prompt is on the screen"), func(ctx context.Context, in *onePrompt) (Prompt, error) {
		return s.Saw(ctx, authz.From(ctx), in.Prompt)
	})
	httpapi.Post(api, "/v1/prompts/{prompt}/skipped", step("Put a prompt away; that is no opinion"), func(ctx context.Context, in *onePrompt) (Prompt, error) {
		return s.Skip(ctx, authz.From(ctx), in.Prompt)
	})
	why := op("Say why somebody is asked about an agent, or is not")
	why.Scope = "" // who may is decided by relation
	httpapi.Get(api, "/v1/feedback/why", why, func(ctx context.Context, in *whyRequest) (Why, error) {
		return s.Why(ctx, authz.From(ctx), in.Person, in.Agent)
	})
	httpapi.Get(api, "/v1/me/emoji", op("List what emoji mean to you, where that differs"), func(ctx context.Context, _ *struct{}) (EmojiMeanings, error) {
		return s.Meanings(ctx, authz.From(ctx))
	})
	meaning := op("Say what an emoji on your agents' messages means")
	meaning.Errors = []int{409}
	httpapi.Put(api, "/v1/me/emoji", meaning, func(ctx context.Context, in *meaningRequest) (EmojiMeanings, error) {
		return s.SetMeaning(ctx, authz.From(ctx), in.Body)
	})
	httpapi.Get(api, "/v1/me/asking", op("Show how much you want to be asked"), func(ctx context.Context, _ *struct{}) (AskBudget, error) {
		return s.Budget(ctx, authz.From(ctx))
	})
	httpapi.Put(api, "/v1/me/asking", op("Say how much you want to be asked"), func(ctx context.Context, in *budgetRequest) (AskBudget, error) {
		return s.SetBudget(ctx, authz.From(ctx), in.Body)
	})
	s.reviewRoutes(api)
}
