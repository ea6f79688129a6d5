"""Trains small XGBoost and LightGBM models on scikit-learn's sets and writes each with rows, what the library predicts
for them and their SHAP values: `trees.json`, and the models beside it. Run it with xgboost, lightgbm, shap and
scikit-learn installed; the versions stand in `trees.json`."""
import json, pathlib
import lightgbm, numpy as np, shap, sklearn, xgboost
from sklearn import datasets

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(7)
ROWS = 8
CASES = []
UBJ = {"xgb_categories"}


def data(name, missing=0.0, zeros=0.0):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = x.astype(np.float32).astype(np.float64)
    x[RNG.random(x.shape) < missing] = np.nan
    x[RNG.random(x.shape) < zeros] = 0.0
    order = RNG.permutation(len(x))
    return x[order], y[order]


def shown(values):
    """Numbers to 9 digits, which tells any f32 and is enough for 1e-5; missing is null."""
    values = np.asarray(values, dtype=np.float64)
    return [None if np.isnan(v) else float(f"{v:.9g}") for v in values.reshape(-1)]


def case(name, file, x, predict, label, contributions, shap_rows=4, exact=False):
    rows = x[:ROWS]
    features = [[None if np.isnan(v) else float(v) for v in row] for row in rows]
    CASES.append({
        "name": name, "model": file, "rows": features,
        "predict": shown(predict(rows)), "label": None if label is None else [int(v) for v in label(rows)],
        "contributions": None if contributions is None else shown(contributions(rows[:shap_rows])), "explained": shap_rows,
    })


def rounded(tree):
    """What no prediction needs is left out of the file, to keep it small."""
    for key in ("base_weights", "loss_changes", "parents"):
        tree.pop(key, None)


def slim(path):
    model = json.loads(path.read_text())
    booster = model["learner"]["gradient_booster"]
    for tree in (booster.get("gbtree") or booster)["model"]["trees"]:
        rounded(tree)
    path.write_text(json.dumps(model, separators=(",", ":")))


def xgb(name, x, y, label=None, rounds=8, categorical=None, early=None, **params):
    kinds = None if categorical is None else ["c" if i in categorical else "q" for i in range(x.shape[1])]
    matrix = lambda x: xgboost.DMatrix(x, feature_types=kinds, enable_categorical=kinds is not None)
    cut = len(x) * 3 // 4
    more = {}
    if early:
        more = {"evals": [(xgboost.DMatrix(x[cut:], y[cut:]), "test")], "early_stopping_rounds": early, "verbose_eval": False}
    train = xgboost.DMatrix(x[:cut], y[:cut], feature_types=kinds, enable_categorical=kinds is not None)
    booster = xgboost.train({"max_depth": 3, "nthread": 1, "seed": 3, **params}, train, rounds, **more)
    path = HERE / f"{name}.json"
    booster.save_model(path)
    again = xgboost.Booster(model_file=path)
    if name in UBJ:
        booster.save_model(HERE / f"{name}.ubj")
    slim(path)
    best = (0, booster.best_iteration + 1) if early else (0, 0)
    predict = lambda rows: again.predict(matrix(rows), iteration_range=best)
    by_library = lambda rows: again.predict(matrix(rows), iteration_range=best, pred_contribs=True)

    def contributions(rows):
        if name == "xgb_binary":  # once by the package `shap` itself
            explainer = shap.TreeExplainer(again, feature_perturbation="tree_path_dependent")
            values = np.asarray(explainer.shap_values(rows))
            return np.concatenate([values, np.full((len(rows), 1), float(np.ravel(explainer.expected_value)[0]))], axis=1)
        return by_library(rows)

    case(name, path.name, x, predict, label and (lambda rows: label(predict(rows))), contributions)


def lgb(name, x, y, label=None, rounds=8, categorical="auto", **params):
    train = lightgbm.Dataset(x, y, categorical_feature=categorical, params={"verbose": -1, "min_data_in_leaf": 5})
    booster = lightgbm.train({"num_leaves": 7, "verbose": -1, "num_threads": 1, "seed": 3, "min_data_in_leaf": 5, **params}, train, rounds)
    path = HERE / f"{name}.txt"
    booster.save_model(path)
    text = path.read_text().split("\nfeature_importances:")[0] + "\n"
    path.write_text(text)
    again = lightgbm.Booster(model_file=path)

    def contributions(rows):
        if name == "lgb_binary":
            explainer = shap.TreeExplainer(again, feature_perturbation="tree_path_dependent")
            values = np.asarray(explainer.shap_values(rows))
            return np.concatenate([values, np.full((len(rows), 1), float(np.ravel(explainer.expected_value)[-1]))], axis=1)
        return again.predict(rows, pred_contrib=True)

    forest = params.get("boosting") == "rf"
    case(name, path.name, x, again.predict, label and (lambda rows: label(again.predict(rows))), None if forest else contributions)


above = lambda p: p > 0.5
argmax = lambda p: np.argmax(p, axis=1)

x, y = data("breast_cancer", missing=0.1)
xgb("xgb_binary", x, y, above, objective="binary:logistic")
lgb("lgb_binary", x, y, above, objective="binary", sigmoid=0.7)
x, y = data("breast_cancer")
xgb("xgb_early", x, y, above, rounds=40, early=2, objective="binary:logistic", eta=1.0, num_parallel_tree=2, subsample=0.7)
xgb("xgb_hinge", x, y, above, rounds=4, objective="binary:hinge")
xgb("xgb_raw", x, y, None, rounds=4, objective="binary:logitraw")
lgb("lgb_forest", x, y, above, objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.6)
x, y = data("iris", missing=0.05)
xgb("xgb_softprob", x, y, argmax, rounds=4, objective="multi:softprob", num_class=3)
lgb("lgb_ova", x, y, argmax, rounds=4, objective="multiclassova", num_class=3, sigmoid=1.3)
x, y = data("wine")
xgb("xgb_dart_softmax", x, y, lambda p: p, rounds=5, objective="multi:softmax", num_class=3, booster="dart", rate_drop=0.5)
lgb("lgb_multiclass", x, y, argmax, rounds=4, objective="multiclass", num_class=3, use_missing=False)
x, y = data("diabetes", missing=0.02)
xgb("xgb_squared", x, y, None, rounds=10, objective="reg:squarederror")
xgb("xgb_poisson", x, y, None, objective="count:poisson", base_score=150.0)
xgb("xgb_gamma", x, y, None, rounds=4, objective="reg:gamma")
lgb("lgb_squared", x, y, None, rounds=10, objective="regression")
lgb("lgb_root", x, y, None, rounds=4, objective="regression", reg_sqrt=True)
lgb("lgb_tweedie", x, y, None, rounds=4, objective="tweedie")
lgb("lgb_dart", x, y, None, rounds=6, objective="regression_l1", boosting="dart", drop_rate=0.5)
x, y = data("digits", missing=0.05, zeros=0.2)
lgb("lgb_zero_missing", x, y == 3, above, objective="binary", zero_as_missing=True)
xgb("xgb_digits", x, y, argmax, rounds=2, objective="multi:softprob", num_class=10)
# Categories: those that no training row had, negative ones and missing ones are among the rows.
x = np.column_stack([RNG.integers(0, 40, 600), RNG.normal(size=600), RNG.integers(0, 5, 600)]).astype(np.float64)
y = ((x[:, 0] % 7 < 3) ^ (x[:, 1] > 0.3) ^ (x[:, 2] == 2)).astype(float)
x[RNG.random(600) < 0.05, 0] = np.nan
train = x.copy()
xgb("xgb_categories", train, y, above, objective="binary:logistic", categorical=[0, 2], tree_method="hist", max_cat_to_onehot=1)
xgb("xgb_one_hot", train, y, above, rounds=4, objective="binary:logistic", categorical=[0, 2], tree_method="hist", max_cat_to_onehot=100)
x[0, 0], x[1, 0], x[2, 0], x[3, 2] = 77, np.nan, 10_000, 9
lgb("lgb_categories", train, y, above, objective="binary", categorical=[0, 2])
CASES[-1]["rows"] = [[None if np.isnan(v) else float(v) for v in row] for row in x[:ROWS]]
again = lightgbm.Booster(model_file=HERE / "lgb_categories.txt")
CASES[-1]["predict"] = shown(again.predict(x[:ROWS]))
CASES[-1]["label"] = [int(v) for v in above(again.predict(x[:ROWS]))]
CASES[-1]["contributions"] = shown(again.predict(x[:4], pred_contrib=True))

versions = {m.__name__: m.__version__ for m in (xgboost, lightgbm, shap, sklearn, np)}
with open(HERE / "trees.json", "w") as file:
    file.write('{"libraries": %s, "cases": [\n' % json.dumps(versions))
    file.write(",\n".join(json.dumps(case, separators=(",", ":")) for case in CASES))
    file.write("\n]}\n")
