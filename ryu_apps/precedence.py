"""Which ports wait for other switches: a new endpoint speaks only when those who hear it know it. Pure.

Only what opens waits, and never long; whatever closes is sent at once (docs/adr/0014-overlay.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeAlias

from topology.frozen import differing
from topology.model import Endpoint, Inventory
from topology.spans import Reach

PATIENCE_S = 0.1
"""Longest wait: a switch that is slow or out of reach must not keep a workload from starting."""

Behind: TypeAlias = Mapping[int, Mapping[int, frozenset[int]]]
"""By datapath id and port number: the switches that have to know it first."""


def behind(before: Inventory, after: Inventory, reach: Reach) -> dict[int, dict[int, frozenset[int]]]:
    """Return who waits for whom on the way from one inventory to the next, whose `reach` it is."""
    if not after.tunnels:
        return {}
    found: dict[int, dict[int, frozenset[int]]] = {}
    for name in differing(before.endpoints, after.endpoints):
        endpoint, known = after.endpoints.get(name), before.endpoints.get(name)
        if endpoint is None or (known is not None and known.attachment == endpoint.attachment):
            continue
        dpid = endpoint.location.dpid
        hear = frozenset(d for d in reach[endpoint.network] if after.linked(dpid, d))
        wait_for = hear | _left(known, dpid)
        if wait_for:
            ports = found.setdefault(dpid, {})
            ports[endpoint.location.ofport] = ports.get(endpoint.location.ofport, frozenset()) | wait_for
    return found


def _left(known: Endpoint | None, dpid: int) -> frozenset[int]:
    """Return the switch of the place that an endpoint moves away from: it is closed first."""
    return frozenset() if known is None or known.location.dpid == dpid else frozenset({known.location.dpid})


@dataclasses.dataclass(frozen=True, slots=True)
class _Hold:
    until: float
    dpids: frozenset[int]


class Gate:
    """The ports that wait now. `now` is the monotonic clock's. Lock around it."""

    def __init__(self) -> None:
        self._holds: dict[int, dict[int, _Hold]] = {}

    def hold(self, ports: Behind, now: float) -> None:
        """Let ports wait."""
        for dpid, behind_whom in ports.items():
            holds = self._holds.setdefault(dpid, {})
            holds.update((ofport, _Hold(now + PATIENCE_S, dpids)) for ofport, dpids in behind_whom.items())

    def held(self, dpid: int, knows: Callable[[int], bool], now: float) -> tuple[frozenset[int], float | None]:
        """Return the ports of a switch that still wait, and how long at most.

        `knows` says whether a switch holds all it should.
        """
        holds = self._holds.get(dpid)
        if not holds:
            return frozenset(), None
        for ofport, hold in list(holds.items()):
            if hold.until <= now or all(map(knows, hold.dpids)):
                del holds[ofport]
        if not holds:
            del self._holds[dpid]
            return frozenset(), None
        return frozenset(holds), max(0.0, min(hold.until for hold in holds.values()) - now)

    def waiting(self) -> list[int]:
        """Return the switches that have ports which wait."""
        return list(self._holds)
