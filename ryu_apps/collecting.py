"""When Python's garbage collector looks at what: never in the midst of a plan, and rarely at what stays for good."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Iterator, Mapping

from intent.model import Intents
from topology.frozen import FrozenMap, differing

FEW = 20
"""Documents that a little change is about."""
MANY = 20_000
"""Objects that are looked at in a millisecond."""
THRESHOLDS = (10_000, 10, 10)
"""For `gc.set_threshold`: with Python's 700 each little plan would be looked at, the moment that it ends."""
_PARTS = tuple(field.name for field in dataclasses.fields(Intents) if field.name not in {"tiers", "revision"})


def is_little(before: Intents | None, after: Intents) -> bool:
    """Whether few documents changed, found at the cost of what differs; False also when that would cost more."""
    if before is None:
        return False
    pairs = ((getattr(before, part), getattr(after, part)) for part in _PARTS)
    return all(was is now or _few(was, now) for was, now in pairs)


def _few(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    if not isinstance(before, FrozenMap) or not isinstance(after, FrozenMap):
        return False
    return len(list(itertools.islice(differing(before, after), FEW + 1))) <= FEW


class _Young:
    """Objects that little changes made and that the collector did not look at, about."""

    count = 0


def pass_by() -> None:
    """Let the garbage collector never look at what there is now: much of it was made just now, in no cycle, to be kept.

    Its looks at everything would otherwise stop all that goes on for up to a second. What is young is looked at first.
    """
    if gc.isenabled():
        gc.collect(1)
        gc.freeze()


@contextlib.contextmanager
def uncollected(*, little: bool = False) -> Iterator[None]:
    """Let the garbage collector wait, and afterwards pass by what was made.

    What is made here is long, stays, and is in no cycle once it goes; looking at it takes longer than making it.
    What others made before is looked at first, so that none of their cycles is passed by. That takes half a
    millisecond, so a `little` change leaves both to the next that is not, or to the one by which it is much.
    """
    was_enabled = gc.isenabled()
    if was_enabled and not little:
        gc.collect(1)
    gc.disable()
    before = gc.get_count()[0]
    try:
        yield
    finally:
        if was_enabled:
            _Young.count += max(gc.get_count()[0] - before, 0)
            if little and _Young.count >= MANY:
                gc.collect(1)
            if not little or _Young.count >= MANY:
                gc.freeze()
                _Young.count = 0
            gc.enable()
