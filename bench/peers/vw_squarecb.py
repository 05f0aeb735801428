"""Vowpal Wabbit's contextual bandit with action-dependent features and SquareCB
exploration: 17 arms around the policy, each trait up or down or stay, described by
the z and z² they lead to. The policy takes a step towards an arm that is likely
enough to be the best."""
import random

import vowpalwabbit

from protocol import options, play

o = options(rate=2.0, reach=0.3, step=0.02, gamma=30.0)


def arms(theta, reach):
    yield list(theta)
    for j in range(8):
        for d in (reach, -reach):
            x = list(theta)
            x[j] = min(1, max(0, x[j] + d))
            yield x


def features(x):
    z = [2 * v - 1 for v in x]
    return " ".join(f"{i}:{v:.4f}" for i, v in enumerate(z + [v * v for v in z]))


class Learner:
    def __init__(self, hello):
        self.theta = [list(s) for s in hello["starts"]]
        self.random = random.Random(hello["seed"])
        self.tried = [{} for _ in self.theta]
        self.vw = [
            vowpalwabbit.Workspace(f"--quiet -b 10 -l {o['rate']} --cb_explore_adf --squarecb --gamma_scale {o['gamma']} --cb_type mtr")
            for _ in self.theta
        ]

    def act(self, agent, session):
        theta = self.theta[agent]
        xs = list(arms(theta, o["reach"]))
        lines = ["| " + features(x) for x in xs]
        chances = self.vw[agent].predict(lines)
        k = self.random.choices(range(len(xs)), chances)[0]
        self.tried[agent][session] = (lines, k, chances[k])
        return xs[k], theta

    def learn(self, agent, session, x, reward, signals):
        if reward is None:
            return
        lines, k, chance = self.tried[agent].pop(session)
        lines[k] = f"0:{-reward:.4f}:{chance:.4f} {lines[k]}"
        self.vw[agent].learn(lines)
        theta = self.theta[agent]
        near = list(arms(theta, o["reach"]))
        chances = self.vw[agent].predict(["| " + features(x) for x in near])
        best = max(range(len(near)), key=lambda i: chances[i])
        if best > 0:
            j, d = (best - 1) // 2, o["step"] if best % 2 else -o["step"]
            theta[j] = min(1, max(0, theta[j] + d))


if __name__ == "__main__":
    play(Learner)
