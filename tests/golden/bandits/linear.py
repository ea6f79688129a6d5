#!/usr/bin/env python3
"""Textbook bandits with features: what the linear learners of `gateway/route` are held to.

    python3 tests/golden/bandits/linear.py > tests/golden/bandits/linear.json

`cases`: ridge regressions in exact fractions, around the mean of all arms' rewards, with the bounds and the probabilities that
they lead to. `runs`: the regret of LinUCB (Li, Chu, Langford, Schapire 2010, disjoint models) and of linear Thompson sampling
(Agrawal, Goyal 2013) on simulated worlds, with an inverse kept by the formula of Sherman and Morrison, where our program
factors sums, and with one draw for each decision, where our program counts those of a state. The score of a drawn theta is
itself normal, so it is drawn at once. Worlds are those of `reference.py`, with a mean that depends on the features.
"""
import json
import math
import random
import sys
from fractions import Fraction

from reference import SEEDS, unit

# Exact cases.


def solve(matrix, columns):
    """matrix^-1 columns, by Gauss and Jordan."""
    size = len(matrix)
    rows = [list(matrix[i]) + [column[i] for column in columns] for i in range(size)]
    for i in range(size):
        pivot = next(k for k in range(i, size) if rows[k][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [number / rows[i][i] for number in rows[i]]
        for k in range(size):
            if k != i and rows[k][i] != 0:
                factor = rows[k][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i])]
    return [[rows[i][size + c] for i in range(size)] for c in range(len(columns))]


def dot(x, y):
    return sum(a * b for a, b in zip(x, y))


def case(name, arms, features, rewards, asked):
    exact = [(arm, [Fraction(1)] + [Fraction(f) for f in x], Fraction(r)) for arm, x, r in rewards]
    asked_exact = [[Fraction(1)] + [Fraction(f) for f in x] for x in asked]
    size, n = features + 1, len(exact)
    centre = sum(r for _, _, r in exact) / n
    variance = sum((r - centre) ** 2 for _, _, r in exact) / n
    freedom, residual = 2 + n, 2 * variance
    thetas, spreads = [], []
    for arm in range(arms):
        own = [(x, r - centre) for a, x, r in exact if a == arm]
        matrix = [[sum(x[i] * x[j] for x, _ in own) + (i == j) for j in range(size)] for i in range(size)]
        b = [sum((x[i] * r for x, r in own), Fraction(0)) for i in range(size)]
        theta, *solved = solve(matrix, [b] + asked_exact)
        residual += sum(r * r for _, r in own) - dot(theta, b)
        thetas.append(theta)
        spreads.append([dot(x, s) for x, s in zip(asked_exact, solved)])
    noise = residual / freedom
    means = [[float(dot(theta, x)) for theta in thetas] for x in asked_exact]
    quadratics = [[float(spreads[arm][at]) for arm in range(arms)] for at in range(len(asked))]
    return {
        "name": name, "features": features, "arms": arms, "rewards": rewards, "asked": asked,
        "theta": [[float(number) for number in theta] for theta in thetas], "noise": float(noise),
        "means": means, "quadratics": quadratics,
        "best": [best(m, [math.sqrt(float(noise) * q) for q in qs]) for m, qs in zip(means, quadratics)],
    }


def best(means, deviations):
    """The probability of each of some normal numbers to be the largest, by a fine grid."""
    low = min(m - 9 * d for m, d in zip(means, deviations))
    high = max(m + 9 * d for m, d in zip(means, deviations))
    count = 20000
    below = lambda z: 0.5 * math.erfc(-z / math.sqrt(2))
    out = [0.0] * len(means)
    for k in range(count):
        x = low + (high - low) * (k + 0.5) / count
        for i, (m, d) in enumerate(zip(means, deviations)):
            z = (x - m) / d
            if abs(z) < 9:
                others = math.prod(below((x - n) / e) for j, (n, e) in enumerate(zip(means, deviations)) if j != i)
                out[i] += math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / d * (high - low) / count * others
    assert abs(sum(out) - 1) < 1e-6, out
    return out


def cases():
    chance = random.Random(20)
    number = lambda: chance.randrange(-256, 257) / 256
    out = []
    for name, arms, features, count, value in [
        ("booleans", 2, 2, 14, lambda arm, x: float(chance.random() < 0.5 + 0.4 * x[0] * (1 if arm else -1))),
        ("numbers far from 0", 3, 5, 45, lambda arm, x: 300 + round(256 * (x[arm] + chance.gauss(0, 0.5))) / 256),
        ("an arm without rewards", 3, 1, 9, lambda arm, x: round(256 * (arm + x[0] + chance.gauss(0, 1))) / 256),
    ]:
        arms_used = 2 if "without" in name else arms
        rewards = []
        for at in range(count):
            arm, x = at % arms_used, [number() for _ in range(features)]
            rewards.append([arm, x, value(arm, x)])
        out.append(case(name, arms, features, rewards, [[number() for _ in range(features)] for _ in range(3)]))
    return out


# Simulated worlds.


def features_of(world, seed, t):
    return [1.0] + [2.0 * unit(seed, t, 32 + k, 0) - 1.0 for k in range(len(world["theta"][0]) - 1)]


def reward(world, mean, seed, t, arm):
    if world["kind"] == "boolean":
        return 1.0 if unit(seed, t, arm, 0) < mean else 0.0
    radius = math.sqrt(-2.0 * math.log(1.0 - unit(seed, t, arm, 0)))
    return mean + world["noise"] * radius * math.cos(2.0 * math.pi * unit(seed, t, arm, 1))


class Arm:
    def __init__(self, size):
        self.inverse = [[float(i == j) for j in range(size)] for i in range(size)]
        self.b, self.s = [0.0] * size, [0.0] * size
        self.n, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, x, r):
        u = [dot(row, x) for row in self.inverse]
        d = 1.0 + dot(u, x)
        for row, ui in zip(self.inverse, u):
            factor = ui / d
            for j, uj in enumerate(u):
                row[j] -= factor * uj
        for i, xi in enumerate(x):
            self.b[i] += xi * r
            self.s[i] += xi
        self.n, self.sum, self.squares = self.n + 1, self.sum + r, self.squares + r * r


class State:
    """Estimates of all arms; the noise is None where no two rewards differ."""

    def __init__(self, arms):
        n, whole, squares = sum(a.n for a in arms), sum(a.sum for a in arms), sum(a.squares for a in arms)
        centre = whole / n if n else 0.0
        scatter = squares - whole * centre
        variance = scatter / n if scatter > squares * 1e-12 else None
        residual = 2 * (variance or 0.0)
        self.thetas, self.inverses = [], [[row[:] for row in a.inverse] for a in arms]
        for a in arms:
            b = [bi - centre * si for bi, si in zip(a.b, a.s)]
            theta = [dot(row, b) for row in a.inverse]
            residual += max(a.squares - 2 * centre * a.sum + centre * centre * a.n - dot(theta, b), 0.0)
            self.thetas.append(theta)
        self.noise = None if variance is None else residual / (2 + n)

    def scores(self, x):
        for theta, inverse in zip(self.thetas, self.inverses):
            yield dot(theta, x), math.sqrt(sum(xi * dot(row, x) for xi, row in zip(x, inverse)))


def largest(scores, chance):
    most = max(scores)
    tied = [arm for arm, score in enumerate(scores) if score == most]
    return tied[0] if len(tied) == 1 else chance.choice(tied)


def pick(run, state, x, chance):
    if run["rule"] == "lin_ucb" and run["range"]:
        width = run["alpha"] * (run["range"][1] - run["range"][0])
    elif state.noise is None:
        return chance.randrange(len(state.thetas))
    elif run["rule"] == "lin_ucb":
        width = run["alpha"] * math.sqrt(state.noise)
    else:
        deviation = math.sqrt(state.noise)
        return largest([chance.gauss(mean, deviation * root) for mean, root in state.scores(x)], chance)
    return largest([mean + width * root for mean, root in state.scores(x)], chance)


def regret(run, world, seed):
    count, size = len(world["theta"]), len(world["theta"][0])
    even = run["min_share"] * count
    even += (1 - even) * run["explore"]
    chance = random.Random(seed * 7919 + 17)
    arms = [Arm(size) for _ in range(count)]
    state, lost = State(arms), 0.0
    for t in range(run["rounds"]):
        x = features_of(world, seed, t)
        means = [dot(theta, x) for theta in world["theta"]]
        arm = chance.randrange(count) if chance.random() < even else pick(run, state, x, chance)
        arms[arm].add(x, reward(world, means[arm], seed, t, arm))
        if (t + 1) % run["batch"] == 0:
            state = State(arms)
        lost += max(means) - means[arm]
    return lost


WORLDS = {
    "yes or no": {"kind": "boolean", "noise": 0.0, "theta": [[0.5, 0.3, 0.0, 0.0], [0.5, -0.3, 0.1, 0.0], [0.45, 0.0, 0.0, 0.3]]},
    "far from 0": {"kind": "number", "noise": 2.0, "theta": [[300.0, 1.5, 0.0, 0.0], [300.0, 0.0, 1.5, 0.0], [300.5, -1.0, -1.0, 0.0]]},
}

PURE = {"explore": 0.0, "min_share": 0.0, "batch": 1, "rounds": 400}
BATCH = {"explore": 0.0, "min_share": 0.01, "batch": 50, "rounds": 1000}
UCB = {"rule": "lin_ucb", "alpha": 0.5}
RUNS = [
    PURE | UCB | {"name": "lin_ucb, pure", "world": "yes or no", "range": [0.0, 1.0]},
    PURE | UCB | {"name": "lin_ucb of numbers, pure", "world": "far from 0", "range": None},
    BATCH | UCB | {"name": "lin_ucb, as by default", "world": "yes or no", "range": [0.0, 1.0], "explore": 0.02},
    PURE | {"name": "linear_thompson, pure", "rule": "linear_thompson", "world": "yes or no", "rounds": 150},
    PURE | {"name": "linear_thompson of numbers, pure", "rule": "linear_thompson", "world": "far from 0", "rounds": 150},
    BATCH | {"name": "linear_thompson, as by default", "rule": "linear_thompson", "world": "yes or no"},
]


def main():
    runs = []
    for run in RUNS:
        world = WORLDS[run["world"]]
        lost = [regret(run, world, seed) for seed in range(SEEDS)]
        mean = sum(lost) / SEEDS
        error = math.sqrt(sum((one - mean) ** 2 for one in lost) / (SEEDS - 1) / SEEDS)
        print(run["name"], round(mean, 3), round(error, 3), file=sys.stderr)
        runs.append(run | world | {"regret": mean, "standard_error": error})
    json.dump({"seeds": SEEDS, "cases": cases(), "runs": runs}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
