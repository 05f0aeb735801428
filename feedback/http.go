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

// Routes adds the context's routes.
func (s *Service) Routes(api *httpapi.API) {
	op := func(summary string) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "feedback", Scope: authz.ScopeFeedback}
	}
	give := op("Give feedback on an agent")
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
}
