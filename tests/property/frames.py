"""Random frames that hit the edges of a case: honest, answering, forged, and never judged."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from tests.property.cases import GROUPS, LINK_LOCAL, MACS, V4, V6, Case
from tests.property.choice import Choice
from tests.property.routed_frames import back_way, make_routed
from tests.property.transports import transport
from topology.model import Endpoint, IPAddress, Location, UnaddressedPort
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMPV6, UDP, Frame

BROADCAST = "ff:ff:ff:ff:ff:ff"
ALL_NODES = IPv6Address("ff02::1")
LIMITED_BROADCAST = IPv4Address("255.255.255.255")
UNSPECIFIED_V4, UNSPECIFIED_V6 = IPv4Address("0.0.0.0"), IPv6Address("::")
ICMP_REPLY = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 128: 129, 129: 128}
LLDP = 0x88CC


def make_frames(choice: Choice, case: Case, count: int) -> list[Frame]:
    """Return frames that enter the case's switch; some answer an earlier one, some forge one."""
    frames: list[Frame] = []
    for _ in range(count):
        frames.append(_next_frame(choice, case, frames))
    return frames


def _next_frame(choice: Choice, case: Case, earlier: list[Frame]) -> Frame:
    kind = choice.pick(
        ("ip",) * 10 + ("reply",) * 5 + ("forged",) * 4 + ("neighbour",) * 3 + ("dhcp",) + ("group",) * 3
    )
    if case.intents.routers and choice.chance(40):
        going = make_routed(choice, case)
        if going is not None:
            return going
    answers = [reply_to(case, frame) for frame in earlier if _holder(case, frame) or back_way(case, frame)]
    answers = [frame for frame in answers if frame.dpid == case.dpid]
    if kind == "reply" and answers:
        return choice.pick(answers)
    if kind == "forged":
        honest = earlier[-1] if earlier else _ip(choice, case)
        return _forge(choice, case, honest)
    if kind == "group" and choice.chance(80):
        return to_listed_group(choice, case)
    makers = {"neighbour": _neighbour, "dhcp": _dhcp, "group": _to_group}
    return makers.get(kind, _ip)(choice, case)


# -- honest unicast -------------------------------------------------------------------------------


def _ip(choice: Choice, case: Case) -> Frame:
    client, server = _pair(choice, case)
    version = choice.pick(sorted(_versions(client) & _versions(server)) or sorted(_versions(client)))
    src, dst = (_address(choice, endpoint, version) for endpoint in (client, server))
    base = Frame(
        dpid=case.dpid,
        in_port=client.location.ofport,
        eth_src=client.mac,
        eth_dst=server.mac,
        eth_type=ETH_IPV4 if version == 4 else ETH_IPV6,
        src=src,
        dst=dst,
    )
    return dataclasses.replace(base, **transport(choice, version))


def _pair(choice: Choice, case: Case) -> tuple[Endpoint, Endpoint]:
    """Return a sender on this switch and, mostly, a peer in its network."""
    here = case.inventory.on_switch(case.dpid)
    if not here:
        return _stranger(choice, 1), _stranger(choice, 2)
    client = choice.pick(here)
    everyone = tuple(case.inventory.endpoints.values())
    near = [e for e in everyone if e.network == client.network and e != client and _versions(e) & _versions(client)]
    if near and choice.chance(90):
        return client, choice.pick(near)
    return client, choice.pick((_stranger(choice, 3), *everyone))


def _versions(endpoint: Endpoint) -> set[int]:
    return {address.version for address in endpoint.addresses}


def _stranger(choice: Choice, ofport: int) -> Endpoint:
    """Return somebody whom the inventory need not know."""
    mac, addresses = choice.pick(MACS), (choice.pick(V4), choice.pick(V6))
    return Endpoint("stranger", "none", {}, mac, addresses, (), Location(0, ofport, "none", "none"))


def _address(choice: Choice, endpoint: Endpoint, version: int) -> IPAddress:
    own = [a for a in endpoint.addresses if a.version == version]
    return choice.pick(own or (V4 if version == 4 else V6))


def reply_to(case: Case, frame: Frame) -> Frame:
    """Return the frame the other side would answer with, on its own switch; from nowhere near if there is none."""
    holder = _holder(case, frame)
    nowhere = Location(frame.dpid, frame.in_port, "none", "none")
    direct = holder.location if holder else nowhere, frame.eth_dst, frame.eth_src
    place, eth_src, eth_dst = back_way(case, frame) or direct
    return dataclasses.replace(
        frame,
        dpid=place.dpid,
        in_port=place.ofport,
        eth_src=eth_src,
        eth_dst=eth_dst,
        ttl=64,
        src=frame.dst,
        dst=frame.src,
        sport=frame.dport,
        dport=frame.sport,
        icmp_type=None if frame.icmp_type is None else ICMP_REPLY.get(frame.icmp_type, frame.icmp_type),
    )


def _holder(case: Case, frame: Frame) -> Endpoint | None:
    everyone = case.inventory.endpoints.values()
    return next((e for e in everyone if e.mac == frame.eth_dst and frame.dst in e.addresses), None)


# -- forged ---------------------------------------------------------------------------------------


def _forge(choice: Choice, case: Case, frame: Frame) -> Frame:
    """Return the frame with one field that lies."""
    pool = LINK_LOCAL + V6 if frame.eth_type == ETH_IPV6 else V4
    ports = [e.location.ofport for e in case.inventory.on_switch(case.dpid)]
    lies: dict[str, Any] = {
        "in_port": choice.pick((*ports, 99)),
        "eth_src": choice.pick(MACS),
        "eth_dst": choice.pick((*MACS, BROADCAST)),
        "vlan": choice.pick((0, 7)),
    }
    if frame.src is not None:
        lies |= {"src": choice.pick(pool), "dst": choice.pick(pool)}
    if frame.eth_type == ETH_ARP:
        lies |= {"arp_spa": choice.pick((UNSPECIFIED_V4, *V4)), "arp_sha": choice.pick(MACS), "arp_op": 2}
    if frame.nd_target is not None:
        lies |= {"nd_sll": choice.pick((None, *MACS)), "nd_target": choice.pick(V6)}
    field = choice.pick(tuple(lies))
    return dataclasses.replace(frame, **{field: lies[field]})


# -- answered or dropped without policy -----------------------------------------------------------


def _neighbour(choice: Choice, case: Case) -> Frame:
    asker, asked = _pair(choice, case)
    if choice.chance(50):
        return _solicitation(choice, case, asker, asked)
    spa, tpa = _address(choice, asker, 4), _address(choice, asked, 4)
    assert isinstance(spa, IPv4Address)
    assert isinstance(tpa, IPv4Address)
    return Frame(
        dpid=case.dpid,
        in_port=asker.location.ofport,
        eth_src=asker.mac,
        eth_dst=BROADCAST,
        eth_type=ETH_ARP,
        arp_op=choice.pick((1, 1, 1, 2, 3)),
        arp_spa=choice.pick((spa, spa, spa, UNSPECIFIED_V4)),
        arp_tpa=tpa,
        arp_sha=asker.mac,
    )


def _solicitation(choice: Choice, case: Case, asker: Endpoint, asked: Endpoint) -> Frame:
    """Return a neighbour solicitation, or another neighbour discovery message in its place."""
    target = _address(choice, asked, 6)
    own = _address(choice, asker, 6)
    icmp_type = choice.pick((135, 135, 135, 135, 136, 133, 134, 137))
    code = 1 if choice.chance(10) else 0
    speaks_of_target = icmp_type in {135, 136} and code == 0
    return Frame(
        dpid=case.dpid,
        in_port=asker.location.ofport,
        eth_src=asker.mac,
        eth_dst=choice.pick(("33:33:ff:00:00:01", asked.mac)),
        eth_type=ETH_IPV6,
        src=choice.pick((own, own, *LINK_LOCAL[:3], UNSPECIFIED_V6)),
        dst=choice.pick((IPv6Address("ff02::1:ff00:1"), target)),
        protocol=ICMPV6,
        icmp_type=icmp_type,
        icmp_code=code,
        nd_target=target if speaks_of_target else None,
        nd_sll=asker.mac if speaks_of_target and icmp_type == 135 else None,
    )


def _dhcp(choice: Choice, case: Case) -> Frame:
    """Return a client's request or a server's reply; the server need not be the declared one."""
    if choice.chance(50):
        frame = _ip(choice, case)
        sport, dport = (67, 68) if frame.eth_type == ETH_IPV4 else (547, 546)
        return dataclasses.replace(frame, protocol=UDP, sport=sport, dport=dport, icmp_type=None, icmp_code=None)
    plugged: tuple[Endpoint | UnaddressedPort, ...] = (
        *case.inventory.on_switch(case.dpid),
        *case.inventory.unaddressed,
    )
    client = choice.pick(plugged) if plugged else _stranger(choice, 1)
    return Frame(
        dpid=case.dpid,
        in_port=client.location.ofport,
        eth_src=client.mac,
        eth_dst=BROADCAST,
        eth_type=ETH_IPV4,
        src=UNSPECIFIED_V4,
        dst=LIMITED_BROADCAST,
        protocol=UDP,
        sport=68,
        dport=67,
    )


def to_listed_group(choice: Choice, case: Case) -> Frame:
    """Return a frame to an address that a network may list, mostly UDP with the MAC of the group."""
    frame = _ip(choice, case)
    group = choice.pick([g for g in GROUPS if (g.version == 4) == (frame.eth_type == ETH_IPV4)])
    octets = group.packed
    right = bytes((1, 0, 0x5E, octets[1] & 127) if group.version == 4 else (0x33, 0x33, *octets[12:14])) + octets[-2:]
    mac = right.hex(":") if choice.chance(90) else choice.pick(("01:00:5e:00:00:fb", BROADCAST, frame.eth_dst))
    frame = dataclasses.replace(frame, dst=group, eth_dst=mac)
    if not choice.chance(90):
        return frame
    ports = choice.pick(((40000, 80), (40000, 443), (40000, 79), (5353, 5353), (67, 68), (547, 546)))
    datagram = {"protocol": UDP, "sport": ports[0], "dport": ports[1], "icmp_type": None, "icmp_code": None}
    return dataclasses.replace(frame, **datagram, nd_target=None, nd_sll=None)


def _to_group(choice: Choice, case: Case) -> Frame:
    """Return a frame to many, or one that is no IP at all."""
    frame = _ip(choice, case)
    v4 = frame.eth_type == ETH_IPV4
    many = IPv4Address("224.0.0.251") if v4 else ALL_NODES
    many_mac = "01:00:5e:00:00:fb" if v4 else "33:33:00:00:00:01"
    match choice.pick(("both", "mac", "ip", "broadcast", "other")):
        case "both":
            return dataclasses.replace(frame, dst=many, eth_dst=many_mac)
        case "mac":
            return dataclasses.replace(frame, eth_dst=many_mac)
        case "ip":
            return dataclasses.replace(frame, dst=many)
        case "broadcast":
            dst = LIMITED_BROADCAST if v4 else many
            return dataclasses.replace(frame, dst=dst, eth_dst=BROADCAST)
        case _:
            return Frame(case.dpid, frame.in_port, frame.eth_src, frame.eth_dst, LLDP)
