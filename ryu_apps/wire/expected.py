"""A dump that says what was expected: such flows are known by their very bytes, and need not be decoded.

Decoding 100,000 flows takes seconds, and nearly always they are those of the program, which is at hand. So the program
is encoded as Open vSwitch would dump it, and each entry of a dump is looked up. What is not found, for whatever
reason, is decoded: another order of fields in another version of Open vSwitch costs time, never truth.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from intent.compiler import fields as f
from intent.compiler.fields import Field
from intent.compiler.flow import FlowBody, FlowKey, Match
from ryu_apps.wire.actions import encode_instructions
from ryu_apps.wire.errors import WireError
from ryu_apps.wire.oxm import encode_match
from ryu_apps.wire.stencil import FEWEST, REFUSALS, Stencil, lay_instructions, lay_matches

_ORDER: Final = (
    *(f.CONJ_ID, f.IN_PORT, f.ETH_SRC, f.ETH_DST, f.ETH_TYPE, f.VLAN_VID),
    *(f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST, f.IP_FRAG, f.IP_TTL, f.IP_PROTO),
    *(f.TCP_SRC, f.TCP_DST, f.TCP_FLAGS, f.UDP_SRC, f.UDP_DST, f.SCTP_SRC, f.SCTP_DST),
    *(f.ICMPV4_TYPE, f.ICMPV4_CODE, f.ICMPV6_TYPE, f.ICMPV6_CODE),
    *(f.ND_RESERVED, f.ND_TARGET, f.ND_OPTIONS_TYPE, f.ND_SLL, f.ND_TLL),
    *(f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA),
    *(f.TUN_ID, f.TUN_SRC, f.TUN_DST, f.TUN_OPTION, *f.REG),
    *(f.CT_STATE, f.CT_ZONE, f.CT_MARK, f.CT_LABEL),
    *(f.CT_NW_SRC, f.CT_IPV6_SRC, f.CT_NW_DST, f.CT_IPV6_DST, f.CT_NW_PROTO, f.CT_TP_SRC, f.CT_TP_DST),
)
"""In which Open vSwitch 3.1 dumps the fields of a match (lib/nx-match.c, `nx_put_raw`)."""
_RANK: Final = {field: rank for rank, field in enumerate(_ORDER)}
_HEAD = struct.Struct("!HBx8xHHH2xH2xQ16x")
"""Size, table, priority, idle timeout, hard timeout, importance, cookie of an entry; all that varies is 0."""
_PRIORITY, _HARD_TIMEOUT, _COOKIE = 12, 16, 24
"""Where they stand (OpenFlow 1.4, 7.3.5.2)."""
_VARYING: Final = (*range(4, 12), 18, 19, 22, 23, *range(32, 48))
"""The bytes of how old a flow is, of its flags, of padding and of what it counted."""
_FIXED: Final = 48
"""Bytes of an entry before its match."""
_LEAST: Final = _FIXED + 8
_FEW = 4
"""Entries of one size that are looked at one by one."""

_Sorter: TypeAlias = Callable[[Match], Match]


class Expected:
    """The flows of a program, by what a dump would say of them; each is found once."""

    def __init__(self, program: Iterable[tuple[FlowKey, FlowBody]] = ()) -> None:
        """Begin with some flows."""
        self._waiting: dict[bytes, FlowKey] = {}
        self._unknown: list[FlowKey] = []
        self._sorters: dict[tuple[Field, ...], _Sorter] = {}
        self.counts: dict[int, tuple[int, int]] = {}
        """Packets and bytes of the flows that were found, together, by cookie."""
        self.add(program)

    def add(self, flows: Iterable[tuple[FlowKey, FlowBody]]) -> None:
        """Expect further flows, 2 us each; those that end by themselves are not: the time they have left differs."""
        kin: dict[tuple[object, ...], list[tuple[FlowKey, FlowBody]]] = {}
        for flow in flows:
            key, body = flow
            if body[3]:  # expires_at
                self._unknown.append(key)
                continue
            match = key[2]
            place = key[0], len(match), match[-1][0] if match else None, len(body[0])
            if place in kin:
                kin[place].append(flow)
            else:
                kin[place] = [flow]
        for alike in kin.values():
            self._add_kin(alike)

    def _add_kin(self, flows: Sequence[tuple[FlowKey, FlowBody]]) -> None:
        """Expect flows that are probably of one shape."""
        keys, bodies = zip(*flows, strict=True)
        if len(flows) >= FEWEST:
            with contextlib.suppress(*REFUSALS):
                self._waiting.update(zip(_of_one_shape(keys, bodies), keys, strict=True))
                return
        for key, body in flows:
            encoded = _encoded(key, body, self._sorters)
            if encoded:
                self._waiting[encoded] = key
            else:
                self._unknown.append(key)

    def recognize(self, body: bytes) -> list[tuple[int, int]]:
        """Find the flows of one flow-stats reply; return place and size of each entry that is none of them.

        Entries of one size mostly follow each other, and are looked up together, 0.6 us each.

        Raises:
            WireError: broken framing.
        """
        strange: list[tuple[int, int]] = []
        at, end = 0, len(body)
        while at < end:
            size = entry_size(body, at)
            block = body[at : at + size * _run(body, at, size)]
            found = [self._waiting.pop(entry, None) is not None for entry in _without_varying(block, size)]
            rows: Iterable[tuple[int, int, int]] = _counters(size).iter_unpack(block)
            if not all(found):
                strange += [(at + n * size, size) for n, known in enumerate(found) if not known]
                rows = itertools.compress(rows, found)
            self._count(rows)
            at += len(block)
        return strange

    def _count(self, rows: Iterable[tuple[int, int, int]]) -> None:
        counts = self.counts
        for cookie, packets, octets in rows:
            if cookie not in counts:
                counts[cookie] = packets, octets
            elif packets or octets:  # most of a large table met no packet
                before = counts[cookie]
                counts[cookie] = before[0] + packets, before[1] + octets

    def missing(self) -> list[FlowKey]:
        """Return the keys of the flows that were not found."""
        return [*self._unknown, *self._waiting.values()]


def entry_size(body: bytes, at: int) -> int:
    """Return the size of the entry at a place of a flow-stats reply.

    Raises:
        WireError: it cannot be.
    """
    left = len(body) - at
    if left < _LEAST:
        raise WireError(f"flow stats: {left} bytes at {at} hold no entry")
    size = body[at] << 8 | body[at + 1]
    if size < _LEAST or size & 7 or size > left:
        raise WireError(f"flow stats: entry of {size} bytes at {at} of {len(body)}")
    return size


def _run(body: bytes, at: int, size: int) -> int:
    """Return how many whole entries of a size stand one behind the other."""
    high, low = body[at::size], body[at + 1 :: size]
    alike = min(len(high) - len(high.lstrip(high[:1])), len(low) - len(low.lstrip(low[:1])))
    return min(alike, (len(body) - at) // size)


def _without_varying(block: bytes, size: int) -> list[bytes]:
    """Return entries of one size as `Expected` thinks of them."""
    count = len(block) // size
    if count < _FEW:
        return [_bare(block[at : at + size]) for at in range(0, len(block), size)]
    blank, cleared = bytes(count), bytearray(block)
    for place in _VARYING:
        cleared[place::size] = blank
    bare = bytes(cleared)
    return [bare[at : at + size] for at in range(0, len(bare), size)]


def _bare(entry: bytes) -> bytes:
    parts = entry[:4], bytes(8), entry[12:18], bytes(2), entry[20:22], bytes(2), entry[24:32], bytes(16)
    return b"".join((*parts, entry[_FIXED:]))


@functools.lru_cache(256)
def _counters(size: int) -> struct.Struct:
    """Return what reads cookie, packets and bytes of an entry."""
    return struct.Struct(f"!24xQQQ{size - _FIXED}x")


def _of_one_shape(keys: Sequence[FlowKey], bodies: Sequence[FlowBody]) -> list[bytes]:
    """Return what `_encoded` does, of flows that differ in nothing but numbers.

    Raises:
        REFUSALS: they do not, or something is wrong with them.
    """
    tables, priorities, matches = zip(*keys, strict=True)
    actions, cookies, hard_timeouts, _ = zip(*bodies, strict=True)
    stencil = Stencil(len(keys), _HEAD.size)
    lay_matches(stencil, matches, _RANK)
    lay_instructions(stencil, actions)
    size = len(stencil.pattern)
    _HEAD.pack_into(stencil.pattern, 0, size, tables[0], 0, 0, 0, 0, 0)
    stencil.lay((_PRIORITY,), priorities, 2)
    stencil.lay((_HARD_TIMEOUT,), hard_timeouts, 2)
    stencil.lay((_COOKIE,), cookies, 8)
    block = bytes(stencil.block())
    return [block[at : at + size] for at in range(0, len(block), size)]


def _encoded(key: FlowKey, body: FlowBody, sorters: dict[tuple[Field, ...], _Sorter]) -> bytes:
    """Return an entry with zeros for all that varies; nothing for one that has no form."""
    table, priority, match = key
    fields = tuple([term[0] for term in match])
    sorter = sorters.get(fields)
    if sorter is None:
        sorter = sorters[fields] = _sorter(fields)
    try:
        tail = encode_match(sorter(match)) + encode_instructions(body.actions)
        return _HEAD.pack(_FIXED + len(tail), table, priority, 0, body.hard_timeout, 0, body.cookie) + tail
    except (WireError, struct.error):
        return b""


def _sorter(fields: tuple[Field, ...]) -> _Sorter:
    order = sorted(range(len(fields)), key=lambda at: _RANK[fields[at]])
    return operator.itemgetter(*order) if len(order) > 1 else tuple
