"""MABWiser's LinUCB (or LinTS) over 17 arms around the policy, each trait up or
down or stay, with the policy's z as the context of every arm. The policy takes a
step in the direction of an arm whose expectation is the best."""
import sys

from mabwiser.mab import MAB, LearningPolicy

from protocol import play

o = {"kind": "linucb", "alpha": 0.5, "l2": 1.0, "reach": 0.3, "step": 0.015}
for arg in sys.argv[1:]:
    name, value = arg.split("=")
    o[name] = value if name == "kind" else float(value)


class Learner:
    def __init__(self, hello):
        self.theta = [list(s) for s in hello["starts"]]
        self.tried = [{} for _ in self.theta]
        kind = {"linucb": LearningPolicy.LinUCB, "lints": LearningPolicy.LinTS}[o["kind"]]
        self.mabs = []
        for i, theta in enumerate(self.theta):
            mab = MAB(list(range(17)), kind(alpha=o["alpha"], l2_lambda=o["l2"]), seed=(hello["seed"] + i) % 2**31)
            mab.fit([0], [0.0], [self.context(theta)])
            self.mabs.append(mab)

    @staticmethod
    def context(theta):
        return [1.0] + [2 * v - 1 for v in theta]

    @staticmethod
    def moved(theta, k, d):
        x = list(theta)
        if k > 0:
            j = (k - 1) // 2
            x[j] = min(1, max(0, x[j] + (d if k % 2 else -d)))
        return x

    def act(self, agent, session):
        theta = self.theta[agent]
        k = self.mabs[agent].predict([self.context(theta)])
        self.tried[agent][session] = (k, self.context(theta))
        return self.moved(theta, k, o["reach"]), theta

    def learn(self, agent, session, x, reward, signals):
        if reward is None:
            return
        k, context = self.tried[agent].pop(session)
        self.mabs[agent].partial_fit([k], [reward], [context])
        values = self.mabs[agent].predict_expectations([self.context(self.theta[agent])])
        best = max(values, key=values.get)
        self.theta[agent] = self.moved(self.theta[agent], best, o["step"])


if __name__ == "__main__":
    play(Learner)
