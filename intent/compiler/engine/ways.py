"""The ways out of a state: uplinks, and the identities of the world behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from intent.compiler import routing
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.people import Party
from intent.compiler.engine.places import Places
from intent.compiler.engine.switch import Switch
from intent.compiler.flow import FlowKey
from intent.compiler.resolve import world
from intent.compiler.routing import Ways
from intent.model import IPNetwork

Atom = IPNetwork | None


class WaysOut:
    """World is where an uplink is: one party for each prefix in force, on each switch that has one."""

    def __init__(self, ways: Ways, ledger: Ledger, switches: Mapping[int, Switch], places: Places) -> None:
        self._ways = ways
        self._ledger = ledger
        self._switches = switches
        self._places = places
        self._parties: dict[Atom, Party] = {}
        self._fresh: dict[Atom, None] = {}
        self._flows: dict[tuple[int, Atom], tuple[FlowKey, ...]] = {}
        for key in ways.keys:
            ledger.pools["network"].want(key)
        for port in ways.ports:
            ledger.pools["attachment"].want(routing.attachment_key(port))

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
        for dpid in self._ways.uplinks:
            switch = self._switches.get(dpid)
            if switch is not None and switch.is_new:
                self._places.touched.update(((dpid, party), None) for party in self._parties.values())

    def _come(self, atom: Atom) -> None:
        for dpid in self._ways.uplinks:
            self._parties[atom] = self._places.refer(world(atom), dpid)
        self._fresh[atom] = None

    def _go(self, atom: Atom, party: Party) -> None:
        for dpid in self._ways.uplinks:
            self._places.unrefer((party,), dpid)
            switch = self._switches.get(dpid)
            keys = self._flows.pop((dpid, atom), ())
            if switch is not None and not switch.is_new:
                switch.flows.disclaim(keys)

    def arrive(self) -> None:
        """Put in what comes, with its numbers."""
        number = self._ledger.number
        for dpid, ports in self._ways.uplinks.items():
            switch = self._switches.get(dpid)
            if switch is None:
                continue
            if switch.is_new:
                for port in ports:
                    switch.flows.claim(routing.port_flows(self._ways, port, number))
            for atom in self._parties if switch.is_new else self._fresh:
                flows = routing.prefix_flows(atom, number("identity", world(atom).key))
                self._flows[dpid, atom] = switch.flows.claim(flows)
        self._fresh.clear()
