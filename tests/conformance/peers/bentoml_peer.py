"""A service of BentoML. As a program, `bentoml_peer.py FOLDER PORT` fits the model and becomes `bentoml serve`, which loads this
file again as the service."""
import os, pathlib, sys

if __name__ == "__main__":
    import sample
    here, folder = pathlib.Path(__file__).resolve().parent, sample.work(sys.argv[1])
    sample.fitted(folder, ["bentoml"])
    os.environ |= {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(folder / "bentoml"), "TIDEGATE_PEER": str(folder)}
    os.execv(sys.executable, [
        sys.executable, "-m", "bentoml", "serve", "bentoml_peer:Scores", "--working-dir", str(here), "--host", "127.0.0.1",
        "--port", sys.argv[2],
    ])

import bentoml
import numpy as np


@bentoml.service(workers=1)
class Scores:
    def __init__(self):
        import joblib
        self.model = joblib.load(pathlib.Path(os.environ["TIDEGATE_PEER"]) / "model.joblib")

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict(rows)

    @bentoml.api
    def scored(self, rows: np.ndarray, scale: float = 1.0) -> dict:
        """Several arguments, several outputs."""
        return {"scores": (self.model.predict(rows) * scale).tolist(), "widths": [len(row) for row in rows]}
