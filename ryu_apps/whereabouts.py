"""Which interface each port number of a switch stands for, says the inventory; kept up by what changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from topology.frozen import FrozenMap, differing
from topology.model import Endpoint, Inventory, Location

NOWHERE: FrozenMap[int, str] = FrozenMap()


class Whereabouts:
    """Follows one inventory after the other."""

    def __init__(self) -> None:
        self._inventory = Inventory()
        self._ports: dict[int, FrozenMap[int, str]] = {}

    def follow(self, inventory: Inventory) -> None:
        """Follow to this inventory."""
        put: dict[int, dict[int, str]] = {}
        gone: dict[int, list[int]] = {}
        come, went = _moved(self._inventory.endpoints, inventory.endpoints)
        for place in (*come, *_places(inventory, self._inventory)):
            put.setdefault(place.dpid, {})[place.ofport] = place.interface
        for place in (*went, *_places(self._inventory, inventory)):
            gone.setdefault(place.dpid, []).append(place.ofport)
        self._inventory = inventory
        for dpid in put.keys() | gone.keys():
            self._ports[dpid] = self.of(dpid).but(put.get(dpid), gone.get(dpid, ()))

    def of(self, dpid: int) -> FrozenMap[int, str]:
        """Return the ports of a switch: interface names by number."""
        return self._ports.get(dpid, NOWHERE)


def _moved(before: Mapping[str, Endpoint], after: Mapping[str, Endpoint]) -> tuple[list[Location], list[Location]]:
    """Return where endpoints are that were not there, and where they were that are not there any more."""
    come, went = list[Location](), list[Location]()
    for name in differing(before, after):
        was, now = before.get(name), after.get(name)
        if was is None or now is None or was.location != now.location:
            come += [now.location] if now else []
            went += [was.location] if was else []
    return come, went


def _places(here: Inventory, there: Inventory) -> Iterator[Location]:
    """Yield where everything else of one inventory is that the other does not have, or has otherwise."""
    kinds = ((here.unaddressed, there.unaddressed), (here.uplinks, there.uplinks), (here.mirrors, there.mirrors))
    for ports, others in kinds:
        if ports is not others:
            known = set(others)
            yield from (port.location for port in ports if port not in known)
    if here.fabric is not there.fabric:
        for dpid, links in here.fabric.ports.items():
            known_links = there.fabric.ports.get(dpid, {})
            yield from (Location(dpid, n, name, "") for n, name in links.items() if known_links.get(n) != name)
    if here.tunnels is not there.tunnels:
        for dpid, end in here.tunnels.items():
            if there.tunnels.get(dpid) != end:
                yield Location(dpid, end.ofport, end.interface, "")
