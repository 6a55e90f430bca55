"""What a switch decides about a frame before and beside policy: guards, neighbour queries, DHCP, the way it goes.

Written from section 4 of the design; `intent.semantics` says the rest of a frame's fate.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, TypeAlias

from intent.meaning.frames import SOLICITATION, is_echo, is_group, is_group_mac, is_icmp, is_icmpv6, is_solicitation
from intent.meaning.places import (
    holder,
    is_inside,
    neighbour,
    passes_routers,
    router_of,
    routers_behind,
    uplinks_of,
)
from intent.meaning.policy import UnknownName, selects
from intent.meaning.rulings import Judgement
from intent.meaning.translation import covers, inbound, is_known_kind
from intent.model import MAX_MEMBERS, Intents, MulticastGroup, Network, Router
from topology.model import Endpoint, Inventory, IPAddress, Translation, UnaddressedPort, UplinkPort
from topology.packet import ETH_ARP, ETH_IPV4, ETH_IPV6, ICMP, ICMPV6, UDP, Fate, Frame, Hop, Outcome

_ANY_V4, _BROADCAST_V4 = IPv4Address(0), IPv4Address(2**32 - 1)
_ANY_V6 = IPv6Address(0)
_BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
_ARP_REQUEST = 1
_ICMP_REDIRECT = 5
_ADVERTISEMENT = 136
_ROUTER_TYPES = frozenset({133, 134, 137})
"""Router solicitation, router advertisement, redirect (RFC 4861)."""
_DHCP_PORTS = {ETH_IPV4: (67, 68), ETH_IPV6: (547, 546)}
"""Server and client port (RFC 2131, RFC 8415)."""
_FOREIGN_ICMP = frozenset({(ETH_IPV4, ICMPV6), (ETH_IPV6, ICMP)})
"""Each IP has an ICMP of its own; the other's opens no connection."""


class Reason(enum.StrEnum):
    """Why a frame had its fate. The guards first, in the order of the pipeline."""

    TAGGED = "a VLAN tag on an access port"
    ETHERTYPE = "neither IPv4, IPv6 nor ARP"
    SOURCE = "no endpoint here has this port, MAC and source address"
    SPOOFED = "from the world, with an address of the routing domain or of no host"
    ARP = "ARP that is no request for the address of an endpoint of the network"
    NEIGHBOUR = "neighbour discovery that is no solicitation of the address of an endpoint of the network"
    ROUTER = "an endpoint is no router: solicitation, advertisement or redirect"
    DHCP = "DHCP reaches and comes from the declared server of the network only"
    MULTICAST = "multicast or broadcast, and to no group of the network that anybody hears"
    TTL = "its hops are used up, so the router drops it"
    DESTINATION = "no endpoint of the network that can be reached has this MAC and destination address"
    ITSELF = "to its own sender"
    INVALID = "of no possible connection"
    PORTS_UNKNOWN = "an error about a connection whose ports conntrack does not keep"
    CHANGED_HANDS = "of a connection whose endpoints are no longer attached"
    UNTRANSLATED = "by an uplink that translates addresses, and no translation is for it"
    POLICY = "judged"
    REJECTED = "judged, and the sender is told"
    ANSWERED = "a neighbour query, or a ping of the gateway, answered by the switch"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The fate of a frame and why; `judgement` when policy was asked."""

    fate: Fate
    reason: Reason
    judgement: Judgement | None = None
    copies: Mapping[str, Judgement] = dataclasses.field(default_factory=dict)
    """By name of the endpoint: of what was sent to a group, one judgement for each member."""


Party: TypeAlias = Endpoint | UplinkPort
"""One end of a packet's way; an uplink stands for the world behind it."""


class Admitted(NamedTuple):
    """A frame that passed the guards: conntrack and policy speak next."""

    source: Party
    destination: Party
    network: str
    """One of the routing domain in which it goes."""
    hop: Hop | None = None
    """If a router passes it on."""
    translated: Frame | None = None
    """How endpoints see it, if it came by an uplink that translates: what is tracked and judged."""


class Audience(NamedTuple):
    """Who hears a frame that passed the guards and goes to a multicast group: policy speaks next, of each."""

    source: Endpoint
    network: str
    members: tuple[tuple[Endpoint, IPAddress], ...]
    """Each with the address that it is judged by: the first of the group's IP version."""


# -- guards: before and beside policy -------------------------------------------------------------


def admit(
    intents: Intents, inventory: Inventory, frame: Frame, kept: Frame | None = None
) -> Admitted | Audience | Verdict:
    """Return the ends of a frame that policy has to judge, or its fate if a guard settles it.

    `kept` is the frame as its uplink's translations make it, if it belongs to one of them.

    Raises:
        UnknownName: the network of the sender is not declared.
    """
    if frame.vlan is not None:
        return drop(Reason.TAGGED)
    if frame.eth_type not in {ETH_IPV4, ETH_IPV6, ETH_ARP}:
        return drop(Reason.ETHERTYPE)
    for uplink in inventory.uplinks:
        if (uplink.location.dpid, uplink.location.ofport) == (frame.dpid, frame.in_port):
            return _from_world(intents, inventory, (frame, kept), uplink)
    return _from_endpoint(intents, inventory, frame)


def _from_endpoint(intents: Intents, inventory: Inventory, frame: Frame) -> Admitted | Audience | Verdict:
    plugged = _plugged(inventory, frame)
    if plugged is not None and _is_dhcp_discovery(frame):
        return _to_dhcp_server(_network(intents, plugged), inventory, plugged)
    if not isinstance(plugged, Endpoint) or not _is_own(plugged, frame):
        return drop(Reason.SOURCE)
    if frame.eth_type == ETH_ARP or is_solicitation(frame):
        return _neighbour(intents, inventory, frame, plugged)
    return _packet(intents, inventory, frame, plugged)


def _packet(intents: Intents, inventory: Inventory, frame: Frame, sender: Endpoint) -> Admitted | Audience | Verdict:
    """An IP packet from an address of its sender: where it goes if policy lets it."""
    network = _network(intents, sender)
    answered = _answered_by_dhcp(network, inventory, frame, sender)
    if answered is not None:
        return Verdict(Fate(Outcome.DELIVER, answered.location), Reason.DHCP)
    reason = _forbidden(frame, may_serve_dhcp=sender.name == network.dhcp_server)
    if reason:
        return drop(reason) if reason is not Reason.MULTICAST else _to_group(network, inventory, frame, sender)
    router = router_of(intents, network.name)
    if router is None or frame.eth_dst != router.mac:
        return _to_neighbour(inventory, frame, sender)
    if is_echo(frame) and frame.dst in network.gateways:
        return Verdict(Fate(Outcome.ANSWER, sender.location), Reason.ANSWERED)
    return _by_router(intents, inventory, frame, sender, router)


def _plugged(inventory: Inventory, frame: Frame) -> Endpoint | UnaddressedPort | None:
    """Return who is plugged in where the frame comes in and has its MAC."""
    everyone: tuple[Endpoint | UnaddressedPort, ...] = (*inventory.endpoints.values(), *inventory.unaddressed)
    here = (frame.dpid, frame.in_port, frame.eth_src)
    return next((e for e in everyone if (e.location.dpid, e.location.ofport, e.mac) == here), None)


def _is_own(sender: Endpoint, frame: Frame) -> bool:
    """Say whether every source address inside the frame is the sender's."""
    if frame.eth_type == ETH_ARP:
        return frame.arp_sha == sender.mac and frame.arp_spa in sender.addresses
    if is_solicitation(frame):
        # From any of its addresses, declared or not: the answer goes back to its own port and nowhere else.
        # From `::` it asks whether an address is free (RFC 4862); silence says yes.
        speaks_ipv6 = any(isinstance(a, IPv6Address) for a in sender.addresses)
        return speaks_ipv6 and frame.nd_sll == sender.mac and frame.src != _ANY_V6
    return frame.src in sender.addresses


def _is_dhcp_discovery(frame: Frame) -> bool:
    """Say whether a client that has no address yet asks whoever serves DHCP."""
    server, client = _DHCP_PORTS[ETH_IPV4]
    asked = (frame.eth_dst, frame.src, frame.dst, frame.protocol, frame.sport, frame.dport)
    return asked == (_BROADCAST_MAC, _ANY_V4, _BROADCAST_V4, UDP, client, server)


def _to_dhcp_server(network: Network, inventory: Inventory, client: Endpoint | UnaddressedPort) -> Verdict:
    """Deliver to the declared server if it is another endpoint of this network on this switch."""
    server = inventory.endpoints.get(network.dhcp_server or "")
    if server is None or server.network != network.name or server.location.dpid != client.location.dpid:
        return drop(Reason.DHCP)
    if server.name == client.name:
        return drop(Reason.ITSELF)
    return Verdict(Fate(Outcome.DELIVER, server.location), Reason.DHCP)


def _answered_by_dhcp(
    network: Network, inventory: Inventory, frame: Frame, sender: Endpoint
) -> Endpoint | UnaddressedPort | None:
    """Return the client that the declared server answers, where addresses are learned from DHCP.

    The client has no address yet that policy could know, so the exchange is not judged: it goes to its MAC.
    """
    ports = (frame.eth_type, frame.protocol, frame.sport, frame.dport)
    if ports != (ETH_IPV4, UDP, *_DHCP_PORTS[ETH_IPV4]) or "dhcp" not in network.learn:
        return None
    if sender.name != network.dhcp_server:
        return None
    everyone: tuple[Endpoint | UnaddressedPort, ...] = (*inventory.endpoints.values(), *inventory.unaddressed)
    wanted = (network.name, frame.dpid, frame.eth_dst)
    found = (e for e in everyone if (e.network, e.location.dpid, e.mac) == wanted and e.name != sender.name)
    return next(found, None)


def _neighbour(intents: Intents, inventory: Inventory, frame: Frame, sender: Endpoint) -> Verdict:
    """Answer a query for an address that an endpoint of the network holds which can be reached, or its router."""
    asked = _asked(frame)
    if asked is not None:
        is_gateway = router_of(intents, sender.network) is not None and asked in _network(intents, sender).gateways
        found = neighbour(inventory, sender.network, asked)
        place = found.location.dpid if found is not None else None
        if is_gateway or place == frame.dpid or (place is not None and inventory.linked(frame.dpid, place)):
            return Verdict(Fate(Outcome.ANSWER, sender.location), Reason.ANSWERED)
    return drop(Reason.ARP if frame.eth_type == ETH_ARP else Reason.NEIGHBOUR)


def _asked(frame: Frame) -> IPAddress | None:
    """Return the address that a neighbour query asks for."""
    if frame.eth_type == ETH_ARP:
        return frame.arp_tpa if frame.arp_op == _ARP_REQUEST else None
    return frame.nd_target


def _forbidden(frame: Frame, *, may_serve_dhcp: bool = False) -> Reason | None:
    """Return why an IP packet is dropped whatever policy says."""
    if is_icmpv6(frame, SOLICITATION, _ADVERTISEMENT):
        return Reason.NEIGHBOUR
    if is_icmpv6(frame, *_ROUTER_TYPES) or is_icmp(frame, _ICMP_REDIRECT):
        return Reason.ROUTER
    ports = (frame.protocol, frame.sport, frame.dport)
    if ports == (UDP, *_DHCP_PORTS[frame.eth_type]) and not may_serve_dhcp:
        return Reason.DHCP
    if is_group_mac(frame.eth_dst) or is_group(frame.dst):
        return Reason.MULTICAST
    return Reason.INVALID if (frame.eth_type, frame.protocol) in _FOREIGN_ICMP else None


def _to_neighbour(inventory: Inventory, frame: Frame, sender: Endpoint) -> Admitted | Verdict:
    """Unicast goes to the one endpoint of the network with that MAC and address, if it can be reached."""
    found = None if frame.dst is None else neighbour(inventory, sender.network, frame.dst)
    if found is None or found.mac != frame.eth_dst:
        return drop(Reason.DESTINATION)
    if found.location.dpid != frame.dpid:
        if not inventory.linked(frame.dpid, found.location.dpid):
            return drop(Reason.DESTINATION)
        if (frame.protocol, frame.sport, frame.dport) == (UDP, *_DHCP_PORTS[frame.eth_type]):
            return drop(Reason.DHCP)  # DHCP is served on the switch of the declared server alone
    if found.name == sender.name:
        return drop(Reason.ITSELF)
    return Admitted(sender, found, sender.network)


def _to_group(network: Network, inventory: Inventory, frame: Frame, sender: Endpoint) -> Audience | Verdict:
    """UDP to a group that the network lists, with the group's MAC, goes to its members that can be reached."""
    address = frame.dst
    group = next((g for g in network.multicast if g.address == address), None)
    serves_dhcp = (frame.sport, frame.dport) == _DHCP_PORTS[frame.eth_type]
    if group is None or address is None or frame.eth_dst != group_mac(address) or frame.protocol != UDP or serves_dhcp:
        return drop(Reason.MULTICAST)
    first = hearers(network, inventory, group)
    near = [m for m in first if _is_near(inventory, frame, m[0])]
    members = tuple(m for m in near if m[0].name != sender.name)
    if members:
        return Audience(sender, network.name, members)
    return drop(Reason.ITSELF if near else Reason.MULTICAST)


def hearers(network: Network, inventory: Inventory, group: MulticastGroup) -> list[tuple[Endpoint, IPAddress]]:
    """Return the members of a multicast group, each with the address that it is judged by."""
    everyone = (e for e in inventory.endpoints.values() if e.network == network.name)
    selected = (e for e in everyone if selects(group.members, e.labels))
    heard = ((e, [a for a in e.addresses if a.version == group.address.version]) for e in selected)
    return sorted(((e, own[0]) for e, own in heard if own), key=lambda member: member[0].name)[:MAX_MEMBERS]


def _is_near(inventory: Inventory, frame: Frame, endpoint: Endpoint) -> bool:
    there = endpoint.location.dpid
    return there == frame.dpid or inventory.linked(frame.dpid, there)


def group_mac(address: IPAddress) -> str:
    """Return the MAC of a multicast group: RFC 1112, 6.4: the low 23 bits; RFC 2464, 7: the low 32."""
    octets = address.packed
    head = (0x01, 0x00, 0x5E, octets[1] & 0x7F) if address.version == 4 else (0x33, 0x33, octets[12], octets[13])  # noqa: PLR2004 - IP version
    return bytes((*head, *octets[-2:])).hex(":")


# -- routers and the world ------------------------------------------------------------------------


def _by_router(
    intents: Intents, inventory: Inventory, frame: Frame, sender: Endpoint, router: Router
) -> Admitted | Verdict:
    """What is sent to the router goes to the endpoint of its domain with that address, or else to the world."""
    if frame.dst is None or frame.ttl <= 1:
        return drop(Reason.TTL)
    if (frame.protocol, frame.sport, frame.dport) == (UDP, *_DHCP_PORTS[frame.eth_type]):
        return drop(Reason.DHCP)  # a declared server serves its own network
    found = holder(intents, inventory, sender.network, frame.dst)
    if found is not None:
        if found.name == sender.name:
            return drop(Reason.ITSELF)
        return _pass_on(inventory, frame, (sender, found), router)
    uplinks = uplinks_of(intents, inventory, sender.network, frame.dpid)
    reason = _beyond(intents, frame, sender, uplinks[0].translation) if uplinks else Reason.DESTINATION
    return drop(reason) if reason else _pass_on(inventory, frame, (sender, uplinks[0]), router)


def _beyond(intents: Intents, frame: Frame, sender: Endpoint, translation: Translation) -> Reason | None:
    """Return why a packet does not go to the world, where there is a way."""
    if covers(translation, frame.dst) and not is_known_kind(frame):
        return Reason.UNTRANSLATED
    if frame.dst is None or frame.dst in translation.addresses or not passes_routers(frame.dst):
        return Reason.DESTINATION
    return Reason.DESTINATION if is_inside(intents, sender.network, frame.dst) else None


def _pass_on(inventory: Inventory, frame: Frame, ends: tuple[Party, Party], router: Router) -> Admitted | Verdict:
    """Pass a packet on, if the next hop is at this switch or a tunnel leads there."""
    source, destination = ends
    there = destination.location.dpid
    if there != frame.dpid and not inventory.tunnelled(frame.dpid, there):
        return drop(Reason.DESTINATION)
    return Admitted(source, destination, router.networks[0], hop(frame, destination, router.mac))


def hop(frame: Frame, destination: Party, mac: str) -> Hop:
    """Return what the router with a MAC makes of the head of a frame."""
    next_mac = destination.next_hop if isinstance(destination, UplinkPort) else destination.mac
    return Hop(mac, next_mac, frame.ttl - 1)


def _from_world(
    intents: Intents, inventory: Inventory, arrived: tuple[Frame, Frame | None], uplink: UplinkPort
) -> Admitted | Verdict:
    """From an uplink only what is sent to a router goes on, from an address that is not its domain's."""
    frame, _ = arrived
    routers, translation = routers_behind(intents, uplink), uplink.translation
    if frame.eth_type == ETH_ARP or (is_solicitation(frame) and routers):
        asked = None if frame.src == _ANY_V6 else _asked(frame)
        inside = any(is_inside(intents, r.networks[0], asked) for r in routers) if asked is not None else False
        known = asked in translation.addresses if covers(translation, asked) else inside
        answered = Verdict(Fate(Outcome.ANSWER, uplink.location), Reason.ANSWERED)
        return answered if known else drop(Reason.ARP if frame.eth_type == ETH_ARP else Reason.NEIGHBOUR)
    router = next((r for r in routers if r.mac == frame.eth_dst), None)
    if router is None or frame.src is None or frame.dst is None:
        return drop(Reason.SOURCE)
    network = router.networks[0]
    ours = is_inside(intents, network, frame.src) or frame.src in translation.addresses
    reason = Reason.SPOOFED if ours or not passes_routers(frame.src) else None
    reason = reason or _forbidden(frame)
    if reason:
        return drop(reason)
    return _from_client(intents, inventory, arrived, (uplink, router))


def _from_client(
    intents: Intents, inventory: Inventory, arrived: tuple[Frame, Frame | None], by: tuple[UplinkPort, Router]
) -> Admitted | Verdict:
    """From the world to an endpoint, perhaps by another address."""
    (frame, kept), (uplink, router) = arrived, by
    translates = covers(uplink.translation, frame.dst)
    seen = inbound(uplink.translation, frame, kept) if translates else frame
    if seen is None or seen.dst is None:
        return drop(Reason.UNTRANSLATED)
    if seen.ttl <= 1:
        return drop(Reason.TTL)
    found = holder(intents, inventory, router.networks[0], seen.dst)
    if found is None or (uplink.translation.addresses and found.location.dpid != frame.dpid):
        return drop(Reason.DESTINATION)
    admitted = _pass_on(inventory, seen, (uplink, found), router)
    return admitted._replace(translated=seen) if translates and isinstance(admitted, Admitted) else admitted


# -- words about frames ---------------------------------------------------------------------------


def drop(reason: Reason) -> Verdict:
    """Return the verdict of a guard."""
    return Verdict(Fate(Outcome.DROP), reason)


def _network(intents: Intents, sender: Endpoint | UnaddressedPort) -> Network:
    if sender.network not in intents.networks:
        raise UnknownName(f"endpoints/{sender.name}.network", sender.network, "declare the network")
    return intents.networks[sender.network]
