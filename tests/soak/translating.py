"""Churn for a switch that translates addresses: connections by the batch, crafted frame by frame.

Two ends of a bridge: `inside`, where clients and servers are, and `outside`, the world. A batch walks through its
connections step by step (every opening, then every answer, ...), and learns from what arrives what the switch made of
it: the sequence number of a frame is the number of its connection, whatever became of its addresses and ports.
"""

from __future__ import annotations

import dataclasses
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from typing import Self

from mininet_scenarios import namespaces

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
TCP = 6
IPV4 = 0x0800
ALL_PROTOCOLS = 0x0003
PATIENCE_S = 0.3
"""How long nothing may arrive before what is missing counts as lost."""
BUFFER = 1 << 24
RCVBUFFORCE = 33
"""SO_RCVBUFFORCE (asm-generic/socket.h): beyond the limit of the host."""
FRAME_LENGTH = 54
_IP = struct.Struct("!BBHHHBBHII")
_TCP = struct.Struct("!HHIIBBHHH")


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A TCP segment: addresses as integers."""

    source: int
    destination: int
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int

    def back(self, seq: int, flags: int) -> Segment:
        """Return an answer: it acknowledges this one."""
        return Segment(self.destination, self.source, self.dport, self.sport, seq, self.seq + 1, flags)


def address(text: str) -> int:
    """Return an IPv4 address as a number."""
    return int(IPv4Address(text))


def craft(macs: bytes, segment: Segment) -> bytes:
    """Return a frame of 54 bytes with right sums; `macs` are the twelve bytes of destination and source."""
    s = segment
    head = [0x45, 0, 40, 0, 0x4000, 64, TCP, 0, s.source, s.destination]
    head[7] = _sum(0x4500 + 40 + 0x4000 + (64 << 8 | TCP) + _halves(s.source, s.destination))
    seq, ack = s.seq & 0xFFFFFFFF, s.ack & 0xFFFFFFFF
    total = _halves(s.source, s.destination, seq, ack) + TCP + 20 + s.sport + s.dport + (0x5000 | s.flags) + 0xFFFF
    tail = _TCP.pack(s.sport, s.dport, seq, ack, 0x50, s.flags, 0xFFFF, _sum(total), 0)
    return macs + IPV4.to_bytes(2) + _IP.pack(*head) + tail


def read(frame: bytes) -> Segment | None:
    """Return the TCP segment of a frame without options, None if it is something else."""
    if len(frame) < FRAME_LENGTH or frame[12:15] != b"\x08\x00\x45" or frame[23] != TCP:
        return None
    source, destination = struct.unpack_from("!II", frame, 26)
    sport, dport, seq, ack, _, flags, _, _, _ = _TCP.unpack_from(frame, 34)
    return Segment(source, destination, sport, dport, seq, ack, flags)


def _halves(*words: int) -> int:
    return sum((word >> 16) + (word & 0xFFFF) for word in words)


def _sum(total: int) -> int:
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total ^ 0xFFFF


class End:
    """One end of the bridge: a raw socket on the inner side of a veth pair. A context manager."""

    def __init__(self, netns: str, interface: str, macs: bytes) -> None:
        with namespaces.entered(netns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
            self._socket.bind((interface, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, BUFFER)
        self._socket.setblocking(False)
        self._macs = macs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, segments: Sequence[Segment]) -> None:
        """Send them all; where the kernel has no room, the segment is lost as on a wire."""
        for segment in segments:
            try:
                self._socket.send(craft(self._macs, segment))
            except BlockingIOError:
                select.select((), (self._socket,), (), PATIENCE_S)

    def receive(self, count: int, patience_s: float = PATIENCE_S) -> list[Segment]:
        """Return what arrived: `count` segments, or fewer when nothing came for a while."""
        found: list[Segment] = []
        while len(found) < count and select.select((self._socket,), (), (), patience_s)[0]:
            found.extend(self._waiting())
        return found

    def _waiting(self) -> Iterator[Segment]:
        while True:
            try:
                data, (_, _, kind, *_) = self._socket.recvfrom(2048)
            except BlockingIOError:
                return
            if kind != socket.PACKET_OUTGOING and (segment := read(data)) is not None:
                yield segment


@dataclasses.dataclass(slots=True)
class Tally:
    """What became of the connections of a run."""

    opened: int = 0
    arrived: int = 0
    answered: int = 0
    leaked: int = 0
    """Frames that came out with an address that should have been translated."""
    ports: set[int] = dataclasses.field(default_factory=set)
    """Source ports that the translation chose."""


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Connections that walk together; `close` says how they end: RST of the client, of the server, or FINs."""

    openings: Sequence[Segment]
    close: str
    seen_from: frozenset[int]
    """Source addresses that openings may arrive with."""
    seen_to: frozenset[int]
    """Destination addresses that answers may arrive with: those of the clients."""


def walk(batch: Batch, near: End, far: End, tally: Tally) -> None:
    """Open, answer and close all connections of a batch, from `near` to `far`."""
    near.send(batch.openings)
    arrived = far.receive(len(batch.openings))
    tally.opened += len(batch.openings)
    tally.arrived += len(arrived)
    tally.leaked += sum(segment.source not in batch.seen_from for segment in arrived)
    tally.ports.update(segment.sport for segment in arrived)
    far.send([segment.back(segment.seq ^ 0x40000000, SYN | ACK) for segment in arrived])
    answers = near.receive(len(arrived))
    tally.answered += len(answers)
    tally.leaked += sum(segment.destination not in batch.seen_to for segment in answers)
    opened = {segment.seq: segment for segment in batch.openings}
    _close(batch.close, _Sides(near, far), [a.back(a.ack, ACK) for a in answers if a.ack - 1 in opened], arrived)


@dataclasses.dataclass(frozen=True, slots=True)
class _Sides:
    near: End
    far: End


def _close(how: str, sides: _Sides, established: Sequence[Segment], arrived: Sequence[Segment]) -> None:
    if how == "client resets":
        sides.near.send([dataclasses.replace(s, flags=RST | ACK) for s in established])
        sides.far.receive(len(established))
    elif how == "server resets":
        sides.near.send(established)
        sides.far.receive(len(established))
        servers = [s.back((s.seq ^ 0x40000000) + 1, RST | ACK) for s in arrived]
        sides.far.send(servers)
        sides.near.receive(len(servers))
    elif how == "both finish":
        sides.near.send([dataclasses.replace(s, flags=FIN | ACK) for s in established])
        sides.far.receive(len(established))
        finishing = [dataclasses.replace(s.back((s.seq ^ 0x40000000) + 1, FIN | ACK), ack=s.seq + 2) for s in arrived]
        sides.far.send(finishing)
        done = sides.near.receive(len(finishing))
        sides.near.send([dataclasses.replace(s.back(s.ack, ACK), ack=s.seq + 1) for s in done])
        sides.far.receive(len(done))
