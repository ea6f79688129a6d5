"""What the peers are asked through the program, as plain data: providers, routes, and calls with what is wanted of each."""

# Provider: its protocol and the peer's server behind it. Route: its provider and the peer's name of the model. `triton`: the routes
# that tritonclient asks; `short`: what a row that is too short is there, by HTTP and by gRPC.
TWO = "saved_model_half_plus_two_2_versions"
PEERS = {
    "mlflow": {
        "providers": {"plain": ("mlflow", "plain"), "columns": ("mlflow", "columns")},
        "routes": {"plain": ("plain", "any"), "columns": ("columns", "any")},
        "triton": ["plain"], "short": ("400", "INVALID_ARGUMENT"),
    },
    "bentoml": {
        "providers": {"bento": ("bentoml", "service")},
        "routes": {"predict": ("bento", "predict"), "scored": ("bento", "scored"), "nothing": ("bento", "nothing")},
        "triton": ["predict"], "short": ("502", "INTERNAL"),
    },
    "kserve": {
        "providers": {"v2": ("open_inference", "server"), "v1": ("tf_serving", "server"), "message": ("open_inference", "grpc")},
        "routes": {
            "scores": ("v2", "scores"), "first": ("v1", "scores"), "nothing": ("v2", "nothing"),
            "scores-grpc": ("message", "scores"), "nothing-grpc": ("message", "nothing"),
        },
        "triton": ["scores", "scores-grpc"], "short": ("400", "INVALID_ARGUMENT"),
    },
    "torchserve": {
        "providers": {"torch": ("torchserve", "server")},
        "routes": {
            "scores": ("torch", "scores"), "first": ("torch", "scores/1.0"), "ninth": ("torch", "scores/9.0"), "nothing": ("torch", "nothing"),
        },
        "triton": ["scores"], "short": ("503", "UNAVAILABLE"),
    },
    # As its documentation and its tests have it: there is no server of it to install.
    "tf_serving": {
        "providers": {"tf": ("tf_serving", "server")},
        "routes": {
            "three": ("tf", "saved_model_half_plus_three"), "default": ("tf", "default"), "two": ("tf", TWO), "nothing": ("tf", "half"),
            "versioned": ("tf", f"{TWO}/versions/123"), "labelled": ("tf", f"{TWO}/labels/Version_Label"),
        },
    },
}


def config(peer, own, addresses):
    """The program's configuration, with the address of each of the peer's servers."""
    known = PEERS[peer]
    providers = {
        name: {dialect: {"endpoints": [{"url": addresses[server]}], "proxy": "direct"}}
        for name, (dialect, server) in known["providers"].items() if server in addresses
    }
    routes = {name: of for name, of in known["routes"].items() if of[0] in providers}
    # JSON is YAML, too.
    return {
        "listeners": {"public": {"address": f"127.0.0.1:{own}"}}, "keys": {"file": "keys.yaml"}, "store": {"events": {"to": "none"}},
        "providers": providers, "models": {name: {"provider": of[0], "model": of[1]} for name, of in routes.items()},
        "routes": {name: {"model": name} for name in routes},
    }


def call(name, path, body, reads=None, status=200, says="", route=None, kind="application/json", **more):
    """`reads` are the keys and places that lead to the scores in the answer; `says` is what a refusal's text has in it."""
    headers = {"content-type": kind, **({"x-model": route} if route else {})}
    route = route or path.split("/")[3].removesuffix(":predict")
    known = {"path": path, "headers": headers, "body": body, "reads": reads, "status": status, "says": says}
    return {"name": f"{route}: {name}", "route": route, **known, **more}


def tensor(name, rows, datatype="FP64"):
    flat = [value for row in rows for value in row]
    return {"name": name, "shape": [len(rows), len(rows[0])], "datatype": datatype, "data": flat}


def served(route, rows, name):
    """One matrix by every protocol that is served; `name` where the peer gets its arguments by name."""
    infer, predict = f"/v2/models/{route}/infer", f"/v1/models/{route}:predict"
    first = ["outputs", 0, "data"]
    yield call("Open Inference", infer, {"id": "7", "inputs": [tensor(name or "rows", rows)]}, first)
    # Whoever sums up in single precision is that far away.
    yield call("Open Inference, FP32", infer, {"inputs": [tensor(name or "rows", rows, "FP32")]}, first, near=1e-3)
    if name:
        yield call("TF Serving by columns", predict, {"inputs": {name: rows}}, ["outputs"])
        yield call("TF Serving by rows of names", predict, {"instances": [{name: row} for row in rows]}, ["predictions"])
        yield call("MLflow's inputs by name", "/invocations", {"inputs": {name: rows}}, ["predictions"], route=route)
        return
    yield call("TF Serving by rows", predict, {"instances": rows}, ["predictions"])
    yield call("TF Serving by columns", predict, {"inputs": rows}, ["outputs"])
    yield call("MLflow's inputs", "/invocations", {"inputs": rows}, ["predictions"], route=route)
    yield call("Seldon's ndarray", "/api/v1.0/predictions", {"data": {"ndarray": rows}}, ["data", "ndarray"], route=route)


def mlflow(columns, rows):
    plain, by_name = "/v2/models/plain/infer", "/v2/models/columns/infer"
    yield from served("plain", rows, None)
    narrow = [row[:3] for row in rows[:2]]
    yield call("a row that is too short is refused in the server's words", plain, {"inputs": [tensor("rows", narrow)]},
               status=400, says="compatible with the model")
    yield call("texts for numbers are refused in its words", plain,
               {"inputs": [{"name": "rows", "shape": [1, 10], "datatype": "BYTES", "data": ["a"] * 10}]}, status=400, says="compatible with the model")
    split = {"columns": columns, "data": rows}
    records = [dict(zip(columns, row)) for row in rows]
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    of = {"route": "columns"}
    yield call("dataframe_split", "/invocations", {"dataframe_split": split}, ["predictions"], **of)
    turned = {"columns": columns[::-1], "data": [row[::-1] for row in rows]}
    yield call("dataframe_split in another order", "/invocations", {"dataframe_split": turned}, ["predictions"], **of)
    whole = [{name: round(value) if value == round(value) else value for name, value in record.items()} for record in records]
    yield call("dataframe_records with whole numbers", "/invocations", {"dataframe_records": whole}, ["predictions"], **of)
    yield call("dataframe_records", "/invocations", {"dataframe_records": records}, ["predictions"], **of)
    yield call("CSV", "/invocations", "\n".join(lines) + "\n", ["predictions"], kind="text/csv", **of)
    yield call("TF Serving by rows of names", "/v1/models/columns:predict", {"instances": records}, ["predictions"])
    each = [{"name": name, "shape": [len(rows), 1], "datatype": "FP64", "data": [row[nth] for row in rows]}
            for nth, name in enumerate(columns)]
    yield call("Open Inference, a tensor a column", by_name, {"inputs": each}, ["outputs", 0, "data"])
    flat = [{**column, "shape": [len(rows)]} for column in each]
    yield call("Open Inference, a list a column", by_name, {"inputs": flat}, ["outputs", 0, "data"])
    yield call("a column that is missing is named", by_name, {"inputs": each[:-1]}, status=400, says="s6")
    yield call("a matrix is none of the columns", by_name, {"inputs": [tensor("rows", rows)]}, status=400, says="Failed to enforce schema")
    unknown = {**each[0], "name": "height"}
    yield call("a column of another name is named", by_name, {"inputs": [unknown, *each[1:]]}, status=400, says="height")


def bentoml(columns, rows):
    yield from served("predict", rows, "rows")
    infer = "/v2/models/predict/infer"
    yield call("several arguments and outputs", "/v1/models/scored:predict", {"inputs": {"rows": rows, "scale": 1.0}},
               ["outputs", "scores"])
    yield call("several outputs by Open Inference", "/v2/models/scored/infer", {"inputs": [tensor("rows", rows)]},
               ["outputs", 0, "data"])
    yield call("an argument that it does not know", infer, {"inputs": [tensor("lines", rows)]}, status=400, says="validation error")
    yield call("values without a name are not sent", "/v1/models/predict:predict", {"instances": rows}, status=400, says="by name",
               silent=True)
    yield call("a row that is too short is a failure of the service", infer, {"inputs": [tensor("rows", [rows[0][:3]])]}, status=502)
    yield call("an API that is not there is a matter of the operator", "/v2/models/nothing/infer", {"inputs": [tensor("rows", rows)]},
               status=502)


def kserve(columns, rows):
    for route, nothing in [("scores", "nothing"), ("scores-grpc", "nothing-grpc")]:
        yield from served(route, rows, None)
        split, infer = {"columns": columns, "data": rows}, f"/v2/models/{route}/infer"
        yield call("columns become the rows of the only input", "/invocations", {"dataframe_split": split}, ["predictions"], route=route)
        wanted = {"inputs": [tensor("rows", rows)], "outputs": [{"name": "scores"}]}
        yield call("one output is named", infer, wanted, ["outputs", 0, "data"])
        short = {"inputs": [tensor("rows", [rows[0][:3]])]}
        yield call("a row that is too short is refused in the server's words", infer, short, status=400,
                   says="a row has 10 values, not 3")
        yield call("a model that is not there is a matter of the operator", f"/v2/models/{nothing}/infer",
                   {"inputs": [tensor("rows", rows)]}, status=502)
    first = "/v1/models/first:predict"
    yield call("the first protocol by rows", first, {"instances": rows}, ["predictions"])
    yield call("the first protocol by columns", first, {"inputs": rows}, ["outputs"])
    yield call("the first protocol, asked with the input's name", "/v2/models/first/infer", {"inputs": [tensor("rows", rows)]},
               ["outputs", 0, "data"])
    yield call("the first protocol, asked as MLflow", "/invocations", {"inputs": rows}, ["predictions"], route="first")
    yield call("the first protocol, too short a row", first, {"instances": [rows[0][:3]]}, status=400, says="a row has 10 values, not 3")


def torchserve(columns, rows):
    yield from served("scores", rows, None)
    infer, split = "/v2/models/scores/infer", {"columns": columns, "data": rows}
    records = [dict(zip(columns, row)) for row in rows]
    yield call("rows of names are objects, which the handler does not know", "/invocations", {"dataframe_split": split}, status=503,
               route="scores")
    yield call("and so are instances of names", "/v1/models/scores:predict", {"instances": records}, status=503)
    yield call("a version stands behind the name", "/v1/models/first:predict", {"instances": rows}, ["predictions"])
    yield call("a version that is not there is a matter of the operator", "/v1/models/ninth:predict", {"instances": rows}, status=502)
    yield call("a model that is not there, too", "/v1/models/nothing:predict", {"instances": rows}, status=502)
    yield call("a row that is too short is a failure of the handler", infer, {"inputs": [tensor("rows", [rows[0][:3]])]}, status=503,
               says="Prediction failed")


def tf_serving(columns, rows):
    def predict(name, route, body, scores, reads="predictions", **more):
        return call(name, f"/v1/models/{route}:predict", body, [reads], scores=scores, **more)

    yield predict("by rows", "three", {"instances": [1.0, 2.0, 5.0]}, [3.5, 4.0, 5.5])
    yield predict("by columns", "default", {"inputs": [2.0, 3.0, 4.0]}, [3.0, 3.5, 4.0], "outputs")
    two = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
    yield call("Open Inference, whatever the input's name", "/v2/models/two/infer", {"inputs": [two]}, ["outputs", 0, "data"],
               scores=[2.5, 3.0, 3.5, 4.0])
    yield predict("a version", "versioned", {"instances": [1.0, 2.0]}, [2.5, 3.0])
    yield predict("a label", "labelled", {"instances": [1.0, 2.0]}, [2.5, 3.0])
    named = {"signature_name": "serving_default", "inputs": [3.0, 4.0]}
    yield predict("a signature by its name", "versioned", named, [3.5, 4.0], "outputs")
    yield predict("what is refused is refused in its words", "two", {"instances": ["x", "y"]}, None, status=400,
                  says="not of expected type: float")
    yield predict("a model that is not there is a matter of the operator", "nothing", {"instances": [1.0, 5.0]}, None, status=502)


CALLS = {"mlflow": mlflow, "bentoml": bentoml, "kserve": kserve, "torchserve": torchserve, "tf_serving": tf_serving}
