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

from ryu_apps.logs import Limited

if TYPE_CHECKING:
    from ryu_apps.config import Rest

log = logging.getLogger("ringfence.rest")

MAX_CONNECTIONS = 512
"""Open connections, idle ones included; for one more, that goes which has asked nothing for longest."""
MAX_REQUESTS = 64
"""Requests served at a time, `?wait=` included. Who asks nothing, or is still sending, takes no place of theirs."""
ACCEPT_PAUSE_S = 0.1
IDLE_S = 30.0
"""A client that sends nothing for so long is cut off."""


def installed_version() -> str:
    """Return the version of Ringfence as it is installed; `unknown` for a source tree that is not."""
    try:
        return importlib.metadata.version("ringfence")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


class _Door:
    """A listening socket whose `accept` goes on after errors: eventlet's server ends with the first one."""

    def __init__(self, sock: Any) -> None:  # noqa: ANN401 - a green socket
        self._socket = sock
        self._limited = Limited(log)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the socket has
        return getattr(self._socket, name)

    def accept(self) -> Any:  # noqa: ANN401 - a green socket and an address
        """Return the next client; who hung up, or for whom there is no file descriptor, is not the last."""
        while True:
            try:
                return self._socket.accept()
            except OSError as error:
                self._limited.warning("accept", "cannot accept a client: %s", error)
                eventlet.sleep(ACCEPT_PAUSE_S)


class _Clients(eventlet.GreenPool):  # type: ignore[misc] # eventlet has no types
    """The thread of each connection; one that asks nothing makes room for one that may."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._limited = Limited(log)
        self._sockets: dict[Any, Any] = {}
        self._idle: dict[Any, None] = {}
        """Threads whose client has not asked, or not yet sent what it asks; the longest first."""

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - eventlet's signature
        """Serve one more connection, eventlet's `[address, socket, state]`; waits only while all others are served."""
        if not self.free() and self._idle:
            self._limited.warning("full", "%d connections are open: silent ones are closed", self.size)
            self._close(next(iter(self._idle)))
        thread = super().spawn(function, *args, **kwargs)
        self._sockets[thread] = args[0][1]
        self._idle[thread] = None
        thread.link(self._ended)
        return thread

    def _close(self, thread: Any) -> None:  # noqa: ANN401 - a green thread
        """Let a thread find its connection ended. Were it killed, it would first read the rest of a body."""
        del self._idle[thread]
        eventlet.greenio.shutdown_safe(self._sockets[thread])

    def _ended(self, thread: Any) -> None:  # noqa: ANN401 - a green thread
        self._idle.pop(thread, None)
        del self._sockets[thread]

    def begin(self) -> None:
        """Note that this thread serves a request."""
        self._idle.pop(eventlet.getcurrent(), None)

    def end(self, *_: object) -> None:
        """Note that it waits for the next."""
        self._idle[eventlet.getcurrent()] = None


class _Body:
    """A request's body. Whoever waits for it holds up nobody, and makes room like one who has not asked yet."""

    def __init__(self, body: Any, turns: Any, clients: _Clients) -> None:  # noqa: ANN401 - eventlet's
        self._body, self._turns, self._clients = body, turns, clients

    def read(self, size: int | None = None) -> bytes:
        """Return as many bytes, or what there is at the end."""
        self._turns.release()
        self._clients.end()
        try:
            data: bytes = self._body.read(size)
        finally:
            self._clients.begin()
            self._turns.acquire()
        return data


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
        self._pool = _Clients(MAX_CONNECTIONS)
        self._thread: Any = None

    def start(self) -> None:
        """Serve until stopped."""
        self._thread = eventlet.spawn(
            eventlet.wsgi.server,
            _Door(self._socket),
            self._in_turn,
            custom_pool=self._pool,
            log=log,
            log_output=False,
            debug=False,
            socket_timeout=IDLE_S,
        )

    def _in_turn(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["eventlet.minimum_write_chunk_size"] = 1  # a part of a stream goes out when it is made
        environ["wsgi.input"] = _Body(environ["wsgi.input"], self._turns, self._pool)
        self._pool.begin()
        with self._turns:
            said = self._app(environ, start_response)
        if hasattr(said, "__len__"):
            self._pool.end()
        else:  # a stream: served as long as it lasts
            environ["eventlet.posthooks"].append((self._pool.end, (), {}))
        return said

    def stop(self) -> None:
        """End at once, requests under way included."""
        if self._thread is not None:
            self._thread.kill()
        for request in list(self._pool.coroutines_running):
            request.kill()
        with contextlib.suppress(OSError):
            self._socket.close()
