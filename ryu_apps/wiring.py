"""The fabric as the site and the proven links make it; kept up at the cost of what changes."""

from __future__ import annotations

from collections.abc import Iterable

from ryu_apps.landmarks import Landmarks
from topology.fabric import NO_FABRIC, Fabric
from topology.model import UplinkPort
from topology.paths import Link
from topology.site import Site


class Wiring:
    """Follows one site. For one thread at a time."""

    def __init__(self, landmarks: Landmarks) -> None:
        self._landmarks = landmarks
        self._last = NO_FABRIC

    def follow(self, site: Site, uplinks: Iterable[UplinkPort], links: frozenset[Link]) -> Fabric:
        """Return the fabric; the same object as long as nothing changed. A link between other ports is none."""
        self._landmarks.follow(site)
        wires = self._landmarks.wires
        ports: dict[int, dict[int, str]] = {}
        leading = {(port.location.dpid, port.location.ofport) for port in uplinks} if wires else set()
        for interface in wires.values():
            dpid, ofport = interface.dpid, interface.ofport
            if dpid is not None and ofport is not None and (dpid, ofport) not in leading:
                ports.setdefault(dpid, {})[ofport] = interface.name
        usable = frozenset(pair for pair in links if all(end.ofport in ports.get(end.dpid, ()) for end in pair))
        if (ports, usable) != (self._last.ports, self._last.links):
            self._last = Fabric(ports, usable)
        return self._last
