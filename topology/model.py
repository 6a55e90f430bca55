"""The things that exist, as immutable values.

An `Endpoint` is one attachment to a network (DESIGN: "Things"). Its `Location` says where it is
plugged in right now; its `attachment` names that plugging-in, so that whoever takes the same name
or address later is somebody else (no connection survives a change of attachment).
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from topology.fabric import NO_FABRIC, Fabric

IPAddress: TypeAlias = IPv4Address | IPv6Address

NETWORK_LABEL = "ringfence/network"
"""Implicit label of every endpoint: the name of its network."""
NAME_LABEL = "ringfence/name"
"""Implicit label of every endpoint: its own name."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Location:
    """A port of a switch, and the OVSDB row that stands for it."""

    dpid: int
    """Datapath id, 64 bits."""
    ofport: int
    """OpenFlow port number of the interface, 1..65279."""
    interface: str
    """Interface name on the host."""
    uid: str
    """UUID of the OVSDB Interface row: another row is another attachment."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class NamedPort:
    """A port number that an endpoint gives a name to; the same name may stand for one per protocol."""

    name: str
    protocol: int
    """IP protocol number: 6 TCP, 17 UDP, 132 SCTP."""
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """One attachment to a network. `labels` holds the implicit labels too."""

    name: str
    network: str
    labels: Mapping[str, str]
    mac: str
    """Lower case, colon separated."""
    addresses: tuple[IPAddress, ...]
    """Sorted: IPv4 first. Only those this endpoint holds; a lost conflict removes the endpoint from the inventory."""
    ports: tuple[NamedPort, ...]
    location: Location

    @property
    def attachment(self) -> str:
        """Identity of this plugging-in; changes when the row or the name changes, not with labels."""
        return f"{self.location.uid}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class UnaddressedPort:
    """A port whose endpoint has a MAC but no address yet, in a network that learns them."""

    name: str
    network: str
    mac: str
    location: Location


@dataclasses.dataclass(frozen=True, slots=True)
class Forward:
    """A part of an address beyond an uplink that stands for an endpoint."""

    address: IPAddress
    protocol: int
    """TCP or UDP."""
    first: int
    last: int
    """Ports, both included."""
    to: IPAddress
    """Of the endpoint."""
    port: int | None = None
    """The endpoint's, if it is another; of one port only."""

    def holds(self, address: IPAddress | None, protocol: int | None, port: int | None) -> bool:
        """Whether it is about packets to an address and port."""
        same = (address, protocol) == (self.address, self.protocol)
        return same and port is not None and self.first <= port <= self.last


@dataclasses.dataclass(frozen=True, slots=True)
class Translation:
    """How addresses of endpoints appear beyond an uplink: of the IP versions it is about, never as themselves."""

    sources: tuple[IPAddress, ...] = ()
    """What endpoints speak as when they open connections: at most one address of each IP version."""
    forwards: tuple[Forward, ...] = ()
    """No two hold one port."""
    idle: tuple[IPAddress, ...] = ()
    """Further addresses that it holds, for forwards to endpoints that are not there."""

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """All addresses that it gives to the switch, IPv4 first, each once."""
        found = {*self.sources, *self.idle, *(forward.address for forward in self.forwards)}
        return tuple(sorted(found, key=lambda a: (a.version, int(a))))

    def covers(self, version: int) -> bool:
        """Whether packets of an IP version pass translated, and only so."""
        return any(address.version == version for address in self.addresses)

    def source(self, version: int) -> IPAddress | None:
        """Return what endpoints speak as, None if they open nothing to the world."""
        return next((address for address in self.sources if address.version == version), None)


NO_TRANSLATION = Translation()


@dataclasses.dataclass(frozen=True, slots=True)
class UplinkPort:
    """The port that is a way to the world, on one switch."""

    name: str
    """Of the uplink."""
    location: Location
    next_hop: str
    """MAC that packets to the world go to: lower case, colon separated."""
    translation: Translation = NO_TRANSLATION
    """Where it is about an IP version, one router at most has this uplink."""

    @property
    def attachment(self) -> str:
        """Identity of this plugging-in; no endpoint's name has a slash."""
        return f"{self.location.uid}/uplink/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class MirrorPort:
    """The port that gets the copies of a mirror, on one switch. What comes from it is nobody's."""

    name: str
    """Of the mirror."""
    location: Location


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Report:
    """Something an operator should know: a conflict, a lost label, a refused row."""

    subject: str
    """What it is about: `endpoint web-1`, `interface br-ring/v1`."""
    problem: str
    remedy: str


class TunnelKind(enum.StrEnum):
    """How packets travel between hosts."""

    GENEVE = "geneve"
    VXLAN = "vxlan"
    GRE = "gre"


TUNNEL_OVERHEAD = {
    TunnelKind.GENEVE: 20 + 8 + 8 + 4 + 8 + 14,
    TunnelKind.VXLAN: 20 + 8 + 8 + 14,
    TunnelKind.GRE: 20 + 4 + 4 + 14,
}
"""Bytes before an inner IP packet: outer IPv4, UDP, the tunnel's header (Geneve's with our option), inner Ethernet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tunnel:
    """A switch's end of all its tunnels: one port, whose flows say where each packet goes."""

    kind: TunnelKind
    address: IPv4Address
    """Of the host in the underlay."""
    port: int
    """UDP port; 0 for GRE, which has none."""
    ofport: int
    """OpenFlow port number of the interface."""
    interface: str
    mtu: int | None = None
    """Largest IP packet that an endpoint may send through it."""

    def reaches(self, other: Tunnel) -> bool:
        """Whether the two ends speak the same."""
        return (self.kind, self.port) == (other.kind, other.port) and self.address != other.address


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """Every endpoint that is plugged in, identified and undisputed; all others are default-deny.

    Invariant: no two endpoints of one network share an address or a MAC, or one port; of one routing domain
    none share an address, and none has a gateway's address or the router's MAC. No uplink and no mirror shares a port.
    """

    endpoints: Mapping[str, Endpoint] = dataclasses.field(default_factory=dict)
    unaddressed: tuple[UnaddressedPort, ...] = ()
    reports: tuple[Report, ...] = ()
    uplinks: tuple[UplinkPort, ...] = ()
    """Sorted by switch and name, at most one of a name on a switch."""
    tunnels: Mapping[int, Tunnel] = dataclasses.field(default_factory=dict)
    """By datapath id; the addresses are all different."""
    away: frozenset[int] = frozenset()
    """Switches with an uplink whose hosts are not connected: others take another uplink, if there is one."""
    fabric: Fabric = NO_FABRIC
    """How switches are wired to each other; where a wire leads, no tunnel is used."""

    mirrors: tuple[MirrorPort, ...] = ()
    """Sorted by switch and name, at most one of a name on a switch."""

    def linked(self, one: int, other: int) -> bool:
        """Whether a wire or a tunnel leads from one switch to another."""
        return self.fabric.joins(one, other) or linked(self.tunnels, one, other)

    def tunnelled(self, one: int, other: int) -> bool:
        """Whether packets from one switch to another travel through a tunnel: no wire leads there."""
        return not self.fabric.joins(one, other) and linked(self.tunnels, one, other)

    def on_switch(self, dpid: int) -> list[Endpoint]:
        """Return the endpoints plugged into one switch, sorted by name."""
        local = (e for e in self.endpoints.values() if e.location.dpid == dpid)
        return sorted(local, key=lambda e: e.name)


def linked(tunnels: Mapping[int, Tunnel], one: int, other: int) -> bool:
    """Whether a tunnel leads from one switch to another."""
    here, there = tunnels.get(one), tunnels.get(other)
    return one != other and here is not None and there is not None and here.reaches(there)
