"""A connected socket with timeouts, for one reader and many writers.

The socket is non-blocking and its calls are made under a lock, because one TLS object must not be
read and written at once. Waiting is done outside that lock.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time

from ovsdb.errors import ConnectionLost

_CHUNK = 256 * 1024
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_TLS_PAUSE_S = 0.01


class Stream:
    """Bytes in and out. `name` is the target, for messages."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self._socket = sock
        self._name = name
        self._raw = threading.Lock()
        self._sending = threading.Lock()

    def recv(self, timeout_s: float) -> bytes | None:
        """Return what has come, None when nothing did in time.

        Raises:
            ConnectionLost: the other end closed, or the network did.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with self._raw:
                    data = self._socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                if not self._wait(_READ, deadline):
                    return None
            except ssl.SSLWantWriteError:
                self._wait(_WRITE, deadline)
            except (OSError, ValueError) as error:
                raise ConnectionLost(f"{self._name}: {error}") from error
            else:
                if not data:
                    raise ConnectionLost(f"{self._name}: the server closed the connection")
                return data

    def send(self, data: bytes, timeout_s: float) -> None:
        """Send all of `data`, one caller after the other.

        Raises:
            ConnectionLost: the network, or a peer that does not take it in time; the stream is then closed.
        """
        deadline = time.monotonic() + timeout_s
        view = memoryview(data)
        with self._sending:
            while view:
                view = view[self._send_some(view, deadline) :]

    def _send_some(self, view: memoryview, deadline: float) -> int:
        try:
            with self._raw:
                return self._socket.send(view)
        except (BlockingIOError, ssl.SSLWantWriteError):
            if not self._wait(_WRITE, deadline):
                self.shut()
                raise ConnectionLost(f"{self._name}: the server does not read what we send") from None
        except ssl.SSLWantReadError:
            time.sleep(_TLS_PAUSE_S)  # the reader is the one who reads; give it a turn
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"{self._name}: {error}") from error
        return 0

    def _wait(self, events: int, deadline: float) -> bool:
        """Wait until the socket is ready; False when the deadline came first."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._socket, events)
                return bool(selector.select(left))
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"{self._name}: {error}") from error

    def shut(self) -> None:
        """End the connection from any thread; the reader notices and closes."""
        with contextlib.suppress(OSError, ValueError), self._raw:
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the socket; only the reader calls it."""
        with contextlib.suppress(OSError), self._raw:
            self._socket.close()
