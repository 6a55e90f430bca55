"""Match fields on the wire: OXM and NXM type-length-values, both ways.

A TLV is class (16 bits), field (7), has-mask (1), payload length (8), value, mask (OpenFlow 1.4,
7.2.3.2). Which header a field takes is in `intent.compiler.fields`; Open vSwitch dumps some fields
under another header than the one they came in by (lib/meta-flow.h lists the aliases), so decoding
knows all of them.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import TypeAlias

from intent.compiler import fields as f
from intent.compiler.fields import Field, Slice
from intent.compiler.flow import Match, Term
from ryu_apps.wire.errors import ForeignError, WireError

EXPERIMENTER_CLASS = 0xFFFF
MAX_MATCH = 4096
"""Bytes of OXM that a match may hold; every field of `FIELDS` with a mask needs fewer than 1,000."""

_CACHE_LIMIT = 1 << 16

_NXM_OF = 0x0000
_OXM_PACKET_TYPE = b"\x80\x00\x58\x04\x00\x00\x00\x00"
"""`packet_type=(0,0)`: a dump may say that a match is about Ethernet packets. All of ours are."""
_ONF_TCP_FLAGS = b"\xff\xff\x54\x06\x4f\x4e\x46\x00"
_ONF_TCP_FLAGS_MASKED = b"\xff\xff\x55\x08\x4f\x4e\x46\x00"

_EXACT_ONLY = frozenset(
    (
        f.IN_PORT,
        f.CONJ_ID,
        f.CT_ZONE,
        f.ETH_TYPE,
        f.IP_PROTO,
        f.IP_TTL,
        f.CT_NW_PROTO,
        f.ICMPV4_TYPE,
        f.ICMPV4_CODE,
        f.ICMPV6_TYPE,
        f.ICMPV6_CODE,
        f.ARP_OP,
        f.ND_RESERVED,
        f.ND_OPTIONS_TYPE,
    )
)
"""Fields that Open vSwitch matches whole or not at all (lib/meta-flow.h, "Maskable: no")."""

_READ_ONLY = frozenset(
    (
        *(f.CONJ_ID, f.CT_STATE, f.CT_ZONE, f.ETH_TYPE, f.IP_PROTO, f.IP_FRAG, f.TCP_FLAGS, f.CT_NW_PROTO),
        *(f.CT_NW_SRC, f.CT_NW_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST, f.CT_TP_SRC, f.CT_TP_DST),
    )
)
"""Fields no action may write (same source, "Access: read-only")."""

_NEVER_ZERO = frozenset((f.CT_NW_PROTO,))
"""Open vSwitch 3.1 takes an exact 0 here and leaves it out of its dump, so it never converges."""

_ALIASES: tuple[tuple[int, int, Field], ...] = (
    (_NXM_OF, 1, f.ETH_DST),
    (_NXM_OF, 2, f.ETH_SRC),
    (_NXM_OF, 3, f.ETH_TYPE),
    (_NXM_OF, 6, f.IP_PROTO),
    (_NXM_OF, 7, f.IPV4_SRC),
    (_NXM_OF, 8, f.IPV4_DST),
    (_NXM_OF, 9, f.TCP_SRC),
    (_NXM_OF, 10, f.TCP_DST),
    (_NXM_OF, 11, f.UDP_SRC),
    (_NXM_OF, 12, f.UDP_DST),
    (_NXM_OF, 13, f.ICMPV4_TYPE),
    (_NXM_OF, 14, f.ICMPV4_CODE),
    (_NXM_OF, 15, f.ARP_OP),
    (_NXM_OF, 16, f.ARP_SPA),
    (_NXM_OF, 17, f.ARP_TPA),
    (f.NXM_1, 16, f.TUN_ID),
    (f.NXM_1, 17, f.ARP_SHA),
    (f.NXM_1, 18, f.ARP_THA),
    (f.NXM_1, 19, f.IPV6_SRC),
    (f.NXM_1, 20, f.IPV6_DST),
    (f.NXM_1, 21, f.ICMPV6_TYPE),
    (f.NXM_1, 22, f.ICMPV6_CODE),
    (f.NXM_1, 23, f.ND_TARGET),
    (f.NXM_1, 24, f.ND_SLL),
    (f.NXM_1, 25, f.ND_TLL),
    (f.OXM_BASIC, 42, f.TCP_FLAGS),
)

Layout: TypeAlias = tuple[bytes, bytes, int, int]
"""Header, header with mask, bytes of the value, mask of an exact match."""
_TLV = struct.Struct("!HBB")


def _layout(field: Field) -> Layout:
    size = (field.bits + 7) // 8
    plain = _TLV.pack(field.oxm_class, field.oxm_field << 1, size)
    masked = _TLV.pack(field.oxm_class, field.oxm_field << 1 | 1, size * 2)
    return plain, masked, size, field.ones


_LAYOUT: dict[Field, Layout] = {field: _layout(field) for field in f.FIELDS}
_PLAIN: dict[bytes, Field] = {layout[0]: field for field, layout in _LAYOUT.items()}
_MASKED: dict[bytes, Field] = {layout[1]: field for field, layout in _LAYOUT.items()}
for _class, _number, _field in _ALIASES:
    _size = _LAYOUT[_field][2]
    _PLAIN[_TLV.pack(_class, _number << 1, _size)] = _field
    _MASKED[_TLV.pack(_class, _number << 1 | 1, _size * 2)] = _field

_SIMPLE: dict[Field, tuple[bytes, int, int]] = {
    field: (plain, size, 0 if field in _NEVER_ZERO else ones) for field, (plain, _, size, ones) in _LAYOUT.items()
}
"""Header, bytes of the value, and the mask (never 0) that makes a term whole and without conditions."""
_PAYLOAD: dict[int, int] = {
    int.from_bytes(plain, "big") >> 9: plain[3] for plain, field in _PLAIN.items() if field is not f.TUN_OPTION
}
"""Class and field -> bytes of the value; a tunnel option has as many as whoever mapped it gave it."""

_NXM_IN_PORT = _TLV.pack(_NXM_OF, 0, 2)
"""The 16-bit port number of OpenFlow 1.0; only actions use it, as the low half of `in_port`."""
_NXM_IN_PORT_BITS = 16

_encoded: dict[Term, bytes] = {}
_decoded: dict[bytes, Term] = {}


# -- encoding -------------------------------------------------------------------------------------


def encode_match(match: Match) -> bytes:
    """Return an `ofp_match`: header, TLVs, padding to 8 bytes.

    Raises:
        WireError: a term that Open vSwitch refuses or does not report back as it was.
    """
    body = encode_terms(match)
    size = len(body) + 4
    return b"\x00\x01" + size.to_bytes(2, "big") + body + bytes(-size & 7)


def encode_terms(match: Match) -> bytes:
    """Return the TLVs of an `ofp_match`, without its header and padding.

    Raises:
        WireError: as `encode_match`.
    """
    body = b""
    for term in match:
        field, value, mask = term
        plain, size, simple = _SIMPLE[field]
        if mask == simple and 0 <= value <= simple:
            body += plain + value.to_bytes(size)
        else:
            body += _encoded.get(term) or _encode_term(term)
    return body


def _encode_term(term: Term) -> bytes:
    field, value, mask = term
    plain, masked, size, ones = _LAYOUT[field]
    if not 0 < mask <= ones or value & ~mask:
        raise WireError(f"match {field.name}: {value:#x}/{mask:#x} does not fit {field.bits} bits")
    if mask == ones:
        if not value and field in _NEVER_ZERO:
            raise WireError(f"match {field.name}=0: the switch does not report it back; leave the term out")
        encoded = plain + value.to_bytes(size, "big")
    elif field in _EXACT_ONLY:
        raise WireError(f"match {field.name}: the switch takes no mask here; match the whole field")
    else:
        encoded = masked + value.to_bytes(size, "big") + mask.to_bytes(size, "big")
    if len(_encoded) >= _CACHE_LIMIT:
        _encoded.clear()
    _encoded[term] = encoded
    return encoded


def layout(field: Field) -> Layout:
    """Return header, header with mask, bytes of the value, and mask of an exact match."""
    return _LAYOUT[field]


def exact_only(field: Field) -> bool:
    """Say whether the switch takes no mask here."""
    return field in _EXACT_ONLY


def never_zero(field: Field) -> bool:
    """Say whether the switch does not report back an exact 0."""
    return field in _NEVER_ZERO


def plain_header(field: Field) -> bytes:
    """Return the 4 bytes that name a field in an action."""
    return _LAYOUT[field][0]


def slice_header(where: Slice) -> bytes:
    """Return the header that names the field of a slice; the low half of `in_port` has its own."""
    if where.field is f.IN_PORT and where.offset + where.bits <= _NXM_IN_PORT_BITS:
        return _NXM_IN_PORT
    return _LAYOUT[where.field][0]


def value_tlv(field: Field, value: int) -> bytes:
    """Return the TLV that sets a whole field."""
    plain, _, size, _ = _LAYOUT[field]
    return plain + value.to_bytes(size, "big")


def writable(field: Field) -> bool:
    """Say whether an action may write the field."""
    return field not in _READ_ONLY


def payload_size(class_and_field: int) -> int | None:
    """Return how many bytes the value of a field of ours has; None for any other, and where that may differ."""
    return _PAYLOAD.get(class_and_field)


# -- decoding -------------------------------------------------------------------------------------


def decode_match(raw: bytes, at: int, end: int) -> tuple[Match, int]:
    """Return the canonical match of the `ofp_match` at `at`, and where what follows it begins.

    Raises:
        WireError: broken framing.
        ForeignError: well formed, but not expressible as a `Match`.
    """
    stop, following = match_extent(raw, at, end)
    return decode_terms(raw, at + 4, stop), following


def match_extent(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """Return where the TLVs of the `ofp_match` at `at` end, and where its padding does."""
    if end - at < 8:  # noqa: PLR2004 - the smallest ofp_match
        raise WireError(f"match at {at}: {end - at} bytes left, at least 8 needed")
    size = raw[at + 2] << 8 | raw[at + 3]
    following = at + (size + 7 & ~7)
    if raw[at : at + 2] != b"\x00\x01" or size < 4 or following > end or size > MAX_MATCH:  # noqa: PLR2004
        raise WireError(f"match at {at}: type {raw[at : at + 2].hex()}, length {size} do not fit the frame")
    return at + size, following


def decode_terms(raw: bytes, at: int, end: int) -> Match:
    """Return the canonical match of the TLVs in `raw[at:end]`.

    Raises:
        WireError: broken framing.
        ForeignError: a field, mask or combination that no flow of ours has.
    """
    known = _decoded  # spelled out rather than built on _tlvs: 100,000 flows go through here
    found: dict[int, Term] = {}
    count = 0
    while at < end:
        if end - at < 5:  # noqa: PLR2004 - header and one byte of value
            raise _no_tlv(at, end)
        following = at + 4 + raw[at + 3]
        if following > end:
            raise _no_tlv(at, end)
        tlv = raw[at:following]
        at = following
        term = known.get(tlv) or _decode_tlv(tlv)
        if term is not None:
            found[term[0].index] = term
            count += 1
    if count != len(found):
        raise ForeignError("match: one field in two terms")
    return tuple([found[index] for index in sorted(found)])


def decode_known_terms(raw: bytes, at: int, end: int) -> Match:
    """Return the canonical match of those TLVs in `raw[at:end]` that are ours; the last of a field counts.

    Raises:
        WireError: broken framing.
    """
    found: dict[int, Term] = {}
    for tlv in _tlvs(raw, at, end):
        with contextlib.suppress(ForeignError):
            if (term := _decode_tlv(tlv)) is not None:
                found[term.field.index] = term
    return tuple([found[index] for index in sorted(found)])


def _tlvs(raw: bytes, at: int, end: int) -> Iterator[bytes]:
    while at < end:
        if end - at < 5 or at + 4 + raw[at + 3] > end:  # noqa: PLR2004 - header and one byte of value
            raise _no_tlv(at, end)
        size = 4 + raw[at + 3]
        yield raw[at : at + size]
        at += size


def _no_tlv(at: int, end: int) -> WireError:
    return WireError(f"match: at {at} there is no whole TLV; the match ends at {end}")


def _decode_tlv(tlv: bytes) -> Term | None:
    if tlv == _OXM_PACKET_TYPE:
        return None
    term = _fresh_term(tlv)
    if len(_decoded) >= _CACHE_LIMIT:
        _decoded.clear()
    _decoded[tlv] = term
    return term


def _fresh_term(tlv: bytes) -> Term:
    field = _PLAIN.get(tlv[:4])
    if field is not None:
        return _valid_term(field, int.from_bytes(tlv[4:], "big"), _LAYOUT[field][3])
    field = _MASKED.get(tlv[:4])
    if field is not None:
        half = 4 + _LAYOUT[field][2]
        # a 12-bit field fully masked with 16 bits is an exact match
        mask = _trimmed(field, int.from_bytes(tlv[half:], "big"))
        return _valid_term(field, int.from_bytes(tlv[4:half], "big"), mask)
    basic = _without_experimenter(tlv)
    if basic is tlv:
        raise ForeignError(f"match: field {tlv[:8].hex()} is none of ours")
    return _fresh_term(basic)


def _without_experimenter(tlv: bytes) -> bytes:
    """OpenFlow 1.4 carries `tcp_flags` in ONF's experimenter class; give it its basic header."""
    if tlv.startswith(_ONF_TCP_FLAGS):
        return b"\x80\x00\x54\x02" + tlv[8:]
    if tlv.startswith(_ONF_TCP_FLAGS_MASKED):
        return b"\x80\x00\x55\x04" + tlv[8:]
    return tlv


def _trimmed(field: Field, mask: int) -> int:
    whole = (1 << (8 * _LAYOUT[field][2])) - 1
    return field.ones if mask == whole else mask


def _valid_term(field: Field, value: int, mask: int) -> Term:
    if not 0 < mask <= _LAYOUT[field][3] or value & ~mask:
        raise ForeignError(f"match {field.name}: {value:#x}/{mask:#x} is no valid term")
    return Term(field, value, mask)


def field_of(header: bytes) -> tuple[Field, int]:
    """Return the field that 4 bytes in an action name, and how many of its bits they reach.

    Raises:
        ForeignError: a field that no flow of ours uses.
    """
    if header == _NXM_IN_PORT:
        return f.IN_PORT, _NXM_IN_PORT_BITS
    field = _PLAIN.get(header)
    if field is None:
        raise ForeignError(f"action: field {header.hex()} is none of ours")
    return field, field.bits


def decode_value_tlv(raw: bytes, at: int, end: int) -> tuple[Field, int, int]:
    """Return field, value and mask of the TLV that a set-field action carries.

    Raises:
        WireError: broken framing.
        ForeignError: a field or mask that no flow of ours uses.
    """
    if end - at < 5 or at + 4 + raw[at + 3] > end:  # noqa: PLR2004 - header and one byte of value
        raise WireError(f"set_field at {at}: its TLV runs beyond the action")
    term = _fresh_term(raw[at : at + 4 + raw[at + 3]])
    return term.field, term.value, term.mask
