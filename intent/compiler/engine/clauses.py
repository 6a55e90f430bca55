"""One switch's flows while they change: what is put, taken and edited, and the delta of it all.

The flows of clauses are shared: many units add their conjunctions to one. Edits collect per priority and
pattern, and each flow that is meant is made once, at the end.
"""

from __future__ import annotations

import dataclasses
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter, itemgetter
from typing import NamedTuple, TypeAlias

from intent.compiler import cookie
from intent.compiler.delta import Delta
from intent.compiler.flow import Conjunction, Flow, FlowBody, FlowKey, Match, Program, make
from intent.compiler.resolve import CompileError


class Pattern:
    """A match that clauses share; one object for each, so that it is found without being read."""

    __slots__ = ("__weakref__", "match")

    def __init__(self, match: Match) -> None:
        self.match = match


_patterns: weakref.WeakValueDictionary[Match, Pattern] = weakref.WeakValueDictionary()
NOBODY = Pattern(())
"""Stands in before a party has its number."""


def pattern(match: Match) -> Pattern:
    """Return the pattern of a canonical match."""
    found = _patterns.get(match)
    if found is None:
        found = _patterns[match] = Pattern(match)
    return found


Code: TypeAlias = tuple[int, int]
"""Id and clause of a conjunction, by which those of a flow are sorted."""
code: Callable[[Conjunction], Code] = attrgetter("id", "clause")


class Solo(NamedTuple):
    """A conjunction that one unit adds to flows, or takes out (None), as the only one so far."""

    at: Code
    member: Conjunction | None
    body: FlowBody | None
    """Of the flow that has no other."""

    @property
    def expires_at(self) -> int:
        """When it ends by itself."""
        return self.body.expires_at if self.body else 0


_AT: Callable[[Solo], Code] = itemgetter(0)


def clause(member: Conjunction, expires_at: int) -> Solo:
    """Return the edit that adds a conjunction."""
    return make(Solo, ((member.id, member.clause), member, make(FlowBody, ((member,), cookie.CLAUSE, 0, expires_at))))


def joint(clauses: list[Solo]) -> FlowBody:
    """Return what a flow says that has these clauses, all of one priority."""
    first = clauses[0]
    if len(clauses) == 1 and first.body is not None:
        return first.body
    clauses = sorted(clauses, key=_AT)
    members = tuple([each.member for each in clauses if each.member is not None])
    return make(FlowBody, (members, cookie.CLAUSE, 0, first.expires_at))


def both(*bodies: FlowBody) -> FlowBody:
    """Return what a flow says that says what some do, which have no clause in common."""
    members: list[Conjunction] = []
    for body in bodies:
        members += body.actions  # type: ignore[arg-type] # it is a clause's
    members.sort()  # by code: it is what they begin with, and no two have one
    return make(FlowBody, (tuple(members), cookie.CLAUSE, 0, bodies[0].expires_at))


Place: TypeAlias = tuple[int, int]
"""A table and a priority."""
Places: TypeAlias = tuple[Place, ...]
"""Where a unit has its clauses."""
Ops: TypeAlias = dict[Code, Conjunction | None]
"""By code: there at the end, or not (None)."""
Keys: TypeAlias = dict[Places, dict[Pattern, tuple[FlowKey, ...]]]
"""The keys of a pattern in some places; switches that change together share them."""


@dataclasses.dataclass(slots=True)
class Edits:
    """What changes among the clauses of some places, of one priority each: mostly the tables of both directions."""

    expires_at: int | None = None
    """When the flows end by themselves; None as long as nothing is added."""
    patterns: dict[Pattern, Ops | Solo] = dataclasses.field(default_factory=dict)

    def add(self, where: Iterable[Pattern], clause: Solo) -> None:
        """Add a clause to flows."""
        self.expires_at = clause.expires_at
        self._set(where, clause)

    def remove(self, where: Iterable[Pattern], clause: Solo) -> None:
        """Take a clause out of flows."""
        self._set(where, Solo(clause.at, None, None))

    def merge(self, others: Edits) -> None:
        """Take in what changes in the same place by other edits; a clause that one adds is there at the end."""
        if others.expires_at is not None:
            self.expires_at = others.expires_at
        for which, ops in others.patterns.items():
            added: Ops = {at: member for at, member in _all_of(ops).items() if member is not None}
            self.patterns[which] = _all_of(ops) | _all_of(self.patterns.get(which)) | added

    def _set(self, where: Iterable[Pattern], edit: Solo) -> None:
        patterns = self.patterns
        for each in where:
            before = patterns.get(each)
            if before is None:
                patterns[each] = edit
            elif isinstance(before, dict):
                before[edit.at] = edit.member
            else:
                patterns[each] = {before.at: before.member, edit.at: edit.member}


def _all_of(ops: Ops | Solo | None) -> Ops:
    if ops is None:
        return {}
    return ops if isinstance(ops, dict) else {ops.at: ops.member}


def _apart(edits: dict[Places, Edits]) -> dict[Places, Edits]:
    """Return edits of which no two concern one place: rules of one side or both can share a priority."""
    if len({place for places in edits for place in places}) == sum(map(len, edits)):
        return edits
    apart: dict[Places, Edits] = {}
    for places, some in edits.items():
        for place in places:
            apart.setdefault((place,), Edits()).merge(some)
    return apart


class Flows:
    """The program of one switch and what was done to it since the last delta."""

    def __init__(self, dpid: int = 0, busy: dict[int, None] | None = None) -> None:
        """`busy` collects the datapath ids of programs that change."""
        self.program: Program = {}
        self._dpid = dpid
        self._busy = {} if busy is None else busy
        self._is_new = True
        """Nobody has seen the program: what is touched does not matter."""
        self._touched: dict[FlowKey, tuple[FlowBody | None, FlowBody | None]] = {}
        """What a flow did before the first touch, and does now; None where there was, or is, no such flow."""
        self._claims: dict[FlowKey, int] = {}
        """Flows that more than one owner wants, with how many more."""
        self._edits: dict[Places, Edits] = {}

    def put(self, flow: Flow) -> None:
        """Put a flow that has one owner, in place of what is there."""
        self._set(*flow)

    def _set(self, key: FlowKey, body: FlowBody) -> None:
        if not self._is_new:
            self.wake()
            self._touch(key, self.program.get(key), body)
        self.program[key] = body

    def _touch(self, key: FlowKey, before: FlowBody | None, after: FlowBody | None) -> None:
        """Note what a flow did just before, which matters at the first touch, and does now."""
        did = before, after
        first = self._touched.setdefault(key, did)
        if first is not did:
            self._touched[key] = first[0], after

    def renew(self, keys: Iterable[FlowKey], before: Iterable[FlowBody], after: Iterable[FlowBody]) -> None:
        """Let flows that are there, and have one owner, do something else."""
        program, touch = self.program, self._touched.setdefault
        self.wake()
        for key, did in zip(keys, zip(before, after, strict=True), strict=True):
            if touch(key, did) is not did:
                self._touch(key, *did)
            program[key] = did[1]

    def wake(self) -> None:
        """Say that there is something to settle here."""
        self._busy[self._dpid] = None

    def take(self, key: FlowKey) -> None:
        """Take a flow out that is there."""
        self.wake()
        self._touch(key, self.program.pop(key), None)

    def claim(self, flows: Iterable[Flow]) -> tuple[FlowKey, ...]:
        """Put flows that somebody else may want just so; return their keys for `disclaim`.

        Raises:
            CompileError: somebody wants another flow for the same match.
        """
        keys = []
        program, count = self.program, len(self.program)
        for flow in flows:
            key, body = flow
            there = program.setdefault(key, body)
            if len(program) > count:
                count += 1
                if not self._is_new:
                    self.wake()
                    self._touch(key, None, body)
            elif there is body or there == body:
                self._claims[key] = self._claims.get(key, 0) + 1
            else:
                raise CompileError(
                    f"two flows for one match in table {key.table}, priority {key.priority}: {key.match}"
                )
            keys.append(key)
        return tuple(keys)

    def disclaim(self, keys: Iterable[FlowKey]) -> None:
        """Take flows out that nobody else claims."""
        for key in keys:
            more = self._claims.get(key, 0)
            if not more:
                self.take(key)
            elif more == 1:
                del self._claims[key]
            else:
                self._claims[key] = more - 1

    def has_alone(self, keys: Iterable[FlowKey]) -> bool:
        """Whether nobody else claims any of these flows."""
        return not self._claims or self._claims.keys().isdisjoint(keys)

    def say(self, where: Pattern, clauses: Mapping[tuple[Place, ...], list[Solo]]) -> None:
        """Put the clauses of a pattern that has none yet, by the places that have them."""
        program, match, touch = self.program, where.match, self._touched.setdefault
        for places, said in clauses.items():
            body = joint(said)
            for table, priority in places:
                key = make(FlowKey, (table, priority, match))
                there, done = program.setdefault(key, body), body
                if there is not body:
                    done = program[key] = both(there, body)
                if not self._is_new:
                    did = None, done
                    if touch(key, did) is not did:
                        self._touch(key, None, done)

    def silence(self, where: Pattern, whole: Iterable[tuple[Place, ...]]) -> None:
        """Take all clauses of a pattern out of these places; some may be named twice."""
        pop, match, touch = self.program.pop, where.match, self._touched.setdefault
        for places in whole:
            for table, priority in places:
                key = make(FlowKey, (table, priority, match))
                body = pop(key, None)
                if body is not None and not self._is_new:
                    did = body, None
                    if touch(key, did) is not did:
                        self._touch(key, body, None)

    def edits(self, places: Places) -> Edits:
        """Return the edits of some places. In one change, all that is removed is removed before anything is added."""
        found = self._edits.get(places)
        if found is None:
            self.wake()
            found = self._edits[places] = Edits()
        return found

    # -- the end of a change --------------------------------------------------------------------

    def lay(self, flows: Program) -> None:
        """Put many flows into a new program, where none of them is."""
        self.program.update(flows)
        self.wake()

    def settle(self, keys: Keys) -> None:
        """Carry the edits out."""
        for places, edits in _apart(self._edits).items():
            known = keys.setdefault(places, {})
            for which, ops in edits.patterns.items():
                named = known.get(which)
                if named is None:
                    match = which.match
                    named = known[which] = tuple([make(FlowKey, (*place, match)) for place in places])
                self._edit(named, ops, edits.expires_at)
        self._edits.clear()

    def _edit(self, keys: Iterable[FlowKey], ops: Ops | Solo, expires_at: int | None) -> None:
        """Edit the flows of one pattern: most say the same in the tables of either direction, and go on to."""
        program, touch = self.program, self._touched.setdefault
        known, before, after = False, None, None
        for key in keys:
            there = program.get(key)
            if not known or there is not before:
                known, before, after = True, there, _edited(there, ops, expires_at)
            if after is before:
                continue
            if after is None:
                del program[key]
            else:
                program[key] = after
            if not self._is_new:
                did = before, after  # `edits` has said that there is something to settle
                if touch(key, did) is not did:
                    self._touch(key, before, after)

    def delta(self) -> Delta:
        """Return what changed since the last time, in no order: a switch needs none, and all of it is one instant."""
        deletes, adds, changes = [], [], []
        touched = self._touched
        for key, (before, after) in touched.items():
            if after is None:
                if before is not None:
                    deletes.append(key)
            elif before is None:
                adds.append(make(Flow, (key, after)))
            elif len(before[0]) != len(after[0]) or before != after:  # actions take long to compare
                changes.append(make(Flow, (key, after)))
        touched.clear()
        return Delta(tuple(deletes), tuple(adds), tuple(changes))

    def forget(self) -> None:
        """Begin here: what was done until now is no delta."""
        self._is_new = False
        self._touched.clear()

    def undo(self) -> None:
        """Let the program be as it was at the last delta; this is of no other use afterwards."""
        for key, (before, _) in self._touched.items():
            if before is None:
                self.program.pop(key, None)
            else:
                self.program[key] = before


def _edited(before: FlowBody | None, ops: Ops | Solo, expires_at: int | None) -> FlowBody | None:
    """Return what a flow of clauses says after some changes; the same object if that is no change."""
    if before is None:
        if not isinstance(ops, dict):
            return ops.body
        members = tuple([member for _, member in sorted(ops.items()) if member is not None])
        return make(FlowBody, (members, cookie.CLAUSE, 0, expires_at or 0)) if members else None
    there: tuple[Conjunction, ...] = before.actions  # type: ignore[assignment] # it is a clause's
    after = _edited_often(there, ops) if isinstance(ops, dict) else _edited_once(there, ops.at, ops.member)
    if not after:
        return None
    ends = before.expires_at if expires_at is None else expires_at
    if after is there and ends == before.expires_at:
        return before
    return make(FlowBody, (after, cookie.CLAUSE, 0, ends))


def _edited_often(there: tuple[Conjunction, ...], ops: Ops) -> tuple[Conjunction, ...]:
    if len(ops) > _FEW:
        whole: Ops = {code(member): member for member in there}
        whole.update(ops)
        after = tuple(member for _, member in sorted(whole.items()) if member is not None)
    else:
        after = there
        for at, member in ops.items():
            after = _edited_once(after, at, member)
    return there if after == there else after


_FEW = 4
"""Changes that are made one by one."""


def _edited_once(there: tuple[Conjunction, ...], at: Code, member: Conjunction | None) -> tuple[Conjunction, ...]:
    place = bisect_left(there, at)  # a code is less than each conjunction that begins with it
    if place == len(there) or there[place][:2] != at:
        return there if member is None else (*there[:place], member, *there[place:])
    if member is None:
        return there[:place] + there[place + 1 :]
    if member == there[place]:
        return there
    return (*there[:place], member, *there[place + 1 :])  # one of another number of clauses
