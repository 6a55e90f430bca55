"""A dump that says what was expected: such flows are known by their very bytes, and need not be decoded.

Decoding 100,000 flows takes seconds, and nearly always they are those of the program, which is at hand. So the program
is encoded as Open vSwitch would dump it, and each entry of a dump is looked up. What is not found, for whatever
reason, is decoded: another order of fields in another version of Open vSwitch costs time, never truth.
"""

from __future__ import annotations

import contextlib
import operator
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from intent.compiler import fields as f
from intent.compiler.fields import Field
from intent.compiler.flow import Flow, FlowBody, FlowKey, Match
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
_HEAD = struct.Struct("!HBxHHHHQ")
"""Size, table, priority, idle timeout, hard timeout, importance, cookie."""
_PRIORITY, _HARD_TIMEOUT, _COOKIE = 4, 8, 12
"""Where they stand."""
_FIXED: Final = 48
"""Bytes of an entry before its match (OpenFlow 1.4, 7.3.5.2)."""

_Sorter: TypeAlias = Callable[[Match], Match]


class Expected:
    """The flows of a program, by what a dump would say of them; each is found once."""

    def __init__(self, program: Iterable[tuple[FlowKey, FlowBody]] = ()) -> None:
        """Begin with some flows."""
        self._waiting: dict[bytes, Flow] = {}
        self._unknown: list[FlowKey] = []
        self._sorters: dict[tuple[Field, ...], _Sorter] = {}
        self.add(program)

    def add(self, flows: Iterable[tuple[FlowKey, FlowBody]]) -> None:
        """Expect further flows, 3 us each; those that end by themselves are not: the time they have left differs."""
        kin: dict[tuple[object, ...], list[Flow]] = {}
        for key, body in flows:
            if body[3]:  # expires_at
                self._unknown.append(key)
                continue
            table, _, match = key
            place = table, len(match), match[-1][0] if match else None, len(body[0])
            kin.setdefault(place, []).append(Flow(key, body))
        for alike in kin.values():
            self._add_kin(alike)

    def _add_kin(self, flows: Sequence[Flow]) -> None:
        """Expect flows that are probably of one shape."""
        if len(flows) >= FEWEST:
            with contextlib.suppress(*REFUSALS):
                self._waiting.update(zip(_of_one_shape(flows), flows, strict=True))
                return
        for flow in flows:
            encoded = _encoded(flow.key, flow.body, self._sorters)
            if encoded:
                self._waiting[encoded] = flow
            else:
                self._unknown.append(flow.key)

    def take(self, body: bytes, at: int, size: int) -> Flow | None:
        """Return the flow that the entry of `size` bytes at `at` is, whatever it counted; None: decode it."""
        if not self._waiting:
            return None
        parts = body[at : at + 4], body[at + 12 : at + 18], body[at + 20 : at + 22], body[at + 24 : at + 32]
        return self._waiting.pop(b"".join((*parts, body[at + _FIXED : at + size])), None)

    def missing(self) -> list[FlowKey]:
        """Return the keys of the flows that were not found."""
        return [*self._unknown, *(flow.key for flow in self._waiting.values())]


def _of_one_shape(flows: Sequence[Flow]) -> list[bytes]:
    """Return what `_encoded` does, of flows that differ in nothing but numbers.

    Raises:
        REFUSALS: they do not, or something is wrong with them.
    """
    keys, bodies = zip(*flows, strict=True)
    tables, priorities, matches = zip(*keys, strict=True)
    actions, cookies, hard_timeouts, _ = zip(*bodies, strict=True)
    stencil = Stencil(len(flows), _HEAD.size)
    lay_matches(stencil, matches, _RANK)
    lay_instructions(stencil, actions)
    size = len(stencil.pattern)
    _HEAD.pack_into(stencil.pattern, 0, _FIXED - _HEAD.size + size, tables[0], 0, 0, 0, 0, 0)
    stencil.lay((_PRIORITY,), priorities, 2)
    stencil.lay((_HARD_TIMEOUT,), hard_timeouts, 2)
    stencil.lay((_COOKIE,), cookies, 8)
    block = bytes(stencil.block())
    return [block[at : at + size] for at in range(0, len(block), size)]


def _encoded(key: FlowKey, body: FlowBody, sorters: dict[tuple[Field, ...], _Sorter]) -> bytes:
    """Return an entry without what it counts, how old it is, and its flags; nothing for one that has no form."""
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
