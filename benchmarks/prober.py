"""Raw frames between interfaces of one namespace, out of a process of its own: nothing else holds its interpreter.

    python -m benchmarks.prober        requests and answers are one JSON object a line

`probe` sends a stream of frames and notes when each was sent and arrived (CLOCK_MONOTONIC, which all processes
share); `stop` returns the notes; `send` sends many frames once; `flood` sends one batch again and again.
A probe's frame ends with a magic word, its stream and its number; only these are noted.
"""

from __future__ import annotations

import dataclasses
import json
import select
import socket
import struct
import sys
import threading
import time
from typing import Any

MAGIC = b"ringfence-bench!"
TAIL = struct.Struct("!16sII")
ALL_FRAMES = 3
"""ETH_P_ALL."""
ROOM = 1 << 23
SO_RCVBUFFORCE, PACKET_OUTGOING = 33, 4
WAIT_S = 0.2


@dataclasses.dataclass(slots=True)
class Stream:
    """One probe: where it is sent and what became of it."""

    id: int
    interface: str
    frame: bytes
    interval_s: float
    sent: list[float] = dataclasses.field(default_factory=list)
    got: list[tuple[int, float, str]] = dataclasses.field(default_factory=list)
    """Number, instant, interface."""


class Prober:
    """All streams of one namespace: a thread sends, a thread receives."""

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self._streams: dict[int, Stream] = {}
        self._lock = threading.Lock()
        self._running = False
        self._threads: list[threading.Thread] = []

    def _socket(self, interface: str) -> socket.socket:
        if interface not in self._sockets:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
            made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
            made.bind((interface, ALL_FRAMES))
            made.setblocking(False)
            self._sockets[interface] = made
        return self._sockets[interface]

    def probe(self, streams: list[dict[str, Any]], listen: list[str]) -> dict[str, Any]:
        """Start streams; frames are noted wherever they arrive of the interfaces listened at."""
        for interface in listen:
            self._socket(interface)
        self._streams = {s["id"]: Stream(s["id"], s["from"], bytes.fromhex(s["frame"]), s["every_s"]) for s in streams}
        for stream in self._streams.values():
            self._socket(stream.interface)
        self._running = True
        self._threads = [
            threading.Thread(target=self._send, daemon=True),
            threading.Thread(target=self._receive, args=(listen,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return {}

    def _send(self) -> None:
        due = {ident: time.monotonic() for ident in self._streams}
        while self._running and due:
            ident = min(due, key=lambda i: due[i])
            pause_s = due[ident] - time.monotonic()
            if pause_s > 0:
                time.sleep(pause_s)
            stream = self._streams[ident]
            tail = TAIL.pack(MAGIC, ident, len(stream.sent))
            stream.sent.append(time.monotonic())
            try:
                self._socket(stream.interface).send(stream.frame + tail)
            except OSError:  # the queue is full: that frame is lost, and is counted as lost
                continue
            finally:
                due[ident] = max(due[ident] + stream.interval_s, time.monotonic() - 0.01)

    def _receive(self, listen: list[str]) -> None:
        by_socket = {self._sockets[name]: name for name in listen}
        while self._running:
            for ready in select.select([*by_socket], [], [], WAIT_S)[0]:
                data, address = ready.recvfrom(2048)
                now = time.monotonic()
                if address[2] == PACKET_OUTGOING or len(data) < TAIL.size:
                    continue
                magic, ident, number = TAIL.unpack(data[-TAIL.size :])
                if magic == MAGIC and ident in self._streams:
                    self._streams[ident].got.append((number, now, by_socket[ready]))

    def stop(self, settle_s: float = 0.1) -> dict[str, Any]:
        """Stop all streams, and return their notes."""
        time.sleep(settle_s)
        self._running = False
        for thread in self._threads:
            thread.join()
        return {str(s.id): {"sent": s.sent, "got": s.got} for s in self._streams.values()}

    def peek(self) -> dict[str, int]:
        """Return how many frames of each stream arrived so far."""
        return {str(s.id): len(s.got) for s in self._streams.values()}

    def send(self, interface: str, frames: list[str], pause_s: float = 0.0) -> dict[str, Any]:
        """Send many frames once, with a pause after each 32."""
        link = self._socket(interface)
        for number, frame in enumerate(frames):
            _insist(link, bytes.fromhex(frame))
            if pause_s and number % 32 == 31:  # noqa: PLR2004 - a batch of the switch
                time.sleep(pause_s)
        return {}

    def flood(self, interface: str, frames: list[str], rate: int, duration_s: float) -> dict[str, Any]:
        """Send frames round and round at a rate, for a while, from a thread of its own."""
        threading.Thread(target=self._flood, args=(interface, frames, rate, duration_s), daemon=True).start()
        return {}

    def _flood(self, interface: str, frames: list[str], rate: int, duration_s: float) -> None:
        link, data = self._socket(interface), [bytes.fromhex(frame) for frame in frames]
        begin, count = time.monotonic(), 0
        while (elapsed := time.monotonic() - begin) < duration_s:
            while count < rate * elapsed:
                _insist(link, data[count % len(data)])
                count += 1
            time.sleep(0.001)


def _insist(link: socket.socket, frame: bytes) -> None:
    """Send a frame, waiting while the queue is full."""
    while True:
        try:
            link.send(frame)
        except BlockingIOError:
            select.select([], [link], [], WAIT_S)
        else:
            return


def main() -> None:
    """Serve requests until the input ends."""
    prober = Prober()
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(prober, request.pop("op"))(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
