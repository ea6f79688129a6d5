"""Calls of MLflow's client, and wrong calls by hand, beyond those of the kit's scenario.

    extension.py URL LOG STATE [--big MB]

Written for one run against one server whose registry is empty; prints OK/ERR lines and marks the steps in LOG, as the
kit's scenario does. STATE is a folder for files. A receiver on loopback stands for the other end of the webhooks; what
reaches it is written to LOG as `hook` lines, with its signature already checked.
"""
import argparse
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import socketserver
import threading
import time
import urllib.parse
import uuid
import warnings

warnings.filterwarnings("ignore")
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")

import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities.webhook import WebhookEvent  # noqa: E402
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("log")
parser.add_argument("state")
parser.add_argument("--big", type=int, default=100)
args = parser.parse_args()
URL, KEY = args.url.rstrip("/"), os.environ.get("MLFLOW_TRACKING_TOKEN")
SECRET = "a secret of the receiver"
mlflow.set_tracking_uri(URL)
mlflow.set_registry_uri(URL)
c = MlflowClient(URL, URL)


def log(row):
    with open(args.log, "a", encoding="utf-8") as f:
        f.write(json.dumps(row) + "\n")


def t(step, call):
    log({"mark": step})
    try:
        result = call()
        print("OK ", step, flush=True)
        return result
    except Exception as e:  # noqa: BLE001
        print("ERR", step, type(e).__name__, getattr(e, "error_code", None), flush=True)


def raw(method, path, body=None, kind="application/json", headers=()):
    """A call without the client, which would mend or refuse it."""
    to = urllib.parse.urlsplit(URL)
    conn = http.client.HTTPConnection(to.hostname, to.port, timeout=120)
    conn.putrequest(method, path, skip_accept_encoding=True)
    if KEY:
        conn.putheader("authorization", f"Bearer {KEY}")
    if body is not None:
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if kind:
            conn.putheader("content-type", kind)
        conn.putheader("content-length", str(len(body)))
    for name, value in headers:
        conn.putheader(name, value)
    conn.endheaders(body)
    answer = conn.getresponse()
    answer.read()
    conn.close()
    return answer.status


P = "/api/2.0/mlflow/"


def wrong(step, method, path, *bodies):
    for i, body in enumerate(bodies):
        t(f"{step} #{i}", lambda body=body: raw(method, P + path, body))


def get(step, path, *queries):
    for i, query in enumerate(queries):
        t(f"{step} #{i}", lambda query=query: raw("GET", P + path + "?" + urllib.parse.urlencode(query, doseq=True)))


# --- names, tags, aliases and versions: what is refused, and with which words
c.create_registered_model("ext", {"zz": "1", "aa": "2"}, "d")
wrong("create refused", "POST", "registered-models/create",
      {}, {"name": None}, {"name": 5}, {"name": ["x"]}, {"name": " "}, {"name": "."}, {"name": ".."}, {"name": "a:b"}, {"name": "ext"},
      {"name": "b", "tags": "x"}, {"name": "b", "tags": [{"key": 1}]}, {"name": "b", "tags": [{"value": "v"}]}, {"name": "b", "tags": {"k": "v"}},
      {"name": "b", "tags": [{"key": "a!", "value": "v"}]}, {"name": "b", "tags": [{"key": "a/../b", "value": "v"}]},
      {"name": "b", "tags": [{"key": "/a", "value": "v"}]}, {"name": "b", "tags": [{"key": "k" * 251, "value": "v"}]},
      {"name": "b", "tags": [{"key": "k", "value": "v" * 100_001}]}, {"name": "b", "description": 5},
      {"name": "ext", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]})
wrong("create accepted", "POST", "registered-models/create",
      {"name": "ext longest", "tags": [{"key": "k" * 250, "value": "v" * 100_000}]}, {"name": "n" * 250}, {"name": "It's \u00e9\u4e16 .. 100%"},
      {"name": "ext dup", "tags": [{"key": "z", "value": "1"}, {"key": "b", "value": "2"}, {"key": "z", "value": "3"}], "unknown": {"x": 1}},
      {"name": "ext no value", "tags": [{"key": "k"}], "description": None})
for kind in (None, "text/plain", "application/json; charset=utf-8"):
    t(f"content type {kind}", lambda kind=kind: raw("POST", P + "registered-models/rename", {"name": "nope", "new_name": "n2"}, kind))
for i, body in enumerate((b"{bad", b"", b"null", b'"{\\"name\\": \\"nope\\"}"')):
    t(f"body #{i}", lambda body=body: raw("PATCH", P + "registered-models/update", body))
get("get", "registered-models/get", {"name": "It's \u00e9\u4e16 .. 100%"}, {"name": ""}, {"nam": "x"}, {"name": "a/b"}, {"name": "ext dup"}, {"name": "EXT"})
t("get without a query", lambda: raw("GET", P + "registered-models/get"))
wrong("rename refused", "POST", "registered-models/rename",
      {"name": "ext"}, {"new_name": "x"}, {"name": "ext", "new_name": " "}, {"name": "ext", "new_name": "x/y"}, {"name": "nope", "new_name": "x"},
      {"name": "ext", "new_name": "x", "newName": "y"}, {"name": "ext", "newName": "y"}, {"name": "ext", "new_name": "ext dup"})
t("rename to itself", lambda: c.rename_registered_model("ext", "ext"))
wrong("update", "PATCH", "registered-models/update", {"name": "ext"}, {"name": "ext", "description": "again"}, {"name": "nope", "description": "x"}, {"name": "ext", "description": ["x"]})

for i in range(4):
    t(f"version {i + 1}", lambda i=i: c.create_model_version("ext", f"s3://bucket/{i}", run_id=f"run{i}", tags={"n": str(i), "common": "x"}, description=f"v{i}"))
SOURCES = ("mlflow-artifacts:/a/b", "mlflow-artifacts://host:5000/a", "http://x/y", "https://x/y", "ftp://x", "hdfs://n/x", "file:///etc", "relative/path",
           "//h/p", "x:y", "runs:/abc/m", "runs:/", "models:/ext/77", "models:/nope/1", "models:/ext@none", "models://h/ext/1", "models:/a/b/c", "models:/m-123",
           "s3://b/../c", "s3://b/%2e%2e/c", "s3://b/%252e%252e/c", "s3://b/a%00", "s3://b/a/..", "mlflow-artifacts:/../../etc", "dummy-source", "")
wrong("source refused", "POST", "model-versions/create", *({"name": "ext", "source": s} for s in SOURCES))
wrong("version refused", "POST", "model-versions/create",
      {"name": "ext"}, {"source": "s3://b/x"}, {"name": "nope", "source": "s3://b/x"}, {"name": "a/b", "source": "s3://b/x"}, {"name": "ext", "source": 5},
      {"name": "ext", "source": "runs:/abc/m", "run_id": "abd"}, {"name": "ext", "source": "models:/ext/1", "run_id": "other"}, {"name": "ext", "source": "models:/ext/1", "run_id": ""},
      {"name": "ext", "source": "s3://b/x", "tags": [{"key": "mlflow.prompt.text", "value": "q" * 100_001}]}, {"name": "ext", "source": "s3://b/x", "tags": [{"key": "a!", "value": "q"}]},
      {"name": "ext", "source": "s3://b/x", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]})
wrong("source accepted", "POST", "model-versions/create",
      *({"name": "ext dup", "source": s} for s in ("models:/ext/1", "models:/ext/latest", "gs://b/x/", "s3://b//x", "dbfs:/x")),
      {"name": "ext dup", "source": "runs:/abc/m", "run_id": "abc", "run_link": "http://l", "description": "\u00e9"})
get("version", "model-versions/get", {"name": "ext", "version": " 1 "}, {"name": "ext", "version": "01"}, {"name": "ext"}, {"version": "1"}, {"name": "ext", "version": "-1"},
    {"name": "ext", "version": "1.0"}, {"name": "nope", "version": "1"}, {"name": "ext", "version": "x"}, {"name": "ext", "version": "0"})
wrong("version update", "PATCH", "model-versions/update", {"name": "ext", "version": "1"}, {"name": "ext", "version": 1}, {"name": "ext", "version": "99", "description": "x"}, {"name": "ext", "version": "1", "description": "n"}, {"name": "ext", "version": "1", "description": ""})

for alias, version in (("zed", "1"), ("abc", "2"), ("mid", "2")):
    t(f"alias {alias}", lambda alias=alias, version=version: c.set_registered_model_alias("ext", alias, version))
wrong("alias refused", "POST", "registered-models/alias",
      *({"name": "ext", "alias": a, "version": "1"} for a in ("", "a b", "a.b", "a/b", "x" * 256, "V2", "v10", "LaTest")),
      {"name": "ext", "alias": "q"}, {"name": "ext", "alias": "q", "version": 1}, {"name": "ext", "alias": "q", "version": "x"}, {"name": "nope", "alias": "q", "version": "1"}, {"name": "ext", "alias": "q", "version": "99"})
wrong("alias accepted", "POST", "registered-models/alias", {"name": "ext", "alias": "\u00e9", "version": "1"}, {"name": "ext", "alias": "x" * 255, "version": "1"}, {"name": "ext", "alias": "v", "version": "3"})
t("alias moved", lambda: c.set_registered_model_alias("ext", "mid", "3"))
t("alias case", lambda: c.get_model_version_by_alias("ext", "MID"))
t("model with aliases", lambda: c.get_registered_model("ext"))
get("alias get", "registered-models/alias", {"name": "ext", "alias": "LATEST"}, {"name": "ext longest", "alias": "latest"}, {"name": "ext", "alias": "a b"}, {"name": "nope", "alias": "x"}, {"name": "ext"})
wrong("alias delete", "DELETE", "registered-models/alias", {"name": "ext", "alias": "\u00e9"}, {"name": "ext", "alias": "none"}, {"name": "nope", "alias": "x"}, {"name": "ext"}, {"name": "ext", "alias": "a b"})
wrong("tag", "POST", "registered-models/set-tag", {"name": "ext", "key": "aa", "value": "new"}, {"name": "ext", "key": "k"}, {"name": "ext", "value": "v"}, {"name": "ext", "key": "k", "value": 5}, {"name": "nope", "key": "k", "value": "v"}, {"name": "ext", "key": "a!", "value": "v"}, {"name": "ext", "key": "k", "value": "v" * 100_001})
wrong("tag delete", "DELETE", "registered-models/delete-tag", {"name": "ext", "key": "none"}, {"name": "nope", "key": "k"}, {"name": "ext"}, {"name": "ext", "key": "a!"}, {"name": "ext", "key": "zz"})
t("tag again", lambda: c.set_registered_model_tag("ext", "zz", "back"))
wrong("version tag", "POST", "model-versions/set-tag", {"name": "ext", "version": "1", "key": "k", "value": ""}, {"name": "ext", "version": "99", "key": "k", "value": "v"}, {"name": "ext", "version": "x", "key": "k", "value": "v"}, {"name": "ext", "key": "k", "value": "v"}, {"name": "ext", "version": "1", "key": "a//b", "value": "v"})
wrong("version tag delete", "DELETE", "model-versions/delete-tag", {"name": "ext", "version": "1", "key": "k"}, {"name": "ext", "version": "1", "key": "none"}, {"name": "ext", "version": "99", "key": "k"}, {"name": "ext", "version": "x", "key": "k"})
t("tags moved no time", lambda: c.get_registered_model("ext"))

# --- stages
wrong("stage", "POST", "model-versions/transition-stage",
      {"name": "ext", "version": "1", "stage": "pRoduction", "archive_existing_versions": True}, {"name": "ext", "version": "2", "stage": "Staging"},
      {"name": "ext", "version": "3", "stage": "Production", "archive_existing_versions": True}, {"name": "ext", "version": "4", "stage": "Production"},
      {"name": "ext", "version": "2", "stage": "archived", "archive_existing_versions": True}, {"name": "ext", "version": "2", "stage": "x"}, {"name": "ext", "version": "2"},
      {"name": "ext", "version": "2", "stage": "None", "archive_existing_versions": "yes"}, {"name": "ext", "version": "99", "stage": "Production", "archive_existing_versions": True}, {"name": "nope", "version": "x", "stage": "y"})
t("latest of all", lambda: c.get_latest_versions("ext"))
t("latest of some", lambda: c.get_latest_versions("ext", ["production", "STAGING"]))
wrong("latest refused", "POST", "registered-models/get-latest-versions", {"name": "ext", "stages": ["bad"]}, {"name": "ext", "stages": "Staging"}, {"name": "nope"}, {})
t("model with stages", lambda: c.get_registered_model("ext"))
t("stages in search", lambda: c.search_registered_models("name = 'ext'"))

# --- copies and download
get("download uri", "model-versions/get-download-uri", {"name": "ext", "version": "2"}, {"name": "ext"}, {"version": "1"}, {"name": "ext", "version": "99"}, {"name": "ext dup", "version": "1"})
t("copy", lambda: c.copy_model_version("models:/ext/1", "ext copy"))
t("copy of a copy", lambda: c.copy_model_version("models:/ext copy/1", "ext copy 2"))
t("copy by alias", lambda: c.copy_model_version("models:/ext@abc", "ext copy"))
t("copy onto itself", lambda: c.copy_model_version("models:/ext/2", "ext"))
t("copy of none", lambda: c.copy_model_version("models:/ext/99", "ext copy"))
get("download uri of copies", "model-versions/get-download-uri", {"name": "ext copy", "version": "1"}, {"name": "ext copy 2", "version": "1"}, {"name": "ext copy", "version": "2"})
t("rename the source", lambda: c.rename_registered_model("ext", "ext renamed"))
get("download uri after the rename", "model-versions/get-download-uri", {"name": "ext copy 2", "version": "1"}, {"name": "ext renamed", "version": "1"})
t("renamed", lambda: c.get_registered_model("ext renamed"))
t("renamed back", lambda: c.rename_registered_model("ext renamed", "ext"))
t("versions of the renamed", lambda: c.search_model_versions("name = 'ext'", order_by=["version_number ASC"]))

# --- search, order and pages
for i in range(23):
    name = f"s{i:02}"
    c.create_registered_model(name, {"even": str(i % 2 == 0).lower(), "third": str(i % 3)} | ({"rare": "Yes"} if i == 7 else {}))
    time.sleep(0.003)
    for k in range(i % 3):
        c.create_model_version(name, f"s3://bucket/{name}/{k}", run_id=f"r{i % 4}", tags={"k": str(k)})
        time.sleep(0.003)


def pages(search, **kw):
    token, seen = None, 0
    while True:
        page = search(page_token=token, **kw)
        seen += len(page)
        token = page.token
        if not token:
            return seen


for f in (None, "", "name LIKE 's%'", "name ilike 'S0_'", "name like 'S0_'", "name != 's01' and name LIKE 's0%'", "name IN ('s01', 's05','none')", "name NOT IN ('s01') AND name LIKE 's0%'",
          "tags.even = 'true' AND tags.third = '0'", "tag.`third` != '1' and name like 's%'", "tags.rare ILIKE 'y%'", "tags.\"rare\" LIKE 'y%'", "tags.none != 'x'", "attribute.name = 's03'",
          "name = \"s04\"", "name='s05' AND", "name='it''s'", "tags.`mlflow.prompt.is_prompt` = 'false'"):
    for size in (1, 7, 100):
        t(f"models {f} by {size}", lambda f=f, size=size: pages(c.search_registered_models, filter_string=f, max_results=size))
for o in (["name"], ["name DESC"], ["timestamp"], ["timestamp DESC", "name"], ["last_updated_timestamp asc"], ["`name` desc"]):
    t(f"models by {o}", lambda o=o: pages(c.search_registered_models, filter_string="name LIKE 's%'", max_results=9, order_by=o))
for f in ("name LIKE 's%'", "run_id = 'r1'", "run_id IN ('r1','r2')", "run_id NOT IN ('r1')", "version_number > 1", "version_number='1' and name like 's%'", "version_number <= 1 AND run_id='r2'", "source_path LIKE 's3://bucket/s1%'",
          "source_path ILIKE 'S3://BUCKET/S02%'", "tags.k = '1'", "tags.k != '1'", "name = 's05' and tags.k LIKE '_'", "version_number=-1", "attribute.run_id='r3'"):
    for size in (2, 100):
        t(f"versions {f} by {size}", lambda f=f, size=size: pages(c.search_model_versions, filter_string=f, max_results=size))
for o in (["name"], ["name DESC", "version_number"], ["version_number DESC"], ["creation_timestamp"], ["last_updated_timestamp DESC"], ["attribute.version_number asc", "name"], ["tag.name"]):
    t(f"versions by {o}", lambda o=o: pages(c.search_model_versions, filter_string="name LIKE 's%'", max_results=6, order_by=o))
S, W = "registered-models/search", "model-versions/search"
get("models filter refused", S, *({"filter": f} for f in (
    "name = 'a' OR name='b'", "name='a';name='b'", "foo.bar='x'", "bar='x'", "name=a", "name=5", "name>'a'", "name LIKE 5", "tags.k=5", "tags.k IN ('a')", "tags.k > 'a'", "name IN ()", "name IN ('a'", "name IN ('a',5)",
    "name = ", "name", "'a'='b'", "`name`='a'", "\"name\"='a'", "attributes.name='a'", "Name='a'", "name == 'a'", "name <> 'a'", "(name='a')", "name='a' -- c", "a", "tags.k = v")))
get("versions filter refused", W, *({"filter": f} for f in (
    "version_number=1.5", "version_number='x'", "version_number LIKE '1'", "version_number IN (1)", "name=5", "source_path IN ('a')", "run_id IN ('r0',1)", "creation_timestamp > 5", "last_updated_timestamp=1", "tags.k>'v'",
    "current_stage='x'", "run_id = r0", "version_number = a", "name='a' or 1", "version='1'", "name > 'x'", "run_id IN ()")))
get("models order refused", S, *({"order_by": o} for o in ("creation_timestamp", "foo", "name, timestamp", "name foo", "name ASC extra", "attribute.name", "", "1", "name asc;x", "Name", ["name", "name desc"])))
get("versions order refused", W, *({"order_by": o} for o in ("version", "timestamp", "foo.name", "run_id", "version_number foo", "", ["name", "name desc"])))


def token(text):
    return base64.b64encode(text.encode()).decode()


for path in (S, W, "webhooks"):
    get(f"token refused {path}", path, *({"page_token": x} for x in ("zzz", token("notjson"), token('{"offset":0}'), token("{}"), token('{"offset":"x"}'))))
get("models max_results", S, *({"max_results": n} for n in (-1, 0, 1, 1000, 1001, "abc", "", "1.5")))
get("versions max_results", W, *({"max_results": n, "filter": "name='none'"} for n in (-1, 0, 200_000, 200_001, "abc")))

# --- deletes
t("delete the newest", lambda: c.delete_model_version("ext", "5"))
t("delete one with aliases", lambda: c.delete_model_version("ext", "3"))
t("model after deletes", lambda: c.get_registered_model("ext"))
t("numbers are not used again", lambda: c.create_model_version("ext", "s3://bucket/next"))
for step, call in (("get", lambda: c.get_model_version("ext", "3")), ("update", lambda: c.update_model_version("ext", "3", "x")), ("delete", lambda: c.delete_model_version("ext", "3")),
                   ("stage", lambda: c.transition_model_version_stage("ext", "3", "Staging")), ("tag", lambda: c.set_model_version_tag("ext", "3", "a", "b")), ("alias", lambda: c.set_registered_model_alias("ext", "q", "3")),
                   ("uri", lambda: c.get_model_version_download_uri("ext", "3")), ("by its alias", lambda: c.get_model_version_by_alias("ext", "mid")), ("copy", lambda: c.copy_model_version("models:/ext/3", "ext copy")),
                   ("search", lambda: c.search_model_versions("name='ext'"))):
    t(f"deleted version: {step}", call)
wrong("delete refused", "DELETE", "model-versions/delete", {"name": "ext"}, {"name": "ext", "version": "x"}, {"name": "nope", "version": "1"}, {"name": "ext", "version": 1})
t("delete a model", lambda: c.delete_registered_model("ext dup"))
wrong("delete refused models", "DELETE", "registered-models/delete", {"name": "ext dup"}, {}, {"name": "a/b"})
t("the name is free", lambda: c.create_registered_model("ext dup"))
t("numbers begin again", lambda: c.create_model_version("ext dup", "s3://bucket/x"))
t("nothing is left", lambda: c.get_registered_model("ext dup"))

# --- artifacts, through the client
A = "/api/2.0/mlflow-artifacts/"
os.makedirs(os.path.join(args.state, "tree/sub/deeper"), exist_ok=True)
FILES = {"tree/a.txt": b"hello\n", "tree/b.json": b'{"a": 1}', "tree/empty": b"", "tree/bytes.bin": bytes(range(256)), "tree/sub/c.yaml": b"a: 1\n", "tree/sub/deeper/MLmodel": b"flavors: {}\n",
         "tree/sub/sp ace.csv": b"a,b\n", "tree/sub/\u00e9t\u00e9.txt": b"x", "tree/page.html": b"<script>1</script>", "tree/noext": b"?", "tree/image.png": b"\x89PNG"}
for name, content in FILES.items():
    with open(os.path.join(args.state, name), "wb") as f:
        f.write(content)
repo = get_artifact_repository("mlflow-artifacts:/ext")
t("upload a tree", lambda: repo.log_artifacts(os.path.join(args.state, "tree"), "tree"))
t("list", lambda: repo.list_artifacts("tree"))
t("list nested", lambda: repo.list_artifacts("tree/sub"))
t("list a file", lambda: repo.list_artifacts("tree/a.txt"))
t("list none", lambda: repo.list_artifacts("none"))


def same_tree():
    got = repo.download_artifacts("tree", os.path.join(args.state))
    for name, content in FILES.items():
        with open(os.path.join(got, name.removeprefix("tree/")), "rb") as f:
            assert f.read() == content, name


os.rename(os.path.join(args.state, "tree"), os.path.join(args.state, "sent"))
t("download the tree", same_tree)
for name in ("a.txt", "b.json", "empty", "bytes.bin", "page.html", "noext", "image.png", "sub/%C3%A9t%C3%A9.txt", "sub/sp%20ace.csv", "none", "sub", "sub/", "./a.txt", "/a.txt"):
    t(f"get {name}", lambda name=name: raw("GET", A + "artifacts/ext/tree/" + name))
for span in ("bytes=1-2", "bytes=-2", "bytes=3-", "bytes=99-"):
    t(f"range {span}", lambda span=span: raw("GET", A + "artifacts/ext/tree/bytes.bin" if span == "bytes=-2" else A + "artifacts/ext/tree/a.txt", headers=[("range", span)]))
t("put again", lambda: raw("PUT", A + "artifacts/ext/tree/a.txt", b"other\n", "application/octet-stream"))
t("get again", lambda: raw("GET", A + "artifacts/ext/tree/a.txt"))
for path in ("ext/tree/", "", "%2e%2e/x", "ext/%2e%2e/%2e%2e/x"):
    t(f"put refused {path}", lambda path=path: raw("PUT", A + "artifacts/" + path, b"x", "text/plain"))
for path in ("../x", "d/../../x", "%2e%2e/x", "d/%2e%2e/%2e%2e/x", "%252e%252e/x", "%25252e%25252e/x", "%2Fetc/passwd", "/etc/passwd", "C:%5Cx", "c:/x", "a%23b", "file:///etc/passwd", "x%2F..%2Fy", "..%2f..%2fetc%2fpasswd", "a?b=..", "a%3Fb"):
    t(f"traversal {path}", lambda path=path: raw("GET", A + "artifacts/" + path))
    t(f"traversal delete {path}", lambda path=path: raw("DELETE", A + "artifacts/" + path))
for query in ("?path=..", "?path=/etc", "?path=%2e%2e", "?path=ext/../ext", "?path=ext/tree/", "?path=ext/tree&path=none", "?path=%252e%252e"):
    t(f"list {query}", lambda query=query: raw("GET", A + "artifacts" + query))
for call in ("create", "complete", "abort"):
    t(f"multipart {call} without fields", lambda call=call: raw("POST", A + f"mpu/{call}/ext", {}))
    t(f"multipart {call} traversal", lambda call=call: raw("POST", A + f"mpu/{call}/%2e%2e/x", {"path": "x"}))
    t(f"multipart {call}", lambda call=call: raw("POST", A + f"mpu/{call}/ext", {"path": "x", "num_parts": 2, "upload_id": "u", "parts": [{"part_number": 1, "etag": "e"}]}))
t("presigned", lambda: raw("GET", A + "presigned/ext/tree/a.txt"))
t("delete a file", lambda: repo.delete_artifacts("tree/a.txt"))
t("delete it again", lambda: repo.delete_artifacts("tree/a.txt"))
t("it is gone", lambda: raw("GET", A + "artifacts/ext/tree/a.txt"))
t("delete the tree", lambda: repo.delete_artifacts("tree"))
t("the tree is gone", lambda: repo.list_artifacts("tree"))

# A big file, whose bytes are the same in every run, up and down in one piece and (where the server offers it) in parts.
big = os.path.join(args.state, "big.bin")
with open(big, "wb") as f:
    for i in range(args.big):
        f.write(hashlib.sha256(b"%d" % i).digest() * 32768)
with open(big, "rb") as f:
    want = hashlib.file_digest(f, "sha256").hexdigest()


def big_file(folder):
    begun = time.time()
    repo.log_artifact(big, folder)
    up, begun = time.time() - begun, time.time()
    got = repo.download_artifacts(f"{folder}/big.bin", args.state)
    with open(got, "rb") as f:
        assert hashlib.file_digest(f, "sha256").hexdigest() == want
    os.remove(got)
    print(f"figure: {args.big} MB up in {up:.1f} s, down in {time.time() - begun:.1f} s", flush=True)


t("a big file", lambda: big_file("big"))
os.environ.update(MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true", MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD="true", MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE="1000000")
t("a big file, parts asked for", lambda: big_file("parts"))
for name in ("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"):
    del os.environ[name]
t("big files listed", lambda: repo.list_artifacts("big"))
t("big files deleted", lambda: [repo.delete_artifacts(x) for x in ("big", "parts")])

# --- a version whose artifacts lie with the registry, by way of a run
experiment = c.create_experiment("ext")
run = c.create_run(experiment)
os.makedirs(os.path.join(args.state, "model"), exist_ok=True)
with open(os.path.join(args.state, "model", "weights.bin"), "wb") as f:
    f.write(b"weights")
t("log artifacts of a run", lambda: c.log_artifacts(run.info.run_id, os.path.join(args.state, "model"), "model"))
c.create_registered_model("ext run")
t("version of the run's artifacts", lambda: c.create_model_version("ext run", f"{run.info.artifact_uri}/model", run.info.run_id))
t("version by runs:/", lambda: c.create_model_version("ext run", f"runs:/{run.info.run_id}/model", run.info.run_id))
t("version of another run's artifacts", lambda: c.create_model_version("ext run", f"{run.info.artifact_uri}/../other", run.info.run_id))
t("uri of the run's version", lambda: c.get_model_version_download_uri("ext run", "1"))
t("download it", lambda: mlflow.artifacts.download_artifacts("models:/ext run/1", dst_path=os.path.join(args.state, "got")))
t("list it", lambda: mlflow.artifacts.list_artifacts("models:/ext run/1"))

# --- webhooks
HOOKS, ARRIVED = [], threading.Condition()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fails = {}

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        sent, stamp, ident = (self.headers.get(f"X-MLflow-{n}") for n in ("Signature", "Timestamp", "Delivery-Id"))
        mac = hmac.new(SECRET.encode(), f"{ident}.{stamp}.".encode() + body, hashlib.sha256).digest()
        try:
            version = uuid.UUID(ident).version
        except (TypeError, ValueError):
            version = "not a uuid"
        payload = json.loads(body)
        row = {"hook": self.path, "type": self.headers.get("content-type"), "signature": None if sent is None else "right" if sent == "v1," + base64.b64encode(mac).decode() else "wrong",
               "stamp is now": stamp is not None and stamp.isdigit() and abs(time.time() - int(stamp)) < 60, "delivery id": version, "payload": payload,
               "fields": list(payload), "data fields": list(payload.get("data", {}))}
        status = 204 if self.path == "/204" else int(self.path[1:]) if self.path[1:].isdigit() else 200
        if self.path == "/flaky":
            Receiver.fails["n"] = Receiver.fails.get("n", 0) + 1
            status = 503 if Receiver.fails["n"] < 3 else 200
            row["attempt"] = Receiver.fails["n"]
        answer = b"" if status == 204 else b'{"got": true}'
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        with ARRIVED:
            HOOKS.append(row)
            ARRIVED.notify_all()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
HOOK = f"http://127.0.0.1:{server.server_address[1]}"


def expect(step, call, count, wait=15):
    """What a call sends to the receiver: so many deliveries, and no more half a second later."""
    HOOKS.clear()
    t(step, call)
    with ARRIVED:
        ARRIVED.wait_for(lambda: len(HOOKS) >= count, wait)
    time.sleep(0.5)
    for row in sorted(HOOKS, key=lambda row: (row["hook"], row.get("attempt", 0), json.dumps(row["payload"].get("entity")), json.dumps(row["payload"].get("data"), sort_keys=True))):
        log(row)
    print("hooks", step, len(HOOKS), flush=True)


EVENTS = ["registered_model.created", "model_version.created", "model_version_tag.set", "model_version_tag.deleted", "model_version_alias.created", "model_version_alias.deleted",
          "prompt.created", "prompt_version.created", "prompt_tag.set", "prompt_tag.deleted", "prompt_version_tag.set", "prompt_version_tag.deleted", "prompt_alias.created", "prompt_alias.deleted"]
ONE = [{"entity": "MODEL_VERSION", "action": "CREATED"}]
H = {"name": "h", "url": HOOK + "/x", "events": ONE}
wrong("webhook refused", "POST", "webhooks",
      {}, {k: v for k, v in H.items() if k != "events"}, H | {"events": []}, H | {"events": "x"}, H | {"events": [{"entity": "MODEL_VERSION", "action": "DELETED"}]}, H | {"events": [{"entity": "MODEL_VERSION_TAG", "action": "CREATED"}]},
      *(H | {"name": n} for n in ("", "-a", "a-", "a" * 64, "a b", "\u00e9", "a_", 5)), *(H | {"url": u} for u in ("", "  ", "ftp://h/x", "/x", "http://", "http://[::1", "javascript:1", "file:///etc/passwd", 5)))
secret = t("webhook with a secret", lambda: c.create_webhook("all.events-1", HOOK + "/secret", [WebhookEvent.from_str(e) for e in EVENTS], description="all of them", secret=SECRET))
plain = t("webhook without", lambda: c.create_webhook("plain", HOOK + "/plain", [WebhookEvent.from_str("registered_model.created")]))
off = t("webhook disabled", lambda: c.create_webhook("off", HOOK + "/off", [WebhookEvent.from_str("registered_model.created")], status="DISABLED"))
t("list webhooks", lambda: pages(c.list_webhooks, max_results=1))
t("list all webhooks", lambda: c.list_webhooks())
get("webhooks max_results", "webhooks", *({"max_results": n} for n in (0, -1, 1000, 1001, "x")))
expect("hook: model", lambda: c.create_registered_model("hooked", {"a": "b"}, "d"), 2)
expect("hook: model bare", lambda: c.create_registered_model("hooked bare"), 2)
expect("hook: version", lambda: c.create_model_version("hooked", "s3://b/x", "run1", tags={"t": "u"}, description="\u00e9"), 1)
expect("hook: version bare", lambda: c.create_model_version("hooked", "s3://b/y"), 1)
expect("hook: version of a version", lambda: c.create_model_version("hooked", "models:/hooked/1"), 1)
expect("hook: version tag", lambda: c.set_model_version_tag("hooked", "1", "k", "v"), 1)
expect("hook: version tag deleted", lambda: c.delete_model_version_tag("hooked", "1", "k"), 1)
expect("hook: version tag deleted twice", lambda: c.delete_model_version_tag("hooked", "1", "k"), 1)
expect("hook: alias", lambda: c.set_registered_model_alias("hooked", "al", "1"), 1)
expect("hook: alias moved", lambda: c.set_registered_model_alias("hooked", "al", "2"), 1)
expect("hook: alias deleted", lambda: c.delete_registered_model_alias("hooked", "al"), 1)
expect("hook: a refused call", lambda: c.create_registered_model("hooked"), 0)
expect("hook: model tag, nothing", lambda: c.set_registered_model_tag("hooked", "k", "v"), 0)
expect("hook: stage, nothing", lambda: c.transition_model_version_stage("hooked", "1", "Staging"), 0)
expect("hook: rename, nothing", lambda: c.rename_registered_model("hooked", "hooked 2"), 0)
expect("hook: delete, nothing", lambda: c.delete_model_version("hooked 2", "1"), 0)
expect("hook: prompt", lambda: mlflow.genai.register_prompt(name="hookedprompt", template="Hi {{name}}", commit_message="first", tags={"team": "x"}), 2)
expect("hook: prompt tag", lambda: mlflow.genai.set_prompt_tag("hookedprompt", "q", "z"), 1)
expect("hook: prompt tag deleted", lambda: mlflow.genai.delete_prompt_tag("hookedprompt", "q"), 1)
expect("hook: prompt version tag", lambda: mlflow.genai.set_prompt_version_tag("hookedprompt", 1, "q", "z"), 1)
expect("hook: prompt version tag deleted", lambda: mlflow.genai.delete_prompt_version_tag("hookedprompt", 1, "q"), 1)
expect("hook: prompt alias", lambda: mlflow.genai.set_prompt_alias("hookedprompt", "prod", 1), 1)
expect("hook: prompt alias deleted", lambda: mlflow.genai.delete_prompt_alias("hookedprompt", "prod"), 1)
if secret and plain and off:
    for e in EVENTS:
        expect(f"test {e}", lambda e=e: c.test_webhook(secret.webhook_id, WebhookEvent.from_str(e)), 1)
    expect("test the first event", lambda: c.test_webhook(plain.webhook_id), 1)
    expect("test a disabled one", lambda: c.test_webhook(off.webhook_id), 1)
    wrong("test refused", "POST", f"webhooks/{plain.webhook_id}/test", {"event": {"entity": "PROMPT", "action": "SET"}})
    wrong("test of none", "POST", "webhooks/none/test", {})
    for status in (204, 400, 404):
        t(f"to {status}", lambda status=status: c.update_webhook(plain.webhook_id, url=f"{HOOK}/{status}"))
        expect(f"test at {status}", lambda: c.test_webhook(plain.webhook_id), 1)
    t("to the flaky one", lambda: c.update_webhook(plain.webhook_id, url=f"{HOOK}/flaky"))
    expect("hook: retried", lambda: c.create_registered_model("hooked retried"), 4, wait=30)
    t("enable", lambda: c.update_webhook(off.webhook_id, status="ACTIVE", name="on", description="d", url=HOOK + "/on", events=[WebhookEvent.from_str("prompt.created"), WebhookEvent.from_str("registered_model.created")]))
    t("update nothing", lambda: c.update_webhook(off.webhook_id))
    wrong("webhook update", "PATCH", f"webhooks/{off.webhook_id}", {"name": "", "description": "", "url": "", "events": [], "secret": ""}, {"name": "-"}, {"url": "ftp://x"}, {"name": 5}, {"events": [{"entity": "PROMPT", "action": "SET"}]})
    t("get the updated", lambda: c.get_webhook(off.webhook_id))
    expect("hook: the enabled one too", lambda: c.create_registered_model("hooked again"), 3)
    wrong("webhook none", "PATCH", "webhooks/none", {})
    t("get none", lambda: c.get_webhook("none"))
    for hook in (secret, plain, off):
        t("delete a webhook", lambda hook=hook: c.delete_webhook(hook.webhook_id))
    t("delete it again", lambda: c.delete_webhook(off.webhook_id))
    t("get a deleted one", lambda: c.get_webhook(off.webhook_id))
    expect("hook: after deletes", lambda: c.create_registered_model("hooked no more"), 0)
t("no webhooks are left", lambda: c.list_webhooks())

# --- the rest of what the client asks
for path in ("/health", "/version", "/api/3.0/mlflow/server-info"):
    t(f"get {path}", lambda path=path: raw("GET", path))
log({"mark": "end"})
