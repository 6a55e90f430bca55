"""Which switches know a network's endpoints if ways lead there: of the whole inventory, or kept up by what changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from topology.frozen import differing
from topology.model import Endpoint, Inventory, UplinkPort


class Routed(Protocol):
    """Networks that a router joins, and the uplink that it has."""

    @property
    def networks(self) -> Sequence[str]:
        """Names."""

    @property
    def uplink(self) -> str | None:
        """Name, if it has one."""


Reach: TypeAlias = Mapping[str, frozenset[int]]
"""By network that has any endpoint: datapath ids."""


def spans(inventory: Inventory, routed: Iterable[Routed] = ()) -> Reach:
    """Return the switches that know a network's endpoints if ways lead there, by network that has any.

    These are the switches with endpoints of its routing domain, or with an uplink of it.
    """
    found: dict[str, set[int]] = defaultdict(set)
    for endpoint in inventory.endpoints.values():
        found[endpoint.network].add(endpoint.location.dpid)
    return _joined(found, [(tuple(r.networks), r.uplink) for r in routed], inventory.uplinks)


def _joined(
    found: Mapping[str, Collection[int]],
    routers: Sequence[tuple[tuple[str, ...], str | None]],
    uplinks: Iterable[UplinkPort],
) -> Reach:
    """Return the switches of networks, with those of the others of their routing domains."""
    circles = {name: names for names, _ in reversed(routers) for name in names}
    circled: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for network, dpids in found.items():
        circled[circles.get(network, (network,))].update(dpids)
    for port in uplinks:
        for names, uplink in routers:
            if uplink == port.name and names in circled:
                circled[names].add(port.location.dpid)
    return {network: frozenset(circled[circles.get(network, (network,))]) for network in found}


class Spans:
    """Says what `spans` says of one inventory after the other; for one thread at a time."""

    def __init__(self) -> None:
        self._endpoints: Mapping[str, Endpoint] = {}
        self._uplinks: tuple[UplinkPort, ...] = ()
        self._routers: list[tuple[tuple[str, ...], str | None]] = []
        self._counts: dict[str, dict[int, int]] = {}
        """By network and datapath id: how many endpoints."""
        self.reach: Reach = {}
        """Of the inventory that was followed to last; the same object as long as it is equal."""

    def follow(self, inventory: Inventory, routed: Iterable[Routed] = ()) -> Reach:
        """Follow to this inventory and these routers."""
        routers = [(tuple(router.networks), router.uplink) for router in routed]
        before, after = self._endpoints, inventory.endpoints
        turned = False
        for name in differing(before, after):
            was, now = _place(before.get(name)), _place(after.get(name))
            if was != now:
                turned |= self._count(was, -1) | self._count(now, 1)
        self._endpoints = after
        if turned or routers != self._routers or inventory.uplinks != self._uplinks:
            self._routers, self._uplinks = routers, inventory.uplinks
            reach = _joined(self._counts, routers, inventory.uplinks)
            self.reach = self.reach if reach == self.reach else reach
        return self.reach

    def _count(self, place: tuple[str, int] | None, change: int) -> bool:
        """Count endpoints at a place; return whether it got its first or lost its last."""
        if place is None:
            return False
        network, dpid = place
        dpids = self._counts.setdefault(network, {})
        before = dpids.get(dpid, 0)
        if before + change:
            dpids[dpid] = before + change
        else:
            del dpids[dpid]
        if not dpids:
            del self._counts[network]
        return not before or not before + change


def _place(endpoint: Endpoint | None) -> tuple[str, int] | None:
    return None if endpoint is None else (endpoint.network, endpoint.location.dpid)
