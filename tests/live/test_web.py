"""The REST server: who connects and says nothing keeps nobody from being served; what it says of itself."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from cli.exits import Exit
from cli.main import main

ROOT = Path(__file__).parents[2]

SERVER = """
import eventlet; eventlet.monkey_patch()
from types import SimpleNamespace
from ryu_apps.web import Web
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
web = Web(SimpleNamespace(host="127.0.0.1", port=0, tls=None), app)
web.start()
print(web._socket.getsockname()[1], flush=True)
eventlet.sleep(30)
"""
IDLE = 100


def test_a_hundred_idle_connections_delay_no_request() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE))
        stack.callback(server.kill)
        assert server.stdout
        address = ("127.0.0.1", int(server.stdout.readline()))
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection(address, timeout=30))
        with socket.create_connection(address, timeout=30) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")


CONFIG = """
openflow: {{port: {openflow}}}
rest: {{port: {rest}}}
ovsdb: {{targets: ["unix:{path}/db.sock"]}}
bridge:
state_dir: {path}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_controller_describes_itself_by_its_version_and_speaks_no_tls_unasked(tmp_path: Path, capsys) -> None:
    rest = free_port()
    (tmp_path / "c.yaml").write_text(CONFIG.format(openflow=free_port(), rest=rest, path=tmp_path))
    argv = [sys.executable, "-m", "cli.main", "run", "--config", str(tmp_path / "c.yaml")]
    with contextlib.ExitStack() as stack:
        controller = stack.enter_context(subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.DEVNULL))
        stack.callback(controller.kill)
        token = ["--token-file", str(tmp_path / "token")]
        deadline = time.monotonic() + 20
        # No switch is there, so nothing is ever realized; but it answers.
        while main(["status", "--server", f"http://127.0.0.1:{rest}", *token]) != Exit.NEGATIVE:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with socket.create_connection(("127.0.0.1", rest), timeout=30) as client:
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            body = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")[2]
        assert json.loads(body)["info"]["version"] == importlib.metadata.version("ringfence")
        capsys.readouterr()
        assert main(["status", "--server", f"https://127.0.0.1:{rest}", *token]) == Exit.UNREACHABLE
        assert f"the server speaks no TLS: use http://127.0.0.1:{rest}\n" in capsys.readouterr().err
        controller.terminate()
        assert controller.wait(60) == 0
