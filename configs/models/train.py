"""Trains the small models of `configs/`: `fraud.json` and the two that
are asked beside it in `graphs.yaml` on a set that scikit-learn makes, `iris.json` on its irises. Written
with xgboost 3.2.0 and scikit-learn 1.9.1; the same versions write the same bytes."""
import hashlib, json, pathlib
import numpy as np, xgboost
from sklearn import datasets

HERE = pathlib.Path(__file__).parent


def train(name, x, y, rounds, **how):
    matrix = xgboost.DMatrix(x.astype(np.float32), label=y)
    model = xgboost.train({"max_depth": 3, "eta": 0.3, "seed": 7, "nthread": 1, **how}, matrix, num_boost_round=rounds)
    path = HERE / f"{name}.json"
    model.save_model(path)
    accuracy = (predicted(model, matrix) == y).mean()
    print(f"{name}: {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}, right {accuracy:.3f}")
    print(f"  first row {x[0].tolist()} -> {model.predict(matrix)[0]}")


def predicted(model, matrix):
    scores = model.predict(matrix)
    return scores.argmax(axis=1) if scores.ndim > 1 else scores > 0.5


# Amounts, hours and distances, of which the last two say together what is fraud; one in ten is.
x, y = datasets.make_classification(n_samples=2000, n_features=3, n_informative=3, n_redundant=0, n_clusters_per_class=2,
                                    weights=[0.9], flip_y=0.01, class_sep=1.2, random_state=7)
train("fraud", x.round(4), y, 30, objective="binary:logistic")
train("fraud_shallow", x.round(4), y, 12, objective="binary:logistic", max_depth=2)
train("fraud_second", x.round(4), y, 8, objective="binary:logistic", seed=11, subsample=0.5)
x, y = datasets.load_iris(return_X_y=True)
train("iris", x, y, 6, objective="multi:softprob", num_class=3)
