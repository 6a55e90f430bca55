"""Flow-mods, plain and inside a bundle, as bytes (OpenFlow 1.4, 7.3.4.2 and 7.3.9)."""

from __future__ import annotations

import contextlib
import enum
import itertools
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from intent.compiler.flow import Conjunction
from ryu_apps.wire.actions import encode_clauses, encode_instructions
from ryu_apps.wire.errors import WireError
from ryu_apps.wire.messages import ANY, MAX_MESSAGE, VERSION, BundleFlag, Kind
from ryu_apps.wire.oxm import encode_match, encode_terms
from ryu_apps.wire.stencil import FEWEST, REFUSALS, MixedError, Shape, Stencil, lay_instructions, lay_matches, shape

if TYPE_CHECKING:
    from intent.compiler.fields import Field
    from intent.compiler.flow import Actions, Flow, Match
    from ryu_apps.wire.stats import ForeignFlow

ALL_TABLES: Final = 0xFF
MAX_TABLE = 0xFE

_FLOW_MOD = struct.Struct("!BBHIQQBBHHHIIIHH")
_BUNDLED = struct.Struct("!HHI8sHHIQ8xBB2xHH16sHH")
"""Both headers of a bundled flow-mod, what never differs as few parts as may be."""
_XIDS, _COOKIE, _HARD_TIMEOUT, _PRIORITY = (4, 20), 24, 44, 46
"""Where the numbers of a flow stand in it."""
LAST_XID = 0xFFFFFFFF
_SIZE, _INNER_SIZE, _INNER_HEAD = 2, 18, 16
"""Where the sizes of both headers stand, and how much less the inner one is."""
CLAUSES = -1
MATCH_HEAD = 4
"""Bytes of type and length before a match, last of it."""
WINDOW = 1024
"""Changes that are looked at together: the next are encoded while the switch reads these."""
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


_Kin: TypeAlias = "tuple[int, Command, int, Field | None, int]"
"""Table, command, number of terms, the last field, number of actions; `CLAUSES` where these are of conjunctions."""
_Row: TypeAlias = "tuple[int, int, Match, Actions, int, int]"
"""Transaction id, priority, match, actions, cookie, hard timeout."""
_About: TypeAlias = "tuple[bytes, dict[int, bytes], int, Command]"
"""Where to: bundle id and flags; instructions that were encoded, by the actions they are of; table and command."""


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
) -> Iterator[bytes | bytearray]:
    """Yield OFPT_BUNDLE_ADD_MESSAGEs, each with the flow-mod of a change, many at once.

    No two changes are of one key: they may come in another order. The transaction ids count up from `first_xid` in
    the order of the changes, and an error that the switch sends carries that of the message at fault, so its
    change is `changes[xid - first_xid]`. `flags` are those the bundle was opened with.

    Raises:
        WireError: a flow that OpenFlow 1.4 or Open vSwitch has no form for.
    """
    where, numbered = struct.pack("!IHH", bundle_id, 0, flags), enumerate(changes, first_xid)
    while window := list(itertools.islice(numbered, WINDOW)):
        kins = _by_kin(window)
        known = _known_clauses(kins)
        few = bytearray()  # of each kin, but of many: whoever sends pieces lets others have a turn after each
        for kin, rows in kins.items():
            clauses = kin[-1] == CLAUSES and kin[1] < Command.DELETE
            messages = _of_kin((where, known, *kin[:2]), rows, clauses=clauses)
            if len(rows) < FEWEST:
                few += messages
            else:
                yield messages
        if few:
            yield few


def _by_kin(window: Iterable[tuple[int, tuple[Command, Flow]]]) -> dict[_Kin, list[_Row]]:
    """Return the changes by what those of one shape agree in, and is found quickly; others may agree in it too."""
    found: dict[_Kin, list[_Row]] = {}
    known = found.get
    for xid, (command, ((table, priority, match), (actions, cookie, hard_timeout, _))) in window:
        count = CLAUSES if actions and type(actions[0]) is Conjunction else len(actions)
        kin = table, command, len(match), match[-1][0] if match else None, count
        rows = known(kin)
        if rows is None:
            rows = found[kin] = []
        rows.append((xid, priority, match, actions, cookie, hard_timeout))
    return found


def _known_clauses(kins: Mapping[_Kin, Sequence[_Row]]) -> dict[int, bytes]:
    """Return the instructions of flows that are clauses of conjunctions, those that are the same clause at once.

    By identity, so for no longer than the changes are held: what a party says, it says in several tables. Where there
    is no form for one, it is left to the encoder of one flow.
    """
    told = [rows for kin, rows in kins.items() if kin[-1] == CLAUSES and kin[1] < Command.DELETE]
    if sum(map(len, told)) < FEWEST:
        return {}
    clauses: dict[tuple[object, ...], dict[int, Actions]] = {}
    for row in itertools.chain.from_iterable(told):
        actions = row[3]
        clauses.setdefault(actions[0][1:], {})[id(actions)] = actions  # type: ignore[index] # a conjunction
    known: dict[int, bytes] = {}
    for lists in clauses.values():
        with contextlib.suppress(*REFUSALS):
            known.update(zip(lists, encode_clauses(lists.values()), strict=True))
    return known


def _of_kin(about: _About, rows: Sequence[_Row], *, clauses: bool = False) -> bytes | bytearray:
    """Return the messages of changes that are kin; those of one shape at once, and those of clauses."""
    if len(rows) < FEWEST:
        return _one_by_one(about, rows)
    try:
        if clauses:
            return _of_clauses(about, rows)
        return _of_one_shape(about, rows)
    except REFUSALS:
        shapes: dict[Shape, list[_Row]] = {}
        for row in rows:
            shapes.setdefault(shape(row[2], row[3]), []).append(row)
    return b"".join([_try_shape(about, alike) for alike in shapes.values()])


def _try_shape(about: _About, rows: Sequence[_Row]) -> bytes | bytearray:
    if len(rows) >= FEWEST:
        with contextlib.suppress(*REFUSALS):
            return _of_one_shape(about, rows)
    return _one_by_one(about, rows)


def _of_one_shape(about: _About, rows: Sequence[_Row]) -> bytearray:
    """Return the messages of changes that differ in nothing but numbers.

    Raises:
        REFUSALS: they do not, or something is wrong with them.
    """
    stencil = Stencil(len(rows), _BUNDLED.size - MATCH_HEAD)
    lay_matches(stencil, [row[2] for row in rows])
    if about[-1] < Command.DELETE:
        lay_instructions(stencil, [row[3] for row in rows])
    _lay_heads(stencil, about, rows)
    return stencil.block()


def _of_clauses(about: _About, rows: Sequence[_Row]) -> bytes:
    """Return the messages of flows that are clauses of conjunctions, any number of them each, and match alike.

    Raises:
        REFUSALS: they do not, or something is wrong with them.
    """
    known = about[1]
    tails = [known.get(id(row[3]), b"") for row in rows]
    if not all(tails):
        raise MixedError
    stencil = Stencil(len(rows), _BUNDLED.size - MATCH_HEAD)
    lay_matches(stencil, [row[2] for row in rows])
    _lay_heads(stencil, about, rows)
    step = len(stencil.pattern)
    sizes = [step + len(tail) for tail in tails]
    stencil.lay((_SIZE,), sizes, 2)
    stencil.lay((_INNER_SIZE,), [size - _INNER_HEAD for size in sizes], 2)
    heads = stencil.block()
    parts: list[bytes | bytearray] = [b""] * (2 * len(rows))
    parts[::2] = [heads[at : at + step] for at in range(0, len(heads), step)]
    parts[1::2] = tails
    return b"".join(parts)


def _lay_heads(stencil: Stencil, about: _About, rows: Sequence[_Row]) -> None:
    """Lay in all that comes before the matches, for messages as large as the stencil is."""
    where, _, table, command = about
    size = len(stencil.pattern)
    inner = size - _INNER_HEAD
    head = _BUNDLED.pack(_ADD_MESSAGE, size, 0, where, _INNER, inner, 0, 0, table, command, 0, 0, _ANYWHERE, 0, 0)
    stencil.pattern[: _BUNDLED.size - MATCH_HEAD] = head[:-MATCH_HEAD]
    xids, priorities, _, _, cookies, hard_timeouts = zip(*rows, strict=True)
    stencil.lay(_XIDS, xids if xids[-1] <= LAST_XID else [xid & LAST_XID for xid in xids], 4)
    stencil.lay((_COOKIE,), cookies, 8)
    stencil.lay((_HARD_TIMEOUT,), hard_timeouts, 2)
    stencil.lay((_PRIORITY,), priorities, 2)


def _one_by_one(about: _About, rows: Iterable[_Row]) -> bytes:
    # Written out rather than built from encode_flow_mod: many flows may go through here.
    where, known, table, command = about
    pack, messages = _BUNDLED.pack, []
    for number, priority, match, actions, cookie, hard_timeout in rows:
        terms, xid = encode_terms(match), number & LAST_XID
        match_size = len(terms) + MATCH_HEAD
        tail = terms + _PADDING[match_size & 7]
        if command < Command.DELETE:
            instructions = known.get(id(actions))
            if instructions is None:
                instructions = known[id(actions)] = encode_instructions(actions)
            tail += instructions
        size = _BUNDLED.size + len(tail)
        try:
            head = pack(
                _ADD_MESSAGE, size, xid, where, _INNER, size - 16, xid, cookie, table, command,
                hard_timeout, priority, _ANYWHERE, 1, match_size,
            )  # fmt: skip
        except struct.error as error:
            raise _unfit(table, priority, size, error) from error
        messages.append(head + tail)
    return b"".join(messages)


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
