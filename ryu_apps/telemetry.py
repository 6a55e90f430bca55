"""What flows counted, by cookie: the id of the rule or guard that a flow belongs to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ryu_apps.wire import FlowStats

NOTHING: Mapping[int, tuple[int, int]] = MappingProxyType({})


class Count(NamedTuple):
    """Sums over the flows of one cookie."""

    packets: int
    bytes: int


class Counters:
    """The newest counters of each switch, as of its last verification."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switches: dict[int, dict[int, Count]] = {}
        self._before: dict[int, dict[int, int]] = {}
        """Packets as of the verification before the newest, where there were any."""

    def take(self, dpid: int, flows: Iterable[FlowStats], known: Mapping[int, tuple[int, int]] = NOTHING) -> None:
        """Replace a switch's counters by those of a dump: of flows, and of more of which the sums are `known`."""
        sums = {cookie: Count(*both) for cookie, both in known.items()}
        for stats in flows:
            cookie = stats.flow.body.cookie
            before = sums.get(cookie)
            if before is None:
                sums[cookie] = Count(stats.packets, stats.bytes)
            elif stats.packets or stats.bytes:  # most of a large table met no packet
                sums[cookie] = Count(before.packets + stats.packets, before.bytes + stats.bytes)
        with self._lock:
            older = self._switches.get(dpid, sums)
            self._before[dpid] = {cookie: count.packets for cookie, count in older.items() if count.packets}
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

    def packets_before(self, dpid: int, cookie: int) -> int | None:
        """Return what the flows of one cookie counted before a packet that a switch showed just now; None: not known.

        That is as of the verification before the newest: the newest may count the packet already, and thousands that
        followed it, while the sample of it waits to be looked at.
        """
        with self._lock:
            before = self._before.get(dpid)
        return None if before is None else before.get(cookie, 0)

    def of(self, dpid: int) -> dict[int, Count]:
        """Return a switch's counters by cookie; empty before its first verification."""
        with self._lock:
            return dict(self._switches.get(dpid, {}))
