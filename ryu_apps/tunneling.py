"""Tunnels between hosts: which ends are needed now, and keeping a host's end as it must be."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping

from intent.inventory import Built
from ovsdb import Client, TunnelWish, ensure_tunnel, remove_port
from ryu_apps.landmarks import Landmarks
from topology import overlay
from topology.events import InterfaceRow, RootRow
from topology.joined import JoinedBridges
from topology.model import Tunnel
from topology.overlay import TUNNEL_MARK, End, Ends, TunnelPlan
from topology.site import Site, SiteBridge, SiteInterface
from topology.spans import Reach

log = logging.getLogger("ringfence.tunneling")


class Overlay:
    """What the site's tunnels are to be. `extend` may run in a thread of the system's, `announce` may not."""

    def __init__(self, plan: TunnelPlan, bridge: str, landmarks: Landmarks, on_change: Callable[[], None]) -> None:
        """Tunnel between the bridges named `bridge`; `on_change` is called when other ends are wanted."""
        self._plan = plan
        self._bridge = bridge
        self._landmarks = landmarks
        self._on_change = on_change
        self._roots: Mapping[str, RootRow | None] | None = None
        self._found = Ends()
        self._site_bridges = JoinedBridges()
        self._all_bridges: tuple[SiteBridge, ...] | None = None
        self._bridges: tuple[SiteBridge, ...] = ()
        """Ours among them."""
        self._asked: tuple[object, ...] = ()
        """What `wanted` follows from."""
        self._looked_at: tuple[object, ...] = ()
        """What `_tunnels` follows from."""
        self._tunnels: Mapping[int, Tunnel] = {}
        self._changed = False
        self._combined: tuple[Built, Built] | tuple[None, None] = None, None
        self.wanted: Mapping[str, End] | None = None
        """By host; None before anything was planned, so nothing may be removed yet."""

    def extend(self, site: Site, built: Built, reach: Reach) -> Built:
        """Return the inventory, whose `reach` it is, with the tunnels that are there, and note which are wanted."""
        found = self._site_bridges.follow(site)
        if found is not self._all_bridges:
            self._all_bridges, self._bridges = found, tuple(b for b in found if b.ours and b.name == self._bridge)
        tunnels = self._realized(site, self._wanted(site, reach))
        told = self._found.reports
        reports = tuple(sorted({*built.inventory.reports, *told})) if told else built.inventory.reports
        if not tunnels and len(reports) == len(built.inventory.reports):
            return built
        exits = {port.location.dpid for port in built.inventory.uplinks}
        away = frozenset(b.dpid for b in self._bridges if b.dpid in exits and site.hosts[b.host].stale)
        before, combined = self._combined
        if (
            combined is None
            or before is not built
            or (combined.inventory.tunnels, combined.inventory.reports, combined.inventory.away)
            != (tunnels, reports, away)
        ):
            inventory = dataclasses.replace(built.inventory, tunnels=tunnels, reports=reports, away=away)
            combined = dataclasses.replace(built, inventory=inventory)
            self._combined = built, combined
        return combined

    def _wanted(self, site: Site, reach: Reach) -> Mapping[str, End]:
        """Return the ends that are needed; found again only when something that it follows from has changed."""
        roots = {name: host.root for name, host in site.hosts.items()}
        if roots != self._roots:
            self._found = overlay.find_ends(site, self._plan, self._found.ends)
            self._roots = roots
        asked = reach, self._found.ends, self._bridges
        if self.wanted is None or not _same(asked, self._asked):
            wanted = overlay.needed(reach, self._bridges, self._found.ends)
            self._asked = asked
            if wanted != self.wanted:
                self.wanted, self._changed = wanted, True
        return self.wanted or {}

    def _realized(self, site: Site, wanted: Mapping[str, End]) -> Mapping[int, Tunnel]:
        """Return the ends that are there, likewise."""
        self._landmarks.follow(site)
        rows = self._landmarks.tunnels
        looked_at = rows, self._bridges, wanted
        if not _same(looked_at, self._looked_at):
            tunnels = overlay.realized(rows.values(), self._bridges, wanted) if wanted else {}
            self._tunnels = self._tunnels if tunnels == self._tunnels else tunnels
            self._looked_at = looked_at
        return self._tunnels

    def announce(self) -> None:
        """Tell if other ends are wanted than before."""
        if self._changed:
            self._changed = False
            self._on_change()


def _same(ones: tuple[object, ...], others: tuple[object, ...]) -> bool:
    """Whether these are the same objects."""
    return len(ones) == len(others) and all(one is other for one, other in zip(ones, others, strict=True))


@dataclasses.dataclass(frozen=True, slots=True)
class TunnelKeeper:
    """One host's tunnel port, made, mended and removed by need."""

    client: Client
    bridge: str
    owner: str
    site: Callable[[], Site]
    wanted: Callable[[], Mapping[str, End] | None]

    def faults(self) -> tuple[str, ...]:
        """Return what is not as wanted, in words."""
        ends = self.wanted()
        if ends is None:
            return ()
        end, there = ends.get(self.client.host), self._there()
        surplus = sorted(name for name in there if end is None or name != end.interface)
        missing = end is not None and not _is_right(there.get(end.interface), end)
        return (
            *(f"tunnel {name} is not needed" for name in surplus),
            *((f"no {end.mark}",) if end and missing else ()),
        )

    def mend(self, wait_s: float) -> None:
        """Make it so.

        Raises:
            EnsureError, OvsdbError: it cannot be.
        """
        end = (self.wanted() or {}).get(self.client.host)
        for name in self._there():
            if end is None or name != end.interface:
                remove_port(self.client, self.owner, self.bridge, name, wait_s=wait_s)
                log.info("%s: tunnel %s removed: nobody needs it", self.client.host, name)
        if end is not None and ensure_tunnel(self.client, self._wish(end), wait_s=wait_s).changed:
            log.info("%s: tunnel %s made: %s", self.client.host, end.interface, end.mark)

    def _there(self) -> dict[str, SiteInterface]:
        site = self.site()
        host = site.hosts.get(self.client.host)
        rows = host.rows.values() if host else ()
        if not any(isinstance(row, InterfaceRow) and TUNNEL_MARK in row.external_ids for row in rows):
            return {}  # the usual case, asked at every event: nothing is joined for it
        return {
            row.name: row
            for row in site.interfaces_of(self.client.host)
            if row.bridge == self.bridge and row.ours and TUNNEL_MARK in row.external_ids
        }

    def _wish(self, end: End) -> TunnelWish:
        return TunnelWish(
            bridge=self.bridge,
            owner=self.owner,
            name=end.interface,
            type=str(end.kind),
            local=str(end.address),
            options={"dst_port": str(end.port)} if end.port else {},
            external_ids={TUNNEL_MARK: end.mark},
        )


def _is_right(row: SiteInterface | None, end: End) -> bool:
    return row is not None and row.type == end.kind and row.external_ids.get(TUNNEL_MARK) == end.mark
