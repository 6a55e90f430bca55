"""Ways through switches that are wired to each other: shortest first, and where to turn when a wire breaks.

From each switch to each other: the ports that lead there on a shortest way (traffic is spread over them), and in
order of preference the ports that lead there without coming back to this switch. A switch that does not know
of a break elsewhere yet still gets a packet there, since a packet leaves by the port it came in by last of all.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping
from typing import TypeAlias


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class LinkEnd:
    """One end of a link: a port of a switch."""

    dpid: int
    ofport: int


Link: TypeAlias = tuple[LinkEnd, LinkEnd]
"""The lower end first."""
MAX_SPREAD = 16
"""Shortest ways that are used at a time."""

Graph: TypeAlias = Mapping[int, Mapping[int, int]]
"""By switch: the neighbour that each port leads to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """Ports of a switch that lead to another."""

    shortest: tuple[int, ...]
    """All equally short; sorted."""
    detours: tuple[int, ...] = ()
    """The best first; none of them among the shortest."""

    back: bool = False
    """Last of all: back by the port it came in by, whose switch then knows better."""

    def avoiding(self, port: int) -> Way:
        """Return the way for what came in by a port."""
        if port not in self.shortest and port not in self.detours:
            return self
        left = tuple(p for p in self.shortest if p != port), tuple(p for p in self.detours if p != port)
        return Way(*left, back=True)


def graph(links: Collection[tuple[LinkEnd, LinkEnd]]) -> Graph:
    """Return who is wired to whom; a port has one neighbour."""
    found: dict[int, dict[int, int]] = {}
    for one, other in sorted(links):
        found.setdefault(one.dpid, {})[one.ofport] = other.dpid
        found.setdefault(other.dpid, {})[other.ofport] = one.dpid
    return found


def distances(wired: Graph, target: int, without: int | None = None) -> dict[int, int]:
    """Return how many links each switch is from `target`; one that cannot reach it is absent.

    Args:
        wired: who is wired to whom.
        target: where to.
        without: a switch that no way may lead through.
    """
    found = {target: 0}
    waiting = collections.deque((target,))
    while waiting:
        here = waiting.popleft()
        for neighbour in set(wired.get(here, {}).values()):
            if neighbour not in found and neighbour != without:
                found[neighbour] = found[here] + 1
                waiting.append(neighbour)
    return found


def ways_to(wired: Graph, target: int) -> dict[int, Way]:
    """Return the way to `target` from each switch that can reach it, `target` itself left out."""
    reach = distances(wired, target)
    return {here: _way(wired, here, target, reach) for here in reach if here != target}


def _way(wired: Graph, here: int, target: int, reach: Mapping[int, int]) -> Way:
    ports = wired[here]
    shortest = tuple(sorted(p for p, next_ in ports.items() if reach[next_] < reach[here]))[:MAX_SPREAD]
    others = [port for port in sorted(ports) if port not in shortest]
    if not others:
        return Way(shortest)
    around = distances(wired, target, without=here)
    usable = sorted((around[ports[p]], p) for p in others if ports[p] in around)
    return Way(shortest, tuple(port for _, port in usable))


def reachable(wired: Graph, start: int) -> frozenset[int]:
    """Return the switches that some way leads to, `start` left out."""
    return frozenset(distances(wired, start)) - {start}
