"""The ways while routers, networks and uplinks change: what `routing.ways` says of everything, and what is new in it.

A network that another router joins, or a router with another MAC, concerns all endpoints of that network: they are
reached otherwise. All else is about uplinks: of their own switch, and of those with anything in a domain behind them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.routing import Domain, Leg, Ways, bare, by_switch, leg_of
from intent.compiler.terms import mac
from intent.model import Router
from topology.model import UplinkPort

Turned = Mapping[str, tuple[Domain | None, Domain | None]]
"""Domains by key: as they were and as they are."""


@dataclasses.dataclass(frozen=True, slots=True)
class Detour:
    """What is new in the ways of one turn."""

    before: Ways
    after: Ways
    domains: Turned = dataclasses.field(default_factory=dict)
    """Those that are not what they were."""
    networks: frozenset[str] = frozenset()
    """Those in another domain, or whose router has another MAC."""
    legs: frozenset[str] = frozenset()
    """Those of the others that have other gateways."""
    ports: frozenset[int] = frozenset()
    """Switches with other uplinks, or with another domain behind one of theirs."""
    forwards: frozenset[int] = frozenset()
    """Switches of the others whose uplinks have other forwards."""

    @property
    def flipped(self) -> list[str]:
        """Return the networks that a router joins now and none did, or the other way round."""
        return [n for n in self.networks if (n in self.before.domains) != (n in self.after.domains)]

    @property
    def uplinks(self) -> set[str]:
        """Return the names of uplinks that lead, or led, elsewhere than the others'."""
        ways = self.before, self.after
        return {port.name for dpid in self.ports for each in ways for port in each.uplinks.get(dpid, ())}


class Routes:
    """Follows what is said of routers, networks and uplinks."""

    def __init__(self) -> None:
        self.ways = Ways()
        self._routers: dict[str, Router] = {}
        self._claims: dict[str, dict[str, None]] = {}
        """By network: the routers that name it; the first by name has it."""
        self._drawn: dict[str, Domain] = {}
        """By router, also those that have none of their networks."""

    def follow(self, inputs: Inputs, changes: Changes) -> Detour:
        """Follow the inputs, which have changed so."""
        before = self.ways
        touched = self._claim(changes)
        if not touched and changes.uplinks is None:
            return Detour(before, before)
        domains = dict(before.domains)
        turned = self._turned(domains, self._redraw(inputs, touched, changes.routers)) if touched else {}
        served = _served(before, turned)
        ports = before.uplinks
        if changes.uplinks is not None or served.keys() != before.served.keys():
            ports = _kept(before.uplinks, by_switch(inputs.uplinks, served))
        circles = {k: d for k, d in before.circles.items() if k not in turned}
        circles |= {key: now for key, (_, now) in turned.items() if now is not None}
        self.ways = Ways(domains, ports, served, circles)
        return _detour(before, self.ways, turned)

    def _claim(self, changes: Changes) -> dict[str, None]:
        """Note which router names which networks; return the networks to be looked at."""
        touched: dict[str, None] = {}
        for name, router in changes.routers.items():
            was = self._routers.pop(name, None)
            for network in was.networks if was is not None else ():
                touched[network] = None
                self._claims[network].pop(name, None)
            if router is not None:
                self._routers[name] = router
                for network in router.networks:
                    touched[network] = None
                    self._claims.setdefault(network, {})[name] = None
        for network in touched:
            if not self._claims.get(network, True):
                del self._claims[network]
        touched.update((network, None) for network in changes.networks if network in self._claims)
        return touched

    def _redraw(self, inputs: Inputs, touched: Mapping[str, None], changed: Iterable[str]) -> dict[str, str | None]:
        """Draw domains anew; return for each network that this may concern the router that has it now."""
        concerned = dict(touched)
        for name in {*changed, *(name for network in touched for name in self._claims.get(network, ()))}:
            router, was = self._routers.get(name), self._drawn.pop(name, None)
            if router is not None:
                here = (inputs.networks[network] for network in router.networks if network in inputs.networks)
                drawn = Domain(name, mac(router.mac), router.uplink, tuple(map(leg_of, here)))
                self._drawn[name] = was if was == drawn else drawn
                concerned.update((leg.name, None) for leg in drawn.legs if was != drawn)
        there = inputs.networks
        return {n: min(self._claims.get(n, ()), default=None) if n in there else None for n in concerned}

    def _turned(self, domains: dict[str, Domain], holders: Mapping[str, str | None]) -> Turned:
        """Give networks to domains; return the domains that are not what they were."""
        was: dict[str, Domain] = {}
        for network, holder in holders.items():
            if (old := domains.pop(network, None)) is not None:
                was[old.key] = old
            if holder is not None:
                domains[network] = self._drawn[holder]
        now = {self._drawn[holder].key: self._drawn[holder] for holder in holders.values() if holder is not None}
        for key in was.keys() - now.keys():  # some other of its networks may be left to it
            drawn = self._drawn.get(was[key].router)
            if drawn is not None and any(domains.get(leg.name) is drawn for leg in drawn.legs):
                now[key] = drawn
        before = {key: self.ways.circles.get(key) for key in was.keys() | now.keys()}
        return {key: (old, now.get(key)) for key, old in before.items() if old is not now.get(key)}


def _served(before: Ways, turned: Turned) -> Mapping[str, tuple[Domain, ...]]:
    if not turned:
        return before.served
    served = dict(before.served)
    for name in _uplinks(turned):
        left = [domain for domain in served.pop(name, ()) if domain.key not in turned]
        left += [now for _, now in turned.values() if now is not None and now.uplink == name]
        if left:
            served[name] = tuple(sorted(left, key=lambda d: d.router))
    return served


def _uplinks(turned: Turned) -> set[str]:
    return {each.uplink for pair in turned.values() for each in pair if each is not None and each.uplink is not None}


def _kept(
    before: Mapping[int, tuple[UplinkPort, ...]], after: Mapping[int, tuple[UplinkPort, ...]]
) -> dict[int, tuple[UplinkPort, ...]]:
    """Return the new ports, of each switch as the same object as before if they are equal."""
    return {dpid: before[dpid] if before.get(dpid) == ports else ports for dpid, ports in after.items()}


def _detour(before: Ways, after: Ways, turned: Turned) -> Detour:
    networks, legs = set[str](), set[str]()
    for network, is_same in _legs(turned):
        if _via(before, network) != _via(after, network):
            networks.add(network)
        elif not is_same:
            legs.add(network)
    names = _uplinks(turned)
    ports, forwards = set[int](), set[int]()
    for dpid in before.uplinks.keys() | after.uplinks.keys():
        was, now = before.uplinks.get(dpid, ()), after.uplinks.get(dpid, ())
        if any(port.name in names for port in (*was, *now)):
            ports.add(dpid)
        elif was is not now:
            (forwards if list(map(bare, was)) == list(map(bare, now)) else ports).add(dpid)
    return Detour(before, after, turned, frozenset(networks), frozenset(legs), frozenset(ports), frozenset(forwards))


def _legs(turned: Turned) -> Iterator[tuple[str, bool]]:
    """Yield the networks of domains, and whether what routing reads of them is as it was."""
    was = {leg.name: leg for leg in _all_legs(domain for domain, _ in turned.values())}
    now = {leg.name: leg for leg in _all_legs(domain for _, domain in turned.values())}
    for network in was.keys() | now.keys():
        yield network, was.get(network) == now.get(network)


def _all_legs(domains: Iterable[Domain | None]) -> Iterator[Leg]:
    return (leg for domain in domains if domain is not None for leg in domain.legs)


def _via(ways: Ways, network: str) -> tuple[str, int] | None:
    """Return what an endpoint of a network knows of its router."""
    domain = ways.domains.get(network)
    return None if domain is None else (domain.key, domain.mac)
