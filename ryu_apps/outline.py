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
from intent.compiler.flow import Flow, FlowBody, FlowKey, Meter, OutputReg, Program
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
        put = [*delta.adds, *delta.changes]
        gone = [Flow(key, self.program[key]) for key in (*delta.deletes, *(flow.key for flow in delta.changes))]
        program = self.program.but(dict(put), delta.deletes)
        slices = Counter(self.slices)
        slices.subtract(_counted(body for _, body in gone))
        slices.update(_counted(body for _, body in put))
        slices = +slices
        if slices.keys() == self.slices.keys():
            found = self._changed(program, gone, put)
        else:  # all flows that load one of them may belong to other ports
            found = self.of(dict(program.items()))
        lead = Lead(self.program, program, delta)
        return dataclasses.replace(found, program=program, slices=slices, lead=lead, made={})

    def _changed(
        self,
        program: FrozenMap[FlowKey, FlowBody],
        gone: Iterable[tuple[FlowKey, FlowBody]],
        put: Iterable[tuple[FlowKey, FlowBody]],
    ) -> Self:
        ports, timed = _Groups(self.of_port), _Groups(self.timed)
        metering = Counter(self.metering)
        for flows, there in ((gone, False), (put, True)):
            for key, body in flows:
                for ofport in ports_of(key, body, self.slices):
                    ports.note(ofport, key, there=there)
                if limited := metered(body):
                    metering[limited] += 1 if there else -1
                if body.expires_at:
                    timed.note(body.expires_at, key, there=there)
        groups = ports.done(), +metering, timed.done()
        return type(self)(program, *groups, self.slices)

    @property
    def meters(self) -> dict[int, int]:
        """Return the meters in use, each with its rate, as `verdict.meters` does."""
        return dict(sorted(self.metering))


def _counted(bodies: Iterable[FlowBody]) -> Counter[Slice]:
    """Return the slices that name the ports which flows send to; clauses of conjunctions are long, and never do."""
    return Counter(
        act.src for body in bodies if not is_clause(body) for act in body.actions if isinstance(act, OutputReg)
    )


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
