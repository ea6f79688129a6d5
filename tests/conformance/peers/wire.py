"""What stands between the program and a peer: one that passes all on and keeps it, and one that answers from what was kept and
refuses whatever is not in it."""
import http.client, json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def read(body, kind):
    """JSON as a value, all else as a text."""
    try:
        return json.loads(body) if body and "json" in kind else body.decode()
    except ValueError:
        return body.decode(errors="replace")


class Between:
    """Serves on a free port until `close`; what becomes of a request is for `answer`."""

    def __init__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                found = outer.answer(self.command, self.path, self.headers, body)
                if found is None:
                    self.close_connection = True
                    return
                status, kind, answer = found
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = any

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def request(self, method, path, headers, body):
        kind = headers.get("content-type") or ""
        return {"method": method, "path": path, "type": kind, "body": read(body, kind)}


class Recorder(Between):
    """Passes on to a peer. Whatever went through since `take` was called last is given by it."""

    def __init__(self, port):
        super().__init__()
        self.port, self.kept, self.strange = port, [], []

    def take(self):
        kept, self.kept = self.kept, []
        return kept

    def answer(self, method, path, headers, body):
        if headers.get("authorization"):
            self.strange.append(f"{path} came with the caller's key")
        passed = {name: headers[name] for name in headers if name.lower() not in ("host", "connection", "content-length")}
        peer = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            peer.request(method, path, body or None, passed)
            got = peer.getresponse()
            kind, answer = got.getheader("content-type") or "", got.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            peer.close()
        answered = {"status": got.status, "type": kind, "body": read(answer, kind)}
        if "stack_trace" in answered["body"]:
            # It names files of the machine that it ran on.
            answered["body"]["stack_trace"] = "Traceback, left out"
        self.kept.append({"sent": self.request(method, path, headers, body), "answered": answered})
        return got.status, kind, answer


class Replayer(Between):
    """Answers as the peer did to the same request, and refuses any other."""

    def __init__(self, exchanges):
        super().__init__()
        self.known = {json.dumps(kept["sent"], sort_keys=True): kept["answered"] for kept in exchanges}
        self.strange, self.used = [], set()

    def answer(self, method, path, headers, body):
        if headers.get("authorization"):
            self.strange.append(f"{path} came with the caller's key")
        asked = json.dumps(self.request(method, path, headers, body), sort_keys=True)
        found = self.known.get(asked)
        if found is None:
            self.strange.append(asked)
            return 418, "application/json", b'{"error": "the peer was never asked this"}'
        self.used.add(asked)
        kept = found["body"]
        answer = json.dumps(kept) if "json" in found["type"] else kept
        return found["status"], found["type"], answer.encode()
