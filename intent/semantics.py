"""What a switch does with one frame, and what policy says of one opening: the meaning of it all.

`judge` is the policy part (section 4 of the design), `evaluate` the whole fate of a frame: first the
guards in the order of the pipeline, then conntrack, then policy. Written from the design and sharing
no code with `intent.compiler`: the compiler is right when it agrees with this.
"""

from __future__ import annotations

import dataclasses
import enum
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from intent.meaning.policy import (
    NO_ZONES,
    Because,
    ByIsolation,
    ByPosture,
    ByRules,
    Decider,
    Judgement,
    Offsets,
    Ruling,
    UnknownName,
    candidate_set,
    holder,
    judge,
    selects,
)
from intent.model import Action, Intents, Network
from topology.model import Endpoint, Inventory, IPAddress, UnaddressedPort
from topology.packet import (
    ETH_ARP,
    ETH_IPV4,
    ETH_IPV6,
    ICMP,
    ICMPV6,
    SCTP,
    UDP,
    Connection,
    ConnectionRole,
    Fate,
    Frame,
    Opening,
    Outcome,
    Tracked,
)

__all__ = [
    "NO_ZONES",
    "OVS_USERSPACE",
    "Admitted",
    "Because",
    "ByIsolation",
    "ByPosture",
    "ByRules",
    "Capabilities",
    "Decider",
    "Judgement",
    "Offsets",
    "Reason",
    "Ruling",
    "UnknownName",
    "Verdict",
    "admit",
    "can_open",
    "candidate_set",
    "evaluate",
    "judge",
    "selects",
]

_ANY_V4, _BROADCAST_V4 = IPv4Address(0), IPv4Address(2**32 - 1)
_ANY_V6 = IPv6Address(0)
_BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
_ARP_REQUEST = 1
_ICMP_REDIRECT = 5
_SOLICITATION, _ADVERTISEMENT = 135, 136
_ROUTER_TYPES = frozenset({133, 134, 137})
"""Router solicitation, router advertisement, redirect (RFC 4861)."""
_ICMP_REQUESTS = {ICMP: frozenset({8, 13, 15}), ICMPV6: frozenset({128})}
"""Echo, timestamp, information; echo."""
_DHCP_PORTS = {ETH_IPV4: (67, 68), ETH_IPV6: (547, 546)}
"""Server and client port (RFC 2131, RFC 8415)."""
_FOREIGN_ICMP = frozenset({(ETH_IPV4, ICMPV6), (ETH_IPV6, ICMP)})
"""Each IP has an ICMP of its own; the other's opens no connection."""
_GROUP_BIT = 1
"""Of the first octet of an Ethernet address: multicast or broadcast."""


class Reason(enum.StrEnum):
    """Why a frame had its fate. The guards first, in the order of the pipeline."""

    TAGGED = "a VLAN tag on an access port"
    ETHERTYPE = "neither IPv4, IPv6 nor ARP"
    SOURCE = "no endpoint here has this port, MAC and source address"
    ARP = "ARP that is no request for the address of an endpoint of the network"
    NEIGHBOUR = "neighbour discovery that is no solicitation of the address of an endpoint of the network"
    ROUTER = "an endpoint is no router: solicitation, advertisement or redirect"
    DHCP = "DHCP reaches and comes from the declared server of the network only"
    MULTICAST = "multicast or broadcast"
    DESTINATION = "no endpoint of the network that can be reached has this MAC and destination address"
    ITSELF = "to its own sender"
    INVALID = "of no possible connection"
    PORTS_UNKNOWN = "an error about a connection whose ports conntrack does not keep"
    CHANGED_HANDS = "of a connection whose endpoints are no longer attached"
    POLICY = "judged"
    REJECTED = "judged, and the sender is told"
    ANSWERED = "a neighbour query, answered from the inventory"


class Capabilities(NamedTuple):
    """What a switch can do; probed."""

    portless: frozenset[int] = frozenset({SCTP})
    """Protocols whose ports its conntrack does not keep."""


OVS_USERSPACE = Capabilities()
"""Open vSwitch 3.1, userspace datapath."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The fate of a frame and why; `judgement` when policy was asked."""

    fate: Fate
    reason: Reason
    judgement: Judgement | None = None


class Admitted(NamedTuple):
    """A frame that passed the guards: conntrack and policy speak next."""

    source: Endpoint
    destination: Endpoint


def evaluate(  # noqa: PLR0913  everything a fate depends on; the tail is keyword-only
    intents: Intents,
    inventory: Inventory,
    frame: Frame,
    tracked: Tracked | None,
    *,
    now: datetime,
    capabilities: Capabilities = OVS_USERSPACE,
    offsets: Offsets = NO_ZONES,
) -> Verdict:
    """Say what the frame's switch does with it, and why.

    Args:
        intents: what people asked for; names in it must resolve.
        inventory: who is plugged in at that instant.
        frame: as it enters the switch.
        tracked: what conntrack in the network's zone says; None only for a frame that `admit` settles.
        now: as for `judge`.
        capabilities: of the switch.
        offsets: as for `judge`.

    Raises:
        UnknownName, ValueError: as `judge`; ValueError too if `tracked` or its connection is missing.
    """
    admitted = admit(intents, inventory, frame)
    if isinstance(admitted, Verdict):
        return admitted
    if tracked is None:
        raise ValueError("conntrack decides here: say what it makes of the frame")
    opening = _opening(inventory, frame, admitted, tracked, capabilities)
    if isinstance(opening, Reason):
        return _drop(opening)
    judgement = judge(intents, inventory, opening, now=now, offsets=offsets)
    if judgement.verdict is Action.ALLOW:
        return Verdict(Fate(Outcome.DELIVER, admitted.destination.location), Reason.POLICY, judgement)
    told = judgement.verdict is Action.REJECT and tracked.role is ConnectionRole.NEW
    return Verdict(Fate(Outcome.DROP), Reason.REJECTED if told else Reason.POLICY, judgement)


def can_open(protocol: int, icmp_type: int | None = None, icmp_code: int | None = None) -> bool:
    """Say whether a packet may open a connection; of ICMP only requests (code 0) do, the rest conntrack calls invalid.

    Source: `icmp4_valid_new`, `icmp6_valid_new` and `extract_l4_icmp` of OVS 3.1.
    """
    requests = _ICMP_REQUESTS.get(protocol)
    return requests is None or (icmp_type in requests and not icmp_code)


# -- guards: before and beside policy -------------------------------------------------------------


def admit(intents: Intents, inventory: Inventory, frame: Frame) -> Admitted | Verdict:
    """Return the two endpoints of a frame that policy has to judge, or its fate if a guard settles it.

    Raises:
        UnknownName: the network of the sender is not declared.
    """
    if frame.vlan is not None:
        return _drop(Reason.TAGGED)
    if frame.eth_type not in {ETH_IPV4, ETH_IPV6, ETH_ARP}:
        return _drop(Reason.ETHERTYPE)
    plugged = _plugged(inventory, frame)
    if plugged is not None and _is_dhcp_discovery(frame):
        return _to_dhcp_server(_network(intents, plugged), inventory, plugged)
    if not isinstance(plugged, Endpoint) or not _is_own(plugged, frame):
        return _drop(Reason.SOURCE)
    if frame.eth_type == ETH_ARP or _is_solicitation(frame):
        return _neighbour(inventory, frame, plugged)
    return _packet(_network(intents, plugged), inventory, frame, plugged)


def _packet(network: Network, inventory: Inventory, frame: Frame, sender: Endpoint) -> Admitted | Verdict:
    """An IP packet from an address of its sender: where it goes if policy lets it."""
    answered = _answered_by_dhcp(network, inventory, frame, sender)
    if answered is not None:
        return Verdict(Fate(Outcome.DELIVER, answered.location), Reason.DHCP)
    reason = _forbidden(frame, network, sender)
    return _drop(reason) if reason else _to_destination(inventory, frame, sender)


def _plugged(inventory: Inventory, frame: Frame) -> Endpoint | UnaddressedPort | None:
    """Return who is plugged in where the frame comes in and has its MAC."""
    everyone: tuple[Endpoint | UnaddressedPort, ...] = (*inventory.endpoints.values(), *inventory.unaddressed)
    here = (frame.dpid, frame.in_port, frame.eth_src)
    return next((e for e in everyone if (e.location.dpid, e.location.ofport, e.mac) == here), None)


def _is_own(sender: Endpoint, frame: Frame) -> bool:
    """Say whether every source address inside the frame is the sender's."""
    if frame.eth_type == ETH_ARP:
        return frame.arp_sha == sender.mac and frame.arp_spa in sender.addresses
    if _is_solicitation(frame):
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
        return _drop(Reason.DHCP)
    if server.name == client.name:
        return _drop(Reason.ITSELF)
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


def _neighbour(inventory: Inventory, frame: Frame, sender: Endpoint) -> Verdict:
    """Answer a query for any address that an endpoint of the network holds, on this switch or not."""
    is_arp = frame.eth_type == ETH_ARP
    asked = frame.arp_tpa if is_arp else frame.nd_target
    is_query = frame.arp_op == _ARP_REQUEST or not is_arp
    if is_query and asked is not None and holder(inventory, sender.network, asked) is not None:
        return Verdict(Fate(Outcome.ANSWER, sender.location), Reason.ANSWERED)
    return _drop(Reason.ARP if is_arp else Reason.NEIGHBOUR)


def _forbidden(frame: Frame, network: Network, sender: Endpoint) -> Reason | None:
    """Return why an IP packet is dropped whatever policy says."""
    if _is_icmpv6(frame, _SOLICITATION, _ADVERTISEMENT):
        return Reason.NEIGHBOUR
    if _is_icmpv6(frame, *_ROUTER_TYPES) or _is_icmp(frame, _ICMP_REDIRECT):
        return Reason.ROUTER
    ports = (frame.protocol, frame.sport, frame.dport)
    if ports == (UDP, *_DHCP_PORTS[frame.eth_type]) and sender.name != network.dhcp_server:
        return Reason.DHCP
    if _is_group_mac(frame.eth_dst) or _is_group(frame.dst):
        return Reason.MULTICAST
    return Reason.INVALID if (frame.eth_type, frame.protocol) in _FOREIGN_ICMP else None


def _to_destination(inventory: Inventory, frame: Frame, sender: Endpoint) -> Admitted | Verdict:
    """Unicast goes to the one endpoint of the network with that MAC and address, if it can be reached."""
    found = None if frame.dst is None else holder(inventory, sender.network, frame.dst)
    if found is None or found.mac != frame.eth_dst:
        return _drop(Reason.DESTINATION)
    if found.location.dpid != frame.dpid:
        if not inventory.linked(frame.dpid, found.location.dpid):
            return _drop(Reason.DESTINATION)
        if (frame.protocol, frame.sport, frame.dport) == (UDP, *_DHCP_PORTS[frame.eth_type]):
            return _drop(Reason.DHCP)  # DHCP is served on the switch of the declared server alone
    if found.name == sender.name:
        return _drop(Reason.ITSELF)
    return Admitted(sender, found)


# -- connections ----------------------------------------------------------------------------------


def _opening(
    inventory: Inventory, frame: Frame, admitted: Admitted, tracked: Tracked, capabilities: Capabilities
) -> Opening | Reason:
    """Return the opening whose judgement is the frame's, or why there is none.

    A packet of the side that opened is an opening in its own right, known or not: the connection
    then belongs to those who are attached now. Any other is judged as the opening it belongs to.
    """
    if tracked.role is ConnectionRole.INVALID:
        return Reason.INVALID
    if tracked.role in {ConnectionRole.NEW, ConnectionRole.ORIGINAL}:
        return _own_opening(frame, admitted.source.network)
    if tracked.connection is None:
        raise ValueError(f"a {tracked.role.value} packet belongs to a connection: say which")
    if not _still_attached(inventory, tracked.connection):
        return Reason.CHANGED_HANDS
    opening = tracked.connection.opening
    if opening.protocol not in capabilities.portless:
        return opening
    if tracked.role is ConnectionRole.RELATED:
        return Reason.PORTS_UNKNOWN
    # Conntrack knows only that it is a reply: the ports are the packet's own, swapped.
    return dataclasses.replace(opening, sport=frame.dport, dport=frame.sport)


def _own_opening(frame: Frame, network: str) -> Opening | Reason:
    # Guards have let through only frames with addresses; without a protocol there is no connection.
    if frame.src is None or frame.dst is None or frame.protocol is None:
        return Reason.INVALID
    if not can_open(frame.protocol, frame.icmp_type, frame.icmp_code):
        return Reason.INVALID
    return Opening(
        network=network,
        src=frame.src,
        dst=frame.dst,
        protocol=frame.protocol,
        sport=frame.sport,
        dport=frame.dport,
        icmp_type=frame.icmp_type,
        icmp_code=frame.icmp_code,
    )


def _still_attached(inventory: Inventory, connection: Connection) -> bool:
    """Say whether both addresses are held by the attachments that the connection belongs to."""
    opening = connection.opening
    here = [holder(inventory, opening.network, address) for address in (opening.src, opening.dst)]
    attached = [endpoint and endpoint.attachment for endpoint in here]
    return attached == [connection.client_attachment, connection.server_attachment]


# -- words about frames ---------------------------------------------------------------------------


def _drop(reason: Reason) -> Verdict:
    return Verdict(Fate(Outcome.DROP), reason)


def _network(intents: Intents, sender: Endpoint | UnaddressedPort) -> Network:
    if sender.network not in intents.networks:
        raise UnknownName(f"endpoints/{sender.name}.network", sender.network, "declare the network")
    return intents.networks[sender.network]


def _is_icmp(frame: Frame, *types: int) -> bool:
    return (frame.eth_type, frame.protocol) == (ETH_IPV4, ICMP) and frame.icmp_type in types


def _is_icmpv6(frame: Frame, *types: int) -> bool:
    return (frame.eth_type, frame.protocol) == (ETH_IPV6, ICMPV6) and frame.icmp_type in types


def _is_solicitation(frame: Frame) -> bool:
    """With a code other than 0 it is none (RFC 4861, 7.1.1)."""
    return _is_icmpv6(frame, _SOLICITATION) and not frame.icmp_code


def _is_group_mac(mac: str) -> bool:
    return bool(int(mac.partition(":")[0], 16) & _GROUP_BIT)


def _is_group(address: IPAddress | None) -> bool:
    return address is not None and (address.is_multicast or address == _BROADCAST_V4)
