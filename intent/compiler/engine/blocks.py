"""What switches that begin together have in common: units that most of them place, worked out once.

What policies say is the same on every switch but for who is there. So decisions and clauses of services are
made once and laid into each program as they are; clauses of parties are made once for whom they belong to, and
take a key for each party.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import repeat
from typing import NamedTuple

from intent.compiler import cookie
from intent.compiler.engine.clauses import Flows, Solo
from intent.compiler.engine.people import Cast, Party
from intent.compiler.engine.rules import Spot, Unit, Way
from intent.compiler.flow import FlowBody, FlowKey, Match, Program
from intent.model import Action

CLIENTS, SERVERS = 0, 1
Spoken = dict[tuple[int, int], list[Solo]]
"""The clauses of one side, by table and priority."""

_flow_key = partial(tuple.__new__, FlowKey)


class Shape(NamedTuple):
    """The clauses of a party, but for whose they are; all parts have one length."""

    tables: tuple[int, ...]
    priorities: tuple[int, ...]
    bodies: tuple[FlowBody, ...]


class Block:
    """Units in their places, and all that does not depend on who is there."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self.units: dict[Unit, None] = dict.fromkeys(units)
        self.used: Counter[tuple[Way, int]] = Counter()
        """How many decide in a tier."""
        self.passes: dict[Way, dict[Unit, Spot]] = {}
        """Their decisions depend on the switch: those in `flows` say nothing yet."""
        self._spoken: tuple[dict[Cast, Spoken], dict[Cast, Spoken]] = ({}, {})
        self._shapes: dict[tuple[int, tuple[Cast, ...]], Shape] = {}
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
            sides = zip(self._spoken, (unit.clients, unit.servers), unit.members, strict=True)
            for spoken, cast, clause in sides:
                if cast is not None and clause is not None:
                    spoken.setdefault(cast, {}).setdefault(place, []).append(clause)

    def say(self, program: Program, parties: Iterable[Party]) -> None:
        """Put the clauses of parties, as clients and as servers."""
        clients, servers = self._spoken
        for party in parties:
            if mine := tuple(cast for cast in party.casts if cast in clients):
                program.update(_flows(self._shape(CLIENTS, mine), party.as_client.match))
            if mine := tuple(cast for cast in party.casts if cast in servers):
                program.update(_flows(self._shape(SERVERS, mine), party.as_server.match))

    def _shape(self, side: int, casts: tuple[Cast, ...]) -> Shape:
        found = self._shapes.get((side, casts))
        if found is None:
            found = self._shapes[side, casts] = _shape([self._spoken[side][cast] for cast in casts])
        return found


def _shape(spoken: Collection[Spoken]) -> Shape:
    """Return what is said in several names at once."""
    clauses: Spoken = {}
    for each in spoken:
        for place, found in each.items():
            clauses[place] = clauses[place] + found if place in clauses else found
    bodies = tuple(map(_body, clauses.values()))
    return Shape(tuple(table for table, _ in clauses), tuple(priority for _, priority in clauses), bodies)


def _body(clauses: list[Solo]) -> FlowBody:
    first = clauses[0]
    if len(clauses) == 1 and first.body is not None:
        return first.body
    members = tuple(clause.member for clause in sorted(clauses) if clause.member is not None)
    return FlowBody(members, cookie.CLAUSE, 0, first.expires_at)


def _flows(shape: Shape, match: Match) -> Iterator[tuple[FlowKey, FlowBody]]:
    keys = map(_flow_key, zip(shape.tables, shape.priorities, repeat(match)))
    return zip(keys, shape.bodies, strict=False)


def common(wanted: Collection[Mapping[Unit, None]]) -> Block:
    """Return the block of units that most switches want."""
    counts: Counter[Unit] = Counter()
    for units in wanted:
        counts.update(units.keys())
    return Block(unit for unit, count in counts.items() if 2 * count > len(wanted))
