"""Datagrams between the hosts of a fabric: who gets them, and how long nobody does."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from mininet_scenarios import namespaces
from mininet_scenarios.fabric import FabricHost

PERIOD_S = 0.002
BUFFER = 4 << 20
TRIES = 3
PATIENCE_S = 1.0
"""How long a datagram may take."""


class Cell(NamedTuple):
    """One question: does a datagram of one host to a port of another arrive?"""

    source: str
    destination: str
    port: int


class Site(Protocol):
    """Hosts in namespaces, and the controller that knows who of them may speak to whom."""

    @property
    def hosts(self) -> Mapping[str, FabricHost]:
        """The hosts by name."""

    def ask(self, method: str, path: str, body: str = "") -> Any:  # noqa: ANN401 - JSON, as the API defines
        """Ask the REST API."""


def _socket(host: FabricHost) -> socket.socket:
    with namespaces.entered(host.netns):
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


class Stream:
    """Datagrams from one host to another every 2 ms. A context manager."""

    def __init__(self, site: Site, source: str, destination: str, port: int) -> None:
        self.arrived: list[float] = []
        """When, by `time.monotonic`."""
        self._numbers: set[int] = set()
        """Of the datagrams that arrived."""
        self._sent_at: list[float] = []
        """By number."""
        self._to = (site.hosts[destination].address, port)
        self._receiver, self._sender = _socket(site.hosts[destination]), _socket(site.hosts[source])
        self._receiver.bind(self._to)
        self._receiver.settimeout(0.1)
        self._receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)  # a thread may be late
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        self._receiver.close()
        self._sender.close()

    def _send(self) -> None:
        while not self._done.wait(PERIOD_S):
            number = len(self._sent_at)
            self._sent_at.append(time.monotonic())
            self._sender.sendto(number.to_bytes(8, "big"), self._to)

    def _receive(self) -> None:
        waits = True
        while waits:
            try:
                number = int.from_bytes(self._receiver.recv(64), "big")
                self.arrived.append(time.monotonic())
                self._numbers.add(number)
            except TimeoutError:
                waits = not self._done.is_set()

    @property
    def sent(self) -> int:
        """Datagrams that were sent."""
        return len(self._sent_at)

    @property
    def lost(self) -> int:
        """Datagrams that never arrived; to be asked after the end."""
        return self.sent - len(self.arrived)

    def silence_s(self, began: float = 0.0) -> float:
        """Return the longest time between two arrivals, of those that ended after `began`; infinite for no arrival."""
        gaps = [later - sooner for sooner, later in itertools.pairwise(self.arrived) if later > began]
        return max(gaps, default=float("inf"))

    def outage_s(self, began: float = 0.0) -> float:
        """Return the longest time after `began` of which nothing arrived that was sent then; to be asked after the end.

        A busy machine that lets datagrams wait makes a silence longer, but no outage. Infinite for no arrival.
        """
        if not self._numbers:
            return float("inf")
        longest, first_lost = 0.0, -1.0
        for number, at in enumerate(self._sent_at):
            if number in self._numbers:
                first_lost = -1.0
            elif at > began:
                first_lost = at if first_lost < 0 else first_lost
                longest = max(longest, at - first_lost + PERIOD_S)
        return longest


def unintended(site: Site, ports: Sequence[int]) -> tuple[list[str], dict[Cell, bool]]:
    """Compare who reaches whom with who should, by the controller's matrix; return what differs, and what arrived."""
    wanted: dict[Cell, bool] = {}
    for port in ports:
        answer = site.ask("GET", f"/v1/matrix?service=udp/{port}")
        names: list[str] = answer["endpoints"]
        for source, row in zip(names, answer["verdicts"], strict=True):
            pairs = zip(names, row, strict=True)
            wanted |= {Cell(source, other, port): verdict == "allow" for other, verdict in pairs if other != source}
    found = arrivals(site, wanted)
    wrong = [f"{c.source} to {c.destination} udp/{c.port}" for c in wanted if found[c] != wanted[c]]
    return wrong, found


def arrivals(site: Site, cells: Iterable[Cell]) -> dict[Cell, bool]:
    """Send a few datagrams for each cell, all at once; return which cells got any."""
    asked = list(cells)
    with contextlib.ExitStack() as stack:
        receivers = {}
        for name, port in {(cell.destination, cell.port) for cell in asked}:
            receiver = receivers[name, port] = stack.enter_context(_socket(site.hosts[name]))
            receiver.bind((site.hosts[name].address, port))
            receiver.setblocking(False)
        senders = {name: stack.enter_context(_socket(site.hosts[name])) for name in {cell.source for cell in asked}}
        for _ in range(TRIES):
            for cell in asked:
                with contextlib.suppress(OSError):
                    senders[cell.source].sendto(cell.source.encode(), (site.hosts[cell.destination].address, cell.port))
            time.sleep(PATIENCE_S / TRIES)
        time.sleep(PATIENCE_S / TRIES)
        got = {(source, *place) for place, receiver in receivers.items() for source in _drain(receiver)}
    return {cell: (cell.source, cell.destination, cell.port) in got for cell in asked}


def _drain(receiver: socket.socket) -> Iterator[str]:
    with contextlib.suppress(BlockingIOError):
        while True:
            yield receiver.recv(64).decode("ascii", "replace")
