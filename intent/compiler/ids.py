"""The id map: which number stands for which thing, persisted, so that tables survive a restart byte-equal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from intent.compiler import persisted
from intent.compiler.bands import Arrangement, Band, Uses, arranged, news
from intent.compiler.seats import TIMED, Seats, places, seated
from intent.compiler.spaces import LIMITS, OutOfNumbers, Space
from intent.model import Action

Members: TypeAlias = Mapping[str, Collection[str]]
"""Who wants a seat in a band: keys by kind (`seats.KINDS`)."""


@dataclasses.dataclass(frozen=True, slots=True)
class IdMap:
    """All numbers: of things by space, of bands by tier, of seats by band."""

    spaces: Mapping[str, Space] = dataclasses.field(default_factory=dict)
    bands: Mapping[str, Mapping[int, Band]] = dataclasses.field(default_factory=dict)
    """By tier and order."""
    resting_slots: Mapping[str, Mapping[int, float]] = dataclasses.field(default_factory=dict)
    """Slots freed, by tier, and when."""
    seats: Mapping[str, Seats] = dataclasses.field(default_factory=dict)
    """By band (`tier/order`)."""

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

    def priority(self, tier: str, order: int, action: Action, key: str, *, timed: bool = False) -> int:
        """Return the priority of a part of a rule, or of a rule that ends by itself.

        Raises:
            KeyError: `allocate` was not run for these intents and this inventory.
        """
        place = self.seats[band_key(tier, order)][TIMED if timed else action][key]
        return self.bands[tier][order].priority(action, place)

    def with_space(self, space: str, keys: Iterable[str], now_s: float) -> IdMap:
        """Return the map with exactly these keys live in one space."""
        try:
            fresh = self.spaces.get(space, Space()).with_keys(keys, now_s, LIMITS[space])
        except OutOfNumbers as error:
            raise OutOfNumbers(f"{space}: {error}") from None
        return dataclasses.replace(self, spaces={**self.spaces, space: fresh})

    def with_bands(self, wanted: Mapping[str, Mapping[int, Members]], now_s: float) -> IdMap:
        """Return the map with a band for exactly these orders, by tier, and a seat for exactly these members.

        Raises:
            OutOfNumbers: the orders of a tier need more slots than it has.
        """
        bands: dict[str, Mapping[int, Band]] = {}
        resting: dict[str, Mapping[int, float]] = {}
        seats: dict[str, Seats] = {}
        for tier in {*self.bands, *wanted}:
            (bands[tier], resting[tier]), here = self._tier(tier, wanted.get(tier, {}), now_s)
            seats.update({band_key(tier, order): who for order, who in here.items() if who})
        return dataclasses.replace(self, bands=bands, resting_slots=resting, seats=seats)

    def _tier(self, tier: str, wanted: Mapping[int, Members], now_s: float) -> tuple[Arrangement, Mapping[int, Seats]]:
        before = Arrangement(self.bands.get(tier, {}), self.resting_slots.get(tier, {}))
        seats = {order: seated(self._seats(tier, order), members) for order, members in wanted.items()}
        try:
            return self._arranged(tier, before, seats, now_s), seats
        except OutOfNumbers:
            # There may be room if all move up to the places of those who went.
            seats = {order: seated({}, members) for order, members in wanted.items()}
            return self._arranged(tier, before, seats, now_s), seats

    def _arranged(self, tier: str, before: Arrangement, seats: Mapping[int, Seats], now_s: float) -> Arrangement:
        needed = {order: places(found) for order, found in seats.items()}
        uses = Uses(needed.__getitem__, lambda order: places(self._seats(tier, order)))
        try:
            return arranged(before, news(before.bands, needed), needed, uses, now_s)
        except OutOfNumbers as error:
            raise OutOfNumbers(f"tier {tier} {error}") from None

    def _seats(self, tier: str, order: int) -> Seats:
        return self.seats.get(band_key(tier, order), {})

    def to_json(self) -> str:
        """Return the persistent form."""
        raw = {
            "spaces": {name: dataclasses.asdict(space) for name, space in self.spaces.items()},
            "bands": self.bands,
            "resting_slots": self.resting_slots,
            "seats": self.seats,
        }
        return json.dumps(raw, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> IdMap:
        """Read the persistent form, also that of versions that split bands by number.

        Raises:
            ValueError, KeyError, TypeError: it is no id map.
        """
        raw: dict[str, Any] = json.loads(text)
        spaces = {
            name: Space(dict(s["live"]), {int(n): t for n, t in s["resting"].items()}, int(s["next"]))
            for name, s in raw["spaces"].items()
        }
        resting = {tier: {int(s): t for s, t in m.items()} for tier, m in raw["resting_slots"].items()}
        return cls(spaces, persisted.read_bands(raw), resting, persisted.read_seats(raw))


def band_key(tier: str, order: int) -> str:
    """Return the name of a band in the id map."""
    return f"{tier}/{order}"
