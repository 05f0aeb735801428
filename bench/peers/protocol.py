"""The line protocol of docs/simulate.md, for learners in Python."""
import json
import sys


def reward(signals, place):
    """The classic fixed weights, in [-1, 1]; None when nothing was said."""
    total, said = 0.0, False
    for s in signals:
        source, value = s["source"], s["value"]
        if source == "owner_rating":
            v = value
        elif source == "owner_thumb":
            v = 0.8 if value > 0 else -1.0
        elif source in ("guest_thumb", "review"):
            v = 0.5 * value
        elif source == "implicit" and value > 0.75:
            v = 0.5 if place.endswith("room") else 0.3
        elif source == "implicit" and value < 0.5:
            v = -0.4
        else:
            continue
        total, said = total + v, True
    return max(-1.0, min(1.0, total)) if said else None


# offset, slope and noise of what each source says of satisfaction
LOADINGS = {
    "owner_rating": (0, 1, 0.12),
    "owner_thumb": (0, 1, 0.5),
    "guest_thumb": (0, 0.8, 0.7),
    "implicit": (0.65, 0.06, 0.022),
    "review": (0, 0.8, 0.25),
}


def fused(signals):
    """What the signals say together, weighed by their noise, and the weight of
    that: 1 is an owner's rating. (None, 0) when nothing was said."""
    num = pi = 0.0
    for s in signals:
        if s["source"] in LOADINGS:
            a, b, v = LOADINGS[s["source"]]
            num, pi = num + b * (s["value"] - a) / v, pi + b * b / v
    if pi == 0:
        return None, 0.0
    return max(-2.5, min(2.5, num / pi)), (0.05 + 0.12) / (0.05 + 1 / pi)


def play(make):
    """Plays what make(hello) gives: an object with act(agent, session) -> (x, policy)
    and learn(agent, session, x, reward, signals)."""
    learner, places = None, {}
    for line in sys.stdin:
        message = json.loads(line)
        if "act" in message:
            a = message["act"]
            places[a["agent"], a["session"]] = a["place"]
            x, policy = learner.act(a["agent"], a["session"])
            print(json.dumps({"x": list(map(float, x)), "policy": list(map(float, policy))}), flush=True)
        elif "learn" in message:
            l = message["learn"]
            r = reward(l["signals"], places.pop((l["agent"], l["session"])))
            learner.learn(l["agent"], l["session"], l["x"], r, l["signals"])
        elif "hello" in message:
            learner = make(message["hello"])


def options(**defaults):
    """Numbers given as name=value on the command line, over the defaults."""
    for arg in sys.argv[1:]:
        name, value = arg.split("=")
        if name not in defaults:
            sys.exit(f"there is no option {name}, only {', '.join(defaults)}")
        defaults[name] = float(value)
    return defaults
