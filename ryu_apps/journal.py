"""Something large that is kept in the store and changes by a little: the whole of it, and entries of what came after.

Keys: the whole under `name`, the entries under `name/1`, `name/2`, ... They are put in one transaction with
whatever else must be durable together. The entries never grow longer than the whole: then it is written anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

MIN_JOURNAL = 1 << 20
"""Bytes of entries that are written before the whole is written again."""


class Journal:
    """Counts the entries of one name. `note` what is to be put, and say `done` when it is durable."""

    def __init__(self, name: str, read: Callable[[str], bytes | None]) -> None:
        """Find the entries there are; `read` returns what is under a key."""
        self.name = name
        self._read = read
        self._entries = self._written = 0
        whole = read(name)
        self._limit = 0 if whole is None else max(len(whole), MIN_JOURNAL)
        self._next = (0, 0, self._limit)

    @property
    def has_entries(self) -> bool:
        """Whether anything was written since the whole was; `entries` has been read."""
        return self._entries > 0

    def entries(self) -> Iterator[bytes]:
        """Yield the entries that were written since the whole was."""
        for number in itertools.count(1):
            entry = self._read(self._key(number))
            if entry is None:
                return
            self._entries = number
            yield entry

    def note(self, entry: bytes, whole: Callable[[], bytes]) -> Mapping[str, bytes | None]:
        """Return what to put: one more entry, or the whole once the entries are longer."""
        written = self._written + len(entry)
        if written > self._limit:
            return self.rewrite(whole())
        self._next = (self._entries + 1, written, self._limit)
        return {self._key(self._entries + 1): entry}

    def rewrite(self, whole: bytes) -> Mapping[str, bytes | None]:
        """Return what to put for the whole, in place of all entries."""
        self._next = (0, 0, max(len(whole), MIN_JOURNAL))
        return {self.name: whole} | {self._key(number): None for number in range(1, self._entries + 1)}

    def done(self) -> None:
        """Note that what the last `note` or `rewrite` returned is durable."""
        self._entries, self._written, self._limit = self._next

    def _key(self, number: int) -> str:
        return f"{self.name}/{number}"
