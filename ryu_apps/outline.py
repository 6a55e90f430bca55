"""What the compiler says of each switch, kept as values that threads may share, and changed by deltas.

The engine's programs change in place; a switch's thread reads its program while the next change is compiled.
So each switch has an `Outline`: a value, with what else its thread needs to know of it. Two of them are compared
at the cost of what differs, so a thread sends the difference from what it confirmed last to what is wanted now,
however many changes lie between.
"""

from __future__ import annotations

import dataclasses
import gc
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Self

from intent.compiler import Delta, IdMap
from intent.compiler.engine import Engine, IdChange
from intent.compiler.fields import Slice
from intent.compiler.flow import Actions, Conjunction, FlowBody, FlowKey, Load, Meter, OutputReg, Program
from intent.compiler.verdict import metered
from intent.model import Intents
from ryu_apps.changes import Lead
from ryu_apps.collecting import uncollected
from ryu_apps.reach import is_clause, ports_of
from topology.frozen import FrozenMap
from topology.model import Inventory


@dataclasses.dataclass(frozen=True, slots=True)
class Outline:
    """A program, and what of it belongs to ports, meters and timers; successors share what did not change."""

    program: FrozenMap[FlowKey, FlowBody]
    of_port: FrozenMap[int, frozenset[FlowKey]]
    """The flows that let packets in from, or out to, each port."""
    metering: Mapping[tuple[int, int], int]
    """How many flows use each meter, by its number and rate."""
    timed: FrozenMap[int, frozenset[FlowKey]]
    """Flows that end by themselves, by their end."""
    slices: Mapping[Slice, int]
    """Register slices that say the port to output to, and for how many flows."""
    lead: Lead | None = dataclasses.field(default=None, compare=False)
    """The change that led here, where one did."""
    made: Mapping[FlowKey, FlowBody] = dataclasses.field(default_factory=dict, compare=False)
    """The whole program in the order in which it was compiled, by which it is gone through in half the time; empty
    after changes."""

    @classmethod
    def of(cls, program: Program) -> Self:
        """Return the outline of a program, which it copies."""
        slices = _counted(program.values())
        ports: dict[int, list[FlowKey]] = {}
        timed: dict[int, list[FlowKey]] = {}
        metering = Counter[tuple[int, int]]()
        made = dict(program)
        for key, body in made.items():
            for ofport in ports_of(key, body, slices):
                ports.setdefault(ofport, []).append(key)
            if type(body[0][0] if body[0] else None) is Meter and (limited := metered(body)):
                metering[limited] += 1
            if body[3]:  # expires_at
                timed.setdefault(body[3], []).append(key)
        grouped = [FrozenMap({n: frozenset(keys) for n, keys in found.items()}) for found in (ports, timed)]
        return cls(FrozenMap(made), grouped[0], metering, grouped[1], slices, made=made)

    def after(self, delta: Delta) -> Self:
        """Return the outline that a change leads to."""
        held = self.program
        program = held.but(dict((*delta.adds, *delta.changes)), delta.deletes)
        turn = _Turn(self)
        for key in delta.deletes:
            turn.note(key, held[key], -1)
        for key, body in delta.adds:
            turn.note(key, body, 1)
        for key, body in delta.changes:
            turn.change(key, held[key], body)
        slices = +turn.slices
        if slices.keys() == self.slices.keys():
            groups = turn.ports.done(), +turn.metering, turn.timed.done()
            found = type(self)(program, *groups, slices)
        else:  # all flows that load one of them may belong to other ports
            found = self.of(dict(program.items()))
        return dataclasses.replace(found, program=program, lead=Lead(held, program, delta), made={})

    @property
    def meters(self) -> dict[int, int]:
        """Return the meters in use, each with its rate, as `verdict.meters` does."""
        return dict(sorted(self.metering))


def _counted(bodies: Iterable[FlowBody]) -> Counter[Slice]:
    """Return the slices that name the ports which flows send to; clauses of conjunctions are long, and never do."""
    return Counter(
        act.src for body in bodies if not is_clause(body) for act in body.actions if isinstance(act, OutputReg)
    )


class _Turn:
    """What becomes of all but the program of an outline while flows come and go."""

    def __init__(self, before: Outline) -> None:
        self._known = before.slices
        self.slices, self.metering = Counter(before.slices), Counter(before.metering)
        self.ports, self.timed = _Groups(before.of_port), _Groups(before.timed)

    def note(self, key: FlowKey, body: FlowBody, step: int) -> None:
        """Take a flow in (1) or out (-1)."""
        for ofport in ports_of(key, body, self._known):
            self.ports.note(ofport, key, there=step > 0)
        self._count(key, body, step)

    def change(self, key: FlowKey, was: FlowBody, now: FlowBody) -> None:
        """Let a flow be another; mostly that is no matter to anything here."""
        if was[3] or now[3] or not self._is_alike(was[0], now[0]):  # expires_at
            self.note(key, was, -1)
            self.note(key, now, 1)

    def _is_alike(self, was: Actions, now: Actions) -> bool:
        """Whether actions differ only in clauses, or in what is loaded where no port is taken from."""
        if len(was) != len(now) or not was or type(was[0]) is Conjunction:
            return bool(was and now) and type(was[0]) is type(now[0]) is Conjunction
        for before, after in zip(was, now, strict=True):
            if before is after or before == after:
                continue
            if not (type(before) is Load and type(after) is Load) or before.dst is not after.dst:
                return False
            field = before.dst.field  # fields are compared sooner than slices
            for wanted in self._known:
                if wanted.field is field:
                    return False
        return type(was[0]) is not Meter

    def _count(self, key: FlowKey, body: FlowBody, step: int) -> None:
        if body[3]:  # expires_at
            self.timed.note(body[3], key, there=step > 0)
        actions = body[0]
        if not actions or type(actions[0]) is Conjunction:
            return  # clauses are long, and in them is none of these
        for act in actions:
            if type(act) is OutputReg:
                self.slices[act.src] += step
        if type(actions[0]) is Meter and (limited := metered(body)):
            self.metering[limited] += step


class _Groups:
    """Sets of flows by number that are being changed."""

    def __init__(self, groups: FrozenMap[int, frozenset[FlowKey]]) -> None:
        self._groups = groups
        self._touched: dict[int, set[FlowKey]] = {}

    def note(self, number: int, key: FlowKey, *, there: bool) -> None:
        """Put a flow into the set of a number, or take it out."""
        keys = self._touched.get(number)
        if keys is None:
            keys = self._touched[number] = set(self._groups.get(number, ()))
        if there:
            keys.add(key)
        else:
            keys.discard(key)

    def done(self) -> FrozenMap[int, frozenset[FlowKey]]:
        """Return the sets that have a member."""
        put = {number: frozenset(keys) for number, keys in self._touched.items() if keys}
        return self._groups.but(put, [number for number in self._touched if number not in put])


class Tracker:
    """An engine, and the outlines of what it said."""

    def __init__(self, ids: IdMap) -> None:
        """Begin with the numbers that are durable."""
        self._engine = Engine(ids)
        self.outlines: Mapping[int, Outline] = {}
        """By datapath id; another object once anything changed."""

    def follow(self, intents: Intents, inventory: Inventory, dpids: Collection[int], now_s: float) -> IdChange:
        """Compile what changed; return what is to be made durable before any switch learns of it.

        Raises:
            CompileError, OutOfNumbers: it cannot be; nothing changed then.
        """
        with uncollected():
            update = self._engine.update(intents, inventory, dpids, now_s)
            wanted = self._engine.dpids
            outlines = {dpid: outline for dpid, outline in self.outlines.items() if dpid in wanted}
            outlines |= {dpid: Outline.of(self._engine.program(dpid)) for dpid in update.whole}
            outlines |= {dpid: self.outlines[dpid].after(delta) for dpid, delta in update.deltas.items()}
        made_anew = bool(self.outlines) and update.whole == wanted
        self.outlines = outlines
        if made_anew:
            gc.unfreeze()  # what it replaces goes now
            gc.collect()
            gc.freeze()
        return update.ids
