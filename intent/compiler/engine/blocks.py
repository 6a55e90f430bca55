"""What switches that begin together have in common: units that most of them place, worked out once.

What policies say is the same on every switch but for who is there. So decisions and clauses of services are
made once and laid into each program as they are; clauses of parties are made once for whom they belong to, and
take a key for each party.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from intent.compiler.engine.clauses import Pattern, Place, Places, Solo, both, joint
from intent.compiler.engine.people import Cast, Party
from intent.compiler.engine.rules import Spot, Unit, Way
from intent.compiler.flow import FlowBody, FlowKey, Match, Program, make
from intent.model import Action

Clauses: TypeAlias = dict[Place, FlowBody]
"""What flows say whose match is a party, whichever."""
_Fixed: TypeAlias = dict[Places, dict[Pattern, list[Solo]]]


class Block:
    """Units in their places, and all that does not depend on who is there."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self.units: dict[Unit, None] = dict.fromkeys(units)
        self.used: Counter[tuple[Way, int]] = Counter()
        """How many decide in a tier."""
        self.passes: dict[Way, dict[Unit, Spot]] = {}
        """Their decisions depend on the switch: those in `flows` say nothing yet."""
        self._sides = _Side(), _Side()
        self.flows: Program = {}
        fixed: _Fixed = {}
        for unit in self.units:
            self._add(unit, fixed)
        for side in self._sides:
            side.rank()
        for places, patterns in fixed.items():
            last, body = list[Solo](), NOTHING
            for each, said in patterns.items():
                if said != last:  # the patterns of a service follow each other, and the same units say them
                    last, body = said, joint(said)
                _put(self.flows, places, each.match, body)

    def _add(self, unit: Unit, fixed: _Fixed) -> None:
        for spot in unit.spots:
            way = spot.lane, spot.direction
            key, body = spot.decision
            self.flows[key] = body
            self.used[way, spot.tier] += 1
            if unit.plan.rule.action is Action.PASS:
                self.passes.setdefault(way, {})[unit] = spot
        patterns = fixed.setdefault(unit.places, {})
        for where, said in unit.fixed:
            for each in where:
                if each in patterns:
                    patterns[each].append(said)
                else:
                    patterns[each] = [said]
        for side, cast, clause in zip(self._sides, (unit.clients, unit.servers), unit.members, strict=True):
            if cast is not None and clause is not None:
                side.add(cast, unit.places, clause)

    def say(self, program: Program, parties: Iterable[Party]) -> None:
        """Put the clauses of parties, as clients and as servers."""
        clients, servers = self._sides
        for party in parties:
            clients.say(program, party.casts, party.as_client.match)
            servers.say(program, party.casts, party.as_server.match)


class _Side:
    """The clauses of all clients, or of all servers."""

    def __init__(self) -> None:
        self._members: dict[Cast, dict[Places, list[Solo]]] = {}
        self._ranked: list[Cast] = []
        """Those of most parties first: so what parties have in common is at the beginning, and worked out once."""
        self._ranks: dict[Cast, int] = {}
        self._clauses: dict[tuple[int, ...], Clauses] = {}
        """By the ranks of whom a party is among."""

    def add(self, cast: Cast, places: Places, clause: Solo) -> None:
        """Let a cast have a clause."""
        self._members.setdefault(cast, {}).setdefault(places, []).append(clause)

    def rank(self) -> None:
        """Begin to say, with all casts there."""
        self._ranked = sorted(self._members, key=lambda cast: -len(cast.members))
        self._ranks = {cast: rank for rank, cast in enumerate(self._ranked)}

    def say(self, program: Program, casts: Iterable[Cast], match: Match) -> None:
        """Put the clauses of a party that is in some casts."""
        ranks = self._ranks
        spoken = tuple(sorted([ranks[cast] for cast in casts if cast in ranks]))
        clauses = self._clauses.get(spoken)
        if clauses is None:
            clauses = self._of(spoken)
        for (table, priority), body in clauses.items():
            program[make(FlowKey, (table, priority, match))] = body

    def _of(self, ranks: tuple[int, ...]) -> Clauses:
        found = self._clauses.get(ranks)
        if found is None:
            found = self._clauses[ranks] = self._alone(ranks[0]) if len(ranks) == 1 else self._joint(ranks)
        return found

    def _alone(self, rank: int) -> Clauses:
        clauses: Clauses = {}
        for places, said in self._members[self._ranked[rank]].items():
            body = joint(said)
            for place in places:
                clauses[place] = both(clauses[place], body) if place in clauses else body
        return clauses

    def _joint(self, ranks: tuple[int, ...]) -> Clauses:
        """Join what all but the last say, which others may be among too, or the first few of very many."""
        if not ranks:
            return {}
        cut = min(len(ranks) - 1, _SHARED)
        bodies: dict[Place, tuple[FlowBody, ...]] = {}
        for some in (ranks[:cut], *((rank,) for rank in ranks[cut:])):
            for place, body in self._of(some).items():
                bodies[place] = (*bodies[place], body) if place in bodies else (body,)
        clauses: Clauses = {}
        made: dict[tuple[int, ...], FlowBody] = {}  # most is said in the table of either direction
        for place, said in bodies.items():
            if len(said) == 1:
                clauses[place] = said[0]
                continue
            parts = tuple(map(id, said))
            if parts not in made:
                made[parts] = both(*said)
            clauses[place] = made[parts]
        return clauses


def _put(program: Program, places: Places, match: Match, body: FlowBody) -> None:
    """Put a clause's flow in each place, beside what is said there."""
    for table, priority in places:
        key = make(FlowKey, (table, priority, match))
        program[key] = both(program[key], body) if key in program else body


NOTHING = make(FlowBody, ((), 0, 0, 0))
_SHARED = 8
"""Casts that parties are taken to have in common, at most: what is kept must not grow with their square."""


def common(wanted: Collection[Mapping[Unit, None]]) -> Block:
    """Return the block of units that most switches want."""
    counts: Counter[Unit] = Counter()
    for units in wanted:
        counts.update(units.keys())
    return Block(unit for unit, count in counts.items() if 2 * count > len(wanted))
