"""Which part of a large change may go before the flip, and which after it, because no packet can tell. Pure.

A conjunction that lacks all flows of one of its clauses is never satisfied, whatever else of it is there: packets go
on as if it were not. So of a new conjunction everything but one clause goes early, of an old one everything but one
goes late, and the flip is what adds, and takes, that one.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterable, Iterator

from intent.compiler.fields import CONJ_ID, IN_PORT
from intent.compiler.flow import Conjunction, Flow, FlowBody, FlowKey
from ryu_apps.reach import Reach, is_clause
from ryu_apps.timers import Held
from ryu_apps.wire import Command
from topology.breathing import Breathe, go_on, paced

Change = tuple[Command, Flow]
PIECE = 500
"""Changes that are looked at before the first of them are sent."""
FEW = 100
"""Deletions that all go in the flip: finding out which of them could wait takes longer, it looks at everything."""
_Place = tuple[int, int]
"""Table and id of a conjunction: it is satisfied, or not, in each table by itself."""


def _keystones(here: Held, there: Held, breathe: Breathe) -> dict[_Place, int]:
    """Return, of the conjunctions that only the first program has, the clause that is left to the flip.

    It is the one with the fewest flows, where a flow that is in the flip for several counts only in part for each.
    """
    known = {(key.table, act.id) for key, body in paced(there.items(), breathe) for act in _acts(body)}
    costs: dict[_Place, dict[int, float]] = {}
    for key, body in paced(here.items(), breathe):
        acts = [act for act in _acts(body) if (key.table, act.id) not in known]
        for act in acts:
            clauses = costs.setdefault((key.table, act.id), {})
            clauses[act.clause] = clauses.get(act.clause, 0.0) + 1 / len(acts)
    return {place: min(clauses, key=lambda number: (clauses[number], number)) for place, clauses in costs.items()}


def _acts(body: FlowBody | None) -> tuple[Conjunction, ...]:
    return body.actions if body is not None and is_clause(body) else ()  # type: ignore[return-value] # a clause's


class Sorter:
    """Puts each change into its part. What a first installation does not need is not found out."""

    def __init__(self, actual: Held, desired: Held, breathe: Breathe = go_on) -> None:
        """Sort what leads from one program to the other; `breathe` is called now and then."""
        self._breathe = breathe
        self._actual = actual
        self._desired = desired
        self._before = Reach(actual, breathe)
        self._deletions: list[Change] = []
        self._flip: list[Change] = []
        self._late: list[Change] = []

    @functools.cached_property
    def _keystones(self) -> tuple[dict[_Place, int], dict[_Place, int]]:
        """Those of new conjunctions, and of those that go."""
        here, there, breathe = self._actual, self._desired, self._breathe
        return _keystones(there, here, breathe), _keystones(here, there, breathe)

    def early(self, changes: Iterable[Change]) -> Iterator[Change]:
        """Yield what may go before the flip; the rest is kept."""
        return self._sorted(paced(changes, self._breathe)) if self._actual else self._added(changes)

    def _sorted(self, changes: Iterable[Change]) -> Iterator[Change]:
        for change in changes:
            command, (key, body) = change
            there = self._actual.get(key)
            if command is Command.DELETE_STRICT:
                self._deletions.append(change)
            elif there is not None:
                yield from self._edited(change, there)
            elif self._is_early(key, body):
                yield change
            else:
                self._flip.append(change)

    def _added(self, changes: Iterable[Change]) -> Iterator[Change]:
        """As `early` for a switch that holds nothing: most additions are told by their tables, many at once."""
        waiting, tables, flip, last = iter(changes), self._before.tables, self._flip, CONJ_ID.index
        while piece := tuple(itertools.islice(waiting, PIECE)):
            early = [change for change in piece if change[1][0][0] not in tables]
            others = []
            for change in piece if len(early) < len(piece) else ():  # written out: 100,000 flows go through here
                (table, _, match), (actions, _, _, _) = change[1]
                if table not in tables:
                    continue
                if (match and match[match[0][0] is IN_PORT and len(match) > 1][0].index <= last) or (
                    actions and type(actions[0]) is Conjunction
                ):
                    others.append(change)  # matches what a program writes, or is a clause
                else:
                    flip.append(change)
            yield from early
            for change in others:
                if self._is_early(*change[1]):
                    yield change
                else:
                    flip.append(change)

    def _is_early(self, key: FlowKey, body: FlowBody) -> bool:
        """Whether no packet meets a new flow."""
        return not self._before.may_meet(key) or (is_clause(body) and self._is_idle(key, _acts(body), old=False))

    def _edited(self, change: Change, there: FlowBody) -> Iterator[Change]:
        """Of a clause flow that stays, what it gains may go early, and what it loses late."""
        key, body = change[1]
        if not is_clause(body) or not is_clause(there) or there._replace(actions=body.actions) != body:
            self._flip.append(change)
            return
        held, wanted = set(_acts(there)), set(_acts(body))
        gained, lost = wanted - held, held - wanted
        if (gained and not self._is_idle(key, gained, old=False)) or (lost and not self._is_idle(key, lost, old=True)):
            self._flip.append(change)
            return
        if gained:
            both = tuple(sorted(held | wanted, key=lambda act: (act.id, act.clause)))
            yield Command.ADD, Flow(key, body._replace(actions=both))
        if lost:
            self._late.append(change)

    def _is_idle(self, key: FlowKey, acts: Collection[Conjunction], *, old: bool) -> bool:
        """Whether these clauses may be there, or not, without any packet's noticing."""
        if not acts:
            return False
        keystones = self._keystones[old]
        return all(keystones.get((key.table, act.id), act.clause) != act.clause for act in acts)

    def flip_and_late(self) -> tuple[list[Change], list[Change]]:
        """Return the flip, and what may go after it; when all that goes early was asked for."""
        if len(self._deletions) <= FEW:
            self._flip += self._deletions
        else:
            later = Reach(self._desired, self._breathe)
            for change in paced(self._deletions, self._breathe):
                key, body = change[1]
                goes_late = not later.may_meet(key) or self._is_idle(key, _acts(body), old=True)
                (self._late if goes_late else self._flip).append(change)
        return self._flip, self._late
