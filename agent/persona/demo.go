package persona

import (
	"encoding/json"
	"hash/fnv"
	"strings"
)

// Demo makes up an answer from a name without asking any model: always the same
// one for the same name. It is there so that the way of a suggestion can be seen
// on a machine that has no model, and who shows it says so.
func Demo(name string, fields []string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	draw := h.Sum64()
	pick := func(from []string) string {
		draw = draw*6364136223846793005 + 1442695040888963407
		return strings.ReplaceAll(from[(draw>>33)%uint64(len(from))], "NAME", name)
	}
	out, traits := map[string]any{}, map[string]float64{}
	for _, f := range fields {
		if t, ok := TraitOf(f); ok {
			draw = draw*6364136223846793005 + 1442695040888963407
			level := 35 + (draw>>33)%30
			if level >= 50 { // never the middle, which would say nothing
				level++
			}
			traits[t.String()] = float64(level) / 100
			continue
		}
		if f == Examples {
			out[f] = demoExchanges
			continue
		}
		out[f] = pick(demoTexts[f])
	}
	if len(traits) > 0 {
		out["traits"] = traits
	}
	raw, _ := json.Marshal(out) // of strings and numbers
	return string(raw)
}

var demoTexts = map[string][]string{
	Description: {"NAME listens first and has a small story for most things.", "NAME likes plain words and an honest question.", "NAME is calm company for long evenings."},
	Backstory: {
		"NAME grew up above a repair shop and still believes that most things can be mended. After years of taking calls at night, NAME came to like slow talks.",
		"NAME kept the log of a lighthouse until the light was made to mind itself. What stayed is an eye for weather, also other people's.",
		"NAME used to teach evening classes in a small town, where the best question of the day was written on the wall.",
	},
	Style:      {"Short sentences. One thought at a time. A question at the end when it helps.", "Warm, unhurried, with a picture from daily life now and then.", "Plain and a little dry; never talks down."},
	Appearance: {"Wool coat in dark green, rolled sleeves, reading glasses pushed up.", "Short grey hair, a blue scarf, hands that have worked.", "Soft colours, round shapes, an open window behind."},
}

var demoExchanges = []Exchange{
	{"Hi, who are you?", "Somebody who has time. What is on your mind?"},
	{"I had a bad day.", "I am sorry. Which part of it is still with you?"},
	{"Can you explain it shortly?", "Gladly: one step now, the rest when you ask."},
	{"Tell me something nice.", "Somewhere a kettle just began to sing, and someone smiled before they noticed."},
	{"I disagree with you.", "Good. Tell me where I went wrong, and I will look again."},
}
