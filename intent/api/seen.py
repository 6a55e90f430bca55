"""What the API answers of the topology and of events."""

from __future__ import annotations

from typing import Literal

from intent.api.answers import Answer


class NodeAnswer(Answer):
    """Something that exists."""

    state: Literal["up", "down", "waiting", "faulty", "foreign", "idle"]
    """`down`: it does not answer, this is the last known. `foreign`: somebody else's. `idle`: nothing uses it."""
    since: str
    """RFC 3339: since when it has been in this state."""


class HostNodeAnswer(NodeAnswer):
    """A host: one OVSDB server."""

    name: str
    version: str


class BridgeNodeAnswer(NodeAnswer):
    """A bridge; `up` while its switch is connected."""

    host: str
    name: str
    dpid: str | None
    datapath_type: str


class PortNodeAnswer(NodeAnswer):
    """A port of one of our bridges."""

    host: str
    bridge: str
    name: str
    type: str
    ofport: int | None
    role: Literal["endpoint", "link", "tunnel", "local", "unknown"]
    error: str


class LinkEndAnswer(Answer):
    """A port of a switch."""

    dpid: str
    ofport: int


class LinkNodeAnswer(NodeAnswer):
    """A wire between two switches, proven in both directions."""

    a: LinkEndAnswer
    b: LinkEndAnswer


class TunnelNodeAnswer(NodeAnswer):
    """A tunnel, seen from one of its ends."""

    host: str
    bridge: str
    name: str
    type: str
    remote: str
    """`flow` where flows choose it; empty where it is not known."""


class NetworkNodeAnswer(NodeAnswer):
    """A network, and where it is."""

    name: str
    endpoints: int
    hosts: list[str]


class EndpointNodeAnswer(NodeAnswer):
    """An endpoint that is plugged in; `waiting` while no address of it is known."""

    name: str
    network: str
    labels: dict[str, str]
    mac: str
    addresses: list[str]
    host: str
    dpid: str
    ofport: int
    interface: str


class TopologyAnswer(Answer):
    """Everything that exists."""

    event: str
    """Id of the newest event that this includes: follow `/v1/events` after it."""
    hosts: list[HostNodeAnswer]
    bridges: list[BridgeNodeAnswer]
    ports: list[PortNodeAnswer]
    links: list[LinkNodeAnswer]
    tunnels: list[TunnelNodeAnswer]
    networks: list[NetworkNodeAnswer]
    endpoints: list[EndpointNodeAnswer]


class EventAnswer(Answer):
    """One thing that happened."""

    id: str
    at: str
    """RFC 3339."""
    kind: str
    """`host.connected`, `switch.disconnected`, `link.down`, `tunnel.up`, `endpoint.came`, `endpoint.moved`,
    `endpoint.changed`, `endpoint.left`, `revision.applied`, `revision.realized`, `report.raised`, `report.settled`.
    `reset`: events were missed, read the topology anew. `dropped`: you read too slowly; come again."""
    subject: str
    details: dict[str, str | int]
