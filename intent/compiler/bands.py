"""Bands: the priorities that each order of a tier has for its rules.

A band is a range of slots. Its priorities are places: from the highest those of deny, of reject, of allow and
of pass, each as many as the band has room for. Who sits in which place is in `seats`. Places are counted from where
they began, so a band that is extended leaves every priority in use as it is.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
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

    def keeps(self, before: Band, used: Places) -> bool:
        """Whether the actions with places in use have the priorities that they had before."""
        actions = (action for action, many in zip(Action, used, strict=True) if many)
        return all(self.priority(action) == before.priority(action) for action in actions)

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


class Uses(NamedTuple):
    """How many places an order needs, and how many it had before the change."""

    needs: Callable[[int], Places]
    had: Callable[[int], Places]


def news(bands: Mapping[int, Band], needed: Mapping[int, Places]) -> set[int]:
    """Return the orders that come, go, or need more than their band has room for."""
    kept = bands.keys() & needed.keys()
    return (bands.keys() ^ needed.keys()) | {order for order in kept if not bands[order].has_room(needed[order])}


def arranged(
    before: Arrangement, changed: Iterable[int], wanted: Container[int], uses: Uses, now_s: float
) -> Arrangement:
    """Return a band for each order of a tier that is wanted, smaller orders in smaller slots.

    Who has room stays. Who has not is extended if that leaves the priorities of those who are there as they are,
    else it moves to more slots than before, as new orders come. Where there is no gap its neighbours make room, as
    few as need be; that changes the priorities of all their flows.

    Args:
        before: as it was.
        changed: the `news`.
        wanted: all orders there are to be.
        uses: asked about those that change, and their neighbours. The slots that were in use of an order that goes,
            or moves, rest.
        now_s: seconds since the epoch.

    Raises:
        OutOfNumbers: they need more than `MAX_SLOT` slots.
    """
    resting = {slot: since for slot, since in before.resting.items() if since + REST_S > now_s}
    orders = sorted(changed)
    if not orders:
        return Arrangement(before.bands, resting)
    tier = _Tier(before.bands, resting, uses.needs)
    went = {order: before.bands[order] for order in orders if order in before.bands and order not in wanted}
    tier.remove(went)
    resting.update(_rests(went, uses, now_s))
    moving = {o: before.bands[o] for o in orders if o in tier.bands and not tier.extend(o)}
    tier.remove(moving)
    resting.update(_rests(moving, uses, now_s))
    tier.place([order for order in orders if order in wanted and order not in tier.bands], before.bands)
    used = {slot for band in tier.bands.values() for slot in band.slots} if resting else set()
    return Arrangement(tier.bands, {slot: since for slot, since in resting.items() if slot not in used})


def _rests(bands: Mapping[int, Band], uses: Uses, now_s: float) -> dict[int, float]:
    return {slot: now_s for order, band in bands.items() for slot in band.touched(uses.had(order))}


class _Wish(NamedTuple):
    """How many slots a band must have, and would."""

    least: int
    most: int


def _wish(needed: Places, before: Band | None) -> _Wish:
    least = -(-sum(map(max, needed, LEAST)) // SLOT_STRIDE)
    return _Wish(least, max(WIDE, 2 * least, 2 * len(before.slots) if before else 0))


def _made(slots: range, needed: Places) -> Band:
    """Return a band of these slots; what nobody needs yet is for allow, and an eighth of it for each other action."""
    deny, reject, allow, pass_ = map(max, needed, LEAST)
    spare = len(slots) * SLOT_STRIDE - (deny + reject + allow + pass_)
    other = spare // 8
    return Band(slots.start, Places(deny + other, reject + other, allow + spare - 3 * other, pass_ + other))


class _Tier:
    """The bands of a tier while they are arranged."""

    def __init__(self, bands: Mapping[int, Band], resting: Mapping[int, float], needs: Callable[[int], Places]) -> None:
        self.bands = dict(bands)
        self._orders = sorted(bands)
        self._resting = resting
        """Slots that nobody may have; more may be added."""
        self._needs = needs

    def remove(self, orders: Collection[int]) -> None:
        """Take bands out."""
        if not orders:
            return
        self._orders = [order for order in self._orders if order not in orders]
        self.bands = {order: band for order, band in self.bands.items() if order not in orders}

    def extend(self, order: int) -> bool:
        """Give a band more slots before or after it, each place in use where it was; return whether that can be.

        Deny has the end above. Of the others the last that is in use has the end below: those after it make way.
        """
        band, needed, index = self.bands[order], self._needs(order), bisect_left(self._orders, order)
        low, high = self._between(index, index + 1)
        slot, room = band.slot, list(band.room)
        for kind, (many, there) in enumerate(zip(needed, band.room, strict=True)):
            lacking = -(-(many - there) // SLOT_STRIDE)
            if lacking <= 0:
                continue
            most = max(lacking, len(band.slots))
            beside = (
                range(band.end, min(band.end + most, high)) if kind else range(slot - 1, max(slot - 1 - most, low), -1)
            )
            free = next((n for n, each in enumerate(beside) if each in self._resting), len(beside))
            if free < lacking or (kind and any(needed[kind + 1 :])):
                return False
            more = max(lacking, free // 4)
            room[kind] += more * SLOT_STRIDE
            slot -= 0 if kind else more
        self.bands[order] = Band(slot, Places(*room))
        return True

    def place(self, orders: Iterable[int], before: Mapping[int, Band]) -> None:
        """Put in bands of orders that have none; `before` are those that had one.

        Raises:
            OutOfNumbers: there are not so many slots.
        """
        wishes = {order: _wish(self._needs(order), before.get(order)) for order in orders}
        beside = itertools.groupby(wishes, key=lambda order: bisect_left(self._orders, order))
        for group in [list(group) for _, group in beside]:
            among = {order: wishes[order] for order in group}
            slots = self._gap(group[0], among[group[0]]) if len(group) == 1 else None
            if slots is not None:
                self._put(group[0], slots)
            elif len(group) == 1 or not self._put_beside(among):
                self._make_room(among)

    def _put_beside(self, wishes: Mapping[int, _Wish]) -> bool:
        """Lay orders that have one gap out in the longest part of it where nothing rests, if it has room to spare."""
        index = bisect_left(self._orders, min(wishes))
        low, high = self._between(index, index)
        ends = [low, *sorted(slot for slot in self._resting if low < slot < high), high]
        low, high = max(itertools.pairwise(ends), key=lambda part: part[1] - part[0])
        fits = sum(wish.least for wish in wishes.values()) * 8 <= (high - low - 1) * 7
        if fits:
            self._lay(wishes, low, high)
        return fits

    def _lay(self, wishes: Mapping[int, _Wish], low: int, high: int) -> None:
        for order, slots in _evenly(wishes, low, high).items():
            self._put(order, slots)

    def _put(self, order: int, slots: range) -> None:
        if order not in self.bands:
            insort(self._orders, order)
        self.bands[order] = _made(slots, self._needs(order))

    def _gap(self, order: int, wish: _Wish) -> range | None:
        """Return free slots between an order's neighbours: a quarter of the gap if it is wide, else what must be."""
        index = bisect_left(self._orders, order)
        low, high = self._between(index, index)
        width = max(wish.least, min(wish.most, (high - low) // 4))
        while True:
            for start in _starts(low, high, width):
                if self._resting.keys().isdisjoint(range(start, start + width)):
                    return range(start, start + width)
            if width == wish.least:
                return None
            width = max(wish.least, width // 2)

    def _make_room(self, wishes: Mapping[int, _Wish]) -> None:
        """Lay orders that have one gap out with as few of their neighbours as have room, to spare if that can be."""
        index = bisect_left(self._orders, min(wishes))
        for spare in (8, MAX_SLOT + 1):
            reach = 1
            while True:
                start, end = max(0, index - reach), min(len(self._orders), index + reach)
                low, high = self._between(start, end)
                around = {order: _wish(self._needs(order), None) for order in self._orders[start:end]} | dict(wishes)
                least, space = sum(wish.least for wish in around.values()), high - low - 1
                if least + space // spare <= space:
                    self._lay(dict(sorted(around.items())), low, high)
                    return
                if end - start == len(self._orders):
                    break
                reach *= 2
        raise OutOfNumbers(
            f"uses {len(around)} orders and needs {least} slots; at most {MAX_SLOT}: give policies "
            "the same order, put some into another tier, or let fewer rules expire"
        )

    def _between(self, start: int, end: int) -> tuple[int, int]:
        """Return the last slot before the bands from `start` to `end`, and the first after them."""
        low = self.bands[self._orders[start - 1]].end - 1 if start else 0
        return low, self.bands[self._orders[end]].slot if end < len(self._orders) else MAX_SLOT + 1


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


def _evenly(wishes: Mapping[int, _Wish], low: int, high: int) -> dict[int, range]:
    """Lay out orders strictly between two slots, with wider gaps at the ends of the tier, where most new ones come."""
    space, many = high - low - 1, len(wishes)
    total = sum(wish.least for wish in wishes.values())
    extra, more = sum(wish.most - wish.least for wish in wishes.values()), (space - total) // 2
    widths = [w.least + (w.most - w.least) * min(more, extra) // max(extra, 1) for w in wishes.values()]
    free = space - sum(widths)
    wide = max(2, many - 1) if free >= 8 * many else 2
    above, below = 2 if low else wide, wide if high > MAX_SLOT else 2
    found, start = {}, low + 1
    for index, (order, width) in enumerate(zip(wishes, widths, strict=True)):
        gap = free * (above + 2 * index) // (above + below + 2 * (many - 1))
        found[order] = range(start + gap, start + gap + width)
        start += width
    return found
