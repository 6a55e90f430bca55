"""The ways out of a state: uplinks here and elsewhere, and the identities of the world behind them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from intent.compiler import beyond, distant, routing
from intent.compiler.distant import Exit
from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.people import Party
from intent.compiler.engine.places import Places
from intent.compiler.engine.switch import Switch
from intent.compiler.flow import Flow, FlowKey
from intent.compiler.resolve import world
from intent.model import IPNetwork

Atom = IPNetwork | None


class WaysOut:
    """World is where an uplink is, or can be reached: there is one party for each prefix in force."""

    def __init__(self, inputs: Inputs, ledger: Ledger, switches: Mapping[int, Switch], places: Places) -> None:
        self._inputs = inputs
        self._ways = inputs.ways()
        self._ledger = ledger
        self._switches = switches
        self._places = places
        self._parties: dict[Atom, Party] = {}
        self._fresh: dict[Atom, None] = {}
        self._flows: dict[tuple[int, Atom], tuple[FlowKey, ...]] = {}
        self._homes = dict.fromkeys(self._ways.uplinks)
        """The switches that know the world."""
        self._exits: dict[int, tuple[Exit, ...]] = {}
        """By switch: the uplinks of others."""
        self._held: dict[int, tuple[FlowKey, ...]] = {}
        """By switch: the flows between its endpoints and uplinks of others, and the other way round."""
        self._moved: dict[int, None] = {}
        self._arrived: dict[int, None] = {}
        for key in self._ways.keys:
            ledger.pools["network"].want(key)
        for port in self._ways.ports:
            ledger.pools["attachment"].want(routing.attachment_key(port))

    # -- the model ------------------------------------------------------------------------------

    def leave(self, turned: Iterable[IPNetwork]) -> None:
        """Take out prefixes that policy names no more, note those that it names now; `turned` are both."""
        if not self._ways.uplinks:
            return
        for atom in (*turned, *(() if None in self._parties else (None,))):
            party = self._parties.pop(atom, None)
            if party is None:
                self._come(atom)
            else:
                self._go(atom, party)
        for dpid in self._homes:
            switch = self._switches.get(dpid)
            if switch is not None and switch.is_new:
                self._places.touched.update(((dpid, party), None) for party in self._parties.values())

    def _come(self, atom: Atom) -> None:
        for dpid in self._homes:
            self._parties[atom] = self._places.refer(world(atom), dpid)
        self._fresh[atom] = None

    def _go(self, atom: Atom, party: Party) -> None:
        for dpid in self._homes:
            self._places.unrefer((party,), dpid)
            self._disclaim(dpid, self._flows.pop((dpid, atom), ()))

    def _disclaim(self, dpid: int, keys: Iterable[FlowKey]) -> None:
        switch = self._switches.get(dpid)
        if switch is not None and not switch.is_new:
            switch.flows.disclaim(keys)

    def follow(self, changes: Changes) -> None:
        """Find out who reaches the uplinks of others now; places are as they are to be."""
        moved, self._places.moved = self._places.moved, {}
        if not self._ways.uplinks:
            return
        if changes.tunnels or changes.fabric is not None or changes.away is not None:
            moved = dict.fromkeys(self._switches)
        for dpid in (*moved, *(self._exits.keys() - self._switches.keys())):
            switch = self._switches.get(dpid)
            networks = sorted(switch.ports.answering) if switch is not None else ()
            path = functools.partial(self._inputs.path, dpid)
            found = tuple(distant.exits(self._ways, dpid, networks, path, self._inputs.away))
            if found or dpid in self._exits or dpid in self._ways.uplinks:
                self._turn(dpid, found)

    def _turn(self, dpid: int, found: tuple[Exit, ...]) -> None:
        """Note the uplinks of others that a switch reaches; with the first it learns of the world."""
        self._moved[dpid] = None
        self._exits.pop(dpid, None)
        if found:
            self._exits[dpid] = found
        knows = bool(found) or dpid in self._ways.uplinks
        if knows and dpid not in self._homes:
            self._homes[dpid] = self._arrived[dpid] = None
            for atom in self._parties:
                self._places.refer(world(atom), dpid)
        elif not knows and dpid in self._homes:
            del self._homes[dpid]
            self._arrived.pop(dpid, None)
            self._places.unrefer(self._parties.values(), dpid)
            for atom in self._parties:
                self._disclaim(dpid, self._flows.pop((dpid, atom), ()))

    # -- the flows ------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Put in what comes, with its numbers."""
        number = self._ledger.number
        for dpid in self._moved:
            keys = self._held.pop(dpid, ())
            self._disclaim(dpid, keys)
            if dpid in self._switches:
                self._held[dpid] = self._switches[dpid].flows.claim(self._distant_flows(dpid))
        for dpid in self._homes:
            switch = self._switches.get(dpid)
            if switch is None:
                continue
            if switch.is_new:
                for port in self._ways.uplinks.get(dpid, ()):
                    switch.flows.claim(routing.port_flows(self._ways, port, number))
            for atom in self._parties if switch.is_new or dpid in self._arrived else self._fresh:
                flows = beyond.prefix_flows(atom, number("identity", world(atom).key))
                self._flows[dpid, atom] = switch.flows.claim(flows)
        self._fresh, self._moved, self._arrived = {}, {}, {}

    def _distant_flows(self, dpid: int) -> Iterator[Flow]:
        number = self._ledger.number
        tunnel = self._inputs.tunnels.get(dpid)
        if tunnel is not None:
            for port in self._ways.uplinks.get(dpid, ()):
                yield from distant.entry_flows(self._ways, port, number, tunnel)
        for way in self._exits.get(dpid, ()):
            yield from distant.exit_flows(way, number)
