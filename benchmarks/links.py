"""The product's own session with a bridge, on a plain socket: no Ryu, no eventlet, so nothing else is measured."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from intent.compiler.flow import FlowBody, FlowKey, Program
from ryu_apps import frames, wire
from ryu_apps.bundle import commit_all
from ryu_apps.changes import Bundle, Change, applied, stages
from ryu_apps.session import Session
from ryu_apps.wire import Kind
from topology.frozen import FrozenMap

READ_BYTES = 1 << 16
QUEUE_BYTES = 1 << 22
"""What the switch has not read yet; the product's connection keeps it in a queue."""


class SocketLink:
    """A connection to a bridge's management socket, as a session uses it."""

    names: tuple[str, ...] = ()

    def __init__(self, management: Path) -> None:
        self.peer = str(management)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
        self._socket.connect(self.peer)
        self._buffer = bytearray()
        self._ended = threading.Event()

    def write(self, data: bytes) -> bool:
        """Send whole messages."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def listen(self, seconds: float) -> bool:  # noqa: ARG002 - the signature of a link
        """Leave it to the thread that reads."""
        return False

    def shut(self, reason: str) -> None:  # noqa: ARG002 - the signature of a link
        """Hang up."""
        if not self._ended.is_set():
            self._ended.set()
            self._socket.shutdown(socket.SHUT_RDWR)

    def alive(self, timeout_s: float) -> bool:  # noqa: ARG002 - the signature of a link
        """Say whether it is open; nobody in a benchmark asks for more."""
        return not self._ended.is_set()

    def receive(self) -> list[bytes]:
        """Return the messages that came, at least a part of one; none when the connection is closed."""
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the switch closed the connection")
        self._buffer += data
        whole = []
        while more := frames.split(self._buffer):
            whole += more
        return whole

    def serve(self, session: Session) -> None:
        """Feed a session until the connection ends."""
        try:
            while not self._ended.is_set():
                for frame in self.receive():
                    if frame[1] == Kind.ECHO_REQUEST:
                        self.write(wire.echo_reply(int.from_bytes(frame[4:8]), frame[8:]))
                    else:
                        session.feed(frame)
        except OSError:
            session.close()
        finally:
            self._socket.close()


@contextmanager
def session_with(management: Path) -> Iterator[Session]:
    """Yield a session that is master of a bridge."""
    link = SocketLink(management)
    link.write(wire.hello(1) + wire.features_request(2))
    dpid = 0
    while not dpid:
        dpid = next((wire.decode_features(f).dpid for f in link.receive() if f[1] == Kind.FEATURES_REPLY), 0)
    session = Session(link, dpid, {})
    reader = threading.Thread(target=link.serve, args=(session,), daemon=True)
    reader.start()
    try:
        session.become_master(1)
        yield session
    finally:
        link.shut("done")
        reader.join()


def cut(changes: Sequence[Change], actual: Program | None = None, desired: Program | None = None) -> Iterator[Bundle]:
    """Yield the bundles in which the product commits changes of what a switch holds: nothing, if not said.

    The product has the program that is wanted; where `desired` is not said, it is worked out.
    """
    held: FrozenMap[FlowKey, FlowBody] = FrozenMap(actual or {})
    if desired is None:
        desired = dict(applied(held, changes)) if held else {flow.key: flow.body for _, flow in changes}
    return stages(Bundle(changes=tuple(changes)), held, desired)


def committed_s(session: Session, bundles: Iterable[Bundle]) -> float:
    """Commit bundles as the product does; return the seconds from the first flow to the last commit reply."""
    begin = time.perf_counter()
    for _ in commit_all(session, bundles):
        pass
    return time.perf_counter() - begin
