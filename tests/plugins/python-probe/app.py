"""A plugin that tries what WASI would give and `wasi: minimal` does not: each measurement is 1 where something was had."""

import os
import socket
import time

from wit_world import exports
from wit_world.exports.lifecycle import PluginInfo
from wit_world.imports.types import Measurement, Report, Severity


class Lifecycle(exports.Lifecycle):
    def describe(self) -> PluginInfo:
        return PluginInfo("python-probe", "0.1.0", '{"type": "object"}')

    def configure(self, config_json: str) -> None:
        pass


class Drift(exports.Drift):
    def evaluate(self, window, reference, current) -> Report:
        print("the probe was called")
        began = time.monotonic()
        time.sleep(3600)
        tried = {
            "variables": lambda: len(os.environ) > 0,
            "root": lambda: os.listdir("/") is not None,
            "passwd": lambda: open("/etc/passwd").read() is not None,
            "written": lambda: open("probe.txt", "w").write("x") > 0,
            "tcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(("127.0.0.1", 9)) is None,
            "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)) > 0,
            "name": lambda: len(socket.getaddrinfo(b"localhost", 80)) > 0,
            "hour": lambda: time.monotonic() - began > 60,
            "year": lambda: not time.gmtime(time.time()).tm_year >= 2024,
            "chance": lambda: os.urandom(32) == os.urandom(32),
        }
        return Report([measured(name, had) for name, had in tried.items()], None)


def measured(name: str, had) -> Measurement:
    try:
        value = float(had())
    except OSError as error:
        print(f"{name}: {error}")
        value = 0.0
    return Measurement(name, value, None, None, value > 0, Severity.INFO, [])
