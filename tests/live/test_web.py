"""The REST server: who connects and says nothing keeps nobody from being served; what it says of itself."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

from cli.exits import Exit
from cli.main import main
from mininet_scenarios import shell
from mininet_scenarios.janitor import Janitor
from tests.free_ports import free_port

ROOT = Path(__file__).parents[2]

SERVER = """
import eventlet; eventlet.monkey_patch()
from types import SimpleNamespace
from ryu_apps import web as module
from ryu_apps.web import Web
module.MAX_CONNECTIONS = {most}
module.MAX_REQUESTS = 4
def app(environ, start_response):
    stream = environ["PATH_INFO"] == "/stream"
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [] if stream else [("Content-Length", "2")])
    return ticks() if stream else [b"ok"]
def ticks():
    while True:
        yield b"tick"
        eventlet.sleep(0.05)
web = Web(SimpleNamespace(host="127.0.0.1", port=0, tls=None), app)
web.start()
print(web._socket.getsockname()[1], flush=True)
eventlet.sleep(1000)
"""
IDLE = 100
HERE = shell.Surroundings({"PYTHONPATH": str(ROOT)})
MOST = 40
"""Connections of a server that is to have less room than clients want."""
ASK_S = 20.0
"""An answer that comes when silent clients are timed out (30 s) comes too late."""


def served(stack: contextlib.ExitStack, most: int) -> tuple[subprocess.Popen[bytes], tuple[str, int]]:
    """Start a server with room for `most` connections; return it and its address."""
    argv = [sys.executable, "-c", SERVER.replace("{most}", str(most))]
    janitor = stack.enter_context(Janitor())
    server = janitor.start(argv, where=HERE, output=subprocess.DEVNULL, pipe=True)
    assert server.stdout
    return server, ("127.0.0.1", int(server.stdout.readline()))


def assert_answers(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=ASK_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(64).startswith(b"HTTP/1.1 200")


def test_a_hundred_idle_connections_delay_no_request() -> None:
    with contextlib.ExitStack() as stack:
        _, address = served(stack, 512)
        for _ in range(IDLE):
            stack.enter_context(socket.create_connection(address, timeout=30))
        assert_answers(address)


def test_who_never_finishes_a_request_makes_room_and_who_reads_a_stream_keeps_it() -> None:
    with contextlib.ExitStack() as stack:
        _, address = served(stack, MOST)
        reader = stack.enter_context(socket.create_connection(address, timeout=ASK_S))
        reader.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert reader.recv(64).startswith(b"HTTP/1.1 200")
        for _ in range(3 * MOST):
            slow = stack.enter_context(socket.create_connection(address, timeout=30))
            slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert_answers(address)
        begin, goes_on = time.monotonic(), 0.3
        while time.monotonic() < begin + goes_on:
            assert reader.recv(4096), "the stream goes on"


def test_who_never_finishes_a_body_takes_no_place_of_a_request() -> None:
    with contextlib.ExitStack() as stack:
        _, address = served(stack, MOST)
        for _ in range(3 * MOST):
            slow = stack.enter_context(socket.create_connection(address, timeout=30))
            slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert_answers(address)
        late = stack.enter_context(socket.create_connection(address, timeout=ASK_S))
        late.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        assert_answers(address)
        late.sendall(b"def")
        assert late.recv(64).startswith(b"HTTP/1.1 200"), "it has its turn once it is there"


def test_a_server_without_file_descriptors_serves_again_once_it_has_some() -> None:
    with contextlib.ExitStack() as stack:
        server, address = served(stack, 512)
        assert_answers(address)
        used = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 8, 4096))
        with contextlib.ExitStack() as idle:
            for _ in range(30):
                idle.enter_context(socket.create_connection(address, timeout=30))
            time.sleep(0.3)
        assert_answers(address)


CONFIG = """
openflow: {{port: {openflow}}}
rest: {{port: {rest}}}
ovsdb: {{targets: ["unix:{path}/db.sock"]}}
bridge:
state_dir: {path}
"""


def test_the_controller_describes_itself_by_its_version_and_speaks_no_tls_unasked(tmp_path: Path, capsys) -> None:
    rest = free_port()
    (tmp_path / "c.yaml").write_text(CONFIG.format(openflow=free_port(), rest=rest, path=tmp_path))
    argv = [sys.executable, "-m", "cli.main", "run", "--config", str(tmp_path / "c.yaml")]
    with contextlib.ExitStack() as stack:
        janitor = stack.enter_context(Janitor())
        controller = janitor.start(argv, where=HERE, output=subprocess.DEVNULL)
        token = ["--token-file", str(tmp_path / "token")]
        deadline = time.monotonic() + 90
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
