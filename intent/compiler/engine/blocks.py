"""What switches that begin together have in common: units that most of them place, worked out once.

What policies say is the same on every switch but for who is there. So decisions and clauses of services are
made once and laid into each program as they are; clauses of parties are made once for whom they belong to, and
take a key for each party.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from intent.compiler.engine.clauses import Flows, Place, Solo, both, joint
from intent.compiler.engine.people import Cast, Party
from intent.compiler.engine.rules import Spot, Unit, Way
from intent.compiler.flow import FlowBody, FlowKey, Match, Program, make
from intent.model import Action

Clauses: TypeAlias = dict[Place, FlowBody]
"""What flows say whose match is a party, whichever."""


class Block:
    """Units in their places, and all that does not depend on who is there."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self.units: dict[Unit, None] = dict.fromkeys(units)
        self.used: Counter[tuple[Way, int]] = Counter()
        """How many decide in a tier."""
        self.passes: dict[Way, dict[Unit, Spot]] = {}
        """Their decisions depend on the switch: those in `flows` say nothing yet."""
        self._sides = _Side(), _Side()
        flows = Flows()
        for unit in self.units:
            self._add(unit, flows)
        flows.settle({})
        self.flows: Program = flows.program

    def _add(self, unit: Unit, flows: Flows) -> None:
        for spot in unit.spots:
            way = spot.lane, spot.direction
            place = spot.table, unit.priority
            flows.put(spot.decision)
            for where, said in unit.fixed:
                flows.edits(*place).add(where, said)
            self.used[way, spot.tier] += 1
            if unit.plan.rule.action is Action.PASS:
                self.passes.setdefault(way, {})[unit] = spot
            for side, cast, clause in zip(self._sides, (unit.clients, unit.servers), unit.members, strict=True):
                if cast is not None and clause is not None:
                    side.add(cast, place, clause)

    def say(self, program: Program, parties: Iterable[Party]) -> None:
        """Put the clauses of parties, as clients and as servers."""
        clients, servers = self._sides
        for party in parties:
            clients.say(program, party.casts, party.as_client.match)
            servers.say(program, party.casts, party.as_server.match)


class _Side:
    """The clauses of all clients, or of all servers."""

    def __init__(self) -> None:
        self._members: dict[Cast, dict[Place, list[Solo]]] = {}
        self._clauses: dict[tuple[Cast, ...], Clauses] = {}
        """By whom a party is among."""

    def add(self, cast: Cast, place: Place, clause: Solo) -> None:
        """Let a cast have a clause."""
        self._members.setdefault(cast, {}).setdefault(place, []).append(clause)

    def say(self, program: Program, casts: Iterable[Cast], match: Match) -> None:
        """Put the clauses of a party that is in some casts."""
        members = self._members
        spoken = tuple([cast for cast in casts if cast in members])
        clauses = self._clauses.get(spoken)
        if clauses is None:
            clauses = self._clauses[spoken] = self._of(spoken)
        for (table, priority), body in clauses.items():
            program[make(FlowKey, (table, priority, match))] = body

    def _of(self, casts: tuple[Cast, ...]) -> Clauses:
        if len(casts) == 1:
            return {place: joint(found) for place, found in self._members[casts[0]].items()}
        clauses: Clauses = {}
        for cast in casts:
            alone = self._clauses.get((cast,))
            if alone is None:
                alone = self._clauses[cast,] = self._of((cast,))
            for place, body in alone.items():
                clauses[place] = both(clauses[place], body) if place in clauses else body
        return clauses


def common(wanted: Collection[Mapping[Unit, None]]) -> Block:
    """Return the block of units that most switches want."""
    counts: Counter[Unit] = Counter()
    for units in wanted:
        counts.update(units.keys())
    return Block(unit for unit, count in counts.items() if 2 * count > len(wanted))
