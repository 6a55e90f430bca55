"""Reading bands and seats back, of this version and of those that split a band by the numbers of its conjunctions.

There a band was a slot, a width and the number of shards of each action, and a timer was counted from behind the
shards of allow. Each priority in use has a place here, so bands and timers stay where they are; parts are seated by
the first settlement, which moves nobody unless the band was split.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from intent.compiler.bands import MAX_SLOT, SLOT_STRIDE, Band, Places
from intent.compiler.seats import KINDS, TIMED, Seats
from intent.model import Action


def is_former(raw: Mapping[str, Any]) -> bool:
    """Whether an older version wrote it."""
    return "seats" not in raw


def read_bands(raw: Mapping[str, Any]) -> dict[str, dict[int, Band]]:
    """Return the bands by tier and order.

    Raises:
        ValueError, KeyError, TypeError: they cannot be.
    """
    made = _former_band if is_former(raw) else _band
    bands = {tier: {int(order): made(*parts) for order, parts in m.items()} for tier, m in raw["bands"].items()}
    for tier, by_order in bands.items():
        in_order = [band for _, band in sorted(by_order.items())]
        if any(above.end > below.slot for above, below in itertools.pairwise(in_order)):
            raise ValueError(f"bands of tier {tier} overlap, or are not in the order of their orders")
    return bands


def _band(slot: int, room: Iterable[int]) -> Band:
    band = Band(slot, Places(*room))
    if not all(isinstance(n, int) and n > 0 for n in (slot, *band.room)) or sum(band.room) % SLOT_STRIDE:
        raise ValueError(f"no band: {band}")
    if band.end > MAX_SLOT + 1:
        raise ValueError(f"band beyond the last slot: {band}")
    return band


def _former_band(slot: int, width: int, shards: Iterable[int]) -> Band:
    deny, reject, _, pass_ = shards
    return _band(slot, Places(deny, reject, width * SLOT_STRIDE - deny - reject - pass_, pass_))


def read_seats(raw: Mapping[str, Any]) -> dict[str, Seats]:
    """Return the seats by band.

    Raises:
        ValueError, KeyError, TypeError: they cannot be.
    """
    seats: dict[str, Seats]
    if is_former(raw):
        shards = {band: allow for band, (_, _, allow, _) in raw["shards"].items()}
        seats = {band: {TIMED: _behind(shards.get(band, 1), rules)} for band, rules in raw["timers"].items()}
    else:
        seats = {band: {kind: dict(m) for kind, m in kinds.items()} for band, kinds in raw["seats"].items()}
    for band, kinds in seats.items():
        _check(band, kinds)
    return seats


def _behind(shards: int, timers: Mapping[str, int]) -> dict[str, int]:
    return {rule: shards + place for rule, place in timers.items()}


def _check(band: str, seats: Seats) -> None:
    int(band.rpartition("/")[2])
    if not seats.keys() <= set(KINDS):
        raise ValueError(f"seats of no action in band {band}")
    for kind, by_key in seats.items():
        for place in by_key.values():
            if not isinstance(place, int) or not 0 <= place < MAX_SLOT * SLOT_STRIDE:
                raise ValueError(f"no place of {kind} in band {band}: {place!r}")
    alone = seats.get(TIMED, {}).values()
    shared = {0, *seats.get(Action.ALLOW, {}).values()}
    if len({*alone} - shared) < len(alone):
        raise ValueError(f"a rule that ends by itself is not alone in its place in band {band}")
