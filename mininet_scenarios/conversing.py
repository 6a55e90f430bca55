"""Open connections while a workload moves: who is heard at the new place, and from when on?

Open vSwitch has no way to write connection tracking, and each host tracks for itself. So the side that opened a
connection goes on with its next packet, and what the other side says before is dropped, unless it could open just so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from types import TracebackType
from typing import Self

from mininet_scenarios import namespaces
from mininet_scenarios.expectation import Cell, Judge
from mininet_scenarios.scenario import Conversation, Step
from mininet_scenarios.sites import AnyNetwork, SiteNetwork

OPEN_S = 20.0
UNHEARD_S = 0.4
"""How long the other side is listened for that should not be heard; TCP sends again within 0.2 s."""
HEARD_S = 5.0
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
ONE, OTHER = b"a", b"b"


@dataclasses.dataclass(frozen=True, slots=True)
class TalkResult:
    """One connection over one move: who was heard, and who should be."""

    title: str
    other_first: bool
    """The side that did not open was heard before the one that did had spoken."""
    opener: bool
    other: bool
    """It was heard after that."""
    expected: tuple[bool, bool]
    """What the semantics say: of the other as if it opened, and of the connection."""

    @property
    def as_intended(self) -> bool:
        """Say whether each was heard just when it should be."""
        may_open, allowed = self.expected
        return (self.other_first, self.opener, self.other) == (may_open, allowed, allowed)


def begin(stack: contextlib.ExitStack, network: AnyNetwork, step: Step) -> list[Talk]:
    """Open the connections of those whom a step moves; the stack closes them.

    Raises:
        OSError: one cannot be opened, though it should.
    """
    if not isinstance(network, SiteNetwork):
        return []
    moved = [t for t in network.scenario.conversations if not step.move.keys().isdisjoint({t.client, t.server})]
    return [stack.enter_context(Talk(network, told)) for told in moved]


class Talk:
    """One open connection. A context manager."""

    def __init__(self, network: SiteNetwork, told: Conversation) -> None:
        """Open it.

        Raises:
            OSError: it cannot be, though it should.
        """
        self._told, self._stack = told, contextlib.ExitStack()
        kind = KINDS[told.over.protocol]
        self._addresses = [network.world.workloads[n].addresses[0] for n in (told.client, told.server)]
        client, server = (self._socket(network.places[n], kind) for n in (told.client, told.server))
        here, there = ((address, port) for address, port in zip(self._addresses, (0, told.over.port), strict=True))
        server.bind(there)
        if kind is socket.SOCK_STREAM:
            server.listen()
        client.bind(here)
        client.connect(there)
        if kind is socket.SOCK_STREAM:
            server, _ = server.accept()
            self._stack.callback(server.close)
            server.settimeout(OPEN_S)
        else:
            server.connect(client.getsockname())
        self._client, self._server = client, server
        if not (_hears(client, server, ONE, OPEN_S) and _hears(server, client, OTHER, OPEN_S)):
            raise OSError(f"{self.title} is not open before the move")

    @property
    def title(self) -> str:
        """What it is."""
        return f"{self._told.client} to {self._told.server} {self._told.over}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def _socket(self, netns: str, kind: socket.SocketKind) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._addresses[0] else socket.AF_INET
        with namespaces.entered(netns):
            made = self._stack.enter_context(socket.socket(family, kind))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.settimeout(OPEN_S)
        return made

    def result(self, step: Step, judge: Judge) -> TalkResult:
        """Let the other side speak, then the one that opened it, then the other; the connection is of no use after."""
        first = _hears(self._server, self._client, OTHER, UNHEARD_S)
        opener = _hears(self._client, self._server, ONE, HEARD_S)
        if self._told.over.protocol == "udp":
            self._server.send(OTHER)
        other = first or _arrives(self._client, OTHER, HEARD_S)  # TCP sends again what was dropped
        (here, there), client, server = self._addresses, self._told.client, self._told.server
        ways = Cell(client, server, here, there, self._told.over), Cell(server, client, there, here, self._told.over)
        allowed, may_open = (judge.expect(way).outcome == "open" for way in ways)
        return TalkResult(f"{step.name}: {self.title}", first, opener, other, (may_open, allowed))


def _hears(speaker: socket.socket, listener: socket.socket, text: bytes, within_s: float) -> bool:
    """Whether what one end says arrives at the other in time."""
    speaker.send(text)
    return _arrives(listener, text, within_s)


def _arrives(listener: socket.socket, text: bytes, within_s: float) -> bool:
    listener.settimeout(within_s)
    try:
        return listener.recv(len(text)) == text
    except OSError:
        return False
