"""tritonclient in front of the program, whatever the peer behind it speaks."""
import queue

import numpy as np


def checks(check, address, key, route, known, name, fault):
    """`name` is that of the input, `fault` what a row that is too short is, as a status of HTTP and as one of gRPC."""
    rows = np.array(known["rows"])
    near = lambda found: np.allclose(found.reshape(-1), known["scores"], rtol=0, atol=1e-6)
    # A dictionary each time: the client writes into the one that it is given.
    head = lambda: {"authorization": key}
    by_http(check, address, head, route, rows, near, name, fault[0])
    by_grpc(check, address, head, route, rows, near, name, fault[1])


def by_http(check, address, head, route, rows, near, name, kind):
    import tritonclient.http as client
    triton, says = client.InferenceServerClient(address), f"tritonclient to {route}: "
    check(says + "ready", triton.is_server_ready(headers=head()) and triton.is_model_ready(route, headers=head()))
    check(says + "metadata", triton.get_model_metadata(route, headers=head())["name"] == route)
    for is_binary in [True, False]:
        tensor = client.InferInput(name, list(rows.shape), "FP64")
        tensor.set_data_from_numpy(rows, binary_data=is_binary)
        answer = triton.infer(route, [tensor], headers=head())
        output = answer.get_response()["outputs"][0]["name"]
        check(f"{says}infer, {'raw' if is_binary else 'JSON'} tensors", near(answer.as_numpy(output)))
    # Large enough that raw tensors would be worth asking for, where the peer takes them.
    many = np.tile(rows, (50, 1))
    tensor = client.InferInput(name, list(many.shape), "FP64")
    tensor.set_data_from_numpy(many)
    found = triton.infer(route, [tensor], headers=head()).as_numpy(output).reshape(-1)
    check(says + "200 rows", found.size == len(many) and near(found[:len(rows)]) and near(found[-len(rows):]))
    tensor = client.InferInput(name, [1, 3], "FP64")
    tensor.set_data_from_numpy(rows[:1, :3].copy())
    refused(check, f"{says}a row that is too short is {kind}", kind, client, lambda: triton.infer(route, [tensor], headers=head()))
    triton.close()


def by_grpc(check, address, head, route, rows, near, name, kind):
    import tritonclient.grpc as client
    triton, says, results = client.InferenceServerClient(address), f"tritonclient over gRPC to {route}: ", queue.Queue()
    check(says + "ready", triton.is_server_ready(headers=head()) and triton.is_model_ready(route, headers=head()))
    check(says + "metadata", triton.get_model_metadata(route, headers=head()).name == route)
    tensor = client.InferInput(name, list(rows.shape), "FP64")
    tensor.set_data_from_numpy(rows)
    answer = triton.infer(route, [tensor], headers=head())
    output = answer.get_response().outputs[0].name
    check(says + "infer", near(answer.as_numpy(output)))
    triton.start_stream(callback=lambda result, error: results.put((result, error)), headers=head())
    for _ in range(3):
        triton.async_stream_infer(route, [tensor])
    got = [results.get(timeout=60) for _ in range(3)]
    triton.stop_stream()
    check(says + "a stream", all(error is None and near(result.as_numpy(output)) for result, error in got), got)
    short = client.InferInput(name, [1, 3], "FP64")
    short.set_data_from_numpy(rows[:1, :3].copy())
    refused(check, f"{says}a row that is too short is {kind}", kind, client, lambda: triton.infer(route, [short], headers=head()))
    triton.close()


def refused(check, name, kind, client, asked):
    """An error of this kind, with words, as the client's own exception."""
    try:
        shown = asked().get_response()
        check(name, False, shown)
    except client.InferenceServerException as fault:
        check(name, kind in fault.status() and len(fault.message()) > 10, (fault.status(), fault.message()))
