"""The intent language as immutable values: what `schema` reads, `semantics` means, `compiler` lowers.

DESIGN section 4 is normative. `from`/`to`/`services` of None mean "every"; an empty tuple never
occurs (the schema refuses it).
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from topology.model import IPAddress, NamedPort

IPNetwork: TypeAlias = IPv4Network | IPv6Network

MAX_TIERS = 16
MAX_ORDER = 2**31 - 1
MAX_ORDERS = 8000
"""Different orders of a tier that a switch tells apart."""


class Action(enum.StrEnum):
    """Inside one band: deny beats reject beats allow beats pass."""

    DENY = "deny"
    REJECT = "reject"
    ALLOW = "allow"
    PASS = "pass"


class Mode(enum.StrEnum):
    """Whether a policy decides, is only counted, or sleeps."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    OFF = "off"


class Direction(enum.StrEnum):
    """Always seen from the endpoint that is judged: egress leaves it, ingress enters it."""

    EGRESS = "egress"
    INGRESS = "ingress"


class Posture(enum.StrEnum):
    """What a network says when no rule decides."""

    DENY = "deny"
    ALLOW = "allow"


class Operator(enum.StrEnum):
    """Kubernetes label selector operators (LabelSelectorRequirement)."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclasses.dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. A missing key satisfies NotIn and DoesNotExist."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must hold; none at all selects every endpoint."""

    requirements: tuple[Requirement, ...] = ()


# -- peers: any address that at least one of a rule's peers describes ------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class SelectorPeer:
    """The endpoints a selector selects, in every network."""

    selector: Selector


@dataclasses.dataclass(frozen=True, slots=True)
class GroupPeer:
    """Whom a group describes."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class CidrPeer:
    """Every address inside `cidr` and outside each of `exceptions`, an endpoint's or not."""

    cidr: IPNetwork
    exceptions: tuple[IPNetwork, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class WorldPeer:
    """Exactly the addresses that belong to no endpoint."""


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointPeer:
    """One endpoint, by name."""

    name: str


Peer: TypeAlias = SelectorPeer | GroupPeer | CidrPeer | WorldPeer | EndpointPeer


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """A named union of peers; groups may be built from groups, without cycles."""

    name: str
    members: tuple[Peer, ...]


# -- services ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class PortRange:
    """Inclusive."""

    first: int
    last: int


@dataclasses.dataclass(frozen=True, slots=True)
class PortName:
    """Resolved at the destination: each endpoint says what number it means."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceMatch:
    """One kind of opening packet. `protocol` None is every protocol.

    `port` only with TCP, UDP, SCTP; `icmp_type`/`icmp_code` only with ICMP (1) and ICMPv6 (58).
    """

    protocol: int | None = None
    port: PortRange | PortName | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceName:
    """What a service stands for."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """A named union of matches."""

    name: str
    matches: tuple[ServiceMatch | ServiceName, ...]


# -- policies ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One statement. `direction` None: "from A to B", judged on both sides.

    With a direction (only in a policy with a subject) the subject is the judged endpoint:
    an egress rule uses `to` (and `from_` is None), an ingress rule uses `from_`.
    """

    name: str
    """Unique in its policy and stable while the rule's meaning is."""
    action: Action
    from_: tuple[Peer, ...] | None = None
    to: tuple[Peer, ...] | None = None
    services: tuple[ServiceMatch | ServiceName, ...] | None = None
    direction: Direction | None = None
    queue: str | None = None
    """Only of an allow: name of the queue by which what it allows leaves to its receiver."""
    mirror: str | None = None
    """Only of an allow: name of the mirror that gets a copy of what it allows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """Weekly, half-open: [start, end) in minutes of local time; days are 0 (Monday) to 6."""

    days: frozenset[int]
    start_minute: int
    end_minute: int


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """When a policy holds: inside any of the windows, in local time of an IANA zone."""

    zone: str
    windows: tuple[Window, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """A list of rules with their place in the order, and who wants them until when."""

    name: str
    tier: str
    order: int
    rules: tuple[Rule, ...]
    mode: Mode = Mode.ENFORCE
    subject: Selector | None = None
    directions: frozenset[Direction] = frozenset()
    """Only with a subject: the directions in which it isolates (in an isolating tier)."""
    owner: str = ""
    description: str = ""
    expires: datetime | None = None
    schedule: Schedule | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Tier:
    """A step of the order; an isolating one denies its policies' subjects at its end."""

    name: str
    isolating: bool = False


DEFAULT_TIERS = tuple(Tier(n) for n in ("emergency", "security", "platform", "application", "baseline"))


MAX_MEMBERS = 256
"""Endpoints that hear one multicast group: the first by name."""


@dataclasses.dataclass(frozen=True, slots=True)
class MulticastGroup:
    """An address of a network that stands for many: UDP to it is copied to each member whom its sender may reach."""

    address: IPAddress
    members: Selector
    """Of the network's endpoints, the first `MAX_MEMBERS` by name; each needs an address of the group's IP version."""


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """What endpoints attach to; packets leave it only where a router joins it to others."""

    name: str
    posture: Posture = Posture.DENY
    subnets: tuple[IPNetwork, ...] = ()
    """If any: an endpoint's address must lie in one of them."""
    dhcp_server: str | None = None
    """Name of the endpoint that may answer DHCP."""
    learn: frozenset[str] = frozenset()
    """Subset of {"arp", "nd", "dhcp"}: where undeclared addresses may be learned from."""
    learn_limit: int = 4
    """Learned addresses a port may hold."""
    gateways: tuple[IPAddress, ...] = ()
    """Addresses of the router in this network, at most one of each IP version; never an endpoint's."""
    multicast: tuple[MulticastGroup, ...] = ()
    """Each address once; what is sent to any other reaches nobody."""


@dataclasses.dataclass(frozen=True, slots=True)
class Router:
    """Makes its networks one routing domain, and may lead to the world."""

    name: str
    networks: tuple[str, ...]
    """Each is in at most one router."""
    mac: str
    """Of every gateway of its networks, on every switch."""
    uplink: str | None = None
    """Name of the uplink by which it reaches the world."""


def router_mac(name: str) -> str:
    """Return the MAC of a router that declares none: locally administered, and the same on every switch."""
    tail = hashlib.sha256(f"router/{name}".encode()).digest()[:4]
    return ":".join(f"{octet:02x}" for octet in (0x02, 0x52, *tail))


@dataclasses.dataclass(frozen=True, slots=True)
class PortForward:
    """What of an address beyond an uplink stands for which endpoint."""

    address: IPAddress
    protocol: int
    """TCP or UDP."""
    first: int
    last: int
    """Ports, both included."""
    to: str | IPAddress
    """The endpoint's name, or an address."""
    port: int | None = None
    """The endpoint's, if it is another; of one port only."""


@dataclasses.dataclass(frozen=True, slots=True)
class Uplink:
    """A port that is the way to the world, on each switch that has it."""

    name: str
    binding: Binding
    next_hop: str | None = None
    """MAC that packets to the world go to; None for the MAC of the port itself, if it is an internal one."""
    snat: tuple[IPAddress, ...] = ()
    """What endpoints speak as: at most one address of each IP version."""
    forwards: tuple[PortForward, ...] = ()
    """No two hold one port. With either, packets of that IP version pass translated, and only so."""

    @property
    def translates(self) -> bool:
        """Whether it gives packets other addresses."""
        return bool(self.snat or self.forwards)


@dataclasses.dataclass(frozen=True, slots=True)
class Queue:
    """A class of service that each port has for itself: bits a second of what leaves there to an endpoint."""

    name: str
    max_rate: int
    """What exceeds it is dropped."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mirror:
    """A port to which packets are copied, on each switch that has it."""

    name: str
    binding: Binding


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    """Where a declared endpoint, an uplink or a mirror is plugged in: `iface_id`, or bridge and interface name."""

    iface_id: str | None = None
    bridge: str | None = None
    interface: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointIntent:
    """An endpoint that the API declares. What it leaves out (None) comes from the OVSDB row."""

    name: str
    binding: Binding
    network: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mac: str | None = None
    addresses: tuple[IPAddress, ...] | None = None
    ports: tuple[NamedPort, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Intents:
    """Everything people asked for, by name; one revision of the store."""

    networks: Mapping[str, Network] = dataclasses.field(default_factory=dict)
    groups: Mapping[str, Group] = dataclasses.field(default_factory=dict)
    services: Mapping[str, Service] = dataclasses.field(default_factory=dict)
    policies: Mapping[str, Policy] = dataclasses.field(default_factory=dict)
    endpoints: Mapping[str, EndpointIntent] = dataclasses.field(default_factory=dict)
    tiers: tuple[Tier, ...] = DEFAULT_TIERS
    revision: int = 0
    routers: Mapping[str, Router] = dataclasses.field(default_factory=dict)
    uplinks: Mapping[str, Uplink] = dataclasses.field(default_factory=dict)
    queues: Mapping[str, Queue] = dataclasses.field(default_factory=dict)
    mirrors: Mapping[str, Mirror] = dataclasses.field(default_factory=dict)
