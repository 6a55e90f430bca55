"""Instructions and actions, from bytes to values.

What a switch reports may come from anybody: an action that none of our flows has raises
`ForeignError`, so that the flow can still be deleted; broken framing raises `WireError`.
Several encodings of one meaning give one value (a set-field and a load of the same bits).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeAlias

from intent.compiler.fields import Field, Slice
from intent.compiler.flow import (
    CONTROLLER,
    Act,
    Actions,
    Conjunction,
    Ct,
    DecTtl,
    Goto,
    Group,
    Load,
    Meter,
    Move,
    Nat,
    Output,
    OutputReg,
    Resubmit,
    SetQueue,
)
from ryu_apps.wire import actions as a
from ryu_apps.wire import oxm
from ryu_apps.wire.errors import ForeignError, WireError

MAX_ACTIONS = 4096
"""In one flow; 1,000 conjunctions on one are the most that a program of ours has."""
_CACHE_LIMIT = 1 << 15
_CACHED_BYTES = 512
_ACTION_ALIGN = 8
_NX_HEADER = 10

_OUTPUT_REG2, _REG_LOAD2, _CONTROLLER = 32, 33, 20
_ACTION_REASON = 1
"""OFPR_ACTION."""

_Decoder: TypeAlias = Callable[[bytes], Act]
_known: dict[bytes, Actions] = {}


def decode_instructions(raw: bytes) -> Actions:
    """Return the actions of an instruction list; the conjunctions of one flow sorted by (id, clause).

    Raises:
        WireError: broken framing.
        ForeignError: an instruction or action that no flow of ours has.
    """
    if not raw:
        return ()
    actions = _known.get(raw)
    if actions is None:
        actions = _decode(raw)
        if len(raw) <= _CACHED_BYTES:
            if len(_known) >= _CACHE_LIMIT:
                _known.clear()
            _known[raw] = actions
    return actions


def _decode(raw: bytes) -> Actions:
    parts: dict[int, Actions] = {}
    at = 0
    while at < len(raw):
        kind, size = _header(raw, at, len(raw))
        if kind in parts:
            raise WireError(f"instructions: type {kind} twice in one flow")
        parts[kind] = _instruction(kind, raw[at : at + size])
        at += size
    return parts.get(a.METER, ()) + parts.get(a.APPLY_ACTIONS, ()) + parts.get(a.GOTO_TABLE, ())


def _instruction(kind: int, raw: bytes) -> Actions:
    if kind == a.APPLY_ACTIONS:
        return _canonical(decode_actions(raw[8:]))
    if kind == a.GOTO_TABLE and len(raw) == 8:  # noqa: PLR2004 - its only size
        return (Goto(raw[4]),)
    if kind == a.METER and len(raw) == 8:  # noqa: PLR2004 - its only size
        return (Meter(int.from_bytes(raw[4:8], "big")),)
    raise ForeignError(f"instructions: type {kind} of {len(raw)} bytes is none of ours")


def _canonical(actions: Actions) -> Actions:
    clauses = [act for act in actions if isinstance(act, Conjunction)]
    if not clauses:
        return actions
    if len(clauses) != len(actions):
        raise ForeignError("actions: a conjunction among other actions")
    return tuple(sorted(clauses, key=lambda c: (c.id, c.clause, c.of)))


def _header(raw: bytes, at: int, end: int) -> tuple[int, int]:
    if end - at < 8:  # noqa: PLR2004 - the smallest action and instruction
        raise WireError(f"actions: {end - at} bytes at {at} hold no header")
    size = raw[at + 2] << 8 | raw[at + 3]
    if size < 8 or size % _ACTION_ALIGN or at + size > end:  # noqa: PLR2004
        raise WireError(f"actions: length {size} at {at} of {end}")
    return raw[at] << 8 | raw[at + 1], size


def decode_actions(raw: bytes) -> Actions:
    """Return the actions of an action list.

    Raises:
        WireError: broken framing, or more than `MAX_ACTIONS`.
        ForeignError: an action that no flow of ours has.
    """
    found: list[Act] = []
    at = 0
    while at < len(raw):
        _, size = _header(raw, at, len(raw))
        found.append(_action(raw[at : at + size]))
        at += size
        if len(found) > MAX_ACTIONS:
            raise WireError(f"actions: more than {MAX_ACTIONS} in one list")
    return tuple(found)


def _action(raw: bytes) -> Act:
    kind = raw[0] << 8 | raw[1]
    if kind == a.OUTPUT:
        return _output(raw)
    if kind == a.SET_FIELD:
        return _set_field(raw, 4)
    if kind == a.DEC_TTL and len(raw) == 8:  # noqa: PLR2004 - its only size
        return DecTtl()
    if kind == a.GROUP and len(raw) == 8:  # noqa: PLR2004 - its only size
        return Group(int.from_bytes(raw[4:8], "big"))
    if kind == a.SET_QUEUE and len(raw) == 8:  # noqa: PLR2004 - its only size
        return SetQueue(int.from_bytes(raw[4:8], "big"))
    if kind == a.EXPERIMENTER and len(raw) >= _NX_HEADER and int.from_bytes(raw[4:8], "big") == a.NICIRA:
        subtype = raw[8] << 8 | raw[9]
        decoder = _NICIRA.get(subtype)
        if decoder is not None:
            return _checked(decoder, raw)
        raise ForeignError(f"actions: Nicira action {subtype} is none of ours")
    raise ForeignError(f"actions: type {kind} is none of ours")


def _checked(decoder: _Decoder, raw: bytes) -> Act:
    try:
        return decoder(raw)
    except struct.error as error:
        raise WireError(f"actions: {raw[:16].hex()} of {len(raw)} bytes is cut short") from error


def _output(raw: bytes) -> Output:
    if len(raw) != 16:  # noqa: PLR2004 - its only size
        raise WireError(f"output: {len(raw)} bytes instead of 16")
    port, max_len = struct.unpack_from("!IH", raw, 4)
    return Output(port, max_len if port == CONTROLLER else 0)


def _controller(raw: bytes) -> Output:
    max_len, connection, reason = struct.unpack_from("!HHB", raw, _NX_HEADER)
    if connection or reason != _ACTION_REASON:
        raise ForeignError("controller: for another connection or reason than ours")
    return Output(CONTROLLER, max_len)


def _set_field(raw: bytes, at: int) -> Load:
    field, value, mask = oxm.decode_value_tlv(raw, at, len(raw))
    low = (mask & -mask).bit_length() - 1
    bits = mask.bit_length() - low
    if mask >> low != (1 << bits) - 1:
        raise ForeignError(f"set_field {field.name}: mask {mask:#x} has gaps")
    return Load(_part(field, low, bits), value >> low)


def _reg_load(raw: bytes) -> Load:
    packed, header, value = struct.unpack_from("!H4sQ", raw, _NX_HEADER)
    dst = _slice(header, packed >> 6, (packed & 0x3F) + 1)
    if value >> dst.bits:
        raise ForeignError(f"load: {value:#x} does not fit {dst.bits} bits")
    return Load(dst, value)


def _reg_load2(raw: bytes) -> Load:
    return _set_field(raw, 16)


def _reg_move(raw: bytes) -> Move:
    bits, src, dst, src_header, dst_header = struct.unpack_from("!HHH4s4s", raw, _NX_HEADER)
    return Move(_slice(src_header, src, bits), _slice(dst_header, dst, bits))


def _resubmit(raw: bytes) -> Resubmit:
    port, table = struct.unpack_from("!HB", raw, _NX_HEADER)
    if port != a.RESUBMIT_IN_PORT or table == a.NO_TABLE:
        raise ForeignError(f"resubmit({port:#x},{table}): ours name a table and keep the port")
    return Resubmit(table)


def _output_reg(raw: bytes) -> OutputReg:
    packed, header = struct.unpack_from("!H4s", raw, _NX_HEADER)
    return OutputReg(_slice(header, packed >> 6, (packed & 0x3F) + 1))


def _output_reg2(raw: bytes) -> OutputReg:
    packed, _, header = struct.unpack_from("!HH4s", raw, _NX_HEADER)
    return OutputReg(_slice(header, packed >> 6, (packed & 0x3F) + 1))


def _conjunction(raw: bytes) -> Conjunction:
    clause, of, number = struct.unpack_from("!BBI", raw, _NX_HEADER)
    return Conjunction(number, clause + 1, of)


def _ct(raw: bytes) -> Ct:
    flags, source, zone, table, alg = struct.unpack_from("!H4sHB3xH", raw, _NX_HEADER)
    if alg or flags & ~(a.CT_COMMIT | a.CT_FORCE):
        raise ForeignError(f"ct: flags {flags:#x}, helper {alg} are none of ours")
    nat, rest = _nat(raw[24:])
    where = zone if source == b"\0\0\0\0" else _slice(source, zone >> 6, (zone & 0x3F) + 1)
    return Ct(
        zone=where,
        commit=bool(flags & a.CT_COMMIT),
        force=bool(flags & a.CT_FORCE),
        table=None if table == a.NO_TABLE else table,
        exec=_exec(rest),
        nat=nat,
    )


_SIDES = {number: side for side, number in a.NAT_SIDES.items()}
_RANGES = ((a.NAT_IPV4, 4), (a.NAT_IPV4 << 1, 4), (a.NAT_IPV6, 16), (a.NAT_IPV6 << 1, 16), (a.NAT_PORT, 2), (32, 2))
"""What may be present and its size, each least before its greatest."""


def _nat(raw: bytes) -> tuple[Nat | None, bytes]:
    """Return the translation that nested actions begin with, and the rest of them."""
    if len(raw) < 16 or raw[:2] != b"\xff\xff" or raw[8:10] != a.NAT.to_bytes(2):  # noqa: PLR2004 - its smallest size
        return None, raw
    _, size = _header(raw, 0, len(raw))
    flags, present = struct.unpack_from("!HH", raw, 12)
    if flags not in _SIDES:
        raise ForeignError(f"nat: flags {flags:#x} are none of ours")
    parts, at = [b""] * len(_RANGES), 16
    for index, (bit, length) in enumerate(_RANGES):
        if present & bit:
            parts[index] = raw[at : at + length]
            at += length
    if at > size:
        raise WireError(f"nat: {size} bytes do not hold what is present ({present:#x})")
    four, four_last, six, six_last, port, port_last = parts
    if any(last not in (b"", first) for first, last in ((four, four_last), (six, six_last), (port, port_last))):
        raise ForeignError("nat: ours name one address and one port, no range")
    ours = (_SIDES[flags] is None) == (not four + six) and not (four and six) and not (port and not four + six)
    if not ours or present >> len(_RANGES):
        raise ForeignError(f"nat: flags {flags:#x} with ranges {present:#x} are none of ours")
    address = ip_address(four + six) if four + six else None
    return Nat(_SIDES[flags], address, int.from_bytes(port, "big") if port else None), raw[size:]


def _exec(raw: bytes) -> tuple[Load | Move, ...]:
    found: list[Load | Move] = []
    at = 0
    while at < len(raw):
        kind, size = _header(raw, at, len(raw))
        subtype = raw[at + 8] << 8 | raw[at + 9] if kind == a.EXPERIMENTER and size > _NX_HEADER else None
        # anything else (a nested ct) is foreign, and is not looked into
        if kind != a.SET_FIELD and subtype not in (a.REG_LOAD, _REG_LOAD2, a.REG_MOVE):
            raise ForeignError(f"ct: exec holds action {kind}/{subtype}")
        act = _action(raw[at : at + size])
        if isinstance(act, Load | Move):
            found.append(act)
        at += size
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _slice(header: bytes, offset: int, bits: int) -> Slice:
    field, reach = oxm.field_of(header)
    if bits < 1 or offset + bits > reach:
        raise ForeignError(f"{field.name}[{offset}..{offset + bits - 1}] is no slice of it")
    return _part(field, offset, bits)


@functools.lru_cache(maxsize=4096)
def _part(field: Field, offset: int, bits: int) -> Slice:
    return Slice(field, offset, bits)


_NICIRA: dict[int, _Decoder] = {
    a.REG_MOVE: _reg_move,
    a.REG_LOAD: _reg_load,
    a.RESUBMIT_TABLE: _resubmit,
    a.OUTPUT_REG: _output_reg,
    a.CONJUNCTION: _conjunction,
    a.CT: _ct,
    _CONTROLLER: _controller,
    _OUTPUT_REG2: _output_reg2,
    _REG_LOAD2: _reg_load2,
}
