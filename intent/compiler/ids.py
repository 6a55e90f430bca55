"""The id map: which number stands for which thing, persisted, so that tables survive a restart byte-equal.

A number that is freed rests for at least `REST_S` before something else may have it: a flow, a label of
a live connection or a counter that still carries it can never be taken for the new owner's.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from intent.model import Action

REST_S = 600
"""Seconds a freed number rests (DESIGN, law 4)."""

LIMITS = {"network": 2**16 - 1, "rule": 2**32 - 1, "identity": 2**31 - 1, "attachment": 2**31 - 1,
          "conjunction": 2**32 - 1}  # fmt: skip
"""Greatest number of each space: what its register or label slice holds."""

MAX_SLOT = 8000
SLOT_STRIDE = 8
TOP_PRIORITY = 65_000
_SLOT_GAP = 64

_ACTION_OFFSET = {Action.DENY: 7, Action.REJECT: 5, Action.ALLOW: 3, Action.PASS: 1}


class OutOfNumbers(Exception):
    """A space of numbers is used up; the message names the remedy."""


def band_priority(slot: int, action: Action) -> int:
    """Return the flow priority of an action in a band; within a slot deny > reject > allow > pass."""
    return TOP_PRIORITY - slot * SLOT_STRIDE + _ACTION_OFFSET[action]


@dataclasses.dataclass(frozen=True, slots=True)
class Space:
    """Numbers of one kind of thing."""

    live: Mapping[str, int] = dataclasses.field(default_factory=dict)
    resting: Mapping[int, float] = dataclasses.field(default_factory=dict)
    """Freed numbers and when, in seconds since the epoch."""
    next: int = 1
    """The least number never used."""

    def with_keys(self, keys: Iterable[str], now_s: float, limit: int) -> Space:
        """Return the space with exactly `keys` live; new keys get numbers in sorted order.

        Raises:
            OutOfNumbers: more keys than `limit`, those at rest included.
        """
        wanted = set(keys)
        if wanted == self.live.keys():
            return self
        live = {k: n for k, n in self.live.items() if k in wanted}
        resting = dict(self.resting)
        resting.update((n, now_s) for k, n in self.live.items() if k not in wanted)
        fresh = sorted(wanted - live.keys())
        following = self.next
        rested = iter(sorted(n for n, since in resting.items() if since + REST_S <= now_s))
        for key in fresh:
            if following <= limit:
                live[key], following = following, following + 1
                continue
            reused = next(rested, None)
            if reused is None:
                raise OutOfNumbers(f"all {limit} numbers are in use or rest; wait {REST_S // 60} minutes")
            del resting[reused]
            live[key] = reused
        return Space(live, resting, following)


@dataclasses.dataclass(frozen=True, slots=True)
class IdMap:
    """All numbers. `slots` maps a tier to the slot of each order in use, those at rest under `resting_slots`."""

    spaces: Mapping[str, Space] = dataclasses.field(default_factory=dict)
    slots: Mapping[str, Mapping[int, int]] = dataclasses.field(default_factory=dict)
    resting_slots: Mapping[str, Mapping[int, float]] = dataclasses.field(default_factory=dict)
    """Slots freed, by tier, and when."""

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

    def with_orders(self, tier: str, orders: Iterable[int], now_s: float) -> IdMap:
        """Return the map with a slot for exactly these orders of a tier, smaller orders in smaller slots.

        A new order takes the middle of the gap between its neighbours; when there is no gap the
        whole tier is spread anew, which changes the priority of all its flows.

        Raises:
            OutOfNumbers: more than `MAX_SLOT` orders in the tier.
        """
        wanted = sorted(set(orders))
        before = self.slots.get(tier, {})
        kept = {o: s for o, s in before.items() if o in set(wanted)}
        resting = {s: t for s, t in self.resting_slots.get(tier, {}).items() if t + REST_S > now_s}
        resting.update((s, now_s) for o, s in before.items() if o not in kept)
        slots = _place(wanted, kept, set(resting)) or _spread(wanted, tier)
        resting = {s: t for s, t in resting.items() if s not in slots.values()}
        return dataclasses.replace(
            self, slots={**self.slots, tier: slots}, resting_slots={**self.resting_slots, tier: resting}
        )

    def to_json(self) -> str:
        """Return the persistent form."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

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
        slots = {tier: {int(o): s for o, s in m.items()} for tier, m in raw["slots"].items()}
        resting = {tier: {int(s): t for s, t in m.items()} for tier, m in raw["resting_slots"].items()}
        return cls(spaces, slots, resting)


def _place(wanted: list[int], kept: dict[int, int], taken: set[int]) -> dict[int, int] | None:
    """Fit new orders between the kept ones; None where there is no gap."""
    slots = dict(kept)
    used = set(kept.values()) | taken
    above = _slots_above(wanted, kept)
    low = 0
    for order, high in zip(wanted, above, strict=True):
        if order not in slots:
            free = _middle(low, high, used)
            if free is None:
                return None
            slots[order] = free
            used.add(free)
        low = slots[order]
    return slots


def _slots_above(wanted: list[int], kept: dict[int, int]) -> list[int]:
    """Return for each order the least slot of a greater kept order."""
    above, high = [], MAX_SLOT + 1
    for order in reversed(wanted):
        above.append(high)
        high = kept.get(order, high)
    return above[::-1]


def _middle(low: int, high: int, used: set[int]) -> int | None:
    """Return a free slot strictly between, near the middle but not far from a neighbour at an open end."""
    if low == 0 and high > MAX_SLOT:
        middle = MAX_SLOT // 2
    elif high > MAX_SLOT:
        middle = min(low + _SLOT_GAP, (low + high) // 2)
    elif low == 0:
        middle = max(high - _SLOT_GAP, high // 2)
    else:
        middle = (low + high) // 2
    for distance in range(high - low):
        for slot in (middle - distance, middle + distance):
            if low < slot < high and slot not in used:
                return slot
    return None


def _spread(wanted: list[int], tier: str) -> dict[int, int]:
    if len(wanted) > MAX_SLOT:
        raise OutOfNumbers(f"tier {tier} uses {len(wanted)} orders; at most {MAX_SLOT}: give policies the same order")
    step = MAX_SLOT / (len(wanted) + 1)
    return {order: max(i + 1, int((i + 1) * step)) for i, order in enumerate(wanted)}
