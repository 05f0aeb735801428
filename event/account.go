package event

func init() {
	register[AccountCreated]("account", TopicPeople, "a person exists")
	register[AccountErased]("account", TopicPeople, "a person was erased; every context drops what it holds of them")
	register[ProtectionChanged]("account", TopicPeople, "a person is protected until a time; the reason never leaves account")
}

// AccountCreated: a person exists. Ids only.
type AccountCreated struct {
	PersonID PersonID `json:"personId"`
}

// AccountErased: a person was erased.
type AccountErased struct {
	PersonID PersonID `json:"personId"`
}

// ProtectionChanged: a person is protected (a minor, a crisis) until a time.
type ProtectionChanged struct {
	PersonID  PersonID `json:"personId"`
	Protected bool     `json:"protected"`
	Until     Micros   `json:"until,omitempty"` // 0 for no end
}

func (AccountCreated) EventType() Type    { return "account.created" }
func (AccountErased) EventType() Type     { return "account.erased" }
func (ProtectionChanged) EventType() Type { return "account.protection.changed" }

func (e AccountCreated) Key() string    { return string(e.PersonID) }
func (e AccountErased) Key() string     { return string(e.PersonID) }
func (e ProtectionChanged) Key() string { return string(e.PersonID) }
