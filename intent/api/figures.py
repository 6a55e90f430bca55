"""What the API says of the traffic of endpoints, as plain values and a protocol; `intent.api.gauges` serves it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Figures(NamedTuple):
    """Totals of one endpoint, in its own perspective: `rx` is what it received. They never fall."""

    rx_packets: int = 0
    rx_bytes: int = 0
    rx_lost: int = 0
    """Packets to it that its interface lost: queues that were full."""
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_lost: int = 0
    dropped: int = 0
    """Packets of its own that the switch dropped."""
    kept: int = 0
    """Packets of others to it that the switch dropped because of policy."""
    opened: int = 0
    """Connections that it opened and that were let through."""
    accepted: int = 0
    """Connections of others to it that were let through."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What is known of one endpoint's traffic."""

    endpoint: str
    since: float
    """Seconds since the epoch: before that its traffic is known only as far as its interface counted it."""
    at: float
    """Of the newest reading."""
    totals: Figures
    rates: tuple[float, ...]
    """A second, over the last seconds; in the order of `Figures`."""
    reasons: Mapping[tuple[str, str], int]
    """Packets by (`dropped` or `kept`, why)."""


class Moment(NamedTuple):
    """What the totals were at one time."""

    at: float
    totals: Figures


class GaugePort(Protocol):
    """The traffic of endpoints, a second old."""

    def readings(self) -> Sequence[Reading]:
        """Return every endpoint's, by name."""

    def reading(self, endpoint: str) -> Reading | None:
        """Return one endpoint's; None while nothing is known of it."""

    def past(self, endpoint: str, *, minutes: bool) -> Sequence[Moment]:
        """Return what is kept of an endpoint's past, oldest first: the last minute, or by the minute the last hour."""


class NoGauges:
    """For a server without switches: knows nothing."""

    def readings(self) -> Sequence[Reading]:
        """Return none."""
        return ()

    def reading(self, endpoint: str) -> Reading | None:
        """Return none."""
        del endpoint
        return None

    def past(self, endpoint: str, *, minutes: bool) -> Sequence[Moment]:
        """Return none."""
        del endpoint, minutes
        return ()
