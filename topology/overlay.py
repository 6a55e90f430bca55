"""Which hosts have which end of a tunnel: what is wished, who needs one, what is there. Pure.

Packets travel between hosts through one port on each, whose flows name the far end. A host says its address in the
underlay in its Open_vSwitch row, unless the configuration does.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv4Address

from topology.model import TUNNEL_OVERHEAD, Report, Tunnel, TunnelKind
from topology.site import Host, Site, SiteBridge, SiteInterface

TUNNEL_IP_KEY = "ringfence-tunnel-ip"
"""Key in external_ids of the Open_vSwitch row: the host's address in the underlay."""
TUNNEL_MARK = "ringfence-tunnel"
"""Key in external_ids of an interface: what its tunnel end was made as."""
USUAL_PORT = {TunnelKind.GENEVE: 6081, TunnelKind.VXLAN: 4789, TunnelKind.GRE: 0}
MAX_OFPORT = 0xFEFF
MAX_SHOWN = 60


@dataclasses.dataclass(frozen=True, slots=True)
class TunnelPlan:
    """What the configuration says."""

    kind: TunnelKind = TunnelKind.GENEVE
    port: int | None = None
    """UDP port instead of the usual one."""
    addresses: Mapping[str, IPv4Address] = dataclasses.field(default_factory=dict)
    """By host; they win over what hosts say."""
    kinds: Mapping[str, TunnelKind] = dataclasses.field(default_factory=dict)
    """By host, where it is another."""
    underlay_mtu: int = 1500


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """A host's end of its tunnels, as it is to be."""

    kind: TunnelKind
    address: IPv4Address
    port: int
    mtu: int = dataclasses.field(default=0, compare=False)
    """Of endpoints: the underlay's less the header."""

    @property
    def interface(self) -> str:
        """Name of the port."""
        return f"ring-{self.kind}"

    @property
    def mark(self) -> str:
        """What stands in external_ids, so that one made otherwise is known."""
        return f"{self.kind}/{self.address}/{self.port}"

    def reaches(self, other: End) -> bool:
        """Whether two ends speak the same."""
        return (self.kind, self.port) == (other.kind, other.port) and self.address != other.address


@dataclasses.dataclass(frozen=True, slots=True)
class Ends:
    """All ends that hosts may have."""

    ends: Mapping[str, End] = dataclasses.field(default_factory=dict)
    """By host."""
    reports: tuple[Report, ...] = ()


def find_ends(site: Site, plan: TunnelPlan, before: Mapping[str, End]) -> Ends:
    """Return the end of each host that has an address which nobody disputes.

    Of two that claim one address the configured wins, then who had it `before`, else neither.
    """
    reports: list[Report] = []
    claims: dict[IPv4Address, list[str]] = defaultdict(list)
    for name, host in sorted(site.hosts.items()):
        address = plan.addresses.get(name) or _claimed(host, reports)
        if address is not None:
            claims[address].append(name)
    ends = {}
    for address, names in claims.items():
        winner = _winner(address, names, plan, before)
        if winner is not None:
            kind = plan.kinds.get(winner, plan.kind)
            port = plan.port if plan.port is not None and kind is plan.kind and USUAL_PORT[kind] else USUAL_PORT[kind]
            ends[winner] = End(kind, address, port, plan.underlay_mtu - TUNNEL_OVERHEAD[kind])
        reports += (_dispute(name, address) for name in names if name != winner)
    return Ends(dict(sorted(ends.items())), tuple(sorted(reports)))


def _claimed(host: Host, reports: list[Report]) -> IPv4Address | None:
    said = host.root.external_ids.get(TUNNEL_IP_KEY) if host.root else None
    if not said:
        return None
    try:
        address = IPv4Address(said)
    except AddressValueError:
        problem = f"its {TUNNEL_IP_KEY} {said[:MAX_SHOWN]!r} is no IPv4 address, so no tunnel leads to it"
        reports.append(Report(f"host {host.name}", problem, "correct external_ids of its Open_vSwitch row"))
        return None
    if address.is_multicast or address.is_unspecified or address.is_loopback or address.is_reserved:
        problem = f"its {TUNNEL_IP_KEY} {address} is no address of a host, so no tunnel leads to it"
        reports.append(Report(f"host {host.name}", problem, "correct external_ids of its Open_vSwitch row"))
        return None
    return address


def _winner(address: IPv4Address, names: list[str], plan: TunnelPlan, before: Mapping[str, End]) -> str | None:
    configured = [name for name in names if plan.addresses.get(name) == address]
    holders = [name for name in names if name in before and before[name].address == address]
    for choice in (configured, names if len(names) == 1 else holders):
        if choice:
            return choice[0] if len(choice) == 1 else None
    return None


def _dispute(name: str, address: IPv4Address) -> Report:
    problem = f"another host has its tunnel address {address} too, so no tunnel leads to it"
    return Report(f"host {name}", problem, f"give each host its own {TUNNEL_IP_KEY}, or set tunnel.local_ips")


def needed(
    spans: Mapping[str, frozenset[int]], bridges: Iterable[SiteBridge], ends: Mapping[str, End]
) -> dict[str, End]:
    """Return the ends of hosts that have something for each other: endpoints of a routing domain, or its uplink.

    `spans` are the switches of each network, as `topology.spans` says.
    """
    if len(ends) <= 1:
        return {}
    hosts = {bridge.dpid: bridge.host for bridge in bridges if bridge.host in ends}
    found: set[str] = set()
    for dpids in set(spans.values()):
        together = frozenset(hosts[dpid] for dpid in dpids if dpid in hosts)
        found.update(one for one in together if any(ends[one].reaches(ends[other]) for other in together))
    return {name: ends[name] for name in sorted(found)}


def realized(
    rows: Iterable[SiteInterface], bridges: Iterable[SiteBridge], wanted: Mapping[str, End]
) -> dict[int, Tunnel]:
    """Return the tunnel ends that are there as wanted, by datapath id; `rows` has every interface with the mark."""
    places = {(bridge.host, bridge.name): bridge for bridge in bridges}
    found: dict[int, Tunnel] = {}
    for row in rows:
        bridge, end = places.get((row.host, row.bridge)), wanted.get(row.host)
        if bridge is None or bridge.dpid is None or end is None or (row.name, row.type) != (end.interface, end.kind):
            continue
        if row.external_ids.get(TUNNEL_MARK) == end.mark and 1 <= (row.ofport or 0) <= MAX_OFPORT:
            found[bridge.dpid] = Tunnel(end.kind, end.address, end.port, row.ofport or 0, row.name, end.mtu)
    return dict(sorted(found.items()))
