"""What a controller and its switches say to each other, with the instants at which the kernel sent it.

A log tells of a bundle when its process gets to it, which on a busy machine is milliseconds later.
"""

from __future__ import annotations

import bisect
import dataclasses
import socket
import struct
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mininet_scenarios import namespaces
from ryu_apps import wire
from ryu_apps.wire import BundleStep, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL_FRAMES, OUTGOING = 3, 4
"""ETH_P_ALL, PACKET_OUTGOING."""
SO_TIMESTAMPNS, SO_RCVBUFFORCE = 35, 33
"""socket(7); Python has no names for them."""
STAMP = struct.Struct("@qq")
ROOM = 1 << 26
SYN = 2
HEADER = struct.Struct("!BBHI")
"""Of OpenFlow: version, kind, length, transaction."""


@dataclasses.dataclass
class Half:
    """One direction of a TCP connection: its bytes, and when each piece of them was sent."""

    next: int | None = None
    """Sequence number of the next byte."""
    data: bytearray = dataclasses.field(default_factory=bytearray)
    begins: list[int] = dataclasses.field(default_factory=list)
    instants: list[float] = dataclasses.field(default_factory=list)

    def take(self, seq: int, flags: int, payload: bytes, at: float) -> None:
        if flags & SYN or self.next is None:
            self.next = (seq + bool(flags & SYN)) % (1 << 32)
        known = (self.next - seq) % (1 << 32)  # of what is sent again
        if flags & SYN or known >= len(payload):
            return
        self.begins.append(len(self.data))
        self.instants.append(at)
        self.data += payload[known:]
        self.next = (seq + len(payload)) % (1 << 32)

    def messages(self) -> Iterator[tuple[float, bytes]]:
        """Yield each whole message with the instant of its first byte."""
        at = 0
        while len(self.data) - at >= HEADER.size:
            size = HEADER.unpack_from(self.data, at)[2]
            if len(self.data) - at < size:
                return
            yield self.instants[bisect.bisect_right(self.begins, at) - 1], bytes(self.data[at : at + size])
            at += size


class Wiretap:
    """Listens on the loopback of a namespace, from its making on, to one OpenFlow port."""

    def __init__(self, netns: str, port: int) -> None:
        self._port = port
        self._halves: dict[tuple[int, int], Half] = {}
        """By ports of sender and receiver."""
        with namespaces.entered(netns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
            self._socket.bind(("lo", 0))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)

    def bundles(self) -> list[tuple[float, float]]:
        """Return of every bundle that was committed when its first byte and when the commit reply were sent.

        By CLOCK_MONOTONIC, in order.
        """
        self._drain()
        found = []
        for (sender, receiver), half in self._halves.items():
            if sender == self._port:
                answers = self._halves.get((receiver, sender), Half())
                found += _pairs(_steps(half, BundleStep.OPEN_REQUEST), _steps(answers, BundleStep.COMMIT_REPLY))
        return sorted(found)

    def _drain(self) -> None:
        offset = time.time() - time.monotonic()
        while True:
            try:
                frame, more, _, address = self._socket.recvmsg(1 << 17, 256)
            except BlockingIOError:
                return
            if address[2] != OUTGOING or frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
                continue
            (seconds, rest), *_ = (STAMP.unpack(data) for level, kind, data in more if kind == SO_TIMESTAMPNS)
            self._take(frame, seconds + rest / 1e9 - offset)

    def _take(self, frame: bytes, at: float) -> None:
        tcp = 14 + (frame[14] & 15) * 4
        sender, receiver, seq, _, head, flags = struct.unpack_from("!HHIIBB", frame, tcp)
        if self._port in {sender, receiver}:
            payload = frame[tcp + (head >> 4) * 4 :]
            self._halves.setdefault((sender, receiver), Half()).take(seq, flags, payload, at)


def _steps(half: Half, step: BundleStep) -> list[tuple[float, int]]:
    """Return when each bundle took this step, and its number."""
    controls = ((at, wire.decode_bundle_control(m)) for at, m in half.messages() if m[1] == Kind.BUNDLE_CONTROL)
    return [(at, control.bundle_id) for at, control in controls if control.step == step]


def _pairs(
    opened: Sequence[tuple[float, int]], committed: Sequence[tuple[float, int]]
) -> Iterator[tuple[float, float]]:
    for replied, number in committed:
        yield max(at for at, other in opened if other == number and at < replied), replied
