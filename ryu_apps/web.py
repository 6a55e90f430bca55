"""Serves the REST application with eventlet's WSGI server; bounded, and silent about itself."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import eventlet
import eventlet.wsgi

if TYPE_CHECKING:
    from ryu_apps.config import Rest

log = logging.getLogger("ringfence.rest")

MAX_CONNECTIONS = 512
"""Open connections, idle ones included; more wait in the listen queue."""
MAX_REQUESTS = 64
"""Requests served at a time, `?wait=` included. A connection that asks nothing takes no place of theirs."""
IDLE_S = 30.0
"""A client that sends nothing for so long is cut off."""


def installed_version() -> str:
    """Return the version of Ringfence as it is installed; `unknown` for a source tree that is not."""
    try:
        return importlib.metadata.version("ringfence")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


class Web:
    """A listening socket, bound when this is made so that an address in use is found early."""

    def __init__(self, rest: Rest, app: Callable[..., Iterable[bytes]]) -> None:
        """Bind.

        Raises:
            OSError: the address cannot be had, or a TLS file cannot be read.
        """
        self._app = app
        self._turns = eventlet.semaphore.Semaphore(MAX_REQUESTS)
        family = eventlet.green.socket.AF_INET6 if ":" in rest.host else eventlet.green.socket.AF_INET
        # Not shared: a second instance is to find out that there is one.
        self._socket: Any = eventlet.listen((rest.host, rest.port), family=family, backlog=128, reuse_port=False)
        if rest.tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(rest.tls.cert, rest.tls.key)
            self._socket = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
        self._pool = eventlet.GreenPool(MAX_CONNECTIONS)
        self._thread: Any = None

    def start(self) -> None:
        """Serve until stopped."""
        self._thread = eventlet.spawn(
            eventlet.wsgi.server,
            self._socket,
            self._in_turn,
            custom_pool=self._pool,
            log=log,
            log_output=False,
            debug=False,
            socket_timeout=IDLE_S,
        )

    def _in_turn(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["eventlet.minimum_write_chunk_size"] = 1  # a part of a stream goes out when it is made
        with self._turns:
            return self._app(environ, start_response)

    def stop(self) -> None:
        """End at once, requests under way included."""
        if self._thread is not None:
            self._thread.kill()
        for request in list(self._pool.coroutines_running):
            request.kill()
        with contextlib.suppress(OSError):
            self._socket.close()
