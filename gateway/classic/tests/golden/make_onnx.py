"""Trains small scikit-learn models on its own sets, exports each by skl2onnx and writes rows with what onnxruntime makes of
them: `onnx.json`, and the models beside it. Run it with scikit-learn, skl2onnx and onnxruntime installed; the versions
stand in `onnx.json`."""
import collections, json, pathlib
import numpy as np, onnx, onnxruntime, skl2onnx, sklearn
import pandas
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import datasets
from sklearn.ensemble import (ExtraTreesRegressor, GradientBoostingClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier,
                              HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor)
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(7)
ROWS = 6
CASES = []
OPERATORS = collections.Counter()


def data(name, missing=0.0):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = x.astype(np.float32)
    x[RNG.random(x.shape) < missing] = np.nan
    order = RNG.permutation(len(x))
    return x[order], y[order]


def shown(values):
    values = np.asarray(values)
    if values.dtype.kind in "OUS":
        return [str(v) for v in values.reshape(-1)]
    return [None if np.isnan(v) else float(f"{float(v):.9g}") for v in values.reshape(-1)]


def written(exported, path):
    """Without what differs from run to run."""
    exported.producer_version, exported.doc_string = "", ""
    opsets = sorted(exported.opset_import, key=lambda opset: opset.domain)
    del exported.opset_import[:]
    exported.opset_import.extend(opsets)
    raw = exported.SerializeToString()
    path.write_bytes(raw)
    return raw


def case(name, model, x, y, zipmap=False, refused=None):
    model.fit(x, y)
    options = {"zipmap": zipmap} if hasattr(model, "classes_") else None
    exported = to_onnx(model, x[:1], options=options, target_opset=18)
    raw = written(exported, HERE / f"{name}.onnx")
    operators = sorted({node.op_type for node in exported.graph.node})
    OPERATORS.update(operators)
    rows = x[:ROWS]
    session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
    outputs = {}
    for meta, value in zip(session.get_outputs(), session.run(None, {session.get_inputs()[0].name: rows})):
        if isinstance(value, list):  # a map for each row
            value = np.array([[row[key] for key in row] for row in value])
        outputs[meta.name] = {"shape": list(value.shape), "values": shown(value)}
    CASES.append({"name": name, "model": f"{name}.onnx", "operators": operators, "columns": x.shape[1],
                  "rows": shown(rows), "outputs": outputs, "refused": refused})


x, y = data("breast_cancer")
case("logistic_binary", make_pipeline(StandardScaler(), LogisticRegression()), x, y, zipmap=True)
case("forest_binary", RandomForestClassifier(5, max_depth=4, random_state=1), x, y)
case("boosting_binary", GradientBoostingClassifier(n_estimators=5, max_depth=3, random_state=1), x, y)
case("mlp_binary", make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=60, random_state=1)), x, y)
x, y = data("breast_cancer", missing=0.1)
case("hist_binary", HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=7), x, y)
case("imputed", make_pipeline(SimpleImputer(strategy="median"), Normalizer(), LogisticRegression()), x, y)
x, y = data("iris")
names = np.array(["setosa", "versicolor", "virginica"])
case("logistic_names", LogisticRegression(), x, names[y], zipmap=True)
case("tree_names", DecisionTreeClassifier(max_depth=3), x, names[y])
case("mlp_classes", make_pipeline(StandardScaler(), MLPClassifier((8, 6), max_iter=200, random_state=1)), x, y)
case("boosting_classes", GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=1), x, y)
case("support_vectors", SVC(), x, y, refused="SVMClassifier")
x, y = data("wine")
case("forest_classes", RandomForestClassifier(5, max_depth=3, random_state=1), x, y, zipmap=True)
case("hist_classes", HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=4), x, y)
x, y = data("diabetes")
case("linear", make_pipeline(MinMaxScaler(), LinearRegression()), x, y)
case("forest_number", RandomForestRegressor(5, max_depth=4, random_state=1), x, y)
case("extra_two", ExtraTreesRegressor(4, max_depth=3, random_state=1), x, np.column_stack([y, -2 * y]))
case("boosting_number", GradientBoostingRegressor(n_estimators=5, max_depth=3, random_state=1), x, y)
case("hist_number", HistGradientBoostingRegressor(max_iter=3, max_leaf_nodes=7), x, y)
case("mlp_number", make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(8,), max_iter=300, random_state=1)), x, y / 100)
x, y = data("digits")
case("binarized", make_pipeline(Binarizer(threshold=7.5), LogisticRegression(max_iter=50)), x, y)

# Columns of texts and numbers, each an input of its own.
columns = {"colour": RNG.choice(["red", "green", "blue"], 300).astype(object), "size": RNG.normal(size=300).astype(np.float32),
           "kind": RNG.integers(1, 4, 300)}
frame = pandas.DataFrame(columns)
y = ((frame.colour == "red") ^ (frame["size"] > 0.3)).astype(int) + (frame.kind == 2)
encode = OneHotEncoder(handle_unknown="ignore")
model = make_pipeline(ColumnTransformer([("texts", encode, ["colour"]), ("kinds", encode, ["kind"]), ("numbers", StandardScaler(), ["size"])]), LogisticRegression()).fit(frame, y)
kinds = [("colour", StringTensorType([None, 1])), ("size", FloatTensorType([None, 1])), ("kind", Int64TensorType([None, 1]))]
exported = to_onnx(model, initial_types=kinds, options={"zipmap": False}, target_opset=18)
raw = written(exported, HERE / "columns.onnx")
frame = frame[:ROWS].copy()
frame.loc[0, "colour"] = "mauve"
session = onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])
given = session.run(None, {name: frame[[name]].to_numpy(dtype={"size": np.float32, "kind": np.int64}.get(name, object)) for name in frame})
COLUMNS = {"colour": list(frame.colour), "size": shown(frame["size"]), "kind": [int(v) for v in frame.kind],
           "label": shown(given[0]), "probabilities": shown(given[1])}
OPERATORS.update(sorted({node.op_type for node in exported.graph.node}))

versions = {m.__name__: m.__version__ for m in (sklearn, skl2onnx, onnx, onnxruntime, np)}
with open(HERE / "onnx.json", "w") as file:
    file.write('{"libraries": %s, "cases": [\n' % json.dumps(versions))
    file.write(",\n".join(json.dumps(case, separators=(",", ":")) for case in CASES))
    file.write('\n], "columns": %s}\n' % json.dumps(COLUMNS, separators=(",", ":")))
print(OPERATORS)
