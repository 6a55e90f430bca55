"""Whom a switch knows of other switches: endpoints of the networks that it has endpoints of, if a way leads to them.

It answers for them, judges them, sends to them and hears from them. If a router joins the networks to others, it knows
those of all networks of the domain, as far as tunnels lead; a switch with the domain's uplink does, too. `lose` and
`find` change the model, before numbers are settled; `arrive` puts the flows in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from intent.compiler.engine.inputs import Inputs
from intent.compiler.engine.people import Party
from intent.compiler.engine.plugs import Plug
from intent.compiler.engine.switch import Switch
from intent.compiler.tunnels import Path
from topology.model import Endpoint


class Sights:
    """The views that switches have of each other's endpoints."""

    def __init__(self, inputs: Inputs, switches: Mapping[int, Switch], touch: Callable[[int, Party], None]) -> None:
        """Tell `touch` of parties that a switch may begin or cease to know."""
        self._inputs = inputs
        self._switches = switches
        self._touch = touch
        self._found: dict[tuple[int, str], Plug] = {}
        """By viewer and endpoint."""
        self._guards: dict[int, None] = {}

    # -- the model ------------------------------------------------------------------------------

    def lose(self, viewer: Switch, plugs: Iterable[Plug]) -> None:
        """Know endpoints of other switches no more."""
        for plug in plugs:
            self._found.pop((viewer.ports.dpid, plug.endpoint.name), None)
            self.blind(viewer, plug.endpoint.name)

    def blind(self, viewer: Switch, name: str) -> bool:
        """Take the way to an endpoint out; return whether there was one."""
        parties = viewer.ports.blind(name)
        for party in parties or ():
            _count(party, viewer.ports.dpid, -1)
            self._touch(viewer.ports.dpid, party)
        return parties is not None

    def find(self, viewer: Switch, plugs: Iterable[Plug]) -> None:
        """Know those endpoints from now on that a way leads to."""
        dpid = viewer.ports.dpid
        for plug in plugs:
            if not self._is_known(viewer, plug.endpoint):
                continue
            self._found[dpid, plug.endpoint.name] = plug
            if plug.endpoint.name not in viewer.ports.seen:
                viewer.ports.seen[plug.endpoint.name] = tuple(plug.parties)
                for party in plug.parties:
                    _count(party, dpid, 1)
                    self._touch(dpid, party)

    def _is_known(self, viewer: Switch, endpoint: Endpoint) -> bool:
        path = self._inputs.path(viewer.ports.dpid, endpoint.location.dpid)
        return isinstance(path, Path) or (path is not None and endpoint.network in viewer.ports.answering)

    def is_joined(self, one: int, other: int) -> bool:
        """Whether a way leads from one switch to another."""
        return one != other and self._inputs.path(one, other) is not None

    def forget(self, viewer: Switch) -> None:
        """Let a switch go for good."""
        for parties in viewer.ports.seen.values():
            for party in parties:
                _count(party, viewer.ports.dpid, -1)

    def dig(self, dpids: Iterable[int]) -> None:
        """Note that the tunnel ends of these switches are not what they were."""
        self._guards.update(dict.fromkeys(dpids))

    # -- the flows ------------------------------------------------------------------------------

    def arrive(self, attachments: Mapping[str, int]) -> None:
        """Put in the flows of what was found."""
        tunnels = self._inputs.tunnels
        for dpid in self._guards:
            if dpid in self._switches:
                self._switches[dpid].ports.guard(tunnels.get(dpid))
        for (dpid, name), plug in self._found.items():
            ports = self._switches[dpid].ports
            path = self._inputs.path(dpid, plug.endpoint.location.dpid)
            if name in ports.seen and path is not None:
                ports.reach(plug, path, attachments)
        self._found, self._guards = {}, {}


def _count(party: Party, dpid: int, change: int) -> None:
    count = party.where.get(dpid, 0) + change
    if count:
        party.where[dpid] = count
    else:
        del party.where[dpid]
