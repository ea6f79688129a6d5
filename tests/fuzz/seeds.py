"""Writes the inputs that fuzzing begins from, made of what the repository has: `seeds.py FOLDER`, a folder a target."""

import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = pathlib.Path(sys.argv[1])


def put(target, name, data):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def gguf(entries, tensors):
    """Version 3, F32, all zeros."""

    def text(value):
        value = value.encode()
        return struct.pack("<Q", len(value)) + value

    def entry(value):
        if isinstance(value, str):
            return struct.pack("<I", 8) + text(value)
        if isinstance(value, float):
            return struct.pack("<If", 6, value)
        return struct.pack("<II", 4, value)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    head += b"".join(text(key) + entry(value) for key, value in entries.items())
    offset = 0
    for name, shape in tensors.items():
        head += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in reversed(shape))
        head += struct.pack("<IQ", 0, offset)
        size = 4
        for n in shape:
            size *= n
        offset += -(-size // 32) * 32
    return head + bytes(-len(head) % 32) + bytes(offset)


def safetensors(tensors):
    head, offset = {}, 0
    for name, shape in tensors.items():
        size = 2
        for n in shape:
            size *= n
        head[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    head = json.dumps(head).encode()
    return struct.pack("<Q", len(head)) + head + bytes(offset)


for golden in sorted((ROOT / "gateway/engine/tests/models").glob("*.json")):
    made = json.loads(golden.read_text())
    if "gguf" in made and made["gguf"]:
        shapes = {name: tensor["shape"] for name, tensor in made["gguf"]["tensors"].items()}
        put("gguf", golden.stem, gguf(made["gguf"]["entries"], shapes))
    if "config" in made and "tensors" in made:
        put("safetensors", golden.stem, json.dumps(made["config"]).encode() + b"\0" + safetensors(made["tensors"]))
for path in sorted((ROOT / "configs").rglob("*.yaml")):
    put("configuration", path.name, path.read_bytes())
for path in sorted((ROOT / "gateway/classic/tests/golden").iterdir()):
    if path.suffix in (".onnx", ".txt", ".json") and path.stat().st_size < 1 << 16:
        put("classic_models", path.name, path.read_bytes())
tensor = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2]}
bodies = {
    0: {"id": "1", "inputs": [tensor], "outputs": [{"name": "y"}], "parameters": {"explain": True}},
    1: {"signature_name": "s", "instances": [{"x": [1, 2]}], "inputs": {"x": [[1.0]]}},
    2: {"dataframe_split": {"columns": ["a"], "data": [[1]]}},
    4: {"data": {"names": ["a"], "ndarray": [[1, "b"]]}, "meta": {}},
}
# The fuzzer takes what is of a fixed size from the end of an input.
for wire, body in bodies.items():
    put("classic_calls", f"{wire}.json", json.dumps(body).encode() + bytes([0, wire]))
put("classic_calls", "3.csv", b"a,b\n1,2\n" + bytes([0, 3]))
answer = {"model_name": "m", "outputs": [tensor], "predictions": [[0.5]], "data": {"ndarray": [[1]]}}
for dialect in range(6):
    put("classic_answers", f"{dialect}.json", json.dumps(answer).encode() + bytes([0, dialect]))
put("events", "stream", b"data: {}\r\n\r\nevent: a\ndata: 1\ndata: 2\n\n: c\r\rdata: [DONE]\n\n\x03")
