"""The id map: which number stands for which thing, persisted, so that tables survive a restart byte-equal.

A number that is freed rests for at least `REST_S` before something else may have it: a flow, a label of
a live connection or a counter that still carries it can never be taken for the new owner's.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from intent.model import Action

REST_S = 600
"""Seconds a freed number rests (DESIGN, law 4)."""

LIMITS = {"network": 2**16 - 3, "rule": 2**32 - 1, "identity": 2**31 - 1, "attachment": 2**31 - 1,
          "conjunction": 2**32 - 1, "queue": 31, "mirror": 2**8 - 1}  # fmt: skip
"""Greatest number of each space: what its register or label slice holds."""

MAX_SLOT = 8000
"""Slots of a tier; a band in use has one, or several when more allow rules in it have timers."""
SLOT_STRIDE = 8
"""Priorities in a slot."""
TOP_PRIORITY = 65_000
SHARD = 1000
"""Rules of one action and band that share a priority: at most so many conjunctions on one flow (DESIGN section 5)."""
MAX_SHARDS = 512
_SLOT_GAP = 64


class OutOfNumbers(Exception):
    """A space of numbers is used up; the message names the remedy."""


class Shards(NamedTuple):
    """Into how many priorities the rules of each action of a band are split; one up to `SHARD` rules."""

    deny: int = 1
    reject: int = 1
    allow: int = 1
    pass_: int = 1

    def of(self, action: Action) -> int:
        """Return the number of one action."""
        return self[_ACTIONS.index(action)]


_ACTIONS = (Action.DENY, Action.REJECT, Action.ALLOW, Action.PASS)


class Band(NamedTuple):
    """The priorities of one order of a tier: `width` slots from `slot` on.

    From the highest: deny, reject, allow, allow with timers; at the lowest end pass.
    """

    slot: int
    width: int = 1
    shards: Shards = Shards()

    @property
    def end(self) -> int:
        """The first slot after it."""
        return self.slot + self.width

    def priority(self, action: Action, timer: int | None = None, number: int = 0) -> int:
        """Return the priority of an action: deny > reject > allow, timed or not > pass.

        `timer` is the place of an allow rule that ends by itself; it shares its priority with no other.
        `number` of its conjunction puts any other rule into one of the shards of its action.
        """
        top = TOP_PRIORITY - self.slot * SLOT_STRIDE + SLOT_STRIDE - 1
        deny, reject, allow, pass_ = self.shards
        match action:
            case Action.DENY:
                return top - number % deny
            case Action.REJECT:
                return top - deny - number % reject
            case Action.ALLOW:
                within = number % allow if timer is None else allow + timer
                return top - deny - reject - within
            case Action.PASS:
                return top - self.width * SLOT_STRIDE + 1 + number % pass_


def width_for(timers: int, shards: Shards | None = None) -> int:
    """Return how many slots a band needs."""
    return -(-(timers + sum(shards or Shards())) // SLOT_STRIDE)


def shards_for(numbers: Iterable[int], before: int) -> int:
    """Return how many shards rules with these conjunction numbers need; `before` stays while it fits well.

    Raises:
        OutOfNumbers: more rules than a switch can tell apart in one band.
    """
    held = list(numbers)
    if before > 1 and len(held) > before * SHARD // 4 and _fits(held, before):
        return before
    count = 1
    while not _fits(held, count):
        count *= 2
        if count > MAX_SHARDS:
            raise OutOfNumbers(
                f"{len(held)} rules of one action in one band: give some of these policies another order"
            )
    return count


def _fits(numbers: Sequence[int], count: int) -> bool:
    if len(numbers) <= SHARD:
        return True
    return max(collections.Counter(n % count for n in numbers).values()) <= SHARD


@dataclasses.dataclass(frozen=True, slots=True)
class Space:
    """Numbers of one kind of thing."""

    live: Mapping[str, int] = dataclasses.field(default_factory=dict)
    resting: Mapping[int, float] = dataclasses.field(default_factory=dict)
    """Numbers freed within the last REST_S, and when, in seconds since the epoch."""
    next: int = 1
    """Where the search for a free number begins: they go round, so that a freed one stays unused long."""

    def with_keys(self, keys: Iterable[str], now_s: float, limit: int) -> Space:
        """Return the space with exactly `keys` live; new keys get numbers in sorted order.

        Raises:
            OutOfNumbers: more keys than `limit`, those at rest included.
        """
        wanted = set(keys)
        if wanted == self.live.keys():
            return self
        live = {k: n for k, n in self.live.items() if k in wanted}
        resting = {n: since for n, since in self.resting.items() if since + REST_S > now_s}
        resting.update((n, now_s) for k, n in self.live.items() if k not in wanted)
        fresh = sorted(wanted - live.keys())
        taken = {*live.values(), *resting}
        if len(taken) + len(fresh) > limit:
            raise OutOfNumbers(f"all {limit} numbers are in use or rest; wait {REST_S // 60} minutes")
        following = self.next
        for key in fresh:
            while following in taken or following > limit:
                following = following + 1 if following < limit else 1
            live[key], following = following, following + 1
            taken.add(live[key])
        return Space(live, resting, following)


@dataclasses.dataclass(frozen=True, slots=True)
class IdMap:
    """All numbers: of things by space, of bands by tier, of timers by tier and order."""

    spaces: Mapping[str, Space] = dataclasses.field(default_factory=dict)
    bands: Mapping[str, Mapping[int, Band]] = dataclasses.field(default_factory=dict)
    """By tier and order."""
    resting_slots: Mapping[str, Mapping[int, float]] = dataclasses.field(default_factory=dict)
    """Slots freed, by tier, and when."""
    timers: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    """By band (`tier/order`) and rule: its place among the timers of the band."""
    shards: Mapping[str, Shards] = dataclasses.field(default_factory=dict)
    """By band, those that are split."""

    def number(self, space: str, key: str) -> int:
        """Return the number of a key.

        Raises:
            KeyError: `allocate` was not run for these intents and this inventory.
        """
        return self.spaces[space].live[key]

    def key_of(self, space: str, number: int) -> str | None:
        """Return the key that has a number now."""
        live = self.spaces[space].live if space in self.spaces else {}
        return next((k for k, n in live.items() if n == number), None)

    def with_space(self, space: str, keys: Iterable[str], now_s: float) -> IdMap:
        """Return the map with exactly these keys live in one space."""
        try:
            fresh = self.spaces.get(space, Space()).with_keys(keys, now_s, LIMITS[space])
        except OutOfNumbers as error:
            raise OutOfNumbers(f"{space}: {error}") from None
        return dataclasses.replace(self, spaces={**self.spaces, space: fresh})

    def with_timers(self, wanted: Mapping[str, Iterable[str]]) -> IdMap:
        """Return the map with exactly these rules timed, by band; a rule keeps its place."""
        timers = {band: _seated(self.timers.get(band, {}), set(rules)) for band, rules in sorted(wanted.items())}
        return dataclasses.replace(self, timers=timers)

    def with_shards(self, numbers: Mapping[str, Mapping[Action, Iterable[int]]]) -> IdMap:
        """Return the map with the bands split as the conjunction numbers of their rules want it.

        Raises:
            OutOfNumbers: more rules than a switch can tell apart in one band.
        """
        found = {}
        for band, by_action in sorted(numbers.items()):
            before = self.shards.get(band, Shards())
            shards = Shards(*(shards_for(by_action.get(a, ()), before.of(a)) for a in _ACTIONS))
            if shards != Shards():
                found[band] = shards
        return dataclasses.replace(self, shards=found)

    def with_orders(self, tier: str, orders: Iterable[int], now_s: float) -> IdMap:
        """Return the map with a band for exactly these orders of a tier, smaller orders in smaller slots.

        A new order takes the middle of the gap between its neighbours; when there is no gap the
        whole tier is spread anew, which changes the priority of all its flows. Call `with_timers` and
        `with_shards` first.

        Raises:
            OutOfNumbers: the orders need more than `MAX_SLOT` slots.
        """
        shards = {order: self.shards.get(band_key(tier, order), Shards()) for order in sorted(set(orders))}
        wanted = {order: self._width(tier, order) for order in shards}
        before = self.bands.get(tier, {})
        kept = {o: b for o, b in before.items() if wanted.get(o) == b.width}
        resting = {s: t for s, t in self.resting_slots.get(tier, {}).items() if t + REST_S > now_s}
        resting.update((s, now_s) for o, b in before.items() if o not in kept for s in range(b.slot, b.end))
        placed = _place(wanted, kept, set(resting)) or _spread(wanted, tier)
        bands = {order: band._replace(shards=shards[order]) for order, band in placed.items()}
        used = {s for b in bands.values() for s in range(b.slot, b.end)}
        resting = {s: t for s, t in resting.items() if s not in used}
        return dataclasses.replace(
            self, bands={**self.bands, tier: bands}, resting_slots={**self.resting_slots, tier: resting}
        )

    def _width(self, tier: str, order: int) -> int:
        band = band_key(tier, order)
        places = self.timers.get(band, {}).values()
        return width_for(max(places, default=-1) + 1, self.shards.get(band))

    def to_json(self) -> str:
        """Return the persistent form."""
        raw = {
            "spaces": {name: dataclasses.asdict(space) for name, space in self.spaces.items()},
            "bands": self.bands,
            "resting_slots": self.resting_slots,
            "timers": self.timers,
            "shards": self.shards,
        }
        return json.dumps(raw, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> IdMap:
        """Read the persistent form.

        Raises:
            ValueError, KeyError, TypeError: it is no id map.
        """
        raw: dict[str, Any] = json.loads(text)
        spaces = {
            name: Space(dict(s["live"]), {int(n): t for n, t in s["resting"].items()}, int(s["next"]))
            for name, s in raw["spaces"].items()
        }
        bands = {
            tier: {int(o): Band(slot, width, Shards(*shards)) for o, (slot, width, shards) in m.items()}
            for tier, m in raw["bands"].items()
        }
        resting = {tier: {int(s): t for s, t in m.items()} for tier, m in raw["resting_slots"].items()}
        return cls(spaces, bands, resting, raw["timers"], {band: Shards(*s) for band, s in raw["shards"].items()})


def band_key(tier: str, order: int) -> str:
    """Return the name of a band in the id map."""
    return f"{tier}/{order}"


def _seated(before: Mapping[str, int], rules: set[str]) -> dict[str, int]:
    """Keep the place of those who have one, give the others the least free places."""
    seats = {rule: place for rule, place in before.items() if rule in rules}
    taken = set(seats.values())
    free = (place for place in itertools.count() if place not in taken)
    return seats | dict(zip(sorted(rules - seats.keys()), free, strict=False))


def _place(wanted: dict[int, int], kept: dict[int, Band], taken: set[int]) -> dict[int, Band] | None:
    """Fit new orders between the kept ones; None where there is no gap."""
    bands = dict(kept)
    used = {s for b in kept.values() for s in range(b.slot, b.end)} | taken
    low = 0
    for (order, width), high in zip(wanted.items(), _slots_above(wanted, kept), strict=True):
        if order not in bands:
            free = _middle(low, high - width + 1, used, width)
            if free is None:
                return None
            bands[order] = Band(free, width)
            used.update(range(free, free + width))
        low = bands[order].end - 1
    return bands


def _slots_above(wanted: dict[int, int], kept: dict[int, Band]) -> list[int]:
    """Return for each order the least slot of a greater kept order."""
    above, high = [], MAX_SLOT + 1
    for order in reversed(wanted):
        above.append(high)
        high = kept[order].slot if order in kept else high
    return above[::-1]


def _middle(low: int, high: int, used: set[int], width: int) -> int | None:
    """Return free slots strictly between, near the middle but not far from a neighbour at an open end."""
    open_end = high + width - 1 > MAX_SLOT
    if low == 0 and open_end:
        middle = MAX_SLOT // 2
    elif open_end:
        middle = min(low + _SLOT_GAP, (low + high) // 2)
    elif low == 0:
        middle = max(high - _SLOT_GAP, high // 2)
    else:
        middle = (low + high) // 2
    for distance in range(high - low):
        for slot in (middle - distance, middle + distance):
            if low < slot < high and not any(s in used for s in range(slot, slot + width)):
                return slot
    return None


def _spread(wanted: dict[int, int], tier: str) -> dict[int, Band]:
    total = sum(wanted.values())
    if total > MAX_SLOT:
        raise OutOfNumbers(
            f"tier {tier} uses {len(wanted)} orders and needs {total} slots; at most {MAX_SLOT}: "
            "give policies the same order"
        )
    bands, used, gap = {}, 0, (MAX_SLOT - total) / (len(wanted) + 1)
    for index, (order, width) in enumerate(wanted.items(), start=1):
        bands[order] = Band(1 + used + int(index * gap), width)
        used += width
    return bands
