"""Actions and instructions, from values to bytes (structures: OVS lib/ofp-actions.c, OpenFlow 1.4 7.2.4/5)."""

from __future__ import annotations

import itertools
import operator
import struct
import sys
from array import array
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeAlias, TypeGuard, cast

from intent.compiler import fields as f
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
    Side,
)
from ryu_apps.wire import oxm
from ryu_apps.wire.errors import WireError

NICIRA: Final = 0x00002320
EXPERIMENTER: Final = 0xFFFF
OUTPUT, SET_QUEUE, GROUP, DEC_TTL, SET_FIELD = 0, 21, 22, 24, 25
"""OFPAT_*."""
REG_MOVE, REG_LOAD, RESUBMIT_TABLE, OUTPUT_REG, CONJUNCTION, CT, NAT = 6, 7, 14, 15, 34, 35, 36
"""NXAST_*."""
GOTO_TABLE, APPLY_ACTIONS, METER = 1, 4, 6
"""OFPIT_*."""
CT_COMMIT, CT_FORCE = 1, 2
NAT_SIDES: Final = {None: 0, Side.SOURCE: 1, Side.DESTINATION: 2}
"""NX_NAT_F_*."""
NAT_IPV4, NAT_IPV6, NAT_PORT = 1, 4, 16
"""NX_NAT_RANGE_*_MIN: the least of a range; without a greatest it is the only one."""
NO_TABLE: Final = 0xFF
"""NX_CT_RECIRC_NONE; also OFPTT_ALL, so no table of a pipeline."""
RESUBMIT_IN_PORT: Final = 0xFFF8
ZONE_BITS = 16
MAX_LOAD_BITS = 64
MAX_CLAUSES = 64
MANY_CLAUSES = 16
"""Conjunctions in one flow that are worth writing at once."""
MAX_INSTRUCTIONS = 65_000
"""Bytes: a message holds 65,535 with its headers and match."""

_OUTPUT = struct.Struct("!HHIH6x")
_REG_LOAD = struct.Struct("!HHIHH4s")
_REG_MOVE = struct.Struct("!HHIHHHH4s4s")
_RESUBMIT = struct.Struct("!HHIHHB3x")
_OUTPUT_REG = struct.Struct("!HHIHH4sH6x")
_CONJUNCTION = struct.Struct("!10sBB")
_CT = struct.Struct("!HHIHH4sHB3xH")
_NAT = struct.Struct("!HHIH2xHH")
_SHORT = struct.Struct("!HHB3x")
_METER = struct.Struct("!HHI")
_APPLY = struct.Struct("!HH4x")

_DEC_TTL = struct.pack("!HH4x", DEC_TTL, 8)
_CONJUNCTION_HEAD = struct.pack("!HHIH", EXPERIMENTER, 16, NICIRA, CONJUNCTION)

_GOTO = tuple(_SHORT.pack(GOTO_TABLE, 8, number) for number in range(NO_TABLE))

_Encoder: TypeAlias = Callable[..., bytes]
Form: TypeAlias = tuple[bytes, int, bytes]
"""An action but for its value: the bytes before it, how many it has, the bytes after it."""

_loads: dict[tuple[Field, int, int], Form] = {}
"""By field, offset and bits."""
_ID = operator.itemgetter(0)
"""Of a conjunction."""
_clauses: dict[tuple[int, int], bytes] = {}
"""By clause and number of clauses."""
_moves: dict[tuple[Field, int, int, Field, int, int], bytes] = {}


def encode_instructions(actions: Actions) -> bytes:
    """Return the instructions that do `actions`: METER, APPLY_ACTIONS, GOTO_TABLE; nothing for a drop.

    Raises:
        WireError: actions that OpenFlow or Open vSwitch has no form for.
    """
    if not actions:
        return b""
    first, last = actions[0], actions[-1]
    if type(first) is Conjunction:
        return _conjunctions(actions)
    goto = b""
    if type(last) is Goto:
        goto = _GOTO[_table(last.table)]
        if first is last:
            return goto
        actions = actions[:-1]
    if type(first) is not Meter:
        return _apply(encode_actions(actions)) + goto
    return _METER.pack(METER, 8, first.id) + _apply(encode_actions(actions[1:])) + goto


def _apply(body: bytes | bytearray) -> bytes:
    if not body:
        return b""
    size = len(body)
    if size > MAX_INSTRUCTIONS:
        raise WireError(f"actions: {size} bytes; at most {MAX_INSTRUCTIONS} fit a message: split the flow")
    return _APPLY.pack(APPLY_ACTIONS, size + 8) + body


def _conjunctions(actions: Actions) -> bytes:
    known, acts = _clauses, cast("tuple[Conjunction, ...]", actions)
    try:
        if len(acts) >= MANY_CLAUSES and _is_one_clause(acts):
            return _apply(_one_clause(acts))
        parts = [(known.get((act.clause, act.of)) or clause_form(act)) + act.id.to_bytes(4) for act in acts]
    except (AttributeError, OverflowError) as error:
        strange = next((act for act in actions if not isinstance(act, Conjunction)), None)
        if strange is not None:
            raise WireError(f"conjunction: {strange} beside it; a clause flow holds nothing else") from error
        raise WireError(f"conjunction {max(act.id for act in acts)}: an id has 32 bits") from error
    return _apply(b"".join(parts))


def encode_clauses(lists: Collection[Actions]) -> list[bytes]:
    """Return the instructions of flows that are clauses of conjunctions, as `encode_instructions` does of each.

    Those that are the same clause of as many are written all at once.

    Raises:
        OverflowError, WireError: there is no form for one of them.
    """
    acts = list(itertools.chain.from_iterable(lists))
    if not _is_one_clause(acts):
        return list(map(encode_instructions, lists))
    block = bytes(_one_clause(acts))
    step, at, found = len(block) // len(acts), 0, []
    for each in lists:
        size = len(each) * step
        body = block[at : at + size]
        found.append(
            _APPLY.pack(APPLY_ACTIONS, size + _APPLY.size) + body if size <= MAX_INSTRUCTIONS else _apply(body)
        )
        at += size
    return found


def _is_one_clause(acts: Sequence[Act]) -> TypeGuard[Sequence[Conjunction]]:
    """Whether acts are of conjunctions, and differ in nothing but the ids."""
    if {*map(type, acts)} != {Conjunction}:
        return False
    _, clauses, counts = zip(*acts, strict=True)
    count = len(acts)
    return bool(clauses.count(clauses[0]) == count == counts.count(counts[0]))


def _one_clause(acts: Sequence[Conjunction]) -> bytearray:
    """Return actions that differ in nothing but the ids: those go in byte by byte, all at once."""
    ids = array("I", map(_ID, acts))
    if sys.byteorder == "little":
        ids.byteswap()
    form, data = clause_form(acts[0]), ids.tobytes()
    block = bytearray(form + bytes(4)) * len(acts)
    for place in range(4):
        block[len(form) + place :: len(form) + 4] = data[place::4]
    return block


def clause_form(act: Conjunction) -> bytes:
    """Return an action but for the conjunction's id, which comes last, in 4 bytes.

    Raises:
        WireError: no such clause is possible.
    """
    if not 1 <= act.clause <= act.of <= MAX_CLAUSES or act.of < 2:  # noqa: PLR2004 - a conjunction has 2 clauses
        raise WireError(f"conjunction {act.id}: clause {act.clause} of {act.of}; 2 to {MAX_CLAUSES} are possible")
    known = _clauses[act.clause, act.of] = _CONJUNCTION.pack(_CONJUNCTION_HEAD, act.clause - 1, act.of)
    return known


def encode_actions(actions: Actions) -> bytes:
    """Return an action list, as a packet-out carries it.

    Raises:
        WireError: an action that is an instruction (Goto, Meter), or has no form.
    """
    # Most actions of a large program are loads, so they are written out here: no call for each.
    body, known = b"", _loads
    for act in actions:
        if type(act) is not Load:
            body += _encode(act)
            continue
        dst, value = act.dst, act.value
        before, size, after = known.get((dst.field, dst.offset, dst.bits)) or load_form(dst)
        if value >> dst.bits:
            raise WireError(f"load: {value:#x} does not fit {dst.bits} bits of {dst.field.name}")
        body += before + value.to_bytes(size) + after
    return body


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


def _group(act: Group) -> bytes:
    return _METER.pack(GROUP, 8, act.id)


def _set_queue(act: SetQueue) -> bytes:
    return _METER.pack(SET_QUEUE, 8, act.id)


def _output_reg(act: OutputReg) -> bytes:
    header = oxm.plain_header(_checked(act.src).field)
    return _OUTPUT_REG.pack(EXPERIMENTER, 24, NICIRA, OUTPUT_REG, _ofs_nbits(act.src), header, 0xFFFF)


def load_form(dst: Slice) -> Form:
    """Return a load into a slice but for its value: the bytes before it, how many it has, the bytes after it.

    Raises:
        WireError: nothing can be written there.
    """
    _writable(dst)
    if dst.bits == dst.field.bits:
        form = _set_field_form(dst.field)
    elif dst.bits > MAX_LOAD_BITS:
        raise WireError(f"load: {dst.bits} bits of {dst.field.name} in one; load at most {MAX_LOAD_BITS} at a time")
    else:
        head = _REG_LOAD.pack(EXPERIMENTER, 24, NICIRA, REG_LOAD, _ofs_nbits(dst), oxm.slice_header(dst))
        form = (head, 8, b"")
    # Only what was found good: there are not more slices of fields than programs name.
    _loads[dst.field, dst.offset, dst.bits] = form
    return form


def _set_field_form(field: Field) -> Form:
    header, size = oxm.plain_header(field), (field.bits + 7) // 8
    padding = -(8 + size) & 7
    return struct.pack("!HH", SET_FIELD, 8 + size + padding) + header, size, bytes(padding)


def _move(act: Move) -> bytes:
    src, dst = act.src, act.dst
    form = src.field, src.offset, src.bits, dst.field, dst.offset, dst.bits
    known = _moves.get(form)
    if known is None:
        known = _moves[form] = _fresh_move(_checked(src), _writable(dst))
    return known


def _fresh_move(src: Slice, dst: Slice) -> bytes:
    if src.bits != dst.bits:
        raise WireError(f"move: {src.bits} bits of {src.field.name} into {dst.bits} of {dst.field.name}")
    ends = oxm.slice_header(src), oxm.slice_header(dst)
    return _REG_MOVE.pack(EXPERIMENTER, 24, NICIRA, REG_MOVE, src.bits, src.offset, dst.offset, *ends)


def _dec_ttl(_: DecTtl) -> bytes:
    return _DEC_TTL


def _resubmit(act: Resubmit) -> bytes:
    return _RESUBMIT.pack(EXPERIMENTER, 16, NICIRA, RESUBMIT_TABLE, RESUBMIT_IN_PORT, _table(act.table))


def _ct(act: Ct) -> bytes:
    if not act.commit and (act.force or act.exec or (act.nat is not None and act.nat.side is not None)):
        raise WireError("ct: force, exec and the choice of a translation need commit")
    flags = CT_COMMIT * act.commit | CT_FORCE * act.force
    source, zone = _zone(act.zone)
    table = NO_TABLE if act.table is None else _table(act.table)
    body = b"" if act.nat is None else _nat(act.nat)
    body += b"".join([_exec(inner) for inner in act.exec])
    return _CT.pack(EXPERIMENTER, 24 + len(body), NICIRA, CT, flags, source, zone, table, 0) + body


def _nat(nat: Nat) -> bytes:
    address = b"" if nat.address is None else nat.address.packed
    if (nat.side is None) != (nat.address is None) or (nat.address is None and nat.port is not None):
        raise WireError(f"nat: {nat}: a side goes with an address, a port with both")
    if nat.port == 0 or (nat.address is not None and int(nat.address) == 0):
        raise WireError(f"nat: {nat}: Open vSwitch takes 0 for not given")
    present = {0: 0, 4: NAT_IPV4, 16: NAT_IPV6}[len(address)] | (0 if nat.port is None else NAT_PORT)
    body = address + (b"" if nat.port is None else nat.port.to_bytes(2))
    body += bytes(-len(body) & 7)
    return _NAT.pack(EXPERIMENTER, 16 + len(body), NICIRA, NAT, NAT_SIDES[nat.side], present) + body


def _exec(act: Load | Move) -> bytes:
    if act.dst.field not in (f.CT_MARK, f.CT_LABEL):
        raise WireError(f"ct: exec writes {act.dst.field.name}; only ct_mark and ct_label can be written there")
    return encode_actions((act,))


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
    Group: _group,
    SetQueue: _set_queue,
    Move: _move,
    Resubmit: _resubmit,
    Ct: _ct,
    DecTtl: _dec_ttl,
}
