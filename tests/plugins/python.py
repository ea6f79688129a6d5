"""Holds a drift plugin in Python against the one in Rust, by the program's command and in a monitor of a gateway that runs.

usage: python.py TIDEGATE PYTHON.wasm RUST.wasm stub|wasi
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TIDEGATE, PYTHON, RUST = (str(Path(path).resolve()) for path in sys.argv[1:4])
KIND = sys.argv[4]
TOKEN = "token-of-the-admin-interface"
os.environ["TIDEGATE_ADMIN_TOKEN"] = TOKEN
# What it has to be allowed, by the command and by a configuration.
ARGUMENTS = ["--size", "32MiB", *(["--modules", "64"] if KIND == "stub" else ["--wasi", "minimal"])]
ENTRY = "limits: {size: 32MiB, modules: 64}" if KIND == "stub" else "limits: {size: 32MiB}, wasi: minimal"


def asked(folder: Path, component: str, window: dict, config: dict, arguments: list[str]) -> float:
    """The first number that a component says of a window."""
    for name, content in [("window", window), ("config", config)]:
        (folder / f"{name}.json").write_text(json.dumps(content))
    command = [TIDEGATE, "plugin", "run", component, "--input", folder / "window.json", "--config", folder / "config.json"]
    ran = subprocess.run([*command, "--json", *arguments], stdout=subprocess.PIPE, check=True)
    return json.loads(ran.stdout)["report"]["measurements"][0]["value"]


def as_in_rust(folder: Path) -> None:
    """The distance of Jensen and Shannon, of windows made by chance."""
    dice, furthest = random.Random(7), 0.0
    for _ in range(10):
        words = [f"w{n}" for n in range(dice.randint(2, 12))]
        side = lambda: {"x": dice.choices(words, [dice.random() for _ in words], k=dice.randint(20, 500))}
        window = {"reference": side(), "current": side()}
        python = asked(folder, PYTHON, window, {"measure": "jensen_shannon"}, ARGUMENTS)
        tests = {"tests": [{"test": "jensen_shannon", "column": "x", "base": "e"}]}
        rust = asked(folder, RUST, window, tests, [])
        furthest = max(furthest, abs(python - rust))
    print(f"10 windows, at most {furthest:.1e} from the plugin in Rust")
    assert furthest < 1e-12


class Model(BaseHTTPRequestHandler):
    """Answers each chat with the same."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        body = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def asks(url: str, body: dict | None = None, token: str | None = None) -> dict:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def until(what: str, does, seconds: float = 300):
    """What `does` gives, as soon as it gives anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := does()) is not None:
            return found
        time.sleep(0.05)
    raise SystemExit(f"gave up waiting for {what}")


def in_a_monitor(folder: Path) -> None:
    """What callers say their country is: a window like the first calls, then one that is not."""
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    (folder / "config.yaml").write_text(
        f"""
listeners: {{public: {{address: "127.0.0.1:0"}}}}
admin: {{address: "127.0.0.1:0", token: "${{env:TIDEGATE_ADMIN_TOKEN}}"}}
store: {{events: {{to: "file:events"}}}}
providers: {{p: {{openai: {{endpoints: [{{url: "http://127.0.0.1:{model.server_port}/v1"}}]}}}}}}
models: {{m: {{provider: p}}}}
routes: {{chat: {{model: m}}}}
plugins: {{python: {{component: "{PYTHON}", config: {{threshold: 0.2}}, {ENTRY}}}}}
monitors:
  countries:
    plugin: python
    route: chat
    fields: {{country: {{from: /country, kind: category}}}}
    window: {{size: 100, min: 50}}
    baseline: {{first: 100}}
    alarm: {{breaches: 1, of: 1}}
"""
    )
    begun = time.monotonic()
    checked = subprocess.run([TIDEGATE, "check", "config.yaml"], cwd=folder)
    assert checked.returncode == 0
    print(f"checked in {time.monotonic() - begun:.1f} s")
    begun = time.monotonic()
    log = folder / "gateway.log"
    gateway = subprocess.Popen([TIDEGATE, "serve", "--config", "config.yaml"], cwd=folder, stderr=log.open("w"))

    def addresses():
        assert gateway.poll() is None, log.read_text()
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        found = {line["listener"]: line["address"] for line in lines if "listener" in line and "address" in line}
        return found if found.keys() >= {"public", "admin"} else None

    try:
        found = until("the gateway's listeners", addresses)
        print(f"serves after {time.monotonic() - begun:.1f} s")
        public, admin = (f"http://{found[name]}" for name in ("public", "admin"))

        def calls(countries: list[str]) -> None:
            for country in countries:
                asks(f"{public}/v1/chat/completions", {"model": "chat", "messages": [{"role": "user", "content": "?"}], "country": country})

        def judged(windows: int):
            now = asks(f"{admin}/admin/v1/monitors/countries", token=TOKEN)
            return now if now["counts"]["windows"] >= windows else None

        def values(monitor: dict) -> list[tuple[float, bool]]:
            windows = [window for watched in monitor["watched"] for window in watched["windows"]]
            return [(one["value"], one["breached"]) for window in windows for one in window["measurements"]]

        calls((["at"] * 5 + ["de"] * 5) * 10)
        calls((["at"] * 6 + ["de"] * 4) * 10)
        first = values(until("a window that is judged", lambda: judged(1)))
        calls((["at"] * 1 + ["ch"] * 4 + ["de"] * 5) * 10)
        both = values(until("another one", lambda: judged(2)))
        print(f"judged: {both}")
        assert [(round(value, 9), breached) for value, breached in both] == [(0.1, False), (0.4, True)], both
        assert len(first) == 1
        shown = asks(f"{admin}/admin/v1/plugins/python", token=TOKEN)
        assert shown["wasi"] == ("minimal" if KIND == "wasi" else "none"), shown
        assert shown["calls"] == 2 and shown["failures"] == {}, shown
    finally:
        gateway.terminate()
        gateway.wait(30)
        model.shutdown()


with tempfile.TemporaryDirectory(dir=os.environ.get("XDG_CACHE_HOME")) as folder:
    as_in_rust(Path(folder))
    in_a_monitor(Path(folder))
