"""The numbers in use, changed in place: what `IdMap.with_space` says of everything, said of what changed.

Things are wanted by any number of others; `settle` gives numbers to what is newly wanted and frees those of
what nobody wants any more. What it did is an `IdChange`, and can be taken back.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterable, Mapping

from intent.compiler import ids
from intent.compiler.engine.journal import IdChange, SpaceChange
from intent.compiler.ids import LIMITS, REST_S, Band, IdMap, OutOfNumbers, Space
from intent.model import Action


class Pool:
    """One space: numbers by key, and which keys are to be looked at."""

    __slots__ = ("_by_age", "_limit", "_next", "_next_before", "_open", "_resting", "_taken", "_wants", "live")

    def __init__(self, space: Space, limit: int) -> None:
        self.live = dict(space.live)
        self._taken = {*space.live.values(), *space.resting}
        self._resting = dict(space.resting)
        self._by_age = [(since, number) for number, since in space.resting.items()]
        heapq.heapify(self._by_age)
        self._next = self._next_before = space.next
        self._limit = limit
        self._wants: dict[str, int] = {}
        self._open: dict[str, None] = dict.fromkeys(self.live)

    def want(self, key: str) -> None:
        """Count one more who needs a number for a key."""
        self._wants[key] = self._wants.get(key, 0) + 1
        self._open[key] = None

    def release(self, key: str) -> None:
        """Count one less."""
        left = self._wants[key] - 1
        if left:
            self._wants[key] = left
        else:
            del self._wants[key]
        self._open[key] = None

    def settle(self, now_s: float) -> SpaceChange | None:
        """Free and give numbers, as `Space.with_keys` does with everything.

        Raises:
            OutOfNumbers: nothing is changed then.
        """
        live, wants = self.live, self._wants
        fresh = sorted(k for k in self._open if k in wants and k not in live)
        freed = {k: live[k] for k in self._open if k not in wants and k in live}
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
    """All spaces, and the places of bands and timers."""

    def __init__(self, numbers: IdMap) -> None:
        names = {*LIMITS, *numbers.spaces}
        self.pools = {name: Pool(numbers.spaces.get(name, Space()), LIMITS[name]) for name in names}
        self._set_places(dataclasses.replace(numbers, spaces={}))
        self._done: dict[str, SpaceChange] = {}
        self._places_before = self.places
        self._orders: dict[str, dict[int, int]] = {}
        """By tier and order: how many policies."""
        self._timed: dict[str, dict[str, None]] = {}
        """By band: the rules that end by themselves."""
        self._parts: dict[str, dict[Action, dict[str, int]]] = {}
        """By band and action: the conjunctions of rules that do not end by themselves, which may have to be split."""
        self._open_parts: dict[str, str] = {band: band.rpartition("/")[0] for band in numbers.shards}
        """Bands to look at, with their tiers."""
        self._open_bands: dict[str, None] = dict.fromkeys(numbers.timers)
        self._open_tiers: dict[str, None] = dict.fromkeys(numbers.bands)

    def number(self, space: str, key: str) -> int:
        """Return the number of a key.

        Raises:
            KeyError: nobody wanted it.
        """
        return self.pools[space].live[key]

    # -- who wants what -------------------------------------------------------------------------

    def want_tiers(self, tiers: Iterable[str]) -> None:
        """Note that these tiers exist."""
        self._open_tiers.update(dict.fromkeys(tiers))

    def want_order(self, tier: str, order: int) -> None:
        """Count one more policy at an order of a tier."""
        orders = self._orders.setdefault(tier, {})
        orders[order] = orders.get(order, 0) + 1
        if orders[order] == 1:
            self._open_tiers[tier] = None

    def release_order(self, tier: str, order: int) -> None:
        """Count one less."""
        orders = self._orders[tier]
        orders[order] -= 1
        if not orders[order]:
            del orders[order]
            self._open_tiers[tier] = None

    def want_timer(self, band: str, tier: str, rule: str) -> None:
        """Note that a rule of a band ends by itself."""
        self._timed.setdefault(band, {})[rule] = None
        self._open_bands[band] = self._open_tiers[tier] = None

    def release_timer(self, band: str, tier: str, rule: str) -> None:
        """Note that it does not, any more."""
        del self._timed[band][rule]
        if not self._timed[band]:
            del self._timed[band]
        self._open_bands[band] = self._open_tiers[tier] = None

    def want_part(self, key: str, tier: str, band: str, action: Action | None) -> None:
        """Want a number for a conjunction; `action` None if it ends by itself."""
        self.pools["conjunction"].want(key)
        if action is not None:
            parts = self._parts.setdefault(band, {}).setdefault(action, {})
            parts[key] = parts.get(key, 0) + 1
            self._open_parts[band] = tier

    def release_part(self, key: str, tier: str, band: str, action: Action | None) -> None:
        """Want it no more."""
        self.pools["conjunction"].release(key)
        if action is not None:
            parts = self._parts[band][action]
            parts[key] -= 1
            if not parts[key]:
                del parts[key]
            self._open_parts[band] = tier

    # -- settlement -----------------------------------------------------------------------------

    def settle(self, now_s: float) -> IdChange:
        """Give everything its number.

        Raises:
            OutOfNumbers: a space or a tier is used up. Make a new ledger then: this one is half settled.
        """
        self._done = {}
        self._places_before = self.places
        for name, pool in self.pools.items():
            try:
                change = pool.settle(now_s)
            except OutOfNumbers as error:
                raise OutOfNumbers(f"{name}: {error}") from None
            if change is not None:
                self._done[name] = change
        return IdChange(now_s, self._done, self._settle_places(now_s))

    def undo(self) -> None:
        """Take the numbers of the last settlement back, whole or half; what is wanted stays as it is."""
        for name, change in self._done.items():
            self.pools[name].undo(change)
        self._done = {}
        self._set_places(self._places_before)

    def _settle_places(self, now_s: float) -> IdMap | None:
        before = self.places
        places = dataclasses.replace(before, timers=self._seated()) if self._open_bands else before
        places = self._split(places)
        if self._slots_due_s <= now_s:
            self._open_tiers.update(dict.fromkeys(places.resting_slots))
        for tier in self._open_tiers:
            places = places.with_orders(tier, self._orders.get(tier, ()), now_s)
        self._open_bands.clear()
        self._open_tiers.clear()
        if places is before or places == before:
            return None
        self._set_places(places)
        return places

    def _set_places(self, places: IdMap) -> None:
        self.places = places
        rests = (since for slots in places.resting_slots.values() for since in slots.values())
        self._slots_due_s = min(rests, default=math.inf) + REST_S

    def _split(self, places: IdMap) -> IdMap:
        """Split bands of many rules; needs the numbers of conjunctions."""
        shards = dict(places.shards)
        live = self.pools["conjunction"].live
        for band, tier in self._open_parts.items():
            before = shards.pop(band, None)
            parts = {action: keys for action, keys in self._parts.get(band, {}).items() if keys}
            if not parts:
                self._parts.pop(band, None)
            if before is not None or any(len(keys) > ids.SHARD for keys in parts.values()):
                numbers = {action: [live[key] for key in keys] for action, keys in parts.items()}
                shards |= IdMap(shards={} if before is None else {band: before}).with_shards({band: numbers}).shards
            if shards.get(band) != before:
                self._open_tiers[tier] = None
        self._open_parts.clear()
        return places if shards == places.shards else dataclasses.replace(places, shards=shards)

    def _seated(self) -> dict[str, Mapping[str, int]]:
        timers = dict(self.places.timers)
        for band in self._open_bands:
            before = timers.pop(band, {})
            if band in self._timed:
                timers |= IdMap(timers={band: before}).with_timers({band: self._timed[band]}).timers
        return timers

    def band(self, tier: str, order: int) -> Band:
        """Return the priorities of a policy."""
        return self.places.bands[tier][order]

    def seat(self, band: str, rule: str) -> int | None:
        """Return the place of a rule among the timers of its band."""
        return self.places.timers.get(band, {}).get(rule)

    def id_map(self) -> IdMap:
        """Return all numbers as a value of its own."""
        return dataclasses.replace(self.places, spaces={name: pool.space() for name, pool in self.pools.items()})
