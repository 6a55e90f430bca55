"""The ways out of a state: uplinks here and elsewhere, and the identities of the world behind them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping

from intent.compiler import beyond, distant
from intent.compiler.distant import Exit
from intent.compiler.engine.doors import Doors
from intent.compiler.engine.inputs import Changes, Inputs
from intent.compiler.engine.ledger import Ledger
from intent.compiler.engine.people import Party
from intent.compiler.engine.places import Places
from intent.compiler.engine.routes import Detour
from intent.compiler.engine.switch import Switch
from intent.compiler.engine.words import Words
from intent.compiler.flow import Flow, FlowKey
from intent.compiler.resolve import world
from intent.compiler.routing import Ways
from intent.model import IPNetwork

Atom = IPNetwork | None


class WaysOut:
    """World is where an uplink is, or can be reached: there is one party for each prefix in force."""

    def __init__(
        self, inputs: Inputs, ledger: Ledger, switches: Mapping[int, Switch], places: Places, words: Words
    ) -> None:
        self._inputs = inputs
        self._ways = Ways()
        self._ledger = ledger
        self._switches = switches
        self._places = places
        self._words = words
        self._doors = Doors(ledger, switches)
        self._parties: dict[Atom, Party] = {}
        self._fresh: dict[Atom, None] = {}
        self._flows: dict[tuple[int, Atom], tuple[FlowKey, ...]] = {}
        self._homes: dict[int, None] = {}
        """The switches that know the world."""
        self._exits: dict[int, tuple[Exit, ...]] = {}
        """By switch: the uplinks of others."""
        self._held: dict[int, tuple[FlowKey, ...]] = {}
        """By switch: the flows between its endpoints and uplinks of others, and the other way round."""
        self._away: frozenset[int] = frozenset()
        self._moved: dict[int, None] = {}
        self._arrived: dict[int, None] = {}
        """Switches that learned of the world, or begin anew."""

    # -- the model ------------------------------------------------------------------------------

    def leave(self, detour: Detour, new: Iterable[Switch]) -> None:
        """Take out uplinks and prefixes that are not there any more, or not as they were; note those that come."""
        networks = self._ledger.pools["network"]
        for key, (was, now) in detour.domains.items():
            if was is None or now is None:
                (networks.release if now is None else networks.want)(key)
        self._doors.leave(detour)
        self._ways = detour.after
        for dpid in detour.ports:
            if dpid in self._ways.uplinks and dpid not in self._homes:
                self._settle(dpid)
        for atom in self._turned(detour):
            party = self._parties.pop(atom, None)
            if party is None:
                self._come(atom)
            else:
                self._go(atom, party)
        for switch in new:
            if switch.ports.dpid in self._homes:
                self._arrived[switch.ports.dpid] = None
                self._places.touched.update(((switch.ports.dpid, party), None) for party in self._parties.values())

    def _turned(self, detour: Detour) -> list[Atom]:
        """Return the prefixes that come and those that go: without uplinks there are none."""
        if not detour.after.uplinks:
            return list(self._parties)
        return list(self._words.new.prefixes) if None in self._parties else [None, *self._words.prefixes()]

    def _come(self, atom: Atom) -> None:
        for dpid in self._homes:
            self._parties[atom] = self._places.refer(world(atom), dpid)
        self._fresh[atom] = None

    def _go(self, atom: Atom, party: Party) -> None:
        for dpid in self._homes:
            self._places.unrefer((party,), dpid)
            self._disclaim(dpid, self._flows.pop((dpid, atom), ()))

    def _settle(self, dpid: int) -> None:
        """Let a switch know the world."""
        self._homes[dpid] = self._arrived[dpid] = None
        for atom in self._parties:
            self._places.refer(world(atom), dpid)

    def _forsake(self, dpid: int) -> None:
        """Let a switch know the world no more."""
        del self._homes[dpid]
        self._arrived.pop(dpid, None)
        self._places.unrefer(self._parties.values(), dpid)
        for atom in self._parties:
            self._disclaim(dpid, self._flows.pop((dpid, atom), ()))

    def _disclaim(self, dpid: int, keys: Iterable[FlowKey]) -> None:
        switch = self._switches.get(dpid)
        if switch is not None and not switch.is_new:
            switch.flows.disclaim(keys)

    def follow(self, changes: Changes, detour: Detour) -> None:
        """Find out who reaches the uplinks of others now; places are as they are to be."""
        moved, self._places.moved = self._places.moved, {}
        if not self._ways.uplinks and not self._homes and not self._exits:
            self._away = self._inputs.away
            return
        moved.update(self._concerned(changes, detour))
        for dpid in (*moved, *(self._exits.keys() - self._switches.keys())):
            switch = self._switches.get(dpid)
            networks = sorted(switch.ports.answering) if switch is not None else ()
            path = functools.partial(self._inputs.path, dpid)
            found = tuple(distant.exits(self._ways, dpid, networks, path, self._inputs.away))
            if found or dpid in self._homes or dpid in self._held:
                self._turn(dpid, found)

    def _concerned(self, changes: Changes, detour: Detour) -> dict[int, None]:
        """Return the switches that may reach other uplinks than before, or reach them otherwise."""
        away = self._away ^ self._inputs.away
        self._away = self._inputs.away
        if changes.fabric is not None:
            return dict.fromkeys(self._switches)
        names = {p.name for dpid in (*changes.tunnels, *away) for p in self._ways.uplinks.get(dpid, ())}
        names |= detour.uplinks
        domains = [domain for name in sorted(names) for domain in self._ways.served.get(name, ())]
        domains += (now for _, now in detour.domains.values() if now is not None)
        found = dict.fromkeys((*changes.tunnels, *detour.ports))
        return found | {dpid: None for domain in domains for dpid in self._places.circles.around(domain.key)}

    def _turn(self, dpid: int, found: tuple[Exit, ...]) -> None:
        """Note the uplinks of others that a switch reaches; with the first it learns of the world."""
        self._moved[dpid] = None
        self._exits.pop(dpid, None)
        if found:
            self._exits[dpid] = found
        knows = bool(found) or dpid in self._ways.uplinks
        if knows and dpid not in self._homes:
            self._settle(dpid)
        elif not knows and dpid in self._homes:
            self._forsake(dpid)

    # -- the flows ------------------------------------------------------------------------------

    def arrive(self, new: Iterable[Switch]) -> None:
        """Put in what comes, with its numbers; all of it on new switches."""
        for dpid in self._moved:
            self._disclaim(dpid, self._held.pop(dpid, ()))
        self._doors.arrive(self._ways, new)
        for dpid in self._moved:
            if dpid in self._switches and dpid in self._homes:
                self._held[dpid] = self._switches[dpid].flows.claim(self._distant_flows(dpid))
        for dpid in self._homes if self._fresh else self._arrived:
            self._put_prefixes(dpid, self._parties if dpid in self._arrived else self._fresh)
        self._fresh, self._moved, self._arrived = {}, {}, {}

    def _put_prefixes(self, dpid: int, atoms: Iterable[Atom]) -> None:
        switch = self._switches.get(dpid)
        if switch is None:
            return
        for atom in atoms:
            flows = beyond.prefix_flows(atom, self._ledger.number("identity", world(atom).key))
            self._flows[dpid, atom] = switch.flows.claim(flows)

    def _distant_flows(self, dpid: int) -> Iterator[Flow]:
        number = self._ledger.number
        tunnel = self._inputs.tunnels.get(dpid)
        if tunnel is not None:
            for port in self._ways.uplinks.get(dpid, ()):
                yield from distant.entry_flows(self._ways, port, number, tunnel)
        for way in self._exits.get(dpid, ()):
            yield from distant.exit_flows(way, number)
