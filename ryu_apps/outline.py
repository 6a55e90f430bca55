"""What the compiler says of each switch, kept as values that threads may share, and changed by deltas.

The engine's programs change in place; a switch's thread reads its program while the next change is compiled.
So each switch has an `Outline`: a copy, with what else its thread needs to know of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Self

from intent.compiler import Delta, IdMap
from intent.compiler.engine import Engine, IdChange
from intent.compiler.fields import Slice
from intent.compiler.flow import Flow, FlowBody, FlowKey, Meter, OutputReg, Program
from intent.compiler.verdict import meter_rate
from intent.model import Intents
from ryu_apps.reach import output_slices, ports_of
from topology.model import Inventory


@dataclasses.dataclass(frozen=True, slots=True)
class Outline:
    """A program, and what of it belongs to ports, meters and timers. Never changed."""

    program: Program
    of_port: Mapping[int, frozenset[FlowKey]]
    """The flows that let packets in from, or out to, each port."""
    metering: Mapping[int, int]
    """How many flows use each meter."""
    timed: frozenset[FlowKey]
    """Flows that end by themselves."""
    slices: frozenset[Slice]
    """Register slices that some flow outputs to."""

    @classmethod
    def of(cls, program: Program) -> Self:
        """Return the outline of a program, which it copies."""
        slices = frozenset(output_slices(program.values()))
        empty = cls({}, {}, {}, frozenset(), slices)
        return empty._changed(program.copy(), (), program.items())

    def after(self, delta: Delta) -> Self:
        """Return the outline that a change leads to."""
        put = [*delta.adds, *delta.changes]
        gone = [Flow(key, self.program[key]) for key in (*delta.deletes, *(flow.key for flow in delta.changes))]
        program = self.program.copy()
        for key in delta.deletes:
            del program[key]
        program.update(put)
        if any(isinstance(act, OutputReg) for _, body in (*gone, *put) for act in body.actions):
            return self.of(program)
        return self._changed(program, gone, put)

    def _changed(
        self,
        program: Program,
        gone: Iterable[tuple[FlowKey, FlowBody]],
        put: Iterable[tuple[FlowKey, FlowBody]],
    ) -> Self:
        touched: dict[int, set[FlowKey]] = {}
        metering, timed = Counter(self.metering), set(self.timed)
        for flows, there in ((gone, False), (put, True)):
            for key, body in flows:
                for ofport in ports_of(key, body, self.slices):
                    keys = touched.get(ofport)
                    if keys is None:
                        keys = touched[ofport] = set(self.of_port.get(ofport, ()))
                    _note(keys, key, there=there)
                if body.actions and isinstance(body.actions[0], Meter):
                    metering[body.actions[0].id] += 1 if there else -1
                if body.expires_at:
                    _note(timed, key, there=there)
        of_port = {**self.of_port, **{ofport: frozenset(keys) for ofport, keys in touched.items()}}
        return dataclasses.replace(
            self,
            program=program,
            of_port={ofport: keys for ofport, keys in of_port.items() if keys},
            metering=+metering,
            timed=frozenset(timed),
        )

    @property
    def meters(self) -> dict[int, int]:
        """Return the meters in use, each with its rate in packets a second."""
        return {number: meter_rate(number) for number in sorted(self.metering)}


def _note(keys: set[FlowKey], key: FlowKey, *, there: bool) -> None:
    if there:
        keys.add(key)
    else:
        keys.discard(key)


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
        with _uncollected():
            update = self._engine.update(intents, inventory, dpids, now_s)
            outlines = {dpid: outline for dpid, outline in self.outlines.items() if dpid in self._engine.dpids}
            outlines |= {dpid: Outline.of(self._engine.program(dpid)) for dpid in update.whole}
            outlines |= {dpid: self.outlines[dpid].after(delta) for dpid, delta in update.deltas.items()}
        if update.whole:
            self._settle_down(again=bool(self.outlines) and update.whole == self._engine.dpids)
        self.outlines = outlines
        return update.ids

    def _settle_down(self, *, again: bool) -> None:
        """Let the collector pass by what was made: it is long-lived, and to visit it takes seconds."""
        if again:
            gc.unfreeze()  # what it replaces
            gc.collect()
        gc.freeze()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Let the garbage collector wait: what is made here stays, and looking at it again and again doubles the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
