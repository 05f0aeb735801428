package app

import "rapport/event"

// flow says which contexts hear which event: the whole conversation between
// contexts at a glance. It binds nobody; a test compares it with what each
// context asks the relay for and with the cases of its handle.go. A type that is
// not here is for the record and for tracing.
var flow = map[event.Type][]string{
	event.AgentCreated{}.EventType():        {"chat", "feedback", "gateway", "learning"},
	event.AgentUpdated{}.EventType():        {"chat", "feedback", "gateway", "learning"},
	event.AgentTransferred{}.EventType():    {"chat", "feedback", "gateway", "learning"},
	event.AgentRetired{}.EventType():        {"agent", "chat", "feedback", "gateway", "learning"},
	event.AgentInvited{}.EventType():        {"feedback", "learning"},
	event.PolicyProposed{}.EventType():      {"agent", "learning"},
	event.PolicyRefused{}.EventType():       {"learning"},
	event.UpdateRefused{}.EventType():       {"learning"},
	event.ExplorationUpdated{}.EventType():  {"gateway"},
	event.ParametersAdopted{}.EventType():   {"learning"},
	event.GuardChanged{}.EventType():        {"learning"},
	event.RelationshipUpdated{}.EventType(): {"feedback"},

	event.RoomJoined{}.EventType():      {"gateway"},
	event.MessageCreated{}.EventType():  {"feedback", "gateway"},
	event.MessageEdited{}.EventType():   {"feedback"},
	event.MessageDeleted{}.EventType():  {"feedback"},
	event.ReactionAdded{}.EventType():   {"feedback"},
	event.ReactionRemoved{}.EventType(): {"feedback"},
	event.SessionStarted{}.EventType():  {"feedback"},
	event.SessionEnded{}.EventType():    {"agent", "feedback", "gateway", "learning"},
	event.PersonForgotten{}.EventType(): {"learning"},

	event.ReplyGenerated{}.EventType():    {"feedback", "learning"},
	event.FeedbackCreated{}.EventType():   {"gateway", "learning"},
	event.FeedbackRetracted{}.EventType(): {"learning"},

	event.AccountCreated{}.EventType():    {"agent", "feedback"},
	event.AccountErased{}.EventType():     {"agent", "chat", "feedback", "gateway"},
	event.ProtectionChanged{}.EventType(): {"chat", "feedback"},
	event.ReputationUpdated{}.EventType(): {"feedback"},
	event.PointsSpent{}.EventType():       {"agent", "chat", "gateway"},
	event.RulesPublished{}.EventType():    {"gateway"},
}
