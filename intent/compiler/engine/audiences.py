"""Multicast groups while endpoints come and go: networks that list none cost nothing.

A change of who may hear, or where they are, makes the flows of that network's groups anew on the switches it is on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from intent.compiler import multicast
from intent.compiler.endpoints import Numbers
from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.plugs import Plug
from intent.compiler.engine.roster import Roster
from intent.compiler.engine.switch import Switch
from intent.compiler.flow import Flow, FlowKey
from intent.compiler.multicast import Member
from intent.compiler.routing import Via
from intent.compiler.tables import Table
from intent.model import MulticastGroup
from topology.model import Endpoint

Heard: TypeAlias = list[tuple[Member, int]]
"""The members of a group, each with the number of its identity."""


class Audiences:
    """Follows members and networks; `leave` before the roster changes, `arrive` after."""

    def __init__(self, inputs: Inputs, roster: Roster, ledger: Ledger, switches: Mapping[int, Switch]) -> None:
        self._inputs = inputs
        self._roster = roster
        self._ledger = ledger
        self._switches = switches
        self._groups: dict[str, tuple[MulticastGroup, ...]] = {}
        """By network, of those that list any."""
        self._held: dict[str, dict[int, tuple[FlowKey, ...]]] = {}
        """By network and datapath id."""
        self._stale: dict[str, None] = {}
        """Networks whose flows are to be made anew."""
        self._touched: dict[str, None] = {}
        """Networks that somebody came to or left: perhaps the first on a switch, or the last."""
        self._observing = False

    def leave(self, changes: Changes, names: Iterable[str], rerouted: Iterable[str]) -> None:
        """Note what a change concerns.

        `names` are the endpoints that come, go, or go by another identity, `rerouted` the networks that another
        router joins to others.
        """
        for name, network in changes.networks.items():
            groups = network.multicast if network is not None else ()
            if self._groups.pop(name, ()) != groups:
                self._stale[name] = None
            if groups:
                self._groups[name] = groups
        if not self._groups:
            return
        self._stale.update((name, None) for name in rerouted if name in self._groups)
        if changes.tunnels or changes.fabric is not None or any(s.is_new for s in self._switches.values()):
            self._stale.update(dict.fromkeys(self._groups))
        for name in names:
            plug = self._roster.plugs.get(name)
            for endpoint in (plug.endpoint if plug is not None else None, self._inputs.endpoints.get(name)):
                if endpoint is not None and endpoint.network in self._groups:
                    self._touch(endpoint)

    def _touch(self, endpoint: Endpoint) -> None:
        groups = self._groups[endpoint.network]
        is_member = any(multicast.chosen(group.members, endpoint.labels) for group in groups)
        (self._stale if is_member else self._touched)[endpoint.network] = None

    def forget(self, dpid: int) -> None:
        """Let a switch go."""
        for held in self._held.values():
            held.pop(dpid, None)

    def arrive(self, via: Callable[[str], Via | None], *, observing: bool) -> None:
        """Put in what is heard now; `via` says which router joins a network to others."""
        if self._observing != observing:
            self._stale.update(dict.fromkeys(self._groups))
        self._observing = observing
        self._stale.update((network, None) for network in self._touched if self._has_moved(network))
        for network in self._stale:
            self._close(network)
            if network in self._groups:
                self._open(network, via(network))
        self._stale, self._touched = {}, {}

    def _has_moved(self, network: str) -> bool:
        """Whether a network is not on the switches that it was on."""
        return self._held.get(network, {}).keys() != self._roster.places.get(network, {}).keys() & self._switches.keys()

    def _close(self, network: str) -> None:
        for dpid, keys in self._held.pop(network, {}).items():
            self._switches[dpid].flows.disclaim(keys)

    def _open(self, network: str, via: Via | None) -> None:
        places = self._roster.places.get(network, {})
        heard = [(group, self._heard(group, places.values())) for group in self._groups[network]]
        for dpid in places:
            switch = self._switches.get(dpid)
            if switch is not None:
                flows = list(self._flows(switch, (network, via), heard))
                self._held.setdefault(network, {})[dpid] = switch.flows.claim(flows)

    def _heard(self, group: MulticastGroup, places: Iterable[Mapping[str, Plug]]) -> Heard:
        plugs = {name: plug for there in places for name, plug in there.items()}
        found = multicast.members(group, (plug.endpoint for plug in plugs.values()))
        parties = ((m, plugs[m.endpoint.name].parties[m.endpoint.addresses.index(m.address)]) for m in found)
        return [(member, party.number) for member, party in parties]

    def _flows(
        self, switch: Switch, where: tuple[str, Via | None], heard: Iterable[tuple[MulticastGroup, Heard]]
    ) -> Iterator[Flow]:
        dpid, number = switch.ports.dpid, self._ledger.number("network", where[0])
        judge = Table.CANDIDATE_EGRESS if self._observing else Table.EGRESS
        here = multicast.Here(number, Numbers(number, 0, 0, where[1]).place[0], judge, switch.ports.wired)
        for group, members in heard:
            found = multicast.seats(dpid, members, lambda there: self._inputs.path(dpid, there))
            yield from multicast.group_flows(group, here, found)
