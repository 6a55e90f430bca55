"""Collections that are told what comes and goes, and keep what `build` would make of all of it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

from topology.frozen import FrozenMap

T = TypeVar("T", bound=Hashable)


class Ordered(Generic[T]):
    """Things that are there, each once however often it was added, in order."""

    def __init__(self, key: Callable[[T], Any]) -> None:
        """Order by `key`, which is another for each thing."""
        self._key = key
        self._counts: dict[T, int] = {}
        self._order: list[T] = []
        self._value: tuple[T, ...] | None = ()

    def change(self, gone: Iterable[T], come: Iterable[T]) -> None:
        """Count some less, then some more."""
        before: dict[T, int] = {}
        for things, change in ((gone, -1), (come, 1)):
            for thing in things:
                count = self._counts.get(thing, 0)
                before.setdefault(thing, count)
                self._counts[thing] = count + change
        lost = [thing for thing, count in before.items() if count and not self._counts[thing]]
        new = [thing for thing, count in before.items() if not count and self._counts[thing]]
        for thing in before:
            if not self._counts[thing]:
                del self._counts[thing]
        if lost or new:
            self._value = None
            self._reorder(lost, new)

    def _reorder(self, lost: list[T], new: list[T]) -> None:
        if len(lost) + len(new) > 16 + len(self._order) // 8:
            self._order = sorted(self._counts, key=self._key)
            return
        for thing in lost:
            del self._order[bisect_left(self._order, self._key(thing), key=self._key)]
        for thing in new:
            insort(self._order, thing, key=self._key)

    def value(self) -> tuple[T, ...]:
        """Return all things; the same object as long as they are the same."""
        if self._value is None:
            self._value = tuple(self._order)
        return self._value


class Counted(Generic[T]):
    """A set of things that several may name."""

    def __init__(self) -> None:
        self.counts: dict[T, int] = {}
        self._open: dict[T, bool] = {}
        """What was touched since the last `turned`, and whether it was there before."""
        self._value: FrozenMap[T, None] = FrozenMap()

    def change(self, things: Iterable[T], change: int) -> None:
        """Count some 1 more, or -1."""
        for thing in things:
            count = self.counts.get(thing, 0)
            self._open.setdefault(thing, bool(count))
            if count + change:
                self.counts[thing] = count + change
            else:
                del self.counts[thing]

    def replace(self, gone: Iterable[T], come: Iterable[T]) -> None:
        """Count what somebody named less and what he names now more."""
        if gone != come:
            self.change(gone, -1)
            self.change(come, 1)

    def turned(self) -> list[T]:
        """Return what came or went since the last time."""
        found = [thing for thing, was_there in self._open.items() if was_there != (thing in self.counts)]
        self._open.clear()
        if found:
            put = {thing: None for thing in found if thing in self.counts}
            self._value = self._value.but(put, [thing for thing in found if thing not in put])
        return found

    def value(self) -> FrozenMap[T, None]:
        """Return what is there, as of the last `turned`."""
        return self._value
