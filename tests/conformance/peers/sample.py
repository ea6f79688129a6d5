"""What every peer serves: scikit-learn's diabetes, with its columns as they were measured, and a regression on it. Also what the
model itself says of a few rows, which the answers through the program are compared with."""
import importlib.metadata, json, pathlib

ROWS = 4


def fitted(folder, packages):
    """Fits, keeps the model and what is expected of it in the folder, and gives model, names of columns and all rows."""
    import joblib
    from sklearn import datasets, linear_model
    found = datasets.load_diabetes(scaled=False)
    model = linear_model.LinearRegression().fit(found.data, found.target)
    joblib.dump(model, folder / "model.joblib")
    rows = found.data[:ROWS]
    known = {
        "columns": list(found.feature_names), "rows": rows.tolist(), "scores": model.predict(rows).tolist(),
        "versions": {name: importlib.metadata.version(name) for name in [*packages, "scikit-learn"]},
    }
    (folder / "expected.json").write_text(json.dumps(known))
    return model, found.feature_names, found.data


def work(argument):
    folder = pathlib.Path(argument)
    folder.mkdir(exist_ok=True)
    return folder
