package app

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"

	"rapport/app/door"
	"rapport/feedback/asking"
	"rapport/internal/fault"
)

// Setting is one thing that can be configured: by a flag of the same name where
// there is one, else by the environment (RAPPORT_ and the key in capitals, dots
// as underscores), else by rapport.yaml in the data directory, else Default.
type Setting struct {
	Key     string
	Default any
	Doc     string
	Secret  bool // shown as set or not set only
}

// Settings lists everything that can be configured, by key.
func Settings() []Setting {
	s := []Setting{
		{Key: "data", Default: "rapport-data", Doc: "directory that holds everything; made with mode 0700 when absent"},
		{Key: "listen", Default: "127.0.0.1:8080", Doc: "address to serve on; port 0 picks a free one. Listening beyond loopback needs this to be said"},
		{Key: "log.level", Default: "warn", Doc: "debug, info, warn or error; logs go to standard error"},
		{Key: "feedback.ask_budget", Default: 6, Doc: "prompts in any seven days across all agents of a person who did not say how many, 0 to 28"},
		{Key: "feedback.ask_quiet", Default: "168h", Doc: "without feedback on an agent, until its owner can be asked how it is doing"},
		{Key: "feedback.ask_rest", Default: "24h", Doc: "between two prompts about an agent, and between feedback on it and a prompt"},
		{Key: "feedback.window", Default: "336h", Doc: "how long after a decision feedback on it still counts"},
		{Key: "gateway.workers", Default: 8, Doc: "replies that are made at the same time"},
		{Key: "ingest.discord_key", Default: "", Doc: "public key of the Discord application whose interactions are taken at /v1/ingest/discord, hexadecimal"},
		{Key: "ingest.slack_key", Default: "", Doc: "what the Slack app signs with whose payloads are taken at /v1/ingest/slack; better in the environment than in a file", Secret: true},
		{Key: "ingest.telegram_key", Default: "", Doc: "the word that was given to setWebhook, of the Telegram bot whose updates are taken at /v1/ingest/telegram; better in the environment than in a file", Secret: true},
		{Key: "kafka.brokers", Default: "", Doc: "brokers of Kafka or Redpanda as host:port, separated by commas; some of them are enough; the flag is --kafka. Empty: the log is in the data directory"},
		{Key: "kafka.prefix", Default: "rapport.", Doc: "of the names of topics and groups on Kafka; other prefixes are other logs"},
		{Key: "kafka.tls", Default: false, Doc: "encrypt the way to the brokers, and hold their certificates to those this machine trusts"},
		{Key: "kafka.user", Default: "", Doc: "user at the brokers: by SCRAM, with kafka.tls also PLAIN; empty for none"},
		{Key: "kafka.password", Default: "", Doc: "password of kafka.user; better in the environment than in a file", Secret: true},
		{Key: "kafka.partitions", Default: 8, Doc: "partitions of the topics that are made at the first start, and so how many processes can share a reader's work; never changed later"},
		{Key: "kafka.replication", Default: 0, Doc: "copies of those topics; 0 for what the brokers do by default, 3 where losing a machine must lose nothing"},
		{Key: "learning.jobs", Default: "24h", Doc: "how often it is learned from all agents together, from midnight UTC on; 0 for only when `rapport jobs run` says so"},
		{Key: "postgres", Default: "", Doc: "a PostgreSQL database for everything but the log, as postgres://USER:PASSWORD@HOST/DATABASE, instead of files in the data directory; its texts in byte order (locale C); better in the environment than in the flag --postgres", Secret: true},
		{Key: "gateway.agent_cost", Default: 0.0, Doc: "what one agent may cost in a day, in the unit of provider.prices; 0 for no limit"},
		{Key: "gateway.agent_tokens", Default: 0, Doc: "tokens that one agent may use in a day (UTC), prompts and replies together; 0 for no limit"},
		{Key: "gateway.owner_cost", Default: 0.0, Doc: "what all agents of one owner may cost in a day, in the unit of provider.prices; 0 for no limit"},
		{Key: "gateway.owner_tokens", Default: 0, Doc: "tokens that all agents of one owner may use in a day (UTC); 0 for no limit"},
		{Key: "gateway.patience", Default: "180s", Doc: "for one reply, with everything that is tried for it"},
		{Key: "gateway.rules_every", Default: "0s", Doc: "how often a model is asked for other mapping rules, as a proposal that an operator decides on, as 168h; 0 for only when `rapport rules refresh` says so"},
		{Key: "gateway.rules_model", Default: "", Doc: "model that is asked for them; empty: the provider's own"},
		{Key: "gateway.rules_provider", Default: "", Doc: "who is asked for them, where it is not who replies: openai, anthropic or gemini, with the key in the environment"},
		{Key: "provider.archetypes", Default: "", Doc: "models of archetypes, before the ordinary one and after what an agent's owner named, as mentor=my-lora,muse=anthropic/claude-haiku-5-5; a model alone is one of the first provider"},
		{Key: "provider.base_url", Default: "", Doc: "address of a model server up to its version, as https://api.openai.com/v1; without it and provider.vendor the environment's keys, then local servers, then the offline demo are tried"},
		{Key: "provider.key", Default: "", Doc: "key for provider.base_url; better in the environment than in a file", Secret: true},
		{Key: "provider.model", Default: "", Doc: "model to ask for; openai, anthropic and gemini have one of their own"},
		{Key: "provider.prices", Default: "", Doc: "what a million tokens of a prompt and of a reply cost, by the beginning of the model's name, as gpt-6-luna=0.10/0.50,claude-haiku=0.10/0.50; what is not there costs nothing"},
		{Key: "provider.vendor", Default: "", Doc: "whose language the server speaks: openai, anthropic, gemini, ollama, vllm, llama.cpp or compatible; empty: as provider.base_url says. The first three need no provider.base_url, and no provider.key when theirs is in the environment"},
		{Key: "provider.offline", Default: false, Doc: "use the built-in offline demo, which is not an AI model, whatever else is there"},
	}
	s = append(s, communitySettings()...)
	s = append(s, moderationSettings()...)
	sort.Slice(s, func(i, j int) bool { return s[i].Key < s[j].Key })
	return s
}

// Config is the effective configuration.
type Config struct {
	Data    string `koanf:"data"`
	Listen  string `koanf:"listen"`
	LogConf struct {
		Level string `koanf:"level"`
	} `koanf:"log"`
	Feedback struct {
		Window    time.Duration `koanf:"window"`
		AskBudget int           `koanf:"ask_budget"`
		AskQuiet  time.Duration `koanf:"ask_quiet"`
		AskRest   time.Duration `koanf:"ask_rest"`
	} `koanf:"feedback"`
	Ingest struct {
		DiscordKey  string `koanf:"discord_key"`
		SlackKey    string `koanf:"slack_key"`
		TelegramKey string `koanf:"telegram_key"`
	} `koanf:"ingest"`
	Gateway struct {
		Workers     int           `koanf:"workers"`
		Patience    time.Duration `koanf:"patience"`
		OwnerTokens int64         `koanf:"owner_tokens"`
		AgentTokens int64         `koanf:"agent_tokens"`
		OwnerCost   float64       `koanf:"owner_cost"`
		AgentCost   float64       `koanf:"agent_cost"`
		RulesEvery  time.Duration `koanf:"rules_every"`
		RulesModel  string        `koanf:"rules_model"`
		RulesFrom   string        `koanf:"rules_provider"`
	} `koanf:"gateway"`
	Learning struct {
		Jobs time.Duration `koanf:"jobs"`
	} `koanf:"learning"`
	Kafka struct {
		Brokers     string `koanf:"brokers"`
		Prefix      string `koanf:"prefix"`
		TLS         bool   `koanf:"tls"`
		User        string `koanf:"user"`
		Password    string `koanf:"password"`
		Partitions  int    `koanf:"partitions"`
		Replication int    `koanf:"replication"`
	} `koanf:"kafka"`
	community  `koanf:",squash"`
	moderation `koanf:",squash"`

	Postgres string `koanf:"postgres"`
	Provider struct {
		BaseURL string `koanf:"base_url"`
		Key     string `koanf:"key"`
		Model   string `koanf:"model"`
		Vendor  string `koanf:"vendor"`
		Prices  string `koanf:"prices"`
		Special string `koanf:"archetypes"`
		Offline bool   `koanf:"offline"`
	} `koanf:"provider"`

	// Clock is the time everything is stamped with; nil for the real one. The
	// demo runs weeks in seconds with it.
	Clock func() time.Time `koanf:"-"`

	// Unknown are names in the environment that begin like a setting's and are
	// none. They are ignored: orchestrators put such names there for a service
	// called rapport.
	Unknown []string `koanf:"-"`

	origin map[string]string
}

const envPrefix = "RAPPORT_"

// LoadConfig merges defaults, file, environment and flags, the later winning.
// Errors name the setting: invalid_setting, unknown_setting.
func LoadConfig(flags map[string]any) (Config, error) {
	k := koanf.New(".")
	origin := map[string]string{}
	known := map[string]Setting{}
	defaults := map[string]any{}
	for _, s := range Settings() {
		known[s.Key], defaults[s.Key], origin[s.Key] = s, s.Default, "default"
	}
	if err := k.Load(confmap.Provider(defaults, "."), nil); err != nil {
		return Config{}, err
	}
	layer := func(name string, load func(*koanf.Koanf) error) error {
		l := koanf.New(".")
		if err := load(l); err != nil {
			return fault.New(fault.Invalid, "invalid_setting", "Settings from %s cannot be read.", name).Because(err)
		}
		for _, key := range l.Keys() {
			if _, ok := known[key]; !ok {
				return fault.New(fault.Invalid, "unknown_setting", "There is no setting %q (from %s). `rapport config` lists them.", key, name)
			}
			origin[key] = name
		}
		return k.Merge(l)
	}
	var unknown []string
	fromEnv := func(l *koanf.Koanf) error {
		return l.Load(env.ProviderWithValue(envPrefix, ".", func(name, value string) (string, any) {
			key := envKey(name, known)
			if key == "" {
				unknown = append(unknown, name)
				return "", nil
			}
			return key, value
		}), nil)
	}
	dataDir := defaults["data"].(string)
	if v := os.Getenv(envPrefix + "DATA"); v != "" {
		dataDir = v
	}
	if v, ok := flags["data"].(string); ok && v != "" {
		dataDir = v
	}
	path := filepath.Join(dataDir, "rapport.yaml")
	if _, err := os.Stat(path); err == nil {
		if err := layer(path, func(l *koanf.Koanf) error { return l.Load(file.Provider(path), yaml.Parser()) }); err != nil {
			return Config{}, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Config{}, fault.New(fault.Invalid, "invalid_setting", "%s cannot be read; make it readable, or name another directory with --data.", path).Because(err)
	}
	if err := layer("the environment", fromEnv); err != nil {
		return Config{}, err
	}
	if err := layer("a flag", func(l *koanf.Koanf) error { return l.Load(confmap.Provider(flags, "."), nil) }); err != nil {
		return Config{}, err
	}
	sort.Strings(unknown)
	c := Config{origin: origin, Unknown: unknown}
	if err := k.Unmarshal("", &c); err != nil {
		return Config{}, fault.New(fault.Invalid, "invalid_setting", "A setting has the wrong form: %v.", err)
	}
	return c, c.check()
}

func envKey(name string, known map[string]Setting) string {
	want := strings.TrimPrefix(name, envPrefix)
	for key := range known {
		if strings.ToUpper(strings.ReplaceAll(key, ".", "_")) == want {
			return key
		}
	}
	return ""
}

func (c Config) check() error {
	bad := func(key, why string, args ...any) error {
		return fault.New(fault.Invalid, "invalid_setting", "The setting %s (from %s) %s.", key, c.origin[key], fmt.Sprintf(why, args...))
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return bad("listen", "is %q; write host:port, as 127.0.0.1:8080", c.Listen)
	}
	switch c.LogConf.Level {
	case "debug", "info", "warn", "error":
	default:
		return bad("log.level", "is %q; use debug, info, warn or error", c.LogConf.Level)
	}
	if key, err := hex.DecodeString(c.Ingest.DiscordKey); err != nil || len(key) != 0 && len(key) != ed25519.PublicKeySize {
		return bad("ingest.discord_key", "is no key; copy the application's public key, 64 hexadecimal digits")
	}
	if c.Feedback.Window < time.Minute {
		return bad("feedback.window", "is %v; use at least 1m", c.Feedback.Window)
	}
	if b := c.Feedback.AskBudget; b < 0 || b > asking.MaxBudget {
		return bad("feedback.ask_budget", "is %d; use 0 to %d", b, asking.MaxBudget)
	}
	for key, d := range map[string]time.Duration{"feedback.ask_rest": c.Feedback.AskRest, "feedback.ask_quiet": c.Feedback.AskQuiet} {
		if d < time.Hour || d > 365*24*time.Hour {
			return bad(key, "is %v; use 1h to 8760h", d)
		}
	}
	for key, v := range c.community.values() {
		if v < 0 || v > 1e9 {
			return bad(key, "is %d; use 0 to 1,000,000,000", v)
		}
	}
	if j := c.Learning.Jobs; j != 0 && j < time.Minute {
		return bad("learning.jobs", "is %v; use at least 1m, or 0 for never", j)
	}
	if c.Gateway.Workers < 1 || c.Gateway.Workers > 1024 {
		return bad("gateway.workers", "is %d; use 1 to 1024", c.Gateway.Workers)
	}
	if e := c.Gateway.RulesEvery; e != 0 && e < time.Hour {
		return bad("gateway.rules_every", "is %v; use at least 1h, or 0 for never", e)
	}
	if err := c.moderation.check(bad); err != nil {
		return err
	}
	if err := c.checkModels(bad); err != nil {
		return err
	}
	if k := c.Kafka; k.Brokers != "" {
		for _, addr := range strings.Split(k.Brokers, ",") {
			if _, _, err := net.SplitHostPort(addr); err != nil {
				return bad("kafka.brokers", "has %q; write host:port,host:port", addr)
			}
		}
		if len(k.Prefix) > 100 || strings.Trim(k.Prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			return bad("kafka.prefix", "is %q; use up to 100 letters, digits, dots, dashes and underscores", k.Prefix)
		}
		if k.Partitions < 1 || k.Partitions > 1000 {
			return bad("kafka.partitions", "is %d; use 1 to 1000", k.Partitions)
		}
		if k.Replication < 0 || k.Replication > 100 {
			return bad("kafka.replication", "is %d; use 0 to 100", k.Replication)
		}
		if (k.User == "") != (k.Password == "") {
			return bad("kafka.user", "and kafka.password belong together; set both or none")
		}
	}
	return nil
}

// keys are what other platforms sign with.
func (c Config) keys() door.Keys {
	return door.Keys{Slack: c.Ingest.SlackKey, Discord: c.Ingest.DiscordKey, Telegram: c.Ingest.TelegramKey, Clock: c.Clock}
}

// asking is when people are asked.
func (c Config) asking() *asking.Rules {
	r := asking.Defaults()
	r.Budget, r.Rest, r.Quiet = c.Feedback.AskBudget, c.Feedback.AskRest.Microseconds(), c.Feedback.AskQuiet.Microseconds()
	return &r
}

// Effective is one setting as it is in force.
type Effective struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
	Doc    string `json:"doc"`
}

// Effective lists every setting with its value and where that came from.
// Secrets are shown as set or not set.
func (c Config) Effective() []Effective {
	values := map[string]any{
		"data": c.Data, "listen": c.Listen, "log.level": c.LogConf.Level,
		"feedback.window": c.Feedback.Window.String(), "feedback.ask_budget": c.Feedback.AskBudget, "feedback.ask_quiet": c.Feedback.AskQuiet.String(), "feedback.ask_rest": c.Feedback.AskRest.String(), "gateway.workers": c.Gateway.Workers, "gateway.patience": c.Gateway.Patience.String(),
		"gateway.owner_tokens": c.Gateway.OwnerTokens, "gateway.agent_tokens": c.Gateway.AgentTokens, "gateway.owner_cost": c.Gateway.OwnerCost, "gateway.agent_cost": c.Gateway.AgentCost, "gateway.rules_every": c.Gateway.RulesEvery.String(), "gateway.rules_model": c.Gateway.RulesModel, "gateway.rules_provider": c.Gateway.RulesFrom, "learning.jobs": c.Learning.Jobs.String(), "postgres": c.Postgres,
		"ingest.discord_key": c.Ingest.DiscordKey, "ingest.slack_key": c.Ingest.SlackKey, "ingest.telegram_key": c.Ingest.TelegramKey,
		"kafka.brokers": c.Kafka.Brokers, "kafka.prefix": c.Kafka.Prefix, "kafka.tls": c.Kafka.TLS, "kafka.user": c.Kafka.User, "kafka.password": c.Kafka.Password,
		"kafka.partitions": c.Kafka.Partitions, "kafka.replication": c.Kafka.Replication,
		"provider.base_url": c.Provider.BaseURL, "provider.key": c.Provider.Key, "provider.model": c.Provider.Model, "provider.offline": c.Provider.Offline,
		"provider.vendor": c.Provider.Vendor, "provider.prices": c.Provider.Prices, "provider.archetypes": c.Provider.Special,
	}
	maps.Copy(values, c.moderation.values())
	for key, v := range c.community.values() {
		values[key] = v
	}
	var out []Effective
	for _, s := range Settings() {
		v := values[s.Key]
		if s.Secret {
			v = map[bool]string{true: "set", false: "not set"}[v != ""]
		}
		out = append(out, Effective{s.Key, v, c.origin[s.Key], s.Doc})
	}
	return out
}
