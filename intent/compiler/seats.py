"""Seats: the place of each part of a rule among the priorities of its band.

Parts of one action share a place, at most `SHARD` of them; one that comes gets the first that has room, and stays
there. An allow that ends by itself is alone in a place of allow: all its flows end with it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from intent.compiler.bands import Places
from intent.model import Action

SHARD = 1000
"""Parts that share a place: at most so many conjunctions on one flow (DESIGN section 5)."""
TIMED = "timed"
"""The kind of a rule that ends by itself, which is seated whole. The kind of any other part is its action."""
KINDS = (*(action.value for action in Action), TIMED)

Seats: TypeAlias = Mapping[str, Mapping[str, int]]
"""Places in one band, by kind and key."""


def seated(before: Seats, wanted: Mapping[str, Collection[str]]) -> Seats:
    """Return seats for exactly these keys, by kind. Who has one keeps it; the others are seated in sorted order."""
    keys = {kind: set(wanted.get(kind, ())) for kind in KINDS}
    kept = {kind: {key: place for key, place in before.get(kind, {}).items() if key in keys[kind]} for kind in KINDS}
    fresh = {kind: sorted(keys[kind] - kept[kind].keys()) for kind in KINDS}
    alone = set(kept[TIMED].values())
    found = {
        kind: _shared(kept[kind], fresh[kind], alone if kind == Action.ALLOW else set())
        for kind in KINDS
        if kind != TIMED
    }
    found[TIMED] = _alone(kept[TIMED], fresh[TIMED], found[Action.ALLOW].values())
    return {kind: seats for kind, seats in found.items() if seats}


def _shared(kept: Mapping[str, int], fresh: Iterable[str], barred: set[int]) -> dict[str, int]:
    seats, fill, place = dict(kept), Counter(kept.values()), 0
    for key in fresh:
        while fill[place] >= SHARD or place in barred:
            place += 1
        seats[key] = place
        fill[place] += 1
    return seats


def _alone(kept: Mapping[str, int], fresh: Iterable[str], shared: Iterable[int]) -> dict[str, int]:
    """Seat each by itself. The first place is left to the rules that do not end."""
    taken = {*kept.values(), *shared}
    free = (place for place in itertools.count(1) if place not in taken)
    return {**kept, **dict(zip(fresh, free, strict=False))}


def places(seats: Seats) -> Places:
    """Return how many places of each action are in use, those before the last included."""
    deny, reject, allow, pass_, timed = (max(seats.get(kind, {}).values(), default=-1) + 1 for kind in KINDS)
    return Places(deny, reject, max(allow, timed), pass_)
