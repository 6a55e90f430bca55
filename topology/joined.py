"""The interfaces of a site, joined as `Site.interfaces` does, kept up at the cost of what changes.

    changes = joined.follow(site)        at every change; the two sites are compared, not the events

`Site.interfaces` is its oracle, but for the `error` of an interface that has its port: nobody who follows asks for
it, and Open vSwitch clears and writes the errors of all interfaces anew whenever one port comes (`without_error`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TypeAlias

from topology.events import BridgeRow, InterfaceRow, PortRow, RefusedRow, Row
from topology.frozen import FrozenMap, differing
from topology.site import Host, Site, SiteBridge, SiteInterface, dpid_of, is_ours, site_interface

RowId: TypeAlias = tuple[str, str]
"""Host and row UUID."""


@dataclasses.dataclass(slots=True)
class SiteChanges:
    """What is new; None for what is gone."""

    interfaces: dict[RowId, SiteInterface | None] = dataclasses.field(default_factory=dict)
    refused: dict[RowId, RefusedRow | None] = dataclasses.field(default_factory=dict)


def without_error(interface: SiteInterface) -> SiteInterface:
    """Return an interface without the error that it has in spite of its port."""
    if interface.error is None or not _has_port(interface.ofport):
        return interface
    return dataclasses.replace(interface, error=None)


class Joined:
    """Follows one site. For one thread at a time."""

    def __init__(self) -> None:
        self.interfaces: dict[RowId, SiteInterface] = {}
        self._hosts: dict[str, _HostJoin] = {}

    def follow(self, site: Site) -> SiteChanges:
        """Return what changed since the site before; the first time, everything."""
        changes = SiteChanges()
        for name in self._hosts.keys() - site.hosts.keys():
            self._follow(self._hosts.pop(name), site.owner, Host(name), changes)
        for name, host in site.hosts.items():
            if name not in self._hosts:
                self._hosts[name] = _HostJoin()
            if host.rows is not self._hosts[name].rows:
                self._follow(self._hosts[name], site.owner, host, changes)
        return changes

    def _follow(self, join: _HostJoin, owner: str, host: Host, changes: SiteChanges) -> None:
        for uid in join.touched(owner, host.rows, changes, host.name):
            place = host.name, uid
            found = join.joined(owner, host.name, uid)
            if found == self.interfaces.get(place):
                continue
            changes.interfaces[place] = found
            if found is None:
                del self.interfaces[place]
            else:
                self.interfaces[place] = found


class JoinedBridges:
    """Says what `Site.bridges` says of one site after the other: only hosts whose rows changed are looked at again."""

    def __init__(self) -> None:
        self._owner = ""
        self._rows: dict[str, FrozenMap[str, Row]] = {}
        self._found: dict[str, tuple[SiteBridge, ...]] = {}
        self._all: tuple[SiteBridge, ...] = ()

    def follow(self, site: Site) -> tuple[SiteBridge, ...]:
        """Return every bridge, sorted by host and name; the same object as long as they are equal."""
        if site.owner != self._owner:
            self._owner, self._rows = site.owner, {}
        rows, found, turned = {name: host.rows for name, host in site.hosts.items()}, {}, False
        for name, host in site.hosts.items():
            known = self._found.get(name)
            if known is None or self._rows.get(name) is not host.rows:
                joined = Site(site.owner, {name: host}).bridges()
                turned |= joined != known
                known = joined if joined != known else known
            found[name] = known
        if turned or found.keys() != self._found.keys():
            self._all = tuple(bridge for name in sorted(found) for bridge in found[name])
        self._rows, self._found = rows, found
        return self._all


class _HostJoin:
    """Which ports name an interface, and which bridges a port, on one host."""

    def __init__(self) -> None:
        self.rows: FrozenMap[str, Row] = FrozenMap()
        self._ports: dict[str, set[str]] = {}
        """By interface."""
        self._bridges: dict[str, set[str]] = {}
        """By port."""

    def touched(self, owner: str, rows: FrozenMap[str, Row], changes: SiteChanges, host: str) -> set[str]:
        """Follow the rows; return the interfaces that may be joined otherwise than before."""
        before = self.rows
        pairs = [(uid, before.get(uid), rows.get(uid)) for uid in differing(before, rows)]
        found: set[str] = set()
        moved: set[str] = set()
        for uid, was, now in pairs:
            if isinstance(was, RefusedRow) or isinstance(now, RefusedRow):
                changes.refused[host, uid] = now if isinstance(now, RefusedRow) else None
            if isinstance(was, PortRow) or isinstance(now, PortRow):
                found |= _renote(self._ports, uid, _interfaces(was), _interfaces(now))
            if isinstance(was, BridgeRow) or isinstance(now, BridgeRow):
                moved |= _renote(self._bridges, uid, _ports(was), _ports(now))
                if _face(owner, was) != _face(owner, now):
                    moved |= _ports(now)
            if (isinstance(was, InterfaceRow) or isinstance(now, InterfaceRow)) and not _same_but_error(was, now):
                found.add(uid)
        # A port row that comes or goes counts its interfaces whoever lists the port.
        moved |= {uid for uid, was, now in pairs if isinstance(was, PortRow) != isinstance(now, PortRow)}
        for port in moved:
            found |= _interfaces(before.get(port)) | _interfaces(rows.get(port))
        self.rows = rows
        return found

    def joined(self, owner: str, host: str, uid: str) -> SiteInterface | None:
        """Return an interface if there is one, in exactly one port of one bridge."""
        row = self.rows.get(uid)
        bridges = list(self._bridges_of(uid))
        if not isinstance(row, InterfaceRow) or len(bridges) != 1:
            return None
        return without_error(site_interface(owner, host, bridges[0], row))

    def _bridges_of(self, uid: str) -> Iterator[BridgeRow]:
        for port in self._ports.get(uid, ()):
            for bridge in self._bridges.get(port, ()):
                row = self.rows.get(bridge)
                if isinstance(row, BridgeRow):
                    yield row


def _has_port(ofport: int | None) -> bool:
    return ofport is not None and ofport > 0


def _same_but_error(was: Row | None, now: Row | None) -> bool:
    """Whether two rows are one interface that has its port, and only its error is another."""
    return (
        isinstance(was, InterfaceRow)
        and isinstance(now, InterfaceRow)
        and was.ofport == now.ofport
        and _has_port(now.ofport)
        and _but_error(was) == _but_error(now)
    )


def _but_error(row: InterfaceRow) -> tuple[object, ...]:
    return row.name, row.type, row.ofport_request, row.mac_in_use, row.external_ids


def _interfaces(row: Row | None) -> frozenset[str]:
    return row.interfaces if isinstance(row, PortRow) else frozenset()


def _ports(row: Row | None) -> frozenset[str]:
    return row.ports if isinstance(row, BridgeRow) else frozenset()


def _face(owner: str, row: Row | None) -> tuple[str, int | None, bool] | None:
    """Return what an interface shows of its bridge."""
    return (row.name, dpid_of(row), is_ours(owner, row)) if isinstance(row, BridgeRow) else None


def _renote(index: dict[str, set[str]], user: str, was: frozenset[str], now: frozenset[str]) -> frozenset[str]:
    """Note that a row names these and no longer those; return which they are."""
    for uid in was - now:
        index[uid].discard(user)
        if not index[uid]:
            del index[uid]
    for uid in now - was:
        index.setdefault(uid, set()).add(user)
    return was ^ now
