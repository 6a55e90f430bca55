"""The interfaces that are nobody's: ends of tunnels and of wires, found at the cost of what changes."""

from __future__ import annotations

from topology.fabric import link_port
from topology.joined import Joined, RowId
from topology.overlay import TUNNEL_MARK
from topology.site import Site, SiteInterface


class Landmarks:
    """Follows one site. For one thread at a time."""

    def __init__(self) -> None:
        self._joined = Joined()
        self.tunnels: dict[RowId, SiteInterface] = {}
        """Those that carry the mark of a tunnel end."""
        self.wires: dict[RowId, SiteInterface] = {}
        """Those to which switches are wired."""

    def follow(self, site: Site) -> None:
        """Follow to this site; it costs next to nothing to say so again."""
        for row, interface in self._joined.follow(site).interfaces.items():
            _file(self.tunnels, row, interface, there=interface is not None and TUNNEL_MARK in interface.external_ids)
            _file(self.wires, row, interface, there=interface is not None and bool(link_port(interface)))


def _file(index: dict[RowId, SiteInterface], row: RowId, interface: SiteInterface | None, *, there: bool) -> None:
    if interface is not None and there:
        index[row] = interface
    else:
        index.pop(row, None)
