"""Multicast groups: who hears a group by intent, and the flows that copy to them what policy lets through.

A copy is judged like any packet, as an opening that nothing remembers. The verdict is that of an identity, so the
judgement runs once for each identity among the members here, and for each other switch until one of its members may
hear: that switch gets one copy, and judges each of its members itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from intent.compiler import fields as f
from intent.compiler.cookie import Guard
from intent.compiler.fabric import Toward
from intent.compiler.flow import Act, Actions, Flow, Load, Move, Output, Resubmit, Term, exact
from intent.compiler.pipeline import DHCP_REPLIES
from intent.compiler.resolve import holds
from intent.compiler.tables import Priority, Table
from intent.compiler.terms import ETHERTYPE, dst_address, flow, goto, guard, is_, protocol
from intent.compiler.tunnels import Path, carry
from intent.model import MAX_MEMBERS, MulticastGroup, Selector
from topology.model import Endpoint, IPAddress
from topology.packet import UDP

NO_FRAGMENT = Term(f.IP_FRAG, 0, 1)
"""What shows no ports cannot be judged, and nothing keeps those of a group."""


class Member(NamedTuple):
    """Who hears a group."""

    endpoint: Endpoint
    address: IPAddress
    """That it is judged by: the first of the group's IP version."""


def members(group: MulticastGroup, endpoints: Iterable[Endpoint]) -> list[Member]:
    """Return the members of a group among the endpoints of its network."""
    version = group.address.version
    selected = sorted((e for e in endpoints if chosen(group.members, e.labels)), key=lambda e: e.name)
    found = ((e, [a for a in e.addresses if a.version == version]) for e in selected)
    return [Member(e, own[0]) for e, own in found if own][:MAX_MEMBERS]


def chosen(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether a selector selects an endpoint, by all its labels: none of them needs to be read by policy."""
    return all(holds(requirement, labels.get(requirement.key)) for requirement in selector.requirements)


@dataclasses.dataclass(frozen=True, slots=True)
class Seats:
    """Where the members of a group are, as one switch sees it; identities by number."""

    local: Mapping[int, tuple[int, ...]]
    """By identity: the OpenFlow ports of those who are plugged in here, ascending."""
    remote: Mapping[Path | Toward, tuple[int, ...]]
    """By the way to another switch: the identities there, ascending. Wires come last: they cost the MACs."""


def seats(dpid: int, heard: Iterable[tuple[Member, int]], path: Callable[[int], Path | Toward | None]) -> Seats:
    """Return where members are, each with the number of its identity; who no way leads to has no seat."""
    local: dict[int, set[int]] = {}
    remote: dict[int, set[int]] = {}
    for member, identity in heard:
        place = member.endpoint.location
        if place.dpid == dpid:
            local.setdefault(identity, set()).add(place.ofport)
        else:
            remote.setdefault(place.dpid, set()).add(identity)
    found = ((path(there), identities) for there, identities in sorted(remote.items()))
    ways = sorted(((way, ids) for way, ids in found if way is not None), key=lambda each: isinstance(each[0], Toward))
    return Seats(
        {identity: tuple(sorted(ports)) for identity, ports in sorted(local.items())},
        {way: tuple(sorted(identities)) for way, identities in ways},
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Here:
    """A network on one switch."""

    network: int
    """Its number."""
    place: Term
    """What packets of it match once their sender is known."""
    judge: Table
    """Where the judgement begins."""
    wired: bool
    """Wires lead from the switch to others."""


def group_mac(address: IPAddress) -> int:
    """Return the MAC of a group (RFC 1112, 6.4; RFC 2464, 7)."""
    if address.version == 4:  # noqa: PLR2004 - IP version
        return 0x01005E000000 | int(address) & 0x7FFFFF
    return 0x333300000000 | int(address) & 0xFFFFFFFF


def group_flows(group: MulticastGroup, here: Here, seats: Seats) -> Iterator[Flow]:
    """Yield what a switch holds for a group that anybody can hear from there; another's are dropped by a guard."""
    if not seats.local and not seats.remote:
        return
    to = (here.place, ETHERTYPE[group.address.version], dst_address(group.address))
    mac = group_mac(group.address)
    yield from _entry(to, mac, wired=here.wired)
    local = _passes(0, seats.local, here.judge)
    away = [act for way, there in seats.remote.items() for act in _passes(_target(way), there, here.judge)]
    for from_tunnel, acts in ((0, (*local, *away)), (1, local)):
        yield flow(Table.MEMBERS, Priority.ADDRESS, (*to, is_(f.FROM_TUNNEL, from_tunnel)), _listen(acts))
    for identity, ports in seats.local.items():
        here_for = (is_(f.COPY, 1), is_(f.TARGET, 0), is_(f.SERVER_ID, identity))
        yield flow(Table.COPIES, Priority.ADDRESS, (*to, *here_for), tuple(map(Output, ports)))
    once = Term(f.COPY.field, f.COPY.mask, f.COPY.mask | f.SENT.mask)
    for way in seats.remote:
        send = (Load(f.SENT, 1), *_send(way, here.network))
        yield flow(Table.COPIES, Priority.ADDRESS, (*to, once, is_(f.TARGET, _target(way))), send)
    yield from _shared(wired=here.wired)


def _entry(to: tuple[Term, ...], mac: int, *, wired: bool) -> Iterator[Flow]:
    datagram = (*to, protocol(UDP), NO_FRAGMENT)
    yield flow(Table.GUARD, Priority.GROUP, (*datagram, exact(f.ETH_DST, mac)), goto(Table.MEMBERS))
    if wired:  # between switches MACs say the way
        restore = (Load(f.COPY, 1), Load(f.whole(f.ETH_DST), mac), Resubmit(int(Table.RESTORE)))
        arrived = (*datagram, is_(f.VIA, f.FROM_FABRIC))
        yield flow(Table.GUARD, Priority.GROUP + 1, arrived, goto(Table.MEMBERS, *restore))


def _passes(target: int, identities: Iterable[int], judge: Table) -> tuple[Act, ...]:
    """Return what judges each of some identities for one target; a judgement writes all that its end reads."""
    acts: list[Act] = [Load(f.TARGET, target), Load(f.SENT, 0)]
    for identity in identities:
        acts += (Load(f.SERVER_ID, identity), Resubmit(int(judge)))
    return tuple(acts) if len(acts) > 2 else ()  # noqa: PLR2004 - what every target begins with


def _listen(passes: Iterable[Act]) -> Actions:
    return goto(Table.COPIES, Load(f.COPY, 1), Move(f.SRC_ID, f.CLIENT_ID), *passes, Load(f.COPY, 0))


def _target(way: Path | Toward) -> int:
    """Return a number that no other way from here has: those of the fabric are below all addresses."""
    return way.number if isinstance(way, Toward) else int(way.there.address)


def _send(way: Path | Toward, network: int) -> tuple[Act, ...]:
    if isinstance(way, Path):
        return (*carry(way, network), Output(way.here.ofport))
    return (Load(f.EDGE, way.number), Resubmit(int(Table.DEPART)))


def _shared(*, wired: bool) -> Iterator[Flow]:
    """Yield what is the same for all groups."""
    for family, source, destination in DHCP_REPLIES:
        replies = (family, protocol(UDP), exact(f.UDP_SRC, source), exact(f.UDP_DST, destination))
        yield flow(Table.MEMBERS, Priority.EXCEPTION, replies, *guard(Guard.DHCP))
    yield flow(Table.MEMBERS, Priority.LAST, (), *guard(Guard.MULTICAST))
    copy = (is_(f.COPY, 1),)
    yield flow(Table.DELIVER, Priority.BY_STATE_3, copy, goto(Table.COPIES))
    # A meter that drops ends a packet with all that was still to be done: NOTE comes when all copies are out.
    yield flow(Table.NOTE, Priority.BY_STATE_3, copy, (Move(f.REASON, f.HELD_REASON), Load(f.HELD, 1)))
    held = Term(f.HELD.field, f.HELD.mask, f.COPY.mask | f.HELD.mask)
    yield flow(Table.COPIES, Priority.MISS, (held,), goto(Table.NOTE, Move(f.HELD_REASON, f.REASON)))
    if wired:
        yield flow(Table.HAND_OVER, Priority.ADDRESS + 1, copy, ())
