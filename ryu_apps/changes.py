"""What to send to a switch, as values: bundles, and the order in which many changes may go. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from intent.compiler import diff
from intent.compiler.flow import Flow, FlowBody, FlowKey
from ryu_apps import timers
from ryu_apps.reach import Reach
from ryu_apps.timers import Actual, Held
from ryu_apps.wire import Command, ForeignFlow

MAX_MESSAGES = 10_000
"""Messages in one bundle: more stall the userspace datapath (22 ms for each 20,000 flows)."""

Change: TypeAlias = tuple[Command, Flow]
"""ADD (or replace, keeping counters) or DELETE_STRICT."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bundle:
    """What becomes true at one instant; sent in this order."""

    foreign: tuple[ForeignFlow, ...] = ()
    """To be deleted: flows that this project could not have written."""
    changes: tuple[Change, ...] = ()

    def __len__(self) -> int:
        return len(self.foreign) + len(self.changes)


def changes_between(actual: Held, desired: Held) -> tuple[Change, ...]:
    """Return the least that turns `actual` into `desired`, deletions first."""
    delta = diff(actual, desired)
    gone = [(Command.DELETE_STRICT, Flow(key, actual[key])) for key in delta.deletes]
    put = [(Command.ADD, flow) for flow in (*delta.adds, *delta.changes)]
    return (*gone, *put)


def applied(program: Actual, changes: Iterable[Change]) -> Actual:
    """Return what a switch is known to hold after it confirmed changes."""
    put: dict[FlowKey, FlowBody] = {}
    gone: list[FlowKey] = []
    for command, flow in changes:
        if command is Command.ADD:
            put[flow.key] = flow.body
        else:
            gone.append(flow.key)
    return program.but(put, gone)


def on_wire(bundle: Bundle, now_s: float) -> Bundle:
    """Return a bundle as it is sent now: what ends by itself gets the time that is left."""
    if not any(flow.body.expires_at for _, flow in bundle.changes):
        return bundle
    return Bundle(bundle.foreign, tuple((command, timers.on_wire(flow, now_s)) for command, flow in bundle.changes))


def stages(whole: Bundle, actual: Held, desired: Held, limit: int = MAX_MESSAGES) -> list[Bundle]:
    """Cut a change into bundles such that exactly one of them changes what packets of this program meet.

    Up to `limit` messages are one bundle. More: foreign flows go first (they could send packets
    anywhere); then additions that no packet can reach, at most `limit` in a bundle; then the flip, in
    one bundle whatever its size; then, cut again, deletions of what no packet reaches any more.
    """
    if len(whole) <= limit:
        return [whole] if len(whole) else []
    before, later = Reach(actual), Reach(desired)
    early: list[Change] = []
    flip: list[Change] = []
    late: list[Change] = []
    for change in whole.changes:
        command, (key, _) = change
        if command is Command.ADD and key not in actual and not before.may_meet(key):
            early.append(change)
        elif command is Command.DELETE_STRICT and not later.may_meet(key):
            late.append(change)
        else:
            flip.append(change)
    foreign = [Bundle(foreign=whole.foreign[at : at + limit]) for at in range(0, len(whole.foreign), limit)]
    turn = [Bundle(changes=tuple(flip))] if flip else []
    return [*foreign, *_cut(early, limit), *turn, *_cut(late, limit)]


def _cut(changes: list[Change], limit: int) -> Iterator[Bundle]:
    return (Bundle(changes=tuple(changes[at : at + limit])) for at in range(0, len(changes), limit))
