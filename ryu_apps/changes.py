"""What to send to a switch, as values: bundles, and the order in which many changes may go. Pure."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from intent.compiler import Delta, diff
from intent.compiler.flow import Flow, FlowBody, FlowKey
from ryu_apps import timers, turning
from ryu_apps.reach import FIRST_TABLE
from ryu_apps.staging import Sorter
from ryu_apps.timers import Actual, Held
from ryu_apps.wire import Command, ForeignFlow
from topology.breathing import Breathe, go_on, paced

MAX_MESSAGES = 10_000
"""Messages in one bundle: more stall the userspace datapath (22 ms for each 20,000 flows)."""
STAGED_MESSAGES = 2_500
"""Messages in each bundle of a larger change: packets wait less, and the next is sent while one is committed."""
SERVING_MESSAGES = 1_000
"""As many if the switch forwards: a commit takes 1.3 µs a flow, and encoding and revalidators want the core, too."""

FIRST_MESSAGES = 500
"""Messages in the first of these, as the switch has nothing to do until it is decided and encoded."""

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


class Lead(NamedTuple):
    """How one program came from another: whoever holds `before` need not look for what is different."""

    before: Actual
    after: Actual
    delta: Delta
    """What `diff` would say of the two, but for the order."""


def changes_between(
    actual: Held, desired: Held, lead: Lead | None = None, breathe: Breathe = go_on
) -> tuple[Change, ...]:
    """Return the least that turns `actual` into `desired`, deletions first; in no other order if `lead` is known.

    `lead` is of use if it tells of these very objects; `breathe` is called now and then.
    """
    known = lead is not None and actual is lead.before and desired is lead.after
    delta = lead.delta if lead is not None and known else diff(actual, desired, breathe)
    gone = [(Command.DELETE_STRICT, Flow(key, actual[key])) for key in paced(delta.deletes, breathe)]
    put = [(Command.ADD, flow) for flow in paced(itertools.chain(delta.adds, delta.changes), breathe)]
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
    """Return a bundle as it is sent now: what ends by itself gets the time that is left.

    What ended while the bundles before it were on their way is deleted instead: a timer cannot be so short.
    """
    if not any(flow.body.expires_at for _, flow in bundle.changes):
        return bundle
    return Bundle(bundle.foreign, tuple(_as_of(change, now_s) for change in bundle.changes))


def _as_of(change: Change, now_s: float) -> Change:
    command, flow = change
    if flow.body.expires_at and timers.is_over(flow.body.expires_at, now_s):
        command = Command.DELETE_STRICT
    return command, timers.on_wire(flow, now_s)


def stages(
    whole: Bundle, actual: Held, desired: Held, limit: int = MAX_MESSAGES, breathe: Breathe = go_on
) -> Iterator[Bundle]:
    """Cut a change into bundles such that exactly one of them changes what packets of this program meet.

    Up to `limit` messages are one bundle. More: foreign flows go first (they could send packets
    anywhere); then what no packet can tell from nothing, at most `STAGED_MESSAGES` in a bundle; then the flip,
    in one bundle; then, cut again, deletions of what makes no difference any more (`staging`). Where packets would
    wait, bundles are smaller, and a flip of more than `limit` turns by a bit (`turning`). So does one that
    deletes so many: others may have written a million flows. The first may be sent before the others are decided.
    `breathe` is called now and then while they are.
    """
    if len(whole) <= limit:
        if len(whole):
            yield whole
        return
    serving = turning.serves(actual, breathe)
    piece = min(limit, SERVING_MESSAGES if serving else STAGED_MESSAGES)
    for at in range(0, len(whole.foreign), piece):
        yield Bundle(foreign=whole.foreign[at : at + piece])
    sorter = Sorter(actual, desired, breathe)
    yield from _cut(sorter.early(whole.changes), piece, min(piece, FIRST_MESSAGES))
    flip, late = sorter.flip_and_late()
    turned = None
    if len(flip) > limit and (serving or _deletions(flip, actual, breathe) > limit):
        turned = turning.turn(flip, actual, desired, piece, breathe)
    if turned is None:
        turned = turning.Turn((), flip, ())
    yield from _cut(turned.before, piece)
    if flip:
        yield Bundle(changes=tuple(turned.instant))
    yield from _cut(itertools.chain(turned.after, late), piece)


def _deletions(changes: Iterable[Change], actual: Held, breathe: Breathe) -> int:
    """Return how many deletions packets could tell; none if they meet nothing where they come in."""
    if not any(key.table == FIRST_TABLE for key in paced(actual, breathe)):
        return 0
    return sum(command is Command.DELETE_STRICT for command, _ in paced(changes, breathe))


def _cut(changes: Iterable[Change], limit: int, first: int | None = None) -> Iterator[Bundle]:
    """Yield changes in bundles of at most `limit`, the first of `first` if that is said; each as soon as it is full."""
    waiting = iter(changes)
    while piece := tuple(itertools.islice(waiting, limit if first is None else first)):
        yield Bundle(changes=piece)
        first = None
