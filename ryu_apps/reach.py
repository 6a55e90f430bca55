"""Which flows of a program a packet can meet, and which flows belong to a port. Pure and conservative."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from intent.compiler.fields import CONJ_ID, IN_PORT, REG, Field, Slice
from intent.compiler.flow import (
    Act,
    Conjunction,
    Ct,
    FlowBody,
    FlowKey,
    Goto,
    Load,
    Move,
    Output,
    OutputReg,
    Resubmit,
    Term,
)
from topology.breathing import Breathe, go_on, paced

Held: TypeAlias = Mapping[FlowKey, FlowBody]
"""A program, however it is kept."""
REGISTERS = frozenset(REG)
FIRST_TABLE = 0
MAX_OFPORT = 0xFEFF
"""Above are numbers that stand for no interface, such as the controller and the port a packet came from."""


class Reach:
    """What packets of a program can meet: tables, conjunctions, register values.

    Registers begin as 0 (ovs-fields(7)). A register value that no flow writes meets nothing, so flows
    on a fresh identity or a fresh conjunction are out of reach until something writes it.
    """

    def __init__(self, program: Held, breathe: Breathe = go_on) -> None:
        self.tables = _tables(program, breathe)
        self.conjunctions: set[int] = set()
        self._copied: dict[Field, int] = {}
        """Bits of which nothing is known."""
        self._loaded: dict[Field, dict[int, set[int]]] = {}
        """What slices may hold, by field and mask."""
        self._moves: set[tuple[Slice, Slice]] = set()
        for key, body in paced(program.items(), breathe):
            if key.table in self.tables:
                self._learn(body.actions)
        while sum(self._spread(src, dst) for src, dst in self._moves):
            pass
        for field, slices in self._loaded.items():
            self._copied[field] = self._copied.get(field, 0) | _overlaps(slices)

    def _learn(self, actions: Iterable[Act]) -> None:
        for act in actions:
            if isinstance(act, Conjunction):
                self.conjunctions.add(act.id)
            elif isinstance(act, Load):
                values = self._loaded.setdefault(act.dst.field, {}).setdefault(act.dst.mask, set())
                values.add(act.value << act.dst.offset)
            elif isinstance(act, Move):
                self._moves.add((act.src, act.dst))

    def _spread(self, src: Slice, dst: Slice) -> bool:
        """Let a slice hold what it is a copy of; return whether that is news."""
        if src.field not in REGISTERS:
            return self._doubt(dst.field, dst.mask)
        news = self._doubt(dst.field, _shifted(self._copied.get(src.field, 0), src, dst))
        for mask, values in list(self._loaded.get(src.field, {}).items()):
            if there := _shifted(mask, src, dst):
                held = self._loaded.setdefault(dst.field, {}).setdefault(there, set())
                before = len(held)
                held.update(_shifted(value, src, dst) for value in values)
                news |= len(held) != before
        return news

    def _doubt(self, field: Field, mask: int) -> bool:
        """Note that nothing is known of some bits; return whether anything was."""
        before = self._copied.get(field, 0)
        self._copied[field] = before | mask
        return bool(mask & ~before)

    def may_meet(self, key: FlowKey) -> bool:
        """Return whether a packet may meet a flow of this key; True when in doubt."""
        if key[0] not in self.tables:
            return False
        for term in key[2]:  # a match is sorted, and what this knows of comes first
            if term[0].index > CONJ_ID.index:
                return True
            if term[0] is not IN_PORT and not self._possible(term):
                return False
        return True

    def _possible(self, term: Term) -> bool:
        if term.field is CONJ_ID:
            return term.value in self.conjunctions
        if term.field not in REGISTERS:
            return True
        certain = term.mask & ~self._copied.get(term.field, 0)
        slices = self._loaded.get(term.field, {})
        untouched = certain
        for mask, values in slices.items():
            untouched &= ~mask
            wanted = term.value & mask & certain
            if (
                wanted
                and wanted not in values
                and (
                    not mask & ~(term.mask & certain)
                    or not any(value & term.mask & certain == wanted for value in values)
                )
            ):
                return False
        return not term.value & untouched


def _shifted(bits: int, src: Slice, dst: Slice) -> int:
    """Return the bits of a slice where a copy has them."""
    return (bits & src.mask) >> src.offset << dst.offset


def _overlaps(slices: Iterable[int]) -> int:
    """Return the bits that more than one slice writes: what they hold is uncertain."""
    seen = twice = 0
    for mask in slices:
        twice |= seen & mask
        seen |= mask
    return twice


def _tables(program: Held, breathe: Breathe) -> set[int]:
    next_tables: dict[int, set[int]] = {}
    for key, body in paced(program.items(), breathe):
        next_tables.setdefault(key.table, set()).update(_targets(body.actions))
    reached, waiting = set[int](), [FIRST_TABLE]
    while waiting:
        table = waiting.pop()
        if table not in reached:
            reached.add(table)
            waiting.extend(next_tables.get(table, ()))
    return reached


def _targets(actions: Iterable[Act]) -> Iterator[int]:
    for act in actions:
        if isinstance(act, Goto | Resubmit) or (isinstance(act, Ct) and act.table is not None):
            yield act.table  # type: ignore[misc] # Ct.table was looked at above


def flows_by_port(program: Held) -> dict[int, set[FlowKey]]:
    """Return the flows that let packets in from, or out to, one port, by its number.

    A port is let in by matching `in_port`, and reached by an output to it or by loading its number into
    a register slice that some flow outputs to.
    """
    slices = output_slices(program.values())
    found: dict[int, set[FlowKey]] = {}
    for key, body in program.items():
        for ofport in ports_of(key, body, slices):
            found.setdefault(ofport, set()).add(key)
    return found


def output_slices(bodies: Iterable[FlowBody]) -> set[Slice]:
    """Return the register slices whose value some flow takes for the port to output to."""
    return {act.src for body in bodies for act in body[0] if type(act) is OutputReg}


def is_clause(body: FlowBody) -> bool:
    """Whether a flow only satisfies clauses of conjunctions; there may be a thousand in it."""
    return bool(body.actions) and isinstance(body.actions[0], Conjunction)


def ports_of(key: FlowKey, body: FlowBody, slices: Collection[Slice]) -> list[int]:
    """Return the ports that a flow belongs to; `slices` as of all flows of the switch, of which there are few."""
    match, actions = key[2], body[0]
    found = [match[0][1]] if match and match[0][0] is IN_PORT else []  # a match is sorted, and this comes first
    if actions and type(actions[0]) is Conjunction:
        return found
    for act in actions:
        if type(act) is Load:
            dst = act.dst
            for wanted in slices:
                if dst.field is wanted.field and dst == wanted:
                    found.append(act.value)  # noqa: PERF401 - to begin a comprehension takes longer than all this
        elif type(act) is Output and act.port <= MAX_OFPORT:
            found.append(act.port)
    return found
