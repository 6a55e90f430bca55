"""Switches that are wired to each other: which of their ports are for that, and which wires are proven."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping

from topology.paths import Graph, Link, Way, distances, graph, ways_to
from topology.site import SiteInterface

NUMBER_BITS = 24


LINK_KEY = "ringfence:link"
"""Key in `external_ids` of an Interface: `true` says that the port is wired to another switch, and no endpoint's."""
MAX_OFPORT = 0xFEFF


@dataclasses.dataclass(frozen=True, eq=False)
class Fabric:
    """Ports and wires. Never changed: what follows from it is computed once. Compared by identity."""

    ports: Mapping[int, Mapping[int, str]] = dataclasses.field(default_factory=dict)
    """By datapath id: the ports that the site says are for links, with their names."""
    links: frozenset[Link] = frozenset()
    """Those that are proven; their ends are among the ports."""

    @functools.cached_property
    def wired(self) -> Graph:
        """Who is wired to whom; without switches whose number is another's."""
        return graph([pair for pair in self.links if all(end.dpid in self.numbers for end in pair)])

    @functools.cached_property
    def numbers(self) -> Mapping[int, int]:
        """A number for each switch with a port for links, the same wherever and whenever it is computed.

        Two in sixteen million share one; then the one with the greater datapath id takes no part.
        """
        taken: dict[int, int] = {}
        for dpid in sorted(self.ports):
            taken.setdefault(number_of(dpid), dpid)
        return {dpid: number for number, dpid in taken.items()}

    @functools.cached_property
    def parts(self) -> Mapping[int, int]:
        """By datapath id: the lowest of those that can reach each other."""
        found: dict[int, int] = {}
        for dpid in sorted(self.wired):
            if dpid not in found:
                found.update(dict.fromkeys(distances(self.wired, dpid), dpid))
        return found

    @functools.cached_property
    def ways(self) -> Mapping[int, Mapping[int, Way]]:
        """By target, then by where one is."""
        return {target: ways_to(self.wired, target) for target in sorted(self.wired)}

    def joins(self, one: int, other: int) -> bool:
        """Whether wires lead from one switch to another."""
        parts = self.parts
        return one != other and one in parts and parts[one] == parts.get(other)


NO_FABRIC = Fabric()


def is_link(external_ids: Mapping[str, str]) -> bool:
    """Whether a row says that its port is for links; one that claims to be an endpoint, too, is for nothing."""
    return external_ids.get(LINK_KEY) == "true"


def link_port(interface: SiteInterface) -> bool:
    """Whether an interface of ours is for links, and has a number."""
    others = (k for k in interface.external_ids if k != LINK_KEY and (k == "iface-id" or k.startswith("ringfence:")))
    if not (interface.ours and is_link(interface.external_ids)) or any(others):
        return False
    return interface.dpid is not None and 1 <= (interface.ofport or 0) <= MAX_OFPORT and not interface.error


def number_of(dpid: int) -> int:
    """Return the number of a switch in the fabric, `NUMBER_BITS` long."""
    return int.from_bytes(hashlib.sha256(dpid.to_bytes(8, "big")).digest()[: NUMBER_BITS // 8], "big")
