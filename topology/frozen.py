"""A mapping that never changes, whose successors share with it all that did not change.

The entries stand in small dicts, found by the hash of their key in two steps: a list of lists of dicts. A successor
copies the lists and dicts on the way to what changes, and two relatives are compared by following what is not the
same object: both cost some root of the size, and what changed. So parts of the program may hand whole values to
each other, and still do work only for what is new.
"""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Any, Final, TypeVar, overload

from topology.breathing import Breathe, go_on, paced

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)
D = TypeVar("D")

_NOTHING: Final = object()
_MIN_BITS = 2
_LEAST, _MOST = 8, 32
"""About how many entries a dict holds when a map is made, and how many before it is made anew with more dicts."""


class FrozenMap(Mapping[K, V_co]):
    """Entries in no particular order. Equal to any mapping with equal entries."""

    __slots__ = ("bits", "mask", "nodes", "size")

    nodes: list[list[dict[K, V_co]]]
    """Never changed; for relatives to look at."""
    bits: int
    """Of the hash that find the node, and again as many that find the dict in it."""
    mask: int
    size: int

    def __init__(self, entries: Mapping[K, V_co] | Iterable[tuple[K, V_co]] = (), breathe: Breathe = go_on) -> None:
        """Take the entries of a mapping, or pairs of which a later one replaces an earlier one of the same key."""
        found: Mapping[K, V_co] = entries if isinstance(entries, Mapping) else dict(entries)
        self.size = len(found)
        self.bits = bits = max(_MIN_BITS, (self.size // _LEAST).bit_length() // 2)
        self.mask = (1 << bits) - 1
        mask = (1 << 2 * bits) - 1
        leaves = self._empty(mask + 1)
        for key, value in paced(found.items(), breathe):
            leaves[hash(key) & mask][key] = value
        self.nodes = [leaves[at :: 1 << bits] for at in range(1 << bits)]

    @staticmethod
    def _empty(count: int) -> list[dict[K, V_co]]:
        return [{} for _ in range(count)]

    def _leaf(self, key: object) -> dict[Any, V_co]:
        found, mask = hash(key), self.mask
        return self.nodes[found & mask][found >> self.bits & mask]

    # -- reading ------------------------------------------------------------------------------------

    def __getitem__(self, key: K) -> V_co:
        return self._leaf(key)[key]

    @overload
    def get(self, key: K, /) -> V_co | None: ...
    @overload
    def get(self, key: K, /, default: V_co | D) -> V_co | D: ...

    def get(self, key: K, /, default: object = None) -> object:
        """Return the value of a key, or `default`."""
        return self._leaf(key).get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._leaf(key)

    def __iter__(self) -> Iterator[K]:
        return chain.from_iterable(chain.from_iterable(self.nodes))

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

    def but(
        self, put: Mapping[K, V_co] | None = None, gone: Iterable[K] = (), breathe: Breathe = go_on
    ) -> FrozenMap[K, V_co]:
        """Return the map without the keys `gone` and with the entries `put`; the same object if that is no change.

        A value that equals the one there is not put in its place. `breathe` is called now and then.
        """
        if not self.size and put:
            return FrozenMap(put, breathe)
        leaving = gone if isinstance(gone, Collection) else list(gone)
        draft = _Draft(self, most=len(leaving) + len(put or ()) > 1 << 2 * self.bits - 1)
        draft.remove(paced(leaving, breathe))
        if put:
            draft.put(paced(put.items(), breathe))
        return draft.done(breathe)


class _Items(ItemsView[K, V_co]):
    """The entries, read dict by dict."""

    _mapping: FrozenMap[K, V_co]

    def __iter__(self) -> Iterator[tuple[K, V_co]]:
        return chain.from_iterable(leaf.items() for leaf in chain.from_iterable(self._mapping.nodes))


class _Values(ValuesView[V_co]):
    """The values, read dict by dict."""

    _mapping: FrozenMap[Any, V_co]

    def __iter__(self) -> Iterator[V_co]:
        return chain.from_iterable(leaf.values() for leaf in chain.from_iterable(self._mapping.nodes))


class _Draft:
    """A successor that is being made."""

    def __init__(self, base: FrozenMap[Any, Any], *, most: bool) -> None:
        """Begin with a base; `most` copies all of it at once, which is quicker where most dicts will change."""
        self._base = base
        self._nodes: list[list[dict[Any, Any]]] = base.nodes
        self._bits: Final = base.bits
        self._mask: Final = base.mask
        self._size = base.size
        self._own_nodes: set[int] = set()
        """Nodes that are copies already."""
        self._own_leaves: set[int] | range = set()
        self._has_changed = False
        if most:
            self._nodes = [[leaf.copy() for leaf in node] for node in base.nodes]
            self._own_leaves = range(1 << 2 * base.bits)

    def _mine(self, at: int, within: int) -> dict[Any, Any]:
        """Make the dict at a place one that may be changed, and return it."""
        if not self._own_nodes:
            self._nodes = self._nodes.copy()
        if at not in self._own_nodes:
            self._own_nodes.add(at)
            self._nodes[at] = self._nodes[at].copy()
        node = self._nodes[at]
        if isinstance(self._own_leaves, set):  # a range holds them all
            self._own_leaves.add(within << self._bits | at)
        node[within] = leaf = node[within].copy()
        return leaf

    def remove(self, keys: Iterable[object]) -> None:
        """Take keys out, those that are there."""
        bits, mask, own, before = self._bits, self._mask, self._own_leaves, self._size
        both = (1 << 2 * bits) - 1
        for key in keys:
            place = hash(key) & both
            at, within = place & mask, place >> bits
            leaf = self._nodes[at][within]
            if key in leaf:
                del (leaf if place in own else self._mine(at, within))[key]
                self._size -= 1
        self._has_changed |= self._size != before

    def put(self, entries: Iterable[tuple[Any, Any]]) -> None:
        """Put entries in, those that are not there."""
        bits, mask, own = self._bits, self._mask, self._own_leaves
        both = (1 << 2 * bits) - 1
        for key, value in entries:
            place = hash(key) & both
            at, within = place & mask, place >> bits
            leaf = self._nodes[at][within]
            there = leaf.get(key, _NOTHING)
            if there is _NOTHING:
                self._size += 1
            elif there is value or there == value:
                continue
            self._has_changed = True
            (leaf if place in own else self._mine(at, within))[key] = value

    def done(self, breathe: Breathe) -> FrozenMap[Any, Any]:
        if not self._has_changed:
            return self._base
        made: FrozenMap[Any, Any] = FrozenMap.__new__(FrozenMap)
        made.nodes, made.bits, made.mask, made.size = self._nodes, self._bits, self._mask, self._size
        return FrozenMap(made, breathe) if self._size > _MOST << 2 * self._bits else made


def differing(before: Mapping[K, Any], after: Mapping[K, Any]) -> Iterator[K]:
    """Yield the keys that only one of two mappings has, or that have other values."""
    if before is after:
        return
    if isinstance(before, FrozenMap) and isinstance(after, FrozenMap) and before.bits == after.bits:
        for mine, theirs in zip(before.nodes, after.nodes, strict=True):
            if mine is not theirs:
                for leaf, other in zip(mine, theirs, strict=True):
                    if leaf is not other:
                        yield from _differing(leaf, other)
    else:
        yield from _differing(before, after)


def _differing(before: Mapping[K, Any], after: Mapping[K, Any]) -> Iterator[K]:
    for key, value in before.items():
        other = after.get(key, _NOTHING)
        if other is not value and other != value:
            yield key
    yield from (key for key in after if key not in before)


def frozen(entries: Mapping[K, V_co]) -> FrozenMap[K, V_co]:
    """Return a mapping as one that never changes; the same object if it is one."""
    return entries if isinstance(entries, FrozenMap) else FrozenMap(entries)
