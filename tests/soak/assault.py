"""Malformed OpenFlow frames at a controller's real port, from many connections; a program of its own.

    python -m tests.soak.assault PORT MUTATIONS RATE

Frames with false lengths, crafted ones and truncations first, then mutations of honest frames. Each goes
over a connection of its own: before the Hello, after it, or after a whole handshake. Prints counts as JSON.
"""

from __future__ import annotations

import collections
import itertools
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator

from ryu_apps import wire
from tests.unit.test_frames import CRAFTED
from tests.unit.test_frames_corpus import HONEST

OPEN = 48
"""Connections open at a time."""
PATIENCE_S = 0.25
"""How long the controller has to close one before it is closed from here."""


def bent(chance: random.Random) -> Iterator[bytes]:
    """Yield honest frames with one false length, with another version, and cut short."""
    for raw, lengths in HONEST.values():
        for at, size in lengths:
            for value in (0, 1, (1 << 8 * size) - 1):
                yield raw[:at] + value.to_bytes(size, "big") + raw[at + size :]
        yield bytes([chance.choice([0, 2, 3, 7, 255])]) + raw[1:]
        cut = chance.randrange(8, len(raw)) if len(raw) > 8 else 7
        yield raw[:2] + cut.to_bytes(2, "big") + raw[4:cut]
        yield raw[: cut - 1]


def mutated(chance: random.Random) -> Iterator[bytes]:
    """Yield honest frames with bytes changed, swapped, doubled or left out, for ever."""
    honest = [piece.raw for piece in HONEST.values()]
    while True:
        raw = bytearray(chance.choice(honest))
        for _ in range(chance.choice([1, 1, 2, 5, 20])):
            at = chance.randrange(len(raw))
            raw[at] = chance.choice([0, 1, 255, chance.randrange(256)])
        if chance.random() < 0.3:
            at = chance.randrange(len(raw))
            raw[at:at] = raw[at : at + chance.randrange(1, 64)]
        if chance.random() < 0.8 and len(raw) >= 8:
            raw[0], raw[2:4] = 5, len(raw).to_bytes(2, "big")
        yield bytes(raw)


def preface(depth: int, chance: random.Random) -> bytes:
    """Return what an honest switch says before: nothing, its Hello, or its Hello, features and ports."""
    if depth == 0:
        return b""
    said = wire.hello(1)
    if depth == 2:
        features = HONEST["features reply"].raw
        said += features[:8] + struct.pack("!Q", chance.getrandbits(63) + 1) + features[16:] + HONEST["ports"].raw
    return said


class Assault:
    """Sends frames, each over a new connection, and counts those that the controller closed."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)
        self.open: collections.deque[tuple[float, socket.socket]] = collections.deque()
        self.closed_by_peer = 0

    def send(self, data: bytes) -> None:
        sock = socket.create_connection(self.address, 20)
        try:
            sock.sendall(data)
            if len(data) % 2:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.closed_by_peer += 1
            sock.close()
            return
        self.open.append((time.monotonic(), sock))
        while len(self.open) > OPEN:
            self.drop()

    def drop(self) -> None:
        """Give the oldest connection its time, and close it."""
        since, sock = self.open.popleft()
        sock.settimeout(max(0.001, since + PATIENCE_S - time.monotonic()))
        try:
            while sock.recv(1 << 16):
                pass
            self.closed_by_peer += 1
        except TimeoutError:
            pass  # what was sent may be half a frame, or sound
        except OSError:
            self.closed_by_peer += 1
        sock.close()


def main(port: int, mutations: int, rate: float) -> None:
    """Send everything at `rate` frames a second."""
    chance = random.Random(5)
    malformed = [*CRAFTED.values(), *bent(chance)]
    todo = itertools.chain(malformed, itertools.islice(mutated(chance), mutations))
    assault, begin = Assault(port), time.monotonic()
    for number, frame in enumerate(todo):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        assault.send(preface(number % 3, chance) + frame)
    while assault.open:
        assault.drop()
    print(json.dumps({"malformed": len(malformed), "mutations": mutations, "closed": assault.closed_by_peer}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
