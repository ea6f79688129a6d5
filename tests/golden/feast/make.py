"""What Feast itself writes into Redis: keys of entities, fields, values, times, and all of a small store.

    python -m venv venv && venv/bin/pip install 'feast[redis]==0.67.0' && venv/bin/python make.py

writes `golden.json` beside itself. It needs `redis-server`, and starts one on a socket of its own: nothing of Feast's own code is
kept, only the bytes that come out of it.
"""

import json
import subprocess
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Bool, Float32, Float64, Int32, Int64, String
from google.protobuf.timestamp_pb2 import Timestamp

HERE = Path(__file__).parent
KINDS = {"int32": "int32_val", "int64": "int64_val", "string": "string_val"}


def keys():
    cases = [
        ("shop", [("customer_id", "int64", 1001)]),
        ("shop", [("customer_id", "int64", -7)]),
        ("shop", [("customer_id", "int32", 1001)]),
        ("shop", [("customer_id", "string", "c-1001")]),
        ("shop", [("customer_id", "string", "")]),
        ("größe", [("kunde", "string", "größe")]),
        # Two keys stand in the order of their names.
        ("shop", [("merchant_id", "string", "m-7"), ("customer_id", "int64", 1001)]),
    ]
    for project, parts in cases:
        entity = EntityKey(
            join_keys=[name for name, _, _ in parts],
            entity_values=[Value(**{KINDS[kind]: value}) for _, kind, value in parts],
        )
        assert _redis_key(project, entity, 3) == serialize_entity_key(entity, 3) + project.encode()
        yield {"project": project, "keys": [list(part) for part in parts], "hex": _redis_key(project, entity, 3).hex()}


def fields():
    names = [("customer_stats", "rate"), ("customer_stats", "count"), ("a", "b"), ("größe", "länge"), ("v", "x" * 70)]
    return [{"view": view, "feature": feature, "hex": _mmh3(f"{view}:{feature}").hex()} for view, feature in names]


def values():
    cases = [
        ("int32_val", 0), ("int32_val", -5), ("int32_val", 2**31 - 1), ("int64_val", -(2**63)), ("int64_val", 2**53 + 1),
        ("double_val", 0.1), ("float_val", 0.5), ("bool_val", True), ("bool_val", False), ("string_val", "größe"),
        ("string_val", ""), ("unix_timestamp_val", 1_700_000_000),
    ]
    out = [{"field": field, "value": value, "hex": Value(**{field: value}).SerializeToString().hex()} for field, value in cases]
    out.append({"field": None, "value": None, "hex": Value().SerializeToString().hex()})
    lists = Value()
    lists.double_list_val.val.extend([1.0, 2.0])
    out.append({"field": "double_list_val", "value": None, "hex": lists.SerializeToString().hex()})
    return out


def times():
    for ms in (0, 1, 999, 1_000, 1_700_000_000_123):
        stamp = Timestamp()
        stamp.FromMilliseconds(ms)
        yield {"ms": ms, "hex": stamp.SerializeToString().hex()}


def store(folder: Path, socket: str):
    """A store as an application has it: two views, written by Feast's own client."""
    import redis

    config = RepoConfig(
        project="shop", provider="local", registry=str(folder / "registry.db"), entity_key_serialization_version=3,
        online_store={"type": "redis", "connection_string": "localhost:1"},
    )
    feast = FeatureStore(config=config)
    # Feast's connection string knows no sockets.
    client = redis.Redis(unix_socket_path=socket)
    feast._get_provider().online_store._client = client
    parquet = folder / "nothing.parquet"
    pd.DataFrame({"event_timestamp": [], "customer_id": [], "merchant_id": []}).to_parquet(parquet)
    source = PushSource(name="customers", batch_source=FileSource(path=str(parquet), timestamp_field="event_timestamp"))
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
    merchant = Entity(name="merchant", join_keys=["merchant_id"], value_type=ValueType.STRING)
    schema = [("rate", Float32), ("hour", Float64), ("count", Int64), ("level", Int32), ("vip", Bool), ("city", String)]
    stats = FeatureView(
        name="customer_stats", entities=[customer], ttl=timedelta(days=1), source=source,
        schema=[Field(name="customer_id", dtype=Int64)] + [Field(name=name, dtype=dtype) for name, dtype in schema],
    )
    both = FeatureView(
        name="pair_stats", entities=[merchant, customer], ttl=timedelta(days=1), source=source,
        schema=[Field(name="customer_id", dtype=Int64), Field(name="merchant_id", dtype=String), Field(name="visits", dtype=Int64)],
    )
    feast.apply([customer, merchant, stats, both])
    at = datetime(2026, 1, 31, 12, 0, tzinfo=timezone.utc)
    feast.write_to_online_store("customer_stats", pd.DataFrame({
        "customer_id": [1001, 1002], "rate": [-0.7855, 0.25], "hour": [1.805, 9.5], "count": [42, 7], "level": [3, 1],
        "vip": [True, False], "city": ["Köln", None], "event_timestamp": [at, at - timedelta(hours=3)],
    }))
    feast.write_to_online_store("pair_stats", pd.DataFrame({
        "customer_id": [1001], "merchant_id": ["m-7"], "visits": [12], "event_timestamp": [at],
    }))
    return [
        {"key": key.hex(), "fields": [[name.hex(), value.hex()] for name, value in sorted(client.hgetall(key).items())]}
        for key in sorted(client.keys("*"))
    ]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        socket = str(folder / "redis.sock")
        server = subprocess.Popen(["redis-server", "--port", "0", "--save", "", "--unixsocket", socket], stdout=subprocess.DEVNULL)
        try:
            while not Path(socket).exists():
                time.sleep(0.05)
            golden = {
                "of": "feast 0.67.0", "keys": list(keys()), "fields": fields(), "values": values(), "times": list(times()),
                "store": store(folder, socket),
            }
        finally:
            server.terminate()
            server.wait()
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
