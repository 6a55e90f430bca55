"""The ports that lead to the world: which interface is which uplink, and where its packets go next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

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
        self._by_port = {(u.binding.bridge, u.binding.interface): u for u in intents.uplinks.values()}
        self._by_iface_id = {u.binding.iface_id: u for u in intents.uplinks.values() if u.binding.iface_id}
        self._found: dict[tuple[int, str], UplinkPort] = {}
        self._bound: set[str] = set()
        self._reports: list[Report] = []

    def of(self, interface: SiteInterface, iface_id: str | None) -> Uplink | None:
        """Return the uplink that an interface is; no endpoint can be there then."""
        found = self._by_port.get((interface.bridge, interface.name))
        return found or (self._by_iface_id.get(iface_id) if iface_id else None)

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
                binding = dataclasses.astuple(uplink.binding)
                where = "/".join(part for part in binding if part is not None)
                yield Report(f"uplink {name}", f"no port of ours is {where}: it leads nowhere", "plug it in")
