"""The numbers in use, changed in place: what `IdMap.with_space` and `with_bands` say of all, said of what changed.

Things are wanted by any number of others; `settle` gives numbers to what is newly wanted and frees those of
what nobody wants any more. What it did is an `IdChange`, and can be taken back.
"""

from __future__ import annotations

import dataclasses
import functools
import heapq
import math
from collections.abc import Iterable

from intent.compiler.bands import NOBODY, Arrangement, Band, Places, Uses, arranged, news
from intent.compiler.engine.journal import IdChange, SpaceChange
from intent.compiler.engine.seating import Crowd, SeatChange, after
from intent.compiler.engine.wanted import Wanted
from intent.compiler.ids import IdMap, band_key
from intent.compiler.seats import TIMED
from intent.compiler.spaces import LIMITS, REST_S, OutOfNumbers, Space
from intent.model import Action


class Pool(Wanted):
    """One space: numbers by key, and which keys are to be looked at."""

    __slots__ = ("_by_age", "_limit", "_next", "_next_before", "_resting", "_taken", "live")

    def __init__(self, space: Space, limit: int) -> None:
        super().__init__(space.live)
        self.live = dict(space.live)
        self._taken = {*space.live.values(), *space.resting}
        self._resting = dict(space.resting)
        self._by_age = [(since, number) for number, since in space.resting.items()]
        heapq.heapify(self._by_age)
        self._next = self._next_before = space.next
        self._limit = limit

    def settle(self, now_s: float) -> SpaceChange | None:
        """Free and give numbers, as `Space.with_keys` does with everything.

        Raises:
            OutOfNumbers: nothing is changed then.
        """
        live = self.live
        fresh = self._newly_wanted(live)
        freed = {key: live[key] for key in self._unwanted(live)}
        if not fresh and not freed:
            self._open.clear()
            return None
        if len(live) - len(freed) + len(self._resting) - self._rested(now_s) + len(freed) + len(fresh) > self._limit:
            raise OutOfNumbers(f"all {self._limit} numbers are in use or rest; wait {REST_S // 60} minutes")
        rested = self._wake(now_s)
        for key, number in freed.items():
            del live[key]
            self._rest(number, now_s)
        self._next_before = self._next
        gained = {key: self._take() for key in fresh}
        live.update(gained)
        self._open.clear()
        return SpaceChange(gained, freed, rested, self._next)

    def _rested(self, now_s: float) -> int:
        if len(self.live) + len(self._resting) + len(self._open) <= self._limit:
            return 0  # they do not matter
        return sum(since + REST_S <= now_s for since in self._resting.values())

    def _wake(self, now_s: float) -> dict[int, float]:
        """Forget the numbers that rested long enough."""
        rested = {}
        while self._by_age and self._by_age[0][0] + REST_S <= now_s:
            since, number = heapq.heappop(self._by_age)
            rested[number] = since
            del self._resting[number]
            self._taken.discard(number)
        return rested

    def _rest(self, number: int, since: float) -> None:
        self._resting[number] = since
        heapq.heappush(self._by_age, (since, number))

    def _take(self) -> int:
        number, limit = self._next, self._limit
        while number in self._taken or number > limit:
            number = number + 1 if number < limit else 1
        self._taken.add(number)
        self._next = number + 1
        return number

    def undo(self, change: SpaceChange) -> None:
        """Take the last settlement back; only `space` is of use afterwards."""
        for key in change.gained:
            del self.live[key]
        self.live.update(change.freed)
        for number in change.freed.values():
            del self._resting[number]
        self._resting.update(change.rested)
        self._next = self._next_before

    def space(self) -> Space:
        """Return a copy."""
        return Space(self.live.copy(), self._resting.copy(), self._next)


class Ledger:
    """All spaces, the bands, and who sits where in them."""

    def __init__(self, numbers: IdMap) -> None:
        names = {*LIMITS, *numbers.spaces}
        self.pools = {name: Pool(numbers.spaces.get(name, Space()), LIMITS[name]) for name in names}
        self._set_places(dataclasses.replace(numbers, spaces={}, seats={}))
        self._done: dict[str, SpaceChange] = {}
        self._places_before = self.places
        self._orders: dict[str, dict[int, int]] = {}
        """By tier and order: how many policies."""
        self._crowds = {band: Crowd(seats) for band, seats in numbers.seats.items()}
        self._sat: dict[str, dict[str, SeatChange]] = {}
        """By band, what the last settlement did."""
        self._had: dict[str, Places] = {}
        """By band, the places in use before it."""
        self.moved: set[tuple[str, int]] = set()
        """Tiers and orders of bands in which priorities may not be as before it."""
        self._open_crowds: dict[str, None] = dict.fromkeys(numbers.seats)
        self._open_tiers: dict[str, set[int]] = {tier: set(bands) for tier, bands in numbers.bands.items()}
        """Tiers to look at, and the orders in them that may come, go, or lack room."""

    def number(self, space: str, key: str) -> int:
        """Return the number of a key.

        Raises:
            KeyError: nobody wanted it.
        """
        return self.pools[space].live[key]

    # -- who wants what -------------------------------------------------------------------------

    def want_tiers(self, tiers: Iterable[str]) -> None:
        """Note that these tiers exist."""
        for tier in tiers:
            self._open_tiers.setdefault(tier, set())

    def want_order(self, tier: str, order: int) -> None:
        """Count one more policy at an order of a tier."""
        orders = self._orders.setdefault(tier, {})
        orders[order] = orders.get(order, 0) + 1
        if orders[order] == 1:
            self._open_tiers.setdefault(tier, set()).add(order)

    def release_order(self, tier: str, order: int) -> None:
        """Count one less."""
        orders = self._orders[tier]
        orders[order] -= 1
        if not orders[order]:
            del orders[order]
            self._open_tiers.setdefault(tier, set()).add(order)

    def want_timer(self, band: str, rule: str) -> None:
        """Note that a rule of a band ends by itself."""
        self._crowd(band).row(TIMED).want(rule)

    def release_timer(self, band: str, rule: str) -> None:
        """Note that it does not, any more."""
        self._crowd(band).row(TIMED).release(rule)

    def want_part(self, key: str, band: str, action: Action | None) -> None:
        """Want a number for a conjunction; `action` None if it ends by itself."""
        self.pools["conjunction"].want(key)
        if action is not None:
            self._crowd(band).row(action).want(key)

    def release_part(self, key: str, band: str, action: Action | None) -> None:
        """Want it no more."""
        self.pools["conjunction"].release(key)
        if action is not None:
            self._crowd(band).row(action).release(key)

    def _crowd(self, band: str) -> Crowd:
        """Return who sits in a band, to be changed."""
        self._open_crowds[band] = None
        crowd = self._crowds.get(band)
        if crowd is None:
            crowd = self._crowds[band] = Crowd({})
        return crowd

    # -- settlement -----------------------------------------------------------------------------

    def settle(self, now_s: float) -> IdChange:
        """Give everything its number.

        Raises:
            OutOfNumbers: a space or a tier is used up. Make a new ledger then: this one is half settled.
        """
        self.keep()
        for name, pool in self.pools.items():
            try:
                change = pool.settle(now_s)
            except OutOfNumbers as error:
                raise OutOfNumbers(f"{name}: {error}") from None
            if change is not None:
                self._done[name] = change
        self._seat()
        places = self._settle_places(now_s)
        moved = tuple(band_key(tier, order) for tier, order in sorted(self.moved))
        return IdChange(now_s, self._done, places, self._sat, moved)

    def undo(self) -> None:
        """Take the numbers of the last settlement back, whole or half; what is wanted stays as it is."""
        for name, change in self._done.items():
            self.pools[name].undo(change)
        for band, changes in self._sat.items():
            self._crowds.setdefault(band, Crowd({})).undo(changes)
        self._set_places(self._places_before)
        self.keep()

    def keep(self) -> None:
        """Note that the last settlement is not to be taken back any more."""
        self._done, self._sat, self._had, self.moved = {}, {}, {}, set()
        self._places_before = self.places

    def _seat(self) -> None:
        for band in self._open_crowds:
            crowd = self._crowds[band]
            self._had[band] = crowd.places
            if changes := crowd.settle():
                self._sat[band] = changes
            tier, _, order = band.rpartition("/")
            there = self.places.bands.get(tier, {}).get(int(order))
            if there is not None and not there.has_room(crowd.places):
                self._open_tiers.setdefault(tier, set()).add(int(order))
            if not crowd:
                del self._crowds[band]
        self._open_crowds.clear()

    def _settle_places(self, now_s: float) -> IdMap | None:
        before = self.places
        if self._slots_due_s <= now_s:
            self.want_tiers(before.resting_slots)
        found = {tier: self._settle_tier(tier, now_s) for tier in self._open_tiers}
        self._open_tiers.clear()
        bands = {**before.bands, **{tier: arrangement.bands for tier, arrangement in found.items()}}
        resting = {**before.resting_slots, **{tier: arrangement.resting for tier, arrangement in found.items()}}
        if not found or (bands == before.bands and resting == before.resting_slots):
            return None
        for tier in found:
            for order, was in before.bands.get(tier, {}).items():
                now = bands[tier].get(order, was)
                if now is not was and not now.keeps(was, self._needs(tier, order)):
                    self.moved.add((tier, order))
        self._set_places(IdMap({}, bands, resting))
        return self.places

    def _settle_tier(self, tier: str, now_s: float) -> Arrangement:
        before = Arrangement(self.places.bands.get(tier, {}), self.places.resting_slots.get(tier, {}))
        orders = self._orders.get(tier, {})

        def had(order: int) -> Places:
            band = band_key(tier, order)
            return self._had[band] if band in self._had else self._needs(tier, order)

        uses = Uses(functools.partial(self._needs, tier), had)
        try:
            return arranged(before, self._news(tier), orders, uses, now_s)
        except OutOfNumbers:
            self._compact(tier, orders)
        try:
            return arranged(before, self._news(tier), orders, uses, now_s)
        except OutOfNumbers as error:
            raise OutOfNumbers(f"tier {tier} {error}") from None

    def _news(self, tier: str) -> set[int]:
        wanted, bands, changed = self._orders.get(tier, {}), self.places.bands.get(tier, {}), self._open_tiers[tier]
        needed = {order: self._needs(tier, order) for order in changed if order in wanted}
        return news({order: bands[order] for order in changed if order in bands}, needed)

    def _needs(self, tier: str, order: int) -> Places:
        crowd = self._crowds.get(band_key(tier, order))
        return NOBODY if crowd is None else crowd.places

    def _compact(self, tier: str, orders: Iterable[int]) -> None:
        """Let everybody of a tier move up to the places of those who went."""
        for order in orders:
            band = band_key(tier, order)
            if band in self._crowds:
                self._sat[band] = after(self._sat.get(band, {}), self._crowds[band].compact())
                self.moved.add((tier, order))

    def _set_places(self, places: IdMap) -> None:
        self.places = places
        rests = (since for slots in places.resting_slots.values() for since in slots.values())
        self._slots_due_s = min(rests, default=math.inf) + REST_S

    def band(self, tier: str, order: int) -> Band:
        """Return the priorities of a policy."""
        return self.places.bands[tier][order]

    def seat(self, band: str, kind: str, key: str) -> int:
        """Return the place of a part of a rule in its band, or of a rule that ends by itself."""
        return self._crowds[band].row(kind).seats[key]

    def id_map(self) -> IdMap:
        """Return all numbers as a value of its own."""
        spaces = {name: pool.space() for name, pool in self.pools.items()}
        seats = {band: seats for band, crowd in self._crowds.items() if (seats := crowd.seats)}
        return dataclasses.replace(self.places, spaces=spaces, seats=seats)
