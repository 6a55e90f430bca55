"""The ports that lead to the world: which interface is which uplink, and where its packets go next."""

from __future__ import annotations

from collections.abc import Iterator

from intent.inventory.bound import Bound, where
from intent.inventory.checks import mac_problem
from intent.model import Intents, Uplink
from topology.model import Location, Report, UplinkPort
from topology.site import SiteInterface

INTERNAL = "internal"
"""Type of an interface whose other end is the host."""


class Uplinks:
    """Collects them while the site is gone through."""

    def __init__(self, intents: Intents) -> None:
        self._intents = intents
        self.of = Bound(intents.uplinks.values()).of
        self._found: dict[tuple[int, str], UplinkPort] = {}
        self._bound: set[str] = set()
        self._reports: list[Report] = []

    def take(self, uplink: Uplink, interface: SiteInterface, location: Location | None) -> None:
        """Note where an uplink is plugged in; of two on one switch the first port stays."""
        self._bound.add(uplink.name)
        if location is None:
            if interface.error:
                self._report(uplink, f"the switch cannot open the device: {interface.error[:200]}", "make the device")
            return
        next_hop = uplink.next_hop or (interface.mac if interface.type == INTERNAL else None)
        if next_hop is None or mac_problem(next_hop.lower()):
            place = f"{interface.bridge}/{interface.name}"
            self._report(uplink, f"nobody says where packets go behind {place}", "set `nextHop` to the router's MAC")
            return
        port = UplinkPort(uplink.name, location, next_hop.lower())
        there = self._found.get((location.dpid, uplink.name))
        if there is not None:
            first, port = sorted((there, port), key=lambda p: p.location)
            problem = f"{port.location.interface} is its second port on one switch; {first.location.interface} stays"
            self._report(uplink, problem, "unbind one of the two")
            port = first
        self._found[location.dpid, uplink.name] = port

    def _report(self, uplink: Uplink, problem: str, remedy: str) -> None:
        self._reports.append(Report(f"uplink {uplink.name}", problem, remedy))

    def ports(self) -> tuple[UplinkPort, ...]:
        """Return what was found, sorted by switch and name."""
        return tuple(port for _, port in sorted(self._found.items()))

    def reports(self) -> Iterator[Report]:
        """Yield what an operator should know."""
        yield from self._reports
        for name, uplink in sorted(self._intents.uplinks.items()):
            if name not in self._bound:
                problem = f"no port of ours is {where(uplink.binding)}: it leads nowhere"
                yield Report(f"uplink {name}", problem, "plug it in")
