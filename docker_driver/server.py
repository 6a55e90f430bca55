"""The plugin socket: HTTP on a unix socket, for dockerd alone. Bounded in size, time and number."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socketserver
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler  # noqa: TID251 - this package is a shell
from pathlib import Path
from typing import Any

from docker_driver import reading
from docker_driver.calls import Call
from docker_driver.errors import Refused

log = logging.getLogger("ringfence.docker.server")

MAX_BODY = 1 << 20
MAX_CALLS = 128
"""Calls at a time; more wait in the listen queue."""
IDLE_S = 10.0
SLOW_S = 2.0
"""A call that takes longer is logged."""
_MEDIA = "application/vnd.docker.plugins.v1.2+json"
_OK, _BAD_REQUEST = 200, 400


def _error(text: str) -> Mapping[str, Any]:
    """Return an error's body: network drivers say it in `Err`, IPAM drivers in `Error`."""
    return {"Err": text, "Error": text}


class _Handler(BaseHTTPRequestHandler):
    server: PluginServer
    timeout = IDLE_S
    protocol_version = "HTTP/1.0"  # one call a connection: none is left half-open by either side

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:9]) > MAX_BODY:
            self._answer(_BAD_REQUEST, _error(f"a body of 0 to {MAX_BODY} bytes with Content-Length is read"))
            return
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            return  # the caller went away
        self._answer(_OK, self.server.answer(self.path, data))

    def address_string(self) -> str:
        return "dockerd"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's signature
        log.debug(format, *args)

    def _answer(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", _MEDIA)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data)


class PluginServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens when it is made. The caller holds the lock on the state, so a socket that is there is stale."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, path: Path, calls: Mapping[str, Call]) -> None:
        """Serve `calls` on a socket that only root can open.

        Raises:
            OSError: the socket cannot be made there.
        """
        self._calls = calls
        self._room = threading.BoundedSemaphore(MAX_CALLS)
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        # dockerd looks for the name: it appears only once somebody listens.
        making = path.with_suffix(".new")
        making.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(making), _Handler)
        finally:
            os.umask(before)
        making.rename(path)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's signature
        """Serve in a thread of its own, if there is room."""
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Make room when done."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Log; the connection is closed."""
        log.debug("a connection broke", exc_info=True)  # noqa: LOG014 - called from an exception handler

    def answer(self, path: str, data: bytes) -> Mapping[str, Any]:
        """Make one call and return its answer, or `Err` with the reason."""
        call, began_at = self._calls.get(path), time.monotonic()
        if call is None:
            return _error(f"this driver has no call {path[:80]!r}")
        try:
            answer = call(reading.parse(data))
        except Refused as refused:
            log.warning("%s refused: %s", path, refused)
            return _error(f"ringfence: {refused}")
        except Exception:
            log.exception("%s failed by a fault of ours: report it with these lines", path)
            return _error("ringfence: a fault of the driver: see its log")
        took_s = time.monotonic() - began_at
        log.log(logging.WARNING if took_s > SLOW_S else logging.DEBUG, "%s took %.1f ms", path, took_s * 1000)
        return answer

    def close(self) -> None:
        """Stop listening; calls under way end by themselves."""
        self.shutdown()
        self._path.unlink(missing_ok=True)
        self.server_close()
