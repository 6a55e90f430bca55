"""Who may give out which addresses: blocks of subnets, leased to holders (the Docker drivers of hosts). Pure.

A holder says all it wants and has, again and again; `settle` answers with all that is its own. So a request that
is repeated changes nothing, and what a holder no longer names comes back by itself, to rest before another gets it.
"""

from __future__ import annotations

import bisect
import dataclasses
import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

Block: TypeAlias = IPv4Network | IPv6Network
"""Addresses that are leased together; a single one is a block too."""

REST_S = 600.0
"""How long what came back rests before another holder gets it as part of a block."""
MAX_HOLDERS = 4096
MAX_BLOCKS = 4096
"""Blocks and claims of one holder."""
MAX_RESTING = 4 * MAX_BLOCKS
MAX_NEW = 256
"""Blocks that one request adds."""
MOST_COUNTED = 1 << 20
"""A block counts as at most so many addresses."""
_SMALL_BITS, _SHARE_BITS, _V6_BITS = 4, 3, 16
_WIDE_BITS = 32
"""A range of so many host bits is divided by prefix, not by number of addresses."""


@dataclasses.dataclass(frozen=True, slots=True)
class PoolWish:
    """A part of a subnet, and how many addresses of it a holder needs in all."""

    part: Block
    want: int


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """All that a holder wants and has."""

    turn: int
    """Grows with each request: one that arrives late is known by it."""
    pools: tuple[PoolWish, ...] = ()
    blocks: frozenset[Block] = frozenset()
    """What it was leased, as it remembers."""
    claims: frozenset[Block] = frozenset()
    """Single addresses outside of its blocks that it needs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Holding:
    """What a holder has."""

    turn: int = 0
    blocks: frozenset[Block] = frozenset()
    claims: frozenset[Block] = frozenset()
    resting: Mapping[Block, float] = dataclasses.field(default_factory=dict)
    """What came back, with the time (seconds since 1970) from when others may have it."""


Book: TypeAlias = Mapping[str, Holding]
"""By holder."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settled:
    """The answer to a wish."""

    holding: Holding
    refused: Mapping[Block, str] = dataclasses.field(default_factory=dict)
    """What another has, with its name."""


def block_prefix(part: Block) -> int:
    """Return the prefix length of the blocks of a range: 16 addresses, fewer where that would be more than an eighth.

    >>> block_prefix(ipaddress.ip_network("10.1.0.0/24")), block_prefix(ipaddress.ip_network("fd00:1::/64"))
    (28, 80)
    """
    if part.max_prefixlen - part.prefixlen >= _WIDE_BITS:
        return part.prefixlen + _V6_BITS
    return max(part.max_prefixlen - _SMALL_BITS, min(part.max_prefixlen, part.prefixlen + _SHARE_BITS))


def settle(book: Book, holder: str, wish: Wish, now_s: float) -> Settled:
    """Return what `holder` has after its wish. A wish that is older than the last one changes nothing."""
    before = book.get(holder, Holding())
    if wish.turn < before.turn:
        return Settled(before)
    others = [(name, held) for name, held in book.items() if name != holder]
    active = _Spans((block, name) for name, held in others for block in (*held.blocks, *held.claims))
    refused: dict[Block, str] = {}
    claims = _granted(wish.claims, active, refused, MAX_BLOCKS)
    kept = [block for block in (*before.blocks, *wish.blocks) if any(_inside(block, p.part) for p in wish.pools)]
    blocks = set(_granted(kept, active, refused, MAX_BLOCKS - len(claims)))
    resting = {block: until for block, until in before.resting.items() if until > now_s}
    gone = (before.blocks | before.claims) - blocks - claims
    resting |= dict.fromkeys(sorted(gone, key=_order)[:MAX_BLOCKS], now_s + REST_S)
    resting = {block: until for block, until in resting.items() if block not in blocks | claims}
    blocks |= _more(others, blocks, len(claims), wish.pools, now_s)
    resting = {block: until for block, until in resting.items() if block not in blocks}
    if len(resting) > MAX_RESTING:
        resting = dict(sorted(resting.items(), key=lambda item: item[1])[-MAX_RESTING:])
    return Settled(Holding(wish.turn, frozenset(blocks), claims, resting), refused)


def _more(
    others: list[tuple[str, Holding]], have: set[Block], claims: int, pools: Iterable[PoolWish], now_s: float
) -> set[Block]:
    """Return fresh blocks until every pool has enough, or there are no more."""
    taken = [(block, name) for name, held in others for block in (*held.blocks, *held.claims)]
    taken += [(block, name) for name, held in others for block, until in held.resting.items() if until > now_s]
    room = min(MAX_NEW, MAX_BLOCKS - len(have) - claims)
    found: set[Block] = set()
    for pool in pools:
        spans = _Spans([*taken, *((block, "") for block in have | found)])
        fresh = set(_fresh(pool, have | found, spans, room))
        room -= len(fresh)
        found |= fresh
    return found


def _granted(asked: Iterable[Block], active: _Spans, refused: dict[Block, str], room: int) -> frozenset[Block]:
    """Return what nobody else has; note what somebody has."""
    granted: set[Block] = set()
    for block in sorted(set(asked), key=_order):
        other = active.meets(block)
        if other is not None:
            refused[block] = other
        elif len(granted) < room:
            granted.add(block)
    return frozenset(granted)


def _fresh(pool: PoolWish, blocks: Iterable[Block], spans: _Spans, room: int) -> Iterator[Block]:
    """Yield free blocks until the pool has as many addresses as wanted."""
    have = sum(min(block.num_addresses, MOST_COUNTED) for block in blocks if _inside(block, pool.part))
    prefix, kind = block_prefix(pool.part), type(pool.part)
    size = 1 << (pool.part.max_prefixlen - prefix)
    number, last = int(pool.part.network_address), int(pool.part.broadcast_address)
    if pool.part.max_prefixlen - pool.part.prefixlen >= _WIDE_BITS:
        number += size  # its first block is for addresses that are given by hand
    while have < pool.want and room > 0 and number + size - 1 <= last:
        taken = spans.end_of(pool.part.version, number, number + size - 1)
        if taken is not None:
            number = (taken // size + 1) * size
            continue
        yield kind((number, prefix))
        have, room, number = have + min(size, MOST_COUNTED), room - 1, number + size


class _Spans:
    """Blocks in order of their addresses, to find what overlaps. Blocks of different holders are disjoint."""

    def __init__(self, blocks: Iterable[tuple[Block, str]]) -> None:
        self._all = sorted((b.version, int(b.network_address), int(b.broadcast_address), name) for b, name in blocks)
        self._starts = [span[:2] for span in self._all]
        ends = ((version, end) for version, _, end, _ in self._all)
        self._ends = list(itertools.accumulate(ends, max))
        """For each span, the furthest end among it and those before it."""

    def end_of(self, version: int, first: int, last: int) -> int | None:
        """Return the last address of what overlaps a range; None if nothing does."""
        index = bisect.bisect_right(self._starts, (version, last)) - 1
        if index < 0 or self._ends[index] < (version, first):
            return None
        return self._ends[index][1]

    def meets(self, block: Block) -> str | None:
        """Return whose span overlaps a block; None if none does."""
        first, last = int(block.network_address), int(block.broadcast_address)
        if self.end_of(block.version, first, last) is None:
            return None
        same = (span for span in self._all if span[0] == block.version)
        return next(name for _, start, end, name in same if start <= last and end >= first)


def returned(holding: Holding, now_s: float) -> Holding:
    """Return the holding of a holder that is gone: all of it rests."""
    gone = dict.fromkeys(holding.blocks | holding.claims, now_s + REST_S)
    return Holding(holding.turn, resting={**holding.resting, **gone})


def _inside(block: Block, part: Block) -> bool:
    return (
        block.version == part.version
        and int(part.network_address) <= int(block.network_address)
        and int(block.broadcast_address) <= int(part.broadcast_address)
    )


def _order(block: Block) -> tuple[int, int, int]:
    return block.version, int(block.network_address), block.prefixlen


def dump(holding: Holding) -> dict[str, object]:
    """Return a holding as plain values."""
    return {
        "turn": holding.turn,
        "blocks": [str(block) for block in sorted(holding.blocks, key=_order)],
        "claims": [str(block) for block in sorted(holding.claims, key=_order)],
        "resting": {str(block): until for block, until in holding.resting.items()},
    }


def load(value: Mapping[str, object]) -> Holding:
    """Return what `dump` was given.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is something else.
    """
    resting = value["resting"]
    if not isinstance(resting, dict):
        raise TypeError("resting is no mapping")
    return Holding(
        int(str(value["turn"])),
        _blocks(value["blocks"]),
        _blocks(value["claims"]),
        {ipaddress.ip_network(block): float(until) for block, until in resting.items()},
    )


def _blocks(value: object) -> frozenset[Block]:
    if not isinstance(value, list):
        raise TypeError("blocks are no list")
    return frozenset(ipaddress.ip_network(block) for block in value)
