package feedback

import (
	"context"

	"rapport/event"
	"rapport/internal/authz"
	"rapport/internal/httpapi"
)

// AssignmentPath names the exchange of a request.
type AssignmentPath struct {
	Assignment string `path:"assignment" maxLength:"64"`
}

// ReviewPath names the review of a request.
type ReviewPath struct {
	Review event.FeedbackID `path:"review" maxLength:"64"`
}

type reviewBody struct {
	AssignmentPath
	Body ReviewWords
}

type listed[T any] struct {
	Items []T `json:"items"`
}

type nothing struct{}

// reviewRoutes adds what reviewers, the people they read, and operators do.
func (s *Service) reviewRoutes(api *httpapi.API) {
	op := func(summary string, errors ...int) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "reviews", Scope: authz.ScopeFeedback, Errors: errors}
	}
	admin := func(summary string, errors ...int) httpapi.Op {
		return httpapi.Op{Summary: summary, Tag: "reviews", Scope: authz.ScopeAdmin, Errors: errors}
	}
	httpapi.Get(api, "/v1/me/review-consent", op("Show whether reviewers may read what you say with agents"), func(ctx context.Context, _ *struct{}) (ReviewConsent, error) {
		return s.ReviewConsentOf(ctx, authz.From(ctx))
	})
	httpapi.Put(api, "/v1/me/review-consent", op("Allow or forbid reviewers to read, without names, what you say with agents"), func(ctx context.Context, in *struct{ Body ReviewConsentChange }) (ReviewConsent, error) {
		return s.SetReviewConsent(ctx, authz.From(ctx), in.Body)
	})
	httpapi.Get(api, "/v1/reviews/me", op("Show your part in reviewing"), func(ctx context.Context, _ *struct{}) (Reviewer, error) {
		return s.Mentoring(ctx, authz.From(ctx))
	})
	httpapi.Post(api, "/v1/reviews/invitation", op("Accept the invitation to review, or leave", 404), func(ctx context.Context, in *struct {
		Body struct {
			Accept bool `json:"accept"`
		}
	}) (Reviewer, error) {
		return s.AnswerInvitation(ctx, authz.From(ctx), in.Body.Accept)
	})
	httpapi.Get(api, "/v1/reviews/next", op("Show the exchange that is yours to review, or why there is none"), func(ctx context.Context, _ *struct{}) (Desk, error) {
		return s.NextReview(ctx, authz.From(ctx))
	})
	give := op("Review an exchange: three marks and a constructive note", 409)
	give.Status, give.MaxBody = 201, 64<<10
	httpapi.Post(api, "/v1/reviews/{assignment}", give, func(ctx context.Context, in *reviewBody) (ReviewReceipt, error) {
		return s.GiveReview(ctx, authz.From(ctx), in.Assignment, in.Body)
	})
	skip := op("Put an exchange away; that says nothing about it", 409)
	skip.Status = 204
	httpapi.Post(api, "/v1/reviews/{assignment}/skip", skip, func(ctx context.Context, in *AssignmentPath) (nothing, error) {
		return nothing{}, s.SkipReview(ctx, authz.From(ctx), in.Assignment)
	})
	httpapi.Get(api, "/v1/reviews", op("List reviews you gave, or got on your agent"), func(ctx context.Context, in *struct {
		Agent  event.AgentID `query:"agent" maxLength:"64" doc:"What reviewers wrote on this agent of yours; left out: what you wrote."`
		Cursor string        `query:"cursor" maxLength:"128"`
	}) (ReviewPage, error) {
		return s.Reviews(ctx, authz.From(ctx), in.Agent, in.Cursor)
	})
	httpapi.Delete(api, "/v1/reviews/{review}", op("Take your review back, and what it taught"), func(ctx context.Context, in *ReviewPath) (Review, error) {
		return s.WithdrawReview(ctx, authz.From(ctx), in.Review)
	})
	httpapi.Put(api, "/v1/reviews/{review}/helpful", op("Say for yourself that a note on your agent helped"), func(ctx context.Context, in *struct {
		ReviewPath
		Body struct {
			Helpful bool `json:"helpful"`
		}
	}) (Review, error) {
		return s.MarkHelpful(ctx, authz.From(ctx), in.Review, in.Body.Helpful)
	})
	httpapi.Post(api, "/v1/reviews/{review}/appeal", op("Tell the person who looks at your review what they should know", 409), func(ctx context.Context, in *struct {
		ReviewPath
		Body struct {
			Text string `json:"text" maxLength:"1000"`
		}
	}) (Review, error) {
		return s.Appeal(ctx, authz.From(ctx), in.Review, in.Body.Text)
	})

	httpapi.Post(api, "/v1/admin/reviewers", admin("Invite a person to review"), func(ctx context.Context, in *struct {
		Body struct {
			PersonID event.PersonID `json:"personId" minLength:"1" maxLength:"64"`
		}
	}) (Reviewer, error) {
		return s.InviteReviewer(ctx, authz.From(ctx), in.Body.PersonID)
	})
	httpapi.Get(api, "/v1/admin/reviewers", admin("List who was invited to review, by id"), func(ctx context.Context, in *struct {
		After event.PersonID `query:"after" maxLength:"64"`
		Limit int            `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}) (listed[Reviewer], error) {
		all, err := s.Reviewers(ctx, authz.From(ctx), in.After, in.Limit)
		return listed[Reviewer]{all}, err
	})
	httpapi.Get(api, "/v1/admin/reviews", admin("List reviews that are set aside for a person to look at"), func(ctx context.Context, _ *struct{}) (listed[SetAside], error) {
		all, err := s.ReviewsAside(ctx, authz.From(ctx))
		return listed[SetAside]{all}, err
	})
	httpapi.Post(api, "/v1/admin/reviews/{review}/verdict", admin("Say whether a review that was set aside counts", 409), func(ctx context.Context, in *struct {
		ReviewPath
		Body Verdict
	}) (Decided, error) {
		return s.DecideReview(ctx, authz.From(ctx), in.Review, in.Body)
	})

	httpapi.Get(api, "/v1/points", op("Show your mentor points and what they buy"), func(ctx context.Context, in *struct {
		Cursor string `query:"cursor" maxLength:"128"`
	}) (Points, error) {
		return s.PointsOf(ctx, authz.From(ctx), in.Cursor)
	})
	spend := op("Spend mentor points", 409)
	spend.Status = 201
	httpapi.Post(api, "/v1/points/spend", spend, func(ctx context.Context, in *struct {
		httpapi.IdempotencyHeader
		Body Purchase
	}) (Bought, error) {
		return s.Spend(ctx, authz.From(ctx), in.IdempotencyKey, in.Body)
	})
	goals := op("List the goals that belong to everyone")
	goals.Scope = ""
	httpapi.Get(api, "/v1/goals", goals, func(ctx context.Context, _ *struct{}) (listed[Goal], error) {
		all, err := s.Goals(ctx, authz.From(ctx))
		return listed[Goal]{all}, err
	})
	create := admin("Set a goal for everyone together")
	create.Status = 201
	httpapi.Post(api, "/v1/admin/goals", create, func(ctx context.Context, in *struct{ Body GoalDraft }) (Goal, error) {
		return s.CreateGoal(ctx, authz.From(ctx), in.Body)
	})
	end := admin("Take a goal away that was not reached", 409)
	end.Status = 204
	httpapi.Delete(api, "/v1/admin/goals/{goal}", end, func(ctx context.Context, in *struct {
		Goal string `path:"goal" maxLength:"64"`
	}) (nothing, error) {
		return nothing{}, s.EndGoal(ctx, authz.From(ctx), in.Goal)
	})
}
