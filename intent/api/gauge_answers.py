"""What the API answers of the traffic of endpoints."""

from __future__ import annotations

from typing import Literal

from intent.api.answers import Answer


class FiguresAnswer(Answer):
    """Of one endpoint, in its own perspective; as totals, which never fall, or a second."""

    rx_packets: float
    """Received by the endpoint: what its interface's other end, the switch port, transmitted."""
    rx_bytes: float
    rx_lost: float
    """Lost on the way to it at its interface, whose queue was full; no verdict of a policy."""
    tx_packets: float
    """Sent by the endpoint, dropped or not."""
    tx_bytes: float
    tx_lost: float
    dropped: float
    """Sent by it and dropped by the switch; `reasons` says why."""
    kept: float
    """Sent to it by others, and dropped by an isolation, a posture or a rule."""
    opened: float
    """Connections it opened and that were let through: packets that conntrack calls new, so a SYN that is sent
    again, or a datagram before the first answer, counts again."""
    accepted: float
    """Connections that others opened to it."""


class TotalsAnswer(FiguresAnswer):
    """Whole numbers."""

    rx_packets: int
    rx_bytes: int
    rx_lost: int
    tx_packets: int
    tx_bytes: int
    tx_lost: int
    dropped: int
    kept: int
    opened: int
    accepted: int


class ReasonAnswer(Answer):
    """Packets that did not pass, and why."""

    figure: Literal["dropped", "kept"]
    """`dropped`: they were the endpoint's own; `kept`: they were for it."""
    reason: str
    """`rule web-to-app/no-ssh`, `posture shop`, `isolation teams`, `guard source`; `unknown` where what decided is
    gone by now, `other` beyond 32 reasons."""
    packets: int


class EndpointCountersAnswer(Answer):
    """The traffic of one endpoint.

    `rx` and `tx` are the interface's own counters. `dropped`, `kept`, `opened` and `accepted` are exact while the
    switch drops, or opens, at most 50 packets a second of a kind; beyond that, sums are exact, and are shared out as
    50 samples a second are.
    """

    name: str
    network: str | None
    """Null for one that is not plugged in any more."""
    since: str
    """RFC 3339: what came before is known only as far as the interface counted it."""
    at: str
    """Of the newest reading; one a second while the switch answers."""
    totals: TotalsAnswer
    rates: FiguresAnswer
    """A second, over the last three seconds or so."""
    reasons: list[ReasonAnswer]
    """Most packets first."""
    history: list[MomentAnswer] | None = None
    """Oldest first; null where it was not asked for."""


class MomentAnswer(Answer):
    """The totals at one time."""

    at: str
    totals: TotalsAnswer


class EndpointsCountersAnswer(Answer):
    """A page of endpoints that are plugged in, by name."""

    items: list[EndpointCountersAnswer]
    after: str | None
    """`after=` for the next page; null at the end."""
