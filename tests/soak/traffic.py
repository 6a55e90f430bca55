"""Traffic for proofs: many numbered streams between namespaces, out of one process and by one clock.

One process makes its sockets in all namespaces, so the instants of sending and of arriving compare to the
microsecond (CLOCK_MONOTONIC). It notes every message sent and every one that arrived; who reads the notes
(`record.py`) decides what they mean.

    python -m tests.soak.traffic        requests and answers are one JSON object a line
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import heapq
import itertools
import json
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mininet_scenarios.namespaces import entered

MESSAGE = struct.Struct("!IIQ")
"""Stream, number, padding: 16 bytes."""
TO_SERVER, TO_CLIENT = "to_server", "to_client"
LATE_S = 0.05
"""A stream that is later than this skips what it missed instead of catching up in a burst."""
ROOM = 1 << 23
SO_RCVBUFFORCE = 33
"""socket(7); Python has no name for it."""
TCP_RETRANSMITS = 100
"""Offset of tcpi_total_retrans in TCP_INFO."""
HANDSHAKE = 0xFFFFFFFF
"""Number of the message that tells a server which stream a connection is."""
KNOCKS = 64
"""Connection attempts of one stream that are open at a time."""
SPRAY_S = 0.005
ALL_FRAMES, OUTGOING = 3, 4
"""ETH_P_ALL, PACKET_OUTGOING."""
IPV4 = b"\x08\x00"


class Loop:
    """Callbacks for readable sockets, and timers."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = itertools.count()

    def watch(self, sock: socket.socket, call: Callable[[], None]) -> None:
        self.selector.register(sock, selectors.EVENT_READ, call)

    def forget(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            if sock in self.selector.get_map():
                self.selector.unregister(sock)
            sock.close()

    def at(self, due: float, call: Callable[[], None]) -> None:
        heapq.heappush(self.timers, (due, next(self.numbers), call))

    def turn(self) -> None:
        wait_s = self.timers[0][0] - time.monotonic() if self.timers else 1.0
        for key, _ in self.selector.select(max(0.0, wait_s)):
            key.data()
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2]()


def make(netns: str, kind: int, address: str, port: int = 0, *, family: int = socket.AF_INET) -> socket.socket:
    """Return a socket of a namespace, bound."""
    with entered(netns):
        sock = socket.socket(family, kind)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
    if family == socket.AF_INET:
        sock.bind((address, port))
    return sock


@dataclasses.dataclass
class Stream:
    """What is asked, and notes of what became of it."""

    id: int
    protocol: str
    """`tcp`, `udp`, or `knock`: a new TCP connection each time, of which only the opening matters."""
    client: tuple[str, str]
    """Namespace and address."""
    server: tuple[str, str]
    port: int
    driver: str
    """Who sends: `client`, `server`, `both`."""
    interval_s: float
    renew: int = 0
    """A new source port after so many datagrams."""
    sport: int = 0
    """The client's port; 0: any."""
    near: socket.socket | None = None
    far: socket.socket | None = None
    peer: Any = None
    driven: bool = False
    sent: dict[str, list[float]] = dataclasses.field(default_factory=lambda: {TO_SERVER: [], TO_CLIENT: []})
    got: dict[str, list[tuple[int, float]]] = dataclasses.field(default_factory=lambda: {TO_SERVER: [], TO_CLIENT: []})
    ends: list[tuple[str, float]] = dataclasses.field(default_factory=list)

    def directions(self) -> list[str]:
        return [d for d, who in ((TO_SERVER, "client"), (TO_CLIENT, "server")) if self.driver in {who, "both"}]

    def established(self) -> bool:
        return self.peer is not None if self.protocol == "udp" else self.far is not None

    def retransmits(self) -> int:
        found = 0
        for sock in (self.near, self.far) if self.protocol == "tcp" else ():
            if sock is not None and sock.fileno() >= 0:
                raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 232)
                found += struct.unpack_from("=I", raw, TCP_RETRANSMITS)[0]
        return found

    def notes(self) -> dict[str, object]:
        return {"sent": self.sent, "got": self.got, "ends": self.ends, "retransmits": self.retransmits()}


class Engine:
    """All streams of the process."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.streams: dict[int, Stream] = {}
        self.hubs: dict[tuple[str, str, str, int], socket.socket] = {}
        self.caught: list[tuple[float, str, str, int, int, int]] = []

    # -- opening -------------------------------------------------------------------------------

    def open(self, streams: list[dict[str, Any]]) -> None:
        for asked in streams:
            stream = Stream(**{**asked, "client": tuple(asked["client"]), "server": tuple(asked["server"])})
            self.streams[stream.id] = stream
            self._serve(stream)
            if stream.protocol == "tcp":
                self._connect(stream)
            elif stream.protocol == "udp":
                self._bind(stream)

    def _serve(self, stream: Stream) -> None:
        protocol = "udp" if stream.protocol == "udp" else "tcp"
        key = (protocol, *stream.server, stream.port)
        if key in self.hubs:
            return
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        hub = self.hubs[key] = make(*stream.server[:1], kind, stream.server[1], stream.port)
        if protocol == "tcp":
            hub.listen(1024)
        self.loop.watch(hub, functools.partial(self._datagrams if protocol == "udp" else self._accept, hub))

    def _bind(self, stream: Stream) -> None:
        if stream.near:
            self.loop.forget(stream.near)
        near = stream.near = make(stream.client[0], socket.SOCK_DGRAM, stream.client[1], stream.sport)
        near.connect((stream.server[1], stream.port))
        self.loop.watch(near, functools.partial(self._answers, stream, near))
        if not stream.driven:
            self._greet(stream, near)

    def _greet(self, stream: Stream, near: socket.socket) -> None:
        """Tell the server who speaks, again until it knows."""
        if stream.peer is None and stream.near is near and near.fileno() >= 0 and not stream.driven:
            self._send(near, MESSAGE.pack(stream.id, HANDSHAKE, 0))
            self.loop.at(time.monotonic() + 0.2, lambda: self._greet(stream, near))

    def _connect(self, stream: Stream) -> None:
        near = stream.near = make(stream.client[0], socket.SOCK_STREAM, stream.client[1], stream.sport)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near.connect_ex((stream.server[1], stream.port))
        self._hello(stream, near)

    def _hello(self, stream: Stream, near: socket.socket) -> None:
        """Once connected, say which stream this is."""
        if near.fileno() < 0:
            return
        if not self._send(near, MESSAGE.pack(stream.id, HANDSHAKE, 0)):
            self.loop.at(time.monotonic() + 0.02, lambda: self._hello(stream, near))
            return
        self.loop.watch(near, self._reader(near, stream, TO_CLIENT))

    def _accept(self, hub: socket.socket) -> None:
        try:
            far, _ = hub.accept()
        except OSError:  # it is gone again
            return
        far.setblocking(False)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loop.watch(far, self._reader(far, None, TO_SERVER))

    # -- receiving -----------------------------------------------------------------------------

    def _reader(self, sock: socket.socket, stream: Stream | None, direction: str) -> Callable[[], None]:
        """Return what reads one end of a TCP connection."""
        buffer = bytearray()

        def read() -> None:
            nonlocal stream
            try:
                data = sock.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                data, why = b"", errno.errorcode.get(error.errno or 0, "error")
            else:
                why = "end"
            now = time.monotonic()
            if not data:
                if stream:
                    stream.ends.append((why, now))
                self.loop.forget(sock)
            buffer.extend(data)
            while len(buffer) >= MESSAGE.size:
                ident, number, _ = MESSAGE.unpack_from(buffer)
                del buffer[: MESSAGE.size]
                if number == HANDSHAKE:
                    stream = self.streams[ident]
                    stream.far = sock
                elif stream:
                    stream.got[direction].append((number, now))

        return read

    def _datagrams(self, hub: socket.socket) -> None:
        """Read what came to a server."""
        for _ in range(64):
            try:
                data, peer = hub.recvfrom(64)
            except OSError:
                return
            ident, number, _ = MESSAGE.unpack(data)
            stream = self.streams[ident]
            stream.peer, stream.far = peer, hub
            if number != HANDSHAKE:
                stream.got[TO_SERVER].append((number, time.monotonic()))

    @staticmethod
    def _answers(stream: Stream, near: socket.socket) -> None:
        try:
            _, number, _ = MESSAGE.unpack(near.recv(64))
        except OSError as error:
            stream.ends.append((errno.errorcode.get(error.errno or 0, "error"), time.monotonic()))
        else:
            stream.got[TO_CLIENT].append((number, time.monotonic()))

    # -- sending -------------------------------------------------------------------------------

    def drive(self, ids: list[int]) -> None:
        begin = time.monotonic()
        for place, ident in enumerate(ids):
            stream = self.streams[ident]
            stream.driven = True
            for direction in stream.directions():
                due = begin + stream.interval_s * place / len(ids)
                self.loop.at(due, functools.partial(self._tick, stream, direction, due))

    def halt(self, ids: list[int] | None = None) -> None:
        for ident in self.streams if ids is None else ids:
            self.streams[ident].driven = False

    def close(self, ids: list[int]) -> None:
        """Forget streams and their notes."""
        self.halt(ids)
        for ident in ids:
            stream = self.streams[ident]
            for sock in (stream.near, stream.far if stream.protocol == "tcp" else None):
                if sock:
                    self.loop.forget(sock)

    def _tick(self, stream: Stream, direction: str, due: float) -> None:
        if not stream.driven:
            return
        with contextlib.suppress(OSError):  # its interface is gone: nothing was sent
            self._say(stream, direction)
        now = time.monotonic()
        due += stream.interval_s
        if due < now - LATE_S:
            due = now
        self.loop.at(due, functools.partial(self._tick, stream, direction, due))

    def _say(self, stream: Stream, direction: str) -> None:
        sent = stream.sent[direction]
        if stream.protocol == "knock":
            self._knock(stream)
            sent.append(time.monotonic())
            return
        if stream.renew and len(sent) % stream.renew == 0:
            self._bind(stream)
        message = MESSAGE.pack(stream.id, len(sent), 0)
        now = time.monotonic()
        if direction == TO_SERVER:
            ok = stream.near is not None and self._send(stream.near, message)
        elif stream.protocol == "udp":
            ok = stream.far is not None and self._send(stream.far, message, stream.peer)
        else:
            ok = stream.far is not None and self._send(stream.far, message)
        if ok:
            sent.append(now)

    @staticmethod
    def _send(sock: socket.socket, message: bytes, peer: Any = None) -> bool:
        try:
            return bool(sock.sendto(message, peer) if peer else sock.send(message))
        except OSError:
            return False

    def _knock(self, stream: Stream) -> None:
        """Open a connection and drop it a little later; whether its SYN arrived is for `guard` to see."""
        sock = make(stream.client[0], socket.SOCK_STREAM, stream.client[1])
        sock.connect_ex((stream.server[1], stream.port))
        self.loop.at(time.monotonic() + KNOCKS * stream.interval_s, sock.close)

    def spray(self, pairs: list[tuple[str, str, str]], ports: list[int], round_s: float) -> None:
        """Send a datagram from each (namespace, source) to each port of its target once in a round, for ever."""
        socks = [(make(netns, socket.SOCK_DGRAM, source), target) for netns, source, target in pairs]
        todo = itertools.cycle([(sock, (target, port)) for port in ports for sock, target in socks])
        each = max(1, round(len(socks) * len(ports) * SPRAY_S / round_s))

        def tick(due: float) -> None:
            for sock, target in itertools.islice(todo, each):
                with contextlib.suppress(OSError):
                    sock.sendto(b"", target)
            self.loop.at(due + SPRAY_S, functools.partial(tick, due + SPRAY_S))

        tick(time.monotonic())

    # -- watching ------------------------------------------------------------------------------

    def guard(self, netns: str, interface: str, sources: list[str]) -> None:
        """Note every frame that reaches an interface from one of these addresses; with none: from any."""
        tap = make(netns, socket.SOCK_RAW, "", family=socket.AF_PACKET)
        tap.bind((interface, ALL_FRAMES))
        wanted = {socket.inet_aton(source) for source in sources}

        def look() -> None:
            try:
                frame, where = tap.recvfrom(128)
            except OSError:  # the interface went
                self.loop.forget(tap)
                return
            if where[2] == OUTGOING or frame[12:14] != IPV4 or (wanted and frame[26:30] not in wanted):
                return
            src, dst = socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34])
            self.caught.append((time.monotonic(), src, dst, frame[23], *struct.unpack_from("!HH", frame, 34)))

        self.loop.watch(tap, look)

    # -- answering -----------------------------------------------------------------------------

    def waiting(self, ids: list[int]) -> list[int]:
        """Return those of some streams that are not established."""
        return [n for n in ids if self.streams[n].protocol != "knock" and not self.streams[n].established()]

    def report(self, path: str) -> None:
        notes = {ident: stream.notes() for ident, stream in self.streams.items()}
        Path(path).write_text(json.dumps({"streams": notes, "caught": self.caught}), encoding="utf-8")


def main() -> None:
    """Serve requests until standard input ends."""
    engine = Engine()

    def serve() -> None:
        line = sys.stdin.readline()
        if not line:
            raise SystemExit(0)
        asked = json.loads(line)
        answer = getattr(engine, asked.pop("op"))(**asked)
        print(json.dumps(answer), flush=True)

    engine.loop.selector.register(sys.stdin, selectors.EVENT_READ, serve)
    while True:
        engine.loop.turn()


if __name__ == "__main__":
    main()
