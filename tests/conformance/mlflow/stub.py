"""A false server: passes every call to a real one and falsifies some answers, to prove that the comparison sees it.

    stub.py PORT_FILE TARGET TOLD

Each falsehood is told once; its name and the call that it was told to are then written to TOLD.
"""
import http.client
import http.server
import json
import os
import re
import socketserver
import sys
import threading
import urllib.parse

PORT_FILE, TARGET, TOLD = sys.argv[1:4]
TO = urllib.parse.urlsplit(TARGET)


def put(*path):
    """Sets what lies at a path in the answer."""
    *steps, last, value = path

    def change(answer):
        for step in steps:
            answer = answer[step]
        answer[last] = value
    return change


def drop(*path):
    *steps, last = path

    def change(answer):
        for step in steps:
            answer = answer[step]
        del answer[last]
    return change


def swap(key):
    def change(answer):
        assert len(answer[key]) > 1
        answer[key].reverse()
    return change


def bump(*path):
    *steps, last = path

    def change(answer):
        for step in steps:
            answer = answer[step]
        answer[last] += 60_000
    return change



# name, method, pattern of the path, status that the answer must have, what is done to it
LIES = [
    ("another description", "GET", r"registered-models/get\?", 200, put("registered_model", "description", "tampered")),
    ("a field left out", "POST", r"model-versions/create$", 200, drop("model_version", "run_link")),
    ("a field too many", "PATCH", r"model-versions/update$", 200, put("model_version", "tags", [{"key": "z", "value": "z"}])),
    ("the number as a number", "GET", r"model-versions/get\?", 200, put("model_version", "version", 1)),
    ("another order", "GET", r"model-versions/search\?", 200, swap("model_versions")),
    ("another error text", "GET", r"model-versions/get\?.*version=99", 404, put("message", "not found")),
    ("another error code", "GET", r"registered-models/alias\?", 400, put("error_code", "RESOURCE_DOES_NOT_EXIST")),
    ("another status", "POST", r"registered-models/alias$", 400, 422),
    ("a time that does not move", "PATCH", r"registered-models/update$", 200, bump("registered_model", "creation_timestamp")),
    ("a page token where none is", "GET", r"registered-models/search\?", 200, put("next_page_token", "eyJvZmZzZXQiOiAxfQ==")),
    ("a webhook's secret shown", "POST", r"mlflow/webhooks$", 200, put("webhook", "secret", "s")),
    ("an artifact's byte", "GET", r"mlflow-artifacts/artifacts/.*\.txt", 200, bytes),
    ("a file's size", "GET", r"mlflow-artifacts/artifacts\?", 200, put("files", 0, "file_size", 1)),
    ("another content type", "GET", r"mlflow-artifacts/artifacts/.*\.json", 200, "application/x-other"),
]
LOCK, LEFT = threading.Lock(), dict((lie[0], lie) for lie in LIES)


def falsified(method, path, status, headers, body):
    with LOCK:
        for name, how, pattern, wanted, change in list(LEFT.values()):
            if how != method or status != wanted or not re.search(pattern, path):
                continue
            try:
                if change is bytes:
                    body = bytes([body[0] ^ 1]) + body[1:]
                elif isinstance(change, int):
                    status = change
                elif isinstance(change, str):
                    headers = [(k, change if k.lower() == "content-type" else v) for k, v in headers]
                else:
                    answer = json.loads(body)
                    change(answer)
                    body = json.dumps(answer).encode()
            except (AssertionError, KeyError, IndexError, TypeError, ValueError):
                continue
            del LEFT[name]
            with open(TOLD, "a", encoding="utf-8") as f:
                f.write(f"{name}\t{method} {urllib.parse.unquote(path.partition('?')[0])}\n")
            break
    return status, headers, body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def forward(self):
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
        conn = http.client.HTTPConnection(TO.hostname, TO.port, timeout=300)
        kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "transfer-encoding", "connection")}
        conn.request(self.command, self.path, body or None, kept)
        answer = conn.getresponse()
        status, headers, body = falsified(self.command, self.path, answer.status, answer.getheaders(), answer.read())
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        conn.close()

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = forward


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    with open(PORT_FILE + ".new", "w", encoding="utf-8") as f:
        f.write(str(server.server_address[1]))
    os.rename(PORT_FILE + ".new", PORT_FILE)
    server.serve_forever()
