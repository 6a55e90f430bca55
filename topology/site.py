"""What OVSDB says, reduced from events to one immutable value.

`reduce` is pure. The rows are kept as they came (keyed by UUID), and the joined view of bridges and
interfaces is computed from them when asked, so that the order in which rows arrive cannot matter.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from topology.events import (
    BridgeRow,
    ControllerRow,
    Event,
    HostForgotten,
    HostLost,
    HostResynced,
    InterfaceRow,
    PortRow,
    RefusedRow,
    RootRow,
    Row,
    RowsChanged,
)
from topology.frozen import FrozenMap

OWNER_KEY = "ringfence"
"""Key in `external_ids` that marks what a controller made; the value is its owner id."""
DPID_KEY = "datapath-id"
"""Key in `other_config` that fixes a bridge's datapath id."""
FIXED_DPID = re.compile("[0-9a-fA-F]{16}")


@dataclasses.dataclass(frozen=True, slots=True)
class SiteBridge:
    """A bridge with its controllers, joined from the rows of one host."""

    host: str
    uid: str
    name: str
    dpid: int | None
    ours: bool
    """Carries the owner id of this site."""
    datapath_type: str
    fail_mode: str | None
    protocols: frozenset[str]
    controllers: tuple[ControllerRow, ...]
    """Sorted by target, then UUID."""
    other_config: Mapping[str, str]
    external_ids: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class SiteInterface:
    """An interface and the bridge it belongs to."""

    host: str
    bridge: str
    dpid: int | None
    ours: bool
    """The bridge is ours."""
    uid: str
    name: str
    type: str
    ofport: int | None
    error: str | None
    external_ids: Mapping[str, str]
    mac: str | None = None
    """That it has now."""


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """One OVSDB server and the rows it told us."""

    name: str
    synced: bool = False
    """Has told us its complete state at least once."""
    stale: bool = True
    """Not connected: the rows are the last known."""
    rows: FrozenMap[str, Row] = dataclasses.field(default_factory=FrozenMap)
    """By row UUID."""
    bridges: Mapping[str, BridgeRow] = dataclasses.field(default_factory=dict, compare=False)
    """Those of the rows that are bridges, so that nobody has to look for them."""
    root: RootRow | None = dataclasses.field(default=None, compare=False)
    """The Open_vSwitch row, if the database has one; kept for the same reason."""


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """All hosts. Equal sites mean the same, however they came about."""

    owner: str
    """The owner id: bridges that carry it are ours."""
    hosts: Mapping[str, Host] = dataclasses.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Every host has told its state at least once, so that what is not here is gone."""
        return bool(self.hosts) and all(host.synced for host in self.hosts.values())

    def bridges(self) -> tuple[SiteBridge, ...]:
        """Return every bridge, sorted by host and name."""
        found = [_join_bridge(self.owner, host, row) for host in self.hosts.values() for row in host.bridges.values()]
        return tuple(sorted(found, key=lambda b: (b.host, b.name, b.uid)))

    def bridge(self, host: str, name: str) -> SiteBridge | None:
        """Return one bridge by name, None if the host has none of that name."""
        rows = self.hosts[host].bridges.values() if host in self.hosts else ()
        return next((_join_bridge(self.owner, self.hosts[host], row) for row in rows if row.name == name), None)

    def interfaces(self) -> tuple[SiteInterface, ...]:
        """Return every interface that belongs to exactly one port, sorted by host, bridge and name."""
        found = [interface for host in self.hosts.values() for interface in _join_interfaces(self.owner, host)]
        return tuple(sorted(found, key=lambda i: (i.host, i.bridge, i.name, i.uid)))

    def interfaces_of(self, host: str) -> tuple[SiteInterface, ...]:
        """Return the interfaces of one host, in no order."""
        return tuple(_join_interfaces(self.owner, self.hosts[host])) if host in self.hosts else ()

    def refused(self) -> tuple[tuple[str, RefusedRow], ...]:
        """Return (host, row) for every row that was refused, sorted."""
        found = [(h.name, r) for h in self.hosts.values() for r in h.rows.values() if isinstance(r, RefusedRow)]
        return tuple(sorted(found, key=lambda f: (f[0], f[1].table, f[1].uid)))


def empty_site(owner: str, hosts: Iterable[str]) -> Site:
    """Return the site before anything was heard; `hosts` are the OVSDB targets that will be asked."""
    return Site(owner, {name: Host(name) for name in hosts})


def reduce(site: Site, event: Event) -> Site:
    """Return the site after one event; the same object when the event says nothing new."""
    if isinstance(event, HostForgotten):
        left = {name: host for name, host in site.hosts.items() if name != event.host}
        return site if len(left) == len(site.hosts) else dataclasses.replace(site, hosts=left)
    host = site.hosts.get(event.host, Host(event.host))
    changed = _reduce_host(host, event)
    if changed is host and event.host in site.hosts:
        return site
    return dataclasses.replace(site, hosts={**site.hosts, host.name: changed})


def _reduce_host(host: Host, event: HostResynced | RowsChanged | HostLost) -> Host:
    match event:
        case HostResynced(rows=rows):
            told = {row.uid: row for row in rows}
            resynced = _apply(host, told, [uid for uid in host.rows if uid not in told])
            if resynced.synced and not resynced.stale:
                return resynced
            return dataclasses.replace(resynced, synced=True, stale=False)
        case RowsChanged(rows=rows, gone=gone):
            return _apply(host, {row.uid: row for row in rows}, gone)
        case HostLost():  # pragma: no branch - there is no other event
            return host if host.stale else dataclasses.replace(host, stale=True)


def _apply(host: Host, told: Mapping[str, Row], gone: Collection[str]) -> Host:
    """Return the host after some rows changed; the same object when none did."""
    rows = host.rows.but(told, gone)
    if rows is host.rows:
        return host
    bridges = {uid: row for uid, row in host.bridges.items() if uid not in told and uid in rows}
    bridges |= {uid: row for uid, row in told.items() if isinstance(row, BridgeRow)}
    root = next((row for row in told.values() if isinstance(row, RootRow)), host.root)
    return dataclasses.replace(host, rows=rows, bridges=bridges, root=root if root and root.uid in rows else None)


def _join_bridge(owner: str, host: Host, row: BridgeRow) -> SiteBridge:
    found = (host.rows.get(uid) for uid in row.controllers)
    controllers = sorted((c for c in found if isinstance(c, ControllerRow)), key=lambda c: (c.target, c.uid))
    return SiteBridge(
        host=host.name,
        uid=row.uid,
        name=row.name,
        dpid=dpid_of(row),
        ours=is_ours(owner, row),
        datapath_type=row.datapath_type,
        fail_mode=row.fail_mode,
        protocols=row.protocols,
        controllers=tuple(controllers),
        other_config=row.other_config,
        external_ids=row.external_ids,
    )


def dpid_of(row: BridgeRow) -> int | None:
    """Return what vswitchd says, else what it will say: its word is lost when the database restarts, the wish is not.

    Without it all endpoints would seem unplugged, and lose their flows, until vswitchd has connected again.
    """
    fixed = row.other_config.get(DPID_KEY, "")
    if row.dpid is not None or not FIXED_DPID.fullmatch(fixed):
        return row.dpid
    return int(fixed, 16) or None


def is_ours(owner: str, row: BridgeRow) -> bool:
    """Whether a bridge carries the owner id."""
    return row.external_ids.get(OWNER_KEY) == owner


def _join_interfaces(owner: str, host: Host) -> list[SiteInterface]:
    """Join one host's rows. An interface in two ports is nobody's: no one port may speak for it."""
    pairs = [pair for bridge in host.bridges.values() for pair in _interfaces_of(host, bridge)]
    uses = Counter(row.uid for _, row in pairs)
    return [site_interface(owner, host.name, bridge, row) for bridge, row in pairs if uses[row.uid] == 1]


def _interfaces_of(host: Host, bridge: BridgeRow) -> Iterator[tuple[BridgeRow, InterfaceRow]]:
    for port_uid in bridge.ports:
        port = host.rows.get(port_uid)
        for uid in port.interfaces if isinstance(port, PortRow) else ():
            row = host.rows.get(uid)
            if isinstance(row, InterfaceRow):
                yield bridge, row


def site_interface(owner: str, host: str, bridge: BridgeRow, row: InterfaceRow) -> SiteInterface:
    """Join an interface and its bridge."""
    return SiteInterface(
        host=host,
        bridge=bridge.name,
        dpid=dpid_of(bridge),
        ours=is_ours(owner, bridge),
        uid=row.uid,
        name=row.name,
        type=row.type,
        ofport=row.ofport,
        error=row.error,
        external_ids=row.external_ids,
        mac=row.mac_in_use,
    )
