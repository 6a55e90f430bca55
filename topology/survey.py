"""What exists right now, put together from what OVSDB says, who is plugged in, and which switches answer."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from topology.breathing import Breathe, go_on, paced
from topology.fabric import link_port
from topology.map import (
    BridgeNode,
    EndpointNode,
    HostNode,
    LinkNode,
    Map,
    NetworkNode,
    PortNode,
    Role,
    State,
    TunnelNode,
)
from topology.model import Inventory
from topology.paths import LinkEnd
from topology.site import Host, Site, SiteBridge, SiteInterface

TUNNEL_TYPES = frozenset({"geneve", "vxlan", "gre", "ip6gre", "gtpu", "lisp", "stt", "erspan", "ip6erspan", "bareudp"})
"""Interface types that lead to another host (ovs-vswitchd.conf.db(5), Interface type)."""
OFPP_LOCAL = 65534
"""OpenFlow number of a bridge's own port."""


@dataclasses.dataclass(frozen=True, slots=True)
class Present:
    """What is known besides OVSDB and the inventory."""

    connected: frozenset[int] = frozenset()
    """Datapath ids of the switches that are connected."""
    links: Mapping[tuple[LinkEnd, LinkEnd], bool] = dataclasses.field(default_factory=dict)
    """Links, the lower end first: whether each is up."""
    networks: Collection[str] = ()
    """Names of the networks that documents make."""


def survey(site: Site, inventory: Inventory, present: Present, breathe: Breathe = go_on) -> Map:
    """Return the topology, undated (`topology.map.dated`).

    Ports are those of our own bridges; bridges of others are named and not looked into. `breathe` is called now and
    then, so that others may run meanwhile.
    """
    bridges = site.bridges()
    interfaces = [i for i in site.interfaces() if i.ours]
    host_of = {b.dpid: b.host for b in bridges if b.ours and b.dpid is not None}
    breathe()
    endpoints = dict(paced(_endpoints(inventory, host_of), breathe))
    roles = _Roles(inventory, present)
    return Map(
        hosts={name: _host(host) for name, host in sorted(site.hosts.items())},
        bridges={(b.host, b.name): _bridge(b, present) for b in bridges},
        ports={(i.host, i.bridge, i.name): _port(i, roles.of(i)) for i in paced(interfaces, breathe)},
        links={ends: LinkNode(*ends, State.UP if up else State.DOWN) for ends, up in sorted(present.links.items())},
        tunnels={(i.host, i.bridge, i.name): _tunnel(i, inventory) for i in interfaces if i.type in TUNNEL_TYPES},
        networks=_networks(present.networks, endpoints),
        endpoints=endpoints,
    )


def _host(host: Host) -> HostNode:
    state = State.WAITING if not host.synced else State.DOWN if host.stale else State.UP
    return HostNode(host.name, state, host.root.ovs_version if host.root else "")


def _bridge(bridge: SiteBridge, present: Present) -> BridgeNode:
    if not bridge.ours:
        state = State.FOREIGN
    elif bridge.dpid is None:
        state = State.WAITING
    else:
        state = State.UP if bridge.dpid in present.connected else State.DOWN
    return BridgeNode(bridge.host, bridge.name, bridge.dpid, state, bridge.datapath_type)


class _Roles:
    """What each port is for."""

    def __init__(self, inventory: Inventory, present: Present) -> None:
        self._endpoints = {e.location.uid for e in inventory.endpoints.values()}
        self._endpoints |= {p.location.uid for p in inventory.unaddressed}
        self._links = {end for ends in present.links for end in ends}

    def of(self, interface: SiteInterface) -> Role:
        if interface.type in TUNNEL_TYPES:
            return Role.TUNNEL
        if interface.uid in self._endpoints:
            return Role.ENDPOINT
        if interface.ofport == OFPP_LOCAL:
            return Role.LOCAL
        if link_port(interface) or LinkEnd(interface.dpid or 0, interface.ofport or 0) in self._links:
            return Role.LINK
        return Role.UNKNOWN


def _port_state(interface: SiteInterface) -> State:
    if interface.error or interface.ofport == -1:
        return State.FAULTY
    return State.WAITING if interface.ofport is None else State.UP


def _port(interface: SiteInterface, role: Role) -> PortNode:
    return PortNode(
        interface.host,
        interface.bridge,
        interface.dpid,
        interface.name,
        interface.uid,
        interface.type,
        interface.ofport,
        role,
        _port_state(interface),
        interface.error or "",
    )


def _tunnel(interface: SiteInterface, inventory: Inventory) -> TunnelNode:
    own = inventory.tunnels.get(interface.dpid or 0)
    remote = "flow" if own is not None and own.ofport == interface.ofport else ""
    return TunnelNode(interface.host, interface.bridge, interface.name, interface.type, remote, _port_state(interface))


def _endpoints(inventory: Inventory, host_of: Mapping[int, str]) -> Iterator[tuple[str, EndpointNode]]:
    for port in inventory.unaddressed:
        place = port.location
        yield (
            port.name,
            EndpointNode(
                name=port.name,
                network=port.network,
                labels={},
                mac=port.mac,
                addresses=(),
                host=host_of.get(place.dpid, ""),
                dpid=place.dpid,
                ofport=place.ofport,
                interface=place.interface,
                uid=place.uid,
                state=State.WAITING,
            ),
        )
    for endpoint in inventory.endpoints.values():
        place = endpoint.location
        yield (
            endpoint.name,
            EndpointNode(
                name=endpoint.name,
                network=endpoint.network,
                labels=endpoint.labels,
                mac=endpoint.mac,
                addresses=tuple(str(a) for a in endpoint.addresses),
                host=host_of.get(place.dpid, ""),
                dpid=place.dpid,
                ofport=place.ofport,
                interface=place.interface,
                uid=place.uid,
                state=State.UP,
            ),
        )


def _networks(names: Collection[str], endpoints: Mapping[str, EndpointNode]) -> dict[str, NetworkNode]:
    counts: dict[str, int] = dict.fromkeys(names, 0)
    hosts: dict[str, set[str]] = defaultdict(set)
    for endpoint in endpoints.values():
        counts[endpoint.network] = counts.get(endpoint.network, 0) + 1
        hosts[endpoint.network].add(endpoint.host)
    return {
        name: NetworkNode(name, count, tuple(sorted(hosts[name])), State.UP if count else State.IDLE)
        for name, count in sorted(counts.items())
    }
