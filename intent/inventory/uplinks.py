"""The ports that lead to the world: which interface is which uplink, and where its packets go next."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

from intent.inventory.bound import Bound, where
from intent.inventory.checks import mac_problem
from intent.model import Intents, PortForward, Router, Uplink
from topology.frozen import differing
from topology.model import Endpoint, Forward, Location, Report, Translation, UplinkPort
from topology.site import SiteInterface

D = TypeVar("D", Uplink, Router)
INTERNAL = "internal"
"""Type of an interface whose other end is the host."""


def translated(
    ports: Iterable[UplinkPort], intents: Intents, endpoints: Mapping[str, Endpoint]
) -> tuple[UplinkPort, ...]:
    """Return uplinks with what they make of addresses; a forward to an endpoint that is not behind one is none.

    Of another network anybody might have the address of somebody behind it, or the uplink's own, which a translation
    would not change: Open vSwitch can abort at that (ADR 0021).
    """
    found = []
    for port in ports:
        uplink = intents.uplinks[port.name]
        if uplink.translates:
            routers = (router for router in intents.routers.values() if router.uplink == port.name)
            behind = frozenset(name for router in routers for name in router.networks)
            forwards = [f for each in uplink.forwards if (f := _forward(each, endpoints, behind)) is not None]
            shown = {each.address for each in uplink.forwards} - {each.address for each in forwards}
            made = Translation(uplink.snat, tuple(forwards), tuple(sorted(shown, key=lambda a: (a.version, int(a)))))
            found.append(dataclasses.replace(port, translation=made))
        else:
            found.append(port)
    return tuple(found)


class Translations:
    """Says what `translated` says, and looks again only when something that it reads has changed."""

    def __init__(self) -> None:
        self._value: tuple[UplinkPort, ...] | None = None
        self._ports: tuple[UplinkPort, ...] = ()
        self._intents = Intents()
        self._endpoints: Mapping[str, Endpoint] = {}
        self._named: frozenset[str] = frozenset()
        """The endpoints that forwards name, there or not."""

    def follow(
        self, ports: tuple[UplinkPort, ...], intents: Intents, endpoints: Mapping[str, Endpoint]
    ) -> tuple[UplinkPort, ...]:
        """Return uplinks with what they make of addresses; the same object as long as they are equal."""
        last, is_as_it_was = self._value, self._is_as_it_was(ports, intents, endpoints)
        self._ports, self._intents, self._endpoints = ports, intents, endpoints
        if last is not None and is_as_it_was:
            return last
        self._named = frozenset(f.to for u in intents.uplinks.values() for f in u.forwards if isinstance(f.to, str))
        made = translated(ports, intents, endpoints)
        self._value = last if last is not None and last == made else made
        return self._value

    def _is_as_it_was(self, ports: tuple[UplinkPort, ...], intents: Intents, endpoints: Mapping[str, Endpoint]) -> bool:
        was = self._intents
        if ports is not self._ports or _differ(was.uplinks, intents.uplinks) or _differ(was.routers, intents.routers):
            return False
        changed: Iterator[str] = differing(self._endpoints, endpoints)
        return not self._named or self._named.isdisjoint(changed)


def _differ(before: Mapping[str, D], after: Mapping[str, D]) -> bool:
    return any(True for _ in differing(before, after))


def _forward(wish: PortForward, endpoints: Mapping[str, Endpoint], behind: Collection[str]) -> Forward | None:
    to = wish.to
    if isinstance(to, str):
        held = endpoints[to].addresses if to in endpoints and endpoints[to].network in behind else ()
        address = next((a for a in held if a.version == wish.address.version and not a.is_link_local), None)
    else:
        address = to
    if address is None:
        return None
    return Forward(wish.address, wish.protocol, wish.first, wish.last, address, wish.port)


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
        """Return what was found, sorted by switch and name; one that translates only where it is first."""
        return tuple(port for key, port in sorted(self._found.items()) if not self._is_again(key))

    def _is_again(self, key: tuple[int, str]) -> bool:
        """Whether it translates addresses, and does so on another switch: an address is in one place."""
        uplink = self._intents.uplinks[key[1]]
        return uplink.translates and key[0] != min(dpid for dpid, name in self._found if name == key[1])

    def reports(self) -> Iterator[Report]:
        """Yield what an operator should know."""
        yield from self._reports
        for key, port in sorted(self._found.items()):
            if self._is_again(key):
                here = f"{port.location.interface} of {key[0]:016x}"
                problem = f"it translates addresses on another switch; {here} leads nowhere"
                yield Report(f"uplink {port.name}", problem, "plug it in once, or give each switch its own")
        for name, uplink in sorted(self._intents.uplinks.items()):
            if name not in self._bound:
                problem = f"no port of ours is {where(uplink.binding)}: it leads nowhere"
                yield Report(f"uplink {name}", problem, "plug it in")
