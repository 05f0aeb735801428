package card

// Extension is the member of a card's extensions that is ours.
const Extension = "rapport"

// LearnedFormat is the format of Learned.
const LearnedFormat = 1

// Learned is what Rapport adds to a card: what the agent is like by now and how
// it came to be so. It holds no feedback, nothing of what was believed about the
// person who raised it, and nothing that variations are drawn from.
type Learned struct {
	Format      int                `json:"format"`
	Description string             `json:"description,omitempty"` // for everybody
	Appearance  string             `json:"appearance,omitempty"`
	Traits      map[string]float64 `json:"traits"` // levels in force, by trait, [0,1]
	Start       map[string]float64 `json:"start"`  // the owner's start
	Version     int64              `json:"version"`
	Versions    []Version          `json:"versions,omitempty"` // the newest 50, newest first
}

// Version is one step of how the levels came about.
type Version struct {
	Version int64              `json:"version"`
	At      int64              `json:"at"`   // microseconds UTC
	By      string             `json:"by"`   // owner, learning or platform
	Kind    string             `json:"kind"` // created, learned, edited …
	Moved   map[string]float64 `json:"moved,omitempty"`
}

// Edit is what changes in a card that is written; nil fields stay as they are.
type Edit struct {
	Name, Description, Personality, Scenario, Greeting, Examples *string
	Openings                                                     *[]string
	Learned                                                      *Learned
}

// New gives a card of version 3 that holds nothing.
func New() Card {
	f := Fields{}
	data := []byte("{}")
	for _, t := range f.texts() {
		if t.key != "nickname" {
			data = set(data, t.key, []byte(`""`))
		}
	}
	for _, key := range []string{"alternate_greetings", "tags", "group_only_greetings"} {
		data = set(data, key, []byte("[]"))
	}
	data = set(data, "extensions", []byte("{}"))
	raw := set(set([]byte("{}"), "spec", quote(specNames[3])), "spec_version", quote("3.0"))
	return Card{Container: InJSON, Spec: 3, JSON: set(raw, "data", data)}
}

// Change gives the JSON of the card with an edit. Everything that the edit does
// not name is there as it was written: unknown fields, other extensions, order,
// spelling of numbers. A card of version 1 becomes one of version 2: it gets spec
// and data, and its own members stay where they are beside them, for readers of
// version 1.
func (c Card) Change(e Edit) []byte {
	raw, data := c.JSON, c.data()
	for _, f := range []struct {
		key string
		v   *string
	}{{"name", e.Name}, {"description", e.Description}, {"personality", e.Personality}, {"scenario", e.Scenario}, {"first_mes", e.Greeting}, {"mes_example", e.Examples}} {
		if f.v == nil {
			continue
		}
		data = set(data, f.key, quote(*f.v))
		if find(raw, f.key) != nil { // the copy for readers of version 1
			raw = set(raw, f.key, quote(*f.v))
		}
	}
	if e.Openings != nil {
		data = set(data, "alternate_greetings", quote(append([]string{}, *e.Openings...)))
	}
	if e.Learned != nil {
		ext := find(data, "extensions")
		if ext == nil || blank(ext) {
			ext = []byte("{}")
		}
		data = set(data, "extensions", set(ext, Extension, quote(e.Learned)))
	}
	if c.Spec == 1 {
		raw = set(set(raw, "spec", quote(specNames[2])), "spec_version", quote("2.0"))
	}
	return set(raw, "data", data)
}

// data is the object of the fields, for a card of version 1 the one it becomes.
func (c Card) data() []byte {
	if c.Spec > 1 {
		return find(c.JSON, "data")
	}
	fresh, old := find(New().JSON, "data"), object(c.JSON)
	for _, key := range known {
		if v := old[key]; v != nil {
			fresh = set(fresh, key, v)
		}
	}
	return fresh
}

// known are the members of a card that have a meaning in every version after the
// first.
var known = []string{"name", "description", "personality", "scenario", "first_mes", "mes_example", "creator_notes", "system_prompt",
	"post_history_instructions", "alternate_greetings", "character_book", "tags", "creator", "character_version", "extensions", "nickname"}

// As gives the JSON of a card as another specification, 2 or 3, names it: only
// spec and spec_version change, and version 3 has the list of greetings for groups
// that it asks for.
func As(spec int, raw []byte) []byte {
	raw = set(set(raw, "spec", quote(specNames[spec])), "spec_version", quote(map[int]string{2: "2.0", 3: "3.0"}[spec]))
	if data := find(raw, "data"); spec == 3 && find(data, "group_only_greetings") == nil {
		raw = set(raw, "data", set(data, "group_only_greetings", []byte("[]")))
	}
	return raw
}
