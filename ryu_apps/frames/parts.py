"""Matches, actions, instructions and properties: the parts that messages are made of.

Ryu 4.34 walks most of them by a length it does not check, so a zero hangs it, and it copies the
rest of a list for each of its elements, so lists are bounded in number and size. Where Ryu steps
otherwise than OpenFlow says (userdata of NXAST_CONTROLLER2), only what both read alike passes.
"""

from __future__ import annotations

from collections.abc import Mapping

from ryu_apps.frames.span import Span
from ryu_apps.wire import oxm
from ryu_apps.wire.messages import Kind

MAX_ACTIONS = 4096
MAX_NESTED = 64
MAX_PROPERTIES = 32
MAX_PROPERTY = 2048
MAX_MATCH = 4096
EXPERIMENTER = 0xFFFF
_ONF = 0x4F4E4600
_NICIRA = 0x2320


# -- matches ----------------------------------------------------------------------------------------


def check_match(span: Span) -> Span:
    """Check the `ofp_match` at the beginning of `span`; return what follows its padding."""
    size = span.at_least(8).u16(2)
    if span.u16(0) != 1 or not 4 <= size <= MAX_MATCH:  # noqa: PLR2004 - its own header
        raise span.bad(f"type {span.u16(0)}, length {size}: no OXM match")
    following = span.rest(size + (-size % 8), "after the match")
    terms = Span(span.raw, span.at + 4, span.at + size, "match field")
    while terms.at < terms.end:
        terms.at += _check_tlv(terms)
    return following


def _check_tlv(span: Span) -> int:
    """Check one OXM TLV and return its size with header."""
    header, size = span.at_least(5).u32(0), span.u8(3)
    span.at_least(4 + size)
    masked, extra = header & 0x100, 0
    if header >> 16 == EXPERIMENTER:
        extra = 6 if span.u32(4) == _ONF and not header >> 9 & 0x7F else 4
    payload = size - extra
    if payload < (2 if masked else 1) or (masked and payload % 2):
        raise span.bad(f"payload of {size} bytes{' with mask' if masked else ''}")
    known = oxm.payload_size(header >> 9)
    if known is not None and size != known * (2 if masked else 1):
        raise span.bad(f"payload of {size} bytes; the field has {known}")
    return 4 + size


# -- actions ----------------------------------------------------------------------------------------

_OUTPUT, _SET_FIELD = 0, 25
_SIZES: Mapping[int, int] = {_OUTPUT: 16, **dict.fromkeys((11, 12, *range(15, 25), 26, 27), 8)}
"""OFPAT_* of one size."""

_NX_LEARN, _NX_CT, _NX_CONTROLLER2 = 16, 35, 37
_NX_SIZES: Mapping[int, int] = {
    **dict.fromkeys((1, 8, 14, 17, 18, 19, 20, 21, 34, 36, 37, 39, 43), 16),
    **dict.fromkeys((6, 7, 9, 15, 27, 28, 29, 32, 33, 35), 24),
    **dict.fromkeys((10, 12, 13, 16, 22, 38, 41), 32),
}
"""NXAST_*: the least each needs. One that is not here Ryu does not look into."""
_LONGEST_LEARN = 2048


def check_actions(span: Span, *, limit: int = MAX_ACTIONS, nested: bool = False) -> None:
    """Check an action list that fills `span`."""
    for action in span.parts("action", length_at=2, minimum=8, limit=limit):
        kind = action.u16(0)
        if kind == EXPERIMENTER:
            _check_experimenter(action, nested=nested)
        elif kind == _SET_FIELD:
            _check_set_field(action)
        elif kind in _SIZES:
            action.exactly(_SIZES[kind])
        else:
            raise action.bad(f"type {kind} is none of OpenFlow 1.4")


def _check_set_field(action: Span) -> None:
    tlv = action.rest(4, "set-field value")
    size = _check_tlv(tlv)
    if len(tlv) - size >= 8:  # noqa: PLR2004 - padding to a multiple of 8
        raise tlv.bad(f"{len(tlv) - size} bytes of rubbish behind it")


def _check_experimenter(action: Span, *, nested: bool) -> None:
    if action.u32(4) != _NICIRA:
        return
    subtype = action.u16(8)
    action.at_least(_NX_SIZES.get(subtype, 16))
    if subtype == _NX_CT:
        if nested:
            raise action.bad("a ct inside a ct")
        check_actions(action.rest(24, "ct exec"), limit=MAX_NESTED, nested=True)
    elif subtype == _NX_LEARN:
        action.at_most(_LONGEST_LEARN)
    elif subtype == _NX_CONTROLLER2:
        _check_controller2(action.rest(16, "controller properties"))


_USERDATA = 3
_CONTROLLER2_KINDS = (0, 1, 2, 4, 5)
"""NXAC2PT_*; Open vSwitch pads some inside and some outside their length, to 8 bytes in any case."""


def _check_controller2(span: Span) -> None:
    for kind, part in span.padded("controller property", minimum=4, limit=8):
        if kind == _USERDATA:
            part.at_least(5).at_most(MAX_PROPERTY)  # an empty one is a step of 4 bytes to Ryu, of 8 to OpenFlow
        elif kind in _CONTROLLER2_KINDS:
            part.at_most(8)
        else:
            raise part.bad(f"type {kind} is not known")


# -- instructions -----------------------------------------------------------------------------------

_INSTRUCTION_SIZES: Mapping[int, int] = {1: 8, 2: 24, 6: 8}
_ACTION_INSTRUCTIONS = (3, 4, 5)
_MAX_INSTRUCTIONS = 8


def check_instructions(span: Span) -> None:
    """Check an instruction list that fills `span`."""
    for part in span.parts("instruction", length_at=2, minimum=8, limit=_MAX_INSTRUCTIONS):
        kind = part.u16(0)
        if kind in _ACTION_INSTRUCTIONS:
            check_actions(part.rest(8, "actions"))
        elif kind in _INSTRUCTION_SIZES:
            part.exactly(_INSTRUCTION_SIZES[kind])
        else:
            raise part.bad(f"type {kind} is none of OpenFlow 1.4")


# -- properties -------------------------------------------------------------------------------------

PORT_PROPERTIES: Mapping[int, int] = {0: 32, 1: 40}
PORT_STATS_PROPERTIES: Mapping[int, int] = {0: 40, 1: 44}
QUEUE_PROPERTIES: Mapping[int, int] = {1: 8, 2: 8}
TABLE_PROPERTIES: Mapping[int, int] = {2: 8, 3: 8}
ASYNC_PROPERTIES: Mapping[int, int] = dict.fromkeys(range(12), 8)
NO_PROPERTIES: Mapping[int, int] = {}
_EXPERIMENTER_KINDS = (0xFFFE, 0xFFFF)


def check_properties(span: Span, sizes: Mapping[int, int]) -> None:
    """Check a property list that fills `span`; `sizes` are those of the known types."""
    for kind, part in span.padded("property", minimum=4, limit=MAX_PROPERTIES):
        part.at_most(MAX_PROPERTY)
        if kind in _EXPERIMENTER_KINDS:
            part.at_least(12).multiple_of(4)
        elif kind in sizes:
            part.exactly(sizes[kind])


# -- parts that several messages hold ---------------------------------------------------------------


def check_port(span: Span) -> None:
    """Check one `ofp_port` that fills `span`."""
    check_properties(span.rest(40, "port properties"), PORT_PROPERTIES)


def check_table_desc(span: Span) -> None:
    """Check one `ofp_table_desc` that fills `span`."""
    check_properties(span.rest(8, "table properties"), TABLE_PROPERTIES)


def check_buckets(span: Span) -> None:
    """Check a list of group buckets that fills `span`."""
    for bucket in span.parts("bucket", length_at=0, minimum=16, limit=MAX_ACTIONS):
        check_actions(bucket.rest(16, "bucket actions"))


_BANDS = (1, 2, EXPERIMENTER)
_BAND_SIZE = 16


def check_bands(span: Span) -> None:
    """Check a list of meter bands that fills `span`; Ryu knows three, all of one size."""
    for band in span.parts("meter band", length_at=2, minimum=_BAND_SIZE, limit=MAX_ACTIONS):
        if band.exactly(_BAND_SIZE).u16(0) not in _BANDS:
            raise band.bad(f"type {band.u16(0)} is not known")


def check_forwarded(span: Span) -> None:
    """Check the group-mod or meter-mod inside a forwarded request."""
    span.at_least(16)
    if span.u8(0) != 5 or span.u16(2) != len(span):  # noqa: PLR2004 - OpenFlow 1.4
        raise span.bad(f"version {span.u8(0)}, length {span.u16(2)} of {len(span)}")
    if span.u8(1) == Kind.GROUP_MOD:
        check_buckets(span.rest(16, "buckets"))
    elif span.u8(1) == Kind.METER_MOD:
        check_bands(span.rest(16, "meter bands"))
    else:
        raise span.bad(f"type {span.u8(1)}: only group-mods and meter-mods are forwarded")
