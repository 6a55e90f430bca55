"""The ports that get the copies of mirrors: which interface is which mirror's."""

from __future__ import annotations

from collections.abc import Iterator

from intent.inventory.bound import Bound, where
from intent.model import Intents, Mirror
from topology.model import Location, MirrorPort, Report
from topology.site import SiteInterface


class Mirrors:
    """Collects them while the site is gone through."""

    def __init__(self, intents: Intents) -> None:
        self._intents = intents
        self.of = Bound(intents.mirrors.values()).of
        self._found: dict[tuple[int, str], MirrorPort] = {}
        self._bound: set[str] = set()
        self._reports: list[Report] = []

    def take(self, mirror: Mirror, interface: SiteInterface, location: Location | None) -> None:
        """Note where a mirror has a port; of two on one switch the first stays."""
        self._bound.add(mirror.name)
        if location is None:
            if interface.error:
                self._report(mirror, f"the switch cannot open the device: {interface.error[:200]}", "make the device")
            return
        port = MirrorPort(mirror.name, location)
        there = self._found.get((location.dpid, mirror.name))
        if there is not None:
            port, second = sorted((there, port), key=lambda p: p.location)
            problem = f"{second.location.interface} is its second port on one switch; {port.location.interface} stays"
            self._report(mirror, problem, "unbind one of the two")
        self._found[location.dpid, mirror.name] = port

    def _report(self, mirror: Mirror, problem: str, remedy: str) -> None:
        self._reports.append(Report(f"mirror {mirror.name}", problem, remedy))

    def ports(self) -> tuple[MirrorPort, ...]:
        """Return what was found, sorted by switch and name."""
        return tuple(port for _, port in sorted(self._found.items()))

    def reports(self) -> Iterator[Report]:
        """Yield what an operator should know."""
        yield from self._reports
        for name, mirror in sorted(self._intents.mirrors.items()):
            if name not in self._bound:
                problem = f"no port of ours is {where(mirror.binding)}: nothing is copied"
                yield Report(f"mirror {name}", problem, "plug it in")
