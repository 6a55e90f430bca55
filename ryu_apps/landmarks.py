"""The interfaces that are nobody's: ends of tunnels and of wires, found at the cost of what changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from topology.fabric import link_port
from topology.joined import Joined, RowId
from topology.overlay import TUNNEL_MARK
from topology.site import Site, SiteInterface


class Landmarks:
    """Follows one site. For one thread at a time."""

    def __init__(self) -> None:
        self._joined = Joined()
        self.tunnels: Mapping[RowId, SiteInterface] = {}
        """Those that carry the mark of a tunnel end; another object once anything changed."""
        self.wires: Mapping[RowId, SiteInterface] = {}
        """Those to which switches are wired; likewise."""

    def follow(self, site: Site) -> None:
        """Follow to this site; it costs next to nothing to say so again."""
        changed = self._joined.follow(site).interfaces
        self.tunnels = _filed(self.tunnels, changed, lambda interface: TUNNEL_MARK in interface.external_ids)
        self.wires = _filed(self.wires, changed, link_port)


def _filed(
    index: Mapping[RowId, SiteInterface],
    changed: Mapping[RowId, SiteInterface | None],
    is_one: Callable[[SiteInterface], object],
) -> Mapping[RowId, SiteInterface]:
    """Return an index after changes; the same object if none of them concerns it."""
    put = {row: interface for row, interface in changed.items() if interface is not None and is_one(interface)}
    gone = changed.keys() & index.keys()
    if not put and not gone:
        return index
    return {row: interface for row, interface in index.items() if row not in gone} | put
