"""Frames and connections: the words in which `evaluate` and the interpreter speak of traffic."""

from __future__ import annotations

import dataclasses
import enum
from ipaddress import IPv4Address

from topology.model import IPAddress, Location

ETH_IPV4 = 0x0800
ETH_ARP = 0x0806
ETH_IPV6 = 0x86DD
TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it enters a switch; every field a header holds, None where it has no such header."""

    dpid: int
    in_port: int
    eth_src: str
    eth_dst: str
    eth_type: int
    vlan: int | None = None
    """VLAN id if tagged (0 for a priority tag)."""
    src: IPAddress | None = None
    dst: IPAddress | None = None
    protocol: int | None = None
    sport: int | None = None
    dport: int | None = None
    """TCP, UDP and SCTP ports."""
    icmp_type: int | None = None
    icmp_code: int | None = None
    arp_op: int | None = None
    arp_spa: IPv4Address | None = None
    arp_tpa: IPv4Address | None = None
    arp_sha: str | None = None
    nd_target: IPAddress | None = None
    nd_sll: str | None = None
    ttl: int = 64
    """TTL or hop limit, of IP."""


@dataclasses.dataclass(frozen=True, slots=True)
class Opening:
    """The packet that opens a connection, without its Ethernet part.

    For ICMP, `icmp_type`/`icmp_code` are the request's. Ports are None for portless protocols.
    """

    network: str
    src: IPAddress
    dst: IPAddress
    protocol: int
    sport: int | None = None
    dport: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


class ConnectionRole(enum.Enum):
    """What conntrack says a packet is."""

    NEW = "new"
    """Opens a connection that conntrack does not know."""
    ORIGINAL = "original"
    """Belongs to a known connection and comes from the side that opened it."""
    REPLY = "reply"
    """Belongs to a known connection and comes from the other side."""
    RELATED = "related"
    """An ICMP error that quotes a known connection."""
    INVALID = "invalid"


@dataclasses.dataclass(frozen=True, slots=True)
class Connection:
    """A connection conntrack knows: how it was opened, and by which attachments.

    An attachment is `Endpoint.attachment`, or None where that side was no endpoint (world).
    """

    opening: Opening
    client_attachment: str | None
    server_attachment: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Tracked:
    """What conntrack says of a frame; `connection` is None for NEW and INVALID."""

    role: ConnectionRole
    connection: Connection | None = None


class Outcome(enum.Enum):
    """What becomes of a frame."""

    DELIVER = "deliver"
    """Leaves at the port of exactly one endpoint."""
    ANSWER = "answer"
    """The switch itself answers it (ARP, neighbour solicitation) to the port it came from."""
    COPY = "copy"
    """Leaves at the port of each of some endpoints, on any switch."""
    DROP = "drop"


@dataclasses.dataclass(frozen=True, slots=True)
class Hop:
    """What a router makes of the head of a packet."""

    eth_src: str
    eth_dst: str
    ttl: int


@dataclasses.dataclass(frozen=True, slots=True)
class Ends:
    """Addresses and ports of a packet."""

    src: IPAddress | None
    dst: IPAddress | None
    sport: int | None = None
    dport: int | None = None


def ends_of(frame: Frame) -> Ends:
    """Return the addresses and ports of a frame."""
    return Ends(frame.src, frame.dst, frame.sport, frame.dport)


@dataclasses.dataclass(frozen=True, slots=True)
class Fate:
    """The observable result of one frame: what and where."""

    outcome: Outcome
    location: Location | None = None
    hop: Hop | None = None
    """How it leaves if a router passed it on; None: as it came."""
    copies: frozenset[Location] = frozenset()
    """Where it leaves if there are copies of it."""
    ends: Ends | None = None
    """With what addresses it leaves if they were translated; None: as it came."""
