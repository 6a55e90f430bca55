"""Which switches are part of which routing domain, and so know whom.

A switch is part of the domains that it has an endpoint or an uplink of, and knows all of their endpoints that a way
leads to. `turn_away` is said of the ways as they were, all else of those that are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from intent.compiler.engine.plugs import Plug
from intent.compiler.engine.roster import Roster
from intent.compiler.engine.routes import Detour
from intent.compiler.engine.sights import Sights
from intent.compiler.engine.switch import Switch
from intent.compiler.routing import Ways


class Circles:
    """Follows switches and ways; the endpoints are those of the roster."""

    def __init__(self, switches: Mapping[int, Switch], roster: Roster, sights: Sights) -> None:
        self.ways = Ways()
        self._switches = switches
        self._roster = roster
        self._sights = sights
        self._circles: dict[str, dict[int, None]] = {}
        """By routing domain: the switches with an endpoint or an uplink there; some may be gone."""

    def around(self, circle: str) -> Iterable[int]:
        """Return the switches with an endpoint or an uplink in a routing domain; some may be gone."""
        return self._circles.get(circle, ())

    def viewers(self, plug: Plug) -> list[Switch]:
        """Return the other switches that know an endpoint, if a way leads to it."""
        circle, own = self.ways.circle(plug.endpoint.network), plug.endpoint.location.dpid
        found = []
        for dpid in self._circles.get(circle, ()):
            switch = self._switches.get(dpid) if dpid != own else None
            if switch is not None and circle in switch.ports.circles:
                found.append(switch)
        return found

    def of_network(self, network: str) -> Iterable[Plug]:
        """Return who is in a network."""
        return (plug for plugs in self._roster.places.get(network, {}).values() for plug in plugs.values())

    def _of_circle(self, circle: str) -> Iterable[Plug]:
        return (plug for network in self.ways.members(circle) for plug in self.of_network(network))

    def _joined_to(self, dpid: int, network: str) -> Iterator[Plug]:
        """Yield who is in a network on switches that a way leads to: most pairs of switches may have none."""
        for there, plugs in self._roster.places.get(network, {}).items():
            if self._sights.is_joined(dpid, there):
                yield from plugs.values()

    # -- those who are known otherwise ------------------------------------------------------------

    def dig(self, ends: Iterable[int]) -> None:
        """Let switches with another tunnel end know everybody anew, and the others know who is plugged in there."""
        self._sights.dig(ends)
        for dpid in ends:
            own = self._switches.get(dpid)
            for circle in sorted(own.ports.circles) if own is not None else ():
                self._anew(own, self._of_circle(circle))
            for plug in self._roster.switches.get(dpid, {}).values():
                for viewer in self.viewers(plug):
                    self._anew(viewer, (plug,))

    def _anew(self, viewer: Switch | None, plugs: Iterable[Plug]) -> None:
        if viewer is not None:
            for plug in plugs:
                self._sights.blind(viewer, plug.endpoint.name)
                self._sights.find(viewer, (plug,))

    # -- out of a domain, and in ------------------------------------------------------------------

    def turn_away(self, switch: Switch, network: str) -> None:
        """Let a switch without an endpoint of a network know its domain no more, or only what is left of it."""
        ports, circle = switch.ports, self.ways.circle(network)
        if self.ways.is_part(ports.dpid, ports.answering, circle):
            self._anew(switch, self.of_network(network))
        else:
            self._turn_from(switch, circle)

    def turn_off(self, detour: Detour) -> None:
        """Take the new ways, and leave the domains that only an uplink led to; who moves is plugged out by now."""
        self.ways = detour.after
        for dpid in detour.ports:
            switch = self._switches.get(dpid)
            if switch is None:
                continue
            for domain in detour.before.on_switch(dpid, ()):
                stays = self.ways.is_part(dpid, switch.ports.answering, domain.key)
                if domain.key in switch.ports.circles and not stays:
                    self._turn_from(switch, domain.key)

    def _turn_from(self, switch: Switch, circle: str) -> None:
        switch.ports.circles.discard(circle)
        there = self._circles[circle]
        there.pop(switch.ports.dpid, None)
        if not there:
            del self._circles[circle]
        self._sights.lose(switch, self._of_circle(circle))

    def turn_to_uplinks(self, dpid: int) -> None:
        """Let a switch know the routing domains that it has an uplink of."""
        switch = self._switches.get(dpid)
        if switch is not None:
            for domain in self.ways.on_switch(dpid, ()):
                if domain.key not in switch.ports.circles:
                    self._turn_to(switch, domain.key)

    def turn_to(self, switch: Switch, network: str) -> None:
        """Let a switch with its first endpoint of a network know its domain."""
        circle = self.ways.circle(network)
        if circle in switch.ports.circles:
            self._anew(switch, self._joined_to(switch.ports.dpid, network))
        else:
            self._turn_to(switch, circle)

    def _turn_to(self, switch: Switch, circle: str) -> None:
        switch.ports.circles.add(circle)
        self._circles.setdefault(circle, {})[switch.ports.dpid] = None
        for network in self.ways.members(circle):
            self._anew(switch, self._joined_to(switch.ports.dpid, network))
