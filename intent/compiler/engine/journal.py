"""Changes of the id map as values: small, to be written one after another, and read back in the same order."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

from intent.compiler.engine.seating import SeatChange
from intent.compiler.ids import IdMap
from intent.compiler.seats import Seats
from intent.compiler.spaces import Space


@dataclasses.dataclass(frozen=True, slots=True)
class SpaceChange:
    """What one settlement did to one space."""

    gained: Mapping[str, int]
    freed: Mapping[str, int]
    """Their numbers rest from the settlement on."""
    rested: Mapping[int, float]
    """Numbers that rested long enough, and had since when."""
    next: int


@dataclasses.dataclass(frozen=True, slots=True)
class IdChange:
    """What one settlement did."""

    at_s: float = 0.0
    spaces: Mapping[str, SpaceChange] = dataclasses.field(default_factory=dict)
    places: IdMap | None = None
    """All bands and resting slots (and nothing else), if any of them changed."""
    seats: Mapping[str, Mapping[str, SeatChange]] | None = dataclasses.field(default_factory=dict)
    """By band and kind. None in what an older version wrote: if any changed, `places` has them all."""

    moved: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """Bands whose rules got other priorities, to be told; it is not kept."""

    def __bool__(self) -> bool:
        return bool(self.spaces or self.seats) or self.places is not None

    def to_json(self) -> str:
        """Return the persistent form."""
        raw = {
            "at": self.at_s,
            "spaces": {name: [did.gained, did.freed, did.rested, did.next] for name, did in self.spaces.items()},
            "places": None if self.places is None else self.places.to_json(),
            "seats": self.seats,
        }
        return json.dumps(raw, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> IdChange:
        """Read the persistent form.

        Raises:
            ValueError, KeyError, TypeError: it is no change of an id map.
        """
        raw: dict[str, Any] = json.loads(text)
        spaces = {
            name: SpaceChange(dict(gained), dict(freed), {int(n): t for n, t in rested.items()}, int(following))
            for name, (gained, freed, rested, following) in raw["spaces"].items()
        }
        places = None if raw["places"] is None else IdMap.from_json(raw["places"])
        if "seats" not in raw:
            return cls(float(raw["at"]), spaces, places, None)
        seats = {
            band: {kind: SeatChange(dict(gained), dict(freed)) for kind, (gained, freed) in kinds.items()}
            for band, kinds in raw["seats"].items()
        }
        return cls(float(raw["at"]), spaces, places, seats)


def applied(ids: IdMap, changes: Iterable[IdChange]) -> IdMap:
    """Return the id map after changes, in their order; takes time for all of each space and band that changed."""
    live: dict[str, dict[str, int]] = {}
    resting: dict[str, dict[int, float]] = {}
    following: dict[str, int] = {}
    seating = _Seating(ids.seats)
    for change in changes:
        for name, did in change.spaces.items():
            before = ids.spaces.get(name, Space())
            numbers = live.setdefault(name, dict(before.live)) if name not in live else live[name]
            rests = resting.setdefault(name, dict(before.resting)) if name not in resting else resting[name]
            for number in did.rested:
                rests.pop(number, None)
            for key, number in did.freed.items():
                numbers.pop(key, None)
                rests[number] = change.at_s
            numbers.update(did.gained)
            following[name] = did.next
        if change.places is not None:
            ids = dataclasses.replace(change.places, spaces=ids.spaces)
        seating.follow(change)
    spaces = {name: Space(live[name], resting[name], following[name]) for name in live}
    return dataclasses.replace(ids, spaces={**ids.spaces, **spaces}, seats=seating.seats)


class _Seating:
    """Seats while changes are applied: a band is copied at its first change."""

    def __init__(self, before: Mapping[str, Seats]) -> None:
        self.seats = dict(before)
        self._own: dict[str, dict[str, dict[str, int]]] = {}

    def follow(self, change: IdChange) -> None:
        """Apply one change."""
        if change.seats is None:
            if change.places is not None:
                self.seats, self._own = dict(change.places.seats), {}
            return
        for band, kinds in change.seats.items():
            own = self._own.get(band)
            if own is None:
                own = self._own[band] = {kind: dict(m) for kind, m in self.seats.get(band, {}).items()}
            self.seats[band] = own
            for kind, did in kinds.items():
                seats = own.setdefault(kind, {})
                for key in did.freed:
                    seats.pop(key, None)
                seats.update(did.gained)
                if not seats:
                    del own[kind]
            if not own:
                del self.seats[band]
