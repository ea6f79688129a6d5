"""A proxy that records every call as one JSON line, and sends each to the server it belongs to.

    record.py PORT_FILE OUT TARGET [--tracking URL] [--key KEY]

The client of MLflow is given one address. The registry's paths (models, versions, webhooks, artifacts) go to TARGET; the
rest (experiments, runs, logged models) goes to the tracking server, which is TARGET itself unless another is named: the
gateway is a registry, and its users keep a tracking server beside it. KEY is sent where the client sent no
Authorization, since MLflow's own test helpers know of none. The kit's recproxy.py keeps 3000 characters of an answer and
all of a body in memory; here texts are kept whole, binary bodies by length and digest, and nothing is buffered.
"""
import argparse
import hashlib
import http.client
import http.server
import json
import os
import socketserver
import threading
import urllib.parse

REGISTRY = ("registered-models/", "model-versions/", "webhooks")
WHOLE = 4 << 20  # bytes of a JSON or text body that are kept
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection"}


def is_registry(path):
    path = urllib.parse.urlsplit(path).path
    for prefix in ("/api/2.0/", "/ajax-api/2.0/"):
        if path.startswith(prefix + "mlflow-artifacts/"):
            return True
        if path.startswith(prefix + "mlflow/"):
            return path[len(prefix + "mlflow/"):].startswith(REGISTRY)
    return path in ("/api/3.0/mlflow/server-info", "/ajax-api/3.0/mlflow/server-info", "/health", "/version")


class Body:
    """What is kept of a body while it passes: its digest, and its bytes while they are few."""

    def __init__(self):
        self.length, self.digest, self.start = 0, hashlib.sha256(), bytearray()

    def feed(self, piece):
        self.length += len(piece)
        self.digest.update(piece)
        if len(self.start) < WHOLE:
            self.start += piece[:WHOLE - len(self.start)]

    def record(self):
        kept = {"len": self.length, "sha256": self.digest.hexdigest()}
        if self.length <= WHOLE:
            try:
                kept["text"] = self.start.decode()
            except UnicodeDecodeError:
                pass
        return kept


def pieces(rfile, headers):
    """The body of a request, piece by piece, whichever way it is framed."""
    if "chunked" in (headers.get("transfer-encoding") or "").lower():
        while size := int(rfile.readline().split(b";")[0], 16):
            yield rfile.read(size)
            rfile.readline()
        rfile.readline()
    else:
        left = int(headers.get("content-length") or 0)
        while left and (piece := rfile.read(min(left, 1 << 20))):
            left -= len(piece)
            yield piece


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    args = lock = out = None

    def log_message(self, *_):
        pass

    def forward(self):
        target = self.args.target if is_registry(self.path) else (self.args.tracking or self.args.target)
        to = urllib.parse.urlsplit(target)
        sent, got = Body(), Body()
        conn = http.client.HTTPConnection(to.hostname, to.port, timeout=300)
        conn.putrequest(self.command, to.path.rstrip("/") + self.path, skip_host=True, skip_accept_encoding=True)
        conn.putheader("host", to.netloc)
        has_body = "content-length" in self.headers or "transfer-encoding" in self.headers
        chunked = has_body and "content-length" not in self.headers
        for name, value in self.headers.items():
            if name.lower() not in HOP | {"host", "accept-encoding"}:
                conn.putheader(name, value)
        if chunked:
            conn.putheader("transfer-encoding", "chunked")
        if self.args.key and "authorization" not in self.headers:
            conn.putheader("authorization", f"Bearer {self.args.key}")
        conn.endheaders()
        if has_body:
            for piece in pieces(self.rfile, self.headers):
                sent.feed(piece)
                conn.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                conn.send(b"0\r\n\r\n")
        answer = conn.getresponse()
        self.send_response_only(answer.status)
        length = answer.getheader("content-length")
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        bodyless = self.command == "HEAD" or answer.status in (204, 304)
        if length is None and not bodyless:
            self.send_header("transfer-encoding", "chunked")
        # The line is written before the last of the answer reaches the client (its head, if there is no more), so that a
        # mark that the client writes then comes after it.
        self.end_headers_later = True
        held = b""
        while piece := answer.read1(1 << 20):
            got.feed(piece)
            if held:
                self.pass_on(held, length)
            held = piece
        kept = {name.lower(): value for name, value in answer.getheaders()}
        row = {"m": self.command, "p": self.path, "b": sent.record() if has_body else None, "s": answer.status,
               "h": {name: kept.get(name) for name in ("content-type", "content-disposition", "accept-ranges",
                                                       "x-content-type-options", "content-range")},
               "validators": sorted(set(kept) & {"etag", "last-modified"}), "rb": got.record()}
        with self.lock:
            os.write(self.out, (json.dumps(row) + "\n").encode())
        self.pass_on(held, length)
        if length is None and not bodyless:
            self.wfile.write(b"0\r\n\r\n")
        conn.close()

    def pass_on(self, piece, length):
        if self.end_headers_later:
            self.end_headers_later = False
            self.end_headers()
        if piece:
            self.wfile.write(piece if length is not None else b"%x\r\n%s\r\n" % (len(piece), piece))

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = do_HEAD = do_OPTIONS = forward


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port_file")
    parser.add_argument("out")
    parser.add_argument("target")
    parser.add_argument("--tracking")
    parser.add_argument("--key")
    Handler.args = parser.parse_args()
    Handler.lock = threading.Lock()
    Handler.out = os.open(Handler.args.out, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    server = Server(("127.0.0.1", 0), Handler)
    with open(Handler.args.port_file + ".new", "w", encoding="utf-8") as f:
        f.write(str(server.server_address[1]))
    os.rename(Handler.args.port_file + ".new", Handler.args.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
