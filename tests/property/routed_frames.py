"""Random frames between the networks of routers, to the world and from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from intent.model import Router
from tests.property.choice import Choice
from tests.property.routed import MARTIANS, NEXT_HOP, ROUTER_MACS, TTLS, WORLD, gateways
from tests.property.transports import transport
from topology.model import IPAddress, Location, UplinkPort
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, Frame, Opening

if TYPE_CHECKING:
    from tests.property.cases import Case


def router_of(case: Case, network: str) -> Router | None:
    """Return the router of a network."""
    return next((r for r in case.intents.routers.values() if network in r.networks), None)


def _ports(case: Case) -> list[UplinkPort]:
    return [port for port in case.inventory.uplinks if port.location.dpid == case.dpid]


def make_routed(choice: Choice, case: Case) -> Frame | None:
    """Return a frame between networks, to the world or from it; None if the case has nobody for it."""
    routers = sorted(case.intents.routers)
    if not routers:
        return None
    kinds = ("out", "in", "in", "across", "across", "ping", "ask", "probe")
    kind, router = choice.pick(kinds), case.intents.routers[choice.pick(routers)]
    if kind in ("in", "probe"):
        return _from_world(choice, case, router, ask=kind == "probe")
    here = [e for e in case.inventory.on_switch(case.dpid) if e.network in router.networks]
    if not here:
        return None
    sender = choice.pick(here)
    src = choice.pick(sender.addresses)
    if kind == "ask":
        return _ask(choice, case, sender.location.ofport, sender.mac, src)
    everyone = [a for e in case.inventory.endpoints.values() for a in e.addresses]
    goals = everyone if kind == "across" else WORLD + MARTIANS[:1] + MARTIANS[3:]
    goals = [g for g in goals if g.version == src.version]
    gateway = [g for g in _gateways(case, sender.network) if g.version == src.version]
    dst = choice.pick(gateway if kind == "ping" and gateway else goals or [src])
    return _packet(choice, case, (sender.location.ofport, sender.mac, router.mac), (src, dst))


def _gateways(case: Case, network: str) -> tuple[IPAddress, ...]:
    known = case.intents.networks.get(network)
    return known.gateways if known is not None else ()


def _from_world(choice: Choice, case: Case, router: Router, *, ask: bool) -> Frame | None:
    ports = _ports(case)
    if not ports:
        return None
    port = choice.pick(ports).location.ofport
    everyone = [a for e in case.inventory.endpoints.values() for a in e.addresses]
    dst = choice.pick([*everyone, *WORLD[:1], *WORLD[4:5]])
    sources = (*WORLD, *WORLD, *MARTIANS, *everyone, *gateways(0))
    src = choice.pick([a for a in sources if a.version == dst.version])
    if ask:
        return _ask(choice, case, port, NEXT_HOP, src)
    return _packet(choice, case, (port, NEXT_HOP, choice.pick((router.mac, router.mac, *ROUTER_MACS))), (src, dst))


def _packet(choice: Choice, case: Case, way: tuple[int, str, str], ends: tuple[IPAddress, IPAddress]) -> Frame:
    (in_port, eth_src, eth_dst), (src, dst) = way, ends
    eth_type = ETH_IPV4 if src.version == 4 else ETH_IPV6
    base = Frame(case.dpid, in_port, eth_src, eth_dst, eth_type, src=src, dst=dst, ttl=choice.pick(TTLS))
    if choice.chance(25):
        icmp, echo = (ICMP, 8) if src.version == 4 else (ICMPV6, 128)
        return dataclasses.replace(base, protocol=icmp, icmp_type=echo, icmp_code=0)
    return dataclasses.replace(base, **transport(choice, src.version))


def _ask(choice: Choice, case: Case, in_port: int, mac: str, src: IPAddress) -> Frame:
    """Return a neighbour query: for a gateway, an endpoint near or far, or the world."""
    asked = [a for n in range(3) for a in gateways(n)] + [
        a for e in case.inventory.endpoints.values() for a in e.addresses
    ]
    target = choice.pick([a for a in (*asked, *WORLD) if a.version == src.version])
    if isinstance(src, IPv4Address):
        return Frame(
            case.dpid, in_port, mac, "ff:ff:ff:ff:ff:ff", ETH_ARP,
            arp_op=choice.pick((1, 1, 1, 2)), arp_spa=src, arp_tpa=target, arp_sha=mac,
        )  # fmt: skip
    return Frame(
        case.dpid, in_port, mac, "33:33:ff:00:00:01", ETH_IPV6, src=choice.pick((src, src, IPv6Address(0))),
        dst=IPv6Address("ff02::1:ff00:1"), protocol=ICMPV6, icmp_type=135, icmp_code=0, nd_target=target, nd_sll=mac,
    )  # fmt: skip


def back_way(case: Case, frame: Frame) -> tuple[Location, str, str] | None:
    """Return port, source and destination MAC of an answer to a frame that a router passed on, perhaps to elsewhere."""
    router = next((r for r in case.intents.routers.values() if r.mac == frame.eth_dst), None)
    if router is None:
        return None
    for endpoint in case.inventory.endpoints.values():
        if endpoint.network in router.networks and frame.dst in endpoint.addresses:
            return endpoint.location, endpoint.mac, router.mac
    found = [p for p in case.inventory.uplinks if p.name == router.uplink]
    port = min(found, key=lambda p: p.location.dpid != case.dpid, default=None)
    return None if port is None else (port.location, NEXT_HOP, router.mac)


def routed_errors(case: Case, opening: Opening) -> list[Frame]:
    """Return ICMP errors about a connection, from either end and from somebody in the world, each to either end."""
    found = []
    for dst, other in ((opening.src, opening.dst), (opening.dst, opening.src)):
        senders = (other, next(a for a in WORLD[2:] if a.version == dst.version))
        found += [f for src in senders for f in _errors(case, src, dst)]
    return found


def error_frame(entry: tuple[int, int], macs: tuple[str, str], ends: tuple[IPAddress, IPAddress]) -> Frame:
    """Return an ICMP error (unreachable) that enters at a switch's port, from one to another."""
    four = ends[0].version == 4
    protocol, kind = (ICMP, 3) if four else (ICMPV6, 1)
    return Frame(
        *entry, *macs, ETH_IPV4 if four else ETH_IPV6,
        src=ends[0], dst=ends[1], protocol=protocol, icmp_type=kind, icmp_code=0,
    )  # fmt: skip


def _errors(case: Case, src: IPAddress, dst: IPAddress) -> Iterator[Frame]:
    here = {a: e for e in case.inventory.on_switch(case.dpid) for a in e.addresses}
    sender, receiver = here.get(src), here.get(dst)
    ways = [(p.location.ofport, NEXT_HOP) for p in _ports(case)] if sender is None else []
    if sender is not None:
        ways = [(sender.location.ofport, sender.mac)]
    macs = {router.mac for router in case.intents.routers.values()} | ({receiver.mac} if receiver else set())
    for in_port, mac in ways:
        for eth_dst in sorted(macs):
            yield error_frame((case.dpid, in_port), (mac, eth_dst), (src, dst))
