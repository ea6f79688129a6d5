"""Makes training.csv and expected.json of this folder: profiles of columns as numpy sees them (numpy 2)."""

import csv
import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
ROWS = 1500
dice = np.random.default_rng(20261123)

amount = np.round(dice.lognormal(3, 1, ROWS), 2)
amount[dice.random(ROWS) < 0.4] = 0.0
age = dice.integers(18, 90, ROWS)
score = dice.normal(0, 1e6, ROWS)
grade = dice.integers(1, 6, ROWS)
city = dice.choice(["Bern", "Ulm, Donau", 'the "Hague"', "Łódź"], ROWS, p=[0.5, 0.25, 0.2, 0.05])
holes = dice.random(ROWS) < 0.1

with (HERE / "training.csv").open("w", newline="") as file:
    out = csv.writer(file)
    out.writerow(["amount", "age", "score", "grade", "city"])
    for i in range(ROWS):
        kept = "" if holes[i] else repr(float(score[i]))
        out.writerow([repr(float(amount[i])), int(age[i]), kept, int(grade[i]), str(city[i])])


def numeric(x):
    x = np.sort(x.astype(float))
    bins = min(256, len(x))
    to = np.unique(np.quantile(x, np.arange(1, bins + 1) / bins, method="inverted_cdf"))
    ends = np.searchsorted(x, to, side="right")
    starts = np.concatenate([[0], ends[:-1]])
    return {
        "count": len(x),
        "missing": ROWS - len(x),
        "min": x[0],
        "max": x[-1],
        "mean": x.mean(),
        "m2": ((x - x.mean()) ** 2).sum(),
        "to": to.tolist(),
        "counts": (ends - starts).tolist(),
        "sums": [x[a:b].sum() for a, b in zip(starts, ends)],
    }


def categorical(x):
    values, counts = np.unique(x.astype(str), return_counts=True)
    found = sorted(zip(counts.tolist(), values.tolist()), key=lambda it: (-it[0], it[1]))
    return {"count": ROWS, "missing": 0, "categories": [[value, count] for count, value in found]}


expected = {
    "numpy": np.__version__,
    "numeric": {"amount": numeric(amount), "age": numeric(age), "score": numeric(score[~holes])},
    "categorical": {"grade": categorical(grade), "city": categorical(city)},
}
(HERE / "expected.json").write_text(json.dumps(expected, indent=0, ensure_ascii=False) + "\n")
