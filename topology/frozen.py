"""A mapping that never changes, whose successors share with it all that did not change.

The entries stand in chunks by the hash of their key. A successor copies the chunks that change, and two relatives
are compared chunk by chunk, most of which are the same object: both cost the square root of the size, and what
changed. So parts of the program may hand whole values to each other, and still do work only for what is new.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Any, Final, TypeVar, overload

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)
D = TypeVar("D")

_MIN_CHUNKS = 8
_CROWDED = 4
"""Times as many entries as chunks in a chunk: more of them are made then."""


class FrozenMap(Mapping[K, V_co]):
    """Entries in no particular order, the same for equal histories. Equal to any mapping with equal entries."""

    __slots__ = ("chunks", "mask", "size")

    chunks: list[dict[K, V_co]]
    """Never changed; for relatives to look at."""
    mask: int
    size: int

    def __init__(self, entries: Mapping[K, V_co] | Iterable[tuple[K, V_co]] = ()) -> None:
        """Take the entries of a mapping, or pairs of which a later one replaces an earlier one of the same key."""
        found: Mapping[K, V_co] = entries if isinstance(entries, Mapping) else dict(entries)
        self.size = len(found)
        count = max(_MIN_CHUNKS, 1 << (self.size.bit_length() // 2))
        self.mask = mask = count - 1
        self.chunks = chunks = self._empty(count)
        for key, value in found.items():
            chunks[hash(key) & mask][key] = value

    @staticmethod
    def _empty(count: int) -> list[dict[K, V_co]]:
        return [{} for _ in range(count)]

    # -- reading ------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V_co:
        return self.chunks[hash(key) & self.mask][key]

    @overload
    def get(self, key: K, /) -> V_co | None: ...
    @overload
    def get(self, key: K, /, default: V_co | D) -> V_co | D: ...

    def get(self, key: K, /, default: object = None) -> object:
        """Return the value of a key, or `default`."""
        return self.chunks[hash(key) & self.mask].get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self.chunks[hash(key) & self.mask]

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(self.chunks)

    def __len__(self) -> int:
        return self.size

    def items(self) -> ItemsView[K, V_co]:
        """Return the entries."""
        return _Items(self)

    def values(self) -> ValuesView[V_co]:
        """Return the values."""
        return _Values(self)

    def __repr__(self) -> str:
        return f"FrozenMap({dict(self.items())!r})"

    def __hash__(self) -> int:
        raise TypeError("a FrozenMap has no hash: its values may have none")

    # -- successors ---------------------------------------------------------------------------------

    def but(self, put: Mapping[K, V_co] | None = None, gone: Iterable[K] = ()) -> FrozenMap[K, V_co]:
        """Return the map without the keys `gone` and with the entries `put`; the same object if that is no change.

        A value that equals the one there is not put in its place.
        """
        draft = _Draft(self)
        for key in gone:
            draft.remove(key)
        for key, value in (put or {}).items():
            draft.put(key, value)
        return draft.done()


class _Items(ItemsView[K, V_co]):
    """The entries, read chunk by chunk."""

    _mapping: FrozenMap[K, V_co]

    def __iter__(self) -> Iterator[tuple[K, V_co]]:
        return chain.from_iterable(chunk.items() for chunk in self._mapping.chunks)


class _Values(ValuesView[V_co]):
    """The values, read chunk by chunk."""

    _mapping: FrozenMap[Any, V_co]

    def __iter__(self) -> Iterator[V_co]:
        return chain.from_iterable(chunk.values() for chunk in self._mapping.chunks)


class _Draft:
    """A successor that is being made."""

    def __init__(self, base: FrozenMap[Any, Any]) -> None:
        self._base = base
        self.chunks: list[dict[Any, Any]] = base.chunks
        self.mask: Final = base.mask
        self.size = base.size
        self._own: set[int] = set()
        """Chunks that are copies already."""

    def _mine(self, at: int) -> dict[Any, Any]:
        if not self._own:
            self.chunks = self.chunks.copy()
        if at not in self._own:
            self._own.add(at)
            self.chunks[at] = self.chunks[at].copy()
        return self.chunks[at]

    def remove(self, key: object) -> None:
        at = hash(key) & self.mask
        if key in self.chunks[at]:
            del self._mine(at)[key]
            self.size -= 1

    def put(self, key: object, value: object) -> None:
        at = hash(key) & self.mask
        chunk = self.chunks[at]
        if key not in chunk:
            self.size += 1
        elif chunk[key] is value or chunk[key] == value:
            return
        self._mine(at)[key] = value

    def done(self) -> FrozenMap[Any, Any]:
        if not self._own:
            return self._base
        made: FrozenMap[Any, Any] = FrozenMap.__new__(FrozenMap)
        made.chunks, made.mask, made.size = self.chunks, self.mask, self.size
        return FrozenMap(dict(made.items())) if self.size > _CROWDED * len(self.chunks) ** 2 else made


def differing(before: Mapping[K, Any], after: Mapping[K, Any]) -> Iterator[K]:
    """Yield the keys that only one of two mappings has, or that have other values."""
    if before is after:
        return
    if isinstance(before, FrozenMap) and isinstance(after, FrozenMap) and before.mask == after.mask:
        for mine, theirs in zip(before.chunks, after.chunks, strict=True):
            if mine is not theirs:
                yield from _differing(mine, theirs)
    else:
        yield from _differing(before, after)


def _differing(before: Mapping[K, Any], after: Mapping[K, Any]) -> Iterator[K]:
    for key, value in before.items():
        if key not in after:
            yield key
            continue
        other = after[key]
        if other is not value and other != value:
            yield key
    yield from (key for key in after if key not in before)


def frozen(entries: Mapping[K, V_co]) -> FrozenMap[K, V_co]:
    """Return a mapping as one that never changes; the same object if it is one."""
    return entries if isinstance(entries, FrozenMap) else FrozenMap(entries)
