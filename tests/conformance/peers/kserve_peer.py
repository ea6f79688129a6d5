"""KServe's Python server with a model of our own class: `kserve_peer.py FOLDER PORT GRPC_PORT` fits and serves, by its first
protocol (`:predict`) and by the Open Inference Protocol over REST and gRPC."""
import sys

import kserve
import numpy as np
import sample


class Scores(kserve.Model):
    def __init__(self, model, names):
        super().__init__("scores")
        self.model, self.names, self.ready = model, names, True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, dict):
            return {"predictions": self.scored(payload["inputs"] if "inputs" in payload else payload["instances"]).tolist()}
        scores = self.scored(payload.inputs[0].as_numpy())
        output = kserve.InferOutput("scores", list(scores.shape), "FP64")
        output.set_data_from_numpy(scores, binary_data=False)
        return kserve.InferResponse(payload.id or "none", self.name, [output])

    def scored(self, rows):
        if (width := np.shape(rows)[-1]) != len(self.names):
            raise kserve.errors.InvalidInput(f"a row has {len(self.names)} values, not {width}")
        return self.model.predict(rows)

    def get_input_types(self):
        return [{"name": "rows", "datatype": "FP64", "shape": [-1, len(self.names)]}]

    def get_output_types(self):
        return [{"name": "scores", "datatype": "FP64", "shape": [-1]}]


if __name__ == "__main__":
    model, names, _ = sample.fitted(sample.work(sys.argv[1]), ["kserve"])
    server = kserve.ModelServer(http_port=int(sys.argv[2]), grpc_port=int(sys.argv[3]), workers=1, enable_grpc=True)
    server.start([Scores(model, names)])
