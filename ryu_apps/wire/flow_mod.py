"""Flow-mods, plain and inside a bundle, as bytes (OpenFlow 1.4, 7.3.4.2 and 7.3.9)."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ryu_apps.wire.actions import encode_instructions
from ryu_apps.wire.errors import WireError
from ryu_apps.wire.messages import ANY, MAX_MESSAGE, VERSION, BundleFlag, Kind
from ryu_apps.wire.oxm import encode_match

if TYPE_CHECKING:
    from intent.compiler.flow import Flow, FlowKey
    from ryu_apps.wire.stats import ForeignFlow

ALL_TABLES: Final = 0xFF
MAX_TABLE = 0xFE

_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIHH")
_BUNDLED = struct.Struct("!BBHIIHHBBHIQQBBHHHIIIHH")
_NO_MATCH = b"\x00\x01\x00\x04\x00\x00\x00\x00"
_NO_BUFFER = 0xFFFFFFFF
_NONE = 0
"""No cookie mask, idle timeout or importance: no flow of ours has one."""


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
    size = _size(_FLOW_MOD.size + len(tail), flow.key)
    try:
        head = _FLOW_MOD.pack(
            VERSION, Kind.FLOW_MOD, size, xid, body.cookie, _NONE, table, command, _NONE, body.hard_timeout, priority,
            _NO_BUFFER, ANY, ANY, flags, _NONE,
        )  # fmt: skip
    except struct.error as error:
        raise _unfit(flow.key, error) from error
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
    pack, fixed, add, inner = _BUNDLED.pack, _BUNDLED.size, int(Kind.BUNDLE_ADD_MESSAGE), int(Kind.FLOW_MOD)
    flag_bits, xid = int(flags), first_xid
    for command, flow in changes:
        (table, priority, match), body = flow
        tail = encode_match(match)
        if command < Command.DELETE:
            tail += encode_instructions(body.actions)
        size = _size(fixed + len(tail), flow.key)
        try:
            head = pack(
                VERSION, add, size, xid, bundle_id, 0, flag_bits, VERSION, inner, size - 16, xid, body.cookie, 0,
                table, command, 0, body.hard_timeout, priority, _NO_BUFFER, ANY, ANY, 0, 0,
            )  # fmt: skip
        except struct.error as error:
            raise _unfit(flow.key, error) from error
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


def _size(total: int, key: FlowKey) -> int:
    if total > MAX_MESSAGE:
        raise WireError(f"flow in table {key.table}: {total} bytes; a message holds {MAX_MESSAGE}: split its actions")
    return total


def _unfit(key: FlowKey, error: struct.error) -> WireError:
    return WireError(f"flow in table {key.table}, priority {key.priority}: a number does not fit its field: {error}")
