"""A bridge's management socket, spoken to with bytes: no controller between, so nothing else is measured."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.links import QUEUE_BYTES, committed_s, cut, session_with
from intent.compiler import Delta
from intent.compiler.flow import Flow, FlowBody, Program, make
from ryu_apps import wire
from ryu_apps.wire import BundleStep, Command, Kind

HEADER = 8
BUNDLE = 1
OPENED, COMMITTED, BARRIER, ASKED, FIRST = 2, 3, 4, 5, 10
TIMEOUT_S = 120
PIECE_BYTES = 1 << 16


class Channel:
    """One long-lived OpenFlow 1.4 connection. A context manager."""

    def __init__(self, management: Path) -> None:
        self.management = management
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, QUEUE_BYTES)
        self._socket.connect(str(management))
        self._stream = self._socket.makefile("rb")
        self.send(wire.hello(1))
        self.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, data: bytes | bytearray) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """Return the next message; echo requests are answered.

        Raises:
            ConnectionError: the switch closed the connection.
        """
        while True:
            head = self._stream.read(HEADER)
            if len(head) < HEADER:
                raise ConnectionError("the switch closed the connection")
            body = self._stream.read(int.from_bytes(head[2:4]) - HEADER)
            if head[1] != Kind.ECHO_REQUEST:
                return head + body
            self.send(wire.echo_reply(int.from_bytes(head[4:8]), body))

    def expect(self, kind: Kind, xid: int) -> bytes:
        """Return the answer to `xid`; what nobody asked for is passed over.

        Raises:
            RuntimeError: the switch refused a message.
        """
        while True:
            frame = self.receive()
            if frame[1] == Kind.ERROR:
                raise RuntimeError(f"the switch refused a message: {wire.decode_error(frame)}")
            if frame[1] == kind and int.from_bytes(frame[4:8]) == xid:
                return frame

    def barrier(self) -> None:
        """Return when the switch has done everything sent so far."""
        self.send(wire.barrier_request(BARRIER))
        self.expect(Kind.BARRIER_REPLY, BARRIER)

    def replay(self, bundles: Iterable[bytes]) -> None:
        """Send finished bundles (`bundle_bytes`), each to its commit reply."""
        for data in bundles:
            self.send(data)
            self.expect(Kind.BUNDLE_CONTROL, COMMITTED)

    def apply(self, delta: Delta) -> None:
        """Commit a change in one atomic bundle; return at the reply to a barrier sent behind it."""
        if delta:
            waiting = bytearray()
            for part in itertools.chain(_bundle_parts(_modifications(delta)), (wire.barrier_request(BARRIER),)):
                waiting += part
                if len(waiting) >= PIECE_BYTES:  # the switch reads these while the next are encoded
                    self.send(waiting)
                    waiting = bytearray()
            self.send(waiting)
            self.expect(Kind.BUNDLE_CONTROL, COMMITTED)
            self.expect(Kind.BARRIER_REPLY, BARRIER)

    def replay_to_barrier(self, bundle: bytes) -> None:
        """Send a finished bundle; return at the reply to a barrier sent behind it."""
        self.send(bundle + wire.barrier_request(BARRIER))
        self.expect(Kind.BUNDLE_CONTROL, COMMITTED)
        self.expect(Kind.BARRIER_REPLY, BARRIER)

    def commit(self, changes: Sequence[tuple[Command, Flow]], limit: int | None = None) -> None:
        """Encode changes and commit them, in one atomic bundle or in several of at most `limit`."""
        step = limit or max(1, len(changes))
        for at in range(0, len(changes), step):
            self.replay([bundle_bytes(changes[at : at + step])])

    def dump(self) -> Program:
        """Return what the bridge holds.

        Raises:
            RuntimeError: there is a flow that our compiler could not have made.
        """
        self.send(wire.flow_stats_request(ASKED))
        bodies, more = [], True
        while more:
            part = wire.decode_multipart(self.expect(Kind.MULTIPART_REPLY, ASKED))
            bodies.append(part.body)
            more = part.more
        program: Program = {}
        for entry in wire.decode_dump(bodies):
            if not isinstance(entry, wire.FlowStats):
                raise RuntimeError(f"a foreign flow on a bench bridge: {entry}")  # noqa: TRY004 - not a caller's mistake
            program[entry.flow.key] = entry.flow.body
        return program


def bundle_bytes(changes: Sequence[tuple[Command, Flow]]) -> bytes:
    """Return one whole atomic bundle: open, messages, commit."""
    return b"".join(_bundle_parts(changes))


def _bundle_parts(changes: Iterable[tuple[Command, Flow]]) -> Iterator[bytes | bytearray]:
    yield wire.bundle_control(OPENED, BUNDLE, BundleStep.OPEN_REQUEST)
    yield from wire.bundle_flow_mods(BUNDLE, FIRST, changes, wire.ATOMIC_ORDERED)
    yield wire.bundle_control(COMMITTED, BUNDLE, BundleStep.COMMIT_REQUEST)


def additions(program: Program) -> list[tuple[Command, Flow]]:
    """Return what brings an empty bridge to a program."""
    return [(Command.ADD, Flow(key, body)) for key, body in program.items()]


def modifications(delta: Delta) -> list[tuple[Command, Flow]]:
    """Return what a delta sends."""
    return list(_modifications(delta))


def _modifications(delta: Delta) -> Iterator[tuple[Command, Flow]]:
    yield from [(Command.DELETE_STRICT, make(Flow, (key, _NOTHING))) for key in delta.deletes]
    for flows in (delta.adds, delta.changes):
        yield from zip(itertools.repeat(Command.ADD), flows, strict=False)


_NOTHING = FlowBody((), 0)


def timed(channel: Channel, changes: Sequence[tuple[Command, Flow]], actual: Program | None = None) -> float:
    """Commit changes of what a bridge holds (nothing, if not said) with the product's own session, in its stages.

    Return the seconds from flows in memory to the last commit reply.
    """
    bundles = cut(changes, actual)
    with session_with(channel.management) as session:
        return committed_s(session, bundles)
