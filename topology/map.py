"""The topology: everything that exists, each thing with its state and since when, as one immutable value.

A map is made in two steps. `topology.survey` says what there is now; `dated` gives each thing the instant
since which it has been in its state, from the map before. Equal surveys of a map are the same map.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias, TypeVar

from topology.breathing import Breathe, go_on, paced
from topology.paths import LinkEnd

UNDATED = datetime(1, 1, 1, tzinfo=UTC)
"""`since` of a thing in a survey, before it is dated."""


class State(enum.StrEnum):
    """How a thing is."""

    UP = "up"
    DOWN = "down"
    """It was there, and does not answer; what is shown of it is the last known."""
    WAITING = "waiting"
    """Asked for, and not there yet."""
    FAULTY = "faulty"
    FOREIGN = "foreign"
    """Somebody else's: seen, never changed."""
    IDLE = "idle"
    """Nothing uses it."""


class Role(enum.StrEnum):
    """What a port is for."""

    ENDPOINT = "endpoint"
    LINK = "link"
    """For a wire to another switch, whether there is one or not."""
    TUNNEL = "tunnel"
    LOCAL = "local"
    """The bridge's own."""
    UNKNOWN = "unknown"
    """Nobody said; it is denied both ways."""


@dataclasses.dataclass(frozen=True, slots=True)
class HostNode:
    """A host: one OVSDB server."""

    name: str
    """Its OVSDB target."""
    state: State
    version: str = ""
    """Of Open vSwitch; empty before it said so."""
    since: datetime = UNDATED


@dataclasses.dataclass(frozen=True, slots=True)
class BridgeNode:
    """A bridge of a host. It is up while its switch is connected."""

    host: str
    name: str
    dpid: int | None
    """None until the host made it."""
    state: State
    datapath_type: str = ""
    since: datetime = UNDATED


@dataclasses.dataclass(frozen=True, slots=True)
class PortNode:
    """A port of one of our bridges."""

    host: str
    bridge: str
    dpid: int | None
    name: str
    uid: str
    """UUID of its Interface row."""
    type: str
    ofport: int | None
    role: Role
    state: State
    error: str = ""
    """Why the switch does not use it."""
    since: datetime = UNDATED


@dataclasses.dataclass(frozen=True, slots=True)
class LinkNode:
    """A wire between two switches, proven in both directions; `a` is the lower end."""

    a: LinkEnd
    b: LinkEnd
    state: State
    since: datetime = UNDATED


@dataclasses.dataclass(frozen=True, slots=True)
class TunnelNode:
    """A tunnel, seen from the host that holds this end of it."""

    host: str
    bridge: str
    name: str
    """Of its interface."""
    type: str
    """`geneve`, `vxlan`, `gre`, …"""
    remote: str
    """Address of the other end; `flow` where flows choose it, empty where it is not known."""
    state: State
    since: datetime = UNDATED


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkNode:
    """A network, and where it is."""

    name: str
    endpoints: int
    """How many are plugged in."""
    hosts: tuple[str, ...]
    """Sorted: the hosts that have one."""
    state: State
    since: datetime = UNDATED


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointNode:
    """An endpoint that is plugged in."""

    name: str
    network: str
    labels: Mapping[str, str]
    mac: str
    addresses: tuple[str, ...]
    """Empty while none is known."""
    host: str
    """Empty where nobody knows it."""
    dpid: int
    ofport: int
    interface: str
    uid: str
    """UUID of its Interface row: another one is another attachment."""
    state: State
    since: datetime = UNDATED
    """Since when it has been at this port, in this state."""

    @property
    def place(self) -> tuple[int, int, str]:
        """Where it is plugged in."""
        return self.dpid, self.ofport, self.uid


Node: TypeAlias = HostNode | BridgeNode | PortNode | LinkNode | TunnelNode | NetworkNode | EndpointNode
N = TypeVar("N", HostNode, BridgeNode, PortNode, LinkNode, TunnelNode, NetworkNode, EndpointNode)


@dataclasses.dataclass(frozen=True, slots=True)
class Map:
    """All things by their keys, which sort as they are shown."""

    hosts: Mapping[str, HostNode] = dataclasses.field(default_factory=dict)
    bridges: Mapping[tuple[str, str], BridgeNode] = dataclasses.field(default_factory=dict)
    """By host and name."""
    ports: Mapping[tuple[str, str, str], PortNode] = dataclasses.field(default_factory=dict)
    """By host, bridge and name."""
    links: Mapping[tuple[LinkEnd, LinkEnd], LinkNode] = dataclasses.field(default_factory=dict)
    tunnels: Mapping[tuple[str, str, str], TunnelNode] = dataclasses.field(default_factory=dict)
    """By host, bridge and name."""
    networks: Mapping[str, NetworkNode] = dataclasses.field(default_factory=dict)
    endpoints: Mapping[str, EndpointNode] = dataclasses.field(default_factory=dict)


class Was(NamedTuple):
    """How a thing was when the controller ended."""

    state: State
    place: str
    """As `place_of` says it."""
    since: datetime


Past: TypeAlias = Mapping[str, Mapping[Any, Was]]
"""By part of a map (`hosts`, `bridges`, …) and key."""


def place_of(node: Node) -> str:
    """Return what must be the same for a thing to be the one that it was, its key aside."""
    if isinstance(node, EndpointNode):
        return f"{node.dpid}/{node.ofport}/{node.uid}"
    return node.uid if isinstance(node, PortNode) else ""


def dated(before: Map, seen: Map, now: datetime, past: Past | None = None, breathe: Breathe = go_on) -> Map:
    """Return what was seen, each thing with the instant since which it has been in its state.

    Args:
        before: the map of a moment ago.
        seen: a survey.
        now: when it was made.
        past: what is known from before the controller was started: what comes back as it was, has been so since then.
        breathe: called now and then, so that others may run meanwhile.

    Returns:
        `before` itself where nothing changed; things that did not change are those of `before`.
    """
    known = past or {}
    parts = {
        "hosts": _dated(before.hosts, paced(seen.hosts.items(), breathe), now, known.get("hosts", {})),
        "bridges": _dated(before.bridges, paced(seen.bridges.items(), breathe), now, known.get("bridges", {})),
        "ports": _dated(before.ports, paced(seen.ports.items(), breathe), now, known.get("ports", {})),
        "links": _dated(before.links, paced(seen.links.items(), breathe), now, known.get("links", {})),
        "tunnels": _dated(before.tunnels, paced(seen.tunnels.items(), breathe), now, known.get("tunnels", {})),
        "networks": _dated(before.networks, paced(seen.networks.items(), breathe), now, known.get("networks", {})),
        "endpoints": _dated(before.endpoints, paced(seen.endpoints.items(), breathe), now, known.get("endpoints", {})),
    }
    if all(part is getattr(before, name) for name, part in parts.items()):
        return before
    return Map(**parts)  # type: ignore[arg-type] # each of its own type


K = TypeVar("K")


def _dated(before: Mapping[K, N], seen: Iterable[tuple[K, N]], now: datetime, past: Mapping[K, Was]) -> Mapping[K, N]:
    found: dict[K, N] = {}
    same = True
    for key, node in seen:
        old = before.get(key)
        new = dataclasses.replace(node, since=_since(old, node, now, past.get(key)))
        found[key] = old if old is not None and old == new else new
        same = same and found[key] is old
    return before if same and len(before) == len(found) else found


def _since(old: N | None, node: N, now: datetime, was: Was | None) -> datetime:
    """Return since when a thing is as it is: from now on, unless it was so before."""
    moved = isinstance(old, EndpointNode) and isinstance(node, EndpointNode) and old.place != node.place
    if old is not None and old.state is node.state and not moved:
        return old.since
    if was is not None and (was.state, was.place) == (node.state, place_of(node)):
        return min(was.since, now)
    return now
