#!/usr/bin/env python3
"""tritonclient's gRPC client against a classic model that the program serves: numbers, texts, streams, errors and metadata.

    tests/conformance/classic_grpc.py HOST:PORT KEY MODEL        with a Python that has tritonclient[grpc]

Prints a line a check and one of JSON at the end."""
import json, queue, sys
import numpy as np
import tritonclient.grpc as client
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

DONE = {"passed": 0, "failed": 0}
FAILURES = []


def check(name, is_right, shown=""):
    DONE["passed" if is_right else "failed"] += 1
    if not is_right:
        FAILURES.append(name)
    print(("ok   " if is_right else "FAIL ") + name, "" if is_right else shown)


def refused(ask):
    """The status of a call that fails."""
    try:
        ask()
    except InferenceServerException as fault:
        return str(fault.status()), str(fault.message())
    return "", "it was answered"


def numbers(triton, model, head):
    meta = triton.get_model_metadata(model, headers=head)
    name, width = meta.inputs[0].name, meta.inputs[0].shape[-1]
    check("metadata of the model", meta.name == model and meta.inputs[0].datatype == "FP32" and width > 0, meta)
    rows = np.linspace(-1, 1, 4 * width, dtype=np.float32).reshape(4, width)
    tensor = client.InferInput(name, list(rows.shape), "FP32")
    tensor.set_data_from_numpy(rows)
    answer = triton.infer(model, [tensor], request_id="r-1", headers=head)
    output = answer.get_response().outputs[0].name
    scores = answer.as_numpy(output)
    check("infer: as many scores as rows, and the id", scores.shape[0] == 4 and answer.get_response().id == "r-1", scores)
    wanted = client.InferRequestedOutput(output)
    again = triton.infer(model, [tensor], outputs=[wanted], headers=head)
    check("infer: an output that is named", np.array_equal(again.as_numpy(output), scores))
    one = client.InferInput(name, [1, int(width)], "FP32")
    one.set_data_from_numpy(rows[2:3])
    alone = triton.infer(model, [one], headers=head).as_numpy(output)
    check("infer: a row alone has its own score", np.allclose(alone.reshape(-1), scores[2:3].reshape(-1), atol=1e-6), alone)
    doubles = client.InferInput(name, list(rows.shape), "FP64")
    doubles.set_data_from_numpy(rows.astype(np.float64))
    found = triton.infer(model, [doubles], headers=head).as_numpy(output)
    check("infer: FP64 for FP32", np.allclose(found, scores, atol=1e-6), found)
    results = queue.Queue()
    for _ in range(8):
        triton.async_infer(model, [tensor], callback=lambda result, error: results.put((result, error)), headers=head)
    got = [results.get(timeout=30) for _ in range(8)]
    check("infer: eight at once", all(e is None and np.array_equal(r.as_numpy(output), scores) for r, e in got), got)
    return name, rows, tensor, output, scores


def texts(triton, model, head, tensor):
    answer = triton.infer(model, [tensor], parameters={"explain": True}, headers=head)
    features = answer.as_numpy("explanation.features")
    check("BYTES: the names of features come as texts", features is not None and all(isinstance(x, bytes) for x in features.reshape(-1)), features)
    base, parts = answer.as_numpy("explanation.base"), answer.as_numpy("explanation.contributions")
    explained = answer.as_numpy("explanation.explained")
    check("contributions add up", np.allclose(base + parts.sum(axis=-1), explained, atol=1e-4), (base, parts, explained))
    words = client.InferInput("x", [1, 3], "BYTES")
    words.set_data_from_numpy(np.array([["a", "bc", ""]], dtype=object))
    status, says = refused(lambda: triton.infer(model, [words], headers=head))
    check("BYTES: texts are read, and are no numbers", status.endswith("INVALID_ARGUMENT") and "numbers" in says, (status, says))


def typed(address, model, head, name, rows, scores):
    import grpc
    stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))
    asked = service_pb2.ModelInferRequest(model_name=model)
    tensor = asked.inputs.add(name=name, datatype="FP32", shape=list(rows.shape))
    tensor.contents.fp32_contents.extend(rows.reshape(-1).tolist())
    said, call = stub.ModelInfer.with_call(asked, metadata=list(head.items()))
    found = np.array(said.outputs[0].contents.fp32_contents).reshape(-1)
    check("lists are read and given", np.allclose(found, scores.reshape(-1), atol=1e-6), said)
    names = [key for key, _ in call.initial_metadata()]
    check("the metadata has the id of the call", "x-request-id" in names, names)
    asked.raw_input_contents.append(rows.tobytes())
    try:
        stub.ModelInfer(asked, metadata=list(head.items()))
        check("both forms at once are refused", False)
    except grpc.RpcError as fault:
        check("both forms at once are refused", fault.code() == grpc.StatusCode.INVALID_ARGUMENT, fault)
    try:
        stub.ModelInfer(asked, metadata=list(head.items()), compression=grpc.Compression.Gzip)
        check("what is compressed is refused by its kind", False)
    except grpc.RpcError as fault:
        check("what is compressed is refused by its kind", fault.code() == grpc.StatusCode.UNIMPLEMENTED, fault)


def streams(address, model, head, name, rows, tensor, output, scores):
    triton, results = client.InferenceServerClient(address), queue.Queue()
    triton.start_stream(callback=lambda result, error: results.put((result, error)), headers=head)
    wrong = client.InferInput(name, [1, rows.shape[1] + 1], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, rows.shape[1] + 1), dtype=np.float32))
    for nth in range(6):
        triton.async_stream_infer(model, [wrong if nth == 3 else tensor], request_id=str(nth))
    got = [results.get(timeout=30) for _ in range(6)]
    triton.stop_stream()
    right = [(r, e) for nth, (r, e) in enumerate(got) if nth != 3]
    check("stream: answers come in their turn", [r.get_response().id for r, e in right if e is None] == ["0", "1", "2", "4", "5"], got)
    check("stream: and are those of calls", all(np.array_equal(r.as_numpy(output), scores) for r, _ in right))
    check("stream: a wrong call has its own error", got[3][0] is None and "values" in str(got[3][1]), got[3])


def main():
    address, key, model = sys.argv[1:4]
    head = {"authorization": f"Bearer {key}"}
    triton = client.InferenceServerClient(address)
    check("live and ready, without a key", triton.is_server_live() and triton.is_server_ready())
    check("the server says what it is", triton.get_server_metadata(headers=head).name == "tidegate")
    check("the model is ready, its version too", triton.is_model_ready(model, headers=head) and triton.is_model_ready(model, "1", headers=head))
    index = triton.get_model_repository_index(headers=head)
    check("the model is in the index", any(one.name == model and one.state == "READY" for one in index.models), index)
    name, rows, tensor, output, scores = numbers(triton, model, head)
    texts(triton, model, head, tensor)
    typed(address, model, head, name, rows, scores)
    streams(address, model, head, name, rows, tensor, output, scores)
    for what, ask, wanted in [
        ("no key", lambda: triton.infer(model, [tensor]), "UNAUTHENTICATED"),
        ("another key", lambda: triton.infer(model, [tensor], headers={"authorization": "Bearer no"}), "UNAUTHENTICATED"),
        ("an unknown model", lambda: triton.infer("no-such", [tensor], headers=head), "NOT_FOUND"),
        ("an unknown version", lambda: triton.infer(model, [tensor], model_version="9", headers=head), "NOT_FOUND"),
        ("what is not served", lambda: triton.get_model_config(model, headers=head), "UNIMPLEMENTED"),
    ]:
        status, says = refused(ask)
        check(f"{what}: {wanted}", status.endswith(wanted) and len(says) > 10, (status, says))
    print(json.dumps({"suite": "classic/grpc", "cases": sum(DONE.values()), **DONE, "failures": FAILURES}))
    sys.exit(1 if DONE["failed"] else 0)


if __name__ == "__main__":
    main()
