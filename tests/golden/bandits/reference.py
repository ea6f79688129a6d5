#!/usr/bin/env python3
"""Textbook bandits on simulated worlds: what `gateway/route/tests/simulated.rs` is held to.

    python3 tests/golden/bandits/reference.py > tests/golden/bandits/expected.json

Beta-Bernoulli Thompson sampling, normal-inverse-gamma Thompson sampling and UCB1 as the textbooks have them (Russo, Van Roy,
Kazerouni, Osband, Wen: A tutorial on Thompson sampling, 2018; Auer, Cesa-Bianchi, Fischer 2002), each by drawing from
posteriors where our program reckons probabilities. The reward of an arm at a round is a function of the seed, the round and
the arm, so both see the same worlds. Regret is the sum of what the best arm's mean is above that of the arm taken.
"""
import json
import math
import random
import sys

MASK = (1 << 64) - 1
SEEDS = int(sys.argv[1]) if len(sys.argv) > 1 else 1000


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def unit(seed, t, arm, nth):
    return (mix(seed ^ mix(t * 256 + arm * 4 + nth)) >> 11) * 2.0 ** -53


def reward(world, seed, t, arm):
    mean = world["means"][arm]
    if world["kind"] == "boolean":
        return 1.0 if unit(seed, t, arm, 0) < mean else 0.0
    radius = math.sqrt(-2.0 * math.log(1.0 - unit(seed, t, arm, 0)))
    return mean + radius * math.cos(2.0 * math.pi * unit(seed, t, arm, 1))


class Arms:
    def __init__(self, count):
        self.n, self.sum, self.squares = [0] * count, [0.0] * count, [0.0] * count

    def add(self, arm, value):
        self.n[arm] += 1
        self.sum[arm] += value
        self.squares[arm] += value * value

    def frozen(self):
        other = Arms(len(self.n))
        other.n, other.sum, other.squares = self.n[:], self.sum[:], self.squares[:]
        return other


def largest(scores, chance):
    most = max(scores)
    best = [arm for arm, score in enumerate(scores) if score == most]
    return best[0] if len(best) == 1 else chance.choice(best)


def thompson_boolean(arms, chance):
    return largest([chance.betavariate(1 + s, 1 + n - s) for n, s in zip(arms.n, arms.sum)], chance)


def thompson_number(arms, chance):
    total, whole = sum(arms.n), sum(arms.sum)
    squares = sum(arms.squares)
    scatter = squares - whole * whole / total if total else 0.0
    if scatter <= squares * 1e-12:
        return chance.randrange(len(arms.n))
    prior, spread = whole / total, scatter / total
    draws = []
    for n, s, q in zip(arms.n, arms.sum, arms.squares):
        mean = s / n if n else prior
        own = max(q - s * s / n, 0.0) if n else 0.0
        centre, alpha = (prior + s) / (1 + n), 1 + n / 2
        beta = spread + own / 2 + n * (mean - prior) ** 2 / (2 * (1 + n))
        variance = beta / chance.gammavariate(alpha, 1.0)
        draws.append(chance.gauss(centre, math.sqrt(variance / (1 + n))))
    return largest(draws, chance)


def ucb1(arms, chance):
    total = max(sum(arms.n), 1)
    bounds = [s / n + math.sqrt(2 * math.log(total) / n) if n else math.inf for n, s in zip(arms.n, arms.sum)]
    return largest(bounds, chance)


RULES = {"thompson_boolean": thompson_boolean, "thompson_number": thompson_number, "ucb1": ucb1}

WORLDS = {
    "two": {"kind": "boolean", "means": [0.5, 0.7]},
    "three": {"kind": "boolean", "means": [0.3, 0.5, 0.6]},
    "eight": {"kind": "boolean", "means": [0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.7]},
    "numbers": {"kind": "number", "means": [0.0, 0.5]},
}

# explore and min_share as configured; batch: rewards in a state.
RUNS = [
    {"name": "thompson, pure", "rule": "thompson_boolean", "world": "two", "rounds": 250, "batch": 1},
    {"name": "thompson of numbers, pure", "rule": "thompson_number", "world": "numbers", "rounds": 250, "batch": 1},
    {"name": "ucb1, pure", "rule": "ucb1", "world": "three", "rounds": 2000, "batch": 1},
    {"name": "thompson, as by default", "rule": "thompson_boolean", "world": "eight", "rounds": 1500, "batch": 50, "min_share": 0.01},
    {"name": "thompson of numbers, as by default", "rule": "thompson_number", "world": "numbers", "rounds": 1500, "batch": 50, "min_share": 0.01},
    {"name": "ucb1, as by default", "rule": "ucb1", "world": "three", "rounds": 2000, "batch": 50, "explore": 0.02, "min_share": 0.01},
]


def regret(run, seed):
    world, rule = WORLDS[run["world"]], RULES[run["rule"]]
    count, best = len(world["means"]), max(world["means"])
    even = run.get("min_share", 0.0) * count
    even += (1 - even) * run.get("explore", 0.0)
    chance = random.Random(seed * 7919 + 17)
    arms = Arms(count)
    state, lost = arms.frozen(), 0.0
    for t in range(run["rounds"]):
        arm = chance.randrange(count) if chance.random() < even else rule(state, chance)
        arms.add(arm, reward(world, seed, t, arm))
        if (t + 1) % run["batch"] == 0:
            state = arms.frozen()
        lost += best - world["means"][arm]
    return lost


def main():
    runs = []
    for run in RUNS:
        lost = [regret(run, seed) for seed in range(SEEDS)]
        mean = sum(lost) / SEEDS
        error = math.sqrt(sum((one - mean) ** 2 for one in lost) / (SEEDS - 1) / SEEDS)
        print(run["name"], round(mean, 3), round(error, 3), file=sys.stderr)
        world = WORLDS[run["world"]]
        runs.append({"explore": 0.0, "min_share": 0.0} | run | world | {"regret": mean, "standard_error": error})
    json.dump({"seeds": SEEDS, "runs": runs}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
