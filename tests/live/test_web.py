"""The REST server: who connects and says nothing keeps nobody from being served."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

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
            stack.enter_context(socket.create_connection(address, timeout=5))
        with socket.create_connection(address, timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
