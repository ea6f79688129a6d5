"""MLflow's scoring server: `mlflow_peer.py FOLDER PORT [columns]` fits and saves the model and becomes `mlflow models serve`.
With `columns` the model has a signature of columns by name, else it has none and takes lists of rows."""
import os, sys

if __name__ == "__main__":
    import sample
    folder = sample.work(sys.argv[1])
    os.chdir(folder)
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db",
        # One process answers: there are two cores.
        "MLFLOW_MODELS_WORKERS": "1", "PYTHONDONTWRITEBYTECODE": "1",
    }
    model, names, rows = sample.fitted(folder, ["mlflow"])
    import mlflow
    import pandas
    table = pandas.DataFrame(rows, columns=names)
    signature = mlflow.models.infer_signature(table, model.predict(rows)) if sys.argv[3:] == ["columns"] else None
    mlflow.sklearn.save_model(model, "saved", signature=signature, pip_requirements=[], serialization_format="cloudpickle")
    os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    os.execv(sys.executable, [
        sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "saved", "--env-manager", "local", "--host", "127.0.0.1",
        "--port", sys.argv[2], "--workers", "1",
    ])
