package door

import (
	"cmp"
	"encoding/json"

	"rapport/event"
)

// readOpenAI reads feedback on an answer of the completions endpoint, by its id. Its
// giver is the user that the program names, else the program's own person.
func readOpenAI(in payload) ([]Item, error) {
	var f struct {
		ID         string `json:"id"`
		Completion string `json:"completion_id"`
		Response   string `json:"response_id"`
		Rating     string `json:"rating"`
		Comment    string `json:"comment"`
		User       string `json:"user"`
		Key        string `json:"feedback_id"`
	}
	if json.Unmarshal(in.body, &f) != nil {
		return nil, errPayload
	}
	decision := cmp.Or(f.ID, f.Completion, f.Response)
	press, _, ok := pressOf(f.Rating)
	if !ok || decision == "" {
		return nil, errPayload
	}
	d := Data{Press: press, Comment: f.Comment, Decision: event.DecisionID(decision)}
	if f.User != "" {
		d.Who = &Who{Person: f.User}
	}
	return []Item{made(FeedbackGiven, "openai/"+decision+"/"+f.User+"/"+cmp.Or(f.Key, in.header.Get("Idempotency-Key"), event.NewID()), 0, d)}, nil
}
