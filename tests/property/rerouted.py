"""Histories of three switches with tunnels whose routers, uplinks and forwards change in every way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from typing import Any

from intent.meaning.places import routers_behind
from intent.model import Router
from tests.property.cases import SITE, Case, change_case, make_case
from tests.property.choice import Choice, subset
from tests.property.histories import step_of
from tests.property.routed import FIRST_OFPORT, ROUTER_MACS, UPLINKS, gateways, subnets
from tests.property.translated import SHOWN
from topology.model import NO_TRANSLATION, Forward, Location, Translation, Tunnel, TunnelKind, UplinkPort
from topology.packet import TCP, UDP

DPIDS = (1, 2, 3)
ROUTERS = ("r0", "r1")
_KINDS = {TunnelKind.GENEVE: 6081, TunnelKind.VXLAN: 4789}
_NEXT_HOPS = ("02:aa:00:00:00:01", "02:aa:00:00:00:02")
_INDEX = {"blue": 0, "green": 1, "red": 2}


def make_detours(choice: Choice, steps: int) -> list[Case]:
    """Return a case on three switches and what becomes of it, mostly of its ways."""
    targets = [_fit(_spread(choice, make_case(choice, SITE))) for _ in range(2)]
    history = [_crossroads(choice, targets[0]) if choice.chance(30) else targets[0]]
    while len(history) <= steps:
        case = history[-1]
        for _ in range(choice.pick((1, 1, 1, 2))):
            case = _step(choice, case, choice.pick(targets))
        history.append(_fit(case))
    return history


def _spread(choice: Choice, case: Case) -> Case:
    endpoints = {
        name: dataclasses.replace(e, location=dataclasses.replace(e.location, dpid=choice.pick(DPIDS)))
        for name, e in case.inventory.endpoints.items()
    }
    inventory = dataclasses.replace(case.inventory, endpoints=endpoints, tunnels=_tunnels(choice), uplinks=())
    routers = {name: _router(choice, name, tuple(case.intents.networks)) for name in ROUTERS}
    intents = dataclasses.replace(case.intents, routers=routers)
    case = Case(intents, inventory)
    for _ in range(4):
        case = _port(choice, case)
    return case


def _crossroads(choice: Choice, case: Case) -> Case:
    """Return the case with two switches that the third may choose between as its way to the world."""
    networks = tuple(case.intents.networks)
    case = _intents(case, routers={"r0": Router("r0", networks, ROUTER_MACS[0], "up")})
    ports = tuple(
        UplinkPort("up", Location(dpid, FIRST_OFPORT + 1, "up0", f"row-up-{dpid}"), choice.pick(_NEXT_HOPS))
        for dpid in DPIDS[1:]
    )
    ends = {d: Tunnel(TunnelKind.GENEVE, IPv4Address("192.0.2.0") + d, 6081, 100 + d, "ring-tun") for d in DPIDS}
    return _inventory(case, uplinks=ports, tunnels=ends, away=frozenset(subset(choice, DPIDS[1:], 30)))


def _tunnels(choice: Choice) -> dict[int, Tunnel]:
    kind = choice.pick((TunnelKind.GENEVE, TunnelKind.GENEVE, TunnelKind.VXLAN))
    found = ((d, Tunnel(kind, IPv4Address("192.0.2.0") + d, _KINDS[kind], 100 + d, "ring-tun")) for d in DPIDS)
    return {dpid: end for dpid, end in found if choice.chance(85)}


def _router(choice: Choice, name: str, networks: tuple[str, ...]) -> Router:
    mac = ROUTER_MACS[ROUTERS.index(name)]
    return Router(name, subset(choice, networks, 60), mac, choice.pick((*UPLINKS, *UPLINKS, None)))


def _fit(case: Case) -> Case:
    """Keep what the inventory keeps: a network in one router, translation for one, ports sorted and of one owner."""
    owners: dict[str, str] = {}
    for name, router in sorted(case.intents.routers.items()):
        owners |= {network: name for network in router.networks if network not in owners}
    routers = {
        name: dataclasses.replace(router, networks=tuple(n for n in router.networks if owners[n] == name))
        for name, router in case.intents.routers.items()
    }
    intents = dataclasses.replace(case.intents, routers=routers)
    ports = (
        port if len(routers_behind(intents, port)) == 1 else dataclasses.replace(port, translation=NO_TRANSLATION)
        for port in case.inventory.uplinks
    )
    uplinks = tuple(sorted(ports, key=lambda port: (port.location.dpid, port.name)))
    away = case.inventory.away & {port.location.dpid for port in uplinks}
    return Case(intents, dataclasses.replace(case.inventory, uplinks=uplinks, away=away))


# -- steps ----------------------------------------------------------------------------------------


def _step(choice: Choice, case: Case, target: Case) -> Case:
    if choice.chance(20):
        return change_case(choice, case) if choice.chance(30) else step_of(choice, case, target)
    return choice.pick(_STEPS)(choice, case)


def _intents(case: Case, **parts: Any) -> Case:
    return dataclasses.replace(case, intents=dataclasses.replace(case.intents, **parts))


def _inventory(case: Case, **parts: Any) -> Case:
    return dataclasses.replace(case, inventory=dataclasses.replace(case.inventory, **parts))


def _whole_router(choice: Choice, case: Case) -> Case:
    """Add a router, or take one away."""
    name = choice.pick(ROUTERS)
    routers = {n: r for n, r in case.intents.routers.items() if n != name}
    if name not in case.intents.routers:
        routers[name] = _router(choice, name, tuple(case.intents.networks))
    return _intents(case, routers=routers)


def _leg(choice: Choice, case: Case) -> Case:
    """Let a network join a router, which takes it from the other or not, or leave it."""
    if not case.intents.routers:
        return case
    router = case.intents.routers[choice.pick(tuple(case.intents.routers))]
    network = choice.pick(tuple(_INDEX))
    left = tuple(n for n in router.networks if n != network)
    networks = left if network in router.networks else (*left, network)
    return _intents(case, routers={**case.intents.routers, router.name: dataclasses.replace(router, networks=networks)})


def _face(choice: Choice, case: Case) -> Case:
    """Give a router another MAC or another uplink."""
    if not case.intents.routers:
        return case
    router = case.intents.routers[choice.pick(tuple(case.intents.routers))]
    if choice.chance(50):
        router = dataclasses.replace(
            router, mac=choice.pick((router.mac, f"02:52:00:00:01:0{ROUTERS.index(router.name)}"))
        )
    else:
        router = dataclasses.replace(router, uplink=choice.pick((*UPLINKS, None)))
    return _intents(case, routers={**case.intents.routers, router.name: router})


def _network(choice: Choice, case: Case) -> Case:
    """Give a network other gateways or subnets; one without endpoints may go, and come back."""
    name = choice.pick(tuple(_INDEX))
    index, used = _INDEX[name], {e.network for e in case.inventory.endpoints.values()}
    network = case.intents.networks.get(name)
    if network is None:
        return case
    if choice.chance(25) and name not in used and not any(p.network == name for p in case.inventory.unaddressed):
        return _intents(case, networks={n: w for n, w in case.intents.networks.items() if n != name})
    kept = subset(choice, range(2), 70)
    if choice.chance(50):
        network = dataclasses.replace(network, gateways=tuple(gateways(index)[n] for n in kept))
    else:
        network = dataclasses.replace(network, subnets=tuple(subnets(index)[n] for n in kept))
    return _intents(case, networks={**case.intents.networks, name: network})


def _port(choice: Choice, case: Case) -> Case:
    """Plug an uplink in, out, or in again: as another row, elsewhere, or with another next hop."""
    dpid, name = choice.pick(DPIDS), choice.pick(UPLINKS)
    others = tuple(p for p in case.inventory.uplinks if (p.location.dpid, p.name) != (dpid, name))
    if len(others) < len(case.inventory.uplinks) and choice.chance(40):
        return _inventory(case, uplinks=others)
    ofport = FIRST_OFPORT + sorted(UPLINKS).index(name) + choice.pick((0, 0, 2))
    location = Location(dpid, ofport, f"{name}0", f"row-{name}-{dpid}{choice.pick(('', '', '+'))}")
    port = UplinkPort(name, location, choice.pick(_NEXT_HOPS), _translation(choice, case))
    return _inventory(case, uplinks=(*others, port))


def _translation(choice: Choice, case: Case) -> Translation:
    if choice.chance(60):
        return NO_TRANSLATION
    sources = tuple(choice.pick(SHOWN[version]) for version in (4, 6) if choice.chance(60))
    return Translation(sources, tuple(_forward(choice, case, n) for n in range(choice.pick((0, 1, 3)))))


def _forward(choice: Choice, case: Case, number: int) -> Forward:
    addresses = [a for e in case.inventory.endpoints.values() for a in e.addresses] or [ip_address("10.0.0.9")]
    to = choice.pick(addresses)
    first = 1000 * (number + 1)
    last = first + choice.pick((0, 0, 6))
    port = choice.pick((None, 80)) if first == last else None
    return Forward(choice.pick(SHOWN[to.version]), choice.pick((TCP, UDP)), first, last, to, port)


def _translated(choice: Choice, case: Case, change: Callable[[Translation], Translation]) -> Case:
    if not case.inventory.uplinks:
        return case
    port = choice.pick(case.inventory.uplinks)
    others = tuple(p for p in case.inventory.uplinks if p is not port)
    return _inventory(case, uplinks=(*others, dataclasses.replace(port, translation=change(port.translation))))


def _snat(choice: Choice, case: Case) -> Case:
    sources = tuple(choice.pick(SHOWN[version]) for version in (4, 6) if choice.chance(50))
    return _translated(choice, case, lambda said: dataclasses.replace(said, sources=sources))


def _one_forward(choice: Choice, case: Case) -> Case:
    """Add a forward, take one out, change one, or put them in another order."""

    def change(said: Translation) -> Translation:
        forwards = list(said.forwards)
        free = [n for n in range(8) if not any(f.first == 1000 * (n + 1) for f in forwards)]
        kind = choice.pick(("add", "add", "drop", "change", "turn", "idle"))
        if kind == "add" and free:
            forwards.insert(choice.pick(range(len(forwards) + 1)), _forward(choice, case, choice.pick(free)))
        elif kind == "drop" and forwards:
            forwards.pop(choice.pick(range(len(forwards))))
        elif kind == "change" and forwards:
            at = choice.pick(range(len(forwards)))
            forwards[at] = _forward(choice, case, forwards[at].first // 1000 - 1)
        elif kind == "turn":
            forwards.reverse()
        else:
            return dataclasses.replace(said, idle=subset(choice, SHOWN[4], 50))
        return dataclasses.replace(said, forwards=tuple(forwards))

    return _translated(choice, case, change)


def _away(choice: Choice, case: Case) -> Case:
    return _inventory(case, away=case.inventory.away ^ {choice.pick(DPIDS)})


def _tunnel(choice: Choice, case: Case) -> Case:
    """Take a tunnel end away, or put it back."""
    dpid = choice.pick(DPIDS)
    tunnels = {d: end for d, end in case.inventory.tunnels.items() if d != dpid}
    if len(tunnels) == len(case.inventory.tunnels):
        tunnels[dpid] = Tunnel(TunnelKind.GENEVE, IPv4Address("192.0.2.0") + dpid, 6081, 100 + dpid, "ring-tun")
    return _inventory(case, tunnels=tunnels)


def _move(choice: Choice, case: Case) -> Case:
    """Let an endpoint live on another switch, or leave."""
    if not case.inventory.endpoints:
        return case
    name = choice.pick(tuple(case.inventory.endpoints))
    endpoint = case.inventory.endpoints[name]
    others = {n: e for n, e in case.inventory.endpoints.items() if n != name}
    if choice.chance(30):
        return _inventory(case, endpoints=others)
    location = dataclasses.replace(endpoint.location, dpid=choice.pick(DPIDS))
    if any((e.location.dpid, e.location.ofport) == (location.dpid, location.ofport) for e in others.values()):
        return case
    return _inventory(case, endpoints={**others, name: dataclasses.replace(endpoint, location=location)})


_STEPS: tuple[Callable[[Choice, Case], Case], ...] = (
    _whole_router,
    _leg,
    _leg,
    _face,
    _network,
    _port,
    _port,
    _snat,
    _one_forward,
    _one_forward,
    _away,
    _away,
    _tunnel,
    _move,
)
