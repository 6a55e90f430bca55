"""Bands: the priorities that each order of a tier has for its rules.

A band is a range of slots. Its priorities are places: from the highest those of deny, of reject, of allow and
of pass, each as many as the band has room for. Who sits in which place is in `seats`. Places are counted from where
they began, so a band that is extended leaves every priority in use as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from intent.compiler.spaces import REST_S, OutOfNumbers
from intent.model import Action

MAX_SLOT = 8000
"""Slots of a tier."""
SLOT_STRIDE = 8
"""Priorities in a slot."""
TOP_PRIORITY = 65_000
WIDE = 16
"""Slots of a band in a tier that has many to spare: room for 16,000 denies, 79 timed allows."""
_STEP = 64
"""Slots left free between bands that come one after another at an end of the tier."""


class Places(NamedTuple):
    """A number of places for each action, from the highest priority to the lowest."""

    deny: int = 0
    reject: int = 0
    allow: int = 0
    pass_: int = 0


NOBODY = Places()
LEAST = Places(1, 1, 1, 1)
"""What every band has room for, so that the first rule of an action moves nobody."""


class Band(NamedTuple):
    """The priorities of one order of a tier, from slot `slot` on."""

    slot: int
    room: Places = Places(1, 1, 5, 1)
    """How many places there are; together as many as the slots have priorities."""

    @property
    def end(self) -> int:
        """The first slot after it."""
        return self.slot + sum(self.room) // SLOT_STRIDE

    @property
    def slots(self) -> range:
        """The slots it has."""
        return range(self.slot, self.end)

    def priority(self, action: Action, place: int = 0) -> int:
        """Return the priority of a place: deny > reject > allow > pass.

        Places of deny are counted upwards, those of the others downwards: there they have room to grow.
        """
        deny, reject, allow, _ = self.room
        match action:
            case Action.DENY:
                below = deny - 1 - place
            case Action.REJECT:
                below = deny + place
            case Action.ALLOW:
                below = deny + reject + place
            case Action.PASS:
                below = deny + reject + allow + place
        return TOP_PRIORITY - (self.slot - 1) * SLOT_STRIDE - 1 - below

    def has_room(self, needed: Places) -> bool:
        """Whether so many places fit."""
        deny, reject, allow, pass_ = self.room
        return needed.deny <= deny and needed.reject <= reject and needed.allow <= allow and needed.pass_ <= pass_

    def touched(self, used: Places) -> set[int]:
        """Return the slots that hold any of the places in use."""
        found, start = set[int](), self.room.deny - used.deny
        for there, many in zip((used.deny, *self.room[1:]), used, strict=True):
            found.update(self.slot + below // SLOT_STRIDE for below in range(start, start + many))
            start += there
        return found


class Arrangement(NamedTuple):
    """The bands of a tier by order, and when its freed slots were freed."""

    bands: Mapping[int, Band]
    resting: Mapping[int, float]


def arranged(
    tier: str, before: Arrangement, needed: Mapping[int, Places], had: Callable[[int], Places], now_s: float
) -> Arrangement:
    """Return a band for exactly these orders of a tier, smaller orders in smaller slots.

    Who has room stays. Who has not is extended if that leaves the priorities of those who are there as they are,
    else placed anew in more slots than before, as new orders are. Where there is no gap the whole tier is spread
    anew, which changes the priority of all its flows.

    Args:
        tier: for the message.
        before: as it was.
        needed: places by order.
        had: how many places of an order that goes, or moves, were in use: their slots rest.
        now_s: seconds since the epoch.

    Raises:
        OutOfNumbers: they need more than `MAX_SLOT` slots.
    """
    resting = {slot: since for slot, since in before.resting.items() if since + REST_S > now_s}
    kept = {order: band for order, band in before.bands.items() if order in needed and band.has_room(needed[order])}
    if len(kept) == len(before.bands) == len(needed):
        return Arrangement(before.bands, resting)
    used = {*_slots(before.bands), *resting}
    for order in sorted((before.bands.keys() - kept.keys()) & needed.keys()):
        band = _extended(before.bands[order], needed[order], used)
        if band is not None:
            kept[order] = band
            used.update(band.slots)
    for order, band in before.bands.items():
        if order not in kept:
            resting.update(dict.fromkeys(band.touched(had(order)), now_s))
    wishes = {order: _wish(needed[order], before.bands.get(order)) for order in sorted(needed)}
    slots = _fitted(wishes, kept, set(resting)) or _spread(tier, wishes)
    bands = {
        order: kept[order] if order in kept and slots[order] == kept[order].slots else _made(slots[order], many)
        for order, many in needed.items()
    }
    used = _slots(bands)
    return Arrangement(bands, {slot: since for slot, since in resting.items() if slot not in used})


def _slots(bands: Mapping[int, Band]) -> set[int]:
    return {slot for band in bands.values() for slot in band.slots}


def _made(slots: range, needed: Places) -> Band:
    """Return a band of these slots; what nobody needs yet is for allow, and an eighth of it for each other action."""
    least = _at_least(needed)
    spare = len(slots) * SLOT_STRIDE - sum(least)
    deny, reject, allow, pass_ = least
    other = spare // 8
    return Band(slots.start, Places(deny + other, reject + other, allow + spare - 3 * other, pass_ + other))


def _at_least(needed: Places) -> Places:
    return Places(*map(max, needed, LEAST))


def _extended(band: Band, needed: Places, used: set[int]) -> Band | None:
    """Return the band with more slots before or after it, each place in use where it was; None if that cannot be.

    Deny has the end above. Of the others the last that is in use has the end below: those after it make way.
    """
    slot, room = band.slot, list(band.room)
    for kind, (many, there) in enumerate(zip(needed, band.room, strict=True)):
        lacking = -(-(many - there) // SLOT_STRIDE)
        if lacking <= 0:
            continue
        if kind and any(needed[kind + 1 :]):
            return None
        most = max(lacking, len(band.slots))
        free = _run(range(band.end, band.end + most) if kind else range(slot - 1, slot - 1 - most, -1), used)
        if free < lacking:
            return None
        more = max(lacking, free // 4)
        room[kind] += more * SLOT_STRIDE
        slot -= 0 if kind else more
    return Band(slot, Places(*room))


def _run(slots: range, used: set[int]) -> int:
    """Return how many of these slots are free before the first that is not."""
    for many, slot in enumerate(slots):
        if slot in used or not 1 <= slot <= MAX_SLOT:
            return many
    return len(slots)


class _Wish(NamedTuple):
    """How many slots a band must have, and would."""

    least: int
    most: int


def _wish(needed: Places, before: Band | None) -> _Wish:
    least = -(-sum(_at_least(needed)) // SLOT_STRIDE)
    return _Wish(least, max(WIDE, 2 * least, 2 * len(before.slots) if before else 0))


def _fitted(wishes: Mapping[int, _Wish], kept: Mapping[int, Band], resting: set[int]) -> dict[int, range] | None:
    """Fit new bands between those kept; None where there is no gap, or nobody to be careful of."""
    if not kept and not resting:
        return None
    found = {order: band.slots for order, band in kept.items()}
    used = _slots(kept) | resting
    low = 0
    for (order, wish), high in zip(wishes.items(), _slots_above(wishes, kept), strict=True):
        if order not in found:
            place = _gap(low, high, used, wish)
            if place is None:
                return None
            found[order] = place
            used.update(place)
        low = found[order].stop - 1
    return found


def _slots_above(orders: Iterable[int], kept: Mapping[int, Band]) -> list[int]:
    """Return for each order the least slot of a greater kept order."""
    above, high = [], MAX_SLOT + 1
    for order in sorted(orders, reverse=True):
        above.append(high)
        high = kept[order].slot if order in kept else high
    return above[::-1]


def _gap(low: int, high: int, used: set[int], wish: _Wish) -> range | None:
    """Return free slots strictly between: a quarter of the gap if it is wide, else as many as must be."""
    width = max(wish.least, min(wish.most, (high - low) // 4))
    while True:
        for start in _starts(low, high, width):
            if used.isdisjoint(range(start, start + width)):
                return range(start, start + width)
        if width == wish.least:
            return None
        width = max(wish.least, width // 2)


def _starts(low: int, high: int, width: int) -> Iterator[int]:
    """Yield where slots strictly between may begin: from the middle on, or at an end of the tier near the neighbour."""
    first, last = low + 1, high - width
    step = min(_STEP, (last - first) // 16)
    middle = (first + last) // 2
    if low and high > MAX_SLOT:
        middle = first + step
    elif high <= MAX_SLOT and not low:
        middle = last - step
    for distance in range(last - first + 1):
        yield from (start for start in {middle - distance: None, middle + distance: None} if first <= start <= last)


def _spread(tier: str, wishes: Mapping[int, _Wish]) -> dict[int, range]:
    """Lay out all anew, with gaps between, and wider ones at both ends, where most new orders come."""
    total = sum(wish.least for wish in wishes.values())
    if total > MAX_SLOT:
        raise OutOfNumbers(
            f"tier {tier} uses {len(wishes)} orders and needs {total} slots; at most {MAX_SLOT}: give policies "
            "the same order, put some into another tier, or let fewer rules expire"
        )
    extra, more = sum(wish.most - wish.least for wish in wishes.values()), (MAX_SLOT - total) // 2
    widths = [w.least + (w.most - w.least) * min(more, extra) // max(extra, 1) for w in wishes.values()]
    free, ends, between = MAX_SLOT - sum(widths), max(len(widths) - 1, 2), 2 * max(len(widths) - 1, 0)
    found, start = {}, 1
    for index, (order, width) in enumerate(zip(wishes, widths, strict=True)):
        gap = free * (ends + 2 * index) // (2 * ends + between)
        found[order] = range(start + gap, start + gap + width)
        start += width
    return found
