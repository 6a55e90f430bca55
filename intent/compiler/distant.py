"""Routing between hosts: endpoints of other networks of a routing domain, and uplinks, that a tunnel leads to.

The sender's switch routes: it judges, takes the hop, writes the MACs of the next one and sends through the tunnel of
the network (or uplink) that the packet goes to. The receiver's switch sees the router's MAC, ties the address to the
host that has it, judges again, and has nothing to rewrite. World addresses are taken only from hosts with the uplink,
and never go from one to another. docs/adr/0016-routers-on-every-switch.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator

from intent.compiler import endpoints, routing
from intent.compiler import fields as f
from intent.compiler.beyond import VERSIONS
from intent.compiler.cookie import Guard, Kind, Origin, encode
from intent.compiler.flow import Act, DecTtl, Flow, Load, Move, Output, Term, exact
from intent.compiler.pipeline import MULTICAST_BIT, same_actions
from intent.compiler.routing import Domain, Via, Ways
from intent.compiler.tables import Priority, Routed, Table
from intent.compiler.terms import ETHERTYPE, dst_address, flow, goto, guard, is_, mac, src_address
from intent.compiler.tunnels import Path, carry
from topology.model import Endpoint, IPAddress, Tunnel, TunnelKind, UplinkPort

_SHORT = Term(f.TUN_ID, 0, f.TUN_ID.ones ^ (1 << f.LINK.bits) - 1)
"""Its low bits, which become LINK, are the number of the network: nothing but what DESTINATION knows there passes."""
_TO_ONE = Term(f.ETH_DST, 0, MULTICAST_BIT)
"""A router passes nothing on to many: groups of another network are none of its sender's."""
_ANSWERS = f.CS_RPL | f.CS_TRK
_TELLS = f.CS_REL | f.CS_TRK


@dataclasses.dataclass(frozen=True, slots=True)
class Exit:
    """An uplink of another switch, for a domain that has endpoints here."""

    domain: Domain
    port: UplinkPort
    path: Path
    is_taken: bool
    """What opens a connection to the world goes by it."""


def exits(
    ways: Ways, dpid: int, networks: Iterable[str], path: Callable[[int], object], away: Collection[int]
) -> Iterator[Exit]:
    """Yield the uplinks of other switches that serve endpoints in these networks of a switch.

    The switch's own uplink is taken if it has one, else the lowest datapath id's of hosts that are not `away`. One
    that translates addresses serves its own switch alone.
    """
    here = {d.router: d for name in networks if (d := ways.domains.get(name)) is not None and d.uplink is not None}
    for _, domain in sorted(here.items()):
        is_taken = all(port.name != domain.uplink for port in ways.uplinks.get(dpid, ()))
        for there, ports in sorted(ways.uplinks.items(), key=lambda found: (found[0] in away, found[0])):
            way = path(there)
            for port in ports:
                if port.name == domain.uplink and isinstance(way, Path) and not port.translation.addresses:
                    yield Exit(domain, port, way, is_taken)
                    is_taken = False


# -- endpoints -----------------------------------------------------------------------------------


def hop_flows(endpoint: Endpoint, address: IPAddress, numbers: endpoints.Numbers, path: Path) -> Iterator[Flow]:
    """Yield what leads to an endpoint of another switch by way of its router, and what comes from it."""
    via = numbers.via
    if via is None:
        return
    origin = encode(Origin(Kind.ENDPOINT, numbers.attachment))
    family = ETHERTYPE[address.version]
    claim = (*_claim(via, path, numbers.attachment), family, src_address(address))
    who = (Load(f.SRC_ID, numbers.identity), Load(f.SRC_ATT, numbers.attachment), *_enter(via))
    yield flow(Table.SOURCE, Priority.SOURCE, claim, goto(Table.GUARD, *who), origin)
    target = (*_to_router(via), family, dst_address(address))
    aim = (Load(f.DST_ID, numbers.identity), Load(f.DST_ATT, numbers.attachment), _out(path))
    yield flow(Table.DESTINATION, Routed.HOP, target, goto(Table.ORIENT, *aim), origin)
    next_hop = _leave(via, mac(endpoint.mac), numbers.network, path)
    yield flow(Table.ROUTE, Priority.ADDRESS, (*_bound(via, numbers.attachment), family), next_hop, origin)
    yield flow(Table.SAME, Priority.ADDRESS, numbers.same, same_actions(numbers.identity), origin)


def _claim(via: Via, path: Path, attachment: int) -> tuple[Term, ...]:
    """Return what a packet must look like that a router of another host passed on for an attachment there."""
    terms = (
        exact(f.IN_PORT, path.here.ofport),
        exact(f.TUN_SRC, int(path.there.address)),
        _SHORT,
        _TO_ONE,
        exact(f.ETH_SRC, via.mac),
    )
    return (*terms, is_(f.OPTION_ATT, attachment)) if path.here.kind is TunnelKind.GENEVE else terms


def _enter(via: Via) -> tuple[Act, ...]:
    return (Load(f.NETWORK, via.domain), Move(f.Slice(f.TUN_ID, 0, f.LINK.bits), f.LINK), Load(f.FROM_TUNNEL, 1))


def _to_router(via: Via) -> tuple[Term, ...]:
    """Match what an endpoint here sends to its router."""
    return is_(f.NETWORK, via.domain), routing.FROM_HERE, exact(f.ETH_DST, via.mac)


def _bound(via: Via, attachment: int) -> tuple[Term, ...]:
    return is_(f.NETWORK, via.domain), is_(f.DST_ATT, attachment)


def _out(path: Path) -> Load:
    return Load(f.OUT_PORT, path.here.ofport)


def _leave(via: Via, next_mac: int, network: int, path: Path) -> tuple[Act, ...]:
    w = f.whole
    head = (Load(w(f.ETH_SRC), via.mac), Load(w(f.ETH_DST), next_mac), DecTtl())
    return (*head, *carry(path, network), Output(path.here.ofport))


# -- the world -----------------------------------------------------------------------------------


def exit_flows(way: Exit, number: Callable[[str, str], int]) -> Iterator[Flow]:
    """Yield how a domain's endpoints here reach the world by an uplink elsewhere, and are reached from it."""
    uplink = number("network", routing.uplink_key(way.port))
    attachment = number("attachment", routing.attachment_key(way.port))
    via = Via(number("network", way.domain.key), way.domain.mac)
    origin = encode(Origin(Kind.ENDPOINT, attachment))
    yield from routing.beyond_flows(attachment)
    yield from routing.border_flows(way.domain, via.domain, attachment)
    leave = goto(Table.WORLD_DESTINATION, Load(f.DST_ATT, attachment), _out(way.path))
    next_hop = _leave(via, mac(way.port.next_hop), uplink, way.path)
    enter = goto(Table.WORLD_SOURCE, Load(f.SRC_ATT, attachment), *_enter(via))
    for version in VERSIONS:
        family = ETHERTYPE[version]
        claim = (*_claim(via, way.path, attachment), family)
        yield flow(Table.SOURCE, Routed.FROM_WORLD, claim, enter, origin)
        outward = (*_to_router(via), routing.NOT_WORLD, family)
        for terms in _of_connection(attachment):
            yield flow(Table.DESTINATION, Routed.BACK, (*outward, *terms), leave, origin)
        if way.is_taken:
            yield flow(Table.DESTINATION, Routed.EXIT, outward, leave, origin)
        yield flow(Table.ROUTE, Priority.ADDRESS, (*_bound(via, attachment), family), next_hop, origin)


def _of_connection(attachment: int) -> Iterator[tuple[Term, ...]]:
    """Yield how to tell answers and errors that are of a connection by an uplink: they leave by it, too."""
    client, server = is_(f.LABEL_CLIENT, attachment), is_(f.LABEL_SERVER, attachment)
    for state, end in ((_ANSWERS, client), (_TELLS, client), (_TELLS, server)):
        others = f.CS_RPL | f.CS_REL if state == _ANSWERS else f.CS_REL
        yield Term(f.CT_STATE, state, others | f.CS_TRK), end


def entry_flows(ways: Ways, port: UplinkPort, number: Callable[[str, str], int], here: Tunnel) -> Iterator[Flow]:
    """Yield how packets that another switch routed leave by an uplink here; those of the world do not.

    One that translates addresses is for this switch alone, both ways: nothing goes from it through the tunnel.
    """
    uplink = number("network", routing.uplink_key(port))
    attachment = number("attachment", routing.attachment_key(port))
    origin = encode(Origin(Kind.ENDPOINT, attachment))
    if port.translation.addresses:
        away = (is_(f.SRC_ATT, attachment), is_(f.OUT_PORT, here.ofport))
        yield flow(Table.ORIENT, Routed.ELSEWHERE, away, *guard(Guard.DESTINATION))
        return
    leave = (Load(f.DST_ATT, attachment), Load(f.OUT_PORT, port.location.ofport))
    for domain in ways.behind(port):
        place = is_(f.PLACE, number("network", domain.key) | uplink << f.LINK.offset)
        for version in VERSIONS:
            routed = (is_(f.FROM_TUNNEL, 1), routing.NOT_WORLD, exact(f.ETH_DST, mac(port.next_hop)))
            terms = (place, *routed, ETHERTYPE[version])
            yield flow(Table.DESTINATION, Routed.EXIT, terms, goto(Table.WORLD_DESTINATION, *leave), origin)
