"""A scripted OVSDB server on a unix socket: it says whatever a test wants, honest or not."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
from pathlib import Path

from ovsdb import Client, Limits
from ovsdb.framing import Splitter
from topology.events import HostResynced

QUICK = Limits(
    message_bytes=1 << 20,
    rows=1000,
    state_chars=1 << 20,
    connect_timeout_s=1,
    call_timeout_s=1,
    sync_timeout_s=1,
    probe_s=0.3,
    backoff_first_s=0.01,
    backoff_cap_s=0.05,
)
ROW = "00000001-0000-4000-8000-000000000000"
OTHER = "00000002-0000-4000-8000-000000000000"
SINCE = "00000003-0000-4000-8000-000000000000"
"""A transaction."""
INITIAL = {"Bridge": {ROW: {"initial": {"name": "br", "external_ids": ["map", [["ringfence", "me"]]]}}}}


class Server:
    """Each connection runs the next script; the last one for all that follow."""

    def __init__(self, *scripts) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="rfdb")
        path = str(Path(self._directory.name) / "s")
        self.target = f"unix:{path}"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._scripts = list(scripts)
        self._open: list[socket.socket] = []
        self.errors: list[BaseException] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._directory.cleanup()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                threading.Thread(target=self._talk, args=(script, sock), daemon=True).start()

    def _talk(self, script, sock) -> None:
        try:
            script(Peer(sock))
        except (OSError, EOFError):
            pass
        except AssertionError as error:
            self.errors.append(error)
        finally:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._splitter = Splitter(1 << 24)
        self._waiting: list[dict] = []

    def hear(self) -> dict:
        while not self._waiting:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError
            self._waiting.extend(self._splitter.feed(data))
        return self._waiting.pop(0)

    def say(self, message) -> None:
        self.raw(json.dumps(message).encode())

    def raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self, result, error=None) -> dict:
        """Answer the next request; one for a monitor with everything, as of a transaction."""
        request = self.hear()
        if request["method"] == "monitor_cond_since" and error is None:
            result = [False, SINCE, result]
        self.say({"id": request["id"], "result": result, "error": error})
        return request

    def update(self, tables) -> None:
        self.say({"method": "update3", "id": None, "params": ["ringfence", SINCE, tables]})

    def stay(self) -> None:
        """Answer echoes until the client goes."""
        while True:
            message = self.hear()
            if message.get("method") == "echo":
                self.say({"id": message["id"], "result": message["params"], "error": None})


def honest(peer: Peer) -> None:
    assert peer.answer(INITIAL)["method"] == "monitor_cond_since"
    peer.stay()


class Watch:
    """A client and the events it told, with waiting."""

    def __init__(self, target: str, limits: Limits = QUICK) -> None:
        self.events: list = []
        self._news = threading.Condition()
        self.client = Client(target, self._take, limits=limits)

    def _take(self, event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def __enter__(self):
        self.client.start()
        return self

    def __exit__(self, *_):
        self.client.stop()

    def until(self, condition, timeout_s: float = 60.0):
        with self._news:
            assert self._news.wait_for(lambda: condition(self.events), timeout_s), self.events
        return self.events

    def resyncs(self, count: int = 1, timeout_s: float = 60.0):
        self.until(lambda es: sum(isinstance(e, HostResynced) for e in es) >= count, timeout_s)
        return [e for e in self.events if isinstance(e, HostResynced)]
