"""Actions and instructions, from values to bytes (structures: OVS lib/ofp-actions.c, OpenFlow 1.4 7.2.4/5)."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from intent.compiler import fields as f
from intent.compiler.fields import Slice
from intent.compiler.flow import (
    CONTROLLER,
    Act,
    Actions,
    Conjunction,
    Ct,
    Goto,
    Load,
    Meter,
    Move,
    Output,
    OutputReg,
    Resubmit,
)
from ryu_apps.wire import oxm
from ryu_apps.wire.errors import WireError

NICIRA: Final = 0x00002320
EXPERIMENTER: Final = 0xFFFF
OUTPUT, SET_FIELD = 0, 25
"""OFPAT_*."""
REG_MOVE, REG_LOAD, RESUBMIT_TABLE, OUTPUT_REG, CONJUNCTION, CT = 6, 7, 14, 15, 34, 35
"""NXAST_*."""
GOTO_TABLE, APPLY_ACTIONS, METER = 1, 4, 6
"""OFPIT_*."""
CT_COMMIT, CT_FORCE = 1, 2
NO_TABLE: Final = 0xFF
"""NX_CT_RECIRC_NONE; also OFPTT_ALL, so no table of a pipeline."""
RESUBMIT_IN_PORT: Final = 0xFFF8
ZONE_BITS = 16
MAX_LOAD_BITS = 64
MAX_CLAUSES = 64
MAX_INSTRUCTIONS = 65_000
"""Bytes: a message holds 65,535 with its headers and match."""

_OUTPUT = struct.Struct("!HHIH6x")
_REG_LOAD = struct.Struct("!HHIHH4sQ")
_REG_MOVE = struct.Struct("!HHIHHHH4s4s")
_RESUBMIT = struct.Struct("!HHIHHB3x")
_OUTPUT_REG = struct.Struct("!HHIHH4sH6x")
_CONJUNCTION = struct.Struct("!10sBBI")
_CT = struct.Struct("!HHIHH4sHB3xH")
_SHORT = struct.Struct("!HHB3x")
_METER = struct.Struct("!HHI")
_APPLY = struct.Struct("!HH4x")

_CONJUNCTION_HEAD = struct.pack("!HHIH", EXPERIMENTER, 16, NICIRA, CONJUNCTION)

_Encoder: TypeAlias = Callable[..., bytes]


def encode_instructions(actions: Actions) -> bytes:
    """Return the instructions that do `actions`: METER, APPLY_ACTIONS, GOTO_TABLE; nothing for a drop.

    Raises:
        WireError: actions that OpenFlow or Open vSwitch has no form for.
    """
    if not actions:
        return b""
    if type(actions[0]) is Conjunction:
        return _conjunctions(actions)
    return _cached_instructions(actions)


@functools.lru_cache(maxsize=1 << 15)
def _cached_instructions(actions: Actions) -> bytes:
    first, last = actions[0], actions[-1]
    meter = _METER.pack(METER, 8, first.id) if isinstance(first, Meter) else b""
    goto = _SHORT.pack(GOTO_TABLE, 8, _table(last.table)) if isinstance(last, Goto) else b""
    applied = actions[bool(meter) : len(actions) - bool(goto)]
    return meter + _apply(b"".join([_encode(act) for act in applied])) + goto


def _apply(body: bytes) -> bytes:
    if not body:
        return b""
    if len(body) > MAX_INSTRUCTIONS:
        raise WireError(f"actions: {len(body)} bytes; at most {MAX_INSTRUCTIONS} fit a message: split the flow")
    return _APPLY.pack(APPLY_ACTIONS, len(body) + 8) + body


def _conjunctions(actions: Actions) -> bytes:
    packed = []
    for act in actions:
        if not isinstance(act, Conjunction):
            raise WireError(f"conjunction: {act} beside it; a clause flow holds nothing else")
        if not 1 <= act.clause <= act.of <= MAX_CLAUSES or act.of < 2:  # noqa: PLR2004 - a conjunction has 2 clauses
            raise WireError(f"conjunction {act.id}: clause {act.clause} of {act.of}; 2 to {MAX_CLAUSES} are possible")
        if not 0 <= act.id < 1 << 32:
            raise WireError(f"conjunction {act.id}: an id has 32 bits")
        packed.append(_CONJUNCTION.pack(_CONJUNCTION_HEAD, act.clause - 1, act.of, act.id))
    return _apply(b"".join(packed))


def encode_actions(actions: Actions) -> bytes:
    """Return an action list, as a packet-out carries it.

    Raises:
        WireError: an action that is an instruction (Goto, Meter), or has no form.
    """
    return b"".join([_encode(act) for act in actions])


def _encode(act: Act) -> bytes:
    encoder = _ENCODERS.get(type(act))
    if encoder is None:
        raise WireError(f"actions: {act} may not stand here; Meter comes first, Goto last")
    try:
        return encoder(act)
    except (struct.error, OverflowError) as error:
        raise WireError(f"actions: {act} does not fit its fields: {error}") from error


def _output(act: Output) -> bytes:
    if act.max_len and act.port != CONTROLLER:
        raise WireError(f"actions: {act}: max_len is for CONTROLLER alone")
    return _OUTPUT.pack(OUTPUT, 16, act.port, act.max_len)


def _output_reg(act: OutputReg) -> bytes:
    header = oxm.plain_header(_checked(act.src).field)
    return _OUTPUT_REG.pack(EXPERIMENTER, 24, NICIRA, OUTPUT_REG, _ofs_nbits(act.src), header, 0xFFFF)


def _load(act: Load) -> bytes:
    dst = _writable(act.dst)
    if not 0 <= act.value < 1 << dst.bits:
        raise WireError(f"load: {act.value:#x} does not fit {dst.bits} bits of {dst.field.name}")
    if dst.bits == dst.field.bits:
        return _set_field(dst, act.value)
    if dst.bits > MAX_LOAD_BITS:
        raise WireError(f"load: {dst.bits} bits of {dst.field.name} in one; load at most {MAX_LOAD_BITS} at a time")
    header = oxm.slice_header(dst)
    return _REG_LOAD.pack(EXPERIMENTER, 24, NICIRA, REG_LOAD, _ofs_nbits(dst), header, act.value)


def _set_field(dst: Slice, value: int) -> bytes:
    tlv = oxm.value_tlv(dst.field, value)
    size = 4 + len(tlv)
    padding = -size & 7
    return struct.pack("!HH", SET_FIELD, size + padding) + tlv + bytes(padding)


def _move(act: Move) -> bytes:
    src, dst = _checked(act.src), _writable(act.dst)
    if src.bits != dst.bits:
        raise WireError(f"move: {src.bits} bits of {src.field.name} into {dst.bits} of {dst.field.name}")
    ends = oxm.slice_header(src), oxm.slice_header(dst)
    return _REG_MOVE.pack(EXPERIMENTER, 24, NICIRA, REG_MOVE, src.bits, src.offset, dst.offset, *ends)


def _resubmit(act: Resubmit) -> bytes:
    return _RESUBMIT.pack(EXPERIMENTER, 16, NICIRA, RESUBMIT_TABLE, RESUBMIT_IN_PORT, _table(act.table))


def _ct(act: Ct) -> bytes:
    if not act.commit and (act.force or act.exec):
        raise WireError("ct: force and exec need commit")
    flags = CT_COMMIT * act.commit | CT_FORCE * act.force
    source, zone = _zone(act.zone)
    table = NO_TABLE if act.table is None else _table(act.table)
    body = b"".join([_exec(inner) for inner in act.exec])
    return _CT.pack(EXPERIMENTER, 24 + len(body), NICIRA, CT, flags, source, zone, table, 0) + body


def _exec(act: Load | Move) -> bytes:
    if act.dst.field not in (f.CT_MARK, f.CT_LABEL):
        raise WireError(f"ct: exec writes {act.dst.field.name}; only ct_mark and ct_label can be written there")
    return _encode(act)


def _zone(zone: Slice | int) -> tuple[bytes, int]:
    if isinstance(zone, int):
        return b"\0\0\0\0", zone
    if zone.bits != ZONE_BITS:
        raise WireError(f"ct: a zone of {zone.bits} bits; it has {ZONE_BITS}")
    return oxm.plain_header(_checked(zone).field), _ofs_nbits(zone)


def _table(number: int) -> int:
    if not 0 <= number < NO_TABLE:
        raise WireError(f"table {number}: a pipeline has tables 0 to {NO_TABLE - 1}")
    return number


def _ofs_nbits(where: Slice) -> int:
    return where.offset << 6 | where.bits - 1


def _checked(where: Slice) -> Slice:
    if where.bits < 1 or where.offset < 0 or where.offset + where.bits > where.field.bits:
        raise WireError(f"{where.field.name}[{where.offset}..{where.offset + where.bits - 1}] is no slice of it")
    return where


def _writable(where: Slice) -> Slice:
    if not oxm.writable(where.field):
        raise WireError(f"{where.field.name} cannot be written by an action")
    return _checked(where)


_ENCODERS: dict[type, _Encoder] = {
    Output: _output,
    OutputReg: _output_reg,
    Load: _load,
    Move: _move,
    Resubmit: _resubmit,
    Ct: _ct,
}
