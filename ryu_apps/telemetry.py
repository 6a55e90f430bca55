"""What flows counted, by cookie: the id of the rule or guard that a flow belongs to."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

from ryu_apps.wire import FlowStats


class Count(NamedTuple):
    """Sums over the flows of one cookie."""

    packets: int
    bytes: int


class Counters:
    """The newest counters of each switch, as of its last verification."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switches: dict[int, dict[int, Count]] = {}

    def take(self, dpid: int, flows: Iterable[FlowStats]) -> None:
        """Replace a switch's counters by those of a dump."""
        sums: dict[int, Count] = {}
        for stats in flows:
            cookie = stats.flow.body.cookie
            before = sums.get(cookie)
            if before is None:
                sums[cookie] = Count(stats.packets, stats.bytes)
            elif stats.packets or stats.bytes:  # most of a large table met no packet
                sums[cookie] = Count(before.packets + stats.packets, before.bytes + stats.bytes)
        with self._lock:
            self._switches[dpid] = sums

    def total(self) -> dict[int, Count]:
        """Return the sums over all switches, by cookie."""
        sums: dict[int, Count] = {}
        with self._lock:
            for switch in self._switches.values():
                for cookie, count in switch.items():
                    before = sums.get(cookie, Count(0, 0))
                    sums[cookie] = Count(before.packets + count.packets, before.bytes + count.bytes)
        return sums

    def packets(self, dpid: int, cookie: int) -> int:
        """Return what the flows of one cookie counted on a switch, as of its last verification."""
        with self._lock:
            count = self._switches.get(dpid, {}).get(cookie)
        return count.packets if count else 0

    def of(self, dpid: int) -> dict[int, Count]:
        """Return a switch's counters by cookie; empty before its first verification."""
        with self._lock:
            return dict(self._switches.get(dpid, {}))
