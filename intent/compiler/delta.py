"""Actual and desired as sets, and what leads from one to the other.

```
      actual                desired
   +-----------+---------+-----------+
   |  deletes  |  equal  |   adds    |
   |           +---------+           |
   |           | changes |           |
   +-----------+---------+-----------+
```

A flow whose actions, cookie or timeout differ is added again: OpenFlow replaces it in place and keeps
its counters (no RESET_COUNTS). MODIFY would keep the old cookie.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from intent.compiler.flow import Flow, FlowBody, FlowKey, Program
from topology.breathing import Breathe, go_on, paced
from topology.frozen import differing

MANY = 5_000
"""Keys that are sorted at once, in about 10 ms."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delta:
    """What to send. Each part is in order if it is from `diff`: the bytes are then the same whatever came before."""

    deletes: tuple[FlowKey, ...] = ()
    adds: tuple[Flow, ...] = ()
    changes: tuple[Flow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.deletes or self.adds or self.changes)

    def __len__(self) -> int:
        return len(self.deletes) + len(self.adds) + len(self.changes)


def in_order(keys: Iterable[FlowKey], breathe: Breathe = go_on) -> list[FlowKey]:
    """Return keys by table, then highest priority first, then match; `breathe` is called now and then."""
    places: dict[tuple[int, int], list[FlowKey]] = {}
    for key in keys:
        place = key[0], -key[1]
        found = places.get(place)
        if found is None:
            places[place] = [key]
        else:
            found.append(key)
    ordered: list[FlowKey] = []
    for place in sorted(places):
        found = places[place]
        for part in _ranges(found, breathe):
            if len(part) > 1:
                part.sort(key=_MATCH)
            ordered += part
    return ordered


def _ranges(keys: list[FlowKey], breathe: Breathe) -> Iterator[list[FlowKey]]:
    """Yield keys by where their matches are among all, each range still in no order; a few are one range."""
    if len(keys) <= MANY or breathe is go_on:
        yield keys
        return
    bounds = sorted(_MATCH(key) for key in itertools.islice(keys, 0, None, MANY // 8))[7::8]
    ranges: list[list[FlowKey]] = [[] for _ in range(len(bounds) + 1)]
    for key in paced(keys, breathe):
        ranges[bisect.bisect(bounds, _MATCH(key))].append(key)
    for part in ranges:
        yield part
        breathe()


_MATCH = itemgetter(FlowKey._fields.index("match"))


def diff(actual: Mapping[FlowKey, FlowBody], desired: Mapping[FlowKey, FlowBody], breathe: Breathe = go_on) -> Delta:
    """Return the least change that makes `actual` equal `desired`; of two relatives, at the cost of what differs.

    `breathe` is called now and then, so that others may run meanwhile.
    """
    keys = in_order(paced(differing(actual, desired), breathe), breathe)
    return Delta(
        tuple(key for key in paced(keys, breathe) if key not in desired),
        tuple(Flow(key, desired[key]) for key in paced(keys, breathe) if key not in actual),
        tuple(Flow(key, desired[key]) for key in paced(keys, breathe) if key in actual and key in desired),
    )


def apply(actual: Program, delta: Delta) -> Program:
    """Return what a switch holds after a delta: the model against which `diff` is tested."""
    gone = set(delta.deletes)
    kept = {k: b for k, b in actual.items() if k not in gone}
    kept.update((flow.key, flow.body) for flow in (*delta.adds, *delta.changes))
    return kept
