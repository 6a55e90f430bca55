"""What may be left out of a program that a switch refuses in part, so that all the rest holds meanwhile. Pure.

Only conjunctions that allow: without one, what it would have allowed is decided further down, and nothing is allowed
that the whole program denies. A deny, a pass or a part of the pipeline is never left out: then nothing is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from intent.compiler.cookie import PIPELINE
from intent.compiler.fields import CONJ_ID
from intent.compiler.flow import Conjunction, FlowBody, FlowKey
from intent.compiler.tables import Lane, Table
from intent.compiler.verdict import Verdicts
from intent.model import Action, Direction
from ryu_apps.reach import Held, is_clause
from ryu_apps.wire import Command, ForeignFlow
from topology.frozen import FrozenMap

if TYPE_CHECKING:
    from ryu_apps.bundle import Failure

_ALLOWING = frozenset(
    Verdicts(Lane.ENFORCED, observing).of(Action.ALLOW, direction, PIPELINE)
    for observing in (False, True)
    for direction in Direction
)


def spared(program: Held, failures: Iterable[Failure]) -> frozenset[int]:
    """Return the conjunctions to leave out; empty if that cannot be done safely."""
    found: set[int] = set()
    for failure in failures:
        if failure.subject is None or isinstance(failure.subject, ForeignFlow):
            return frozenset()
        command, flow = failure.subject
        numbers = _conjunctions(flow.key, flow.body)
        if command is not Command.ADD or not numbers:
            return frozenset()
        found |= numbers
    denying = {
        term.value
        for key, body in program.items()
        if key.table >= Table.EGRESS and body.actions not in _ALLOWING
        for term in key.match
        if term.field is CONJ_ID
    }
    return frozenset() if found & denying else frozenset(found)


def _conjunctions(key: FlowKey, body: FlowBody) -> set[int]:
    """Return the conjunctions that a flow belongs to."""
    if is_clause(body):
        return {act.id for act in body.actions if isinstance(act, Conjunction)}
    return {term.value for term in key.match if term.field is CONJ_ID}


def without(program: FrozenMap[FlowKey, FlowBody], left_out: Collection[int]) -> FrozenMap[FlowKey, FlowBody]:
    """Return a program without some conjunctions, whole; takes time for everything."""
    put: dict[FlowKey, FlowBody] = {}
    gone: list[FlowKey] = []
    for key, body in program.items() if left_out else ():
        numbers = _conjunctions(key, body)
        if numbers.isdisjoint(left_out):
            continue
        stay = tuple(act for act in body.actions if isinstance(act, Conjunction) and act.id not in left_out)
        if stay:
            put[key] = body._replace(actions=stay)
        else:
            gone.append(key)
    return program.but(put, gone)
