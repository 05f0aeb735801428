package app

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// Sentences of docs/export.md: of each file, and of each of its columns. A column
// that is not here has its meaning from everywhere.
var exportSays = map[string]struct {
	file    string
	columns map[string]string
}{
	"account.people":         {"Who there is. Passwords, rights and protection stay inside.", map[string]string{"handle": "name to log in with; null for people of another platform", "name": "as shown to others", "created": "when the person was made", "entered": "first login, 0 before"}},
	"account.foreign_people": {"Which pseudonym a person of another platform has here.", map[string]string{"source": "name of the platform", "external_id": "the person's id there"}},
	"account.erasures":       {"Proof that people were erased.", map[string]string{"erased": "when", "finished": "when every part had dropped what it held, 0 before", "body": "JSON: rows dropped, by part and table"}},
	"account.operator_acts":  {"What operators did that reaches other people's things.", map[string]string{"act_id": "id", "person_id": "who", "token_id": "with which token or session", "act": "export, trace, backup, rebuild or replay", "subject": "of what", "at": "when"}},

	"agent.agents": {"Every agent as it is now.", map[string]string{"quiet_zone": "the owner's time zone for quiet hours, empty where none were set", "quiet_from": "hour from which the agent begins nothing", "quiet_to": "hour from which it may again", "id": "the agent", "owner_id": "its owner", "slug": "short name in addresses and mentions, unique", "name": "as shown", "created_at": "when it was made", "updated_at": "last change",
		"version": "number of the newest version", "owner_version": "number of the newest version that learning did not make", "texts": "revision of the texts in force, see agent.texts", "acts": "how many acts the audit has",
		"document": "JSON: the policy of the newest version", "baseline": "JSON: the owner's start, a level by trait", "learning": "false while the owner paused it", "stops": "kill switches that are on, added up: 1 owner, 2 operator, 4 everywhere",
		"pace": "careful, normal or fast", "approval": "which changes wait for the owner's word", "mood_off": "true when it has no moods", "mood_valence": "the owner's baseline, -1 to 1", "mood_arousal": "the owner's baseline, -1 to 1", "asking": "how much the owner wants to be asked about it: off, gentle, normal or eager", "ask_every": "also after every so many talks; 0 never", "retired": "true when it is no more"}},
	"agent.texts": {"What owners wrote about their agents, by revision.", map[string]string{"revision": "1, 2, 3 … of the agent", "body": "JSON: name, description, backstory, style, scenario, greeting, openings, appearance, examples, and which of it was suggested", "at": "when"}},
	"agent.versions": {"Every version of every policy, whole.", map[string]string{"version": "1, 2, 3 … of the agent", "parent": "the version it was made from, 0 for the first", "document": "JSON: the whole policy", "texts": "revision of the texts it was made with",
		"kind": "created, learned, edited, rollback, pinned, bounds, settings …", "by": "owner, learning or platform", "actor": "the person, or learning", "cause": "the proposal or act that made it", "causes": "JSON list: the feedback that led to it", "verdicts": "JSON: the gates it passed, with their numbers", "at": "when"}},
	"agent.proposals": {"Changes that learning proposed and the owner is asked about.", map[string]string{"id": "the proposal", "status": "waiting, approved, refused, superseded or stale", "event": "JSON: the event that proposed it", "at": "when it was proposed", "decided": "when it was decided, 0 before"}},
	"agent.audit": {"Who did what to an agent, in order.", map[string]string{"id": "the act", "seq": "1, 2, 3 … of the agent", "at": "when", "actor": "a person, or learning", "by": "owner, learning or platform", "act": "what was done", "cause": "the proposal behind it, if any",
		"evidence": "JSON list: the feedback behind it", "before": "JSON: what it changed, before", "after": "JSON: the same, after", "verdicts": "JSON: the gates it passed", "version": "in force afterwards"}},

	"agent.cards":       {"The character card that an agent was imported from, as it was.", map[string]string{"container": "json, png or charx", "spec": "version of the card's specification: 1, 2 or 3", "card": "its JSON, byte for byte", "file": "the picture or archive it came in, base64; empty for JSON", "notices": "JSON list: what the owner was told about it", "findings": "JSON list: places where hidden characters or control tokens stand", "at": "when"}},
	"agent.enrichments": {"What a model suggested to fill in what was missing of an agent.", map[string]string{"id": "the suggestion", "status": "waiting, accepted, refused, superseded, or unusable: the answer was none", "body": "JSON list: fields, with what they were and would become", "model": "who wrote it", "demo": "true: no model was asked", "at": "when", "expires": "until when it could be accepted", "decided": "when it was decided, 0 before"}},
	"agent.origins":     {"Where an agent comes from that nobody wrote here.", map[string]string{"kind": "card or native", "source": "container of the card, or the platform's agent", "version": "of the platform's agent when it was copied, 0 for a card", "at": "when"}},
	"agent.natives":     {"The platform's own agents.", map[string]string{"kind": "featured, story_character, mentor, group_moderator, event_personality or premium", "position": "where an editor put it"}},

	"chat.rooms":       {"Where people and agents talk.", map[string]string{"title": "as shown", "theme": "of an evening", "ends_at": "when an evening ends, 0 for no end", "direct": "true for one person and one agent", "source": "platform it lives on, empty for here", "created_by": "the person", "created_at": "when", "last_seq": "number of the newest message", "last_change": "number of the newest change; the event id of the stream"}},
	"chat.members":     {"Who is or was in a room.", map[string]string{"member_id": "the person or agent", "kind": "person or agent", "inviter": "who brought them in", "joined_at": "when", "left_at": "when, 0 while in the room"}},
	"chat.consents":    {"Whether signals may be taken from what a person does in a room.", map[string]string{"consent": "true: they may", "at": "when it was said"}},
	"chat.invitations": {"Which agent was asked into which room, and by whom.", map[string]string{"person_id": "who asked", "agent_id": "who was asked", "at": "when"}},
	"chat.messages": {"What was said.", map[string]string{"to_agent": "the agent that a person's message surely speaks to, or empty", "about": "the agent's message that it answers, or empty", "seq": "1, 2, 3 … in the room", "changed": "number of the room's change that touched it last", "kind": "of the author: person or agent", "author_id": "who said it", "text": "the words; empty when deleted or erased", "reply_to": "the message it answers, or empty",
		"decision_id": "of an agent's message: why it is as it is, see gateway.decisions", "at": "when it was accepted here", "occurred_at": "by the clock of the platform it came from, 0 for here", "edited_at": "0 for never", "deleted_at": "0 for never", "chars": "length in characters", "sentiment": "of the words, -1 to 1", "consent": "the author's, when it was said"}},
	"chat.reactions": {"Emoji on messages.", map[string]string{"emoji": "which", "at": "when"}},
	"chat.sessions": {"Talks of an agent in a room: what ratings are about.", map[string]string{"started_by": "the person; empty when the agent began", "started_at": "when", "first_seq": "number of its first message", "last_seq": "number of its newest message", "last_at": "when something was said last, by this server's clock", "heard_at": "the same by the clock of the messages",
		"ended_at": "0 while it lives", "protected": "true when a protected person took part: nothing is learned from it", "imported": "true when it came from another platform"}},

	"feedback.feedback_events": {"Every piece of feedback, the replaced and the withdrawn too.", map[string]string{"slot": "what holds one live row: a session and a rater, or a message, a rater and a kind", "live": "false when replaced or withdrawn", "owner_id": "the agent's owner when it was given", "rater_id": "who gave it", "role": "owner, participant or reviewer, found by the server", "source": "explicit or implicit",
		"channel": "session, thumb, more_less, tone, check_in, reaction, review, comment, correction …", "signal": "of implicit feedback: detector and version", "value": "the word that was given", "score": "-1 to 1; null: no number was given", "trait": "that it asks more or less of", "sign": "1 more, -1 less",
		"part_of": "the correction that it was measured on", "origin": "bucket of the network it came from, another one every two weeks; empty when unknown", "weight": "what it counts for, 1 or less",
		"sentiment": "of the words around it, or null", "comment": "the rater's words", "correction": "what the agent should have said", "protected": "true: kept, never learned from", "imported": "true when it came from another platform", "emitted": "true when an event tells of it", "created_at": "when this server accepted it", "occurred_at": "by a foreign clock, 0 for none",
		"supersedes": "the earlier feedback it replaced, or empty", "retracted_at": "0 while it stands"}},
	"feedback.waiting": {"Feedback on what has not arrived yet.", map[string]string{"rater_id": "who gave it", "awaits": "id of the message, decision, session or agent", "slot": "of a reaction, so that it can be taken back", "body": "JSON: the feedback", "created_at": "when", "reason": "why it was refused when that arrived, else empty"}},
	"feedback.prompts": {"When people were asked what they think of an agent of theirs, and what became of it.", map[string]string{"prompt_id": "the prompt", "kind": "after_session, inline or check_in", "reason": "why it was asked, as a code", "state": "asked, shown, skipped or answered", "asked_at": "when", "shown_at": "0 for never", "skipped_at": "0 for never", "answered_at": "0 for never",
		"feedback_id": "the feedback that answered, or empty", "session_id": "the talk it is about, or empty", "message_id": "the answer it is about, or empty", "expires_at": "until when it could be shown"}},
	"feedback.ask_budgets":    {"How often people want to be asked.", map[string]string{"budget": "prompts in any seven days across all their agents", "at": "when they said so"}},
	"feedback.emoji_meanings": {"What owners say that emoji on their agents' messages mean.", map[string]string{"owner_id": "the owner's pseudonym", "emoji": "without skin tone", "meaning": "-1 displeased … 1 pleased; 0: it says nothing", "at": "when they said so"}},
	"feedback.erased_rows":    {"Proof of what was dropped when a person was erased.", map[string]string{"event_id": "the event that asked for it", "tbl": "of which table", "n": "how many rows", "at": "when"}},

	"feedback.reviewers":       {"Who was invited to review.", map[string]string{"state": "invited, active, left or excluded", "reason": "an operator's words to them, of an exclusion", "invited_at": "when", "changed_at": "when the state changed"}},
	"feedback.review_consents": {"Whether reviewers may read what a person says with agents.", map[string]string{"agent_id": "with this agent; empty: with any", "consent": "true: they may", "at": "when it was said"}},
	"feedback.assignments": {"Which exchanges were given to which reviewers.", map[string]string{"assignment_id": "the giving", "person_id": "the reviewer", "message_id": "the last answer of the exchange", "state": "open, done, skipped or gone: it may no longer be shown", "day": "number of the day, UTC", "at": "when it was given",
		"shown_at": "when its words were first shown, 0 before", "expires_at": "until when it is theirs"}},
	"feedback.reviews": {"What reviewers wrote.", map[string]string{"review_id": "the review, and the feedback that it is once it counts", "assignment_id": "the exchange as it was given", "reviewer_id": "who wrote it", "owner_id": "the agent's owner then; empty: erased", "message_id": "the answer it is about", "in_character": "clearly, mostly, hardly or not_at_all", "helpful": "the same",
		"kindly": "the same", "note": "the words, for the owner; empty when withdrawn", "took": "microseconds from first sight", "state": "counted, aside, refused or withdrawn", "findings": "JSON list: what it was set aside for", "appeal": "the reviewer's words to who decides", "reason": "who decided's words to the reviewer",
		"found_helpful": "when the owner found it helpful, 0 for never", "at": "when", "decided_at": "when an operator decided, 0 for never"}},
	"feedback.goals": {"Goals that belong to everyone.", map[string]string{"goal_id": "the goal", "title": "as everybody reads it", "counts": "helpful_notes or reviews", "target": "how many", "starts_at": "when", "ends_at": "when", "effect": "look or archetype", "name": "of the look or archetype", "created_at": "when", "reached_at": "0 before"}},

	"gateway.decisions": {"Why each answer, or silence, was as it was.", map[string]string{"turn_id": "the consideration it ended; empty for callers that keep the texts", "at": "when", "state": "open while it is being made, then done", "action": "reply, silence or failed; empty while open", "unasked": "true when no person asked for it", "body": "JSON: variation, policy version, prompt hash, route, parameters"}},
	"gateway.mapping_rules": {"The rules that turn levels into words and numbers.", map[string]string{"version": "1, 2, 3 …", "status": "proposed, tried, published (the newest of them is in force), withdrawn, refused or reverted", "body": "the rules", "at": "since when it has its status",
		"base": "the version it was made from; 0 for the built-in one", "author": "operator, or the model that proposed it", "note": "why", "effects": "JSON: what it did on the persona test set; empty before",
		"share": "of the sessions that it is or was tried on", "trial": "JSON: how its trial stands or stood; empty without one", "outcome": "why it was published or ended, in words"}},

	"learning.rl_behaviour_projection": {"What an agent did.", map[string]string{"last_n_actions": "JSON: its newest actions", "distribution": "JSON: how often it did which"}},
	"learning.rl_proposals":            {"What learning proposed or held back, and what became of it.", map[string]string{"proposal_id": "the proposal", "at": "when", "parent": "version it would change", "outcome": "waiting, applied, refused or held", "gate": "of a refusal: which gate", "body": "JSON: what moved, causes and verdicts"}},
}

var exportSaysEverywhere = map[string]string{
	"agent_id": "the agent", "person_id": "the person's pseudonym", "room_id": "the room", "message_id": "the message", "session_id": "the talk", "decision_id": "the decision", "feedback_id": "the feedback",
}

// exportPage is docs/export.md.
func exportPage(t *testing.T, a *App) string {
	var b strings.Builder
	b.WriteString(`# What can be taken away

Printed by ` + "`go test ./app -update`" + ` from what the program exports; the sentences lie in ` + "`app/export_test.go`" + `.

` + "`rapport export DIR`" + ` writes one file of JSON lines per table, named ` + "`<context>.<table>.ndjson`" + `, rows by primary key, and ` + "`events.ndjson`" + `, the log: one CloudEvents
1.0 document a line, topic by topic in order, as [events.md](events.md) describes them. The same is at ` + "`GET /v1/admin/export/<name>`" + `. Times are
microseconds since 1970 UTC. JSON inside a column is text. Secrets, learner states, what variations are drawn from, sums of ratings and
mentor points are not exported: the first are of no use elsewhere, the next are taste profiles of people, and the last would compare agents and people. An export can be read while the server runs; for a copy to go on from, use
` + "`rapport backup`" + `.
`)
	seen := map[string]bool{}
	for _, x := range a.exports() {
		says, ok := exportSays[x.name()]
		if !ok {
			t.Errorf("no sentence for %s", x.name())
		}
		seen[x.name()] = true
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| column | |\n|---|---|\n", x.name(), says.file)
		cols, err := a.dbs[x.context].Columns(context.Background(), x.Export)
		if err != nil {
			t.Fatal(err)
		}
		used := 0
		for _, c := range cols {
			text, own := says.columns[c]
			if own {
				used++
			} else if text = exportSaysEverywhere[c]; text == "" {
				t.Errorf("no sentence for %s.%s", x.name(), c)
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", c, text)
		}
		if used != len(says.columns) {
			t.Errorf("%s: %d sentences, %d of them for columns that are there", x.name(), len(says.columns), used)
		}
	}
	for name := range exportSays {
		if !seen[name] {
			t.Errorf("a sentence for %s, which is not exported", name)
		}
	}
	return b.String()
}
