"""Keys that any number of others want, and which of them are to be looked at when numbers or seats are settled."""

from __future__ import annotations

from collections.abc import Container, Iterable


class Wanted:
    """Base of what is given to keys: counts who wants each."""

    __slots__ = ("_open", "_wants")

    def __init__(self, held: Iterable[str]) -> None:
        """Begin with nobody who wants anything, and look at the keys that hold something."""
        self._wants: dict[str, int] = {}
        self._open: dict[str, None] = dict.fromkeys(held)

    def want(self, key: str) -> None:
        """Count one more who wants a key."""
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

    def _newly_wanted(self, held: Container[str]) -> list[str]:
        """Return who is wanted and holds nothing yet, in order."""
        return sorted(key for key in self._open if key in self._wants and key not in held)

    def _unwanted(self, held: Container[str]) -> list[str]:
        """Return who holds something that nobody wants any more."""
        return [key for key in self._open if key not in self._wants and key in held]
