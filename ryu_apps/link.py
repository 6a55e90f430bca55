"""The words between the OpenFlow framework and the rest of the controller; no Ryu in here."""

from __future__ import annotations

import dataclasses
from typing import Protocol


class Refused(Exception):
    """A switch may not connect; the message names why and the remedy."""


class Link(Protocol):
    """One OpenFlow 1.4 connection, as a session uses it. Every method may be called by any thread."""

    @property
    def peer(self) -> str:
        """Address of the other side, for people."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its certificate; empty without TLS."""

    def write(self, data: bytes) -> bool:
        """Queue bytes that are whole messages; return False when the connection is closed."""

    def listen(self, seconds: float) -> bool:
        """Take what comes within so many seconds at the instant it comes, if nobody else could run meanwhile.

        Return whether anything may have come. It need not do anything: whoever waits is told, sooner or later.
        """

    def shut(self, reason: str) -> None:
        """Close at once; closing twice is closing once."""

    def alive(self, timeout_s: float) -> bool:
        """Ask for an echo; return whether anything came back in time."""


class Switchboard(Protocol):
    """What the framework tells the controller; called by the connection's own receive loop."""

    def admit(self, link: Link, dpid: int, auxiliary: int) -> None:
        """Judge a connection that has said who it is.

        Raises:
            Refused: it may not connect.
        """

    def ready(self, link: Link, dpid: int, ports: dict[int, str]) -> None:
        """Take a connection that finished its handshake; `ports` maps port numbers to names."""

    def frame(self, link: Link, frame: bytes) -> None:
        """Take a well-formed message of a ready connection, in the order in which they came; must not block."""

    def gone(self, link: Link) -> None:
        """Forget a connection, ready or not."""


@dataclasses.dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one side; `ca` None does not ask the other side for a certificate."""

    key: str
    cert: str
    ca: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Listen:
    """Where switches connect to."""

    host: str
    port: int
    tls: TlsFiles | None = None
