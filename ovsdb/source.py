"""Where a client's connections come from: it dials, or waits until the host has dialled in."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Protocol

from ovsdb.errors import ConnectionLost
from ovsdb.target import Tls, connect, parse_target


class Source(Protocol):
    """Gives a client its next connection."""

    def open(self) -> socket.socket:
        """Return a connected, non-blocking socket; may block until there is one.

        Raises:
            ConnectionLost: there is none, or `close` was called.
            BadTarget: there never will be.
        """

    def close(self) -> None:
        """Let `open` end, from any thread."""


class Dial:
    """Connects to a target."""

    def __init__(self, target: str, tls: Tls | None, timeout_s: float) -> None:
        """Remember where to.

        Raises:
            BadTarget: the target cannot be right.
        """
        self._target = parse_target(target)
        self._tls = tls
        self._timeout_s = timeout_s

    def open(self) -> socket.socket:
        """Connect."""
        return connect(self._target, self._tls, self._timeout_s)

    def close(self) -> None:
        """Nothing to do: a connect ends by its timeout."""


class Door:
    """Waits for a connection that the host makes; the newest one counts."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._news = threading.Condition()
        self._waiting: socket.socket | None = None
        self._closed = False

    def offer(self, sock: socket.socket) -> None:
        """Give a connected, non-blocking socket that was proven to be the host's."""
        with self._news:
            if self._closed:
                _close(sock)
                return
            stale, self._waiting = self._waiting, sock
            self._news.notify()
        if stale is not None:
            _close(stale)

    def open(self) -> socket.socket:
        """Wait for the host."""
        with self._news:
            self._news.wait_for(lambda: self._waiting is not None or self._closed)
            sock, self._waiting = self._waiting, None
        if sock is None:
            raise ConnectionLost(f"{self._host}: no longer waited for")
        return sock

    def close(self) -> None:
        """Wait no longer."""
        with self._news:
            self._closed = True
            sock, self._waiting = self._waiting, None
            self._news.notify_all()
        if sock is not None:
            _close(sock)


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.close()
