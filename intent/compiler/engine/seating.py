"""The seats of one band, changed in place: what `seats.seated` says of everybody, said of who comes and goes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from intent.compiler import seats
from intent.compiler.bands import NOBODY, Places
from intent.compiler.engine.wanted import Wanted
from intent.compiler.seats import KINDS, TIMED, Seats
from intent.model import Action


class SeatChange(NamedTuple):
    """What one settlement did to the seats of one kind."""

    gained: Mapping[str, int]
    """Also of those who move: they are in both."""
    freed: Mapping[str, int]


def after(first: Mapping[str, SeatChange], second: Mapping[str, SeatChange]) -> dict[str, SeatChange]:
    """Return what two changes did, by kind; the second seats everybody."""
    found = dict(first)
    for kind, did in second.items():
        before = first.get(kind, SeatChange({}, {}))
        freed = {**before.freed, **{key: place for key, place in did.freed.items() if key not in before.gained}}
        found[kind] = SeatChange(did.gained, freed)
    return found


class Row(Wanted):
    """The seats of one kind: who wants one, who has one, and how many are in each place."""

    __slots__ = ("fill", "seats")

    def __init__(self, before: Mapping[str, int]) -> None:
        super().__init__(before)
        self.seats = dict(before)
        self.fill: dict[int, int] = {}
        for place in before.values():
            self.fill[place] = self.fill.get(place, 0) + 1

    def __bool__(self) -> bool:
        return bool(self.seats or self._wants)

    @property
    def many(self) -> int:
        """How many places are in use, those before the last included."""
        return max(self.fill, default=-1) + 1

    def clear(self) -> dict[str, int]:
        """Take the seats of those who do not want them any more; return them."""
        return self._freed(self._unwanted(self.seats))

    def rise(self) -> dict[str, int]:
        """Take the seats of all, to seat them anew; return them."""
        self._open = dict.fromkeys(self._wants)
        return self._freed(list(self.seats))

    def _freed(self, keys: list[str]) -> dict[str, int]:
        freed = {key: self.seats.pop(key) for key in keys}
        for place in freed.values():
            left = self.fill.pop(place) - 1
            if left:
                self.fill[place] = left
        return freed

    def seat(self, barred: Collection[int], first: int, size: int) -> dict[str, int]:
        """Seat those who came, at most `size` in a place, from `first` on but in none that is barred."""
        fill, place, gained = self.fill, first, {}
        for key in self._newly_wanted(self.seats):
            while fill.get(place, 0) >= size or place in barred:
                place += 1
            gained[key] = place
            fill[place] = fill.get(place, 0) + 1
        self.seats.update(gained)
        self._open.clear()
        return gained


class Crowd:
    """Everybody of one band."""

    __slots__ = ("_rows", "places")

    def __init__(self, before: Seats) -> None:
        self._rows = {kind: Row(by_key) for kind, by_key in before.items()}
        self.places = NOBODY
        """In use, as of the last settlement."""
        self._measure()

    def __bool__(self) -> bool:
        return any(self._rows.values())

    def row(self, kind: str) -> Row:
        """Return the seats of one kind."""
        found = self._rows.get(kind)
        if found is None:
            found = self._rows[str(kind)] = Row({})
        return found

    @property
    def seats(self) -> dict[str, dict[str, int]]:
        """A copy of all seats."""
        return {kind: dict(row.seats) for kind, row in self._rows.items() if row.seats}

    def settle(self) -> dict[str, SeatChange]:
        """Free and give seats; return what changed, by kind."""
        return self._settled({kind: row.clear() for kind, row in self._rows.items()})

    def compact(self) -> dict[str, SeatChange]:
        """Seat everybody anew, without gaps."""
        return self._settled({kind: row.rise() for kind, row in self._rows.items()})

    def _settled(self, freed: Mapping[str, Mapping[str, int]]) -> dict[str, SeatChange]:
        changes = {}
        for kind in KINDS:
            row = self._rows.get(kind)
            if row is not None:
                barred = self._fill(_BESIDE[kind]) if kind in _BESIDE else ()
                gained = row.seat(barred, *((1, 1) if kind == TIMED else (0, seats.SHARD)))
                if gained or freed[kind]:
                    changes[kind] = SeatChange(gained, freed[kind])
        if changes:
            self._measure()
        return changes

    def _fill(self, kind: str) -> Mapping[int, int]:
        return self._rows[kind].fill if kind in self._rows else {}

    def _measure(self) -> None:
        deny, reject, allow, pass_, timed = (self._rows[k].many if k in self._rows else 0 for k in KINDS)
        self.places = Places(deny, reject, max(allow, timed), pass_)

    def undo(self, changes: Mapping[str, SeatChange]) -> None:
        """Take a settlement back; only `seats` is of use afterwards."""
        for kind, did in changes.items():
            row = self.row(kind)
            for key in did.gained:
                del row.seats[key]
            row.seats.update(did.freed)


_BESIDE = {Action.ALLOW.value: TIMED, TIMED: Action.ALLOW.value}
"""Kinds that have places in common, but none of them together."""
