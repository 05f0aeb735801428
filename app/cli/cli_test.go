package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rapport/app"
	"rapport/feedback"
	"rapport/internal/httpapi"
)

func TestMain(m *testing.M) {
	for _, e := range os.Environ() { // what the machine is set to is no part of these tests
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "RAPPORT_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("RAPPORT_PROVIDER_OFFLINE", "true")
	os.Setenv("RAPPORT_LISTEN", "127.0.0.1:0")
	os.Exit(m.Run())
}

// ran is what a command did.
type ran struct {
	code     int
	out, err string
}

func command(in string, args ...string) ran {
	var out, errOut bytes.Buffer
	code := Main(args, strings.NewReader(in), &out, &errOut)
	return ran{code, out.String(), errOut.String()}
}

// must runs a command that is not refused.
func must(t *testing.T, in string, args ...string) ran {
	t.Helper()
	r := command(in, args...)
	if r.code != 0 {
		t.Fatalf("rapport %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r
}

// names of all commands, from the declaration itself.
func names() (out []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[commands]()) {
		if _, is := f.Tag.Lookup("cmd"); !is {
			continue
		}
		name := f.Tag.Get("name")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		out = append(out, name)
	}
	return out
}

func TestHelp(t *testing.T) {
	t.Parallel()
	all := names()
	if len(all) < 13 || !slices.Contains(all, "dead-letters") {
		t.Fatalf("commands: %v", all)
	}
	r := must(t, "", "--help")
	for _, name := range all {
		if !strings.Contains(r.out, "\n  "+name+" ") {
			t.Errorf("the help does not list %s:\n%s", name, r.out)
		}
		one := must(t, "", name, "--help")
		if !strings.Contains(one.out, "Usage: rapport "+name) && name != "serve" || !strings.Contains(one.out, "--data") || !strings.Contains(one.out, "--json") {
			t.Errorf("rapport %s --help:\n%s", name, one.out)
		}
	}
	for _, first := range []string{"rapport chat luna", "rapport explain luna", "rapport demo"} {
		if !strings.Contains(r.out, first) {
			t.Errorf("the help does not begin with %q", first)
		}
	}
	for _, button := range []string{"/funnier", "/shorter", "/more-formal", "/rate LEVEL", "/why", "/undo"} {
		if help := (chatCmd{}).Help(); !strings.Contains(help, button) {
			t.Errorf("the chat's help does not have %s:\n%s", button, help)
		}
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"version", 0, ""},
		{"--help", 0, ""},
		{"frobnicate", 2, "--help"},
		{"--frobnicate", 2, "--help"},
		{"chat", 2, "<agent>"},
		{"trace", 2, "<event>"},
		{"import", 2, "<files>"},
		{"import " + filepath.Join(dir, "nothing.jsonl"), 2, "nothing.jsonl"},
		{"demo --sessions many", 2, "sessions"},
		{"compile nobody --data " + dir, 1, "no such agent"},
		{"explain nobody --data " + dir, 1, "no such agent"},
		{"evaluate nobody --data " + dir, 1, "no such agent"},
		{"evaluate nobody --archetype --data " + dir, 1, "5 people"},
		{"trace nothing --data " + dir, 1, "No event"},
		{"jobs run dream --data " + dir, 1, "no job"},
		{"dead-letters --replay learning/x --data " + dir, 1, "dead letter"},
		{"backup " + full + " --data " + dir, 1, "not empty"},
		{"restore " + dir + " --data " + full, 1, "not empty"},
		{"restore " + full + " --data " + filepath.Join(dir, "new"), 1, "no backup"},
		{"import " + filepath.Join(full, "x") + " --data " + dir, 1, "x"},
		{"serve --listen nowhere --data " + dir, 1, "host:port"},
		{"serve --listen " + busy.Addr().String() + " --data " + dir, 1, "--listen"},
	} {
		r := command("", strings.Fields(c.args)...)
		if r.code != c.code || !strings.Contains(r.err, c.says) {
			t.Errorf("rapport %s: exit %d, says %q; want %d and %q", c.args, r.code, r.err, c.code, c.says)
		}
		if c.code != 0 && (!strings.HasPrefix(r.err, "rapport: ") || r.out != "") {
			t.Errorf("rapport %s: out %q, err %q", c.args, r.out, r.err)
		}
	}
	r := command("", "--json", "compile", "nobody", "--data", dir)
	var p httpapi.Problem
	if err := json.Unmarshal([]byte(r.err), &p); err != nil || p.Code != "agent_unknown" || r.code != 1 {
		t.Errorf("a refusal as JSON: exit %d, %q", r.code, r.err)
	}
}

// lived is a directory in which a small world has lived, and a decision of it.
func lived(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	must(t, "", "demo", "--once", "--sessions", "3", "--agents", "2", "--people", "4", "--data", dir)
	return dir
}

// exported is an export by file, without the operators' acts: to export is one.
func exported(t *testing.T, data string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	must(t, "", "export", dir, "--data", data)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[f.Name()] = string(b)
	}
	delete(out, "account.operator_acts.ndjson")
	return out
}

func TestALivedWorld(t *testing.T) {
	t.Parallel()
	dir := lived(t)
	r := must(t, "", "rebuild", "--check", "--data", dir)
	if strings.Contains(r.out, "DIFFERS") || strings.Count(r.out, "equal") < 15 {
		t.Errorf("after a demo:\n%s", r.out)
	}
	if r := must(t, "", "dead-letters", "--data", dir); r.out != "no dead letters\n" {
		t.Errorf("after a demo: %s", r.out)
	}
	before := exported(t, dir)
	for _, file := range []string{"events.ndjson", "chat.messages.ndjson", "feedback.feedback_events.ndjson", "gateway.decisions.ndjson"} {
		if strings.Count(before[file], "\n") < 3 {
			t.Errorf("%s has %d lines", file, strings.Count(before[file], "\n"))
		}
	}
	for file, text := range before {
		for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if line != "" && !json.Valid([]byte(line)) {
				t.Fatalf("%s line %d is no JSON: %s", file, n+1, line)
			}
		}
		for _, secret := range []string{"exploration.updated", "argon2", `"password"`, `"hash"`} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", file, secret)
			}
		}
	}

	// Backup and restore give the same again; so does replaying the log for real.
	backup, again := filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "again")
	must(t, "", "backup", backup, "--data", dir)
	must(t, "", "restore", backup, "--data", again)
	if diff := cmp.Diff(before, exported(t, again)); diff != "" {
		t.Errorf("the restored directory exports otherwise (-before +after):\n%.3000s", diff)
	}
	must(t, "", "rebuild", "--data", again)
	if diff := cmp.Diff(before, exported(t, again)); diff != "" {
		t.Errorf("the rebuilt directory exports otherwise (-before +after):\n%.3000s", diff)
	}
	if r := must(t, "", "rebuild", "--check", "--data", again); strings.Contains(r.out, "DIFFERS") {
		t.Errorf("restored:\n%s", r.out)
	}

	// What reports also reports to programs.
	talk := command("Hello!\n/shorter\nHello again!\n/up\n/why\n/quit\n", "--json", "chat", "nova", "--data", dir)
	docs := documents(t, talk.out)
	if talk.code != 0 || len(docs) != 5 {
		t.Fatalf("a talk as JSON: exit %d, %d documents\n%s%s", talk.code, len(docs), talk.out, talk.err)
	}
	decision := fmt.Sprint(docs[0]["decisionId"])
	for _, args := range []string{"compile nova", "compile nova --x humor=0.9 --where groupSmall", "explain nova", "jobs", "jobs run", "jobs run refit", "archetypes", "evaluate nova", "evaluate nova --trait humor=0.55 --trait brevity=0.5", "trace " + decision, "dead-letters", "rebuild --check", "config", "version",
		"export " + t.TempDir(), "backup " + filepath.Join(t.TempDir(), "c"), "restore " + backup + " --data " + filepath.Join(t.TempDir(), "d")} {
		words := strings.Fields(args)
		if words[0] != "restore" {
			words = append(words, "--data", dir)
		}
		r := must(t, "", append(slices.Clone(words), "--json")...)
		var v any
		if err := json.Unmarshal([]byte(r.out), &v); err != nil || v == nil {
			t.Errorf("rapport %s --json: %v\n%s", args, err, r.out)
		}
		if words[0] == "backup" || words[0] == "restore" {
			continue // once: nothing is written over
		}
		if text := must(t, "", words...); text.out == "" || json.Valid([]byte(text.out)) {
			t.Errorf("rapport %s: %s", args, text.out)
		}
	}
}

// documents reads JSON documents that follow each other.
func documents(t *testing.T, text string) (out []map[string]any) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v map[string]any
		if err := d.Decode(&v); err == io.EOF {
			return out
		} else if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		out = append(out, v)
	}
}

func TestChat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := must(t, strings.Join([]string{
		"/up", "What should I do on a rainy evening?", "/shorter", "And on a sunny one?", "/why", "/up", "/more", "/rate loved", "/rate splendid", "/dance", "/undo", "/help", "/end", "", "Good night", "/quit", "never said",
	}, "\n"), "chat", "luna", "--data", dir)
	for _, says := range []string{
		"luna is new: made for you",
		"Say something first",
		"\nyou> luna> ",
		"shorter: brevity +0.15 for the rest of this session",
		"you asked for it: brevity 0.",
		"·   says Brevity ",
		"up: counts towards what luna believes about you",
		"loved: counts",
		"value of a session must be one of loved, good, meh, not_great",
		"There is no /dance",
		"/rate LEVEL",
		"session ended",
	} {
		if !strings.Contains(r.out, says) {
			t.Errorf("the talk lacks %q:\n%s", says, r.out)
		}
	}
	if strings.Contains(r.out, "never said") || strings.Count(r.out, "luna> ") < 3 {
		t.Errorf("the talk:\n%s", r.out)
	}
	// She is still there, and the end of the input is the end of the talk.
	again := must(t, "Hello again", "chat", "luna", "--data", dir)
	if strings.Contains(again.out, "is new") || !strings.Contains(again.out, "luna> ") {
		t.Errorf("the next talk:\n%s", again.out)
	}
	why := must(t, "", "feedback", "why", "me", "luna", "--data", dir)
	for _, says := range []string{"after the talk", "no. ", "intensity normal: 2 a week about luna", "budget 6 a week", "none yet"} {
		if !strings.Contains(why.out, says) {
			t.Errorf("feedback why does not say %q:\n%s", says, why.out)
		}
	}
	var told feedback.Why
	if err := json.Unmarshal([]byte(must(t, "", "feedback", "why", "me", "luna", "--json", "--data", dir).out), &told); err != nil || told.Intensity != "normal" || told.AfterSession.Why == "" {
		t.Errorf("%+v %v", told, err)
	}
	for _, bad := range [][]string{{"nobody", "luna"}, {"me", "nobody"}} {
		if r := command("", "feedback", "why", bad[0], bad[1], "--data", dir); r.code != 1 || !strings.Contains(r.err, "There is no such") {
			t.Errorf("%v: exit %d %s", bad, r.code, r.err)
		}
	}
	if e := must(t, "", "explain", "luna", "--data", dir); !strings.Contains(e.out, "tone") || !strings.Contains(e.out, "by you") {
		t.Errorf("explained:\n%s", e.out)
	}
}

func TestImportTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "dialogues.jsonl")
	const lines = `{"split":"dev","set":"CIC_115","id":"C1","turns":[{"s":"S","u":"Hello.","a":[["r1","O"],["r2","O"]]},{"s":"U","u":"Hi there","a":[]},{"s":"S","u":"What do you like?","a":[["r1","O"],["r2","X"]]}]}
not json
{"split":"dev","set":"CIC_115","id":"C2","turns":[{"s":"S","u":"Good day.","a":[["r1","T"],["r3","X"]]}]}
`
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func() (fates map[string]int) {
		t.Helper()
		var done struct {
			Counts struct{ Conversations, Messages, Labels, Bad int }
			Fates  map[string]int
		}
		r := must(t, "", "--json", "import", file, "--data", dir)
		if err := json.Unmarshal([]byte(r.out), &done); err != nil {
			t.Fatalf("%v in %s", err, r.out)
		}
		if c := done.Counts; c.Conversations != 2 || c.Messages != 4 || c.Labels != 6 || c.Bad != 1 {
			t.Errorf("counts %+v", c)
		}
		return done.Fates
	}
	first := read()
	if first["accepted"]+first["waiting"] == 0 || first["refused"]+first["duplicate"] != 0 {
		t.Errorf("the first time: %v", first)
	}
	before := exported(t, dir)
	if strings.Count(before["feedback.feedback_events.ndjson"], "\n") < 6 {
		t.Errorf("feedback:\n%s", before["feedback.feedback_events.ndjson"])
	}
	second := read()
	if len(second) != 1 || second["duplicate"] == 0 {
		t.Errorf("the second time: %v", second)
	}
	if diff := cmp.Diff(before, exported(t, dir)); diff != "" {
		t.Errorf("the second import changed something (-before +after):\n%.3000s", diff)
	}
	rejects, err := os.ReadFile(filepath.Join(dir, "import-rejects.ndjson"))
	if err != nil || !strings.Contains(string(rejects), `"line":2`) {
		t.Errorf("rejects: %v %s", err, rejects)
	}
}

// TestConfig is not parallel: it sets the environment.
func TestConfig(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rapport.yaml"), []byte("log:\n  level: error\ngateway:\n  workers: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RAPPORT_GATEWAY_WORKERS", "5")
	t.Setenv("RAPPORT_PROVIDER_KEY", "sk-very-secret")
	t.Setenv("RAPPORT_LISTN", "127.0.0.1:1")
	r := must(t, "", "config", "--json", "--data", dir, "--listen", "127.0.0.1:9")
	var list []app.Effective
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range list {
		got[e.Key] = fmt.Sprint(e.Value, " from ", e.Origin)
	}
	want := map[string]string{
		"data": dir + " from a flag", "listen": "127.0.0.1:9 from a flag", "log.level": "error from " + filepath.Join(dir, "rapport.yaml"), "gateway.workers": "5 from the environment",
		"provider.key": "set from the environment", "provider.offline": "true from the environment",
	}
	for _, s := range app.Settings() {
		if want[s.Key] == "" {
			want[s.Key] = got[s.Key]
			if !strings.HasSuffix(got[s.Key], " from default") || s.Secret && got[s.Key] != "not set from default" {
				t.Errorf("%s: %s", s.Key, got[s.Key])
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	text := must(t, "", "config", "--data", dir)
	for key := range maps.Keys(want) {
		if !strings.Contains(text.out, key) {
			t.Errorf("rapport config does not list %s", key)
		}
	}
	if strings.Contains(text.out+text.err+r.out+r.err, "very-secret") {
		t.Error("a secret is shown")
	}
	// A name that is no setting may be somebody else's: it is ignored, and said.
	if !strings.Contains(text.err, "RAPPORT_LISTN") || strings.Contains(text.err, "RAPPORT_GATEWAY_WORKERS") {
		t.Errorf("rapport config says of names that are no settings: %q", text.err)
	}
	for _, c := range [][2]string{{"RAPPORT_LOG_LEVEL", "loud"}, {"RAPPORT_GATEWAY_WORKERS", "many"}, {"RAPPORT_FEEDBACK_WINDOW", "a while"}, {"RAPPORT_FEEDBACK_WINDOW", "1s"}, {"RAPPORT_FEEDBACK_ASK_BUDGET", "29"}, {"RAPPORT_FEEDBACK_ASK_REST", "1m"}, {"RAPPORT_LISTEN", "8080"}} {
		t.Run(c[0]+" "+c[1], func(t *testing.T) {
			t.Setenv(c[0], c[1])
			if r := command("", "config", "--data", dir); r.code != 1 || !strings.Contains(r.err, "setting") {
				t.Errorf("exit %d: %s", r.code, r.err)
			}
		})
	}
}

// TestBesideAServer: commands speak to the server that runs on the directory, and
// do without when only its note is left.
func TestBesideAServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, err := app.LoadConfig(map[string]any{"data": dir})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if r := command("", "compile", "luna", "--data", dir); r.code != 1 || !strings.Contains(r.err, "--data") {
		t.Errorf("a directory that another process holds without serving: exit %d %s", r.code, r.err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	must(t, "Hello", "chat", "luna", "--data", dir)
	if r := must(t, "", "compile", "luna", "--data", dir); !strings.Contains(r.out, "Brevity") {
		t.Errorf("compiled:\n%s", r.out)
	}
	if r := command("", "demo", "--once", "--data", dir); r.code != 1 || !strings.Contains(r.err, "--data") {
		t.Errorf("a demo on a directory in use: exit %d %s", r.code, r.err)
	}
	if r := command("", "restore", dir, "--data", dir); r.code != 1 {
		t.Errorf("restoring onto itself: exit %d", r.code)
	}
	note, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run.json"), note, 0o600); err != nil { // as after a kill
		t.Fatal(err)
	}
	if r := must(t, "", "compile", "luna", "--data", dir); !strings.Contains(r.out, "Brevity") {
		t.Errorf("compiled without a server:\n%s", r.out)
	}
}
