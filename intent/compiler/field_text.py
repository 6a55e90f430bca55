"""Fields and their values as ovs-ofctl writes and reads them (OVS lib/meta-flow.c)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple, TypeAlias

from intent.compiler import fields as f
from intent.compiler.fields import Field, Slice
from intent.compiler.flow import Term

_Number: TypeAlias = Callable[[int], str]
_Reader: TypeAlias = Callable[[str], int]


class _Style(NamedTuple):
    """How values of a field are written and read; masks of `prefix` fields are prefix lengths where they can be."""

    write: _Number
    read: _Reader
    prefix: bool = False
    mask_like_value: bool = False


def _mac(value: int) -> str:
    return value.to_bytes(6, "big").hex(":")


def _read_mac(text: str) -> int:
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise ValueError(f"{text!r} is no MAC address")
    return int(text.replace(":", ""), 16)


def _ipv4(value: int) -> str:
    return str(IPv4Address(value))


def _ipv6(value: int) -> str:
    return str(IPv6Address(value))


def _read_ipv4(text: str) -> int:
    try:
        return int(IPv4Address(text))
    except AddressValueError as error:
        raise ValueError(f"{text!r} is no IPv4 address: {error}") from error


def _read_ipv6(text: str) -> int:
    try:
        return int(IPv6Address(text))
    except AddressValueError as error:
        raise ValueError(f"{text!r} is no IPv6 address: {error}") from error


def read_number(text: str) -> int:
    """Read a decimal or 0x number.

    Raises:
        ValueError: anything else.
    """
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,40}|[0-9]{1,40}", text):
        raise ValueError(f"{text!r} is no number")
    return int(text, 16) if text[:2].lower() == "0x" else int(text)


_HEX = _Style(hex, read_number)
_DECIMAL = _Style(str, read_number)
_MAC = _Style(_mac, _read_mac, mask_like_value=True)
_IPV4 = _Style(_ipv4, _read_ipv4, prefix=True, mask_like_value=True)
_IPV6 = _Style(_ipv6, _read_ipv6, prefix=True, mask_like_value=True)

_STYLES: Mapping[Field, _Style] = {
    **dict.fromkeys((f.IN_PORT, f.CONJ_ID, f.IP_PROTO, f.IP_TTL, f.CT_NW_PROTO, f.CT_TP_SRC, f.CT_TP_DST), _DECIMAL),
    **dict.fromkeys((f.TCP_SRC, f.TCP_DST, f.UDP_SRC, f.UDP_DST, f.SCTP_SRC, f.SCTP_DST, f.ARP_OP), _DECIMAL),
    **dict.fromkeys((f.ICMPV4_TYPE, f.ICMPV4_CODE, f.ICMPV6_TYPE, f.ICMPV6_CODE, f.ND_OPTIONS_TYPE), _DECIMAL),
    **dict.fromkeys((f.ETH_SRC, f.ETH_DST, f.ARP_SHA, f.ARP_THA, f.ND_SLL, f.ND_TLL), _MAC),
    **dict.fromkeys(
        (f.TUN_SRC, f.TUN_DST, f.IPV4_SRC, f.IPV4_DST, f.CT_NW_SRC, f.CT_NW_DST, f.ARP_SPA, f.ARP_TPA), _IPV4
    ),
    **dict.fromkeys((f.IPV6_SRC, f.IPV6_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST, f.ND_TARGET), _IPV6),
}
"""What is not here is written in hexadecimal."""

_NAMES: Mapping[Field, str] = {
    f.IPV4_SRC: "nw_src",
    f.IPV4_DST: "nw_dst",
    f.IP_PROTO: "nw_proto",
    f.IP_TTL: "nw_ttl",
    f.IP_FRAG: "nw_frag",
    f.ICMPV4_TYPE: "icmp_type",
    f.ICMPV4_CODE: "icmp_code",
}
"""Where ovs-ofctl has no such name as OpenFlow has."""
_BY_NAME: Mapping[str, Field] = {
    **{field.name: field for field in f.FIELDS},
    **{name: field for field, name in _NAMES.items()},
    "in_port_oxm": f.IN_PORT,
}
_BY_NXM_NAME: Mapping[str, Field] = {
    **{field.nxm_name: field for field in f.FIELDS},
    "OXM_OF_IN_PORT": f.IN_PORT,
}

_CT_FLAGS: Mapping[str, int] = {
    name: 1 << bit for bit, name in enumerate(("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"))
}
_TCP_FLAGS: Mapping[str, int] = {
    name: 1 << bit for bit, name in enumerate(("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"))
}
_FLAGS: Mapping[Field, Mapping[str, int]] = {f.CT_STATE: _CT_FLAGS, f.TCP_FLAGS: _TCP_FLAGS}
_FRAG: Mapping[str, tuple[int, int]] = {
    "no": (0, f.IP_FRAG.ones),
    "first": (1, f.IP_FRAG.ones),
    "later": (3, f.IP_FRAG.ones),
    "yes": (1, 1),
    "not_later": (0, 2),
}
_FRAG_NAMES = {pair: name for name, pair in _FRAG.items()}

_IN_PORT_LOW_BITS = 16
"""`NXM_OF_IN_PORT` reaches only this many bits of the port number."""


# -- match terms ------------------------------------------------------------------------------------


def term_text(term: Term) -> str:
    """Return `field=value/mask`; flags as `-inv+trk`, prefixes as `/24`."""
    field, value, mask = term
    return f"{_NAMES.get(field, field.name)}={_masked_text(field, value, mask)}"


def _masked_text(field: Field, value: int, mask: int) -> str:
    if field is f.IP_FRAG and (value, mask) in _FRAG_NAMES:
        return _FRAG_NAMES[value, mask]
    flags = _FLAGS.get(field)
    if flags and not mask & ~sum(flags.values()):
        return "".join(f"{'+' if value & bit else '-'}{name}" for name, bit in flags.items() if mask & bit)
    style = _STYLES.get(field, _HEX)
    if mask == field.ones:
        return style.write(value)
    if style.mask_like_value:
        return f"{style.write(value)}/{_mask_text(field, mask, style)}"
    return f"{value:#x}/{mask:#x}"


def _mask_text(field: Field, mask: int, style: _Style) -> str:
    host = field.ones ^ mask
    if style.prefix and not host & (host + 1):
        return str(field.bits - host.bit_length())
    return style.write(mask)


def read_term(name: str, text: str) -> Term:
    """Read one match term.

    Raises:
        ValueError: an unknown field, or a value that is none of it.
    """
    field = _BY_NAME.get(name)
    if field is None:
        raise ValueError(f"match: there is no field {name!r}")
    value, mask = _read_masked(field, text)
    if not 0 < mask <= field.ones or value & ~mask:
        raise ValueError(f"match {name}={text}: does not fit {field.bits} bits, or has bits outside its mask")
    return Term(field, value, mask)


def _read_masked(field: Field, text: str) -> tuple[int, int]:
    if field is f.IP_FRAG and text in _FRAG:
        return _FRAG[text]
    if field in _FLAGS and text[:1] in ("+", "-"):
        return _read_flags(_FLAGS[field], text)
    style = _STYLES.get(field, _HEX)
    value, slash, mask = text.partition("/")
    if not slash:
        return style.read(value), field.ones
    if style.prefix and mask.isascii() and mask.isdigit():
        return style.read(value), _prefix_mask(field, int(mask))
    return style.read(value), (style if style.mask_like_value else _HEX).read(mask)


def _prefix_mask(field: Field, length: int) -> int:
    if length > field.bits:
        raise ValueError(f"match {field.name}: a prefix of {length} bits; it has {field.bits}")
    return field.ones ^ ((1 << (field.bits - length)) - 1)


def _read_flags(flags: Mapping[str, int], text: str) -> tuple[int, int]:
    value = mask = 0
    for sign, name in re.findall(r"([+-])([a-z]+)|.", text):
        if name not in flags:
            raise ValueError(f"flags {text!r}: {name or 'this'} is none of {', '.join(flags)}")
        mask |= flags[name]
        value |= flags[name] if sign == "+" else 0
    return value, mask


# -- what actions name --------------------------------------------------------------------------------


def whole_text(field: Field, value: int) -> str:
    """Return `value->field`, as set_field takes it."""
    name = "in_port_oxm" if field is f.IN_PORT else _NAMES.get(field, field.name)
    return f"{_STYLES.get(field, _HEX).write(value)}->{name}"


def read_whole(text: str) -> tuple[Field, int]:
    """Read `value->field`.

    Raises:
        ValueError: an unknown field, or a value that does not fit it.
    """
    value_text, _, name = text.rpartition("->")
    field = _BY_NAME.get(name)
    if field is None:
        raise ValueError(f"set_field: there is no field {name!r}")
    value = _STYLES.get(field, _HEX).read(value_text)
    if value > field.ones:
        raise ValueError(f"set_field:{text}: the value does not fit {field.bits} bits")
    return field, value


def slice_text(where: Slice) -> str:
    """Return `NXM_NX_REG1[0..15]`; `[]` for a whole field, `[3]` for one bit."""
    field, first, bits = where.field, where.offset, where.bits
    name, reach = field.nxm_name, field.bits
    if field is f.IN_PORT:
        low = first + bits <= _IN_PORT_LOW_BITS
        name, reach = (name, _IN_PORT_LOW_BITS) if low else ("OXM_OF_IN_PORT", reach)
    if bits == reach:
        return f"{name}[]"
    return f"{name}[{first}]" if bits == 1 else f"{name}[{first}..{first + bits - 1}]"


def read_slice(text: str) -> Slice:
    """Read what `slice_text` writes.

    Raises:
        ValueError: no slice of a known field.
    """
    found = re.fullmatch(r"(\w+)\[(?:(\d{1,3})(?:\.\.(\d{1,3}))?)?\]", text, re.ASCII)
    field = _BY_NXM_NAME.get(found[1]) if found else None
    if found is None or field is None:
        raise ValueError(f"{text!r} is no slice of a known field, such as NXM_NX_REG0[0..15]")
    reach = _IN_PORT_LOW_BITS if found[1] == f.IN_PORT.nxm_name else field.bits
    first = int(found[2] or 0)
    last = int(found[3]) if found[3] else (first if found[2] else reach - 1)
    if not first <= last < reach:
        raise ValueError(f"{text}: the field has {reach} bits")
    return Slice(field, first, last - first + 1)
