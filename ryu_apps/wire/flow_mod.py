"""Flow-mods, plain and inside a bundle, as bytes (OpenFlow 1.4, 7.3.4.2 and 7.3.9)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ryu_apps.wire.actions import encode_instructions
from ryu_apps.wire.errors import WireError
from ryu_apps.wire.messages import ANY, MAX_MESSAGE, VERSION, BundleFlag, Kind
from ryu_apps.wire.oxm import encode_match, encode_terms

if TYPE_CHECKING:
    from intent.compiler.flow import Flow
    from ryu_apps.wire.stats import ForeignFlow

ALL_TABLES: Final = 0xFF
MAX_TABLE = 0xFE

_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIHH")
_BUNDLED = struct.Struct("!HHI8sHHIQ8xBB2xHH16sHH")
"""Both headers of a bundled flow-mod, what never differs as few parts as may be."""
_ADD_MESSAGE = VERSION << 8 | Kind.BUNDLE_ADD_MESSAGE
_INNER = VERSION << 8 | Kind.FLOW_MOD
_NO_MATCH = b"\x00\x01\x00\x04\x00\x00\x00\x00"
_NO_BUFFER = 0xFFFFFFFF
_NONE = 0
"""No cookie mask, idle timeout or importance: no flow of ours has one."""
_PADDING = tuple(bytes(-size & 7) for size in range(8))
"""What fills up to 8 bytes, by the size modulo 8."""
_ANYWHERE = struct.pack("!IIIHH", _NO_BUFFER, ANY, ANY, _NONE, _NONE)
"""Buffer, output port, output group, flags, importance."""


class Command(enum.IntEnum):
    """OFPFC_*: what to do with the flow of exactly this key (DELETE: with every flow it covers)."""

    ADD = 0
    """Add, or replace the flow of the same key; keeps its counters, takes cookie and timeout."""
    MODIFY_STRICT = 2
    """Replace the actions; keeps counters, cookie and timeouts."""
    DELETE = 3
    DELETE_STRICT = 4


class FlowFlag(enum.IntFlag):
    """OFPFF_*."""

    NONE = 0
    SEND_FLOW_REM = 1


def encode_flow_mod(flow: Flow, command: Command, xid: int, flags: FlowFlag = FlowFlag.NONE) -> bytes:
    """Return one OFPT_FLOW_MOD. Deletions carry no instructions.

    Raises:
        WireError: a flow that OpenFlow 1.4 or Open vSwitch has no form for.
    """
    (table, priority, match), body = flow
    deletes = command >= Command.DELETE
    tail = encode_match(match) if deletes else encode_match(match) + encode_instructions(body.actions)
    size = _FLOW_MOD.size + len(tail)
    try:
        head = _FLOW_MOD.pack(
            VERSION, Kind.FLOW_MOD, size, xid, body.cookie, _NONE, table, command, _NONE, body.hard_timeout, priority,
            _NO_BUFFER, ANY, ANY, flags, _NONE,
        )  # fmt: skip
    except struct.error as error:
        raise _unfit(table, priority, size, error) from error
    return head + tail


def bundle_flow_mods(
    bundle_id: int, first_xid: int, changes: Iterable[tuple[Command, Flow]], flags: BundleFlag
) -> Iterator[bytes]:
    """Yield one OFPT_BUNDLE_ADD_MESSAGE with its flow-mod for each change, xids counting up from `first_xid`.

    `flags` are those the bundle was opened with. An error that the switch sends carries the xid of
    the message at fault, so its change is `changes[xid - first_xid]`.

    Raises:
        WireError: a flow that OpenFlow 1.4 or Open vSwitch has no form for.
    """
    # Written out rather than built from encode_flow_mod: this is the loop that 20,000 flows go through.
    pack, where, xid = _BUNDLED.pack, struct.pack("!IHH", bundle_id, 0, flags), first_xid
    for command, ((table, priority, match), body) in changes:
        terms = encode_terms(match)
        match_size = len(terms) + 4
        tail = terms + _PADDING[match_size & 7]
        if command < Command.DELETE:
            tail += encode_instructions(body.actions)
        size = _BUNDLED.size + len(tail)
        try:
            head = pack(
                _ADD_MESSAGE, size, xid, where, _INNER, size - 16, xid, body.cookie, table, command,
                body.hard_timeout, priority, _ANYWHERE, 1, match_size,
            )  # fmt: skip
        except struct.error as error:
            raise _unfit(table, priority, size, error) from error
        yield head + tail
        xid = xid + 1 & 0xFFFFFFFF


def encode_delete_strict(foreign: ForeignFlow, xid: int) -> bytes:
    """Return the flow-mod that deletes a flow by the match bytes the switch itself reported."""
    match = foreign.raw_match + bytes(-len(foreign.raw_match) & 7)
    head = _FLOW_MOD.pack(
        VERSION, Kind.FLOW_MOD, _FLOW_MOD.size + len(match), xid, _NONE, _NONE, foreign.table, Command.DELETE_STRICT,
        _NONE, _NONE, foreign.priority, _NO_BUFFER, ANY, ANY, _NONE, _NONE,
    )  # fmt: skip
    return head + match


def encode_delete_all(xid: int, table: int = ALL_TABLES, cookie: int = 0, cookie_mask: int = 0) -> bytes:
    """Return the flow-mod that deletes every flow of a table (or all), of those whose masked cookie is `cookie`."""
    head = _FLOW_MOD.pack(
        VERSION, Kind.FLOW_MOD, _FLOW_MOD.size + len(_NO_MATCH), xid, cookie, cookie_mask, table, Command.DELETE,
        _NONE, _NONE, _NONE, _NO_BUFFER, ANY, ANY, _NONE, _NONE,
    )  # fmt: skip
    return head + _NO_MATCH


def _unfit(table: int, priority: int, size: int, error: struct.error) -> WireError:
    """Say what does not fit; the sizes in a head are numbers like the others."""
    if size > MAX_MESSAGE:
        return WireError(f"flow in table {table}: {size} bytes; a message holds {MAX_MESSAGE}: split its actions")
    return WireError(f"flow in table {table}, priority {priority}: a number does not fit its field: {error}")
